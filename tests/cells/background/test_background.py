import math

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from helaseg.cells.background.blank import off_reference, slice_greys
from helaseg.cells.background.config import BackgroundConfig
from helaseg.cells.background.measure import measure_background
from helaseg.errors import ParameterError
from helaseg.image.blocks import joined_pixels

PIXEL_NM = 20.0


def resin_of(image, **settings):
    return measure_background(image, **settings).mask


def disk(shape, centre, radius):
    rows, cols = np.indices(shape)
    return np.hypot(rows - centre[0], cols - centre[1]) <= radius


def paint(cells, *, seed=0, resin=200.0, cell=155.0, noise=4.0):
    """A slice with these cells, blurred a little, with noise, as float."""
    image = ndi.gaussian_filter(np.where(cells, cell, resin), 0.8)
    return image + np.random.default_rng(seed).normal(0, noise, cells.shape)


def jaccard(a, b):
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


@pytest.fixture(scope="module")
def scene():
    cells = disk((400, 360), (150, 140), 90) | disk((400, 360), (310, 270), 70)
    return cells, np.clip(np.rint(paint(cells)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("pixel_nm", [5.0, 10.0, 20.0, 40.0, 120.0])
def test_cells_are_not_resin_at_any_pixel_size(scene, pixel_nm):
    cells, image = scene
    mask = resin_of(image, pixel_nm=pixel_nm)
    assert mask.dtype == bool
    assert jaccard(~mask, cells) > 0.97


def test_the_coarse_mask_has_one_pixel_per_block(scene):
    cells, image = scene
    result = measure_background(image[:-1, :-1], pixel_nm=10.0, coarse=True)
    assert joined_pixels(10.0, BackgroundConfig().working_pixel_nm) == 4
    assert result.mask.shape == (100, 90)
    assert result.pixel_nm == 40.0
    assert jaccard(~result.mask, cells[1::4, 1::4]) > 0.95


def test_result_describes_the_slice(scene):
    cells, image = scene
    result = measure_background(image, pixel_nm=PIXEL_NM)
    assert result.reliable
    assert not result.blank
    assert result.cell_grey == pytest.approx(155, abs=2)
    assert result.resin_grey == pytest.approx(200, abs=2)
    assert 165 < result.threshold < 190
    assert result.resin_fraction == pytest.approx(np.mean(~cells), abs=0.01)
    assert result.contrast > 5


@settings(max_examples=15, deadline=None)
@given(
    gain=st.floats(0.2, 50.0),
    offset=st.floats(-1000.0, 1000.0),
    transpose=st.booleans(),
)
def test_no_grey_level_and_no_direction_is_special(gain, offset, transpose):
    cells = disk((120, 100), (50, 40), 25)
    image = paint(cells)
    expected = resin_of(image, pixel_nm=40.0)
    other = image * gain + offset
    mask = resin_of(other.T if transpose else other, pixel_nm=40.0)
    assert np.mean((mask.T if transpose else mask) != expected) < 0.003


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, float])
def test_every_sample_type_gives_the_same_mask(scene, dtype):
    _, image = scene
    expected = resin_of(image, pixel_nm=PIXEL_NM)
    mask = resin_of(image.astype(dtype), pixel_nm=PIXEL_NM)
    assert np.mean(mask != expected) < 1e-3


def test_layout_and_write_protection_do_not_matter(scene):
    _, image = scene
    expected = resin_of(image, pixel_nm=PIXEL_NM)
    wide = np.repeat(image, 2, axis=1)[:, ::2]
    wide.flags.writeable = False
    np.testing.assert_array_equal(resin_of(wide, pixel_nm=PIXEL_NM), expected)
    fortran = np.asfortranarray(image)
    np.testing.assert_array_equal(resin_of(fortran, pixel_nm=PIXEL_NM), expected)


def test_a_shadow_as_dark_as_the_cells_is_resin():
    cells = disk((400, 400), (200, 110), 80)
    shadow = 45 * np.exp(-(((np.arange(400) - 310) / 30.0) ** 2))
    image = paint(cells) - np.where(cells, 0, shadow[None])
    mask = resin_of(image, pixel_nm=40.0)
    assert image[50:350, 305:315].mean() < 160
    assert mask[20:380, 240:380].mean() > 0.98
    assert jaccard(~mask, cells) > 0.95


def test_a_cell_ringed_by_resin_is_not_swallowed():
    sheet = np.ones((300, 300), bool)
    ring = disk(sheet.shape, (150, 150), 90) & ~disk(sheet.shape, (150, 150), 70)
    mask = resin_of(paint(sheet & ~ring), pixel_nm=40.0)
    assert not mask[110:190, 110:190].any()
    assert jaccard(mask, ring) > 0.9


@pytest.mark.parametrize("width_px", [10, 16])
def test_narrow_gaps_are_found_at_full_resolution(width_px):
    cells = np.zeros((400, 400), bool)
    cells[100:300, 50:350] = True
    cells[100:220, 195 : 195 + width_px] = False
    mask = resin_of(paint(cells), pixel_nm=10.0)
    gap = (slice(105, 210), slice(197, 193 + width_px))
    assert mask[gap].mean() > 0.95
    assert jaccard(~mask, cells) > 0.97


def test_enclosed_resin_stays_resin_and_specks_go():
    cells = disk((300, 300), (150, 150), 100)
    pocket = disk(cells.shape, (150, 150), 12)
    speck = disk(cells.shape, (100, 150), 1.5)
    mask = resin_of(paint(cells & ~pocket & ~speck), pixel_nm=20.0)
    assert mask[145:155, 145:155].all()
    assert not mask[95:105, 140:160].any()


def test_uneven_brightness_is_levelled():
    cells = np.zeros((900, 1000), bool)
    for row in range(150, 900, 300):
        for col in range(125, 1000, 250):
            cells |= disk(cells.shape, (row, col), 85)
    image = paint(cells) * np.linspace(0.8, 1.15, 1000)[None]
    levelled = measure_background(image, pixel_nm=80.0)
    assert jaccard(~levelled.mask, cells) > 0.97
    flat = measure_background(image, pixel_nm=80.0, config=BackgroundConfig(shading_nm=1e6))
    assert levelled.contrast > 1.5 * flat.contrast


def test_levelling_reaches_full_resolution():
    cells = np.zeros((1600, 1600), bool)
    for row in range(200, 1600, 400):
        for col in range(200, 1600, 400):
            cells |= disk(cells.shape, (row, col), 130)
    image = paint(cells) * np.linspace(0.85, 1.1, 1600)[:, None]
    config = BackgroundConfig(shading_nm=8000.0)
    mask = resin_of(image, pixel_nm=10.0, config=config)
    assert jaccard(~mask, cells) > 0.97


def test_what_was_not_recorded_counts_as_background(scene):
    cells, image = scene
    padded = np.pad(image, 120)
    result = measure_background(padded, pixel_nm=PIXEL_NM)
    assert result.mask[:115].all()
    assert result.mask[:, -115:].all()
    assert jaccard(~result.mask[120:-120, 120:-120], cells) > 0.95
    assert result.resin_fraction == pytest.approx(np.mean(~cells), abs=0.02)


def test_without_resin_or_without_cells_it_says_so(rng):
    image = rng.normal(150, 5, (256, 200))
    result = measure_background(image, pixel_nm=40.0)
    assert not result.reliable
    assert result.contrast < 2.75
    known = measure_background(image, pixel_nm=40.0, threshold=175.0)
    assert not known.mask.any()
    assert not known.reliable
    assert measure_background(image, pixel_nm=40.0, threshold=120.0).mask.all()


@pytest.mark.parametrize("pixel_nm", [10.0, 40.0])
def test_dark_resin_is_found_as_bright_resin_is(scene, pixel_nm):
    cells, image = scene
    bright = measure_background(image, pixel_nm=pixel_nm)
    dark = measure_background(255 - image, pixel_nm=pixel_nm, resin="dark")
    assert np.mean(bright.mask != dark.mask) < 1e-3
    assert dark.resin_grey == pytest.approx(255 - bright.resin_grey)
    assert dark.threshold == pytest.approx(255 - bright.threshold, abs=0.5)
    assert dark.contrast == pytest.approx(bright.contrast, rel=1e-3)
    assert dark.reliable
    known = measure_background(
        255 - image, pixel_nm=pixel_nm, resin="dark", threshold=dark.threshold
    )
    assert np.mean(known.mask != dark.mask) < 1e-3
    told = BackgroundConfig(resin="dark")
    np.testing.assert_array_equal(resin_of(255 - image, pixel_nm=pixel_nm, config=told), dark.mask)


def test_organelles_as_dark_as_the_resin_are_cell():
    cells = disk((300, 300), (150, 150), 110)
    organelle = disk(cells.shape, (150, 110), 10)
    channel = np.zeros_like(cells)
    channel[145:155, 200:] = True
    image = paint(cells & ~organelle & ~channel, resin=100.0, cell=150.0)
    mask = resin_of(image, pixel_nm=40.0, resin="dark")
    assert not mask[organelle].any()
    assert mask[147:153, 230:].all()
    assert jaccard(~mask, cells & ~channel) > 0.95


def test_without_resin_all_that_was_recorded_is_cell(scene):
    _, image = scene
    padded = np.pad(image, 120)
    result = measure_background(padded, pixel_nm=10.0, resin="none")
    assert result.mask[:110].all()
    assert not result.mask[130:-130, 130:-130].any()
    assert not result.reliable
    assert result.resin_fraction == 0
    assert math.isnan(result.threshold)
    coarse = measure_background(padded, pixel_nm=10.0, resin="none", coarse=True)
    assert coarse.mask.shape == (160, 150)
    assert coarse.pixel_nm == 40.0


def test_low_contrast_is_still_resin_and_cells(scene):
    cells, image = scene
    faint = 160 + 0.4 * (image - 175.0) + np.random.default_rng(1).normal(0, 4, cells.shape)
    result = measure_background(faint, pixel_nm=10.0)
    assert result.reliable
    assert jaccard(~result.mask, cells) > 0.93


def test_cells_alone_with_dark_organelles_are_not_reliable(rng):
    image = rng.normal(150, 3, (400, 400))
    for row, col in rng.integers(0, 392, (900, 2)):
        image[row : row + 3, col : col + 8] -= 30
    result = measure_background(ndi.gaussian_filter(image, 0.8), pixel_nm=40.0)
    assert not result.reliable


def test_a_slice_of_resin_alone_is_not_reliable(rng):
    shadow = 30 * np.exp(-(((np.arange(400) - 150) / 60.0) ** 2))
    image = rng.normal(200, 4, (400, 400)) - shadow
    result = measure_background(image, pixel_nm=40.0)
    assert result.mask.mean() > 0.95 or not result.reliable
    assert measure_background(image, pixel_nm=40.0, threshold=165.0).mask.mean() > 0.95


def test_little_resin_is_not_reliable():
    cells = np.ones((300, 300), bool)
    cells[:6, :40] = False
    result = measure_background(paint(cells, noise=1.0), pixel_nm=40.0)
    assert result.resin_fraction < 0.01
    assert not result.reliable


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (5, 0)])
def test_an_empty_slice_is_blank(shape):
    result = measure_background(np.zeros(shape, np.uint8), pixel_nm=10.0)
    assert result.mask.shape == shape
    assert result.blank


def test_a_constant_slice_is_blank():
    result = measure_background(np.full((50, 41), 7), pixel_nm=10.0, coarse=True)
    assert result.mask.shape == (13, 11)
    assert not result.mask.any()
    assert result.blank
    assert not result.reliable
    assert math.isnan(result.threshold)


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1), (2, 3)])
def test_slices_of_one_pixel_width(shape, rng):
    image = rng.integers(0, 255, shape)
    assert resin_of(image, pixel_nm=40.0).shape == shape
    assert resin_of(image, pixel_nm=10.0).shape == shape


def test_a_slice_far_off_the_others_is_blank(rng):
    def is_off(image, reference=None):
        return off_reference(slice_greys(image), reference)

    image = rng.normal(150, 10, (300, 300))
    typical = (150.0, 47.0)
    assert is_off(np.full((50, 41), 7))
    assert not is_off(image)
    assert not is_off(image, typical)
    assert is_off(image + 60, typical)
    assert is_off(150 + (image - 150) * 0.2, typical)
    assert is_off(150 + (image - 150) * 5, typical)


def test_wrong_input_is_named():
    with pytest.raises(ParameterError, match="'image' must have 2 axes"):
        resin_of(np.zeros((2, 2, 2)), pixel_nm=10.0)
    with pytest.raises(ParameterError, match="'image' must be finite"):
        resin_of(np.array([[np.nan, 1.0]]), pixel_nm=10.0)
    with pytest.raises(ParameterError, match="'pixel_nm' must be positive"):
        resin_of(np.zeros((2, 2)), pixel_nm=0.0)
    with pytest.raises(ParameterError, match="'resin' must be one of 'bright', 'dark', 'none'"):
        resin_of(np.zeros((2, 2)), pixel_nm=1.0, resin="auto")


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"working_pixel_nm": 0.0}, "'working_pixel_nm' must be positive"),
        ({"border_nm": -1.0}, "'border_nm' must be zero or positive"),
        ({"edge_low_ratio": 1.5}, "'edge_low_ratio' must lie between 0.0 and 1.0"),
        ({"resin": "grey"}, "'resin' must be one of 'auto', 'bright', 'dark', 'none'"),
        ({"sure_contrast": 0.0}, "'sure_contrast' must be positive"),
        ({"edge_levels": ()}, "'edge_levels' must hold fractions"),
        ({"edge_levels": (0.2, 1.2)}, "'edge_levels' must hold fractions"),
    ],
)
def test_wrong_settings_are_named(kwargs, match):
    with pytest.raises(ParameterError, match=match):
        BackgroundConfig(**kwargs)


@pytest.mark.real
@pytest.mark.parametrize("number", [60, 116])
def test_real_cell(real_data, number):
    folder = real_data / "roi_6005_4739"
    image = tifffile.imread(folder / "raw" / f"z{number:04d}.tif")
    cell = tifffile.imread(folder / "truth" / f"cell_z{number:04d}.tif") > 0
    sure = tifffile.imread(folder / "truth" / f"cell_doubt_z{number:04d}.tif") == 0
    result = measure_background(image, pixel_nm=10.0)
    assert result.reliable
    # Vacuoles in the cell are as bright as resin.
    assert np.count_nonzero(result.mask & cell & sure) < 0.02 * np.count_nonzero(cell)
    gaps = ndi.distance_transform_edt(~cell) <= 30
    gaps = (ndi.distance_transform_edt(gaps) > 30) & ~cell & sure
    assert result.mask[gaps].mean() > 0.9


@pytest.mark.real
def test_real_slice_without_resin(real_data):
    image = tifffile.imread(real_data / "roi_6005_4739" / "raw" / "z0060.tif")
    assert not measure_background(image[900:1300, 800:1300], pixel_nm=10.0).reliable
