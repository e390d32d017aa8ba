import math

import numpy as np
import pytest
from scipy import ndimage as ndi

from helaseg.cells.background.appearance import (
    Glimpse,
    decide_appearance,
    glimpse_slice,
    survey_resin,
)
from helaseg.cells.background.config import BackgroundConfig
from helaseg.cells.background.measure import measure_background
from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag
from helaseg.core.volume import Volume
from helaseg.errors import ParameterError
from helaseg.synthetic import make_case, make_phantom

PIXEL_NM = 40.0


def scene(*, resin, cell, line=110.0, noise=3.0, seed=0):
    """Two cells with organelles as dark strokes."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices((320, 400))
    cells = np.hypot(rows - 150, cols - 120) <= 90
    cells |= np.hypot(rows - 180, cols - 310) <= 75
    image = np.where(cells, cell, resin).astype(float)
    places = np.argwhere(cells)
    for r, c in places[rng.integers(0, len(places), 250)]:
        image[r : r + 2, c : c + 7] = line
    return cells, ndi.gaussian_filter(image, 0.7) + rng.normal(0, noise, image.shape)


def jaccard(a, b):
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


def decide(image):
    return decide_appearance([glimpse_slice(image, pixel_nm=PIXEL_NM, reliable=True)])


@pytest.mark.parametrize(
    ("resin", "cell", "line", "expected", "negative"),
    [
        (200.0, 150.0, 110.0, "bright", False),
        (100.0, 150.0, 110.0, "dark", False),
        (80.0, 150.0, 70.0, "dark", False),
        # The negative of the first.
        (55.0, 105.0, 145.0, "dark", True),
    ],
)
def test_the_class_with_the_organelles_are_the_cells(resin, cell, line, expected, negative):
    cells, image = scene(resin=resin, cell=cell, line=line)
    look = decide(image)
    assert look.resin == expected
    assert look.negative == negative
    assert look.sure
    mask = measure_background(image, pixel_nm=PIXEL_NM, resin=look.resin).mask
    assert jaccard(~mask, cells) > 0.95


def test_gain_and_transposition_do_not_matter():
    _, image = scene(resin=200.0, cell=150.0)
    expected = decide(image).busyness
    assert decide(image.T).busyness == pytest.approx(expected, abs=0.05)
    assert decide(0.4 * image + 11).busyness == pytest.approx(expected, abs=1e-3)
    assert decide(-image).busyness == pytest.approx(-expected, abs=0.05)


def test_two_plain_classes_are_undecided_and_it_is_said():
    cells, image = scene(resin=200.0, cell=150.0, line=150.0)
    look = decide(image)
    assert look.resin == "bright"
    assert not look.sure
    assert look.flags == CellFlag.UNSURE_RESIN
    assert "without a sure sign" in look.flags.text


def test_one_decision_for_all_slices():
    dark = Glimpse(busyness=-1.0, skew_bright=-0.5, reliable=True)
    odd = Glimpse(busyness=2.0, reliable=True)
    unclear = Glimpse(reliable=False)
    assert decide_appearance([dark, dark, odd, unclear]).resin == "dark"
    assert decide_appearance([dark, odd, odd]).resin == "bright"
    assert decide_appearance([unclear, unclear]).resin == "none"
    assert decide_appearance([unclear, unclear]).flags == CellFlag.NO_RESIN
    assert decide_appearance([]).resin == "bright"
    told = decide_appearance([dark], BackgroundConfig(resin="bright"))
    assert told.resin == "bright"
    assert told.flags == CellFlag.NONE
    assert decide_appearance([dark]).flags == CellFlag.INVERTED_RESIN


@pytest.mark.parametrize(
    ("name", "resin"),
    [
        ("plain", "bright"),
        ("low_contrast", "bright"),
        ("inverted_resin", "dark"),
        ("no_resin", "none"),
    ],
)
def test_volumes(name, resin):
    assert survey_resin(make_case(name).image).resin == resin


def test_nothing_to_see():
    for shape in ((0, 0), (5, 5), (1, 300)):
        look = glimpse_slice(np.full(shape, 7.0), pixel_nm=10.0, reliable=False)
        assert math.isnan(look.busyness)
    grid = Grid(shape=(0, 5, 5), voxel_size_nm=(50, 10, 10))
    assert survey_resin(Volume(data=np.zeros((0, 5, 5), np.uint8), grid=grid)).resin == "bright"


def test_wrong_input_is_named():
    with pytest.raises(ParameterError, match="'image' must have 2 axes"):
        glimpse_slice(np.zeros(3), pixel_nm=1.0, reliable=True)
    with pytest.raises(ParameterError, match="'pixel_nm' must be positive"):
        glimpse_slice(np.zeros((3, 3)), pixel_nm=0.0, reliable=True)


@pytest.mark.real
def test_real_slices_and_their_negative(real_data):
    import tifffile

    for path in sorted((real_data / "roi_6005_4739" / "raw").glob("*.tif"))[::6]:
        image = tifffile.imread(path)
        for picture, resin in ((image, "bright"), (255 - image, "dark")):
            look = decide_appearance([glimpse_slice(picture, pixel_nm=10.0, reliable=True)])
            assert (look.resin, look.sure) == (resin, True)
            assert look.negative == (resin == "dark")


def test_crops_from_the_middle_of_a_clump():
    made = make_phantom(
        shape=(64, 768, 768), voxel_size_nm=(50, 20, 20), n_cells=12, packing=1.0, seed=1
    )
    cell = made.truth["cell"]
    for corner, size, resin in (((79, 215), 476, "bright"), ((150, 150), 400, "none")):
        roi = Roi(start=(0, *corner), stop=(64, corner[0] + size, corner[1] + size))
        outside = cell.crop(roi).read() == 0
        # Most slices show cells alone, which Otsu's threshold splits at 139.
        assert np.median(outside.mean(axis=(1, 2))) < 0.01
        for told in ("auto", "bright"):
            look = survey_resin(made.image.crop(roi), config=BackgroundConfig(resin=told))
            assert look.resin == resin
            assert (look.threshold is None) == (resin == "none")
            assert look.threshold is None or 160 < look.threshold < 185


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (1, 40)])
def test_a_handful_of_pixels_says_nothing(rng, shape):
    image = rng.integers(0, 255, shape).astype(np.uint8)
    assert math.isnan(glimpse_slice(image, pixel_nm=10.0, reliable=True).busyness)
