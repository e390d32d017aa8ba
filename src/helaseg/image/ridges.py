"""Dark lines: membranes are ridges of darkness between brighter sides.

`dark_ridges` looks at each place alone. `oriented_dark_ridges` looks along the
line as well: in noise a line of two pixels' width shows far better so, and
what is dark but no line, a grain or a blob, shows less.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from helaseg._validate import as_array, check_positive
from helaseg.errors import ParameterError
from helaseg.image.filters import gaussian


def dark_ridges(image: ArrayLike, *, sigma_px: float) -> NDArray[np.float32]:
    """Strength of dark lines, zero elsewhere.

    Parameters
    ----------
    image : array_like, shape (Y, X)
        Grey values of any number type.
    sigma_px : float
        Scale in pixels, about half the width of the line.

    Returns
    -------
    ndarray of float32, shape (Y, X)
        The larger eigenvalue of the Hessian where positive, times ``sigma_px**2``
        so that lines of different widths compare; grey levels.

    Raises
    ------
    ParameterError
        If `image` is not 2-D or `sigma_px` is not positive.

    Notes
    -----
    1. Smooth with a Gaussian of `sigma_px`.
    2. Second differences along y and x and the mixed one give the Hessian.
    3. Across a dark line the second derivative is large and positive; the
       larger eigenvalue is that derivative whatever the direction of the line.

    References
    ----------
    Lindeberg, T. Edge detection and ridge detection with automatic scale
    selection. Int. J. Comput. Vis. 30, 117-156 (1998).
    doi:10.1023/A:1008097225773
    """
    values = as_array("image", image, ndim=2)
    check_positive("sigma_px", sigma_px)
    smooth: NDArray[Any] = gaussian(values, sigma_px=sigma_px)
    yy = ndimage.convolve1d(smooth, [1, -2, 1], axis=0, mode="nearest")
    xx = ndimage.convolve1d(smooth, [1, -2, 1], axis=1, mode="nearest")
    step = [-0.5, 0, 0.5]
    xy = ndimage.convolve1d(smooth, step, axis=0, mode="nearest")
    xy = ndimage.convolve1d(xy, step, axis=1, mode="nearest")
    strength = (yy + xx) / 2 + np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
    np.maximum(strength, 0, out=strength)
    strength *= sigma_px**2
    return strength.astype(np.float32, copy=False)


def oriented_dark_ridges(
    image: ArrayLike, *, sigma_px: float, length_px: float, n_orientations: int = 12
) -> NDArray[np.float32]:
    """Strength of dark lines that go on for a while, zero elsewhere.

    Parameters
    ----------
    image : array_like, shape (Y, X)
        Grey values of any number type.
    sigma_px : float
        Scale across the line in pixels, about half its width.
    length_px : float
        Gaussian scale along the line in pixels; equal to `sigma_px` the filter
        sees no farther along the line than across.
    n_orientations : int
        Directions tried, evenly over half a turn.

    Returns
    -------
    ndarray of float32, shape (Y, X)
        The largest response over the directions, where positive, times
        ``sigma_px**2``: grey levels, as of `dark_ridges`.

    Raises
    ------
    ParameterError
        If `image` is not 2-D, or another argument is not positive.

    Notes
    -----
    1. For each direction weigh the surroundings by the second derivative of a
       Gaussian of `sigma_px` across, times a Gaussian of `length_px` along.
    2. Keep the largest of the directions. Beyond the image its border repeats.

    White noise falls with the square root of ``length_px / sigma_px``, a straight
    line keeps its strength.

    References
    ----------
    Jacob, M. & Unser, M. Design of steerable filters for feature detection using
    Canny-like criteria. IEEE Trans. Pattern Anal. Mach. Intell. 26, 1007-1019
    (2004). doi:10.1109/TPAMI.2004.44
    """
    import cv2

    values = as_array("image", image, ndim=2)
    check_positive("sigma_px", sigma_px)
    check_positive("length_px", length_px)
    whole = isinstance(n_orientations, int) and not isinstance(n_orientations, bool)
    if not whole or n_orientations < 1:
        msg = f"'n_orientations' must be a positive whole number, got {n_orientations!r}"
        raise ParameterError(msg)
    strength = np.zeros(values.shape, np.float32)
    if not values.size:
        return strength
    # Rounding errors grow with the grey values, not with their differences.
    centred = values.astype(np.float32)
    centred -= np.float32(centred.mean(dtype=np.float64))
    for weights in _line_weights(float(sigma_px), float(length_px), int(n_orientations)):
        answer = cv2.filter2D(centred, cv2.CV_32F, weights, borderType=cv2.BORDER_REPLICATE)
        np.maximum(strength, answer, out=strength)
    return strength


@lru_cache(maxsize=8)
def _line_weights(
    sigma_px: float, length_px: float, n_orientations: int
) -> tuple[NDArray[np.float32], ...]:
    """One kernel per direction; each answers 0 to what is flat."""
    radius = int(np.ceil(3 * max(sigma_px, length_px)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    kernels = []
    for k in range(n_orientations):
        turn = np.pi * k / n_orientations
        along = x * np.cos(turn) + y * np.sin(turn)
        across = y * np.cos(turn) - x * np.sin(turn)
        bell = np.exp(-(along**2) / (2 * length_px**2) - across**2 / (2 * sigma_px**2))
        bell /= bell.sum()
        kernel = (across**2 / sigma_px**2 - 1) * bell
        kernel -= bell * kernel.sum()
        kernels.append(kernel.astype(np.float32))
    return tuple(kernels)
