"""Volumes on the voxels of a network and back, read as they are needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.core.volume import Sliceable
from helaseg.io.lazy import LazyArray, as_slice


def working_grid(grid: Grid, voxel_size_nm: tuple[float, float, float], *, along_z: bool) -> Grid:
    """The grid nearest to a voxel size that spans the same volume.

    Parameters
    ----------
    grid : Grid
        Of the volume.
    voxel_size_nm : tuple of float
        Wanted, z, y, x. The voxels of the result divide the extent evenly, so that they may
        be a little larger or smaller.
    along_z : bool
        False keeps the slices.
    """
    shape, size, offset = [], [], []
    for axis, (n, have, want, at) in enumerate(
        zip(grid.shape, grid.voxel_size_nm, voxel_size_nm, grid.offset_nm, strict=True)
    ):
        count = n if axis == 0 and not along_z else max(1, round(n * have / want))
        shape.append(count)
        size.append(n * have / count)
        # The outer faces stay where they are.
        offset.append(at + (size[-1] - have) / 2)
    return Grid(shape=tuple(shape), voxel_size_nm=tuple(size), offset_nm=tuple(offset))  # type: ignore[arg-type]


class ResampledArray(LazyArray):
    """Another array on more or fewer voxels with the same outer faces.

    Parameters
    ----------
    base : sliceable, shape (Z, Y, X)
        Numbers.
    shape : tuple of int
        Voxels along z, y, x of the result.
    dtype : numpy dtype
        Of the result; integers are rounded.

    Notes
    -----
    Along an axis that gets fewer voxels each one is the mean of what it covers; along one
    that gets more, values between two centres are interpolated linearly.
    """

    def __init__(self, base: Sliceable, *, shape: tuple[int, int, int], dtype: Any = None) -> None:
        super().__init__(shape=shape, dtype=base.dtype if dtype is None else dtype)
        self.base = base

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        rows, columns = as_slice(ys), as_slice(xs)
        ready: dict[int, NDArray[np.float32]] = {}
        for plane, z in zip(out, zs, strict=True):
            taken = shares(z, self.base.shape[0], self.shape[0])
            ready = {k: ready[k] if k in ready else self._plane(k) for k, _ in taken}
            if len(taken) == 1:
                mixed = ready[taken[0][0]]
            else:
                mixed = sum(ready[k] * np.float32(share) for k, share in taken)  # type: ignore[assignment]
            mixed = mixed[rows, columns]
            if self.dtype.kind in "ui":
                np.rint(mixed, out=plane, casting="unsafe")
            else:
                plane[...] = mixed

    def _plane(self, z: int) -> NDArray[np.float32]:
        return resize_plane(np.asarray(self.base[z, :, :]), self.shape[1:])


def resize_plane(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A plane with another number of pixels: means along axes that shrink, else linear."""
    import cv2

    values = np.ascontiguousarray(plane, np.float32)
    for axis, n in enumerate(shape):
        if n == values.shape[axis]:
            continue
        method = cv2.INTER_AREA if n < values.shape[axis] else cv2.INTER_LINEAR
        wanted = [*values.shape]
        wanted[axis] = n
        resized = cv2.resize(values, (wanted[1], wanted[0]), interpolation=method)
        values = np.asarray(resized, np.float32).reshape(wanted)
    return values


def shares(k: int, n_in: int, n_out: int) -> list[tuple[int, float]]:
    """Find which voxels of an axis make voxel `k` of the resampled one, and their parts."""
    if n_in == n_out:
        return [(k, 1.0)]
    step = n_in / n_out
    if step > 1:
        first, last = k * step, (k + 1) * step
        inside = range(math.floor(first), min(n_in, math.ceil(last - 1e-9)))
        parts = [(i, (min(i + 1, last) - max(i, first)) / step) for i in inside]
        return [(i, part) for i, part in parts if part > 0]
    place = min(max((k + 0.5) * step - 0.5, 0.0), n_in - 1.0)
    low = min(math.floor(place), n_in - 1)
    high = min(low + 1, n_in - 1)
    part = place - low
    return [(low, 1.0)] if part < 1e-9 or high == low else [(low, 1 - part), (high, part)]
