"""Gradient and edges."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import gradient as _kernel
from helaseg._validate import (
    as_array,
    as_mask,
    check_choice,
    check_positive,
    check_range,
    check_shape_match,
)
from helaseg.errors import ParameterError
from helaseg.image.filters import gaussian

_AUTO_HIGH_QUANTILE = 0.7
_AUTO_LOW_SHARE = 0.4


def gradient_magnitude(
    image: ArrayLike, *, sigma_px: float | tuple[float, float] = 0.0
) -> NDArray[np.float32]:
    """Length of the gradient of a blurred image.

    Parameters
    ----------
    image : array of bools, integers or finite floats, shape (Y, X)
        Grey values.
    sigma_px : float or one per axis
        Standard deviation of the Gaussian before the derivative, in pixels.

    Returns
    -------
    float32 array, shape (Y, X)
        Grey levels per pixel.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    Sobel 3 x 3 sums divided by 8, so that a ramp of one grey level per pixel
    along an axis gives 1. The image is mirrored at its border.
    """
    blurred = _blurred(image, sigma_px)
    out = np.empty_like(blurred)
    if out.size:
        _kernel.sobel_magnitude(blurred, out)
    return out


def canny(
    image: ArrayLike,
    *,
    sigma_px: float | tuple[float, float],
    low: float | None = None,
    high: float | None = None,
    mode: Literal["absolute", "quantile", "auto"] = "absolute",
    mask: ArrayLike | None = None,
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

    Returns
    -------
    bool array, shape (Y, X)
        True on edges, which are one pixel wide but for ties.

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
    are 8 times larger and refer to images scaled to 1.

    References
    ----------
    Canny, J. (1986). A computational approach to edge detection. IEEE
    Transactions on Pattern Analysis and Machine Intelligence 8(6), 679-698.
    doi:10.1109/TPAMI.1986.4767851. The rule of ``"auto"`` is the documented
    default of MATLAB's ``edge(I, "canny")``.
    """
    check_choice("mode", mode, ("absolute", "quantile", "auto"))
    _check_thresholds(low, high, mode)
    array = as_array("image", image, ndim=2)
    chosen = None if mask is None else as_mask("mask", mask, ndim=2)
    if chosen is not None:
        check_shape_match("mask", chosen.shape, "image", array.shape)
    blurred = _blurred(array, sigma_px)
    height, width = blurred.shape
    if min(height, width) < 3 or (chosen is not None and not chosen.any()):
        return np.zeros(blurred.shape, bool)
    if mode == "absolute":
        levels = np.array([low, high], np.float32)
    else:
        levels = _find_thresholds(blurred, low, high, chosen)

    stride = width + 2
    n = (height + 2) * stride
    flat = np.zeros(n + -n % 8, np.uint8)
    marks = flat[:n].reshape(height + 2, stride)
    inside = marks[1:-1, 1:-1]
    _kernel.mark_maxima(blurred, levels[0], levels[1], marks)
    if chosen is not None:
        inside *= chosen
    _kernel.link_marks(flat, flat.view(np.uint64), stride, np.empty(flat.size, np.int64))
    return inside == 3


def _blurred(image: ArrayLike, sigma_px: float | tuple[float, float]) -> NDArray[np.float32]:
    return gaussian(as_array("image", image, ndim=2), sigma_px=sigma_px)


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
    blurred: NDArray[np.float32],
    low: float | None,
    high: float | None,
    mask: NDArray[np.bool_] | None,
) -> NDArray[np.float32]:
    """Thresholds in grey levels per pixel from quantiles, or from the rule of ``"auto"``."""
    magnitude = np.empty_like(blurred)
    _kernel.sobel_magnitude(blurred, magnitude)
    values = magnitude.reshape(-1) if mask is None else magnitude[mask]
    if low is None or high is None:
        level = np.quantile(values, _AUTO_HIGH_QUANTILE)
        return np.array([_AUTO_LOW_SHARE * level, level], np.float32)
    return np.quantile(values, [low, high]).astype(np.float32)
