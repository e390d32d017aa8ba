"""Coarser copies of a volume: which factors, and how a block becomes one voxel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import as_array, check_choice
from helaseg.core.grid import Grid, IntZYX
from helaseg.errors import ParameterError

Kind = Literal["mean", "mode"]


def downsample(array: Any, factors: Sequence[int], *, kind: Kind = "mean") -> NDArray[Any]:
    """Join blocks of voxels into one voxel each.

    Parameters
    ----------
    array : array of bools, integers or floats, 1 to 4 axes
        The fine image.
    factors : sequence of int
        Voxels joined along each axis of `array`, at least 1. A last block that is
        not full is joined from the voxels it has, so an axis of ``n`` voxels
        becomes one of ``ceil(n / factor)``.
    kind : {"mean", "mode"}
        The mean, for grey values, or the commonest value, for labels.

    Returns
    -------
    ndarray
        The coarse image, of the dtype of `array`, C-contiguous.

    Raises
    ------
    ParameterError
        If the factors do not fit the axes.

    Notes
    -----
    The array is cut, along each axis, into its full blocks and the rest, so that
    all blocks of a part have one size.

    1. Mean: sums are exact for integers of up to 32 bits and rounded to the
       nearest integer, halves upwards; floats are summed as float64.
    2. Mode: blocks of one value keep it. The voxels of the other blocks are
       sorted and the longest run wins; among equally long runs the smallest value.
    """
    fine = as_array("array", array, ndim=(1, 2, 3, 4))
    check_choice("kind", kind, ("mean", "mode"))
    steps = _as_factors(factors, fine.ndim)
    shape = tuple(-(-n // k) for n, k in zip(fine.shape, steps, strict=True))
    out = np.empty(shape, fine.dtype)
    join = _mean if kind == "mean" else _mode
    parts = [_parts(n, k) for n, k in zip(fine.shape, steps, strict=True)]
    for part in itertools.product(*parts):
        source = tuple(p[0] for p in part)
        target = tuple(p[1] for p in part)
        out[target] = join(fine[source], tuple(p[2] for p in part))
    return out


def pyramid_factors(
    grid: Grid, *, n_levels: int | None = None, smallest_px: int = 256
) -> list[IntZYX]:
    """Factors from each level of a pyramid to the next, so that voxels become isotropic.

    Parameters
    ----------
    grid : Grid
        The finest level.
    n_levels : int, optional
        Number of levels including the finest; fewer come back when one voxel is
        reached. Default: until y and x have at most `smallest_px` voxels.
    smallest_px : int
        See `n_levels`.

    Returns
    -------
    list of tuple of int
        Factors along z, y, x, each 1 or 2; one entry less than levels.

    Raises
    ------
    ParameterError
        If `n_levels` is below 1.

    Notes
    -----
    An axis is halved if its voxel size is at most sqrt(2) times the smallest one
    (of the axes that have more than one voxel): 50 x 10 x 10 nm goes to
    50 x 20 x 20, 50 x 40 x 40 and 100 x 80 x 80 nm.
    """
    if n_levels is not None and n_levels < 1:
        msg = f"'n_levels' must be at least 1, got {n_levels}"
        raise ParameterError(msg)
    steps: list[IntZYX] = []
    while min(grid.shape) > 0 and max(grid.shape) > 1:
        if n_levels is None:
            if max(grid.shape[1:]) <= smallest_px:
                break
        elif len(steps) >= n_levels - 1:
            break
        sizes = zip(grid.shape, grid.voxel_size_nm, strict=True)
        limit_nm = math.sqrt(2) * min(size for n, size in sizes if n > 1)
        factors = tuple(
            2 if n > 1 and size <= limit_nm else 1
            for n, size in zip(grid.shape, grid.voxel_size_nm, strict=True)
        )
        steps.append(factors)  # type: ignore[arg-type]
        grid = grid.downsample(factors)
    return steps


def _as_factors(factors: Sequence[int], ndim: int) -> tuple[int, ...]:
    steps = tuple(factors)
    if len(steps) != ndim or any(int(k) != k or k < 1 for k in steps):
        msg = f"'factors' must be {ndim} integers of at least 1, got {factors!r}"
        raise ParameterError(msg)
    return tuple(int(k) for k in steps)


def _parts(n: int, factor: int) -> list[tuple[slice, slice, int]]:
    """The full blocks of an axis and the rest: where from, where to, block size."""
    full, rest = divmod(n, factor)
    parts = []
    if full:
        parts.append((slice(0, full * factor), slice(0, full), factor))
    if rest:
        parts.append((slice(full * factor, n), slice(full, full + 1), rest))
    return parts


def _members(array: NDArray[Any], block: tuple[int, ...]) -> Iterator[NDArray[Any]]:
    """The first voxels of all blocks, then the second ones, and so on (views)."""
    for corner in itertools.product(*(range(k) for k in block)):
        yield array[tuple(slice(c, None, k) for c, k in zip(corner, block, strict=True))]


def _mean(array: NDArray[Any], block: tuple[int, ...]) -> NDArray[Any]:
    n = math.prod(block)
    if n == 1:
        return array
    members = _members(array, block)
    if array.dtype.kind == "f" or array.dtype.itemsize == 8:
        total = next(members).astype(np.float64)
        for member in members:
            total += member
        mean = total / n
        if array.dtype.kind == "f":
            return mean.astype(array.dtype)
        # The float64 next to the largest int64 lies outside int64.
        info = np.iinfo(array.dtype)
        last = np.nextafter(float(info.max), 0)
        return np.clip(np.floor(mean + 0.5), float(info.min), last).astype(array.dtype)
    narrow = array.dtype.itemsize <= 2 and n < 2**14
    sums: NDArray[Any] = next(members).astype(np.int32 if narrow else np.int64)
    for member in members:
        np.add(sums, member, out=sums)
    # floor(mean + 1/2) in integers, without a way through floats.
    np.multiply(sums, 2, out=sums)
    np.add(sums, n, out=sums)
    np.floor_divide(sums, 2 * n, out=sums)
    return sums.astype(array.dtype)


def _mode(array: NDArray[Any], block: tuple[int, ...]) -> NDArray[Any]:
    n = math.prod(block)
    if n == 1:
        return array
    members = list(_members(array, block))
    low, high = members[0].copy(), members[0].copy()
    for member in members[1:]:
        np.minimum(low, member, out=low)
        np.maximum(high, member, out=high)
    mixed = np.nonzero(low != high)
    if mixed[0].size:
        low[mixed] = _longest_run(np.sort(np.stack([m[mixed] for m in members]), axis=0))
    return low


def _longest_run(ranked: NDArray[Any]) -> NDArray[Any]:
    """The commonest value of each column of sorted values; ties go to the smallest."""
    best = ranked[0].copy()
    longest = np.ones(best.shape, np.int64)
    run = np.ones(best.shape, np.int64)
    for before, value in itertools.pairwise(ranked):
        run = np.where(value == before, run + 1, 1)
        better = run > longest
        best[better] = value[better]
        longest[better] = run[better]
    return best
