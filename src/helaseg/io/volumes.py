"""`open_volume`: any image on disk as a lazy `Volume`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from helaseg.core.volume import Volume
from helaseg.errors import DataFormatError, ParameterError
from helaseg.io.lazy import LazyArray
from helaseg.io.mrc import open_mrc
from helaseg.io.npy import open_npy
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
        A folder of single-page TIFF slices, a TIFF stack (also ImageJ, OME-TIFF,
        BigTIFF), an OME-Zarr image, a zarr array, ``.npy`` or ``.mrc``.
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
    return Volume(
        data=data,
        grid=geometry.grid(str(path), data.shape, voxel_size_nm),
        name=path.name if name is None else name,
        slice_numbers=numbers,
    )


def _open(
    path: Path, *, level: int, allow_gaps: bool
) -> tuple[LazyArray, Geometry, tuple[int, ...]]:
    if not path.exists():
        msg = f"{path} does not exist; give a file or a folder of slices"
        raise DataFormatError(msg)
    if path.is_dir():
        # zarr takes half a second to import, which TIFF users need not wait for.
        if any((path / mark).is_file() for mark in ZARR_MARKS):
            from helaseg.io.ome_zarr import open_ome_zarr

            return *open_ome_zarr(path, level=level), ()
        files = [
            file
            for file in path.iterdir()
            if file.suffix.lower() in TIFF_ENDINGS and not file.name.startswith(".")
        ]
        if not files:
            msg = f"{path} holds no TIFF slices (.tif, .tiff) and is no zarr folder"
            raise DataFormatError(msg)
        _check_level(path, level)
        return open_tiff_folder(path, files, allow_gaps=allow_gaps)
    _check_level(path, level)
    ending = path.suffix.lower()
    if ending in TIFF_ENDINGS:
        return *open_tiff(path), ()
    if ending == ".npy":
        return *open_npy(path), ()
    if ending in _MRC_ENDINGS:
        return *open_mrc(path), ()
    msg = (
        f"{path} has the unknown ending {ending!r}; known are TIFF (.tif, .tiff), "
        "folders of TIFF slices, OME-Zarr, .npy and .mrc"
    )
    raise DataFormatError(msg)


def _check_level(path: Path, level: int) -> None:
    if level:
        msg = f"{path} has level 0 only (levels are for OME-Zarr), got level {level}"
        raise DataFormatError(msg)
