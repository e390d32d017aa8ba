"""Marker-based watershed in 2-D and 3-D."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import watershed as kernels
from helaseg._validate import (
    as_array,
    as_labels,
    as_mask,
    as_output,
    check_choice,
    check_shape_match,
)
from helaseg.errors import ParameterError

_INT32_MAX = np.iinfo(np.int32).max
#: The kernels keep a few negative states beside the labels.
_LABEL_MAX = _INT32_MAX - 2
#: Voxels whose sort keys are made at a time, so that temporaries stay small.
_BLOCK_VX = 1 << 16


def watershed(
    priority: ArrayLike,
    markers: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    connectivity: int = 1,
    lines: bool = False,
    out: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """Flood an image from markers, lowest values first.

    Parameters
    ----------
    priority : (H, W) or (D, H, W) array of bools, integers or floats
        Low values are flooded first; infinity is allowed.
    markers : array of non-negative integers, shape of `priority`
        Voxels above 0 are the sources and keep their label.
    mask : array of the same shape, optional
        Only True voxels are flooded; markers outside it are dropped.
    connectivity : int
        Largest number of axes in which two neighbours differ by one:
        2-D: 1 = 4 neighbours, 2 = 8; 3-D: 1 = 6, 2 = 18, 3 = 26.
    lines : bool
        Leave a line of 0, one voxel wide, where two labels meet; thicker only
        where several lines join. Markers that touch each other keep their
        labels and get no line between them.
    out : int32 array of the same shape, optional
        C-contiguous array to write into; it is returned.

    Returns
    -------
    labels : int32 array of the shape of `priority`
        0 = outside the mask, a line, or not connected to any marker.

    Raises
    ------
    ParameterError
        NaN inside the mask, shapes that differ, negative or too large labels,
        wrong connectivity or `out`, or 2**31 voxels and more.

    Notes
    -----
    1. Turn priorities into integer levels: the value itself less the smallest
       where integers span few values, else the exact rank among the distinct
       values (floats as float64).
    2. Queue the markers, each in the queue of its level, in raster order.
    3. Take the voxel that waited longest in the lowest queue; each neighbour
       without a label gets its label and joins the queue of the higher of the
       two levels, neighbours along one axis first, then in raster order.

    That is the order of `skimage.segmentation.watershed` 0.26 (level, then
    age), and the labels are the same wherever no two marker voxels have equal
    values. Where they do, scikit-image takes them in the order of its heap
    and this function in raster order, so that voxels halfway between two
    markers may differ. Lines follow `watershed_line`: a voxel becomes a line
    when, at its turn, a neighbour has another label than the one that reached
    it first, and it passes that label on so that no pocket stays empty.

    Memory beyond the inputs: 8 bytes per voxel of the padded image, 4 per
    level, 4 for the result; while floats are ranked, 16 per voxel of the mask.
    It releases the GIL, so regions may be flooded in a thread pool.

    References
    ----------
    S. Beucher, F. Meyer (1993), The morphological approach to segmentation: the
    watershed transformation, in Mathematical Morphology in Image Processing.
    F. Meyer (1994), Topographic distance and watershed lines, Signal
    Processing 38(1), doi:10.1016/0165-1684(94)90060-4.
    """
    values = as_array("priority", priority)
    shape = values.shape
    padded = _padded_shape(shape)
    _check_size(padded)
    sources = as_labels("markers", markers)
    check_shape_match("markers", sources.shape, "priority", shape)
    if sources.size and int(sources.max()) > _LABEL_MAX:
        msg = (
            f"'markers' must not exceed {_LABEL_MAX}, got label {sources.max()}; "
            "renumber them with relabel_sequential"
        )
        raise ParameterError(msg)
    inside = None
    if mask is not None:
        inside = as_mask("mask", mask)
        check_shape_match("mask", inside.shape, "priority", shape)
    check_choice("connectivity", connectivity, range(1, values.ndim + 1))
    labels = as_output("out", out, shape, np.int32, contiguous=False)

    levels, n_levels = _levels(values, inside)
    cells = np.empty((*padded, 2), dtype=np.int32)
    cells[..., 0] = kernels.OUTSIDE
    image = cells[
        tuple(slice(1, -1) if n > m else slice(None) for n, m in zip(padded, shape, strict=True))
    ]
    image[..., 0] = sources
    if inside is None:
        image[..., 1] = levels.reshape(shape)
    else:
        image[inside, 1] = levels
        np.copyto(image[..., 0], kernels.OUTSIDE, where=~inside)
    del levels

    tails = np.full(n_levels, -1, dtype=np.int32)
    flat = cells.reshape(-1, 2)
    kernels.queue_markers(flat, tails)
    run = kernels.flood_with_lines if lines else kernels.flood
    run(flat, tails, _neighbour_steps(padded, shape, int(connectivity)))
    return np.maximum(image[..., 0], 0, out=labels)


def _padded_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """One voxel more on either side, except along axes that have no neighbours."""
    return tuple(n if n == 1 else n + 2 for n in shape)


def _neighbour_steps(
    padded: tuple[int, ...], shape: tuple[int, ...], connectivity: int
) -> NDArray[np.int64]:
    """Offsets of the neighbours in the ravelled image: fewest axes first, then raster order."""
    strides = np.cumprod((1, *padded[:0:-1]))[::-1]
    moves = [(0,) if n == 1 else (-1, 0, 1) for n in shape]
    neighbours = [move for move in product(*moves) if 0 < np.abs(move).sum() <= connectivity]
    neighbours.sort(key=lambda move: sum(map(abs, move)))
    return np.array([np.dot(move, strides) for move in neighbours], dtype=np.int64)


def _levels(
    values: NDArray[Any], inside: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int32], int]:
    """Integer levels of the voxels inside the mask, ravelled, and the number of levels."""
    used = values.ravel() if inside is None else values[inside]
    if used.size == 0:
        return np.empty(0, dtype=np.int32), 0
    if used.dtype == bool:
        used = used.view(np.uint8)
    if used.dtype.kind in "ui":
        low = used.min()
        span = int(used.max()) - int(low)
        if span < max(65_536, used.size):
            # modular arithmetic: the true difference fits, whatever the operands' type
            above = used - low
            return above.view(f"u{above.itemsize}").astype(np.int32), span + 1
    elif np.isnan(used).any():
        msg = "'priority' must not hold NaN inside the mask; exclude those voxels with 'mask'"
        raise ParameterError(msg)
    keys = _ordered_keys(used)
    del used
    order = np.empty(keys.size, dtype=np.int32)
    ranks = np.empty(keys.size, dtype=np.int32)
    return ranks, kernels.rank(keys, order, ranks)


def _ordered_keys(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Unsigned integers in the order of the values."""
    keys = np.empty(values.size, dtype=np.uint64)
    kind, sign = values.dtype.kind, np.uint64(1 << 63)
    for start in range(0, values.size, _BLOCK_VX):
        part = slice(start, start + _BLOCK_VX)
        if kind == "u":
            keys[part] = values[part]
        elif kind == "i":
            keys[part] = values[part].astype(np.int64).view(np.uint64) ^ sign
        else:
            # + 0 makes -0 and 0 the same; then the bits of positive floats are in order,
            # those of negative ones in reverse
            bits = (values[part].astype(np.float64) + 0.0).view(np.uint64)
            keys[part] = np.where(bits & sign, ~bits, bits | sign)
    return keys


def _check_size(padded: tuple[int, ...]) -> None:
    n_voxels = int(np.prod(padded, dtype=object))
    if n_voxels > _INT32_MAX:
        msg = (
            f"'priority' must have fewer than 2**31 voxels with its border, got {n_voxels}; "
            "flood it region by region"
        )
        raise ParameterError(msg)
