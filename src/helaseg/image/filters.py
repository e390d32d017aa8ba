"""Linear filters."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import gradient as _kernel
from helaseg._validate import as_array, as_output, check_choice, check_positive
from helaseg.errors import ParameterError


def gaussian(
    image: ArrayLike,
    *,
    sigma_px: float | tuple[float, ...],
    radius_px: int | tuple[int, ...] | None = None,
    mode: Literal["reflect", "nearest"] = "reflect",
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Blur an image with a Gaussian.

    Parameters
    ----------
    image : array of bools, integers or finite floats, shape (Y, X) or (Z, Y, X)
        Grey values; all but uint8 are converted to float32.
    sigma_px : float or one per axis
        Standard deviation in pixels. One number serves all axes; 0 leaves an
        axis as it is, so that ``(0, s, s)`` blurs the slices of a volume.
    radius_px : int or one per axis, optional
        Pixels to either side after which the Gaussian is cut off; ``ceil(3
        sigma_px)`` by default. ``sigma_px=2, radius_px=3`` is the 7 x 7 filter.
    mode : {"reflect", "nearest"}
        Beyond the border the image is mirrored (``b a | a b c``) or its
        outermost pixel repeated.
    out : float32 array, C-contiguous, shape of `image`, optional
        Where to write; not the memory of `image`.

    Returns
    -------
    float32 array, shape of `image`
        `out` if it was given.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    The weights are samples of the Gaussian, normalised to sum 1, as in
    `scipy.ndimage.gaussian_filter` with the same `mode` and ``radius``. Slices
    are blurred in y and x first, then the volume in z, in place in `out`.
    """
    array = as_array("image", image, finite=True)
    ndim = array.ndim
    sigmas = _per_axis("sigma_px", sigma_px, ndim)
    if radius_px is None:
        radii = [math.ceil(3 * s) for s in sigmas]
    else:
        radii = [int(r) for r in _per_axis("radius_px", radius_px, ndim, whole=True)]
    check_choice("mode", mode, ("reflect", "nearest"))
    result = _as_output(out, array)
    if array.size == 0:
        return result
    weights = [_weights(s, r) for s, r in zip(sigmas, radii, strict=True)]
    places = [
        _extended_index(n, w.size - 1, mode) for n, w in zip(array.shape, weights, strict=True)
    ]
    dtype = np.uint8 if array.dtype in (np.uint8, np.bool_) else np.float32
    volume, target = (array, result) if ndim == 3 else (array[None], result[None])
    for plane, blurred in zip(volume, target, strict=True):
        source = np.require(plane, dtype, ["C", "W", "A"])
        _kernel.blur_plane(source, places[-2], places[-1], weights[-2], weights[-1], blurred)
    if ndim == 3 and weights[0].size > 1:
        _kernel.blur_depth(result, places[0], weights[0])
    return result


def _per_axis(name: str, value: Any, ndim: int, *, whole: bool = False) -> tuple[float, ...]:
    """One non-negative number per axis."""
    numbers: tuple[Any, ...] = (value,) * ndim if np.isscalar(value) else tuple(value)
    if len(numbers) != ndim:
        msg = f"'{name}' must be one number or {ndim} of them, got {value!r}"
        raise ParameterError(msg)
    for number in numbers:
        check_positive(name, number, zero=True)
        if whole and number != int(number):
            msg = f"'{name}' must be whole pixels, got {value!r}"
            raise ParameterError(msg)
    return numbers


def _weights(sigma_px: float, radius_px: int) -> NDArray[np.float32]:
    """The central weight of the Gaussian and those to one side of it."""
    if sigma_px == 0:
        return np.ones(1, np.float32)
    half = np.exp(-0.5 * (np.arange(radius_px + 1) / sigma_px) ** 2)
    return (half / (2 * half.sum() - half[0])).astype(np.float32)


def _extended_index(n: int, radius: int, mode: str) -> NDArray[np.int64]:
    """Index of the pixel that stands for each pixel from ``-radius`` to ``n + radius - 1``."""
    places = np.arange(-radius, n + radius)
    if mode == "nearest":
        return places.clip(0, n - 1)
    places %= 2 * n
    return np.minimum(places, 2 * n - 1 - places)


def _as_output(out: NDArray[np.float32] | None, image: NDArray[Any]) -> NDArray[np.float32]:
    """A new float32 array, or `out` if it fits."""
    given = out is not None
    out = as_output("out", out, image.shape, np.float32)
    if given and np.may_share_memory(out, image):
        msg = "'out' must not share memory with 'image', pass another array"
        raise ParameterError(msg)
    return out
