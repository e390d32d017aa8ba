import itertools
import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helaseg.cells.detection.detect import detect_cells
from helaseg.cells.detection.track import TrackConfig, link_detections, track_graph
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag, Detection
from helaseg.errors import ParameterError
from helaseg.synthetic import PhantomConfig, make_phantom

GRID = Grid(shape=(518, 2048, 2048), voxel_size_nm=(50, 40, 40))
PROBES = tuple(range(8, 518, 20))


def sphere(z, y, x, radius_nm=6000.0, *, grid=GRID, probes=PROBES, least_nm=1300.0):
    """Detections of a sphere in all probed slices that cut it wide enough."""
    found = []
    for p in probes:
        square = radius_nm**2 - ((p - z) * grid.slice_nm) ** 2
        if square > least_nm**2:
            found.append(Detection(z=p, y=y, x=x, radius_nm=math.sqrt(square)))
    return found


def link(detections, **settings):
    return link_detections(detections, grid=GRID, config=TrackConfig(**settings), probed=PROBES)


def test_a_sphere_is_one_track_without_flags():
    found = sphere(250, 900, 1000)
    (track,) = link(found)
    assert track.id == 1
    assert track.detections == tuple(found)
    assert track.flags == CellFlag.NONE
    assert track.radius_nm == max(d.radius_nm for d in found)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_does_not_matter_and_no_detection_is_used_twice(seed):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(12):
        y, x = rng.uniform(200, 1800, 2)
        found += sphere(rng.uniform(0, 518), y, x, rng.uniform(3000, 7000))
    tracks = link(found)
    shuffled = [found[i] for i in rng.permutation(len(found))]
    assert link(shuffled) == tracks
    used = list(itertools.chain.from_iterable(t.detections for t in tracks))
    assert len(used) == len(set(used))
    assert set(used) <= set(found)
    assert [t.id for t in tracks] == list(range(1, len(tracks) + 1))


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_only_physical_sizes_count(factor):
    found = sphere(250, 900, 1000) + sphere(250, 900, 1250, 4000.0)
    tracks = link(found)
    assert len(tracks) == 2
    grid = Grid(shape=GRID.shape, voxel_size_nm=(50 * factor, 40 * factor, 40 * factor))
    scaled = [
        Detection(z=d.z, y=d.y, x=d.x, radius_nm=d.radius_nm * factor, rank=d.rank) for d in found
    ]
    config = TrackConfig(
        min_radius_nm=3000 * factor, min_length_nm=7500 * factor, small_radius_nm=2500 * factor
    )
    again = link_detections(scaled, grid=grid, config=config, probed=PROBES)
    assert [[d.z for d in t.detections] for t in again] == [
        [d.z for d in t.detections] for t in tracks
    ]
    assert [t.flags for t in again] == [t.flags for t in tracks]


def test_neighbours_are_assigned_together_not_greedily():
    # The nearest partner of the first is the only one of the second.
    a = [Detection(z=8, y=500, x=500, radius_nm=6000), Detection(z=8, y=500, x=560, radius_nm=6000)]
    b = [
        Detection(z=28, y=500, x=550, radius_nm=6000),
        Detection(z=28, y=500, x=620, radius_nm=6000),
    ]
    tracks = link_detections(a + b, grid=GRID, probed=[8, 28])
    assert [t.detections for t in tracks] == [(a[0], b[0]), (a[1], b[1])]


def test_a_far_jump_and_a_jump_in_size_end_a_track():
    low, high = sphere(100, 500, 500, 4000.0), sphere(300, 500, 500, 4000.0)
    moved = [Detection(z=d.z, y=d.y, x=d.x + 300, radius_nm=d.radius_nm) for d in high]
    assert len(link(low + moved)) == 2
    big = [Detection(z=z, y=500, x=500, radius_nm=6000) for z in (8, 28, 48)]
    tiny = [Detection(z=z, y=500, x=500, radius_nm=1500) for z in (68, 88, 108)]
    assert len(link(big + tiny)) == 2
    assert len(link(big + tiny, max_size_ratio=5.0)) == 1


@pytest.mark.parametrize(("n_missed", "n_tracks"), [(1, 1), (2, 1), (3, 2)])
def test_short_gaps_are_closed(n_missed, n_tracks):
    found = sphere(250, 900, 1000)
    middle = len(found) // 2
    tracks = link(found[:middle] + found[middle + n_missed :])
    assert len(tracks) == n_tracks
    assert len(link(found[:middle] + found[middle + n_missed :], max_gap_probes=0)) == 2


def test_a_long_jump_over_a_gap_is_refused():
    found = sphere(250, 900, 1000)
    middle = len(found) // 2
    jump = [
        Detection(z=d.z, y=d.y, x=d.x + 120, radius_nm=d.radius_nm) for d in found[middle + 1 :]
    ]
    assert len(link(found[:middle] + jump)) == 2


def test_weak_short_tracks_are_dropped_strong_ones_flagged():
    bleb = [Detection(z=z, y=300, x=300, radius_nm=1500) for z in (208, 228)]
    tall = [Detection(z=z, y=700, x=300, radius_nm=1500) for z in (208, 228, 248)]
    flat = [Detection(z=208, y=300, x=900, radius_nm=4000)]
    tracks = link(bleb + tall + flat)
    assert [t.detections for t in tracks] == [tuple(flat), tuple(tall)]
    assert tracks[0].flags == CellFlag.SHORT_TRACK
    assert tracks[1].flags == CellFlag.SHORT_TRACK | CellFlag.SMALL
    assert len(link(bleb, min_probes=1)) == 1


def test_cut_cells_are_flagged():
    below, above = sphere(0, 900, 400), sphere(517, 900, 1000)
    side = sphere(250, 100, 1500)
    flags = {t.detections[0].x: t.flags for t in link(below + above + side)}
    assert flags[400] == CellFlag.CUT_AT_FIRST_SLICE | CellFlag.SHORT_TRACK
    assert flags[1000] == CellFlag.CUT_AT_LAST_SLICE | CellFlag.SHORT_TRACK
    assert flags[1500] == CellFlag.CUT_BY_SIDE


def test_a_single_slice_gives_tracks_of_one_detection():
    grid = Grid(shape=(1, 500, 400), voxel_size_nm=(50, 40, 40))
    found = [
        Detection(z=0, y=250, x=200, radius_nm=5000),
        Detection(z=0, y=100, x=330, radius_nm=1500, rank=2),
    ]
    tracks = link_detections(found, grid=grid)
    assert [t.detections for t in tracks] == [(found[1],), (found[0],)]
    cut = CellFlag.CUT_AT_FIRST_SLICE | CellFlag.CUT_AT_LAST_SLICE
    assert all(cut in t.flags for t in tracks)


def test_without_a_list_of_probes_their_distance_is_taken_from_the_detections():
    inside = sphere(250, 900, 1000)
    assert link_detections(inside, grid=GRID) == link(inside)
    below = sphere(0, 900, 400)
    assert CellFlag.CUT_AT_FIRST_SLICE in link_detections(below, grid=GRID)[0].flags
    middle = len(inside) // 2
    gap = inside[:middle] + inside[middle + 3 :]
    assert len(link_detections(gap, grid=GRID)) == 2


def test_no_detections_no_tracks():
    assert link_detections([], grid=GRID) == []
    assert link([]) == []


def test_a_nucleus_links_what_moves_and_parts_what_is_close():
    def seen(z, y, nucleus, radius=3000.0):
        return Detection(z=z, y=y, x=500, radius_nm=radius, nucleus=nucleus)

    jump = [seen(z, 300 if z < 248 else 700, 5, 1500 if z < 248 else 5000) for z in (228, 248, 268)]
    (track,) = link(jump)
    assert len(track.detections) == 3
    (blind,) = link([replace(d, nucleus=0) for d in jump])
    assert len(blind.detections) == 2
    close = [seen(228, 300, 1), seen(248, 330, 2), seen(248, 900, 1), seen(228, 980, 2)]
    tracks = link(close)
    assert sorted({d.nucleus for d in t.detections} for t in tracks) == [{1}, {2}]


def test_a_cell_parted_by_one_view_of_a_nucleus_may_be_part_of_its_neighbour():
    sure = [Detection(z=z, y=900, x=400, radius_nm=3000, nucleus=1) for z in (228, 248, 268)]
    doubted = [replace(d, x=900, nucleus=2, parted_once=d.z == 248) for d in sure]
    tracks = link(sure + doubted)
    assert [CellFlag.MAYBE_PART in track.flags for track in tracks] == [False, True]


def test_a_nucleus_keeps_a_short_weak_track():
    weak = [Detection(z=z, y=400, x=400, radius_nm=1500) for z in (228, 248)]
    assert link(weak) == []
    assert len(link([replace(weak[0], nucleus=3), weak[1]])) == 1
    assert link([replace(weak[0], nucleus=3)]) == []


def test_flags_of_most_slices_go_to_the_track():
    found = sphere(250, 900, 1000)
    zs = [d.z for d in found]
    flags = dict.fromkeys(zs, CellFlag.INVERTED_RESIN) | {zs[0]: CellFlag.LITTLE_RESIN}
    (track,) = link_detections(found, grid=GRID, slice_flags=flags)
    assert CellFlag.INVERTED_RESIN in track.flags
    assert CellFlag.LITTLE_RESIN not in track.flags


def test_the_graph_holds_all_detections_and_the_links():
    found = [*sphere(250, 900, 1000), Detection(z=248, y=100, x=100, radius_nm=1400)]
    tracks = link(found)
    graph = track_graph(found, tracks, GRID)
    assert nx.is_directed_acyclic_graph(graph)
    assert graph.number_of_nodes() == len(found)
    assert graph.number_of_edges() == len(found) - 2
    assert graph.nodes[len(found) - 1]["cell_id"] == 0
    assert graph.nodes[0]["cell_id"] == 1
    assert graph.nodes[0]["pos"] == (1000 * 40.0, found[0].z * 50.0)
    assert graph.nodes[0]["radius_nm"] == found[0].radius_nm
    for a, b, link_data in graph.edges(data=True):
        assert graph.nodes[b]["z"] - graph.nodes[a]["z"] == link_data["n_slices"] == 20
        assert link_data["distance_nm"] == pytest.approx(1000.0)
    assert track_graph([], [], GRID).number_of_nodes() == 0


def test_cells_of_a_phantom_are_found_once_each():
    phantom = make_phantom(
        PhantomConfig(shape=(18, 480, 480), voxel_size_nm=(1000, 60, 60), n_cells=8, seed=1)
    )
    grid = phantom.image.grid
    tracks = link_detections(detect_cells(phantom.image), grid=grid)
    truth = phantom.truth["cell"].read()
    found = []
    for track in tracks:
        ids = [truth[d.z, round(d.y), round(d.x)] for d in track.detections]
        found.append(int(np.bincount(ids).argmax()))
        assert ids.count(found[-1]) > 0.8 * len(ids)
    complete = [cell.id for cell in phantom.cells if cell.complete]
    assert len(complete) >= 4
    assert [found.count(i) for i in complete] == [1] * len(complete)
    assert found.count(0) <= 1


def test_wrong_input_is_named():
    outside = Detection(z=518, y=5, x=5, radius_nm=1.0)
    with pytest.raises(ParameterError, match=r"'detections' must lie in the volume of \(518, "):
        link_detections([outside], grid=GRID)
    found = sphere(250, 900, 1000)
    with pytest.raises(ParameterError, match="'probed' must hold every slice with detections"):
        link_detections(found, grid=GRID, probed=PROBES[:12])
    with pytest.raises(ParameterError, match="track 1 must hold only the given 'detections'"):
        track_graph(found[1:], link(found), GRID)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"max_shift": 0.0}, "'max_shift' must be positive"),
        ({"max_size_ratio": 1.0}, "'max_size_ratio' must be above 1"),
        ({"max_gap_probes": -1}, "'max_gap_probes' must be a whole number from 0 on"),
        ({"min_probes": 0}, "'min_probes' must be a whole number from 1 on"),
        ({"min_probes": 1.5}, "'min_probes' must be a whole number from 1 on"),
        ({"min_radius_nm": -1.0}, "'min_radius_nm' must be zero or positive"),
        ({"min_length_nm": math.inf}, "'min_length_nm' must be zero or positive"),
    ],
)
def test_wrong_settings_are_named(kwargs, match):
    with pytest.raises(ParameterError, match=match):
        TrackConfig(**kwargs)


def test_cells_above_each_other_are_cut_apart():
    low, high = sphere(120, 900, 1000), sphere(360, 930, 1010)
    # Two probes in which the lower one has ended and the upper one begins at once.
    between = [
        Detection(z=z, y=910.0, x=1005.0, radius_nm=2500.0)
        for z in PROBES
        if low[-1].z < z < high[0].z
    ]
    found = [*low, *between, *high]
    below, above = link(found)
    assert set(low) <= set(below.detections)
    assert set(high) <= set(above.detections)
    assert len(link(found, min_valley=0.0)) == 1


def test_an_uneven_end_is_no_cell():
    cell = sphere(250, 900, 1000, radius_nm=5000.0)
    z = cell[-1].z
    bump = [
        Detection(z=z + 20, y=900.0, x=1000.0, radius_nm=1500.0),
        Detection(z=z + 40, y=900.0, x=1000.0, radius_nm=3000.0),
    ]
    (track,) = link([*cell, *bump])
    assert track.detections == (*cell, *bump)


@pytest.mark.parametrize("seed", range(5))
def test_an_independent_tracker_links_alike(seed):
    import pandas as pd
    from laptrack import LapTrack

    rng = np.random.default_rng(seed)
    found = []
    for y, x in itertools.product(range(200, 1900, 420), repeat=2):
        place = rng.uniform(-60, 60, 2) + (y, x)
        radius = rng.uniform(4000, 7000)
        drift = rng.uniform(-0.15, 0.15, 2)
        cell = sphere(rng.uniform(100, 420), 0.0, 0.0, radius, least_nm=3000.0)
        # Cells drift, and are missed in one slice of ten.
        found += [
            replace(d, y=place[0] + drift[0] * (d.z - 250), x=place[1] + drift[1] * (d.z - 250))
            for d in cell
            if rng.random() > 0.1
        ]
    tracks = link(found, min_probes=1, min_radius_nm=0.0)
    frame = {z: k for k, z in enumerate(PROBES)}
    table = pd.DataFrame(
        {"frame": [frame[d.z] for d in found], "y": [d.y for d in found], "x": [d.x for d in found]}
    )
    # In pixels of 40 nm: cells of 4 to 7 µm lie 420 apart. A new track never costs less
    # than a link within the cutoff, as in ours.
    costs = {
        f"{kind}_{end}_cost": 110**2 for kind in ("track", "segment") for end in ("start", "end")
    }
    tracker = LapTrack(
        cutoff=80**2,
        gap_closing_cutoff=110**2,
        gap_closing_max_frame_count=3,
        **costs,
        splitting_cutoff=False,
        merging_cutoff=False,
    )
    linked, _, _ = tracker.predict_dataframe(
        table, coordinate_cols=["y", "x"], frame_col="frame", only_coordinate_cols=False
    )
    theirs: dict[int, set[tuple[float, ...]]] = {}
    for row in linked.reset_index().itertuples():
        theirs.setdefault(row.track_id, set()).add((PROBES[row.frame], row.y, row.x))
    ours = [{(d.z, d.y, d.x) for d in t.detections} for t in tracks]
    a, b = ({frozenset(t) for t in part} for part in (ours, theirs.values()))
    assert a == b
    assert len(ours) == 25
