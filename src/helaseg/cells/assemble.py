"""The result of a segmented crop: label images, records of slices, measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from helaseg.cells.envelope.measure import EnvelopeConfig, EnvelopeResult, measure_envelope
from helaseg.cells.full_size import (
    Draw,
    Parts,
    draw_cell,
    draw_classes,
    draw_envelope_confidence,
    draw_instances,
    draw_nucleus,
)
from helaseg.cells.membrane.segment import CellConfig, CellResult, label_cells
from helaseg.cells.nucleus.evidence import collect_evidence
from helaseg.cells.nucleus.segment import NucleusResult
from helaseg.cells.records import slice_records
from helaseg.cells.shape.describe import ShapeConfig, describe_cell
from helaseg.cells.shape.invaginations import InvaginationConfig
from helaseg.core.lazy import SliceBySlice
from helaseg.core.results import CLASS_NAMES, SegmentationResult
from helaseg.core.volume import LabelVolume, Volume
from helaseg.execution import Progress, WorkerPool


def segment_cell(
    crop: Volume,
    nucleus: NucleusResult,
    *,
    config: CellConfig | None = None,
    envelope: EnvelopeConfig | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> SegmentationResult:
    """Segment the cell in the middle of a crop, and its neighbours.

    Parameters
    ----------
    crop : Volume
        Image of one cell, the one that `nucleus` was found in.
    nucleus : NucleusResult
        From `segment_nucleus`.
    config : CellConfig, optional
        Settings.
    envelope : EnvelopeConfig, optional
        Settings of the nuclear envelope.
    executor : WorkerPool, optional
        Where the slices are refined.
    progress : callable, optional
        Called as ``progress("envelope", done, total)``, ``progress("evidence", ...)`` and
        ``progress("cell", ...)``.

    Returns
    -------
    SegmentationResult
        On the grid of the crop; its images are made slice by slice when read.

    Raises
    ------
    GridMismatchError
        If the nucleus belongs to another crop.

    See Also
    --------
    measure_envelope, label_cells : the methods, step by step.

    Notes
    -----
    The evidence of the slices is collected again, with the settings that `nucleus` was found
    with: no result holds images for a later step. `helaseg.segment` collects it once.
    """
    measured = measure_envelope(
        crop, nucleus, config=envelope, executor=executor, progress=progress
    )
    evidence = collect_evidence(
        crop,
        config=nucleus.evidence_config,
        background=nucleus.background_config,
        executor=executor,
        progress=progress,
    ).membranes
    cells = label_cells(evidence, nucleus, config=config, executor=executor, progress=progress)
    return assemble(nucleus, measured, cells).with_slice_numbers(crop.slice_numbers)


def assemble(
    nucleus: NucleusResult,
    envelope: EnvelopeResult,
    cells: CellResult | None,
    *,
    shape: ShapeConfig | None = None,
    invaginations: InvaginationConfig | None = None,
) -> SegmentationResult:
    """Label images, measurements and records of a segmented crop.

    Without `cells` the nucleus stands for itself: the cell image is empty and
    what concerns the cell is nan.

    Notes
    -----
    Shapes are measured at the working pixel size, on the nucleus up to the midline
    of its envelope.
    """
    grid = nucleus.crop_grid
    inner = np.empty(nucleus.grid.shape, bool)
    own = None if cells is None else np.empty_like(inner)
    for z in range(len(inner)):
        inner[z] = envelope.nucleus(z, factor=nucleus.factor)
        if own is not None and cells is not None:
            np.logical_or(cells.cells[z] == 1, inner[z], out=own[z])
    described = describe_cell(inner, own, nucleus.grid, config=shape, invaginations=invaginations)
    parts = Parts(
        envelope=envelope,
        cells=None if cells is None else cells.cells,
        solid=None if cells is None else cells.solid,
        factor=nucleus.factor,
    )

    def view(draw: Draw, names: Mapping[int, str], dtype: Any = np.uint8) -> LabelVolume:
        data = SliceBySlice(shape=grid.shape, dtype=np.dtype(dtype), draw=partial(draw, parts))
        return LabelVolume(data=data, grid=grid, names=names)

    second = sure = None
    if cells is not None:
        runner_up, percent, coarse = cells.sampled_doubt()
        second = LabelVolume(data=runner_up, grid=coarse, names={})
        sure = LabelVolume(data=percent, grid=coarse, names={})
    nucleus_image = view(draw_nucleus, {1: "nucleus"})
    cell_image = view(draw_cell, {1: "cell"})
    return SegmentationResult(
        labels=view(draw_classes, CLASS_NAMES),
        nucleus=nucleus_image,
        cell=cell_image,
        cells=view(draw_instances, {1: "target cell"}, parts.instance_dtype),
        second=second,
        cell_confidence=sure,
        envelope_confidence=view(draw_envelope_confidence, {}),
        slices=slice_records(nucleus, envelope, nucleus_image=nucleus_image, cell_image=cell_image),
        invaginations=described.invaginations,
        measurements={
            **described.measurements,
            **envelope.measurements(),
            "cell_confidence": math.nan if cells is None else cells.confidence_of(1),
        },
        flags=nucleus.all_flags if cells is None else cells.flags,
    )
