"""NumPy files, mapped into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from helaseg.errors import DataFormatError
from helaseg.io.lazy import MappedArray
from helaseg.io.units import Geometry

_MAGIC = b"\x93NUMPY"


def open_npy(path: Path) -> tuple[MappedArray, Geometry]:
    """A .npy file with two or three axes.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    MappedArray, Geometry
        The volume (two axes are one slice); the voxel size is not stated.

    Raises
    ------
    DataFormatError
        If it cannot be read, or holds other axes or types.
    """
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start != _MAGIC:
        what = "an archive (.npz); save the volume alone" if start[:2] == b"PK" else "damaged"
        msg = f"{path} is not a .npy file: it starts with {start!r} and is {what}"
        raise DataFormatError(msg)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        # The header is parsed as Python: damaged ones lead to errors of any type.
        reason = str(error).partition("\n")[0]
        msg = f"{path} cannot be read as .npy ({reason}); it is damaged, copy it again"
        raise DataFormatError(msg) from error
    if (
        not isinstance(array, np.memmap)
        or array.ndim not in (2, 3)
        or array.dtype.kind not in "buif"
    ):
        msg = (
            f"{path} must hold numbers along z, y, x (or y, x), "
            f"it holds {array.dtype} of shape {array.shape}"
        )
        raise DataFormatError(msg)
    order = "C" if array.flags.c_contiguous else "F"
    shape = array.shape if array.ndim == 3 else (1, *array.shape)
    data = MappedArray(
        path=path,
        offset=array.offset,
        shape=shape,
        dtype=array.dtype,
        order=order,  # type: ignore[arg-type]
    )
    return data, Geometry()
