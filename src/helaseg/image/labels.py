"""Connected components of masks, and tidy label numbers."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import regions
from helaseg._threads import in_blocks
from helaseg._validate import as_labels, as_output, for_kernel
from helaseg.image.components import as_solid, find_components

_CHUNK = 1 << 19
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
    1. Turn each row into bits, 64 pixels to a word.
    2. Unite runs of neighbouring rows that touch: a few operations on two words find
       all places where runs of 64 pixels meet (union-find, the earliest run is the root).
    3. Number the roots in order and paint the runs.

    Beyond `out` it needs 1/8 byte per voxel and 4 bytes per run of foreground; a
    mask of other numbers than bools or uint8 is copied as bytes first.

    References
    ----------
    L. He, Y. Chao, K. Suzuki (2008), A run-based two-scan labeling algorithm,
    IEEE Trans. Image Processing 17(5), doi:10.1109/TIP.2008.919369.
    M. Patwary, J. Blair, F. Manne (2010), Experiments on union-find algorithms
    for the disjoint-set data structure, doi:10.1007/978-3-642-13193-6_35.
    """
    solid = as_solid("mask", mask)
    labels = as_output("out", out, solid.shape, np.int32)
    components = find_components(solid, connectivity)
    components.paint(labels)
    return (labels, components.n) if return_count else labels


def largest_component(
    mask: ArrayLike, *, connectivity: int = 1, out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Keep the component with the most voxels.

    Parameters
    ----------
    mask : (H, W) or (D, H, W) array of bools or numbers
        Non-zero voxels are foreground.
    connectivity : int
        As in `label`.
    out : bool array of the mask's shape, optional
        C-contiguous array to write into, `mask` itself if you like; it is returned.

    Returns
    -------
    bool array of the mask's shape
        Of equally large components the first in raster order; all False where the mask is empty.

    Raises
    ------
    ParameterError
        Wrong number of axes, connectivity or `out`.

    Notes
    -----
    Memory as for `label`, with 1 byte per voxel for the result.
    """
    solid = as_solid("mask", mask)
    kept = as_output("out", out, solid.shape, bool)
    components = find_components(solid, connectivity)
    chosen = np.zeros(components.n + 1, bool)
    if components.n:
        chosen[np.argmax(components.sizes())] = True
    components.mark(chosen, kept)
    return kept


def relabel_sequential(
    labels: ArrayLike, *, out: NDArray[np.int32] | None = None
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Renumber labels as 1, 2, 3, ... and tell what they were.

    Parameters
    ----------
    labels : array of non-negative integers, 2-D or 3-D
        0 is background and stays 0.
    out : int32 array of the same shape, optional
        C-contiguous array to write into, `labels` itself or memory apart from it.

    Returns
    -------
    labels : int32 array of the same shape
        The same regions; the order of the numbers is kept. `out` if it was given.
    old_ids : (n + 1,) array of the input's dtype
        ``old_ids[new] == old``; ``old_ids[0] == 0``.

    Raises
    ------
    ParameterError
        Labels that are no integers or negative, or an `out` that does not fit.

    Notes
    -----
    Beyond the result it needs 5 bytes per number up to the largest label; where that
    would be more than the pixels, the labels are sorted (about 25 bytes per pixel).
    """
    array = as_labels("labels", labels)
    new = as_output("out", out, array.shape, np.int32)
    top = int(array.max()) if array.size else 0
    # a table by label pays while it stays smaller than the image
    if top > min(max(65_535, array.size), _INT32_MAX):
        old_ids = np.unique(array)
        if old_ids[0] != 0:
            old_ids = np.concatenate([np.zeros(1, array.dtype), old_ids])
        for source, target in zip(array, new, strict=True):
            target[...] = np.searchsorted(old_ids, source)
        return new, old_ids

    flat, target = array.reshape(-1), new.reshape(-1)
    present = np.zeros(top + 1, np.uint8)
    present[0] = 1
    for start in range(0, flat.size, _CHUNK):
        regions.note_labels(for_kernel(flat[start : start + _CHUNK], np.int32), present)
    old = np.flatnonzero(present)
    table = np.zeros(top + 1, np.int32)
    table[old] = np.arange(old.size)

    def replace(first: int, last: int) -> None:
        for start in range(first, last, _CHUNK):
            piece = slice(start, min(start + _CHUNK, last))
            regions.replace_labels(for_kernel(flat[piece], np.int32), table, target[piece])

    in_blocks(replace, flat.size, least=_CHUNK)
    return new, old.astype(array.dtype)
