"""Dark lines: membranes are ridges of darkness between brighter sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from helaseg._validate import as_array, check_positive
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
