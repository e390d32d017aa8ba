"""Joining blocks of voxels to the coarse grid on which cells compete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Factors = tuple[int, int, int]


def pool_all(mask: NDArray[np.bool_], factors: Factors) -> NDArray[np.bool_]:
    """True where every voxel of a block is, so that thin gaps survive."""
    return _pool(mask, factors, np.logical_and)


def pool_max(values: NDArray[Any], factors: Factors) -> NDArray[Any]:
    """The largest value of each block, so that thin lines survive."""
    return _pool(values, factors, np.maximum)


def pool_labels(labels: NDArray[Any], factors: Factors) -> NDArray[Any]:
    """The label that fills a whole block, else 0."""
    low, high = _pool(labels, factors, np.minimum), _pool(labels, factors, np.maximum)
    low[low != high] = 0
    return low


def unpool(plane: NDArray[Any], factors: Factors, shape: tuple[int, ...]) -> NDArray[Any]:
    """One slice of a pooled array at the size it was made from; what sticks out is cut off."""
    from helaseg.cells.pixels import enlarge

    return enlarge(plane, factors[1], shape)


def _pool(array: NDArray[Any], factors: Factors, join: Callable[..., NDArray[Any]]) -> NDArray[Any]:
    """Join blocks, one axis after the other, whole rows at a time; the last block is shorter."""
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        ahead = (slice(None),) * axis
        joined = array[(*ahead, slice(0, None, factor))].copy()
        for k in range(1, factor):
            more = array[(*ahead, slice(k, None, factor))]
            part = joined[(*ahead, slice(0, more.shape[axis]))]
            join(part, more, out=part)
        array = joined
    return array.copy() if all(f == 1 for f in factors) else array
