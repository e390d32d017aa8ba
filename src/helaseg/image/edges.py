"""Gradient and edges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import gradient as _gradient
from helaseg._kernels import linking as _linking
from helaseg._threads import in_blocks
from helaseg._validate import (
    as_array,
    as_mask,
    check_choice,
    check_positive,
    check_range,
    check_shape_match,
)
from helaseg.errors import ParameterError
from helaseg.image.filters import PIXELS_PER_BLOCK, BlurredRows, output_apart

_AUTO_HIGH_QUANTILE = 0.7
_AUTO_LOW_SHARE = 0.4
#: Blurred pixels that are worked on at a time: they should stay in a cache of the core.
_WINDOW_PIXELS = 1 << 18


def gradient_magnitude(
    image: ArrayLike,
    *,
    sigma_px: float | tuple[float, float] = 0.0,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Length of the gradient of a blurred image.

    Parameters
    ----------
    image : array of bools, integers or finite floats, shape (Y, X)
        Grey values.
    sigma_px : float or one per axis
        Standard deviation of the Gaussian before the derivative, in pixels.
    out : float32 array, C-contiguous, shape of `image`, optional
        Where to write; not the memory of `image`.

    Returns
    -------
    float32 array, shape (Y, X)
        Grey levels per pixel; `out` if it was given.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    Sobel 3 x 3 sums divided by 8, so that a ramp of one grey level per pixel
    along an axis gives 1. The image is mirrored at its border. Besides `out`
    only some blurred rows are held.
    """
    array = as_array("image", image, ndim=2, finite=True)
    result = output_apart("out", out, array, np.float32)
    _measure_gradient(BlurredRows.of(array, sigma_px), result)
    return result


def canny(
    image: ArrayLike,
    *,
    sigma_px: float | tuple[float, float],
    low: float | None = None,
    high: float | None = None,
    mode: Literal["absolute", "quantile", "auto"] = "absolute",
    mask: ArrayLike | None = None,
    out: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Edges by Canny's method.

    Parameters
    ----------
    image : array of bools, integers or finite floats, shape (Y, X)
        Grey values.
    sigma_px : float or one per axis
        Standard deviation of the Gaussian before the derivative, in pixels.
    low, high : float, optional
        Thresholds of the hysteresis, ``low <= high``: an edge holds at least one
        pixel of `high` and grows over connected pixels of at least `low`. Both
        are given, except in mode ``"auto"``, where neither is.
    mode : {"absolute", "quantile", "auto"}
        What the thresholds are: grey levels per pixel (see
        `gradient_magnitude`), quantiles of the gradient magnitude between 0 and
        1, or found from the image: `high` is the 0.7 quantile of the gradient
        magnitude and `low` is 0.4 times that value.
    mask : array, shape of `image`, optional
        True = considered: no edge lies, nor leads, outside, and only these
        pixels enter the quantiles. The gradient is that of the whole image.
    out : bool array, C-contiguous, shape of `image`, optional
        Where to write; not the memory of `image`.

    Returns
    -------
    bool array, shape (Y, X)
        True on edges, which are one pixel wide but for ties; `out` if it was
        given.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    1. Gaussian, cut off after ``ceil(3 sigma_px)`` pixels, mirrored at the border.
    2. Sobel 3 x 3 gradient.
    3. Non-maximum suppression: a pixel stays if its magnitude is not below that
       of either neighbour in the direction of the gradient, interpolated
       linearly between two of the eight neighbours. The outermost pixels of the
       image are never edges.
    4. Hysteresis with 8-connected pixels.

    Steps 2 to 4 are those of `skimage.feature.canny`, whose absolute thresholds
    are 8 times larger and refer to images scaled to 1. Steps 1 to 3 are made on
    some rows at a time; what is kept are two bits per pixel, and an eighth of a
    byte at most to follow edges. Modes other than ``"absolute"`` also hold the
    gradient magnitude.

    References
    ----------
    Canny, J. (1986). A computational approach to edge detection. IEEE
    Transactions on Pattern Analysis and Machine Intelligence 8(6), 679-698.
    doi:10.1109/TPAMI.1986.4767851. The rule of ``"auto"`` is the documented
    default of MATLAB's ``edge(I, "canny")``.
    """
    check_choice("mode", mode, ("absolute", "quantile", "auto"))
    _check_thresholds(low, high, mode)
    array = as_array("image", image, ndim=2, finite=True)
    chosen = None if mask is None else as_mask("mask", mask, ndim=2)
    if chosen is not None:
        check_shape_match("mask", chosen.shape, "image", array.shape)
    result = output_apart("out", out, array, np.bool_)
    blurred = BlurredRows.of(array, sigma_px)
    height, width = blurred.shape
    if min(height, width) < 3 or (chosen is not None and not chosen.any()):
        result[:] = False
        return result
    if mode == "absolute":
        levels = np.array([low, high], np.float32)
    else:
        levels = _find_thresholds(blurred, low, high, chosen)

    edges = _link(blurred, levels, chosen)

    def unpack(start: int, stop: int) -> None:
        _gradient.unpack_rows(edges[start:stop].view(np.uint8), result[start:stop].view(np.uint8))

    in_blocks(unpack, height, least=_least_rows(width))
    return result


def _least_rows(width: int) -> int:
    """Rows of a block below which another thread does not pay."""
    return -(-PIXELS_PER_BLOCK // max(width, 1))


def _windows(
    blurred: BlurredRows, start: int, stop: int, reach: int
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Blurred rows piece by piece, each with `reach` more rows on both sides.

    Beyond the border stands the outermost row. The array is overwritten with
    the next piece.
    """
    height, width = blurred.shape
    n = max(_WINDOW_PIXELS // width, 2 * reach)
    window = np.empty((min(n, stop - start) + 2 * reach, width), np.float32)
    known = max(start - reach, 0)
    for first in range(start, stop, n):
        last = min(first + n, stop)
        top = first - reach
        if first > start:
            window[: 2 * reach] = window[n:]
        until = min(last + reach, height)
        blurred.read(known, until, window[known - top : until - top])
        known = until
        if top < 0:
            window[:-top] = window[-top]
        window[until - top :] = window[until - top - 1]
        yield first, last, window[: last - top + reach]


def _measure_gradient(blurred: BlurredRows, out: NDArray[np.float32]) -> None:
    height, width = blurred.shape
    if out.size == 0:
        return

    def work(start: int, stop: int) -> None:
        for first, last, window in _windows(blurred, start, stop, 1):
            _gradient.sobel_magnitude(window, out[first:last])

    in_blocks(work, height, least=_least_rows(width))


def _link(
    blurred: BlurredRows, levels: NDArray[np.float32], mask: NDArray[np.bool_] | None
) -> NDArray[np.uint64]:
    """The edges, one bit per pixel, 64 pixels of a row in a word."""
    height, width = blurred.shape
    stride = -(-width // 64)
    n_words = height * stride
    # The first and the last row, and the word beyond it, stay 0.
    flat = np.zeros(n_words + 1, np.uint64), np.zeros(n_words + 1, np.uint64)
    weak, strong = (f[:n_words].reshape(height, stride) for f in flat)
    waiting = np.zeros(n_words, np.uint8)

    def work(start: int, stop: int) -> int:
        for first, last, window in _windows(blurred, max(start, 1), min(stop, height - 1), 2):
            part = weak[first:last], strong[first:last]
            _gradient.mark_maxima(window, *levels, *(p.view(np.uint8) for p in part))
            if mask is not None:
                kept = np.empty_like(part[0])
                _gradient.pack_rows(mask[first:last].view(np.uint8), kept.view(np.uint8))
                for p in part:
                    p &= kept
        # The outermost rows of a block touch other blocks: they come last.
        n = max(stop - start - 2, 0) * stride
        inside = (start + 1) * stride
        _linking.link_words(*flat, stride, inside, inside + n, np.empty(n, np.int64), waiting)
        return start

    seams = in_blocks(work, height, least=_least_rows(width))[1:]
    low, high = stride, n_words - stride
    stack = np.empty(n_words if seams else 0, np.int64)
    for seam in seams:
        first, last = max((seam - 1) * stride, low), min((seam + 1) * stride, high)
        _linking.settle_words(*flat, stride, first, last, low, high, stack, waiting)
    return strong


def _check_thresholds(low: float | None, high: float | None, mode: str) -> None:
    """Both thresholds or, in mode ``"auto"``, neither."""
    if mode == "auto":
        if low is not None or high is not None:
            msg = f"'low' and 'high' must be left out with mode='auto', got {low!r} and {high!r}"
            raise ParameterError(msg)
        return
    if low is None or high is None:
        msg = (
            f"'low' and 'high' must be given with mode={mode!r}, got {low!r} and {high!r}; "
            "mode='auto' finds them"
        )
        raise ParameterError(msg)
    for name, value in (("low", low), ("high", high)):
        if mode == "quantile":
            check_range(name, value, 0, 1)
        else:
            check_positive(name, value, zero=True)
    if low > high:
        msg = f"'low' must not exceed 'high', got {low!r} and {high!r}"
        raise ParameterError(msg)


def _find_thresholds(
    blurred: BlurredRows,
    low: float | None,
    high: float | None,
    mask: NDArray[np.bool_] | None,
) -> NDArray[np.float32]:
    """Thresholds in grey levels per pixel from quantiles, or from the rule of ``"auto"``."""
    magnitude = np.empty(blurred.shape, np.float32)
    _measure_gradient(blurred, magnitude)
    values = magnitude.reshape(-1) if mask is None else magnitude[mask]
    if low is None or high is None:
        level = np.quantile(values, _AUTO_HIGH_QUANTILE)
        return np.array([_AUTO_LOW_SHARE * level, level], np.float32)
    return np.quantile(values, [low, high]).astype(np.float32)
