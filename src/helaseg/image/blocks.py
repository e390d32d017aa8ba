"""Joining pixels and voxels to coarser ones, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Factors = tuple[int, int, int]


def joined_pixels(pixel_nm: float, working_pixel_nm: float) -> int:
    """Return how many pixels are joined along y and x to come near a working size."""
    return max(1, round(working_pixel_nm / pixel_nm))


def join_pixels(image: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Mean of blocks of pixels as floats; the last block repeats the border."""
    import cv2

    if factor == 1:
        return np.ascontiguousarray(image, np.float32)
    pad = tuple((0, -n % factor) for n in image.shape)
    if any(after for _, after in pad):
        image = np.pad(image, pad, mode="edge")
    rows, cols = (n // factor for n in image.shape)
    joined = np.empty((rows, cols), np.float32)
    # In strips: only a part of a large slice is there as floats at any time.
    for top in range(0, rows, 128):
        strip = image[top * factor : (top + 128) * factor].astype(np.float32)
        part = joined[top : top + 128]
        cv2.resize(strip, part.shape[::-1], dst=part, interpolation=cv2.INTER_AREA)
    return joined


def enlarge(array: NDArray[Any], factor: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Each pixel as a block; what sticks out is cut off."""
    if factor == 1:
        return array
    # along x first: whole rows are then copied along y
    return array.repeat(factor, axis=1).repeat(factor, axis=0)[: shape[0], : shape[1]]


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
