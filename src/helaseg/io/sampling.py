"""A fixed sample of a volume, and its fingerprint."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.volume import LabelVolume, Sliceable, Volume


def sample_slices(
    data: Sliceable, *, n_slices: int, n_pixels: int
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Thinned slices, evenly from the first to the last; always the same ones.

    Parameters
    ----------
    data : sliceable, shape (Z, Y, X)
        The volume.
    n_slices : int
        At most this many slices.
    n_pixels : int
        At most this many pixels of each, on a square grid.

    Yields
    ------
    int, ndarray
        The slice index, and every k-th row and column of the slice.
    """
    n_z, n_y, n_x = data.shape
    if min(n_z, n_y, n_x) == 0:
        return
    step = 1
    while math.ceil(n_y / step) * math.ceil(n_x / step) > n_pixels:
        step += 1
    places = np.linspace(0, n_z - 1, min(n_slices, n_z))
    for z in sorted({round(float(p)) for p in places}):
        yield z, np.asarray(data[z, ::step, ::step])


def fingerprint(volume: Volume | LabelVolume) -> str:
    """A short name for the content of a volume, for provenance and resuming.

    Parameters
    ----------
    volume : Volume or LabelVolume
        Any volume.

    Returns
    -------
    str
        16 hexadecimal digits of a SHA-256 over shape, type, voxel size, offset
        and the voxels of 8 thinned slices (at most 65536 pixels each). Equal
        volumes have equal fingerprints on any machine; an edit that misses the
        sample is not noticed.
    """
    dtype = np.dtype(volume.data.dtype).newbyteorder("<")
    grid = volume.grid
    head = repr((grid.shape, dtype.str, grid.voxel_size_nm, grid.offset_nm))
    digest = hashlib.sha256(head.encode())
    for z, values in sample_slices(volume.data, n_slices=8, n_pixels=65536):
        digest.update(str(z).encode())
        digest.update(np.ascontiguousarray(values, dtype=dtype).tobytes())
    return digest.hexdigest()[:16]
