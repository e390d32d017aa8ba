"""The envelope on its dark line: drawn lines of known place and width, a phantom, real slices."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from scipy.ndimage import (
    binary_dilation,
    binary_fill_holes,
    distance_transform_edt,
    gaussian_filter,
    map_coordinates,
)
from scipy.stats import spearmanr

from helaseg.cells.envelope.contours import fill_contours
from helaseg.cells.envelope.measure import EnvelopeConfig, measure_envelope
from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.segment import segment_nucleus
from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.errors import GridMismatchError, ParameterError
from helaseg.execution import make_executor
from helaseg.metrics import mean_surface_distance


def working_nucleus(masks, grid, factor):
    """What `measure_envelope` reads of a nucleus."""
    return SimpleNamespace(
        nuclei=np.asarray(masks, np.uint8), factor=factor, crop_grid=grid, found=True
    )


def positions(grid):
    """y and x of the pixel centres in nm from the middle of the slice."""
    y, x = (
        (np.arange(n) - (n - 1) / 2) * s
        for n, s in zip(grid.shape[1:], grid.voxel_size_nm[1:], strict=True)
    )
    return y[:, None], x[None, :]


def draw_line(distance_nm, width_nm, pixel_nm, *, noise=4.0, seed=0, blur_nm=8.0):
    """A grey slice with an even dark band where a signed distance is near 0."""
    # Drawn finely and averaged: the band has its width whatever the pixel.
    edge = np.clip((width_nm / 2 - np.abs(distance_nm)) / pixel_nm + 0.5, 0, 1)
    grey = gaussian_filter(150 - 35 * edge, blur_nm / pixel_nm)
    grey += np.random.default_rng(seed).normal(0, noise, grey.shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def disk_crop(radii_nm, *, pixel_nm, slice_nm=50.0, width_nm=50.0, wrong_nm=25.0, blur_nm=8.0):
    """A nucleus of round slices, and a working mask whose outline is off by waves."""
    factor = max(1, round(20 / pixel_nm))
    side = 2 * factor * round((max(radii_nm) + 300) / pixel_nm / factor)
    grid = Grid(shape=(len(radii_nm), side, side), voxel_size_nm=(slice_nm, pixel_nm, pixel_nm))
    image, masks = [], []
    for z, radius_nm in enumerate(radii_nm):
        y, x = positions(grid)
        r, angle = np.hypot(y, x), np.arctan2(y, x)
        image.append(draw_line(r - radius_nm, width_nm, pixel_nm, seed=z, blur_nm=blur_nm))
        y, x = positions(grid.downsample((1, factor, factor)))
        r, angle = np.hypot(y, x), np.arctan2(y, x)
        masks.append(r < radius_nm + wrong_nm * np.sin(7 * angle))
    return Volume(data=np.array(image), grid=grid), working_nucleus(masks, grid, factor)


def radii_nm(curve, grid):
    middle = (np.array(grid.shape[1:]) - 1) / 2
    return np.hypot(*(curve.points - middle).T) * grid.pixel_nm


@pytest.mark.parametrize("pixel_nm", [10.0, 20.0, 28.0])
def test_outline_moves_onto_the_line_to_a_fraction_of_a_pixel(pixel_nm):
    crop, nucleus = disk_crop([903.0], pixel_nm=pixel_nm)
    result = measure_envelope(crop, nucleus)
    (curve,) = result.curves[0]
    error_nm = radii_nm(curve, crop.grid) - 903.0
    assert np.abs(error_nm).mean() < max(3.0, 0.15 * pixel_nm)
    assert abs(error_nm.mean()) < 1.0
    assert np.median(curve.confidence) > 0.9
    truth = np.hypot(*positions(crop.grid)) < 903
    assert jaccard(result.nucleus(0), truth) > 0.985


@pytest.mark.parametrize(
    ("pixel_nm", "width_nm"), [(10.0, 30.0), (10.0, 50.0), (10.0, 80.0), (20.0, 60.0), (28.0, 80.0)]
)
def test_thickness_is_that_of_the_drawn_line(pixel_nm, width_nm):
    # Only what blurs the measurement is taken out of it, not a blur of the image.
    crop, nucleus = disk_crop([850.0] * 3, pixel_nm=pixel_nm, width_nm=width_nm, blur_nm=2.0)
    result = measure_envelope(crop, nucleus)
    assert result.thickness_nm() == pytest.approx(width_nm, rel=0.06, abs=3.0)
    assert result.thickness_nm(1) == pytest.approx(width_nm, rel=0.07, abs=3.0)


@pytest.mark.parametrize("slice_nm", [50.0, 100.0])
def test_oblique_envelope_is_measured_along_its_normal(slice_nm):
    # A cone: its outline moves by 50 nm per slice, and it is cut obliquely.
    sine = slice_nm / np.hypot(slice_nm, 50.0)
    crop, nucleus = disk_crop(
        [900.0 - 50 * k for k in range(5)],
        pixel_nm=10.0,
        slice_nm=slice_nm,
        width_nm=50.0 / sine,
        wrong_nm=0.0,
    )
    result = measure_envelope(crop, nucleus)
    assert result.thickness_nm(2) == pytest.approx(50.0, rel=0.08)
    assert result.confidence(2) == pytest.approx(sine, abs=0.08)
    # At the ends of the crop one neighbour has to do.
    assert result.confidence(0) == pytest.approx(sine, abs=0.08)


def test_the_last_slice_of_a_nucleus_is_tangential():
    crop, nucleus = disk_crop([600.0, 600.0, 600.0, 600.0], pixel_nm=20.0)
    nucleus.nuclei[3] = 0
    result = measure_envelope(crop, nucleus)
    assert result.curves[3] == ()
    assert np.isnan(result.confidence(3))
    assert result.confidence(1) > 0.8
    assert result.confidence(2) < 0.1


def test_a_single_slice_does_not_show_its_tilt():
    crop, nucleus = disk_crop([600.0], pixel_nm=20.0)
    assert measure_envelope(crop, nucleus).confidence(0) > 0.8


def test_a_gap_and_dark_neighbours_do_not_pull_the_outline():
    crop, nucleus = disk_crop([900.0], pixel_nm=10.0, wrong_nm=15.0)
    y, x = positions(crop.grid)
    grey = crop.data[0].astype(float)
    r = np.hypot(y, x)
    # 160 nm without envelope; a much darker body of 150 nm that all but touches it.
    gap = (np.abs(y) < 80) & (x > 0) & (np.abs(r - 900) < 60)
    grey[gap] = 150
    grey[np.hypot(y, x + 1020) < 75] = 60
    crop = Volume(data=grey.astype(np.uint8)[None], grid=crop.grid)
    (curve,) = measure_envelope(crop, nucleus).curves[0]
    error_nm = np.abs(radii_nm(curve, crop.grid) - 900)
    assert error_nm.max() < 25
    offset = (curve.points - (np.array(crop.shape[1:]) - 1) / 2) * 10
    in_gap = (np.abs(offset[:, 0]) < 50) & (offset[:, 1] > 0)
    assert curve.confidence[in_gap].mean() < 0.6 * curve.confidence[~in_gap].mean()


def test_without_a_line_the_outline_stays_and_nothing_is_sure(rng):
    crop, nucleus = disk_crop([700.0] * 3, pixel_nm=20.0)
    drawn = measure_envelope(crop, nucleus)
    noise = gaussian_filter(rng.normal(0, 12, crop.shape), (0, 1, 1)) + 150
    for data in (noise.astype(np.uint8), np.full(crop.shape, 90, np.uint8)):
        result = measure_envelope(Volume(data=data, grid=crop.grid), nucleus)
        assert result.confidence(1) == 0
        assert np.isnan(result.thickness_nm())
        assert result.measurements()["envelope_confident_fraction"] == 0
        kept = jaccard(result.nucleus(1), nucleus.nuclei[1] == 1)
        assert kept > 0.99 > jaccard(drawn.nucleus(1), nucleus.nuclei[1] == 1)


def test_islands_holes_and_folds_each_keep_their_own_line():
    grid = Grid(shape=(1, 240, 240), voxel_size_nm=(50, 10, 10))
    y, x = positions(grid)
    island = 180 - np.hypot(y - 850, x + 850)
    hole = np.hypot(y + 300, x - 200) - 150
    # A fold 130 nm wide that enters from the right.
    fold = np.maximum(np.abs(y - 300) - 65, 200 - x)
    body = np.minimum(np.minimum(950 - np.hypot(y + 100, x), hole), fold)
    depth = np.maximum(body, island)
    image = draw_line(depth, 40.0, 10.0)
    mask = binary_dilation(depth > 0)[::2, ::2]
    crop = Volume(data=image[None], grid=grid)
    result = measure_envelope(crop, working_nucleus(mask[None], grid, 2))
    assert len(result.curves[0]) == 3
    assert jaccard(result.nucleus(0), depth > 0) > 0.99
    before = mask.repeat(2, axis=0).repeat(2, axis=1)
    wrong, still_wrong = ((m ^ (depth > 0)).sum() for m in (before, result.nucleus(0)))
    assert still_wrong < 0.5 * wrong
    # The walls of the fold did not cross: it is still open along its whole length.
    assert not result.nucleus(0)[149:151, 150:210].any()


def test_a_nucleus_cut_by_the_crop_has_no_envelope_along_the_cut():
    crop, nucleus = disk_crop([900.0] * 2, pixel_nm=20.0)
    grid = dataclasses.replace(crop.grid, shape=(2, crop.shape[1], 60))
    cut = Volume(data=crop.data[:, :, :60], grid=grid)
    nucleus = working_nucleus(nucleus.nuclei[:, :, :60], grid, 1)
    result = measure_envelope(cut, nucleus)
    (curve,) = result.curves[0]
    beyond = curve.points[:, 1] > 59.5
    assert beyond.any()
    assert np.isnan(curve.confidence[beyond]).all()
    assert np.isfinite(curve.confidence[~beyond]).all()
    assert result.confidence(0) > 0.8
    band = np.isfinite(result.band(0))
    middle = crop.shape[1] // 2
    assert not band[middle - 20 : middle + 20, -1].any()
    assert result.nucleus(0)[middle - 20 : middle + 20, -1].all()


def test_a_crop_without_nucleus():
    crop, nucleus = disk_crop([600.0], pixel_nm=20.0)
    nucleus.nuclei[:] = 0
    result = measure_envelope(crop, nucleus)
    assert not result.nucleus(0).any()
    assert not np.isfinite(result.band(0)).any()
    assert all(np.isnan(v) for v in result.measurements().values())


def test_workers_and_other_nuclei_do_not_matter():
    crop, nucleus = disk_crop([900.0, 880.0, 840.0], pixel_nm=20.0)
    done = []
    alone = measure_envelope(crop, nucleus, progress=lambda *call: done.append(call))
    assert done == [("envelope", k, 3) for k in (1, 2, 3)]
    nucleus.nuclei[:, :8, :8] = 2
    with make_executor("threads:3") as executor:
        shared = measure_envelope(crop, nucleus, executor=executor)
    for a, b in zip(alone.curves, shared.curves, strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one.points, other.points)
            np.testing.assert_array_equal(one.confidence, other.confidence)
            np.testing.assert_array_equal(one.thickness_nm, other.thickness_nm)


def test_another_crop_is_refused():
    crop, nucleus = disk_crop([600.0], pixel_nm=20.0)
    moved = dataclasses.replace(crop.grid, offset_nm=(0, 0, 500.0))
    with pytest.raises(GridMismatchError, match="'crop' and 'nucleus' must share one grid"):
        measure_envelope(Volume(data=crop.data, grid=moved), nucleus)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("search_nm", 0.0, "'search_nm' must be positive"),
        ("bend", -1.0, "'bend' must be zero or positive"),
        ("confident", 1.5, "'confident' must lie between"),
    ],
)
def test_settings_are_checked_by_name(name, value, message):
    with pytest.raises(ParameterError, match=message):
        EnvelopeConfig(**{name: value})


# --- the phantom


def boundary_errors_nm(curve, truth, pixel_nm):
    """Distance of each vertex to the border of a mask, which runs between pixels."""
    depth = np.where(
        truth, distance_transform_edt(truth) - 0.5, 0.5 - distance_transform_edt(~truth)
    )
    there = map_coordinates(depth, curve.points.T, order=1, mode="nearest")
    return np.abs(there) * pixel_nm


@pytest.fixture(scope="module")
def phantom_envelope(crop_of):
    """An outline one pixel too far out, so that only the image can put it right."""
    crop, _, truth = crop_of(1)
    masks = np.array([binary_dilation(plane) if plane.any() else plane for plane in truth])
    return crop, truth, masks, measure_envelope(crop, working_nucleus(masks, crop.grid, 1))


def test_phantom_outline_comes_back_to_the_truth(phantom_envelope):
    crop, truth, masks, result = phantom_envelope
    spacing = crop.grid.voxel_size_nm[1:]
    before, after = [], []
    for z in range(len(truth)):
        if truth[z].any():
            before.append(mean_surface_distance(truth[z], masks[z], spacing=spacing))
            after.append(mean_surface_distance(truth[z], result.nucleus(z), spacing=spacing))
    assert np.median(before) > 15
    assert np.median(after) < 0.7 * np.median(before)


def test_phantom_confidence_predicts_the_error(phantom_envelope):
    crop, truth, _, result = phantom_envelope
    confidence, error_nm, confidence_of = [], [], {}
    for z, curves in enumerate(result.curves):
        for curve in curves:
            confidence.append(curve.confidence)
            error_nm.append(boundary_errors_nm(curve, truth[z], crop.grid.pixel_nm))
        if curves:
            confidence_of[z] = result.confidence(z)
    confidence, error_nm = np.concatenate(confidence), np.concatenate(error_nm)
    low, high = error_nm[confidence < 0.3], error_nm[confidence >= 0.5]
    assert min(len(low), len(high)) > 100
    assert low.mean() > 1.5 * high.mean()
    assert high.mean() < 10
    assert -spearmanr(confidence, error_nm).statistic > 0.2
    # The caps are cut tangentially, the middle is not.
    first, *_, last = sorted(confidence_of)
    middle = max(confidence_of, key=lambda z: truth[z].sum())
    assert max(confidence_of[first], confidence_of[last]) < 0.5 * confidence_of[middle]


def test_phantom_line_has_its_drawn_width(phantom_envelope):
    *_, result = phantom_envelope
    # Two membranes 28 nm apart, each of sigma 12 nm at this pixel, and a blur of 15 nm:
    # 60 nm at half depth.
    assert result.thickness_nm() == pytest.approx(60, rel=0.1)


# --- real slices


@pytest.mark.real
@pytest.mark.parametrize(("numbers", "traced"), [((58, 60, 62), 60), ((114, 116, 118), 116)])
def test_real_outline_is_nearer_to_the_drawing_of_an_expert(real_data, numbers, traced):
    folder = real_data / "roi_6005_4739"
    data = np.stack([tifffile.imread(folder / "raw" / f"z{n:04d}.tif") for n in numbers])
    crop = Volume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=(100, 10, 10)))
    truth = tifffile.imread(folder / "truth" / f"nucleus_z{traced:04d}.tif") > 0
    nucleus = segment_nucleus(crop)
    result = measure_envelope(crop, nucleus)
    before = (nucleus.nuclei[1] == 1).repeat(2, axis=0).repeat(2, axis=1)
    # The expert drew the outline; a channel along z through this nucleus was not drawn.
    before = binary_fill_holes(before)
    curves = sorted(result.curves[1], key=lambda curve: len(curve.points))[-1:]
    after = fill_contours([curve.points for curve in curves], truth.shape)
    assert jaccard(after, truth) > max(0.98, jaccard(before, truth))
    near, nearer = (mean_surface_distance(truth, m, spacing=(10, 10)) for m in (before, after))
    assert nearer < near - 1
    confidence = np.concatenate([c.confidence for c in curves])
    error_nm = np.concatenate([boundary_errors_nm(c, truth, 10.0) for c in curves])
    assert np.median(error_nm[confidence >= 0.5]) < 6
    assert error_nm[confidence < 0.3].mean() > 2 * error_nm[confidence >= 0.5].mean()
    assert 40 < result.thickness_nm(1) < 75
