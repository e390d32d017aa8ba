"""Ground truth from MATLAB files."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._optional import require
from helaseg.errors import DataFormatError, HelasegError
from helaseg.io.declared_size import check_declared_size
from helaseg.io.mat_structure import check_mat_structure
from helaseg.io.regular_file import check_regular_file

#: Bytes of a number of each of MATLAB's classes.
_BYTES = {"double": 8, "single": 4, "logical": 1} | {
    f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def read_mat(path: str | os.PathLike[str], variable: str | None = None) -> NDArray[Any]:
    """An image or a volume from a MATLAB file.

    Parameters
    ----------
    path : path-like
        A .mat file of version 5 to 7, or 7.3 if h5py is installed.
    variable : str, optional
        Name of the variable; needed only if several hold images.

    Returns
    -------
    ndarray, shape (Y, X) or (Z, Y, X)
        MATLAB's (rows, columns, slices) as z, y, x.

    Raises
    ------
    DataFormatError
        If the file cannot be read, or holds no such variable, or several
        candidates.
    MissingExtraError
        For version 7.3 without h5py.
    """
    path = check_regular_file(path)
    with path.open("rb") as file:
        is_hdf5 = file.read(19) == b"MATLAB 7.3 MAT-file"
    try:
        return _read_hdf5(path, variable) if is_hdf5 else _read_classic(path, variable)
    except HelasegError:
        raise
    except Exception as error:
        # Damaged files lead the readers of MATLAB's formats to errors of any type.
        reason = str(error).partition("\n")[0] or type(error).__name__
        msg = f"{path} cannot be read as a MATLAB file ({reason}); it is damaged, copy it again"
        raise DataFormatError(msg) from error


def _read_classic(path: Path, variable: str | None) -> NDArray[Any]:
    import scipy.io

    check_mat_structure(path)
    listed = [v for v in scipy.io.whosmat(path) if v[2] in _BYTES]
    name = _choose(path, {n: shape for n, shape, _ in listed}, variable)
    n_bytes = next(math.prod(s) * _BYTES[k] for n, s, k in listed if n == name)
    check_declared_size(path, n_bytes, f"a variable {name!r}")
    array = np.asarray(scipy.io.loadmat(path, variable_names=[name])[name])
    return np.ascontiguousarray(array if array.ndim == 2 else np.moveaxis(array, 2, 0))


def _read_hdf5(path: Path, variable: str | None) -> NDArray[Any]:
    h5py = require("h5py", extra="data", reason="reading MATLAB files of version 7.3")
    with h5py.File(path, "r") as file:
        # HDF5 lists the axes from the slowest to the fastest, MATLAB the other way round.
        shapes = {
            name: item.shape[::-1]
            for name, item in file.items()
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "buif"
        }
        name = _choose(path, shapes, variable)
        check_declared_size(path, file[name].nbytes, f"a variable {name!r}")
        return np.ascontiguousarray(np.swapaxes(file[name][()], -1, -2))


def _choose(path: Path, shapes: Mapping[str, tuple[int, ...]], variable: str | None) -> str:
    """The wanted variable, or the only one with two or three axes."""
    images = {n: s for n, s in shapes.items() if len(s) in (2, 3) and np.prod(s) > 1}
    listed = ", ".join(f"{n} {tuple(s)}" for n, s in images.items()) or "none"
    if variable is not None:
        if variable not in images:
            msg = f"{path} holds no image {variable!r}; its images are: {listed}"
            raise DataFormatError(msg)
        return variable
    if len(images) != 1:
        msg = f"{path} must hold one image, or name it with 'variable'; its images are: {listed}"
        raise DataFormatError(msg)
    return next(iter(images))
