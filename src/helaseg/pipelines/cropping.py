"""Boxes of many cells cut out of a volume in one pass through its slices."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Roi
from helaseg.core.volume import LabelVolume, Sliceable, Volume
from helaseg.errors import NothingFoundWarning
from helaseg.execution import (
    Journal,
    Progress,
    StepTimer,
    WorkerPool,
    fingerprint_of,
    make_executor,
    ordered_map,
)
from helaseg.io import CellRow, atomic_path, input_state
from helaseg.io.crop_files import CropFile, CropFormat, open_crop_file
from helaseg.io.manifest import relative_names, write_manifest
from helaseg.pipelines.targets import target_of, write_target

#: Checksums of all crops in an output folder.
MANIFEST_NAME = "crops.sha256"

#: Classes of ``labels.tif``, for networks that are trained on them.
_NNUNET_LABELS = {
    "background": 0,
    "cytoplasm": 1,
    "nucleus": 2,
    "nuclear_envelope": 3,
    "other_cells": 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CutBox:
    """A crop that is in place.

    Parameters
    ----------
    cell : CellRow
        Its cell.
    path : Path
        The image.
    outputs : tuple of Path
        The image and what lies beside it: a note where its cell is, see
        `helaseg.pipelines.targets`.
    digests : mapping of Path to str
        SHA-256 of each file of the image.
    """

    cell: CellRow
    path: Path
    outputs: tuple[Path, ...]
    digests: Mapping[Path, str]


def roi_name(cell: CellRow) -> str:
    """Folder of a cell: ``roi_{id}_{row}_{col}_{slice}`` of its centroid."""
    z, y, x = (round(v) for v in cell.centroid_vx)
    return f"roi_{cell.id:03d}_{y}_{x}_{z}"


def slice_numbers_of(volume: Volume, roi: Roi) -> Sequence[int]:
    """The number of each slice of a box, which names its file.

    It is that of the slice in the names of the volume; the place in the volume, from 1,
    where those have none; and the place in the box, from 1, where the box sticks out in z.
    """
    inside = roi.start[0] >= 0 and roi.stop[0] <= volume.shape[0]
    if not inside:
        return range(1, roi.shape[0] + 1)
    numbers = volume.slice_numbers or range(1, volume.shape[0] + 1)
    return numbers[roi.start[0] : roi.stop[0]]


def cut_boxes(
    volume: Volume,
    cells: Iterable[CellRow],
    out: Path | str,
    *,
    format: CropFormat = "tiff",
    mask: LabelVolume | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> Iterator[CutBox]:
    """Cut the boxes of cells out of a volume; each comes when it is in place.

    Parameters
    ----------
    volume : Volume
        The big volume.
    cells : iterable of CellRow
        From `helaseg.io.read_cells_csv`; what of a box lies outside the volume is 0.
    out : path-like
        Crops go to ``out/rois/roi_...``, see `helaseg.io.crop_files.open_crop_file`.
    format : {"tiff", "tiff-stack", "ome-zarr", "nnunet"}
        A folder of TIFF slices, one TIFF stack, an OME-Zarr image, or a case of an
        nnU-Net data set.
    mask : LabelVolume, optional
        Labels of the whole volume, such as those of ``cells.ome.zarr``: what does
        not have the id of the cell becomes 0 in its crop.
    executor : WorkerPool, optional
        Serial or threads: slices are worked on at the same time.
    progress : Progress, optional
        Called as ``progress("crop", done, total)`` per slice of the volume, or per
        layer of chunks.

    Yields
    ------
    CutBox
        In the order in which they end in z.

    Raises
    ------
    GridMismatchError
        If the mask lies on another grid.
    JobError
        If a file cannot be written; crops that were yielded stay, nothing is left of others.

    Notes
    -----
    1. Go through z. From each slice that some box needs, read the smallest window
       that holds them all, once; from chunked volumes read what each box needs of a
       layer of chunks.
    2. Cut the window for each box and write it to the files of its crop, which lie
       beside their place until they are complete.
    3. After the last slice of a box put its files in place.

    In memory are one window per worker and the planes cut from it.
    """
    rows = sorted(cells, key=lambda c: (c.roi.stop[0], c.roi.start, c.id))
    if mask is not None:
        volume.grid.check_agrees(mask.grid, names=("volume", "mask"))
    if format == "nnunet":
        _write_dataset(Path(out) / "nnunet")
    pool = executor or make_executor("serial")
    sources = [volume.data] if mask is None else [volume.data, mask.data]
    depth = max(int(getattr(data, "chunk_depth", 1)) for data in sources)
    layers = _layers([cell.roi for cell in rows], depth)
    open_files: dict[int, CropFile] = {}
    finished = 0

    def opened() -> Iterator[_Layer]:
        """Layers in order; the files of a box are made when its first one comes."""
        waiting = sorted(rows, key=lambda c: c.roi.start[0])
        for layer in layers:
            while waiting and waiting[0].roi.start[0] < layer.stop:
                cell = waiting.pop(0)
                open_files[cell.id] = open_crop_file(
                    Path(out) / "rois" / roi_name(cell),
                    volume.grid.crop(cell.roi),
                    format=format,
                    dtype=volume.data.dtype,
                    numbers=slice_numbers_of(volume, cell.roi),
                )
            inside = [
                c for c in rows if c.roi.start[0] < layer.stop and layer.start < c.roi.stop[0]
            ]
            yield _Layer(zs=layer, boxes=tuple((c, open_files[c.id]) for c in inside))

    def cut(layer: _Layer) -> int:
        _cut_layer(volume, mask, layer, together=depth == 1)
        return layer.zs.stop

    try:
        for done, reached in enumerate(ordered_map(pool, cut, opened()), start=1):
            while finished < len(rows) and rows[finished].roi.stop[0] <= reached:
                cell = rows[finished]
                file = open_files.pop(cell.id)
                digests = file.finish()
                finished += 1
                folder = Path(out) / "rois" / roi_name(cell)
                note = write_target(folder, target_of(cell))
                outputs = (*file.outputs, note)
                yield CutBox(cell=cell, path=file.target, outputs=outputs, digests=digests)
            if progress:
                progress("crop", done, len(layers))
    finally:
        for file in open_files.values():
            file.discard()


class CropCounts(NamedTuple):
    """Numbers of the boxes that were cut, and of crops of dropped cells that were removed."""

    n_cut: int
    n_removed: int


def crop_noted(
    volume: Volume,
    cells: Sequence[CellRow],
    out: Path,
    journal: Journal,
    *,
    job: str,
    source: str,
    listed: Iterable[int] | None = None,
    format: CropFormat = "tiff",
    mask: LabelVolume | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> CropCounts:
    """Cut the boxes that are not there yet, note each in the journal, write the checksums of all.

    Parameters
    ----------
    volume, cells, out, format, mask, executor, progress
        As in `cut_boxes`.
    journal : Journal
        Of the output folder; keys are ``"<job>/crop/<id>"``.
    job : str
        What writes there.
    source : str
        Fingerprint of the volume.
    listed : iterable of int, optional
        Ids whose crops may stay, by default those of `cells`: crops of others, which were
        dropped from the table, are removed.

    Returns
    -------
    CropCounts
    """
    prefix = f"{job}/crop/"
    masked = None if mask is None else input_state(mask)
    prints = {c.id: fingerprint_of(source, c.roi, roi_name(c), format, masked) for c in cells}
    waiting = [c for c in cells if not journal.is_done(f"{prefix}{c.id}", prints[c.id])]
    kept = {f"{prefix}{k}" for k in ((c.id for c in cells) if listed is None else listed)}
    # A box that was edited takes the place of the earlier one.
    journal.remove_outputs(f"{prefix}{c.id}" for c in waiting)
    dropped = [k for k in journal.keys if k.startswith(prefix) and k not in kept]
    n_removed = sum(any(path.exists() for path in journal.outputs(k)) for k in dropped)
    journal.remove_outputs(dropped)
    made = cut_boxes(
        volume, waiting, out, format=format, mask=mask, executor=executor, progress=progress
    )
    while True:
        step = StepTimer()
        with step.measured("crop"):
            box = next(made, None)
        if box is None:
            break
        steps = [asdict(cost) for cost in step.steps]
        journal.record(
            f"{prefix}{box.cell.id}",
            prints[box.cell.id],
            outputs=box.outputs,
            values={"steps": steps, "sha256": relative_names(box.digests, out)},
            digests=box.digests,
        )
    digests: dict[str, str] = {}
    for key in kept & set(journal.keys):
        if all(path.exists() for path in journal.outputs(key)):
            digests |= journal.values(key)["sha256"]
    write_manifest(out / MANIFEST_NAME, digests)
    return CropCounts(n_cut=len(waiting), n_removed=n_removed)


def warn_of_other_labels(mask: LabelVolume, cells: Iterable[CellRow]) -> None:
    """Warn of cells whose place has not their id in a mask: it may be of other cells.

    Warns
    -----
    NothingFoundWarning
        Naming the cells.
    """
    other = []
    for cell in cells:
        place = tuple(
            min(max(round(c), 0), n - 1) for c, n in zip(cell.centroid_vx, mask.shape, strict=True)
        )
        if int(mask.data[place]) != cell.id:
            other.append(str(cell.id))
    if other:
        msg = (
            f"the mask does not have the cells {', '.join(other)} at their centroids: their crops "
            "may be empty, or show another cell; give labels with the ids of cells.csv"
        )
        warnings.warn(msg, NothingFoundWarning, stacklevel=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """Slices that are read together, and the boxes that need some of them."""

    zs: range
    boxes: tuple[tuple[CellRow, CropFile], ...]


def _layers(boxes: Sequence[Roi], depth: int) -> list[range]:
    """Layers of `depth` slices that some box needs."""
    needed = {
        z // depth for box in boxes for z in range(box.start[0], box.stop[0]) if box.shape[0] > 0
    }
    return [range(k * depth, (k + 1) * depth) for k in sorted(needed)]


def _cut_layer(volume: Volume, mask: LabelVolume | None, layer: _Layer, *, together: bool) -> None:
    """Read a layer, for all boxes together or for each by itself, and write their parts."""
    for boxes in (layer.boxes,) if together else ((box,) for box in layer.boxes):
        window = _around([cell.roi for cell, _ in boxes], volume.shape)
        for z in layer.zs:
            here = [(c, file) for c, file in boxes if c.roi.start[0] <= z < c.roi.stop[0]]
            if not here:
                continue
            grey = _read(volume.data, z, window)
            labels = None if mask is None else _read(mask.data, z, window)
            for cell, file in here:
                file.put(z - cell.roi.start[0], _plane(cell, grey, labels, window))


def _around(boxes: Sequence[Roi], shape: tuple[int, int, int]) -> tuple[slice, slice]:
    """The smallest window (y, x) of a slice of the volume that holds all boxes."""
    clipped = [box.clip(shape) for box in boxes]
    y, x = (
        slice(min(box.start[a] for box in clipped), max(box.stop[a] for box in clipped))
        for a in (1, 2)
    )
    return y, x


def _read(data: Sliceable, z: int, window: tuple[slice, slice]) -> NDArray[Any]:
    """A window of a slice; outside of the volume it is 0."""
    if 0 <= z < data.shape[0]:
        return np.asarray(data[(z, *window)])
    return np.zeros(tuple(max(0, s.stop - s.start) for s in window), data.dtype)


def _plane(
    cell: CellRow,
    grey: NDArray[Any],
    labels: NDArray[Any] | None,
    window: tuple[slice, slice],
) -> NDArray[Any]:
    """Cut the plane of a box out of a window; outside of the window it is 0."""
    both, here = [], []
    for a, b, part in zip(cell.roi.start[1:], cell.roi.stop[1:], window, strict=True):
        low, high = max(a, part.start), max(a, part.start, min(b, part.stop))
        both.append(slice(low - part.start, high - part.start))
        here.append(slice(low - a, high - a))
    inside = grey[tuple(both)]
    if labels is not None:
        inside = np.where(labels[tuple(both)] == cell.id, inside, 0).astype(grey.dtype)
    if inside.shape == cell.roi.shape[1:]:
        return np.ascontiguousarray(inside)
    plane = np.zeros(cell.roi.shape[1:], grey.dtype)
    plane[tuple(here)] = inside
    return plane


def _write_dataset(folder: Path) -> None:
    """Write the description that nnU-Net reads of a data set."""
    described = {
        "channel_names": {"0": "EM"},
        "labels": _NNUNET_LABELS,
        "numTraining": 0,
        "file_ending": ".tif",
    }
    with atomic_path(folder / "dataset.json") as part:
        part.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
