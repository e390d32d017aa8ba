import math
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from helaseg.cells.background import measure_background
from helaseg.cells.detect import (
    DetectConfig,
    background_volume,
    cell_regions,
    detect_cells,
    find_peaks,
    probe_slices,
    probed_indices,
)
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.volume import Volume
from helaseg.errors import NothingFoundWarning, ParameterError
from helaseg.execution import make_executor

PIXEL_NM = 100.0


def ellipse(shape, centre, radii):
    rows, cols = np.indices(shape)
    return np.hypot((rows - centre[0]) / radii[0], (cols - centre[1]) / radii[1]) <= 1


def peaks(cells, **settings):
    return find_peaks(~cells, pixel_nm=PIXEL_NM, config=DetectConfig(**settings))


def test_a_disk_has_one_peak_at_its_centre():
    (peak,) = peaks(ellipse((200, 160), (90, 70), (50, 50)))
    assert peak[0] == pytest.approx(90, abs=1)
    assert peak[1] == pytest.approx(70, abs=1)
    assert peak[2] == pytest.approx(5000, abs=150)


@settings(max_examples=20, deadline=None)
@given(
    row=st.integers(40, 110),
    col=st.integers(40, 60),
    radius=st.integers(20, 35),
    scale=st.sampled_from([0.5, 2.0, 3.0]),
)
def test_peaks_follow_scale_and_transposition(row, col, radius, scale):
    cells = ellipse((150, 100), (row, col), (radius, radius))
    (a,) = find_peaks(~cells, pixel_nm=100.0)
    config = DetectConfig(min_radius_nm=1300 * scale, max_hole_um2=scale**2)
    (b,) = find_peaks(~cells, pixel_nm=100.0 * scale, config=config)
    assert b == (a[0], a[1], pytest.approx(a[2] * scale))
    (c,) = find_peaks(~cells.T, pixel_nm=100.0)
    assert c[2] == a[2]
    assert math.hypot(c[0] - col, c[1] - row) <= 1.5


def test_touching_cells_are_two_and_a_long_cell_is_one():
    shape = (200, 300)
    pair = ellipse(shape, (100, 90), (50, 50)) | ellipse(shape, (100, 180), (45, 45))
    found = peaks(pair)
    assert [round(p[1] / 10) for p in found] == [9, 18]
    long = ellipse(shape, (100, 150), (25, 140))
    assert len(peaks(long)) == 1
    # Its middle is only a little wider than the ends of this dumb-bell.
    waist = ellipse(shape, (100, 80), (30, 30)) | ellipse(shape, (100, 200), (30, 30))
    waist[75:126, 80:200] = True
    assert len(peaks(waist)) == 1
    assert len(peaks(waist, min_persistence=0.05, suppression_factor=1.0)) == 2


def test_a_cell_cut_by_the_border_keeps_its_size():
    (peak,) = peaks(ellipse((200, 200), (0, 100), (60, 60)))
    assert peak[0] == 0
    assert peak[2] == pytest.approx(6000, abs=150)


def test_small_things_are_no_cells():
    cells = ellipse((200, 300), (100, 80), (50, 50)) | ellipse((200, 300), (100, 250), (12, 12))
    assert len(peaks(cells)) == 1
    found = peaks(cells, min_radius_nm=1000.0)
    assert [round(p[2] / 100) for p in found] == [50, 12]


def test_no_second_peak_within_the_suppression_radius():
    shape = (240, 320)
    cells = ellipse(shape, (120, 100), (60, 60)) | ellipse(shape, (120, 180), (16, 16))
    assert len(peaks(cells, min_persistence=0.0, suppression_factor=1.2)) == 2
    assert len(peaks(cells, min_persistence=0.0, suppression_factor=1.5)) == 1


def test_vacuoles_do_not_split_a_cell():
    cells = ellipse((240, 240), (120, 120), (80, 80))
    cells &= ~ellipse(cells.shape, (120, 120), (5, 5))
    (peak,) = peaks(cells)
    assert peak[2] == pytest.approx(8000, abs=150)
    assert peaks(cells, max_hole_um2=0.0)[0][2] < 4000


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (1, 1), (1, 50), (50, 1)])
def test_nothing_but_cell_or_nothing_but_resin(shape):
    assert find_peaks(np.zeros(shape, bool), pixel_nm=100.0) == []
    assert find_peaks(np.ones(shape, bool), pixel_nm=100.0) == []


def test_resin_in_holes_alone_is_still_measured():
    cells = np.ones((120, 100), bool)
    cells[50:53, 50:53] = False
    found = peaks(cells)
    assert found[0][2] > 6000


def test_one_row_of_pixels():
    cells = np.ones((1, 300), bool)
    cells[0, :20] = cells[0, 200:] = False
    (peak,) = peaks(cells)
    assert peak[0] == 0
    assert peak[1] == pytest.approx(109.5, abs=0.5)
    assert peak[2] == pytest.approx(9000, abs=100)


def test_regions_share_the_cells_among_the_peaks():
    shape = (200, 300)
    cells = ellipse(shape, (100, 90), (50, 50)) | ellipse(shape, (100, 180), (45, 45))
    crumb = ellipse(shape, (20, 280), (6, 6))
    regions = cell_regions(~(cells | crumb), [(100, 90), (100, 180)], pixel_nm=PIXEL_NM)
    np.testing.assert_array_equal(regions > 0, cells)
    assert regions[100, 60] == 1
    assert regions[100, 210] == 2
    assert not cell_regions(~cells, [], pixel_nm=PIXEL_NM).any()
    whole = cell_regions(np.zeros((4, 5), bool), [(0, 0)], pixel_nm=PIXEL_NM)
    assert (whole == 1).all()


def test_wrong_input_is_named():
    mask = np.zeros((5, 5), bool)
    with pytest.raises(ParameterError, match="'background' must have 2 axes"):
        find_peaks(np.zeros(3), pixel_nm=1.0)
    with pytest.raises(ParameterError, match="'pixel_nm' must be positive"):
        find_peaks(mask, pixel_nm=-1.0)
    with pytest.raises(ParameterError, match=r"'peaks' must lie in the image of \(5, 5\) pixels"):
        cell_regions(mask, [(5, 0)], pixel_nm=1.0)
    with pytest.raises(ParameterError, match="'background' must have 2 axes"):
        cell_regions(np.zeros(3), [], pixel_nm=1.0)
    grid = Grid(shape=(1, 1, 1), voxel_size_nm=(1, 1, 1))
    with pytest.raises(ParameterError, match="'probed' must hold at least one slice"):
        background_volume([], grid)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"slice_step_nm": 0.0}, "'slice_step_nm' must be positive"),
        ({"min_radius_nm": -1.0}, "'min_radius_nm' must be positive"),
        ({"min_persistence": 1.5}, "'min_persistence' must lie between 0.0 and 1.0"),
        ({"suppression_factor": -0.1}, "'suppression_factor' must be zero or positive"),
        ({"max_hole_um2": -0.1}, "'max_hole_um2' must be zero or positive"),
    ],
)
def test_wrong_settings_are_named(kwargs, match):
    with pytest.raises(ParameterError, match=match):
        DetectConfig(**kwargs)


@pytest.mark.parametrize(
    ("n_slices", "step_nm", "expected"),
    [
        (518, 1000.0, range(8, 518, 20)),
        (1, 1000.0, range(0, 1)),
        (10, 1000.0, range(0, 10)),
        (64, 1000.0, range(3, 64, 8)),
        (21, 1000.0, range(0, 21, 2)),
        (3, 10.0, range(0, 3)),
        (0, 1000.0, range(0, 0)),
    ],
)
def test_probes_are_spread_evenly(n_slices, step_nm, expected):
    grid = Grid(shape=(n_slices, 4, 4), voxel_size_nm=(50, 10, 10))
    assert list(probed_indices(grid, slice_step_nm=step_nm)) == list(expected)


def stack(*, n_slices=9, noise=4.0):
    """Two spheres of 3.2 µm in resin: voxels of 1000 x 50 x 50 nm."""
    z, y, x = np.indices((n_slices, 200, 320))
    cells = np.zeros(z.shape, bool)
    for centre in ((4, 100, 90), (4, 90, 240)):
        d = [(i - c) * s for i, c, s in zip((z, y, x), centre, (1000, 50, 50), strict=True)]
        cells |= np.hypot(np.hypot(d[0], d[1]), d[2]) <= 3200
    image = np.where(cells, 155.0, 200.0)
    image += np.random.default_rng(1).normal(0, noise, image.shape)
    data = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    grid = Grid(shape=data.shape, voxel_size_nm=(1000, 50, 50), offset_nm=(7, 8, 9))
    return cells, Volume(data=data, grid=grid)


def test_cells_of_a_stack():
    _, volume = stack()
    found = detect_cells(volume)
    assert {2, 3, 4, 5, 6} <= {d.z for d in found} <= set(range(1, 8))
    middle = [d for d in found if d.z == 4]
    assert [d.rank for d in middle] == [1, 2]
    for d in middle:
        assert d.radius_nm == pytest.approx(3200, abs=120)
    assert sorted(round(d.x / 10) for d in middle) == [9, 24]


def test_threads_and_serial_agree_and_report_progress():
    _, volume = stack()
    seen = []
    with make_executor("threads:2") as pool:
        threaded = detect_cells(
            volume, executor=pool, progress=lambda step, done, total: seen.append((done, total))
        )
    assert threaded == detect_cells(volume)
    assert seen == [(k, 9) for k in range(1, 10)]


def test_positions_are_voxels_of_the_volume_when_pixels_are_joined():
    cells, volume = stack()
    fine = Volume(
        data=volume.read().repeat(4, axis=1).repeat(4, axis=2),
        grid=Grid(shape=(9, 800, 1280), voxel_size_nm=(1000, 12.5, 12.5)),
    )
    coarse = [d for d in detect_cells(volume) if d.z == 4]
    found = [d for d in detect_cells(fine) if d.z == 4]
    for a, b in zip(coarse, found, strict=True):
        assert b.y == pytest.approx(4 * a.y + 1.5, abs=12)
        assert b.x == pytest.approx(4 * a.x + 1.5, abs=12)
        assert b.radius_nm == pytest.approx(a.radius_nm, abs=120)


def test_background_of_the_probed_slices_lies_in_place():
    cells, volume = stack()
    cells, data = np.concatenate([cells, cells]), np.concatenate([volume.read()] * 2)
    grid = replace(volume.grid, shape=data.shape)
    config = DetectConfig(slice_step_nm=2000.0)
    probed = probe_slices(Volume(data=data, grid=grid), config)
    assert [p.z for p in probed] == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    background = background_volume(probed, grid)
    assert background.shape == (9, 200, 320)
    assert background.data.dtype == np.uint8
    assert background.grid.voxel_size_nm == (2000.0, 50.0, 50.0)
    assert background.grid.offset_nm == (7.0, 8.0, 9.0)
    assert np.mean((background.read() == 0) == cells[::2]) > 0.995


def test_a_damaged_slice_is_flagged_not_fatal():
    _, volume = stack()
    data = volume.read().copy()
    data[3] = 20
    data[5] = np.random.default_rng(0).integers(0, 25, data[5].shape)
    probed = probe_slices(Volume(data=data, grid=volume.grid))
    flagged = [p.z for p in probed if CellFlag.BRIDGED_SLICES in p.flags]
    assert flagged == [3, 5]
    assert not any(probed[z].detections or probed[z].background.any() for z in flagged)
    assert len(probed[4].detections) == 2


def test_slices_without_cells_or_resin_use_the_threshold_of_the_others():
    _, volume = stack()
    data = volume.read().copy()
    noise = np.random.default_rng(0).normal(0, 4, data.shape[1:])
    data[0] = 200 + noise
    data[8] = 155 + noise
    # Resin of two kinds: Otsu alone would part them.
    data[1] = np.where(np.arange(320) < 160, 187, 203) + noise
    probed = probe_slices(Volume(data=data, grid=volume.grid))
    assert probed[0].background.mean() > 0.999
    assert probed[1].background.mean() > 0.999
    assert not probed[8].background.any()
    assert CellFlag.LITTLE_RESIN in probed[8].flags
    assert not any(probed[z].detections for z in (0, 1, 8))


def test_finding_nothing_is_said(rng):
    data = rng.normal(150, 5, (3, 60, 50)).astype(np.float32)
    volume = Volume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=(1000, 50, 50)))
    with pytest.warns(NothingFoundWarning, match="no cell found in the 3 probed slices"):
        assert detect_cells(volume) == []


def test_a_volume_without_slices_has_no_cells():
    grid = Grid(shape=(0, 5, 5), voxel_size_nm=(50, 10, 10))
    with pytest.warns(NothingFoundWarning, match="no cell found in the 0 probed slices"):
        assert detect_cells(Volume(data=np.zeros((0, 5, 5), np.uint8), grid=grid)) == []


@pytest.mark.real
def test_nuclei_of_a_whole_real_slice(real_data):
    """Where the nuclei are was drawn by people; the settings are the defaults."""
    pixel_nm = 28.08
    image = tifffile.imread(real_data / "field" / "slice130_28nm.tif")
    nuclei = tifffile.imread(real_data / "field" / "slice130_28nm_nuclei.tif") > 0
    result = measure_background(image, pixel_nm=pixel_nm, coarse=True)
    found = find_peaks(result.mask, pixel_nm=pixel_nm)
    regions = cell_regions(result.mask, [p[:2] for p in found], pixel_nm=pixel_nm)
    labels, n = ndi.label(nuclei, np.ones((3, 3)))
    in_a_cell = in_one_cell = n_large = 0
    for i in range(1, n + 1):
        inside = regions[labels == i]
        if inside.size * (pixel_nm / 1000) ** 2 <= 10:
            continue
        n_large += 1
        shares = np.bincount(inside, minlength=len(found) + 1) / inside.size
        in_a_cell += shares[1:].max() > 0.5
        in_one_cell += shares[1:].max() > 0.9
    assert n_large == 20
    assert in_a_cell >= 0.9 * n_large
    assert in_one_cell >= 0.9 * n_large
    assert len(found) <= 45


@pytest.mark.real
def test_the_central_cell_of_real_slices(real_data):
    for path in sorted((real_data / "roi_6005_4739" / "raw").glob("*.tif"))[::5]:
        result = measure_background(tifffile.imread(path), pixel_nm=10.0, coarse=True)
        found = find_peaks(result.mask, pixel_nm=result.pixel_nm)
        central = [p for p in found if math.hypot(p[0] - 250, p[1] - 250) < 40]
        assert len(central) == 1
        assert 3500 < central[0][2] < 6500
        assert len(found) <= 6
