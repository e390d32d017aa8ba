import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scipy import ndimage as ndi

from helaseg.cells.background.measure import measure_background
from helaseg.cells.detection.detect import (
    DetectConfig,
    background_volume,
    detect_cells,
    probe_slices,
    probed_indices,
)
from helaseg.cells.detection.nuclei_slice import NucleiConfig
from helaseg.cells.detection.peaks import cell_regions, find_peaks
from helaseg.cells.detection.track import link_detections
from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag
from helaseg.core.volume import Volume
from helaseg.errors import NothingFoundWarning, ParameterError
from helaseg.execution import make_executor
from helaseg.synthetic import make_case, make_phantom


def test_a_volume_without_probed_slices_has_no_background():
    grid = Grid(shape=(1, 1, 1), voxel_size_nm=(1, 1, 1))
    with pytest.raises(ParameterError, match="'probed' must hold at least one slice"):
        background_volume([], grid)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"slice_step_nm": 0.0}, "'slice_step_nm' must be positive"),
        ({"min_radius_nm": -1.0}, "'min_radius_nm' must be positive"),
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


def score(truth, tracks):
    """How many cells have exactly one track, and how many tracks lie in a cell."""
    owners = []
    for track in tracks:
        ids = [int(truth[d.z, round(d.y), round(d.x)]) for d in track.detections]
        most = max(set(ids), key=ids.count)
        owners.append(most if 2 * ids.count(most) > len(ids) else 0)
    cells = set(np.unique(truth)) - {0}
    return [owners.count(k) for k in sorted(cells)], owners.count(0)


@pytest.fixture(scope="module")
def packed():
    """Seven cells about 6 µm wide without resin between them, at large pixels."""
    return make_phantom(
        shape=(24, 480, 480),
        voxel_size_nm=(200, 40, 40),
        n_cells=7,
        noise=0.3,
        packing=1.0,
        seed=2,
    )


def tracks_of(volume, **changes):
    probed = probe_slices(volume, **changes)
    found = [d for p in probed for d in p.detections]
    return probed, link_detections(found, grid=volume.grid, probed=[p.z for p in probed])


def test_a_packed_clump_has_one_track_per_cell(packed):
    probed, tracks = tracks_of(packed.image)
    truth = packed.truth["cell"].read()
    assert score(truth, tracks) == ([1] * 7, 0)
    assert all(any(d.nucleus for d in t.detections) for t in tracks)
    # Without nuclei the clump is a few hills.
    blind = DetectConfig(nuclei=NucleiConfig(min_radius_nm=1e4))
    assert len(tracks_of(packed.image, config=blind)[1]) < 7
    with make_executor("threads:2") as pool:
        again = probe_slices(packed.image, executor=pool)
    assert [p.detections for p in again] == [p.detections for p in probed]


def test_a_negative_gives_the_same_cells(packed):
    negative = replace(packed.image, data=255 - packed.image.read())
    found, inverted = probe_slices(packed.image), probe_slices(negative)
    assert all(CellFlag.INVERTED_RESIN in p.flags for p in inverted)
    assert not any(CellFlag.INVERTED_RESIN in p.flags for p in found)
    for a, b in zip(found, inverted, strict=True):
        assert np.mean(a.background != b.background) < 0.01
        assert len(a.detections) == len(b.detections)


@pytest.mark.parametrize(
    ("name", "flag"),
    [("inverted_resin", CellFlag.INVERTED_RESIN), ("low_contrast", CellFlag.NONE)],
)
def test_cells_are_found_whatever_the_contrast(name, flag):
    made = make_case(name)
    probed, tracks = tracks_of(made.image)
    counts, in_resin = score(made.truth["cell"].read(), tracks)
    assert counts == [1] * len(counts)
    assert in_resin == 0
    # Slices above and below the cells show resin alone.
    assert all(p.flags & ~CellFlag.LITTLE_RESIN == flag for p in probed)
    assert sum(p.flags == flag for p in probed) >= 4


def test_without_resin_nuclei_alone_count_and_it_is_said(packed):
    middle = packed.image.crop(Roi(start=(6, 150, 150), stop=(18, 330, 330)))
    truth = packed.truth["cell"].crop(Roi(start=(6, 150, 150), stop=(18, 330, 330))).read()
    assert (truth > 0).all()
    probed, tracks = tracks_of(middle)
    assert all(p.flags == CellFlag.LITTLE_RESIN | CellFlag.NO_RESIN for p in probed)
    assert not any(p.background.any() for p in probed)
    assert tracks
    assert all(d.nucleus for t in tracks for d in t.detections)


def test_without_anything_to_recognise_nothing_is_invented():
    made = make_case("no_resin")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NothingFoundWarning)
        probed = probe_slices(made.image)
    assert all(CellFlag.NO_RESIN in p.flags for p in probed)
    assert not any(p.background.any() for p in probed)
    assert len({d.nucleus for p in probed for d in p.detections}) <= 7
    with pytest.warns(NothingFoundWarning):
        assert detect_cells(make_case("only_resin").image) == []


def test_two_nuclei_in_one_cell_are_one_cell():
    made = make_case("binucleate")
    _, tracks = tracks_of(made.image)
    assert score(made.truth["cell"].read(), tracks) == ([1], 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_packed_phantoms_of_full_size(seed):
    made = make_phantom(packing=1.0, n_cells=12, seed=seed)
    _, tracks = tracks_of(made.image)
    counts, elsewhere = score(made.truth["cell"].read(), tracks)
    assert counts.count(1) >= 0.95 * len(counts)
    assert len(tracks) - counts.count(1) <= 0.05 * len(tracks)
    assert elsewhere == 0


@pytest.mark.real
def test_nuclei_of_a_whole_real_slice(real_data):
    """Where the nuclei are was drawn by people; the settings are the defaults."""
    pixel_nm = 28.08
    image = tifffile.imread(real_data / "field" / "slice130_28nm.tif")
    nuclei = tifffile.imread(real_data / "field" / "slice130_28nm_nuclei.tif") > 0
    grid = Grid(shape=(1, *image.shape), voxel_size_nm=(50.0, pixel_nm, pixel_nm))
    (probed,) = probe_slices(Volume(data=image[None], grid=grid))
    found = [(d.y, d.x) for d in probed.detections]
    regions = cell_regions(probed.background, found, pixel_nm=pixel_nm)
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
    assert in_a_cell == n_large
    assert in_one_cell == n_large
    assert probed.flags == CellFlag.NONE
    assert len(found) == 41


def test_a_cell_found_twice_for_a_nucleus_of_one_slice_is_flagged():
    made = make_phantom(
        shape=(64, 800, 800), voxel_size_nm=(50, 16, 16), n_cells=3, n_border_cells=0, seed=0
    )
    tracks = link_detections(detect_cells(made.image), grid=made.image.grid)
    cells = made.truth["cell"].data
    owners = [
        max(int(cells[d.z, round(d.y), round(d.x)]) for d in track.detections) for track in tracks
    ]
    assert owners == [1, 2, 3, 1]
    assert [CellFlag.MAYBE_PART in track.flags for track in tracks] == [False, False, False, True]


@pytest.mark.real
def test_the_central_cell_of_real_slices(real_data):
    for path in sorted((real_data / "roi_6005_4739" / "raw").glob("*.tif"))[::5]:
        result = measure_background(tifffile.imread(path), pixel_nm=10.0, coarse=True)
        found = find_peaks(result.mask, pixel_nm=result.pixel_nm)
        central = [p for p in found if math.hypot(p[0] - 250, p[1] - 250) < 40]
        assert len(central) == 1
        assert 3500 < central[0][2] < 6500
        assert len(found) <= 6
