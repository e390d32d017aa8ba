"""Boxes of many cells cut out of a volume in one pass through its slices."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Roi
from helaseg.core.volume import LabelVolume, Sliceable, Volume
from helaseg.errors import NothingFoundWarning
from helaseg.execution import Progress, WorkerPool, make_executor, ordered_map
from helaseg.io import CellRow, atomic_path
from helaseg.io.crop_files import CropFile, CropFormat, open_crop_file
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
        If the disk refuses; crops that were yielded stay, nothing is left of others.

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


def crop(
    volume: Volume,
    cells: Iterable[CellRow],
    out: Path | str,
    *,
    format: CropFormat = "tiff",
    mask: LabelVolume | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Cut the boxes of cells out of a volume, all at once.

    Parameters and errors are those of `cut_boxes`.

    Returns
    -------
    list of Path
        The image of each cell, in the order of `cells`.
    """
    rows = list(cells)
    made = cut_boxes(
        volume, rows, out, format=format, mask=mask, executor=executor, progress=progress
    )
    paths = {box.cell.id: box.path for box in made}
    return [paths[cell.id] for cell in rows]


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
    """What a box holds of a window; outside of the window it is 0."""
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
    """What nnU-Net wants to know of a data set."""
    described = {
        "channel_names": {"0": "EM"},
        "labels": _NNUNET_LABELS,
        "numTraining": 0,
        "file_ending": ".tif",
    }
    with atomic_path(folder / "dataset.json") as part:
        part.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
