"""Disks, holes and specks of binary images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import morphology as _kernel
from helaseg._validate import as_mask, as_output, check_positive, check_range
from helaseg.errors import ParameterError
from helaseg.image.labels import label
from helaseg.image.regions import region_areas

_MAX_RADIUS_PX = 65_000


def binary_dilation(
    mask: ArrayLike, *, radius_px: float, out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Grow a mask by a disk.

    Parameters
    ----------
    mask : array, shape (Y, X) or (Z, Y, X)
        True = object; the slices of a volume are taken one by one.
    radius_px : float
        Radius of the disk in pixels: all pixels at a Euclidean distance of at
        most `radius_px`, which need not be whole. 0 changes nothing.
    out : bool array, C-contiguous, shape of `mask`, optional
        Where to write; `mask` itself or memory apart from it.

    Returns
    -------
    bool array, shape of `mask`
        `out` if it was given.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    Outside the image nothing is True. The vertical distance to the next object
    pixel gives the half-width of the disk in each row, and the intervals of a
    row are united by a running maximum: exact, at a cost that grows with the
    logarithm of the radius only.
    """
    return _on_slices(mask, radius_px, out, (1,))


def binary_erosion(
    mask: ArrayLike, *, radius_px: float, out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Shrink a mask by a disk.

    Parameters and errors are those of `binary_dilation`.

    Returns
    -------
    bool array, shape of `mask`
        True where the disk fits.

    Notes
    -----
    Outside the image everything counts as True, so that a mask does not shrink
    away from the border.
    """
    return _on_slices(mask, radius_px, out, (0,))


def binary_opening(
    mask: ArrayLike, *, radius_px: float, out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Remove what a disk does not fit into.

    Parameters and errors are those of `binary_dilation`.

    Returns
    -------
    bool array, shape of `mask`
        The union of all disks inside the mask.

    Notes
    -----
    Erosion, then dilation. The border is neutral: a disk may reach beyond it, so
    that objects cut by the border keep their width there.
    """
    return _on_slices(mask, radius_px, out, (0, 1))


def binary_closing(
    mask: ArrayLike, *, radius_px: float, out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Fill gaps that a disk does not fit into.

    Parameters and errors are those of `binary_dilation`.

    Returns
    -------
    bool array, shape of `mask`
        True where every disk over the pixel meets the mask.

    Notes
    -----
    Dilation, then erosion, on slices extended by the radius with False: the mask
    itself is always kept up to the border, and the strip between an object and
    the border is not filled.
    """
    radius = _check_radius(radius_px)
    source = as_mask("mask", mask)
    result = _as_output(out, source)
    r = math.floor(radius)
    planes, targets = _planes(source), _planes(result)
    height, width = planes.shape[1:]
    padded = np.zeros((height + 2 * r, width + 2 * r), np.uint8)
    inside = padded[r : r + height, r : r + width]
    for plane, target in zip(planes, targets, strict=True):
        padded[...] = 0
        inside[...] = plane
        _spread(padded, padded, radius, (1, 0))
        target[...] = inside
    return result


def fill_holes(mask: ArrayLike, *, max_area_px: int | None = None) -> NDArray[np.bool_]:
    """Fill the holes of a mask.

    Parameters
    ----------
    mask : array, shape (Y, X) or (Z, Y, X)
        True = object. A volume is filled as a whole: a hole of one slice that
        leads outside through another slice is none.
    max_area_px : int, optional
        Largest hole that is filled, in pixels or voxels; all by default.

    Returns
    -------
    bool array, shape of `mask`
        The mask and its holes.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    A hole is a component of the background that does not touch the border of the
    image; background pixels connect over their sides (4 in 2-D, 6 in 3-D),
    objects therefore over corners too.
    """
    source = as_mask("mask", mask)
    if max_area_px is not None:
        check_positive("max_area_px", max_area_px, zero=True)
    components, n = label(~source, connectivity=1, return_count=True)
    fill = np.ones(n + 1, bool)
    if max_area_px is not None:
        fill = region_areas(components, n=n) <= max_area_px
    for axis in range(source.ndim):
        for side in (slice(None, 1), slice(-1, None)):
            fill[components[(slice(None),) * axis + (side,)]] = False
    # Label 0 is the mask itself.
    fill[0] = True
    return fill[components]


def remove_small(
    mask: ArrayLike, *, min_area_px: float, connectivity: int = 1
) -> NDArray[np.bool_]:
    """Remove the small components of a mask.

    Parameters
    ----------
    mask : array, shape (Y, X) or (Z, Y, X)
        True = object.
    min_area_px : float
        Smallest component that is kept, in pixels or voxels.
    connectivity : int
        1 to the number of axes: how many coordinates may differ between
        neighbours (2-D: 1 = 4, 2 = 8 neighbours; 3-D: 6, 18, 26).

    Returns
    -------
    bool array, shape of `mask`
        The components of at least `min_area_px`.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.
    """
    source = as_mask("mask", mask)
    check_positive("min_area_px", min_area_px, zero=True)
    check_range("connectivity", connectivity, 1, source.ndim)
    components, n = label(source, connectivity=connectivity, return_count=True)
    keep = region_areas(components, n=n) >= min_area_px
    keep[0] = False
    return keep[components]


def _on_slices(
    mask: ArrayLike,
    radius_px: float,
    out: NDArray[np.bool_] | None,
    values: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Spread each of `values` in turn over a disk, slice by slice."""
    radius = _check_radius(radius_px)
    source = as_mask("mask", mask)
    result = _as_output(out, source)
    for plane, target in zip(_planes(source), _planes(result), strict=True):
        _spread(
            np.require(plane, bool, ["C", "W", "A"]).view(np.uint8),
            target.view(np.uint8),
            radius,
            values,
        )
    return result


def _spread(
    plane: NDArray[np.uint8], target: NDArray[np.uint8], radius: float, values: tuple[int, ...]
) -> None:
    # Growing False is shrinking True, with True outside.
    heights = _disk_heights(radius, min(math.floor(radius), plane.shape[0]))
    below = np.empty(plane.shape, np.uint16)
    for value in values:
        _kernel.spread_disk(plane, np.uint8(value), heights, below, target)
        plane = target


def _disk_heights(radius: float, tallest: int) -> NDArray[np.uint16]:
    """Half-width plus 1 of a disk at the vertical distances 0 to `tallest`, then 0."""
    # Squared distances are whole, so the largest one that fits settles all; the
    # square root is compared as a distance would be, free of the rounding of r * r.
    limit = math.floor(radius * radius)
    if math.sqrt(limit + 1) <= radius:
        limit += 1
    heights = [math.isqrt(limit - d * d) + 1 for d in range(tallest + 1)]
    return np.array([*heights, 0], np.uint16)


def _check_radius(radius_px: float) -> float:
    check_positive("radius_px", radius_px, zero=True)
    return float(check_range("radius_px", radius_px, 0, _MAX_RADIUS_PX))


def _planes(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.ndim == 3 else array[None]


def _as_output(out: NDArray[np.bool_] | None, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A new bool array, or `out` if it fits."""
    given = out is not None
    out = as_output("out", out, mask.shape, bool)
    if given and out.ctypes.data != mask.ctypes.data and np.may_share_memory(out, mask):
        msg = "'out' must be 'mask' itself or share no memory with it, pass another array"
        raise ParameterError(msg)
    return out
