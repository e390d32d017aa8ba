import numpy as np
import pytest
from scipy import ndimage as ndi

from helaseg.cells.detection.nuclei_slice import NucleiConfig, find_nuclei
from helaseg.errors import ParameterError

PIXEL_NM = 40.0
SHAPE = (240, 300)


def disk(centre, radius_px, shape=SHAPE):
    rows, cols = np.indices(shape)
    return np.hypot(rows - centre[0], cols - centre[1]) <= radius_px


def ring(mask):
    return mask & ~ndi.binary_erosion(mask, iterations=2)


def paint(cells, lines, *, seed=0, noise=2.0):
    """Resin 200, cells 150, lines 110; organelles are lines."""
    image = np.where(cells, 150.0, 200.0)
    image[lines] = 110
    image = ndi.gaussian_filter(image, 0.6)
    return image + np.random.default_rng(seed).normal(0, noise, cells.shape)


def organelles(where, *, seed=0, n=400):
    """Short dark strokes in the places given."""
    rng = np.random.default_rng(seed)
    marks = np.zeros(where.shape, bool)
    rows, cols = np.nonzero(where)
    for k in rng.integers(0, len(rows), n):
        marks[rows[k] : rows[k] + 3, cols[k] : cols[k] + 6] = True
    return marks & where


@pytest.fixture
def cell():
    """A cell of 4 µm with a nucleus of 2 µm off its centre."""
    body, nucleus = disk((120, 150), 100), disk((130, 140), 50)
    lines = ring(nucleus) | organelles(body & ~disk((130, 140), 56))
    return body, nucleus, paint(body, lines)


def test_a_nucleus_is_found_where_it_is(cell):
    body, nucleus, image = cell
    labels, circles = find_nuclei(image, ~body, pixel_nm=PIXEL_NM)
    y, x, radius = circles[0]
    assert np.hypot(y - 130, x - 140) < 6
    # Up to the edges of its envelope, which are drawn 60 nm wide.
    assert radius == pytest.approx(50 * 40, abs=250)
    found = labels == 1
    assert (found & nucleus).sum() > 0.8 * nucleus.sum()
    assert (found & ~nucleus).sum() < 0.02 * nucleus.sum()
    assert all(r < 0.5 * radius for _, _, r in circles[1:])
    assert labels.max() == len(circles)


@pytest.mark.parametrize("change", ["transposed", "negative", "brighter", "other pixels"])
def test_it_follows_the_image(cell, change):
    body, _, image = cell
    (y, x, radius), *_ = find_nuclei(image, ~body, pixel_nm=PIXEL_NM)[1]
    if change == "transposed":
        (b, a, again), *_ = find_nuclei(image.T, ~body.T, pixel_nm=PIXEL_NM)[1]
    elif change == "negative":
        (a, b, again), *_ = find_nuclei(-image, ~body, pixel_nm=PIXEL_NM)[1]
    elif change == "brighter":
        (a, b, again), *_ = find_nuclei(3 * image + 7, ~body, pixel_nm=PIXEL_NM)[1]
    else:
        twice, resin = (v.repeat(2, 0).repeat(2, 1) for v in (image, ~body))
        (a, b, again), *_ = find_nuclei(twice, resin, pixel_nm=PIXEL_NM / 2)[1]
        a, b = a / 2, b / 2
    assert np.hypot(a - y, b - x) < 8
    assert again == pytest.approx(radius, rel=0.12)


def test_a_fold_does_not_part_a_nucleus_and_two_cells_are_two():
    body, nucleus = disk((120, 150), 100), disk((120, 150), 60)
    rows, cols = np.indices(SHAPE)
    fold = nucleus & (abs(cols - 150) <= 1)
    lines = ring(nucleus) | organelles(body & ~disk((120, 150), 66))
    large = [
        c
        for c in find_nuclei(paint(body, lines | fold), ~body, pixel_nm=PIXEL_NM)[1]
        if c[2] > 1000
    ]
    assert len(large) == 1
    pair = disk((120, 90), 70) | disk((120, 210), 70)
    nuclei = disk((120, 90), 40) | disk((120, 210), 40)
    around = pair & ~(disk((120, 90), 46) | disk((120, 210), 46))
    image = paint(pair, ring(nuclei) | organelles(around) | (pair & (abs(cols - 150) <= 1)))
    large = [c for c in find_nuclei(image, ~pair, pixel_nm=PIXEL_NM)[1] if c[2] > 1000]
    assert sorted(round(c[1] / 10) for c in large) == [9, 21]


def test_a_bleb_is_as_smooth_and_no_nucleus():
    bleb = disk((120, 150), 30)
    labels, circles = find_nuclei(paint(bleb, ring(bleb)), ~bleb, pixel_nm=PIXEL_NM)
    assert circles == []
    assert not labels.any()


def test_a_faint_envelope_is_sought_again_where_the_cell_is_all_clear():
    body, nucleus = disk((120, 150), 100), disk((120, 150), 60)
    image = paint(body, np.zeros(SHAPE, bool))
    image -= 10 * (ring(nucleus) | organelles(body & ~disk((120, 150), 66), n=700))
    blind = NucleiConfig(edge_level=25.0, leak_edge_level=25.0)
    assert all(c[2] > 3500 for c in find_nuclei(image, ~body, pixel_nm=PIXEL_NM, config=blind)[1])
    keen = NucleiConfig(edge_level=25.0)
    seen = find_nuclei(image, ~body, pixel_nm=PIXEL_NM, config=keen)[1]
    assert seen[0][2] == pytest.approx(60 * 40, rel=0.15)


def test_without_resin_and_without_anything(cell):
    body, _, image = cell
    inner = image[60:190, 70:220]
    circles = find_nuclei(inner, np.zeros(inner.shape, bool), pixel_nm=PIXEL_NM)[1]
    assert circles[0][2] == pytest.approx(50 * 40, abs=250)
    for nothing in (np.full(SHAPE, 7.0), np.zeros((0, 5)), np.zeros((1, 1))):
        labels, circles = find_nuclei(nothing, np.zeros(nothing.shape, bool), pixel_nm=PIXEL_NM)
        assert circles == []
        assert labels.shape == nothing.shape


def test_wrong_input_is_named():
    with pytest.raises(ParameterError, match="'image' must have 2 axes"):
        find_nuclei(np.zeros(3), np.zeros((2, 2), bool), pixel_nm=1.0)
    with pytest.raises(ParameterError, match="'background' must have the shape of 'image'"):
        find_nuclei(np.zeros((3, 3)), np.zeros((2, 2), bool), pixel_nm=1.0)
    with pytest.raises(ParameterError, match="'pixel_nm' must be positive"):
        find_nuclei(np.zeros((3, 3)), np.zeros((3, 3), bool), pixel_nm=0.0)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"edge_level": 0.0}, "'edge_level' must be positive"),
        ({"leak_edge_level": -1.0}, "'leak_edge_level' must be positive"),
        ({"max_fold_nm": -1.0}, "'max_fold_nm' must be zero or positive"),
        ({"min_persistence": 2.0}, "'min_persistence' must lie between 0.0 and 1.0"),
    ],
)
def test_wrong_settings_are_named(kwargs, match):
    with pytest.raises(ParameterError, match=match):
        NucleiConfig(**kwargs)
