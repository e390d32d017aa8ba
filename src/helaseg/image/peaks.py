"""Peaks of an image: pixels that are highest in the square around them."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import peaks as kernels
from helaseg._threads import in_blocks
from helaseg._validate import as_array, for_kernel
from helaseg.errors import ParameterError

#: Pixels and candidates below which a second thread does not pay.
_LEAST_PIXELS = 1 << 20
_LEAST_CANDIDATES = 1 << 10


def peak_local_maxima(
    image: ArrayLike, *, min_distance_px: int = 1, threshold: float | None = None
) -> NDArray[np.int64]:
    """Pixels that are highest in the square around them, highest first.

    Parameters
    ----------
    image : (H, W) array of numbers or bools, without NaN
        float64 and integers of 32 bits and more are compared as float64, all
        others as float32, which holds them exactly.
    min_distance_px : int
        No pixel up to this many rows and columns away is higher than a peak.
    threshold : float, optional
        Peaks are higher than this; by default, than the lowest pixel.

    Returns
    -------
    (N, 2) int64 array
        Row and column of each peak; of equally high ones the first in raster
        order (row by row) comes first.

    Raises
    ------
    ParameterError
        Not two axes, NaN in the image, a distance below 1 or that is no whole number.

    Notes
    -----
    1. List the pixels that none of their eight neighbours exceeds.
    2. Keep those that nothing exceeds up to `min_distance_px`; highest values of
       16 x 16 pixels and of 256 x 256 answer that for most pixels at once, so
       the time hardly depends on the distance.
    3. Of equally high peaks less than `min_distance_px` rows and columns apart,
       as all pixels of a plateau are, keep the first in raster order, then the
       next that is far enough from those kept. With ``min_distance_px=1`` all
       pixels of a plateau are peaks.

    An image of one value has no peak. Pixels at the border can be peaks. The
    result is that of ``skimage.feature.peak_local_max`` with
    ``exclude_border=False``. Beyond an image that has to be converted, it takes
    a sixty-fourth of its memory and some 30 bytes for each pixel of the first list.
    """
    pixels = as_array("image", image, ndim=2)
    distance = _as_distance(min_distance_px)
    kind = np.float32 if np.can_cast(pixels.dtype, np.float32) else np.float64
    pixels = for_kernel(pixels, kind)
    if pixels.size == 0:
        return np.empty((0, 2), np.int64)
    lowest = pixels.min()
    if math.isnan(lowest):
        msg = "'image' must not hold NaN; set those pixels to a low value first"
        raise ParameterError(msg)
    level = lowest if threshold is None else _round_down(threshold, kind)
    places, tiles = _candidates(pixels, level)
    if places.size == pixels.size:
        return np.empty((0, 2), np.int64)
    if distance > 1:
        places = _unexceeded(pixels, tiles, distance, places)
    heights: NDArray[Any] = np.negative(pixels.reshape(-1)[places])
    places = places[np.argsort(heights, kind="stable")]
    peaks = np.stack(np.divmod(places, pixels.shape[1]), axis=1)
    return peaks if distance == 1 else peaks[_spaced(peaks, distance, pixels.shape)]


def _as_distance(value: Any) -> int:
    try:
        distance = operator.index(value)
    except TypeError:
        distance = 0
    if distance < 1:
        msg = f"'min_distance_px' must be a whole number of at least 1, got {value!r}"
        raise ParameterError(msg)
    return distance


def _round_down(threshold: float, kind: type[np.float32] | type[np.float64]) -> Any:
    """The threshold in the type of the image: the same pixels are higher than it."""
    if math.isnan(threshold):
        msg = "'threshold' must be a number, got NaN"
        raise ParameterError(msg)
    with np.errstate(over="ignore"):
        level = kind(threshold)
    return np.nextafter(level, kind(-np.inf)) if float(level) > threshold else level


def _candidates(pixels: NDArray[Any], level: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Pixels that no neighbour exceeds, in raster order, and the highest pixel of each tile."""
    height, width = pixels.shape
    side = kernels.TILE
    tiles = np.empty((-(-height // side), -(-width // side)), pixels.dtype)

    def listed(start: int, stop: int) -> list[NDArray[np.int64]]:
        places = np.empty(4 * side * width + 8, np.int64)
        parts = []
        while start < stop:
            start, n = kernels.list_candidates(pixels, level, start, stop, places, tiles)
            parts.append(places[:n].copy())
        return parts

    blocks = in_blocks(listed, height, least=max(side, _LEAST_PIXELS // width), multiple=side)
    return np.concatenate([part for parts in blocks for part in parts]), tiles


def _unexceeded(
    pixels: NDArray[Any], tiles: NDArray[Any], distance: int, places: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Those of the candidates that nothing exceeds up to `distance`."""
    rows, columns = (-(-n // kernels.TILE) for n in tiles.shape)
    blocks = np.empty((rows, columns), tiles.dtype)
    kernels.join_tiles(tiles, blocks)
    highest = np.empty(places.size, np.bool_)
    radius = min(distance, max(pixels.shape))

    def mark(start: int, stop: int) -> None:
        kernels.mark_unexceeded(
            pixels, tiles, blocks, radius, places[start:stop], highest[start:stop]
        )

    in_blocks(mark, places.size, least=_LEAST_CANDIDATES)
    return places[highest]


def _spaced(peaks: NDArray[np.int64], distance: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Find which peaks are left when those too near to a kept one are dropped."""
    rows, columns = (np.ascontiguousarray(peaks[:, axis]) for axis in range(2))
    distance = min(distance, max(shape))
    cells = np.full([-(-n // distance) for n in shape], -1, np.int64)
    kept = np.empty(len(peaks), np.bool_)
    kernels.mark_spaced(rows, columns, distance, cells, kept)
    return kept
