"""Detections of probed slices linked through z, one track per cell.

The published linking (Karabağ et al. 2021) jumps greedily from each detection
to the nearest one in the next probe, cuts at the first long jump and drops
cells seen in fewer than 8 probes. Here the links between two probes are
assigned all at once, distance counts relative to the size of the cells, size
must be consistent, gaps are closed in a second assignment, and short tracks
are flagged instead of dropped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive, check_range
from helaseg.cells.detection.track_valleys import cut_at_valleys
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag, Detection, Track
from helaseg.errors import ParameterError

if TYPE_CHECKING:
    import networkx

Segment = list[Detection]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackConfig:
    """Settings that decide which detections belong to one cell.

    Parameters
    ----------
    max_shift : float
        Farthest in-plane way from one probe to the next, in radii of the
        larger of the two detections (measured on phantoms: up to 0.3).
        The published 3 µm are 0.6 radii of an average cell.
    max_size_ratio : float
        Largest ratio of the two radii. A sphere of 7 µm cut every 1 µm reaches
        1.9 next to its poles.
    max_gap_probes : int
        Longest run of probes in which a cell may be missed (published none).
    min_valley : float
        Where the radius falls to less than this part of a peak on both sides, a
        track is cut: two cells one above the other (0.58 to 0.74 on phantoms whose
        cells are four to nine probes high; single cells 0.8 and more).
    min_probes : int
        A track in fewer probes is dropped when it is weak, i.e. when its
        radius never reaches `min_radius_nm` and no nucleus is seen in it;
        fewer are asked where fewer slices were probed. Debris and blebs are
        seen once or twice and have no nucleus.
    min_radius_nm : float
        A track that reaches this radius is kept, however few its probes.
    min_length_nm : float
        Shorter tracks are flagged ``SHORT_TRACK`` (published: 150 slices of
        50 nm, shorter ones were dropped).
    small_radius_nm : float
        Tracks that never reach this radius are flagged ``SMALL``.
    """

    max_shift: float = 0.5
    max_size_ratio: float = 2.5
    max_gap_probes: int = 2
    min_valley: float = 0.75
    min_probes: int = 3
    min_radius_nm: float = 2000.0
    min_length_nm: float = 7500.0
    small_radius_nm: float = 2500.0

    def __post_init__(self) -> None:
        check_positive("max_shift", self.max_shift)
        if not (math.isfinite(self.max_size_ratio) and self.max_size_ratio > 1):
            msg = f"'max_size_ratio' must be above 1, got {self.max_size_ratio!r}"
            raise ParameterError(msg)
        check_range("min_valley", self.min_valley, 0.0, 1.0)
        for name, least in (("max_gap_probes", 0), ("min_probes", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                msg = f"'{name}' must be a whole number from {least} on, got {value!r}"
                raise ParameterError(msg)
        for name in ("min_radius_nm", "min_length_nm", "small_radius_nm"):
            check_positive(name, getattr(self, name), zero=True)


def link_detections(
    detections: Sequence[Detection],
    *,
    grid: Grid,
    config: TrackConfig | None = None,
    probed: Sequence[int] | None = None,
    slice_flags: Mapping[int, CellFlag] | None = None,
) -> list[Track]:
    """Cells through z.

    Parameters
    ----------
    detections : sequence of Detection
        From `detect_cells`, in any order.
    grid : Grid
        Of the volume in which they were found.
    config : TrackConfig, optional
        Which detections belong together.
    probed : sequence of int, optional
        The slices that were probed. By default evenly spaced slices, at the
        smallest distance between two slices with detections.
    slice_flags : mapping of int to CellFlag, optional
        What is special about probed slices; a track has the flags that most of
        its slices have.

    Returns
    -------
    list of Track
        Numbered from 1 in the order of first slice, then y, then x.

    Raises
    ------
    ParameterError
        If a detection lies outside the grid or in a slice that was not probed.

    Notes
    -----
    1. Between each probe and the next assign detections one to one so that the
       sum of costs is least. A link costs its in-plane way over the farthest
       one allowed, plus the logarithm of the size ratio over that of the
       largest one allowed; a link over either limit is not made. Of the possible
       links as many as possible are made.
    2. Assign ends of pieces to starts of later ones over at most
       ``max_gap_probes`` missed probes in the same way; over n probes the way
       may be sqrt(n) times as long.
    3. Cut tracks at valleys of their radius, see `TrackConfig.min_valley`: where
       cells lie one above the other the widest section of each is far from the
       next one.
    4. Drop weak short tracks, see `TrackConfig.min_probes`; flag the others.

    References
    ----------
    Jaqaman, K. et al. Robust single-particle tracking in live-cell time-lapse
    sequences. Nat. Methods 5, 695-702 (2008). doi:10.1038/nmeth.1237 (links by
    assignment in two steps, the second closes gaps).
    """
    config = config or TrackConfig()
    _check_inside(detections, grid)
    slices = _probed_slices(detections, grid, probed)
    spans = _nucleus_spans(detections)
    by_slice: dict[int, Segment] = {z: [] for z in slices}
    for d in sorted(detections, key=lambda d: (d.z, d.y, d.x)):
        by_slice[d.z].append(d)
    segments: list[Segment] = []
    open_segments: list[Segment] = []
    for z in slices:
        found = by_slice[z]
        costs = _costs([s[-1] for s in open_segments], found, grid, config, spans)
        links = _assign(costs)
        still_open = [open_segments[i] for i in links]
        for i, j in links.items():
            open_segments[i].append(found[j])
        linked = set(links.values())
        started = [[d] for j, d in enumerate(found) if j not in linked]
        segments += started
        open_segments = still_open + started
    segments = _close_gaps(segments, slices, grid, config, spans)
    segments = [part for s in segments for part in cut_at_valleys(s, grid, config.min_valley)]
    need = min(config.min_probes, len(slices))
    strong = [s for s in segments if len(s) >= need or _is_strong(s, config)]
    strong.sort(key=lambda s: (s[0].z, s[0].y, s[0].x))
    return [
        Track(
            id=k,
            detections=tuple(s),
            flags=_flags(s, slices, grid, config) | _common_flags(s, slice_flags or {}),
        )
        for k, s in enumerate(strong, start=1)
    ]


def track_graph(
    detections: Sequence[Detection], tracks: Sequence[Track], grid: Grid
) -> networkx.DiGraph:
    """Detections as nodes, links of tracks as edges from lower to higher z.

    Parameters
    ----------
    detections : sequence of Detection
        All that were found; node k is ``detections[k]``.
    tracks : sequence of Track
        From `link_detections`.
    grid : Grid
        Of the volume.

    Returns
    -------
    networkx.DiGraph
        Node attributes ``z``, ``y``, ``x`` (voxels), ``radius_nm``, ``rank``,
        ``cell_id`` (0 = in no track) and ``pos`` = (x, z) in nm, the layout for
        `networkx.draw`. Edge attributes ``distance_nm`` (in three dimensions),
        ``n_slices`` and ``cell_id``.

    Raises
    ------
    ParameterError
        If a track holds a detection that is not in `detections`.
    """
    import networkx as nx

    graph = nx.DiGraph()
    nodes = {d: k for k, d in enumerate(detections)}
    for d, k in nodes.items():
        z_nm, _, x_nm = grid.to_nm((d.z, d.y, d.x))
        graph.add_node(
            k,
            z=d.z,
            y=d.y,
            x=d.x,
            radius_nm=d.radius_nm,
            rank=d.rank,
            cell_id=0,
            pos=(float(x_nm), float(z_nm)),
        )
    for track in tracks:
        for d in track.detections:
            if d not in nodes:
                msg = f"track {track.id} must hold only the given 'detections', got {d}"
                raise ParameterError(msg)
            graph.nodes[nodes[d]]["cell_id"] = track.id
        for a, b in itertools.pairwise(track.detections):
            ends = grid.to_nm([(a.z, a.y, a.x), (b.z, b.y, b.x)])
            graph.add_edge(
                nodes[a],
                nodes[b],
                distance_nm=float(np.linalg.norm(ends[1] - ends[0])),
                n_slices=b.z - a.z,
                cell_id=track.id,
            )
    return graph


def _check_inside(detections: Sequence[Detection], grid: Grid) -> None:
    for d in detections:
        point = (d.z, d.y, d.x)
        # Voxels reach half a voxel beyond their centre.
        if not all(-0.5 <= p <= n - 0.5 for p, n in zip(point, grid.shape, strict=True)):
            msg = f"'detections' must lie in the volume of {grid.shape} voxels, got {point}"
            raise ParameterError(msg)


def _probed_slices(
    detections: Sequence[Detection], grid: Grid, probed: Sequence[int] | None
) -> list[int]:
    found = sorted({d.z for d in detections})
    if probed is not None:
        slices = sorted(set(probed))
        missing = sorted(set(found) - set(slices))
        if missing:
            msg = f"'probed' must hold every slice with detections, slices {missing} are missing"
            raise ParameterError(msg)
        return slices
    if len(found) < 2:
        return found
    step = min(b - a for a, b in itertools.pairwise(found))
    before = range(found[0] - step, -1, -step)
    after = range(found[-1] + step, grid.shape[0], step)
    missed: set[int] = set()
    for a, b in itertools.pairwise(found):
        missed.update(range(a + step, b - step + 1, step))
    return sorted({*before, *found, *missed, *after})


def _costs(
    ends: Sequence[Detection],
    starts: Sequence[Detection],
    grid: Grid,
    config: TrackConfig,
    spans: NDArray[np.int64],
    n_probes: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Cost of each link, 0 to 2; infinity where there is none."""
    if not ends or not starts:
        return np.zeros((len(ends), len(starts)))
    size = np.asarray(grid.voxel_size_nm[1:])
    a = np.array([(d.y, d.x) for d in ends]) * size
    b = np.array([(d.y, d.x) for d in starts]) * size
    way = np.linalg.norm(a[:, None] - b[None], axis=2)
    ra = np.array([d.radius_nm for d in ends])[:, None]
    rb = np.array([d.radius_nm for d in starts])[None]
    steps = np.ones(way.shape) if n_probes is None else np.maximum(n_probes, 1)
    small = np.maximum(np.minimum(ra, rb), 1e-9)
    shift = way / (config.max_shift * np.maximum(np.maximum(ra, rb), 1e-9) * np.sqrt(steps))
    ratio = np.log(np.maximum(ra, rb) / small) / math.log(config.max_size_ratio)
    costs = np.where((shift <= 1) & (ratio <= 1), shift + ratio, np.inf)
    na = np.array([d.nucleus for d in ends])[:, None]
    nb = np.array([d.nucleus for d in starts])[None]
    # Two nuclei at the same height are those of two cells.
    together = (spans[na, 0] <= spans[nb, 1]) & (spans[nb, 0] <= spans[na, 1])
    costs[(na > 0) & (nb > 0) & together] = np.inf
    costs[(na > 0) & (na == nb)] = 0.0
    return costs


def _nucleus_spans(detections: Sequence[Detection]) -> NDArray[np.int64]:
    """First and last slice of each nucleus, by its number."""
    n = max((d.nucleus for d in detections), default=0)
    spans = np.full((n + 1, 2), -1)
    for d in sorted(detections, key=lambda d: -d.z):
        spans[d.nucleus, 0] = d.z
        spans[d.nucleus, 1] = max(spans[d.nucleus, 1], d.z)
    return spans


def _assign(costs: NDArray[np.float64]) -> dict[int, int]:
    """Row to column, one to one, at the least sum; an infinite cost is no link."""
    from scipy.optimize import linear_sum_assignment

    # Of the links that are possible as many as possible are made: 1e3 per free pair.
    rows, cols = linear_sum_assignment(np.where(np.isinf(costs), 1e3, costs))
    return {int(i): int(j) for i, j in zip(rows, cols, strict=True) if np.isfinite(costs[i, j])}


def _close_gaps(
    segments: list[Segment],
    slices: list[int],
    grid: Grid,
    config: TrackConfig,
    spans: NDArray[np.int64],
) -> list[Segment]:
    if config.max_gap_probes == 0 or not segments:
        return segments
    place = {z: k for k, z in enumerate(slices)}
    first = np.array([place[s[0].z] for s in segments])
    last = np.array([place[s[-1].z] for s in segments])
    n_probes = first[None] - last[:, None]
    ends, starts = [s[-1] for s in segments], [s[0] for s in segments]
    costs = _costs(ends, starts, grid, config, spans, n_probes)
    # A neighbouring probe was decided before; what overlaps in z is another cell.
    costs[(n_probes < 2) | (n_probes > config.max_gap_probes + 1)] = np.inf
    following = _assign(costs)
    joined: list[Segment] = []
    for i in sorted(set(range(len(segments))) - set(following.values())):
        chain: Segment = []
        k: int | None = i
        while k is not None:
            chain += segments[k]
            k = following.get(k)
        joined.append(chain)
    return joined


def _is_strong(segment: Segment, config: TrackConfig) -> bool:
    """Wide somewhere, or seen twice and with a nucleus: debris has none."""
    if len(segment) > 1 and any(d.nucleus for d in segment):
        return True
    return max(d.radius_nm for d in segment) >= config.min_radius_nm


def _flags(segment: Segment, slices: list[int], grid: Grid, config: TrackConfig) -> CellFlag:
    flags = CellFlag.NONE
    if segment[0].z == slices[0]:
        flags |= CellFlag.CUT_AT_FIRST_SLICE
    if segment[-1].z == slices[-1]:
        flags |= CellFlag.CUT_AT_LAST_SLICE
    if any(_leaves_sides(d, grid) for d in segment):
        flags |= CellFlag.CUT_BY_SIDE
    if any(d.parted_once for d in segment):
        flags |= CellFlag.MAYBE_PART
    # Half a step on either side of the probes that show the cell.
    step = slices[1] - slices[0] if len(slices) > 1 else grid.shape[0]
    if (segment[-1].z - segment[0].z + step) * grid.slice_nm < config.min_length_nm:
        flags |= CellFlag.SHORT_TRACK
    if max(d.radius_nm for d in segment) < config.small_radius_nm:
        flags |= CellFlag.SMALL
    return flags


def _common_flags(segment: Segment, slice_flags: Mapping[int, CellFlag]) -> CellFlag:
    """Flags of more than half of the slices of a track."""
    common = CellFlag.NONE
    for flag in CellFlag:
        n = sum(flag in slice_flags.get(d.z, CellFlag.NONE) for d in segment)
        if 2 * n > len(segment) and flag:
            common |= flag
    return common


def _leaves_sides(d: Detection, grid: Grid) -> bool:
    """Return whether the disk of a detection reaches beyond y or x."""
    for p, n, size in zip((d.y, d.x), grid.shape[1:], grid.voxel_size_nm[1:], strict=True):
        if min(p + 0.5, n - 0.5 - p) * size < d.radius_nm:
            return True
    return False
