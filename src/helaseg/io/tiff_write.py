"""TIFF stacks and slices that Fiji opens with their voxel size."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from helaseg._validate import check_choice, check_shape_match
from helaseg.core.grid import Grid
from helaseg.core.volume import Sliceable
from helaseg.errors import OutputExistsError, ParameterError
from helaseg.io.atomic import atomic_path

Compression = Literal["zlib", "zstd"] | None

#: What ImageJ opens, and what only OME-TIFF knows.
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_TYPES = ("int8", "int16", "int32", "uint32", "float64")
#: Classic TIFF ends at 4 GB; room for directories is kept free.
_CLASSIC_BYTES = 2**32 - 2**25
_STRIP_BYTES = 2**18


def write_tiff(
    path: str | os.PathLike[str],
    data: Sliceable,
    grid: Grid,
    *,
    compression: Compression = "zlib",
) -> None:
    """Write a volume as one TIFF stack, slice by slice.

    Parameters
    ----------
    path : path-like
        The file; it is replaced as a whole.
    data : sliceable, shape (Z, Y, X)
        The voxels; bools are written as uint8 0 and 1.
    grid : Grid
        Voxel size and offset, kept in the file.
    compression : {"zlib", "zstd", None}
        zlib (level 1) makes labels small and is read by Fiji; None is fastest
        for grey values, which hardly compress; Fiji does not read zstd.

    Raises
    ------
    ParameterError
        If `data` do not have the shape of `grid`, or no voxels.
    JobError
        If a file cannot be written; nothing half-written is left.

    Notes
    -----
    uint8, uint16 and float32 up to 4 GB get a description as ImageJ writes it:
    ``unit=nm``, ``spacing`` and resolution hold the voxel size, ``xorigin, yorigin,
    zorigin`` (in voxels) the offset. What is larger, and other types of OME, become
    OME-TIFF (BigTIFF over 4 GB uncompressed) with ``PhysicalSize`` and plane
    positions. 64-bit integers and float16, which Fiji does not open, get the
    description of ImageJ too. `open_volume` reads all of them back.
    """
    _check(data, grid, compression)
    with atomic_path(path) as part:
        _write(part, data, grid, compression)


def write_tiff_slices(
    folder: str | os.PathLike[str],
    data: Sliceable,
    grid: Grid,
    *,
    prefix: str,
    first_number: int = 1,
    compression: Compression = None,
) -> None:
    """Write a volume as a folder of single-page TIFFs, ``{prefix}_z0001.tif`` and so on.

    Parameters
    ----------
    folder : path-like
        The folder; an earlier one of the same slices is replaced as a whole.
    data : sliceable, shape (Z, Y, X)
        The voxels; bools are written as uint8 0 and 1.
    grid : Grid
        Voxel size and offset, kept in each file.
    prefix : str
        Start of the file names.
    first_number : int
        Number of the first slice.
    compression : {"zlib", "zstd", None}
        As in `write_tiff`.

    Raises
    ------
    OutputExistsError
        If the folder holds anything but slices with this prefix.
    ParameterError
        If `data` do not have the shape of `grid`, or no voxels.
    JobError
        If a file cannot be written; nothing half-written is left.
    """
    _check(data, grid, compression)
    if first_number < 0:
        msg = f"'first_number' must not be negative, got {first_number}"
        raise ParameterError(msg)
    folder = Path(folder)
    _check_folder(folder, prefix)
    with atomic_path(folder) as part:
        part.mkdir()
        for z in range(grid.shape[0]):
            plane = np.asarray(data[z : z + 1, :, :])
            name = slice_name(prefix, first_number + z)
            _write(part / name, plane, _slice_grid(grid, z), compression)


def slice_name(prefix: str, number: int) -> str:
    """File name of one slice of a folder."""
    return f"{prefix}_z{number:04d}.tif"


def encode_slice(plane: NDArray[Any], grid: Grid, z: int) -> bytes:
    """Slice z of a volume on a grid as the bytes of a raw single-page TIFF."""
    buffer = io.BytesIO()
    _write(buffer, plane[None], _slice_grid(grid, z), None)
    return buffer.getvalue()


def allocate_tiff(path: Path, grid: Grid, dtype: Any) -> int:
    """Make a raw TIFF stack of zeros; returns the byte offset of its first voxel.

    Voxels lie in one piece in C order, little-endian, to be written at any place.

    Raises
    ------
    ParameterError
        If the volume is one pixel wide, which TIFF stores page by page.
    """
    if grid.shape[2] < 2 or grid.n_voxels == 0:
        msg = f"'grid' must be two voxels wide or more for a TIFF stack, got {grid.shape}"
        raise ParameterError(msg)
    dtype = np.dtype(dtype).newbyteorder("<")
    _write(path, None, grid, None, dtype=dtype)
    with tifffile.TiffFile(path) as tif:
        offset = tif.series[0].dataoffset
    assert offset is not None
    return int(offset)


def _check(data: Sliceable, grid: Grid, compression: Compression) -> None:
    check_choice("compression", compression, ("zlib", "zstd", None))
    check_shape_match("data", tuple(data.shape), "grid", grid.shape)
    if grid.n_voxels == 0 or np.dtype(data.dtype).kind not in "buif":
        msg = (
            "'data' must hold at least one voxel of an integer or float type, "
            f"got shape {grid.shape} of {data.dtype}"
        )
        raise ParameterError(msg)


def _check_folder(folder: Path, prefix: str) -> None:
    if not folder.exists():
        return
    mine = re.compile(re.escape(prefix) + r"_z\d+\.tif")
    foreign = [] if folder.is_dir() else [folder.name]
    if folder.is_dir():
        foreign = sorted(f.name for f in folder.iterdir() if not mine.fullmatch(f.name))
    if foreign:
        msg = (
            f"{folder} holds other files ({foreign[0]}); write the slices to a folder of their own"
        )
        raise OutputExistsError(msg)


def _slice_grid(grid: Grid, z: int) -> Grid:
    offset = tuple(float(v) for v in grid.to_nm((z, 0, 0)))
    return Grid(
        shape=(1, *grid.shape[1:]),
        voxel_size_nm=grid.voxel_size_nm,
        offset_nm=offset,  # type: ignore[arg-type]
    )


def _write(
    path: Path | io.BytesIO,
    data: Sliceable | None,
    grid: Grid,
    compression: Compression,
    dtype: Any = None,
) -> None:
    """Write voxels, or room for those of a type."""
    dtype = np.dtype(dtype if data is None else data.dtype)
    dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    big = grid.n_voxels * dtype.itemsize > _CLASSIC_BYTES
    row_bytes = grid.shape[2] * dtype.itemsize
    if grid.shape[2] == 1 and compression is None:
        # tifffile writes columns of one pixel page by page only, with gaps between raw pages.
        compression = "zlib"
    is_ome = dtype.name in _OME_TYPES or (big and dtype.name in _IMAGEJ_TYPES)
    is_ome = is_ome and grid.shape[2] > 1
    _, y_nm, x_nm = grid.voxel_size_nm
    options: dict[str, Any] = {
        "photometric": "minisblack",
        "compression": compression,
        "compressionargs": {"level": 1} if compression else None,
        "rowsperstrip": max(1, _STRIP_BYTES // row_bytes) if compression else None,
        # ImageJ counts pixels per its unit, which is nm here, OME-TIFF per centimetre.
        "resolution": (1e7 / x_nm, 1e7 / y_nm) if is_ome else (1 / x_nm, 1 / y_nm),
        "resolutionunit": "CENTIMETER" if is_ome else "NONE",
        "metadata": _ome_metadata(grid) if is_ome else None,
        "maxworkers": 1,
    }
    description = None if is_ome else _imagej_description(grid)
    planes = None if data is None else _planes(data, dtype)
    with tifffile.TiffWriter(path, bigtiff=big, byteorder="<", ome=is_ome) as writer:
        if is_ome or compression is None:
            # Raw stacks must lie in one piece: ImageJ looks at the first directory only.
            options |= {"description": description, "shape": grid.shape, "dtype": dtype}
            writer.write(planes, **options)
        else:
            for plane in planes or ():
                writer.write(plane, description=description, **options)
                description = None


def _planes(data: Sliceable, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    for z in range(data.shape[0]):
        yield np.ascontiguousarray(data[z, :, :], dtype=dtype)


def _imagej_description(grid: Grid) -> str | None:
    n = grid.shape[0]
    described: dict[str, Any] = {"ImageJ": "1.54", "images": n, "slices": n}
    described |= {"unit": "nm", "spacing": grid.slice_nm, "loop": "false"}
    for axis, offset, size in zip("zyx", grid.offset_nm, grid.voxel_size_nm, strict=True):
        if offset:
            described[f"{axis}origin"] = -offset / size
    return "".join(f"{key}={value}\n" for key, value in described.items())


def _ome_metadata(grid: Grid) -> dict[str, Any]:
    described: dict[str, Any] = {"axes": "ZYX"}
    plane: dict[str, Any] = {}
    n = grid.shape[0]
    for i, axis in enumerate("ZYX"):
        described[f"PhysicalSize{axis}"] = grid.voxel_size_nm[i]
        described[f"PhysicalSize{axis}Unit"] = "nm"
        start, step = grid.offset_nm[i], grid.slice_nm if axis == "Z" else 0.0
        plane[f"Position{axis}"] = [start + step * z for z in range(n)]
        plane[f"Position{axis}Unit"] = ["nm"] * n
    return described | ({"Plane": plane} if any(grid.offset_nm) else {})
