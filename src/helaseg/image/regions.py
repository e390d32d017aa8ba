"""Measurements of labelled regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import regions as _kernel
from helaseg._validate import (
    as_array,
    as_labels,
    as_output,
    as_spacing,
    check_shape_match,
    for_kernel,
)
from helaseg.errors import ParameterError
from helaseg.image.components import as_solid, find_components

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 1 << 20
_SMALL_TABLE = 1 << 16


def region_areas(labels: ArrayLike, *, n: int | None = None) -> NDArray[np.int64]:
    """Count the pixels of every label.

    Parameters
    ----------
    labels : array of non-negative integers or bools, any number of axes up to 3
        Labels; 0 is background.
    n : int, optional
        Largest label that may occur; found by a pass over `labels` if left out.

    Returns
    -------
    int64 array, shape (n + 1,)
        Pixels per label, at the place of the label; the first is the background.

    Raises
    ------
    ParameterError
        If a label is negative or above `n`, or an argument is of the wrong kind.

    Notes
    -----
    The result is as long as the largest label: for sparse labels use
    `region_table`. An int32 array is read in place, others in pieces.
    """
    flat, n = _flat_labels(labels, n)
    counts = np.zeros(n + 1, np.int64)
    n_bad = 0
    for start in range(0, flat.size, _CHUNK):
        n_bad += _kernel.count_labels(_as_int32(flat[start : start + _CHUNK], n), counts)
    _refuse_outside(n_bad, n)
    return counts


def region_sums(
    labels: ArrayLike, *, image: ArrayLike, n: int | None = None
) -> NDArray[np.float64]:
    """Sum the values of an image over every label.

    Parameters
    ----------
    labels : array of non-negative integers or bools, any number of axes up to 3
        Labels; 0 is background.
    image : array of bools, integers or floats, shape of `labels`
        Values to sum.
    n : int, optional
        Largest label that may occur; found by a pass over `labels` if left out.

    Returns
    -------
    float64 array, shape (n + 1,)
        Sum per label, at the place of the label; the first is the background.

    Raises
    ------
    ParameterError
        If a label is negative or above `n`, or an argument is of the wrong kind.
    """
    flat, n = _flat_labels(labels, n)
    values = as_array("image", image, ndim=(1, 2, 3))
    check_shape_match("image", values.shape, "labels", np.shape(labels))
    values = values.reshape(-1)
    sums = np.zeros(n + 1)
    n_bad = 0
    for start in range(0, flat.size, _CHUNK):
        piece = slice(start, start + _CHUNK)
        numbers = for_kernel(values[piece], np.float64)
        n_bad += _kernel.sum_labels(_as_int32(flat[piece], n), numbers, sums)
    _refuse_outside(n_bad, n)
    return sums


def region_table(
    labels: ArrayLike,
    *,
    image: ArrayLike | None = None,
    spacing: float | tuple[float, ...] | None = None,
) -> pd.DataFrame:
    """Measure every labelled region.

    Parameters
    ----------
    labels : array of non-negative integers or bools, shape (Y, X) or (Z, Y, X)
        Labels, which may leave out numbers; 0 is background.
    image : array of bools, integers or floats, shape of `labels`, optional
        Grey values to measure.
    spacing : float or one per axis, optional
        Distance between neighbours along each axis; pixels by default.

    Returns
    -------
    DataFrame
        One row per label, in increasing order:

        ``label``
            The label.
        ``n_px``
            Pixels or voxels.
        ``size``
            Area or volume, in the unit of `spacing`; only with `spacing`.
        ``centroid_z`` (3-D), ``centroid_y``, ``centroid_x``
            Mean coordinates, in the unit of `spacing`, else in pixels; the
            centre of the first pixel is 0.
        ``start_z`` (3-D), ``start_y``, ``start_x``, ``stop_z`` (3-D), ...
            Bounding box in pixels, half-open.
        ``touches_border``
            Whether a pixel lies on the border of the array.
        ``mean``, ``min``, ``max``
            Grey values; only with `image`.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    One pass, plane by plane, over runs of equal labels; coordinate sums are
    integers, hence exact.
    """
    import pandas as pd

    array = as_labels("labels", labels)
    steps = None if spacing is None else as_spacing("spacing", spacing, array.ndim)
    values = None if image is None else as_array("image", image)
    if values is not None:
        check_shape_match("image", values.shape, "labels", array.shape)
    names, places = _compact(array)

    planes = places if array.ndim == 3 else places[None]
    n = names.size
    counts, moments, bounds = _empty_table(n)
    sums = np.zeros(n)
    lows = np.full(n, np.inf)
    highs = np.full(n, -np.inf)
    for z, plane in enumerate(planes):
        whole = for_kernel(plane, np.int32)
        _kernel.add_plane(whole, z, counts, moments, bounds)
        if values is not None:
            grey = values[z] if array.ndim == 3 else values
            flat = for_kernel(grey, np.float64).reshape(-1)
            _kernel.add_intensity(whole.reshape(-1), flat, sums, lows, highs)

    found = np.flatnonzero(counts)
    counts = counts[found]
    columns = _columns(names[found], counts, moments[found], bounds[found], array.shape, steps)
    if values is not None:
        columns |= {"mean": sums[found] / counts, "min": lows[found], "max": highs[found]}
    return pd.DataFrame(columns)


def label_with_table(
    mask: ArrayLike,
    *,
    connectivity: int = 1,
    spacing: float | tuple[float, ...] | None = None,
    out: NDArray[np.int32] | None = None,
) -> tuple[NDArray[np.int32], pd.DataFrame]:
    """Number the connected components of a mask and measure them.

    Parameters
    ----------
    mask : (H, W) or (D, H, W) array of bools or numbers
        Non-zero voxels are foreground.
    connectivity : int
        Largest number of axes in which two touching voxels differ by one:
        2-D: 1 = 4 neighbours, 2 = 8; 3-D: 1 = 6, 2 = 18, 3 = 26.
    spacing : float or one per axis, optional
        Distance between neighbours along each axis; pixels by default.
    out : int32 array of the mask's shape, optional
        C-contiguous array to write the labels into.

    Returns
    -------
    labels : int32 array of the mask's shape
        As from `label`.
    table : DataFrame
        One row per component, with the columns of `region_table`.

    Raises
    ------
    ParameterError
        If an argument has the wrong shape, dtype or range.

    Notes
    -----
    The same as `label` and `region_table` one after the other, but measured on
    the runs of the mask before they are painted, which costs next to nothing:
    the label image is not read again.
    """
    import pandas as pd

    solid = as_solid("mask", mask)
    steps = None if spacing is None else as_spacing("spacing", spacing, solid.ndim)
    labels = as_output("out", out, solid.shape, np.int32)
    components = find_components(solid, connectivity)
    components.paint(labels)
    counts, moments, bounds = _empty_table(components.n + 1)
    components.measure(counts, moments, bounds)
    names = np.arange(1, components.n + 1)
    columns = _columns(names, counts[1:], moments[1:], bounds[1:], solid.shape, steps)
    return labels, pd.DataFrame(columns)


def _empty_table(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Voxels, sums of coordinates and bounding boxes of `n` regions without a voxel."""
    bounds = np.zeros((n, 6), np.int64)
    bounds[:, :3] = np.iinfo(np.int64).max
    return np.zeros(n, np.int64), np.zeros((n, 3), np.int64), bounds


def _columns(
    names: NDArray[Any],
    counts: NDArray[np.int64],
    moments: NDArray[np.int64],
    bounds: NDArray[np.int64],
    shape: tuple[int, ...],
    steps: tuple[float, ...] | None,
) -> dict[str, NDArray[Any]]:
    """Columns of the table of regions that need no grey values."""
    first = 3 - len(shape)
    starts, stops = bounds[:, first:3], bounds[:, 3 + first :]
    columns: dict[str, NDArray[Any]] = {"label": names, "n_px": counts}
    if steps is not None:
        columns["size"] = counts * float(np.prod(steps))
    axes = "zyx"[first:]
    for k, axis in enumerate(axes):
        step = 1.0 if steps is None else steps[k]
        columns[f"centroid_{axis}"] = moments[:, first + k] / counts * step
    columns |= {f"start_{axis}": starts[:, k] for k, axis in enumerate(axes)}
    columns |= {f"stop_{axis}": stops[:, k] for k, axis in enumerate(axes)}
    columns["touches_border"] = ((starts == 0) | (stops == shape)).any(axis=1)
    return columns


def _compact(array: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Names of the places 0, 1, ... of a table, and the place of every pixel."""
    largest = int(array.max()) if array.size else 0
    if largest < max(_SMALL_TABLE, array.size):
        return np.arange(largest + 1), array
    names, places = np.unique(array, return_inverse=True)
    if names[0] != 0:
        names, places = np.concatenate([np.zeros(1, names.dtype), names]), places + 1
    return names, places.reshape(array.shape)


def _flat_labels(labels: ArrayLike, n: int | None) -> tuple[NDArray[Any], int]:
    """Labels as one row, and the largest that may occur."""
    array = as_array("labels", labels, ndim=(1, 2, 3))
    if array.dtype == bool:
        array = array.view(np.uint8)
    if array.dtype.kind not in "ui":
        msg = f"'labels' must hold integer labels, got dtype {array.dtype}"
        raise ParameterError(msg)
    if n is None:
        n = max(int(array.max()), 0) if array.size else 0
    elif n < 0:
        msg = f"'n' must be zero or positive, got {n!r}"
        raise ParameterError(msg)
    if n >= np.iinfo(np.int32).max:
        msg = f"the largest label must fit in 32 bits, got {n}; relabel_sequential shortens labels"
        raise ParameterError(msg)
    return array.reshape(-1), n


def _as_int32(piece: NDArray[Any], n: int) -> NDArray[np.int32]:
    """A plain int32 piece; what does not fit is sent out of range, not wrapped into it."""
    if piece.dtype.itemsize > 4 or piece.dtype == np.uint32:
        piece = np.where((piece >= 0) & (piece <= n), piece, -1)
    return for_kernel(piece, np.int32)


def _refuse_outside(n_bad: int, n: int) -> None:
    if n_bad:
        msg = f"'labels' must lie between 0 and {n}, {n_bad} pixels do not; pass a larger 'n'"
        raise ParameterError(msg)
