"""MRC2014 files: a header of 1024 bytes, then raw samples."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from helaseg.errors import DataFormatError, DoubtfulDataWarning
from helaseg.io.lazy import MappedArray
from helaseg.io.units import Geometry, rounded

_HEADER_BYTES = 1024
_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_IMOD_STAMP = 1146047817


def open_mrc(path: Path) -> tuple[MappedArray, Geometry]:
    """An MRC file, mapped into memory.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    MappedArray, Geometry
        The volume as stored (first row first) and its voxel size.

    Raises
    ------
    DataFormatError
        If it is no MRC file, is cut short, holds complex or packed samples or
        axes in another order than x fastest.

    Notes
    -----
    The voxel size is the size of the cell (``CELLA``, in ångström) over the
    sampling (``MX, MY, MZ``). A cell of zero, or of exactly 1 Å per voxel along
    all axes, is what programs write that do not know the voxel size; it is not
    believed. Mode 0 is signed as the standard says, unless the header carries the
    stamp of IMOD without its flag for signed bytes, or states grey values that only
    unsigned bytes reach, which is warned of. Origins are not read: programs
    disagree about their sign.

    References
    ----------
    Cheng et al. (2015), MRC2014: extensions to the MRC format header for electron
    cryo-microscopy and tomography, J. Struct. Biol. 192, 146-150.
    doi:10.1016/j.jsb.2015.04.002
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        msg = f"{path} is no MRC file: it has {len(header)} bytes, a header has {_HEADER_BYTES}"
        raise DataFormatError(msg)
    order = _byte_order(path, header)

    def numbers(word: int, n: int, kind: str) -> list[Any]:
        return np.frombuffer(header, f"{order}{kind}4", n, 4 * (word - 1)).tolist()

    nx, ny, nz, mode = numbers(1, 4, "i")
    if mode not in _TYPES:
        known = ", ".join(str(m) for m in _TYPES)
        msg = f"{path} has MRC mode {mode}, known are {known}; convert it to one of them"
        raise DataFormatError(msg)
    if min(nx, ny, nz) < 1:
        msg = f"{path} is no MRC file: it states a shape of {nz} x {ny} x {nx}"
        raise DataFormatError(msg)
    if (axes := numbers(17, 3, "i")) not in ([1, 2, 3], [0, 0, 0]):
        msg = f"{path} must store x fastest, then y, then z, its axis order is {axes}"
        raise DataFormatError(msg)
    kind = _TYPES[mode]
    if mode == 0 and numbers(39, 1, "i")[0] == _IMOD_STAMP and not numbers(40, 1, "i")[0] & 1:
        kind = "u1"
    elif mode == 0 and numbers(39, 1, "i")[0] != _IMOD_STAMP:
        smallest, largest = numbers(20, 2, "f")
        if 0 <= smallest <= largest <= 255 and largest > 127:
            kind = "u1"
            msg = (
                f"{path} is read as unsigned bytes: its header states grey values up to "
                f"{largest:g}, which the signed bytes of MRC mode 0 do not reach"
            )
            warnings.warn(msg, DoubtfulDataWarning, stacklevel=2)
    data = MappedArray(
        path=path,
        offset=_HEADER_BYTES + max(0, numbers(24, 1, "i")[0]),
        shape=(nz, ny, nx),
        dtype=np.dtype(order + kind),
    )
    return data, _geometry(numbers(11, 3, "f"), numbers(8, 3, "i"))


def _byte_order(path: Path, header: bytes) -> str:
    """From the machine stamp; where that is missing, the order that gives a known mode."""
    first = header[212]
    if first in (0x44, 0x41):
        return "<"
    if first == 0x11:
        return ">"
    for order in "<>":
        if int(np.frombuffer(header, f"{order}i4", 1, 12)[0]) in _TYPES:
            return order
    msg = f"{path} is no MRC file: neither machine stamp nor mode is known"
    raise DataFormatError(msg)


def _geometry(cell_angstrom: list[float], sampling: list[int]) -> Geometry:
    sizes = [
        rounded(0.1 * length / n) if n > 0 and length > 0 and np.isfinite(length) else None
        for length, n in zip(cell_angstrom, sampling, strict=True)
    ]
    if sizes == [0.1, 0.1, 0.1]:
        return Geometry()
    x, y, z = sizes
    return Geometry(voxel_size_nm=(z, y, x))
