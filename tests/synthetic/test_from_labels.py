"""Textures on given labels: the truth is what was asked for, the picture shows it."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from helaseg import Grid, LabelVolume
from helaseg.errors import GridMismatchError, ParameterError
from helaseg.synthetic import TextureConfig, phantom_from_labels, render_labels
from helaseg.synthetic.from_labels import label_drawing

SIZE = (50.0, 20.0, 20.0)


def volume(data, size=SIZE):
    return LabelVolume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=size))


def disks(shape, size, *spots):
    """Labels 1, 2, ... of cylinders (y, x, radius in nm) along z."""
    y, x = ((np.arange(n) + 0.5) * s for n, s in zip(shape[1:], size[1:], strict=True))
    out = np.zeros(shape, np.uint16)
    for k, (cy, cx, r) in enumerate(spots, 1):
        out[:, np.hypot(y[:, None] - cy, x[None] - cx) < r] = k
    return out


def two_cells(shape=(5, 150, 240), size=SIZE):
    """Two cells that share a straight border at x = 2400 nm, with nuclei."""
    cells = disks(shape, size, (1500, 1400, 1250), (1500, 3400, 1250))
    x = (np.arange(shape[2]) + 0.5) * size[2]
    y = (np.arange(shape[1]) + 0.5) * size[1]
    bridge = (abs(y - 1500) < 600)[:, None] & (x > 1400) & (x < 3400)
    cells[:, bridge & (x < 2400)] = 1
    cells[:, bridge & (x >= 2400)] = 2
    return cells, disks(shape, size, (1500, 1300, 700), (1500, 3500, 700))


def contour_distance_px(labels):
    """Distance of each pixel to the nearest border between labels, in its slice."""
    out = np.full(labels.shape, np.inf)
    for z, plane in enumerate(labels):
        border = np.zeros(plane.shape, bool)
        for k in np.unique(plane):
            inside = plane == k
            border |= inside & ~ndimage.binary_erosion(inside, border_value=1)
        if border.any():
            out[z] = ndimage.distance_transform_edt(~border)
    return out


@pytest.fixture(scope="module")
def labels():
    return two_cells()


@pytest.fixture(scope="module")
def phantom(labels):
    return phantom_from_labels(volume(labels[0]), volume(labels[1]))


def test_the_truth_is_the_labels_but_for_their_contours(labels, phantom):
    for name, want in zip(("cell", "nucleus"), labels, strict=True):
        drawn = phantom.truth[name].read()
        differ = drawn != want
        assert differ.mean() < 0.002
        assert (contour_distance_px(want)[differ] <= 1).all()
    assert [c.id for c in phantom.cells] == [1, 2]
    assert phantom.config == TextureConfig()


def test_where_cells_touch_they_touch_in_the_truth(phantom):
    row = phantom.truth["cell"].read()[2, 75]
    change = np.flatnonzero(np.diff(row.astype(int)))
    assert [(int(row[k]), int(row[k + 1])) for k in change] == [(0, 1), (1, 2), (2, 0)]


def test_membranes_are_dark_lines_where_the_labels_say(labels):
    flat = phantom_from_labels(
        volume(labels[0]), volume(labels[1]), noise=0.0, debris=0.0, mitochondria_per_um3=0.0
    )
    image = flat.image.slice(2).astype(float)
    # Contact: the dark line is the border, and darker than a membrane beside resin.
    contact = image[60:90, 100:140].mean(axis=0)
    assert abs(int(contact.argmin()) - 19.5) <= 1
    nucleus = flat.truth["nucleus"].slice(2) == 1
    inside, outside = (ndimage.distance_transform_edt(m) for m in (nucleus, ~nucleus))
    core = image[inside > 12].mean()
    line = image[(inside <= 1) & nucleus | (outside <= 1) & ~nucleus].mean()
    assert line < core - 12
    assert image[flat.truth["cell"].slice(2) == 0].mean() > 190


def test_slices_do_not_depend_on_their_order(labels, phantom):
    drawing = label_drawing(volume(labels[0]), volume(labels[1]), TextureConfig())
    out = drawing.empty_slice()
    for z in (4, 0, 2):
        drawing.draw(z, out)
        np.testing.assert_array_equal(out.image, phantom.image.slice(z))
        np.testing.assert_array_equal(out.mitochondria, phantom.truth["mitochondria"].slice(z))


def test_slices_one_by_one_are_the_phantom_and_the_seed_counts(labels, phantom):
    cells, nuclei = volume(labels[0]), volume(labels[1])
    for z, drawn in enumerate(render_labels(cells, nuclei)):
        np.testing.assert_array_equal(drawn.image, phantom.image.slice(z))
        np.testing.assert_array_equal(drawn.cell, phantom.truth["cell"].slice(z))
    other = next(render_labels(cells, nuclei, seed=1))
    assert (other.image != phantom.image.slice(0)).mean() > 0.5
    np.testing.assert_array_equal(other.cell, phantom.truth["cell"].slice(0))


def test_bands_leave_no_seam(labels, phantom, monkeypatch):
    monkeypatch.setattr("helaseg.synthetic.from_labels.BAND_ROWS", 37)
    pieces = next(render_labels(volume(labels[0]), volume(labels[1])))
    np.testing.assert_array_equal(pieces.cell, phantom.truth["cell"].slice(0))
    different = pieces.image.astype(int) - phantom.image.slice(0)
    assert abs(different).max() <= 1
    assert (different != 0).mean() < 0.01


def test_mitochondria_lie_in_the_cytoplasm_of_one_cell():
    shape = (30, 150, 240)
    cells, nuclei = two_cells(shape)
    made = phantom_from_labels(volume(cells), volume(nuclei), seed=3)
    mitos, cell = made.truth["mitochondria"].read(), made.truth["cell"].read()
    there = mitos > 0
    assert there.sum() > 500
    assert (cell[there] > 0).all()
    assert (made.truth["nucleus"].read()[there] == 0).all()
    ids = np.unique(mitos[there])
    low, high = (f(cell, mitos, ids) for f in (ndimage.minimum, ndimage.maximum))
    np.testing.assert_array_equal(low, high)


def test_there_are_about_as_many_mitochondria_as_asked_for():
    cells = np.ones((40, 120, 120), np.uint8)
    made = phantom_from_labels(volume(cells, (50.0, 50.0, 50.0)), volume(0 * cells, (50.0,) * 3))
    n = len(np.unique(made.truth["mitochondria"].read())) - 1
    assert 0.6 < n / (0.9 * 2 * 6 * 6) < 1.1


def test_an_island_of_one_slice_survives():
    nuclei = disks((5, 150, 240), SIZE, (1500, 1300, 700))
    nuclei[3:] = 0
    cells = two_cells()[0]
    nuclei[4] = disks((1, 150, 240), SIZE, (1500, 1400, 160))[0]
    drawn = phantom_from_labels(volume(cells), volume(nuclei)).truth["nucleus"].read()
    sizes = [(np.sum(a > 0), np.sum(b > 0)) for a, b in zip(drawn, nuclei, strict=True)]
    for found, want in sizes:
        assert found == pytest.approx(want, rel=0.12)


def test_contours_that_jump_from_slice_to_slice_are_settled():
    shape = (9, 150, 150)
    cells = disks(shape, SIZE, (1500, 1500, 1300))
    nuclei = disks(shape, SIZE, (1500, 1500, 700))
    nuclei[1::2] = disks((1, 150, 150), SIZE, (1500, 1560, 700))[0]  # 3 px to and fro
    drawn = phantom_from_labels(volume(cells), volume(nuclei)).truth["nucleus"].read()
    centres = [ndimage.center_of_mass(p)[1] for p in drawn > 0]
    assert abs(np.diff(centres[1:-1])).max() < 1.0


def test_an_oblique_envelope_is_wide_and_faint():
    shape, size = (7, 200, 200), (50.0, 10.0, 10.0)
    cells = disks(shape, size, (1000, 1000, 980))
    profiles = []
    for shrink in (0.0, 150.0):  # upright, 72 degrees oblique
        nuclei = np.concatenate(
            [disks((1, 200, 200), size, (1000, 1000, 250 + shrink * z)) for z in range(4)]
            + [disks((1, 200, 200), size, (1000, 1000, 250 + shrink * z)) for z in (4, 4, 4)]
        )
        made = phantom_from_labels(
            volume(cells, size), volume(nuclei, size), noise=0.0, mitochondria_per_um3=0.0
        )
        inside = made.truth["nucleus"].slice(2) > 0
        d = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
        image = made.image.slice(2)
        profiles.append([image[np.abs(d - k) < 0.8].mean() for k in range(1, 19)])
    upright, oblique = (np.array(p[-1]) - np.array(p) for p in profiles)
    assert oblique.max() < upright.max()
    wide = [(p > 0.5 * p.max()).sum() for p in (upright, oblique)]
    assert wide[1] > 1.5 * wide[0]


def test_shapes_do_not_depend_on_the_pixel_size():
    areas = []
    for px in (10.0, 28.0):
        size = (50.0, px, px)
        shape = (3, round(3000 / px), round(4800 / px))
        cells, nuclei = two_cells(shape, size)
        made = phantom_from_labels(volume(cells, size), volume(nuclei, size))
        areas.append([c.n_nucleus_voxels * px * px for c in made.cells])
    np.testing.assert_allclose(areas[0], areas[1], rtol=0.02)


def test_labels_without_cells_are_resin_and_cells_without_resin_have_none():
    nothing = np.zeros((2, 40, 50), np.uint8)
    made = phantom_from_labels(volume(nothing), volume(nothing))
    assert made.cells == ()
    assert made.image.read().mean() > 170
    made = phantom_from_labels(volume(nothing + 1), volume(nothing))
    assert (made.truth["cell"].read() == 1).all()
    assert 120 < made.image.read().mean() < 160
    assert not made.cells[0].has_nucleus


def test_resin_grey_damage_and_blank_slices(labels):
    cells, nuclei = volume(labels[0]), volume(labels[1])
    made = phantom_from_labels(
        cells, nuclei, resin_grey=95, debris=0.0, damaged_slices=(1,), blank_slices=(3,)
    )
    image, cell = made.image.read(), made.truth["cell"].read()
    assert image[0][cell[0] == 0].mean() < image[0][cell[0] > 0].mean() - 30
    assert np.unique(image[3]).tolist() == [165]
    assert image[1].std() > 0
    assert made.damaged == (1, 3)
    assert (cell[3] > 0).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "textures have no setting 'colour'; the settings are seed"),
        ({"seed": -1}, "'seed' must be a whole number from 0 on, got -1"),
        ({"resin_grey": 300.0}, "'resin_grey' must lie between 0.0 and 255.0, got 300.0"),
        ({"noise": -1.0}, "'noise' must be zero or positive"),
        ({"blank_slices": (5,)}, "'damaged_slices' and 'blank_slices' must lie below the 5 slices"),
    ],
)
def test_wrong_settings_are_refused(labels, changes, message):
    with pytest.raises(ParameterError, match=message):
        phantom_from_labels(volume(labels[0]), volume(labels[1]), **changes)


def test_labels_that_do_not_fit_are_refused(labels):
    cells = volume(labels[0])
    with pytest.raises(GridMismatchError, match="'cells' and 'nuclei' must share one grid"):
        phantom_from_labels(cells, volume(labels[1], (50.0, 10.0, 10.0)))
    large = volume(labels[0].astype(np.int32) * 40000)
    with pytest.raises(ParameterError, match="'cells' must hold labels up to 65535, got 80000"):
        phantom_from_labels(large, volume(labels[1]))


@pytest.mark.real
def test_real_shapes_keep_their_contours_and_look_like_real_envelopes(real_data):
    path = real_data / "c001_labels" / "classes5.tif"
    with tifffile.TiffFile(path) as file:
        classes = np.stack([file.pages[z].asarray()[420:820, 500:1300] for z in range(146, 151)])
    nuclei = (classes == 2).astype(np.uint8)
    cells = np.choose(classes, [0, 1, 1, 2, 0, 1]).astype(np.uint8)
    size = (50.0, 10.0, 10.0)
    made = phantom_from_labels(volume(cells, size), volume(nuclei, size))
    drawn = made.truth["nucleus"].read() > 0
    both = (drawn & (nuclei > 0)).sum()
    # Neighbouring slices of these labels agree to 0.98: settling moves contours by less.
    assert both / (drawn | (nuclei > 0)).sum() > 0.985
    # The grey profile across the envelope of real patches of this nucleus, 1 to 19 px outside
    # and inside: 128 144 146 144 144 and 123 144 151 153 153.
    plane, inside = made.image.slice(2).astype(float), drawn[2]
    d = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    at = [-19, -13, -9, -5, -1, 1, 5, 9, 13, 19]
    grey = [plane[np.abs(d - k) < 1].mean() for k in at]
    real = [144, 144, 145, 145, 128, 123, 134, 148, 152, 153]
    assert np.abs(np.subtract(grey, real)).max() < 12
