"""Linear filters."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import blur as _kernel
from helaseg._threads import in_blocks
from helaseg._validate import as_array, as_output, check_choice, check_positive, for_kernel
from helaseg.errors import ParameterError

#: Pixels below which another thread does not pay.
PIXELS_PER_BLOCK = 1 << 18


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
    Besides `out` a few rows are held; images of other dtypes than bool, uint8
    and float32 are converted slice by slice.
    """
    array = as_array("image", image, finite=True)
    ndim = array.ndim
    sigmas = _per_axis("sigma_px", sigma_px, ndim)
    if radius_px is None:
        radii = [_default_radius(s) for s in sigmas]
    else:
        radii = [int(r) for r in _per_axis("radius_px", radius_px, ndim, whole=True)]
    check_choice("mode", mode, ("reflect", "nearest"))
    result = output_apart("out", out, array, np.float32)
    if array.size == 0:
        return result
    weights = [_weights(s, r) for s, r in zip(sigmas, radii, strict=True)]
    volume, target = (array, result) if ndim == 3 else (array[None], result[None])
    for plane, blurred in zip(volume, target, strict=True):
        BlurredRows(plane, weights[-2], weights[-1], mode).read_all(blurred)
    if ndim == 3 and weights[0].size > 1:
        depth, height, width = result.shape
        planes = _extended_index(depth, weights[0].size - 1, mode)
        in_blocks(
            lambda start, stop: _kernel.blur_depth(result, planes, weights[0], start, stop),
            height,
            least=-(-PIXELS_PER_BLOCK // (depth * width)),
        )
    return result


class BlurredRows:
    """The rows of a blurred plane, made when they are read.

    Parameters
    ----------
    plane : array of bools, integers or finite floats, shape (Y, X)
    row_weights, column_weights : float32 array
        One half of the filter along y and along x, the central weight first.
    mode : {"reflect", "nearest"}
    """

    def __init__(
        self,
        plane: NDArray[Any],
        row_weights: NDArray[np.float32],
        column_weights: NDArray[np.float32],
        mode: str,
    ) -> None:
        if plane.dtype == np.bool_:
            plane = plane.view(np.uint8)
        dtype = np.uint8 if plane.dtype == np.uint8 else np.float32
        self._source = for_kernel(plane, dtype)
        # The kernel takes a central weight of 1 along x: a product less per pixel.
        self._row_weights = row_weights * column_weights[0]
        self._column_weights = column_weights / column_weights[0]
        height, width = plane.shape
        self._rows = _extended_index(height, row_weights.size - 1, mode)
        self._columns = _extended_index(width, column_weights.size - 1, mode)
        self.shape: tuple[int, int] = (height, width)

    def read(self, start: int, stop: int, out: NDArray[np.float32]) -> None:
        """Write rows ``start <= y < stop`` to `out`, shape (stop - start, X)."""
        _kernel.blur_rows(
            self._source,
            self._rows[start : stop + 2 * (self._row_weights.size - 1)],
            self._columns,
            self._row_weights,
            self._column_weights,
            out,
        )

    def read_all(self, out: NDArray[np.float32]) -> None:
        """Write all rows to `out`, shared among threads."""

        def work(start: int, stop: int) -> None:
            self.read(start, stop, out[start:stop])

        height, width = self.shape
        in_blocks(work, height, least=-(-PIXELS_PER_BLOCK // width), multiple=4)

    @classmethod
    def of(cls, plane: NDArray[Any], sigma_px: float | tuple[float, float]) -> BlurredRows:
        """A plane as `gaussian` blurs it by default; checks `sigma_px`."""
        sigmas = _per_axis("sigma_px", sigma_px, 2)
        rows, columns = (_weights(s, _default_radius(s)) for s in sigmas)
        return cls(plane, rows, columns, "reflect")


def _default_radius(sigma_px: float) -> int:
    return math.ceil(3 * sigma_px)


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


@functools.lru_cache(maxsize=64)
def _extended_index(n: int, radius: int, mode: str) -> NDArray[np.int64]:
    """Index of the pixel that stands for each pixel from ``-radius`` to ``n + radius - 1``."""
    places = np.arange(-radius, n + radius)
    if mode == "nearest":
        return places.clip(0, n - 1)
    places %= max(2 * n, 1)
    return np.minimum(places, 2 * n - 1 - places)


def output_apart(
    name: str, out: NDArray[Any] | None, image: NDArray[Any], dtype: Any
) -> NDArray[Any]:
    """A new array, or `out` if it fits and is not the memory of `image`."""
    result = as_output(name, out, image.shape, dtype)
    if out is not None and np.may_share_memory(out, image):
        msg = f"'{name}' must not share memory with 'image', pass another array"
        raise ParameterError(msg)
    return result
