"""The result of a segmented crop: label images, records of slices, measurements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from helaseg.cells.envelope.measure import EnvelopeConfig, EnvelopeResult, measure_envelope
from helaseg.cells.full_size import FullSize, Kind
from helaseg.cells.membrane.segment import CellConfig, CellResult, flag_cell, label_cells
from helaseg.cells.nucleus.segment import NucleusResult
from helaseg.cells.records import slice_records
from helaseg.cells.shape.describe import ShapeConfig, describe_cell
from helaseg.cells.shape.invaginations import InvaginationConfig
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
        Called as ``progress("envelope", done, total)`` and
        ``progress("cell", done, total)``.

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
    """
    measured = measure_envelope(
        crop, nucleus, config=envelope, executor=executor, progress=progress
    )
    cells = label_cells(nucleus, config=config, executor=executor, progress=progress)
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
    if cells is None:
        nothing = np.zeros(nucleus.grid.shape, np.uint8)
        solid = nothing.view(bool)
        flags = flag_cell(nothing, solid, nucleus)
        cells = CellResult(grid=nucleus.grid, cells=nothing, solid=solid, flags=flags)

    def view(kind: Kind, names: Mapping[int, str]) -> LabelVolume:
        data = FullSize(kind, envelope, cells.cells, cells.solid, nucleus.factor)
        return LabelVolume(data=data, grid=grid, names=names)

    second, sure, coarse = cells.sampled_doubt()
    described = describe_cell(inner, own, nucleus.grid, config=shape, invaginations=invaginations)
    nucleus_image, cell_image = view("nucleus", {1: "nucleus"}), view("cell", {1: "cell"})
    return SegmentationResult(
        labels=view("labels", CLASS_NAMES),
        nucleus=nucleus_image,
        cell=cell_image,
        cells=view("cells", {1: "target cell"}),
        second=None if own is None else LabelVolume(data=second, grid=coarse, names={}),
        cell_confidence=None if own is None else LabelVolume(data=sure, grid=coarse, names={}),
        envelope_confidence=view("envelope_confidence", {}),
        slices=slice_records(nucleus, envelope, nucleus_image=nucleus_image, cell_image=cell_image),
        invaginations=described.invaginations,
        measurements={
            **described.measurements,
            **envelope.measurements(),
            "cell_confidence": cells.confidence_of(1),
        },
        flags=cells.flags,
    )
