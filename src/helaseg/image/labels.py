"""Connected components of masks, and tidy label numbers."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import labeling
from helaseg._validate import as_labels, as_mask, as_output, check_choice
from helaseg.errors import ParameterError

_INT32_MAX = np.iinfo(np.int32).max


@overload
def label(
    mask: ArrayLike,
    *,
    connectivity: int = ...,
    return_count: Literal[False] = ...,
    out: NDArray[np.int32] | None = ...,
) -> NDArray[np.int32]: ...


@overload
def label(
    mask: ArrayLike,
    *,
    connectivity: int = ...,
    return_count: Literal[True],
    out: NDArray[np.int32] | None = ...,
) -> tuple[NDArray[np.int32], int]: ...


def label(
    mask: ArrayLike,
    *,
    connectivity: int = 1,
    return_count: bool = False,
    out: NDArray[np.int32] | None = None,
) -> NDArray[np.int32] | tuple[NDArray[np.int32], int]:
    """Number the connected components of a mask.

    Parameters
    ----------
    mask : (H, W) or (D, H, W) array of bools or numbers
        Non-zero voxels are foreground.
    connectivity : int
        Largest number of axes in which two touching voxels differ by one:
        2-D: 1 = 4 neighbours, 2 = 8; 3-D: 1 = 6, 2 = 18, 3 = 26.
    return_count : bool
        Also return the number of components.
    out : int32 array of the mask's shape, optional
        C-contiguous array to write into; it is returned.

    Returns
    -------
    labels : int32 array of the mask's shape
        0 = background; components are numbered from 1 in the raster order of
        their first voxels, as `scipy.ndimage.label` and
        `skimage.measure.label` number them.
    count : int
        Only with ``return_count=True``.

    Raises
    ------
    ParameterError
        Wrong number of axes, connectivity or `out`.

    Notes
    -----
    1. Find the runs of foreground in each row.
    2. Unite runs of neighbouring rows that touch (union-find, the earliest run is the root).
    3. Number the roots in order and paint the runs.

    Beyond `out` it needs 12 bytes per run.

    References
    ----------
    L. He, Y. Chao, K. Suzuki (2008), A run-based two-scan labeling algorithm,
    IEEE Trans. Image Processing 17(5), doi:10.1109/TIP.2008.919369.
    """
    solid = as_mask("mask", mask)
    _check_connectivity(connectivity, solid.ndim)
    labels = as_output("out", out, solid.shape, np.int32)
    runs = _runs(solid, connectivity)
    labeling.paint_runs(runs.offsets, runs.starts, runs.stops, runs.numbers, _as_stack(labels))
    return (labels, runs.n_components) if return_count else labels


def largest_component(mask: ArrayLike, *, connectivity: int = 1) -> NDArray[np.bool_]:
    """Keep the component with the most voxels.

    Parameters
    ----------
    mask : (H, W) or (D, H, W) array of bools or numbers
        Non-zero voxels are foreground.
    connectivity : int
        As in `label`.

    Returns
    -------
    bool array of the mask's shape
        Of equally large components the first in raster order; all False where the mask is empty.

    Raises
    ------
    ParameterError
        Wrong number of axes or connectivity.
    """
    solid = as_mask("mask", mask)
    _check_connectivity(connectivity, solid.ndim)
    runs = _runs(solid, connectivity)
    kept = np.zeros(solid.shape, dtype=bool)
    if runs.n_components:
        sizes = np.zeros(runs.n_components + 1, dtype=np.int64)
        labeling.measure_runs(runs.starts, runs.stops, runs.numbers, sizes)
        chosen = (runs.numbers == np.argmax(sizes)).astype(np.int32)
        labeling.paint_runs(
            runs.offsets, runs.starts, runs.stops, chosen, _as_stack(kept.view(np.uint8))
        )
    return kept


def relabel_sequential(labels: ArrayLike) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Renumber labels as 1, 2, 3, ... and tell what they were.

    Parameters
    ----------
    labels : array of non-negative integers, 2-D or 3-D
        0 is background and stays 0.

    Returns
    -------
    labels : int32 array of the same shape
        The same regions; the order of the numbers is kept.
    old_ids : (n + 1,) array of the input's dtype
        ``old_ids[new] == old``; ``old_ids[0] == 0``.

    Raises
    ------
    ParameterError
        Labels that are no integers or negative.
    """
    array = as_labels("labels", labels)
    old_ids = _distinct(array)
    new = np.empty(array.shape, dtype=np.int32)
    top = int(old_ids[-1])
    table = None
    if top <= _table_limit(array.size):
        table = np.zeros(top + 1, dtype=np.int32)
        table[old_ids] = np.arange(old_ids.size, dtype=np.int32)
    # plane by plane, because indexing converts its index to int64
    for source, target in zip(array, new, strict=True):
        target[...] = table[source] if table is not None else np.searchsorted(old_ids, source)
    return new, old_ids


class _Runs(NamedTuple):
    offsets: NDArray[np.int64]
    starts: NDArray[np.int32]
    stops: NDArray[np.int32]
    numbers: NDArray[np.int32]
    n_components: int


def _runs(solid: NDArray[np.bool_], connectivity: int) -> _Runs:
    stack = _as_stack(solid.view(np.uint8))
    # a writable and a read-only array would each compile a kernel of their own
    stack.flags.writeable = False
    depth, height, _ = stack.shape
    offsets = np.empty(depth * height + 1, dtype=np.int64)
    labeling.count_runs(stack, offsets)
    n_runs = _check_run_count(int(offsets[-1]))
    starts = np.empty(n_runs, dtype=np.int32)
    stops = np.empty(n_runs, dtype=np.int32)
    numbers = np.empty(n_runs, dtype=np.int32)
    labeling.find_runs(stack, offsets, starts, stops)
    labeling.join_runs(depth, height, int(connectivity), offsets, starts, stops, numbers)
    count = labeling.number_runs(numbers)
    return _Runs(offsets, starts, stops, numbers, int(count))


def _as_stack(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape((1,) * (3 - array.ndim) + array.shape)


def _distinct(array: NDArray[Any]) -> NDArray[Any]:
    """Sorted distinct values, 0 always among them."""
    top = int(array.max()) if array.size else 0
    if top <= _table_limit(array.size):
        present = np.zeros(top + 1, dtype=bool)
        present[0] = True
        for plane in array:
            present[plane] = True
        return np.flatnonzero(present).astype(array.dtype)
    found = np.unique(array)
    return found if found[0] == 0 else np.concatenate([np.zeros(1, array.dtype), found])


def _table_limit(size: int) -> int:
    # a table by label pays while it stays smaller than the image
    return max(65_535, size)


def _check_connectivity(connectivity: int, ndim: int) -> None:
    check_choice("connectivity", connectivity, range(1, ndim + 1))


def _check_run_count(n_runs: int) -> int:
    if n_runs > _INT32_MAX:
        msg = (
            f"'mask' must have at most {_INT32_MAX} runs of foreground, got {n_runs}; "
            "label it in blocks"
        )
        raise ParameterError(msg)
    return n_runs
