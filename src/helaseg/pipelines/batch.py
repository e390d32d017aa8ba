"""The whole job on a volume: detect, crop and segment every cell, paste them together.

Everything is written to one folder, piece by piece, and noted in its journal,
so that an interrupted job goes on where it stopped.
"""

from __future__ import annotations

import json
import multiprocessing
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from helaseg import __version__
from helaseg.cells.appearance import told_resin
from helaseg.core.results import StepCost, installed_versions, plain_value
from helaseg.core.volume import Volume
from helaseg.errors import NothingFoundWarning
from helaseg.execution import (
    Journal,
    Progress,
    StepTimer,
    WorkerPool,
    claim_output,
    fingerprint_of,
    make_executor,
    ordered_map,
)
from helaseg.io import (
    CellRow,
    atomic_path,
    block_shape,
    create_label_zarr,
    fingerprint,
    finish_pyramids,
    read_cells_csv,
    write_block,
    write_cells_csv,
    write_detections_csv,
    write_ome_zarr,
    write_segmentation,
    write_tiff_slices,
)
from helaseg.pipelines import classical
from helaseg.pipelines.classical import (
    RunConfig,
    SegmentConfig,
    as_plain,
)
from helaseg.pipelines.overview import write_overview
from helaseg.pipelines.paste import Piece, paste_slab, slabs_of
from helaseg.pipelines.targets import target_of, write_target

Format = Literal["tiff", "ome-zarr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What `run` leaves behind.

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
    """

    out: Path
    cells: tuple[CellRow, ...]
    segmentations: Mapping[int, Path]
    steps: tuple[StepCost, ...]


def roi_name(cell: CellRow) -> str:
    """Folder of a cell: ``roi_{id}_{row}_{col}_{slice}`` of its centroid."""
    z, y, x = (round(v) for v in cell.centroid_vx)
    return f"roi_{cell.id:03d}_{y}_{x}_{z}"


def crop(
    volume: Volume,
    cells: Iterable[CellRow],
    out: Path | str,
    *,
    progress: Progress | None = None,
    format: Format = "tiff",
) -> list[Path]:
    """Cut the boxes of cells out of a volume.

    Parameters
    ----------
    volume : Volume
        The big volume, read slice by slice.
    cells : iterable of CellRow
        From `helaseg.io.read_cells_csv`; what of a box lies outside the volume is 0.
    out : path-like
        Crops go to ``out/rois/roi_.../raw``.
    progress : Progress, optional
        Called per cell.
    format : {"tiff", "ome-zarr"}
        A folder of TIFF slices or an OME-Zarr image.

    Returns
    -------
    list of Path
        The ``raw`` image of each cell, in the order of `cells`.
    """
    rows = list(cells)
    written = []
    for done, cell in enumerate(rows, start=1):
        folder = Path(out) / "rois" / roi_name(cell)
        written.append(_write_raw(volume.crop_padded(cell.roi), folder, format))
        write_target(folder, target_of(cell))
        if progress:
            progress("crop", done, len(rows))
    return written


def _write_raw(piece: Volume, folder: Path, format: Format) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if format == "tiff":
        path = folder / "raw"
        write_tiff_slices(path, piece.data, piece.grid, prefix=folder.name)
    else:
        path = folder / "raw.ome.zarr"
        write_ome_zarr(path, piece.data, piece.grid, kind="image")
    return path


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
        ``"serial"``, ``"threads[:N]"`` or ``"processes[:N]"``: how many cells
        are segmented at the same time.
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
    JobError
        If the disk is full or a worker died; finished pieces are kept.
    """
    config = config or RunConfig()
    out = Path(out)
    key = fingerprint_of("run", fingerprint(volume), config, __version__)
    with make_executor(executor) as pool:
        journal = claim_output(out, job="run", fingerprint=key, overwrite=overwrite)
        timer = StepTimer()
        cells = _detect(volume, out, config, journal, key, pool, timer, progress)
        folders = _segment_cells(volume, out, cells, config, journal, key, pool, timer, progress)
    _paste(volume, out, cells, folders, journal, key, timer, progress)
    _write_summary(volume, out, config, cells, timer.steps)
    return RunResult(out=out, cells=tuple(cells), segmentations=folders, steps=timer.steps)


def _detect(
    volume: Volume,
    out: Path,
    config: RunConfig,
    journal: Journal,
    key: str,
    pool: WorkerPool,
    timer: StepTimer,
    progress: Progress | None,
) -> list[CellRow]:
    """Detection and its files; the cells are read back, so an edited table is honoured."""
    table = out / "cells.csv"
    if not (journal.is_done("run/detect", key) and table.exists()):
        with _hushed():
            found = classical.detect(volume, config=config, executor=pool, progress=progress)
        cell_of = {d: track.id for track in found.tracks for d in track.detections}
        write_detections_csv(
            out / "detections.csv", found.detections, [cell_of.get(d, 0) for d in found.detections]
        )
        background = found.background
        write_ome_zarr(out / "background.ome.zarr", background.data, background.grid, kind="labels")
        write_overview(volume, out, found)
        write_cells_csv(table, found.tracks, found.rois, volume.grid)
        names = ("detections.csv", "background.ome.zarr", "overview.png", "overview.json")
        outputs = [out / name for name in names]
        values = {"steps": [as_plain(cost) for cost in found.steps]}
        journal.record("run/detect", key, outputs=outputs, values=values)
    _add_costs(timer, journal.values("run/detect"))
    cells = read_cells_csv(table)
    if not cells:
        warnings.warn(
            f"no cell found in {volume.name!r}; look at {out / 'background.ome.zarr'}, lower "
            "'detect.min_radius_nm', or check the voxel size",
            NothingFoundWarning,
            stacklevel=3,
        )
    return cells


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One cell to segment; carries a reference to the volume, not its voxels."""

    volume: Volume
    cell: CellRow
    folder: Path
    config: SegmentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What is journalled of one segmented cell."""

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


def _segment_one(task: _Task) -> _Outcome:
    """Crop and segment one cell; runs in a worker."""
    timer = StepTimer()
    roi = task.cell.roi
    piece = task.volume.crop_padded(roi)
    with timer.measured("crop"):
        raw = _write_raw(piece, task.folder, "tiff")
    target = target_of(task.cell)
    note = write_target(task.folder, target)
    if multiprocessing.parent_process() is not None:
        # A worker process has filters of its own, see `_hushed`.
        warnings.simplefilter("ignore", NothingFoundWarning)
    result = classical.segment(
        piece,
        config=task.config,
        target_vx=target,
        executor=make_executor("serial"),
    )
    with timer.measured("write"):
        files = write_segmentation(task.folder, result)
    steps = result.provenance.steps if result.provenance else ()
    return _Outcome(outputs=(raw, note, *files), steps=(*timer.steps, *steps))


def _segment_cells(
    volume: Volume,
    out: Path,
    cells: Sequence[CellRow],
    config: RunConfig,
    journal: Journal,
    key: str,
    pool: WorkerPool,
    timer: StepTimer,
    progress: Progress | None,
) -> dict[int, Path]:
    """Crop and segment every cell that is not finished yet."""
    folders = {cell.id: out / "rois" / roi_name(cell) for cell in cells}
    prints = {
        cell.id: fingerprint_of(key, cell.roi, cell.centroid_vx, told_resin(cell.flags))
        for cell in cells
    }
    waiting = [c for c in cells if not journal.is_done(f"run/cell/{c.id}", prints[c.id])]
    journal.remove_outputs(f"run/cell/{cell.id}" for cell in waiting)
    tasks = [
        _Task(
            volume=volume,
            cell=cell,
            folder=folders[cell.id],
            config=_for_resin_of(cell, config.segment),
        )
        for cell in waiting
    ]
    done = len(cells) - len(waiting)
    with _hushed():
        for cell, outcome in zip(waiting, ordered_map(pool, _segment_one, tasks), strict=True):
            values = {"steps": [as_plain(cost) for cost in outcome.steps]}
            journal.record(
                f"run/cell/{cell.id}", prints[cell.id], outputs=outcome.outputs, values=values
            )
            done += 1
            if progress:
                progress("cells", done, len(cells))
    for cell in cells:
        _add_costs(timer, journal.values(f"run/cell/{cell.id}"))
    return folders


def _add_costs(timer: StepTimer, values: Mapping[str, Any]) -> None:
    for cost in values["steps"]:
        timer.add(StepCost(**cost))


def _paste(
    volume: Volume,
    out: Path,
    cells: Sequence[CellRow],
    folders: Mapping[int, Path],
    journal: Journal,
    key: str,
    timer: StepTimer,
    progress: Progress | None,
) -> None:
    """Instance labels of the whole volume, from the crops."""
    target = out / "cells.ome.zarr"
    print_ = fingerprint_of(key, [(cell.id, cell.roi) for cell in cells])
    if journal.is_done("run/paste", print_):
        _add_costs(timer, journal.values("run/paste"))
        return
    step = StepTimer()
    with step.measured("paste"), atomic_path(target) as temporary:
        arrays = create_label_zarr(temporary, volume.grid, names=("cell", "nucleus"))
        pieces = [Piece.of(cell, folders[cell.id]) for cell in cells]
        slabs = list(slabs_of(volume.shape, block_shape(arrays["cell"])))
        for done, slab in enumerate(slabs, start=1):
            for name, data in zip(("cell", "nucleus"), paste_slab(pieces, slab), strict=True):
                write_block(arrays[name], slab, data)
            if progress:
                progress("paste", done, len(slabs))
        finish_pyramids(temporary)
    values = {"steps": [as_plain(cost) for cost in step.steps]}
    journal.record("run/paste", print_, outputs=[target], values=values)
    _add_costs(timer, values)


def _write_summary(
    volume: Volume,
    out: Path,
    config: RunConfig,
    cells: Sequence[CellRow],
    steps: Sequence[StepCost],
) -> None:
    overview = json.loads((out / "overview.json").read_text())
    summary = {
        "name": volume.name,
        "grid": as_plain(volume.grid),
        "input": {
            "name": volume.name,
            "shape": volume.shape,
            "voxel_size_nm": volume.grid.voxel_size_nm,
            "fingerprint": fingerprint(volume),
        },
        "n_cells": len(cells),
        "config": as_plain(config),
        "seed": config.seed,
        "versions": installed_versions(),
        "steps": [as_plain(cost) for cost in steps],
        "overview": "overview.png",
        "overview_z": overview["z"],
        "overview_pixel_nm": overview["pixel_nm"],
    }
    with atomic_path(out / "run.json") as target:
        target.write_text(_as_json(summary) + "\n", encoding="utf-8")


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, default=plain_value)
