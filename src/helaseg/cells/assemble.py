"""The result of a segmented crop: label images, records of slices, measurements."""

from __future__ import annotations

import numpy as np

from helaseg.cells.cell import CellConfig, CellResult, flag_cell, label_cells
from helaseg.cells.full_size import FullSize, Kind
from helaseg.cells.nucleus import NucleusResult
from helaseg.cells.shape import measure_cell, slice_records
from helaseg.core.results import CLASS_NAMES, SegmentationResult
from helaseg.core.volume import LabelVolume, Volume
from helaseg.execution import Progress, WorkerPool


def segment_cell(
    crop: Volume,
    nucleus: NucleusResult,
    *,
    config: CellConfig | None = None,
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
    executor : WorkerPool, optional
        Where the slices are refined.
    progress : callable, optional
        Called as ``progress("cell", done, total)``.

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
    label_cells : the method, step by step.
    """
    crop.grid.check_agrees(nucleus.crop_grid, names=("crop", "nucleus"))
    cells = label_cells(nucleus, config=config, executor=executor, progress=progress)
    return assemble(nucleus, cells)


def assemble(nucleus: NucleusResult, cells: CellResult | None) -> SegmentationResult:
    """Label images, measurements and records of a segmented crop.

    Without `cells` the nucleus stands for itself: the cell image is empty and
    what concerns the cell is nan.
    """
    grid = nucleus.crop_grid
    own = None if cells is None else cells.cells == 1
    if cells is None:
        nothing = np.zeros(nucleus.grid.shape, np.uint8)
        solid = nothing.view(bool)
        flags = flag_cell(nothing, solid, nucleus)
        cells = CellResult(grid=nucleus.grid, cells=nothing, solid=solid, flags=flags)

    def view(kind: Kind) -> FullSize:
        return FullSize(kind, nucleus.nuclei, cells.cells, cells.solid, nucleus.factor, grid)

    return SegmentationResult(
        labels=LabelVolume(data=view("labels"), grid=grid, names=CLASS_NAMES),
        nucleus=LabelVolume(data=view("nucleus"), grid=grid, names={1: "nucleus"}),
        cell=LabelVolume(data=view("cell"), grid=grid, names={1: "cell"}),
        cells=LabelVolume(data=view("cells"), grid=grid, names={1: "target cell"}),
        slices=slice_records(nucleus, own),
        measurements=measure_cell(nucleus.nucleus, own, nucleus.grid),
        flags=cells.flags,
    )
