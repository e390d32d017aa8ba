"""`open_volume`: any image on disk as a lazy `Volume`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from helaseg.core.results import JOURNAL_NAME
from helaseg.core.volume import Volume
from helaseg.errors import DataFormatError, ParameterError
from helaseg.io.declared_size import check_declared_size
from helaseg.io.lazy import LazyArray
from helaseg.io.mrc import open_mrc
from helaseg.io.npy import open_npy
from helaseg.io.png import open_png_slices
from helaseg.io.regular_file import check_regular_file
from helaseg.io.tiff import TIFF_ENDINGS, open_tiff, open_tiff_folder
from helaseg.io.units import Geometry

#: Files of which one lies in every zarr folder.
ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")
_MRC_ENDINGS = (".mrc", ".rec", ".map")


def open_volume(
    path: str | os.PathLike[str],
    voxel_size_nm: Any = None,
    *,
    level: int = 0,
    allow_gaps: bool = False,
    name: str | None = None,
) -> Volume:
    """Open an image; voxels are read when they are asked for.

    Parameters
    ----------
    path : path-like
        A folder of single-page TIFF or of PNG slices, a TIFF stack (also ImageJ,
        OME-TIFF, BigTIFF), an OME-Zarr image, a zarr array, ``.npy`` or ``.mrc``.
    voxel_size_nm : sequence of three floats, optional
        Voxel size z, y, x in nm at the level that is opened. It wins over what
        the file says.
    level : int
        Pyramid level of an OME-Zarr image, 0 is full resolution.
    allow_gaps : bool
        Take the slices of a folder as neighbours although numbers are missing.
    name : str, optional
        Name of the volume; by default that of the file or folder.

    Returns
    -------
    Volume
        Its data have the type of the file (see `to_uint8`); `slice_numbers` are
        the numbers in the file names of a folder.

    Raises
    ------
    MissingVoxelSizeError
        If neither the file nor the caller gives the voxel size.
    MissingSlicesError
        If slice numbers of a folder are missing and `allow_gaps` is not set.
    DataFormatError
        If there is no such path, or it is not one grey volume.
    """
    path = Path(path)
    if not isinstance(level, int) or level < 0:
        msg = f"'level' must be an integer from 0, got {level!r}"
        raise ParameterError(msg)
    try:
        data, geometry, numbers = _open(path, level=level, allow_gaps=allow_gaps)
    except OSError as error:
        msg = f"{path} cannot be opened: {error.strerror or error}"
        raise DataFormatError(msg) from error
    if 0 in data.shape:
        msg = f"{path} holds no voxels, its shape is {data.shape}"
        raise DataFormatError(msg)
    n_y, n_x = data.shape[1:]
    check_declared_size(path, n_y * n_x * data.dtype.itemsize, "a slice")
    return Volume(
        data=data,
        grid=geometry.grid(str(path), data.shape, voxel_size_nm),
        name=path.name if name is None else name,
        slice_numbers=numbers,
    )


def _open(
    path: Path, *, level: int, allow_gaps: bool
) -> tuple[LazyArray, Geometry, tuple[int, ...]]:
    if path.is_dir():
        # zarr takes half a second to import, which TIFF users need not wait for.
        if any((path / mark).is_file() for mark in ZARR_MARKS):
            from helaseg.io.ome_zarr import open_ome_zarr

            return *open_ome_zarr(path, level=level), ()
        _check_level(path, level)
        return _open_slices(path, allow_gaps=allow_gaps)
    check_regular_file(path)
    _check_level(path, level)
    ending = path.suffix.lower()
    if ending in TIFF_ENDINGS:
        return *open_tiff(path), ()
    if ending == ".png":
        return open_png_slices(path.parent, [path], allow_gaps=True)
    if ending == ".npy":
        return *open_npy(path), ()
    if ending in _MRC_ENDINGS:
        return *open_mrc(path), ()
    msg = (
        f"{path} has the unknown ending {ending!r}; known are TIFF (.tif, .tiff), "
        "folders of TIFF or PNG slices, OME-Zarr, .npy and .mrc"
    )
    raise DataFormatError(msg)


def _open_slices(folder: Path, *, allow_gaps: bool) -> tuple[LazyArray, Geometry, tuple[int, ...]]:
    if (folder / JOURNAL_NAME).is_file():
        msg = (
            f"{folder} is an output folder of helaseg, not an image; give the image, or one "
            "of the crops (rois/roi_.../raw)"
        )
        raise DataFormatError(msg)
    visible = [file for file in folder.iterdir() if not file.name.startswith(".")]
    tiffs = [file for file in visible if file.suffix.lower() in TIFF_ENDINGS]
    if tiffs:  # a PNG beside them is a picture of something
        return open_tiff_folder(folder, tiffs, allow_gaps=allow_gaps)
    pngs = [file for file in visible if file.suffix.lower() == ".png"]
    if pngs:
        return open_png_slices(folder, pngs, allow_gaps=allow_gaps)
    inside = sorted(
        p.name for p in visible if (p.is_dir() and any(p.glob("*.tif"))) or p.suffix == ".zarr"
    )
    hint = f"; {inside[0]} in it does" if inside else ""
    msg = f"{folder} holds no slices (.tif, .tiff, .png) and is not a zarr folder{hint}"
    raise DataFormatError(msg)


def _check_level(path: Path, level: int) -> None:
    if level:
        msg = f"{path} has level 0 only (levels are for OME-Zarr), got level {level}"
        raise DataFormatError(msg)
