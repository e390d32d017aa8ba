import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helaseg.cells.detection.ranking import rank_tracks
from helaseg.cells.detection.rois import RoiConfig, rois_from_tracks
from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag, Detection, Track
from helaseg.errors import ParameterError

GRID = Grid(shape=(518, 8192, 8192), voxel_size_nm=(50, 10, 10))


def track(z, y, x, radius_nm=5000.0, *, id=1, half=40):
    places = (z - half, z, z + half) if half else (z,)
    return Track(
        id=id, detections=tuple(Detection(z=p, y=y, x=x, radius_nm=radius_nm) for p in places)
    )


def roi(*args, grid=GRID, **settings):
    cell = track(*args)
    return rois_from_tracks([cell], grid, config=RoiConfig(**settings))[cell.id]


def test_a_fixed_box_is_the_published_one():
    box = roi(200, 4000, 3000, mode="fixed")
    assert box == Roi(start=(50, 3000, 2000), stop=(350, 5000, 4000))


def test_a_fixed_box_has_its_size_in_nm():
    grid = Grid(shape=(518, 2048, 2048), voxel_size_nm=(50, 40, 40))
    assert roi(200, 1000, 1000, grid=grid, mode="fixed").shape == (300, 500, 500)
    assert roi(200, 1000, 1000, grid=grid, mode="fixed", size_nm=(5000, 4000, 8000)).shape == (
        100,
        100,
        200,
    )
    assert roi(200, 1000, 1000, grid=grid, mode="fixed", size_nm=(1, 1, 1)).shape == (1, 1, 1)


def test_a_fixed_box_is_moved_inside():
    # Published examples, there counted from 1 with both ends.
    assert roi(80, 6004, 4738, mode="fixed") == Roi(start=(0, 5004, 3738), stop=(300, 7004, 5738))
    assert roi(80, 875, 8100, mode="fixed") == Roi(start=(0, 0, 6192), stop=(300, 2000, 8192))
    assert roi(477, 4000, 4000, mode="fixed").stop[0] == 518


@pytest.mark.parametrize("border", ["shift", "clip"])
@pytest.mark.parametrize("z", [0, 12, 23])
def test_a_box_larger_than_the_volume_is_cut_off(border, z):
    grid = Grid(shape=(24, 500, 3000), voxel_size_nm=(50, 10, 10))
    cell = Track(id=4, detections=(Detection(z=z, y=400, x=1500, radius_nm=100.0),))
    found = rois_from_tracks([cell], grid, config=RoiConfig(mode="fixed", border=border))
    assert found == {4: Roi(start=(0, 0, 500), stop=(24, 500, 2500))}


def test_the_other_borders():
    cut = roi(80, 300, 4000, mode="fixed", border="clip")
    assert cut == Roi(start=(0, 0, 3000), stop=(230, 1300, 5000))
    padded = roi(80, 300, 4000, mode="fixed", border="pad")
    assert padded == Roi(start=(-70, -700, 3000), stop=(230, 1300, 5000))


def test_a_box_is_fitted_unless_told_otherwise():
    box = roi(200, 4000, 3000, 2000.0)
    # Slices 160 to 240 and a disk of 200 voxels, with 30 and 300 voxels of margin.
    assert box == Roi(start=(130, 3500, 2500), stop=(271, 4501, 3501))


def test_a_fitted_box_holds_disks_and_margin():
    box = roi(200, 4000, 3000, 2000.0, mode="fitted", margin_nm=(500, 1000, 0))
    assert box == Roi(start=(150, 3700, 2800), stop=(251, 4301, 3201))
    grid = Grid(shape=(518, 4096, 2048), voxel_size_nm=(50, 20, 40))
    box = roi(200, 2000, 1000, 2000.0, grid=grid, mode="fitted", margin_nm=(0, 0, 0))
    assert box == Roi(start=(160, 1900, 950), stop=(241, 2101, 1051))


@settings(max_examples=30, deadline=None)
@given(
    z=st.integers(40, 460),
    y=st.integers(0, 8191),
    x=st.integers(0, 8191),
    mode=st.sampled_from(["fixed", "fitted"]),
    border=st.sampled_from(["shift", "clip"]),
)
def test_boxes_lie_inside_and_hold_the_centroid(z, y, x, mode, border):
    cell = track(z, y, x)
    config = RoiConfig(mode=mode, border=border)
    box = rois_from_tracks([cell], GRID, config=config)[1]
    assert box.clip(GRID.shape) == box
    # The weighted mean may be off by rounding.
    assert box.contains([round(c) for c in cell.centroid])
    if border == "shift" and mode == "fixed":
        assert box.shape == (300, 2000, 2000)


def test_boxes_are_named_by_track():
    cells = [track(200, 4000, 3000, id=7), track(300, 1000, 2000, id=3)]
    assert list(rois_from_tracks(cells, GRID)) == [7, 3]
    assert rois_from_tracks([], GRID) == {}
    with pytest.raises(ParameterError, match="'tracks' must have different ids, id 7 occurs twice"):
        rois_from_tracks([cells[0], cells[0]], GRID)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"mode": "free"}, "'mode' must be one of 'fixed', 'fitted'"),
        ({"border": "wrap"}, "'border' must be one of 'shift', 'clip', 'pad'"),
        ({"size_nm": (1, 0, 1)}, "'size_nm' must be positive in z, y and x"),
        ({"size_nm": 5}, "'size_nm' must be three finite numbers"),
        ({"margin_nm": (0, -1, 0)}, "'margin_nm' must not be negative"),
    ],
)
def test_wrong_settings_are_named(kwargs, match):
    with pytest.raises(ParameterError, match=match):
        RoiConfig(**kwargs)


def test_whole_cells_rank_before_cut_and_small_ones():
    def cell(number, radius_nm, flags=CellFlag.NONE, nucleus=0):
        seen = Detection(z=1, y=5.0, x=5.0, radius_nm=radius_nm, nucleus=nucleus)
        return Track(id=number, detections=(seen,), flags=flags)

    tracks = [
        cell(1, 9000, CellFlag.CUT_BY_SIDE),
        cell(2, 3000, nucleus=1),
        cell(3, 5000, nucleus=2),
        cell(4, 9000),
        cell(5, 1000, CellFlag.SMALL, nucleus=3),
        cell(6, 8000, CellFlag.LITTLE_RESIN, nucleus=4),
    ]
    ranks = rank_tracks(tracks)
    assert sorted(ranks, key=ranks.__getitem__) == [3, 2, 4, 6, 5, 1]
    assert sorted(ranks.values()) == [1, 2, 3, 4, 5, 6]
    assert rank_tracks(tracks[::-1]) == ranks
