"""The whole job on a volume: detect, crop and segment every cell, paste them together.

Everything is written to one folder, piece by piece, and noted in its journal,
so that an interrupted job goes on where it stopped.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from helaseg._version import __version__
from helaseg.cells.background.appearance import told_resin
from helaseg.cells.detection.ranking import rank_tracks
from helaseg.cells.seams import SeamTally
from helaseg.core.grid import Grid
from helaseg.core.results import StepCost
from helaseg.core.volume import Volume
from helaseg.errors import NothingFoundWarning, ParameterError
from helaseg.execution import (
    Journal,
    Progress,
    StepTimer,
    WorkerPool,
    claim_output,
    fingerprint_of,
    finished_map,
    hold_output,
    local_pool,
    make_executor,
    ordered_map,
    parse_executor,
)
from helaseg.io import (
    CellRow,
    atomic_path,
    block_shape,
    check_unchanged,
    create_label_zarr,
    fingerprint,
    finish_pyramids,
    input_state,
    open_volume,
    read_cells_csv,
    remove_rooms,
    write_block,
    write_cells_csv,
    write_detections_csv,
    write_ome_zarr,
    write_segmentation,
)
from helaseg.io.seam_table import write_seams_csv
from helaseg.io.tables import read_rows
from helaseg.pipelines import classical
from helaseg.pipelines.classical import (
    RunConfig,
    SegmentConfig,
    as_plain,
)
from helaseg.pipelines.cropping import crop_noted, roi_name
from helaseg.pipelines.overview import write_overview
from helaseg.pipelines.paste import Piece, paste_slab, slabs_of
from helaseg.pipelines.summary import write_measurements, write_summary
from helaseg.pipelines.targets import target_of

#: Larger arrays in memory do not go to other processes.
MAX_ARRAY_BYTES = 2**27


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Result of `run`.

    Parameters
    ----------
    out : Path
        The output folder.
    cells : tuple of CellRow
        The cells of ``cells.csv``.
    segmentations : mapping of int to Path
        Folder of each segmented cell, by id.
    steps : tuple of StepCost
        Time and memory, summed over cells.
    n_new : int
        Cells that were segmented now; the others were done before.
    """

    out: Path
    cells: tuple[CellRow, ...]
    segmentations: Mapping[int, Path]
    steps: tuple[StepCost, ...]
    n_new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A run at work.

    Parameters
    ----------
    volume : Volume
        Its input.
    out : Path
        Its output folder.
    config : RunConfig
        Its settings.
    journal : Journal
        Its finished pieces.
    key : str
        From `run_key`.
    pool : WorkerPool
        Its workers.
    timer : StepTimer
        Its costs so far.
    progress : Progress, optional
        Called per piece of work.
    """

    volume: Volume
    out: Path
    config: RunConfig
    journal: Journal
    key: str
    pool: WorkerPool
    timer: StepTimer
    progress: Progress | None

    def add_costs(self, piece: str) -> None:
        """Add the costs of a finished piece of work."""
        for cost in self.journal.values(piece)["steps"]:
            self.timer.add(StepCost(**cost))


def run(
    volume: Volume,
    out: Path | str,
    config: RunConfig | None = None,
    *,
    executor: str = "serial",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Find, crop and segment every cell of a volume.

    Parameters
    ----------
    volume : Volume
        The whole stack; never in memory as a whole.
    out : path-like
        Output folder: new, empty, or that of an interrupted run with the same
        input and settings.
    config : RunConfig, optional
        Settings.
    executor : str
        ``"serial"``, ``"threads[:N]"``, ``"processes[:N]"`` or the address of a
        dask scheduler: how many cells are segmented at the same time.
    overwrite : bool
        Replace an earlier run in the folder.
    progress : Progress, optional
        Called per piece of work.

    Returns
    -------
    RunResult
        With no segmentation when no cell was found; that is a result too.

    Raises
    ------
    OutputExistsError
        If the folder holds something else.
    ParameterError
        If the volume is a large array in memory and the workers are other processes.
    JobError
        If the disk is full or a worker died; finished pieces are kept.
    """
    config = config or RunConfig()
    out = Path(out)
    source, state = fingerprint(volume), input_state(volume)
    key = run_key(state, config)
    _check_travels(volume, executor)
    with hold_output(out), make_executor(executor) as pool:
        journal = claim_output(out, job="run", fingerprint=key, overwrite=overwrite)
        # What a kill has left half-written.
        remove_rooms(out)
        timer = StepTimer()
        job = _Job(
            volume=volume,
            out=out,
            config=config,
            journal=journal,
            key=key,
            pool=pool,
            timer=timer,
            progress=progress,
        )
        cells = _detect(job)
        _drop_others(cells, journal)
        with local_pool(pool) as threads:
            crop_noted(
                volume,
                cells,
                out,
                journal,
                job="run",
                source=state,
                executor=threads,
                progress=progress,
            )
        check_unchanged(volume, state)
        for cell in cells:
            job.add_costs(f"run/crop/{cell.id}")
        folders, n_new = _segment_cells(job, cells)
        _paste(job, cells, folders)
        write_measurements(out / "measurements.csv", folders)
        write_summary(volume, source, out, config, cells, timer.steps)
    return RunResult(
        out=out, cells=tuple(cells), segmentations=folders, steps=timer.steps, n_new=n_new
    )


def run_key(state: str, config: RunConfig) -> str:
    """Name a run by the state of its input, its settings and the version."""
    return fingerprint_of("run", state, config, __version__)


def _drop_others(cells: Sequence[CellRow], journal: Journal) -> None:
    """Remove results of cells that are not in the table any more, so that they are not counted."""
    current = {f"run/{part}/{cell.id}" for cell in cells for part in ("cell", "report")}
    per_cell = ("run/cell/", "run/report/")
    journal.remove_outputs(k for k in journal.keys if k.startswith(per_cell) and k not in current)


def _check_travels(volume: Volume, executor: str) -> None:
    """Refuse an array that each task would take along to another process."""
    data = volume.data
    stays = parse_executor(executor)[0] in ("serial", "threads")
    if stays or not isinstance(data, np.ndarray) or data.nbytes <= MAX_ARRAY_BYTES:
        return
    msg = (
        f"{volume.name!r} lies in memory and would be sent to a worker with every slice; write it "
        "with helaseg.io.write_tiff and open it with open_volume, or use 'threads:N'"
    )
    raise ParameterError(msg)


def _detect(job: _Job) -> list[CellRow]:
    """Detection and its files; the cells are read back, so an edited table is honoured."""
    table = job.out / "cells.csv"
    if not (job.journal.is_done("run/detect", job.key) and table.exists()):
        with _hushed():
            found = classical.detect(
                job.volume, config=job.config, executor=job.pool, progress=job.progress
            )
        cell_of = {d: track.id for track in found.tracks for d in track.detections}
        write_detections_csv(
            job.out / "detections.csv",
            found.detections,
            [cell_of.get(d, 0) for d in found.detections],
        )
        background = found.background
        write_ome_zarr(
            job.out / "background.ome.zarr", background.data, background.grid, kind="labels"
        )
        write_overview(job.volume, job.out, found)
        write_cells_csv(
            table, found.tracks, found.rois, job.volume.grid, ranks=rank_tracks(found.tracks)
        )
        names = ("detections.csv", "background.ome.zarr", "overview.png", "overview.json")
        outputs = [job.out / name for name in names]
        values = {"steps": [as_plain(cost) for cost in found.steps]}
        job.journal.record("run/detect", job.key, outputs=outputs, values=values)
    job.add_costs("run/detect")
    cells = read_cells_csv(table, grid=job.volume.grid)
    if not cells:
        dropped = len(read_rows(table, ("id",)))
        name, place = job.volume.name, job.out / "background.ome.zarr"
        advice = (
            f"{table} drops all {dropped} cells of {name!r}; set 'keep' of some to yes"
            if dropped
            else f"no cell found in {name!r}; look at {place}, lower 'detect.min_radius_nm', or "
            "check the voxel size"
        )
        warnings.warn(advice, NothingFoundWarning, stacklevel=3)
    return cells


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTask:
    """One cell to segment; carries a reference to its crop, not its voxels.

    Parameters
    ----------
    id : int
        Of the cell.
    name : str
        Of the volume, for reports.
    crop : Path
        Image of the cell, at the same place for every worker.
    grid : Grid
        Of the crop, in the volume.
    folder : Path
        Where the results go.
    target_vx : tuple of float
        Where the cell is in the crop.
    config : SegmentConfig
        Settings.
    """

    id: int
    name: str
    crop: Path
    grid: Grid
    folder: Path
    target_vx: tuple[float, float, float]
    config: SegmentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """Journal entry of one segmented cell."""

    outputs: tuple[Path, ...]
    steps: tuple[StepCost, ...]


@contextmanager
def _hushed() -> Iterator[None]:
    """Finding nothing is a flag of the result here, or told once, not a warning each.

    Entered by the thread that starts the job alone: filters belong to the whole
    process, and threads that change them at the same time leave them changed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NothingFoundWarning)
        yield


def _for_resin_of(cell: CellRow, config: SegmentConfig) -> SegmentConfig:
    """The settings with what was decided of the resin of the whole volume."""
    if config.background.resin != "auto":
        return config
    background = replace(config.background, resin=told_resin(cell.flags))
    return replace(config, background=background)


def segment_one(task: SegmentTask) -> _Outcome:
    """Segment one cell; runs in a worker, perhaps on another machine."""
    timer = StepTimer()
    # The file holds the same grid to the precision of its numbers.
    crop = open_volume(task.crop, task.grid.voxel_size_nm, allow_gaps=True)
    piece = replace(crop, grid=task.grid, name=task.name)
    if multiprocessing.parent_process() is not None:
        # A worker process has filters of its own, see `_hushed`.
        warnings.simplefilter("ignore", NothingFoundWarning)
    result = classical.segment(
        piece,
        config=task.config,
        target_vx=task.target_vx,
        executor=make_executor("serial"),
    )
    result = replace(result, measurements={"id": task.id, **result.measurements})
    with timer.measured("write"):
        files = write_segmentation(task.folder, result)
    steps = result.provenance.steps if result.provenance else ()
    return _Outcome(outputs=tuple(files), steps=(*timer.steps, *steps))


def _segment_cells(job: _Job, cells: Sequence[CellRow]) -> tuple[dict[int, Path], int]:
    """Segment every cell that is not finished yet; the folder of each, and how many those were."""
    folders = {cell.id: job.out / "rois" / roi_name(cell) for cell in cells}
    prints = {
        cell.id: fingerprint_of(job.key, cell.roi, cell.centroid_vx, told_resin(cell.flags))
        for cell in cells
    }
    waiting = [c for c in cells if not job.journal.is_done(f"run/cell/{c.id}", prints[c.id])]
    job.journal.remove_outputs(f"run/cell/{cell.id}" for cell in waiting)
    tasks = [
        SegmentTask(
            id=cell.id,
            name=job.volume.name,
            crop=folders[cell.id].resolve() / "raw",
            grid=job.volume.grid.crop(cell.roi),
            folder=folders[cell.id].resolve(),
            target_vx=target_of(cell),
            config=_for_resin_of(cell, job.config.segment),
        )
        for cell in waiting
    ]
    done = len(cells) - len(waiting)
    if job.progress:
        job.progress("cells", done, len(cells))
    with _hushed():
        for place, outcome in finished_map(job.pool, segment_one, tasks):
            cell = waiting[place]
            values = {"steps": [as_plain(cost) for cost in outcome.steps]}
            job.journal.record(
                f"run/cell/{cell.id}", prints[cell.id], outputs=outcome.outputs, values=values
            )
            done += 1
            if job.progress:
                job.progress("cells", done, len(cells))
    for cell in cells:
        job.add_costs(f"run/cell/{cell.id}")
    return folders, len(waiting)


def _paste(job: _Job, cells: Sequence[CellRow], folders: Mapping[int, Path]) -> None:
    """Instance labels of the whole volume, from the crops."""
    target = job.out / "cells.ome.zarr"
    print_ = fingerprint_of(job.key, [(cell.id, cell.roi) for cell in cells])
    if job.journal.is_done("run/paste", print_):
        job.add_costs("run/paste")
        return
    step = StepTimer()
    with step.measured("paste"), local_pool(job.pool) as threads, atomic_path(target) as temporary:
        arrays = create_label_zarr(temporary, job.volume.grid, names=("cell", "nucleus"))
        pieces = [Piece.of(cell, folders[cell.id]) for cell in cells]
        tally = SeamTally(
            {cell.id: cell.roi for cell in cells},
            {cell.id: cell.centroid_vx for cell in cells},
            job.volume.grid,
        )
        slabs = list(slabs_of(job.volume.shape, block_shape(arrays["cell"])))
        # A slab takes 0.3 GB: no more of them than threads at a time.
        pasted_slabs = ordered_map(
            threads, partial(paste_slab, pieces), slabs, window=threads.n_workers
        )
        for done, (slab, pasted) in enumerate(zip(slabs, pasted_slabs, strict=True), start=1):
            write_block(arrays["cell"], slab, pasted.cell)
            write_block(arrays["nucleus"], slab, pasted.nucleus)
            tally.add(slab, pasted.cell, pasted.contested)
            if job.progress:
                job.progress("paste", done, len(slabs))
        finish_pyramids(temporary)
    values = {"steps": [as_plain(cost) for cost in step.steps]}
    seams = job.out / "seams.csv"
    write_seams_csv(seams, tally.seams(), job.volume.grid)
    job.journal.record("run/paste", print_, outputs=[target, seams], values=values)
    job.add_costs("run/paste")
