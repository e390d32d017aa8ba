"""Exact Euclidean distances inside a mask, and what follows from the nearest voxel."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import distance as kernels
from helaseg._kernels import distance_across, nearest
from helaseg._threads import in_blocks
from helaseg._validate import (
    as_labels,
    as_mask,
    as_output,
    as_spacing,
    check_positive,
    check_shape_match,
    for_kernel,
)

#: Spacings are whole numbers of a unit if their ratios have no larger denominators.
_MOST_PARTS = 1000
#: Voxels below which another thread does not pay.
SHARE = 2**19
#: From this many slices on, threads share slices, below it the rows of each slice.
SLICES = 8


@overload
def distance_transform(
    mask: ArrayLike,
    *,
    spacing: Any = ...,
    out: NDArray[np.float32] | None = ...,
    return_indices: Literal[False] = ...,
) -> NDArray[np.float32]: ...


@overload
def distance_transform(
    mask: ArrayLike,
    *,
    spacing: Any = ...,
    out: NDArray[np.float32] | None = ...,
    return_indices: Literal[True],
) -> tuple[NDArray[np.float32], NDArray[Any]]: ...


def distance_transform(
    mask: ArrayLike,
    *,
    spacing: Any = None,
    out: NDArray[np.float32] | None = None,
    return_indices: bool = False,
) -> NDArray[np.float32] | tuple[NDArray[np.float32], NDArray[Any]]:
    """Distance of each True voxel to the centre of the nearest False voxel.

    Parameters
    ----------
    mask : (H, W) or (D, H, W) array of bools or numbers
        Non-zero voxels are True.
    spacing : float or one float per axis, optional
        Distance between voxel centres along z, y, x (default 1); the result
        has its unit.
    out : float32 array of the mask's shape, optional
        C-contiguous array to write into; it is returned.
    return_indices : bool
        Also return where the nearest False voxel is.

    Returns
    -------
    distance : float32 array of the mask's shape, in the unit of `spacing`
        0 at False voxels. Infinity everywhere where no voxel is False: the
        image border is no False voxel.
    indices : int32 array of the mask's shape (int64 from 2**31 voxels on)
        Only with ``return_indices=True``: index of the nearest False voxel in
        the ravelled mask, -1 where there is none. Of equally near ones it is
        the one with the lowest z, then x, then y. That is exact for spacings whose
        ratios are fractions of whole numbers up to 1000, such as 50, 10, 10 or 2, 1, 3;
        with others, distances that differ by rounding alone may count as unequal.

    Raises
    ------
    ParameterError
        Wrong number of axes, spacing or `out`.

    Notes
    -----
    1. Scan each column down and up: rows to the nearest False voxel.
    2. For each row, the lower envelope of the parabolas over its columns.
    3. In 3-D the same along z.
    4. Square root, times the spacing along x.

    Squared distances between the steps are float32 in units of the spacing
    along x: exact for equal or whole-numbered ratios of spacing up to 4096
    pixels, else within 2e-7 of the distance. Beyond `out` it needs a quarter
    of a byte per pixel of a slice, and with indices their 4 bytes per voxel.
    Large images are shared among threads; it releases the GIL, so slices may
    also run in a thread pool.

    References
    ----------
    P. Felzenszwalb, D. Huttenlocher (2012), Distance transforms of sampled
    functions, Theory of Computing 8(19), doi:10.4086/toc.2012.v008a019.
    A. Aggarwal et al. (1987), Geometric applications of a matrix-searching
    algorithm, Algorithmica 2, doi:10.1007/BF01840359.

    Examples
    --------
    >>> import numpy as np
    >>> distance_transform(np.array([[0, 1, 1, 1]]), spacing=10)
    array([[ 0., 10., 20., 30.]], dtype=float32)
    """
    solid = as_mask("mask", mask)
    steps = (1.0,) * (3 - solid.ndim) + as_spacing("spacing", spacing, solid.ndim)
    distance = as_output("out", out, solid.shape, np.float32)
    stack = for_kernel(solid.view(np.uint8).reshape((1,) * (3 - solid.ndim) + solid.shape))
    volume = distance.reshape(stack.shape)
    weights = tuple((step / steps[2]) ** 2 for step in steps)
    if not return_indices:
        if stack.size:
            _fill_distances(stack, weights, steps[2], volume)
        return distance
    wide = stack.size > np.iinfo(np.int32).max
    indices = np.empty(stack.shape, dtype=np.int64 if wide else np.int32)
    whole, unit = _whole_steps(steps)
    if stack.size:
        _fill_nearest(stack, tuple(n * n for n in whole), unit, volume, indices)
    return distance, indices.reshape(solid.shape)


def _fill_distances(
    stack: NDArray[np.uint8],
    weights: tuple[float, ...],
    unit: float,
    volume: NDArray[np.float32],
) -> None:
    """Distances of a stack, blocks of slices or rows at a time."""
    depth, height, width = stack.shape
    weight_z, weight_y, _ = weights
    unit_in_slices = unit if depth == 1 else 0.0

    def fill_slices(first: int, last: int) -> None:
        kernels.distances_in_slices(stack, first, last, weight_y, unit_in_slices, volume)

    def fill_rows(first: int, last: int) -> None:
        distance_across.distances_across_slices(weight_z, unit, first, last, volume)

    if depth < SLICES:
        for plane, out in zip(stack, volume, strict=True):
            _fill_slice(plane, weight_y, unit_in_slices, out)
    else:
        in_blocks(fill_slices, depth, least=-(-SHARE // (height * width)))
    if depth > 1:
        in_blocks(fill_rows, height, least=-(-SHARE // (depth * width)))


def _fill_slice(
    plane: NDArray[np.uint8], weight_y: float, unit: float, out: NDArray[np.float32]
) -> None:
    """Distances inside one slice, bands of rows at a time."""
    height, width = plane.shape
    n_bands = -(-height // kernels.BAND)
    above = np.empty((n_bands, width), dtype=np.float32)
    below = np.empty((n_bands, width), dtype=np.float32)
    least = -(-SHARE // (kernels.BAND * width))

    def look(first: int, last: int) -> None:
        kernels.column_ends(plane, first, last, above, below)

    def fill(first: int, last: int) -> None:
        kernels.distances_in_bands(plane, first, last, above, below, weight_y, unit, out)

    in_blocks(look, n_bands, least=least)
    kernels.hand_on(height, above, below)
    in_blocks(fill, n_bands, least=least)


def _fill_nearest(
    stack: NDArray[np.uint8],
    weights: tuple[float, ...],
    unit: float,
    volume: NDArray[np.float32],
    indices: NDArray[Any],
) -> None:
    """Distances of a stack and the nearest False voxels."""
    weight_z, weight_y, weight_x = weights
    nearest.nearest_in_slices(stack, weight_y, weight_x, volume, indices)
    if len(stack) > 1:
        nearest.nearest_across_slices(weight_z, weight_y, weight_x, volume, indices)
    kernels.roots(volume.reshape(-1), unit)


def _whole_steps(steps: tuple[float, ...]) -> tuple[tuple[float, ...], float]:
    """Spacing as whole numbers of a unit, and the unit; as it is if there is no such unit.

    Squared distances of whole numbers are exact in float64, so that equal ones are equal.
    """
    least = min(steps)
    ratios = [Fraction(step / least).limit_denominator(_MOST_PARTS) for step in steps]
    common = math.lcm(*(ratio.denominator for ratio in ratios))
    whole = tuple(float(ratio * common) for ratio in ratios)
    unit = least / common
    fits = all(math.isclose(n * unit, s, rel_tol=1e-12) for n, s in zip(whole, steps, strict=True))
    if fits and max(whole) <= _MOST_PARTS**2:
        return whole, unit
    return tuple(step / steps[2] for step in steps), steps[2]


def expand_labels(
    labels: ArrayLike,
    *,
    max_distance: float | None = None,
    spacing: Any = None,
    mask: ArrayLike | None = None,
) -> NDArray[Any]:
    """Give unlabelled voxels the label of the nearest labelled one.

    Parameters
    ----------
    labels : (H, W) or (D, H, W) array of non-negative integers
        Voxels with 0 are to be filled; labelled voxels never change.
    max_distance : float, optional
        In the unit of `spacing`; voxels further away stay 0 (default: no limit).
    spacing : float or one float per axis, optional
        Distance between voxel centres along z, y, x (default 1).
    mask : array of the same shape, optional
        Only True voxels are filled. Distances are straight lines, also across
        voxels outside the mask.

    Returns
    -------
    labels : array of the same shape and dtype
        Of equally near labelled voxels the one with the lowest z, then x, then
        y gives its label.

    Raises
    ------
    ParameterError
        Labels that are no integers or negative, shapes that differ, a negative distance.

    Notes
    -----
    Beyond the result it needs 9 bytes per voxel.
    """
    array = as_labels("labels", labels)
    if max_distance is not None:
        check_positive("max_distance", max_distance, zero=True)
    wanted = None
    if mask is not None:
        wanted = as_mask("mask", mask)
        check_shape_match("mask", wanted.shape, "labels", array.shape)
    distance, nearest = distance_transform(array == 0, spacing=spacing, return_indices=True)
    fill = nearest >= 0
    if max_distance is not None:
        # rounded as the distances are, so that a voxel exactly at the limit is filled
        fill &= distance <= np.float32(max_distance)
    del distance
    if wanted is not None:
        fill &= wanted
    expanded = array.copy(order="C")
    flat = np.ascontiguousarray(array).ravel()
    for target, source, chosen in zip(expanded, nearest, fill, strict=True):
        target[chosen] = flat[source[chosen]]
    return expanded
