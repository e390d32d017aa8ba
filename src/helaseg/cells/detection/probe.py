"""One probed slice: its resin, the hills of the distance to it, and its nuclei."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from helaseg.cells.background.appearance import Glimpse, glimpse_slice
from helaseg.cells.background.blank import off_reference, slice_greys
from helaseg.cells.background.config import BackgroundConfig, ResinClass
from helaseg.cells.background.measure import Mask, measure_background
from helaseg.cells.detection.nuclei_slice import Circle, NucleiConfig, find_nuclei
from helaseg.cells.detection.nuclei_volume import SeenNuclei
from helaseg.cells.detection.peaks import HillConfig, find_peaks
from helaseg.core.objects import CellFlag, Detection
from helaseg.core.volume import Volume
from helaseg.image.blocks import join_pixels, joined_pixels

#: Of what looks like a nucleus one in this many rows and columns is kept.
LABEL_STEP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedSlice:
    """Results of one probed slice.

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
    nuclei : SeenNuclei, optional
        What looks like a nucleus.
    glimpse : Glimpse, optional
        What its dark and bright regions look like, of some slices.
    """

    z: int
    background: Mask
    factor: int
    detections: tuple[Detection, ...]
    flags: CellFlag = CellFlag.NONE
    levels: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    greys: tuple[float, float] = (0.0, 0.0)
    nuclei: SeenNuclei | None = None
    glimpse: Glimpse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTask:
    """Instructions for one slice.

    Parameters
    ----------
    z : int
        Which slice.
    resin : {"bright", "dark", "none"}
        Which class of grey values is resin.
    threshold : float, optional
        Grey value between cells and resin, from other slices.
    look : bool
        Whether to say what its dark and bright regions look like.
    """

    z: int
    resin: ResinClass = "bright"
    threshold: float | None = None
    look: bool = False


def probe_slice(
    volume: Volume,
    hills_config: HillConfig,
    nuclei_config: NucleiConfig,
    background_config: BackgroundConfig,
    task: ProbeTask,
) -> ProbedSlice:
    """Resin, hills and nuclei of one slice; the tasks of a volume go to a worker pool."""
    z = task.z
    image = volume.slice(z)
    grid = volume.grid
    factor = joined_pixels(grid.pixel_nm, background_config.working_pixel_nm)
    pixel_nm = grid.pixel_nm * factor
    small = join_pixels(image, factor) if image.size else image
    result = measure_background(
        small,
        pixel_nm=pixel_nm,
        config=background_config,
        threshold=task.threshold,
        resin=task.resin,
    )
    flags = CellFlag.NONE if result.reliable else CellFlag.LITTLE_RESIN
    if result.blank:
        flags = CellFlag.BRIDGED_SLICES
    hills: list[Circle] = []
    nuclei = None
    # A threshold from other slices holds where this one has too little resin for its own.
    if not flags or task.threshold is not None or (task.resin == "none" and not result.blank):
        hills = find_peaks(result.mask, pixel_nm=pixel_nm, config=hills_config)
        labels, circles = find_nuclei(small, result.mask, pixel_nm=pixel_nm, config=nuclei_config)
        labels = labels[::LABEL_STEP, ::LABEL_STEP].astype(np.uint16)
        nuclei = SeenNuclei(z=z, labels=labels, circles=tuple(circles))
    glimpse = None
    if task.look:
        glimpse = glimpse_slice(
            small, pixel_nm=pixel_nm, reliable=result.reliable, config=background_config
        )
    return ProbedSlice(
        z=z,
        background=result.mask,
        factor=factor,
        detections=in_volume([(h, 0) for h in hills], z, factor),
        nuclei=nuclei,
        glimpse=glimpse,
        flags=flags,
        levels=(result.cell_grey, result.threshold, result.resin_grey),
        greys=slice_greys(image) if image.size else (0.0, 0.0),
    )


def in_volume(places: Sequence[tuple[Circle, int]], z: int, factor: int) -> tuple[Detection, ...]:
    """Places in joined pixels as places in pixels of the volume."""
    # The centre of a block of pixels.
    shift = (factor - 1) / 2
    return tuple(
        Detection(
            z=z,
            y=y * factor + shift,
            x=x * factor + shift,
            radius_nm=radius,
            rank=rank,
            nucleus=nucleus,
        )
        for rank, ((y, x, radius), nucleus) in enumerate(places, start=1)
    )


def doubtful_slices(probed: Sequence[ProbedSlice]) -> tuple[list[int], float]:
    """Places of the slices whose threshold is worse than that of the others, and that one."""
    levels = np.array([p.levels for p in probed if not p.flags])
    if not len(levels):
        return [], math.nan
    cell, threshold, resin = np.median(levels, axis=0)
    gap, sign = abs(resin - cell), np.sign(resin - cell)
    places = []
    for i, piece in enumerate(probed):
        low, cut, high = piece.levels
        one_class = sign * (high - low) < 0.75 * gap and abs(cut - (cell + resin) / 2) > gap / 5
        if CellFlag.LITTLE_RESIN in piece.flags or (not piece.flags and one_class):
            places.append(i)
    return places, float(threshold)


def drop_damaged(probed: list[ProbedSlice]) -> list[ProbedSlice]:
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
