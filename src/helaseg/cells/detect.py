"""Cells in probed slices: peaks of the distance to the resin.

Published stages (Karabağ et al. 2021): probe every 20th slice, take the
distance to the background, take its peaks from the highest down and suppress
what is near. Different here: a peak counts by its physical height and by how
far it stands out from the saddle to a higher one, not by its share of the
highest peak of the slice and not up to a fixed number of cells, and the border
of the image is no background, so that cells cut by it are found as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_mask, check_positive, check_range
from helaseg.cells.background import (
    BackgroundConfig,
    BackgroundResult,
    Mask,
    measure_background,
    off_reference,
    slice_greys,
)
from helaseg.cells.pixels import joined_pixels
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag, Detection
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import NothingFoundWarning, ParameterError
from helaseg.execution import Progress, WorkerPool, make_executor, ordered_map

#: Fewest slices that are probed, if the volume has as many.
MIN_PROBES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig:
    """Which slices are probed and what counts as a cell there.

    Parameters
    ----------
    slice_step_nm : float
        Distance between probed slices; published 20 slices of 50 nm. Thin
        volumes are probed more closely, see `probed_indices`.
    min_radius_nm : float
        Smallest height of a peak: half the width of the widest part of the
        cell. Most blebs of HeLa cells stay below it (real slices), and a cell
        cut near its pole is seen in the next probed slice anyway.
    min_persistence : float
        Smallest drop from a peak to the saddle that leads to a higher one, as
        a fraction of the height of the peak. The published cell step treats
        hills as one down to 0.7 of the peak as well.
    suppression_factor : float
        No second peak within this many heights of a peak (published 1.2).
    max_hole_um2 : float
        Enclosed pieces of resin up to this size (vacuoles, gaps between
        protrusions) do not count as background.
    """

    slice_step_nm: float = 1000.0
    min_radius_nm: float = 1300.0
    min_persistence: float = 0.3
    suppression_factor: float = 1.2
    max_hole_um2: float = 1.0

    def __post_init__(self) -> None:
        check_positive("slice_step_nm", self.slice_step_nm)
        check_positive("min_radius_nm", self.min_radius_nm)
        check_range("min_persistence", self.min_persistence, 0.0, 1.0)
        check_positive("suppression_factor", self.suppression_factor, zero=True)
        check_positive("max_hole_um2", self.max_hole_um2, zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedSlice:
    """What was found in one slice.

    Parameters
    ----------
    z : int
        Slice index in the volume.
    background : ndarray of bool, shape (ceil(Y / factor), ceil(X / factor))
        True = resin; one pixel per block of `factor` x `factor` pixels.
    factor : int
        Pixels joined along y and x.
    detections : tuple of Detection
        The cells, highest peak first.
    flags : CellFlag
        ``BRIDGED_SLICES`` for a blank or damaged slice (it has no detections),
        ``LITTLE_RESIN`` where the background is not reliable.
    levels : tuple of float
        Grey value of cells, threshold, grey value of resin; nan for a blank slice.
    greys : tuple of float
        Median and spread of the grey values.
    """

    z: int
    background: Mask
    factor: int
    detections: tuple[Detection, ...]
    flags: CellFlag = CellFlag.NONE
    levels: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    greys: tuple[float, float] = (0.0, 0.0)


def detect_cells(
    volume: Volume,
    config: DetectConfig | None = None,
    *,
    background_config: BackgroundConfig | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> list[Detection]:
    """Cells in the probed slices of a volume.

    Parameters
    ----------
    volume : Volume
        The whole stack; only probed slices are read, one at a time per worker.
    config : DetectConfig, optional
        What counts as a cell.
    background_config : BackgroundConfig, optional
        How resin is found.
    executor : WorkerPool, optional
        Where slices are probed; one after the other by default.
    progress : Progress, optional
        Called after each slice.

    Returns
    -------
    list of Detection
        In the order of z, then of rank.

    Warns
    -----
    NothingFoundWarning
        If there is no cell in any probed slice.

    See Also
    --------
    probe_slices : the same with the background of each slice.

    References
    ----------
    Karabağ, C., Jones, M. L. & Reyes-Aldasoro, C. C. Volumetric semantic
    instance segmentation of the plasma membrane of HeLa cells. J. Imaging 7,
    93 (2021). doi:10.3390/jimaging7060093
    """
    probed = probe_slices(
        volume,
        config,
        background_config=background_config,
        executor=executor,
        progress=progress,
    )
    return [detection for piece in probed for detection in piece.detections]


def probed_indices(grid: Grid, *, slice_step_nm: float) -> range:
    """Slices to probe: evenly spaced, as far from the first as from the last slice.

    A thin volume is probed more closely, so that at least `MIN_PROBES` slices
    are seen where there are as many: a cell must be seen more than once.
    """
    step = round(slice_step_nm / grid.slice_nm)
    step = max(1, min(step, grid.shape[0] // MIN_PROBES))
    n = -(-grid.shape[0] // step)
    start = max(0, grid.shape[0] - 1 - (n - 1) * step) // 2
    return range(start, grid.shape[0], step)


def probe_slices(
    volume: Volume,
    config: DetectConfig | None = None,
    *,
    background_config: BackgroundConfig | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> list[ProbedSlice]:
    """Background and cells of every k-th slice.

    Parameters
    ----------
    volume, config, background_config, executor, progress
        As in `detect_cells`.

    Returns
    -------
    list of ProbedSlice
        In the order of z.

    Warns
    -----
    NothingFoundWarning
        If there is no cell in any probed slice.

    Notes
    -----
    1. Find the resin of each probed slice and, where it is reliable, the peaks
       of the distance to it.
    2. Slices that are blank or whose grey values are far off those of the
       others (`is_blank`) lose their detections and are flagged.
    3. Slices with too little resin or contrast are flagged. They are done again
       with the median threshold of the others, if there is any; so are slices
       without cells, which Otsu's threshold splits into two kinds of resin:
       their classes differ by less than 75 % of the median, and their threshold
       is off the middle between resin and cells by more than a fifth of that.
    """
    import warnings

    config = config or DetectConfig()
    background_config = background_config or BackgroundConfig()
    zs = probed_indices(volume.grid, slice_step_nm=config.slice_step_nm)
    probe = partial(_probe, volume, config, background_config)
    pool = executor or make_executor("serial")
    tasks = [(z, None) for z in zs]
    probed = list(ordered_map(pool, probe, tasks, progress=progress, step="detect"))
    probed = _drop_damaged(probed)
    again, level = _doubtful(probed)
    for i in again:
        probed[i] = probe((probed[i].z, level))
    if not any(p.detections for p in probed):
        msg = (
            f"no cell found in the {len(probed)} probed slices of '{volume.name}': check the voxel "
            f"size ({volume.grid}) and lower 'min_radius_nm' ({config.min_radius_nm:g})"
        )
        warnings.warn(msg, NothingFoundWarning, stacklevel=2)
    return probed


def background_volume(probed: Sequence[ProbedSlice], grid: Grid) -> LabelVolume:
    """The backgrounds of the probed slices as one coarse volume, 1 = resin.

    Parameters
    ----------
    probed : sequence of ProbedSlice
        From `probe_slices`, in the order of z and evenly spaced.
    grid : Grid
        Of the volume that was probed.

    Returns
    -------
    LabelVolume
        uint8, shape (n, ceil(Y / factor), ceil(X / factor)), on a grid whose
        voxels lie where the probed slices lie.

    Raises
    ------
    ParameterError
        If no slice was probed.
    """
    if not probed:
        msg = "'probed' must hold at least one slice, got none; probe a volume with slices"
        raise ParameterError(msg)
    data = np.stack([p.background for p in probed]).view(np.uint8)
    factor = probed[0].factor
    step = probed[1].z - probed[0].z if len(probed) > 1 else 1
    z, y, x = grid.voxel_size_nm
    corner = grid.to_nm((probed[0].z, (factor - 1) / 2, (factor - 1) / 2))
    coarse = Grid(
        shape=data.shape, voxel_size_nm=(z * step, y * factor, x * factor), offset_nm=tuple(corner)
    )
    return LabelVolume(data=data, grid=coarse, names={1: "background"})


def find_peaks(
    background: ArrayLike, *, pixel_nm: float, config: DetectConfig | None = None
) -> list[tuple[float, float, float]]:
    """Cells of one slice as peaks of the distance to the background.

    Parameters
    ----------
    background : array of bools, shape (Y, X)
        True = resin.
    pixel_nm : float
        Pixel size.
    config : DetectConfig, optional
        What counts as a cell.

    Returns
    -------
    list of (y, x, radius_nm)
        Positions in pixels of `background`, highest peak first; of equally
        high ones the first in raster order comes first. Empty for a slice
        without background, where no distance exists.

    Raises
    ------
    ParameterError
        If the background is not a 2-D mask or the pixel size not positive.

    Notes
    -----
    1. Fill small enclosed resin, take the distance to the rest. The image
       border is no background: the distance ends at resin alone.
    2. Flood the distance from its local maxima over `min_radius_nm` / 2; two
       basins meet at their saddle, the highest distance on their border.
    3. From the highest saddle down: of the two peaks that it joins the lower
       one is dropped unless it is high enough and stands out enough.
    4. From the highest peak down, drop those too near to a higher one.
    """
    mask = as_mask("background", background, ndim=2)
    check_positive("pixel_nm", pixel_nm)
    config = config or DetectConfig()
    if not mask.any() or mask.all():
        return []
    distance = _distance_nm(mask, pixel_nm, config)
    heights, places = _persistent_peaks(distance, config)
    kept: list[tuple[float, float, float]] = []
    for i in np.lexsort((places, -heights)):
        y, x = divmod(int(places[i]), mask.shape[1])
        clear = all(
            math.hypot(y - a, x - b) * pixel_nm > config.suppression_factor * h for a, b, h in kept
        )
        if clear:
            kept.append((float(y), float(x), float(heights[i])))
    return kept


def cell_regions(
    background: ArrayLike,
    peaks: Sequence[tuple[float, float]],
    *,
    pixel_nm: float,
    config: DetectConfig | None = None,
) -> NDArray[np.int32]:
    """The part of a slice that belongs to each peak.

    Parameters
    ----------
    background : array of bools, shape (Y, X)
        True = resin.
    peaks : sequence of (y, x)
        Positions in pixels of `background`, as from `find_peaks`.
    pixel_nm : float
        Pixel size.
    config : DetectConfig, optional
        As for `find_peaks`.

    Returns
    -------
    ndarray of int32, shape (Y, X)
        i + 1 where the pixel belongs to ``peaks[i]``: the distance to the
        background is flooded from the peaks downwards. 0 = resin, or a piece
        of cell without a peak.

    Raises
    ------
    ParameterError
        If the background is not a 2-D mask, the pixel size not positive, or a
        peak outside the image.
    """
    from helaseg.image import watershed

    mask = as_mask("background", background, ndim=2)
    check_positive("pixel_nm", pixel_nm)
    markers = np.zeros(mask.shape, np.int32)
    for i, (y, x) in enumerate(peaks):
        row, col = round(y), round(x)
        if not (0 <= row < mask.shape[0] and 0 <= col < mask.shape[1]):
            msg = f"'peaks' must lie in the image of {mask.shape} pixels, got ({y:g}, {x:g})"
            raise ParameterError(msg)
        markers[row, col] = i + 1
    if not mask.any():
        distance = np.zeros(mask.shape, np.float32)
    else:
        distance = _distance_nm(mask, pixel_nm, config or DetectConfig())
    return watershed(-distance, markers, mask=~mask | (distance > 0), connectivity=2)


def _distance_nm(mask: Mask, pixel_nm: float, config: DetectConfig) -> NDArray[np.float32]:
    from helaseg.image import distance_transform, fill_holes

    hole_px = int(config.max_hole_um2 * 1e6 / pixel_nm**2)
    cells = fill_holes(~mask, max_area_px=hole_px)
    # Where all the resin there is lies in holes, the holes are what is left to measure.
    return distance_transform(~mask if cells.all() else cells, spacing=pixel_nm)


def _persistent_peaks(
    distance: NDArray[np.float32], config: DetectConfig
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Height and raveled index of the peaks that stand out."""
    from helaseg.image import label, peak_local_maxima, watershed

    within = distance > config.min_radius_nm / 2
    # the same single-precision number for the mask and for the peaks
    tops = peak_local_maxima(distance, threshold=float(np.float32(config.min_radius_nm / 2)))
    top = np.zeros(distance.shape, np.bool_)
    top[tops[:, 0], tops[:, 1]] = True
    markers, n = label(top, connectivity=2, return_count=True)
    if n == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.int64)
    places = np.unique(markers[top], return_index=True)[1]
    places = np.flatnonzero(top)[places]
    heights = distance.ravel()[places]
    basins = watershed(-distance, markers, mask=within, connectivity=2)
    lower, upper, saddle = _saddles(basins, distance)
    parent = np.arange(n)
    best = np.arange(n)
    keep = heights >= config.min_radius_nm

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for k in np.lexsort((upper, lower, -saddle)):
        a, b = root(int(lower[k])), root(int(upper[k]))
        if a == b:
            continue
        if (heights[best[a]], -places[best[a]]) < (heights[best[b]], -places[best[b]]):
            a, b = b, a
        loser = best[b]
        if heights[loser] - saddle[k] < config.min_persistence * heights[loser]:
            keep[loser] = False
        parent[b] = a
    return heights[keep], places[keep]


def _saddles(
    basins: NDArray[np.int32], distance: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Pairs of touching basins (from 0) and the height of the saddle between them."""
    pairs, levels = [], []
    height, width = basins.shape
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(dy, height), slice(max(0, dx), width + min(0, dx)))
        a, b = basins[here], basins[there]
        touch = (a != b) & (a > 0) & (b > 0)
        ends = np.stack([a[touch], b[touch]]).astype(np.int64) - 1
        pairs.append(np.sort(ends, axis=0))
        levels.append(np.minimum(distance[here][touch], distance[there][touch]))
    ends, level = np.concatenate(pairs, axis=1), np.concatenate(levels)
    key = ends[0] * (int(basins.max()) + 1) + ends[1]
    order = np.lexsort((-level, key))
    first = order[np.unique(key[order], return_index=True)[1]]
    return ends[0][first], ends[1][first], level[first]


def _probe(
    volume: Volume,
    config: DetectConfig,
    background_config: BackgroundConfig,
    task: tuple[int, float | None],
) -> ProbedSlice:
    z, threshold = task
    image = volume.slice(z)
    grid = volume.grid
    factor = joined_pixels(grid.pixel_nm, background_config.working_pixel_nm)
    result = measure_background(
        image,
        pixel_nm=grid.pixel_nm,
        config=background_config,
        threshold=threshold,
        coarse=True,
    )
    flags = CellFlag.NONE if result.reliable else CellFlag.LITTLE_RESIN
    if result.blank:
        flags = CellFlag.BRIDGED_SLICES
    return ProbedSlice(
        z=z,
        background=result.mask,
        factor=factor,
        # A threshold from other slices holds where this one has too little resin for its own.
        detections=() if flags and threshold is None else _detections(result, z, factor, config),
        flags=flags,
        levels=(result.cell_grey, result.threshold, result.resin_grey),
        greys=slice_greys(image) if image.size else (0.0, 0.0),
    )


def _detections(
    result: BackgroundResult, z: int, factor: int, config: DetectConfig
) -> tuple[Detection, ...]:
    peaks = find_peaks(result.mask, pixel_nm=result.pixel_nm, config=config)
    # The centre of a block of pixels, in pixels of the volume.
    shift = (factor - 1) / 2
    return tuple(
        Detection(z=z, y=y * factor + shift, x=x * factor + shift, radius_nm=radius, rank=rank)
        for rank, (y, x, radius) in enumerate(peaks, start=1)
    )


def _doubtful(probed: Sequence[ProbedSlice]) -> tuple[list[int], float]:
    """Places of the slices whose threshold is worse than that of the others, and that one."""
    levels = np.array([p.levels for p in probed if not p.flags])
    if not len(levels):
        return [], math.nan
    cell, threshold, resin = np.median(levels, axis=0)
    gap = resin - cell
    places = []
    for i, piece in enumerate(probed):
        low, cut, high = piece.levels
        one_class = high - low < 0.75 * gap and abs(cut - (cell + resin) / 2) > gap / 5
        if CellFlag.LITTLE_RESIN in piece.flags or (not piece.flags and one_class):
            places.append(i)
    return places, float(threshold)


def _drop_damaged(probed: list[ProbedSlice]) -> list[ProbedSlice]:
    """Empty the slices whose grey values are far off those of the typical slice."""
    greys = [p.greys for p in probed if p.greys[1] > 0]
    if not greys:
        return probed
    median, spread = np.median(greys, axis=0)
    kept = []
    for piece in probed:
        if off_reference(piece.greys, (float(median), float(spread))):
            empty = np.zeros_like(piece.background)
            piece = replace(piece, background=empty, detections=(), flags=CellFlag.BRIDGED_SLICES)
        kept.append(piece)
    return kept
