"""Marker-based watershed in 2-D and 3-D."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import watershed as kernels
from helaseg._threads import in_blocks
from helaseg._validate import (
    as_array,
    as_labels,
    as_mask,
    as_output,
    check_choice,
    check_shape_match,
    for_kernel,
)
from helaseg.errors import ParameterError
from helaseg.image.labels import label
from helaseg.image.levels import PART_VX, write_levels

_INT32_MAX = np.iinfo(np.int32).max
#: Labels are kept as negative numbers beside one that means outside.
_LABEL_MAX = _INT32_MAX - 2
#: Images below this size are flooded at once, by one thread; in larger ones each
#: piece of the mask is flooded by itself, so that its front stays in the cache.
_LARGE_VX = 1 << 20
#: Places in a chunk of a queue, at most: a power of two.
_CHUNK_PLACES = 128


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
        Leave a line of 0, one voxel wide, where two floods meet; thicker only
        where several lines join. Voxels of markers never become a line: where
        markers touch each other, no line lies between them, and where a flood
        meets a marker, the line takes voxels of the flood alone.
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

    Pieces of a large mask are flooded one by one, and shared among threads:
    what happens in one cannot be seen from another, so the labels are the same.

    Memory beyond the inputs: 4 bytes per voxel for the result and 4 for the padded
    image (5 with lines), 8 per level, and the queues: 0.1 per voxel for distance
    maps, 3 for noise, never more than 12. Before the padded image is made, ranking
    floats takes up to 12 per voxel, or 16 per voxel of the mask where float32
    cannot tell their values apart. `out` serves as work space, too.
    The GIL is released.

    References
    ----------
    S. Beucher, F. Meyer (1993), The morphological approach to segmentation: the
    watershed transformation, in Mathematical Morphology in Image Processing.
    F. Meyer (1994), Topographic distance and watershed lines, Signal
    Processing 38(1), doi:10.1016/0165-1684(94)90060-4.
    """
    values = as_array("priority", priority)
    shape = values.shape
    layout = _Layout.of(shape)
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
    if labels.size == 0:
        return labels

    mine = labels.flags.c_contiguous and not any(
        np.may_share_memory(labels, array)
        for array in (values, sources, inside)
        if array is not None
    )
    levels = labels if mine else np.empty(shape, dtype=np.int32)
    n_levels = write_levels(values, inside, levels.reshape(-1))
    words, marked = _mix(levels, sources, layout)
    steps = layout.steps(int(connectivity))
    rows = levels.reshape(-1, shape[-1])
    seeds = np.empty((2, int(marked.sum())), dtype=np.int32)
    n_seeds = kernels.find_seeds(words, rows, layout.begins, marked, steps, seeds[0], seeds[1])
    seeds, bounds = seeds[:, :n_seeds], np.array([0, n_seeds])
    if inside is not None and inside.size >= _LARGE_VX and n_seeds > 1:
        pieces = label(inside, connectivity=int(connectivity), out=levels)
        most = 8 * inside.size // n_levels
        order, bounds = _group(pieces.reshape(-1)[layout.voxels(seeds[0])], most)
        seeds = seeds[:, order]
    settled = np.empty(0, dtype=np.uint8)
    if lines:
        settled = ((words < 0) & (words != kernels.OUTSIDE)).view(np.uint8)

    def flood(start: int, stop: int) -> None:
        queues = _queues(n_levels, values.size)
        groups = bounds[start : stop + 1]
        kernels.flood(words, settled, steps, seeds[0], seeds[1], groups, *queues)

    in_blocks(flood, bounds.size - 1, least=1)

    def unmix(start: int, stop: int) -> None:
        kernels.unmix(words, layout.begins[start:stop], rows[start:stop])

    in_blocks(unmix, rows.shape[0], least=_rows(_LARGE_VX // 2, shape))
    if levels is not labels:
        labels[...] = levels
    return labels


class _Layout(NamedTuple):
    """Places of the voxels of an image in the padded, ravelled one."""

    padded: tuple[int, int, int]
    begins: NDArray[np.int64]  # of the rows
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> _Layout:
        """One voxel more on either side, but no slices around a single one."""
        depth, height, width = (1, *shape)[-3:]
        border = int(depth > 1)
        padded = (depth + 2 * border, height + 2, width + 2)
        n_voxels = int(np.prod(padded, dtype=object))
        if n_voxels > _INT32_MAX:
            msg = (
                f"'priority' must have fewer than 2**31 voxels with its border, got {n_voxels}; "
                "flood it region by region"
            )
            raise ParameterError(msg)
        z, y = np.indices((depth, height), dtype=np.int64).reshape(2, -1)
        begins = ((z + border) * padded[1] + y + 1) * padded[2] + 1
        return cls(padded, begins, (depth, height, width))

    def steps(self, connectivity: int) -> NDArray[np.int64]:
        """Offsets of a voxel's neighbours: fewest axes first, then raster order."""
        moves = [(0,) if n == 1 else (-1, 0, 1) for n in self.shape]
        neighbours = [move for move in product(*moves) if 0 < np.abs(move).sum() <= connectivity]
        neighbours.sort(key=lambda move: sum(map(abs, move)))
        strides = (self.padded[1] * self.padded[2], self.padded[2], 1)
        return np.array([np.dot(move, strides) for move in neighbours], dtype=np.int64)

    def voxels(self, places: NDArray[np.int32]) -> NDArray[np.int64]:
        """Indices in the ravelled image of places in the padded one."""
        z, rest = np.divmod(places - self.begins[0], self.padded[1] * self.padded[2])
        y, x = np.divmod(rest, self.padded[2])
        return np.asarray((z * self.shape[1] + y) * self.shape[2] + x, dtype=np.int64)


def _rows(n_voxels: int, shape: tuple[int, ...]) -> int:
    """Rows with about this many voxels."""
    return max(1, n_voxels // shape[-1])


def _mix(
    levels: NDArray[np.int32], sources: NDArray[Any], layout: _Layout
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The padded, ravelled words, and how many marker voxels each row has."""
    image = np.empty(layout.padded, dtype=np.int32)
    if layout.padded[0] > layout.shape[0]:
        image[[0, -1]] = kernels.OUTSIDE
    image[:, [0, -1]] = kernels.OUTSIDE
    image[:, :, [0, -1]] = kernels.OUTSIDE
    words = image.reshape(-1)
    rows = levels.reshape(-1, layout.shape[-1])
    markers = sources.reshape(rows.shape)
    marked = np.empty(rows.shape[0], dtype=np.int64)
    step = _rows(PART_VX, layout.shape)

    def mix(start: int, stop: int) -> None:
        for first in range(start, stop, step):
            part = slice(first, min(first + step, stop))
            here = for_kernel(markers[part], np.int32)
            kernels.mix(rows[part], here, layout.begins[part], words, marked[part])

    in_blocks(mix, rows.shape[0], least=_rows(_LARGE_VX // 2, layout.shape))
    return words, marked


def _group(pieces: NDArray[np.int32], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of seeds piece by piece, and where groups of whole pieces begin in it.

    The flood of a group may ask every level whether anything waits there, so there
    are so few groups that this takes no longer than the flood itself.
    """
    order = np.argsort(pieces, kind="stable")
    begins = np.flatnonzero(np.diff(pieces[order], prepend=-1))
    begins = begins[:: -(-begins.size // max(1, most))]
    return order, np.append(begins, pieces.size)


def _queues(
    n_levels: int, n_voxels: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32], int]:
    """Empty queues for the levels: tails, heads, the pool of chunks, and places in a chunk.

    The pool is as large as it can ever get; memory that is not used is never touched.
    """
    places = _CHUNK_PLACES
    # the second limit keeps all places below 2**32
    while places > 2 and n_levels * places > min(2 * n_voxels, 1 << 30):
        places //= 2
    last = places - 1
    n_chunks = min(n_voxels, n_voxels // last + n_levels) + 3
    tails = np.full(n_levels, last, dtype=np.uint32)
    return tails, np.empty_like(tails), np.empty(n_chunks * places, dtype=np.uint32), last
