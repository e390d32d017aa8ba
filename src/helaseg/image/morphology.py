"""Disks, holes and specks of binary images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import morphology as _kernel
from helaseg._threads import in_blocks, limit_threads
from helaseg._validate import as_mask, as_output, check_positive, check_range, for_kernel
from helaseg.errors import ParameterError
from helaseg.image.components import as_solid, find_components

_MAX_RADIUS_PX = 65_000
#: Distances up to the radius and two more must fit into a byte.
_MAX_BYTE_RADIUS_PX = 254
#: Pixels below which another thread does not pay.
_LEAST_PX = 1 << 19


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
    logarithm of the radius only. Beyond the result it needs 1 byte per pixel of a
    slice for each slice in work (2 bytes for a radius of 254 or more).
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


def fill_holes(
    mask: ArrayLike, *, max_area_px: int | None = None, out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Fill the holes of a mask.

    Parameters
    ----------
    mask : array, shape (Y, X) or (Z, Y, X)
        True = object. A volume is filled as a whole: a hole of one slice that
        leads outside through another slice is not one.
    max_area_px : int, optional
        Largest hole that is filled, in pixels or voxels; all by default.
    out : bool array, C-contiguous, shape of `mask`, optional
        Where to write; `mask` itself or memory apart from it.

    Returns
    -------
    bool array, shape of `mask`
        The mask and its holes; `out` if it was given.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    A hole is a component of the background that does not touch the border of the
    image; background pixels connect over their sides (4 in 2-D, 6 in 3-D),
    objects therefore over corners too.

    Runs of background that touch the border belong to the outside from the start
    of the labelling, and only runs of holes are painted. Beyond the result it
    needs 1/8 byte per voxel and 4 bytes per run of background.
    """
    solid = as_solid("mask", mask)
    if max_area_px is not None:
        check_positive("max_area_px", max_area_px, zero=True)
    filled = _as_output(out, solid)
    holes = find_components(solid, 1, holes=True)
    fill = np.ones(holes.n + 1, bool)
    if max_area_px is not None:
        fill = holes.sizes() <= max_area_px
    fill[0] = False
    holes.mark(fill, filled, onto=solid)
    return filled


def remove_small(
    mask: ArrayLike,
    *,
    min_area_px: float,
    connectivity: int = 1,
    out: NDArray[np.bool_] | None = None,
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
    out : bool array, C-contiguous, shape of `mask`, optional
        Where to write; `mask` itself or memory apart from it.

    Returns
    -------
    bool array, shape of `mask`
        The components of at least `min_area_px`; `out` if it was given.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    Beyond the result it needs 1/8 byte per voxel and 4 bytes per run of foreground.
    """
    solid = as_solid("mask", mask)
    check_positive("min_area_px", min_area_px, zero=True)
    check_range("connectivity", connectivity, 1, solid.ndim)
    kept = _as_output(out, solid)
    components = find_components(solid, connectivity)
    keep = components.sizes() >= min_area_px
    keep[0] = False
    components.mark(keep, kept)
    return kept


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
    planes, targets = _planes(source), _planes(result)

    def work(first: int, last: int) -> None:
        # One slice after the other, the rows of each among as many threads as are left.
        for z in range(first, last):
            _spread(planes[z].view(np.uint8), targets[z].view(np.uint8), radius, values)

    _share_slices(work, planes)
    return result


def _share_slices(work: Callable[[int, int], None], planes: NDArray[Any]) -> None:
    """Let threads take slices where there are several, so that a slice is left to one."""
    depth, height, width = planes.shape
    if depth < 2:
        work(0, depth)
        return

    def alone(first: int, last: int) -> None:
        with limit_threads(1):
            work(first, last)

    in_blocks(alone, depth, least=max(1, _LEAST_PX // max(height * width, 1)))


def _spread(
    plane: NDArray[np.uint8], target: NDArray[np.uint8], radius: float, values: tuple[int, ...]
) -> None:
    # Growing False is shrinking True, with True outside.
    height, width = plane.shape
    heights = _disk_heights(radius, min(math.floor(radius), height))
    far = heights.dtype.type(heights.size - 1)
    below = np.empty(plane.shape, heights.dtype)
    # Rows beyond a block are measured again, up to the radius.
    least = max(_LEAST_PX // max(width, 1), int(far), 1)
    for value in map(np.uint8, values):
        source = for_kernel(plane)

        def measure(
            first: int, last: int, source: Any = source, value: Any = value
        ) -> tuple[int, int, NDArray[Any]]:
            above = np.empty(width, heights.dtype)
            _kernel.measure_columns(source, value, far, first, last, below, above)
            return first, last, above

        # All is measured before any row is written, because the target may be the source.
        blocks = in_blocks(measure, height, least=least)

        def spread(
            first: int, last: int, source: Any = source, value: Any = value, blocks: Any = blocks
        ) -> None:
            for start, stop, above in blocks[first:last]:
                _kernel.spread_disk(source, value, heights, below, above, start, stop, target)

        in_blocks(spread, len(blocks), least=1)
        plane = target


def _disk_heights(radius: float, tallest: int) -> NDArray[Any]:
    """Half-width plus 1 of a disk at the vertical distances 0 to `tallest`, then 0.

    Bytes where they suffice: twice as many fit into a register.
    """
    # Squared distances are whole, so the largest one that fits settles all; the
    # square root is compared as a distance would be, free of the rounding of r * r.
    limit = math.floor(radius * radius)
    if math.sqrt(limit + 1) <= radius:
        limit += 1
    heights = [math.isqrt(limit - d * d) + 1 for d in range(tallest + 1)]
    return np.array([*heights, 0], np.uint8 if radius < _MAX_BYTE_RADIUS_PX else np.uint16)


def _check_radius(radius_px: float) -> float:
    check_positive("radius_px", radius_px, zero=True)
    return float(check_range("radius_px", radius_px, 0, _MAX_RADIUS_PX))


def _planes(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.ndim == 3 else array[None]


def _as_output(out: NDArray[np.bool_] | None, mask: NDArray[Any]) -> NDArray[np.bool_]:
    """A new bool array, or `out` if it fits."""
    given = out is not None
    out = as_output("out", out, mask.shape, bool)
    if given and out.ctypes.data != mask.ctypes.data and np.may_share_memory(out, mask):
        msg = "'out' must be 'mask' itself or share no memory with it, pass another array"
        raise ParameterError(msg)
    return out
