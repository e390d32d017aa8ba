"""Cells in the probed slices of a volume.

Published stages (Karabağ et al. 2021): probe every 20th slice and take the
peaks of the distance to the background, see `helaseg.cells.detection.peaks`. Different
here: the probed slices are looked at together. They settle whether resin is
bright, dark or absent, stand in for damaged ones among them, and show the
nuclei, which part cells that touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from helaseg._validate import check_positive
from helaseg.cells.background.appearance import N_SLICES, decide_appearance
from helaseg.cells.background.config import BackgroundConfig
from helaseg.cells.detection.clumps import measure_necks, split_hills
from helaseg.cells.detection.nuclei_slice import Circle, NucleiConfig
from helaseg.cells.detection.nuclei_volume import (
    Neck,
    Nucleus,
    join_lobes,
    join_stacked,
    markers_in_slice,
    true_nuclei,
)
from helaseg.cells.detection.peaks import HillConfig
from helaseg.cells.detection.probe import (
    ProbedSlice,
    ProbeTask,
    doubtful_slices,
    drop_damaged,
    in_volume,
    probe_slice,
)
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag, Detection
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import NothingFoundWarning, ParameterError
from helaseg.execution import Progress, WorkerPool, make_executor, ordered_map

#: Fewest slices that are probed, if the volume has as many.
MIN_PROBES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig(HillConfig):
    """Settings for probed slices and for the cells in them.

    Parameters
    ----------
    slice_step_nm : float
        Distance between probed slices; published 20 slices of 50 nm. Thin
        volumes are probed more closely, see `probed_indices`.
    nuclei : NucleiConfig
        How nuclei are recognised; they part cells that have no resin between them.

    See Also
    --------
    helaseg.cells.detection.peaks.HillConfig : the other settings.
    """

    slice_step_nm: float = 1000.0
    nuclei: NucleiConfig = field(default_factory=NucleiConfig)

    def __post_init__(self) -> None:
        # Zero-argument super() does not work in classes with slots.
        HillConfig.__post_init__(self)
        check_positive("slice_step_nm", self.slice_step_nm)


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
       of the distance to it and what looks like nuclei.
    2. Slices that are blank or whose grey values are far off those of the
       others (`off_reference`) lose their detections and are flagged.
    3. Decide whether resin is bright, dark or absent, once for all slices, see
       `helaseg.cells.background.appearance`. If it is not bright, do all slices again and
       flag them. Without resin all is cell, and nuclei alone count.
    4. Slices with too little resin or contrast are flagged. They are done again
       with the median threshold of the others, if there is any; so are slices
       without cells, which Otsu's threshold splits into two kinds of resin:
       their classes differ by less than 75 % of the median, and their threshold
       is off the middle between resin and cells by more than a fifth of that.
    5. Hills that hold several nuclei are shared among them, see
       `helaseg.cells.detection.clumps`.
    """
    import warnings

    config = config or DetectConfig()
    background_config = background_config or BackgroundConfig()
    zs = probed_indices(volume.grid, slice_step_nm=config.slice_step_nm)
    pool = executor or make_executor("serial")
    probe = partial(probe_slice, volume, config, config.nuclei, background_config)
    looks = {zs[round(k * (len(zs) - 1) / (N_SLICES - 1))] for k in range(N_SLICES)} if zs else ()
    tasks = [ProbeTask(z=z, look=z in looks) for z in zs]
    probed = list(ordered_map(pool, probe, tasks, progress=progress, step="detect"))
    probed = drop_damaged(probed)
    appearance = decide_appearance(
        [p.glimpse for p in probed if p.glimpse and CellFlag.BRIDGED_SLICES not in p.flags],
        background_config,
    )
    if appearance.resin != "bright":
        kept = [i for i, p in enumerate(probed) if CellFlag.BRIDGED_SLICES not in p.flags]
        again = ordered_map(
            pool, probe, [ProbeTask(z=probed[i].z, resin=appearance.resin) for i in kept]
        )
        for i, piece in zip(kept, again, strict=True):
            probed[i] = piece
    doubtful, level = doubtful_slices(probed)
    for i in doubtful:
        probed[i] = probe(ProbeTask(z=probed[i].z, resin=appearance.resin, threshold=level))
    probed = [replace(p, flags=p.flags | appearance.flags) for p in probed]
    probed = _part_clumps(probed, volume.grid, config, pool)
    if not any(p.detections for p in probed):
        msg = (
            f"no cell found in the {len(probed)} probed slices of '{volume.name}': check the voxel "
            f"size ({volume.grid}) and lower 'min_radius_nm' ({config.min_radius_nm:g})"
        )
        warnings.warn(msg, NothingFoundWarning, stacklevel=2)
    return probed


def _part_clumps(
    probed: Sequence[ProbedSlice], grid: Grid, config: DetectConfig, pool: WorkerPool
) -> list[ProbedSlice]:
    """The same slices, their clumps taken apart by the nuclei of the volume."""
    nuclei = true_nuclei([p.nuclei for p in probed if p.nuclei is not None])
    if len(nuclei) > 1:
        measure = partial(_necks, nuclei, grid, config)
        necks = [neck for found in ordered_map(pool, measure, probed) for neck in found]
        nuclei = join_lobes(nuclei, necks)
        pixel_nm = grid.pixel_nm * probed[0].factor
        nuclei = join_stacked(nuclei, [p.z for p in probed], pixel_nm=pixel_nm)
    part = partial(_part, nuclei, grid, config)
    return list(ordered_map(pool, part, probed))


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


def _necks(
    nuclei: Sequence[Nucleus], grid: Grid, config: DetectConfig, piece: ProbedSlice
) -> list[Neck]:
    """Necks between the nuclei of one slice."""
    pixel_nm = grid.pixel_nm * piece.factor
    markers = markers_in_slice(nuclei, piece.z, pixel_nm=pixel_nm, slice_nm=grid.slice_nm)
    return measure_necks(piece.background, _hills(piece), markers, pixel_nm=pixel_nm, config=config)


def _part(
    nuclei: Sequence[Nucleus], grid: Grid, config: DetectConfig, piece: ProbedSlice
) -> ProbedSlice:
    """The same slice, its clumps taken apart by the nuclei of the volume."""
    if CellFlag.BRIDGED_SLICES in piece.flags:
        return piece
    pixel_nm = grid.pixel_nm * piece.factor
    markers = markers_in_slice(nuclei, piece.z, pixel_nm=pixel_nm, slice_nm=grid.slice_nm)
    hills = _hills(piece)
    cells = split_hills(piece.background, hills, markers, pixel_nm=pixel_nm, config=config)
    detections = [
        replace(d, parted_once=circle not in hills and len(nuclei[number - 1].circles) == 1)
        if number
        else d
        for d, (circle, number) in zip(in_volume(cells, piece.z, piece.factor), cells, strict=True)
    ]
    return replace(piece, detections=tuple(detections))


def _hills(piece: ProbedSlice) -> list[Circle]:
    """The detections of a slice in pixels of its background."""
    shift = (piece.factor - 1) / 2
    return [
        ((d.y - shift) / piece.factor, (d.x - shift) / piece.factor, d.radius_nm)
        for d in piece.detections
    ]
