"""Ground truth from MATLAB files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._optional import require
from helaseg.errors import DataFormatError

_NUMERIC = frozenset(
    ["double", "single", "logical"] + [f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)]
)


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
    path = Path(path)
    if not path.is_file():
        msg = f"{path} does not exist or is no file; give a .mat file"
        raise DataFormatError(msg)
    with path.open("rb") as file:
        is_hdf5 = file.read(19) == b"MATLAB 7.3 MAT-file"
    try:
        return _read_hdf5(path, variable) if is_hdf5 else _read_classic(path, variable)
    except (ValueError, TypeError, OSError, KeyError, IndexError, NotImplementedError) as error:
        if isinstance(error, DataFormatError):
            raise
        msg = f"{path} cannot be read as a MATLAB file ({error})"
        raise DataFormatError(msg) from error


def _read_classic(path: Path, variable: str | None) -> NDArray[Any]:
    import scipy.io

    shapes = {n: shape for n, shape, kind in scipy.io.whosmat(path) if kind in _NUMERIC}
    name = _choose(path, shapes, variable)
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
