"""Contents of the output folder of a run, read as far as they are there."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from helaseg._validate import as_int_zyx, as_zyx
from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import Detection, Track
from helaseg.core.results import SegmentationResult
from helaseg.core.seams import Seam
from helaseg.core.volume import Volume
from helaseg.errors import DataFormatError, HelasegError, ParameterError
from helaseg.io import CellRow, open_volume, read_cells_csv, read_detections_csv
from helaseg.io.json_file import read_record
from helaseg.io.seam_table import read_seams_csv

_ROI_FOLDER = re.compile(r"roi_(\d+)(?:_|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The parts of a run that a page shows; what is missing is empty.

    Parameters
    ----------
    path : Path
        The folder.
    info : mapping
        Content of ``run.json``.
    grid : Grid, optional
        Of the whole volume.
    cells : tuple of CellRow
        Rows of ``cells.csv``.
    tracks : tuple of Track
        The same cells with their points from ``detections.csv``.
    rois : mapping of int to Roi
        Box of each cell.
    cell_folders : mapping of int to Path
        Folder of each cell that was cropped.
    overview : array, optional
        A reduced slice of the whole field, shape (rows, columns).
    overview_z : int, optional
        Its slice index.
    overview_pixel_nm : float, optional
        Its pixel size.
    notes : tuple of str
        What could not be read, for the reader of the page.
    seams : tuple of Seam, optional
        Rows of ``seams.csv``, the worst first.
    """

    path: Path
    info: Mapping[str, Any] = field(default_factory=dict)
    grid: Grid | None = None
    cells: tuple[CellRow, ...] = ()
    tracks: tuple[Track, ...] = ()
    rois: Mapping[int, Roi] = field(default_factory=dict)
    cell_folders: Mapping[int, Path] = field(default_factory=dict)
    overview: NDArray[Any] | None = None
    overview_z: int | None = None
    overview_pixel_nm: float | None = None
    notes: tuple[str, ...] = ()
    seams: tuple[Seam, ...] | None = None


def read_run_folder(path: Path) -> RunFolder:
    """Collect what a run left in its output folder.

    Raises
    ------
    DataFormatError
        If the folder holds neither ``cells.csv`` nor ``run.json``, or one of
        them cannot be read.
    """
    path = Path(path)
    if not (path / "cells.csv").is_file() and not (path / "run.json").is_file():
        msg = f"{path} is no output of a run: neither cells.csv nor run.json is there"
        raise DataFormatError(msg)
    notes: list[str] = []
    info = _read_json(path / "run.json")
    grid = _grid(info)
    table = path / "cells.csv"
    cells = read_cells_csv(table, grid=grid) if table.is_file() else []
    points = _read_points(path / "detections.csv", notes) if cells else {}
    tracks = []
    for cell in cells:
        # A cell without points (an edited table) is shown at its centroid.
        z, y, x = cell.centroid_vx
        at_centroid = Detection(z=round(z), y=y, x=x, radius_nm=cell.radius_nm)
        seen = tuple(points.get(cell.id, {round(z): at_centroid}).values())
        tracks.append(Track(id=cell.id, detections=seen, flags=cell.flags))
    image, z_index, pixel_nm = _overview(path, info, grid, notes)
    return RunFolder(
        path=path,
        info=info,
        grid=grid,
        cells=tuple(cells),
        tracks=tuple(tracks),
        rois={cell.id: cell.roi for cell in cells},
        cell_folders=_cell_folders(path / "rois"),
        overview=image,
        overview_z=z_index,
        overview_pixel_nm=pixel_nm,
        notes=tuple(notes),
        seams=tuple(read_seams_csv(path / "seams.csv")) if (path / "seams.csv").is_file() else None,
    )


def open_raw(folder: Path, result: SegmentationResult) -> Volume | None:
    """The image crop beside a segmentation, on its grid; None where there is none that fits."""
    for name in ("raw", "raw.ome.zarr", "raw.tif"):
        if not (folder / name).exists():
            continue
        try:
            raw = open_volume(
                folder / name, voxel_size_nm=result.labels.grid.voxel_size_nm, allow_gaps=True
            )
        except HelasegError:
            continue
        if raw.shape == result.labels.shape:
            return on_grid(raw, result.labels.grid)
    return None


def on_grid(raw: Volume, grid: Grid) -> Volume:
    """The image at the place of the labels: TIFF files do not say where a crop lies.

    Raises
    ------
    GridMismatchError
        If shape or voxel size differ.
    """
    placed = dataclasses.replace(raw.grid, offset_nm=grid.offset_nm)
    placed.check_agrees(grid, names=("raw", "labels"))
    return dataclasses.replace(raw, grid=grid)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return read_record(path, advice="remove it and run again")


def _grid(info: Mapping[str, Any]) -> Grid | None:
    """The grid of the whole volume, from the keys ``grid`` or ``input``."""
    for part in (info.get("grid"), info.get("input")):
        if isinstance(part, Mapping) and "shape" in part and "voxel_size_nm" in part:
            try:
                return Grid(
                    shape=as_int_zyx("shape", part["shape"]),
                    voxel_size_nm=as_zyx("voxel_size_nm", part["voxel_size_nm"], positive=True),
                    offset_nm=as_zyx("offset_nm", part.get("offset_nm") or (0.0, 0.0, 0.0)),
                )
            except ParameterError as error:
                msg = f"run.json does not state the grid of its volume ({error}); run again"
                raise DataFormatError(msg) from error
    return None


def _read_points(path: Path, notes: list[str]) -> dict[int, dict[int, Detection]]:
    """Detections by cell and slice in the order of z; points of no cell are left out."""
    if not path.is_file():
        notes.append("There is no detections.csv: each cell is drawn at its centroid only.")
        return {}
    try:
        detections, cell_ids = read_detections_csv(path)
    except DataFormatError as error:
        notes.append(f"Each cell is drawn at its centroid only: {error}.")
        return {}
    points: dict[int, dict[int, Detection]] = {}
    for cell_id, point in sorted(zip(cell_ids, detections, strict=True), key=lambda p: p[1].z):
        if cell_id > 0:
            points.setdefault(cell_id, {})[point.z] = point
    return points


def _overview(
    path: Path, info: Mapping[str, Any], grid: Grid | None, notes: list[str]
) -> tuple[NDArray[Any] | None, int | None, float | None]:
    name = info.get("overview") or "overview.png"
    file = (path / str(name)).resolve()
    inside = file.is_relative_to(path.resolve())
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED) if inside and file.is_file() else None
    if image is not None:
        z, pixel = info.get("overview_z"), info.get("overview_pixel_nm")
        grey = image if image.ndim == 2 else image[..., :3].mean(axis=2)
        return grey, None if z is None else int(z), None if pixel is None else float(pixel)
    notes.append("There is no overview picture: the field shows the background mask, if any.")
    return _background_slice(path / "background.ome.zarr", grid)


def _background_slice(
    path: Path, grid: Grid | None
) -> tuple[NDArray[Any] | None, int | None, float | None]:
    """The middle slice of the coarse resin mask, where it lies, and its pixel size."""
    try:
        mask = open_volume(path)
    except HelasegError:
        return None, None, None
    k = mask.shape[0] // 2
    z = None if grid is None else round(grid.to_vx(mask.grid.to_nm((k, 0, 0)))[0])
    return (mask.slice(k) != 0).astype(np.float32), z, mask.grid.pixel_nm


def _cell_folders(path: Path) -> dict[int, Path]:
    if not path.is_dir():
        return {}
    found = {}
    for folder in sorted(path.iterdir()):
        match = _ROI_FOLDER.match(folder.name)
        # A cell whose box was moved leaves an empty folder behind.
        if match and folder.is_dir() and any(folder.iterdir()):
            found[int(match.group(1))] = folder
    return found
