"""Surface voxels of a mask, and the nearest of many voxels by a wide tree of boxes."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Points per leaf, and children per node: as many as one sweep of comparisons takes.
FAN = 16
#: What single precision may be off by, and more: bounds are widened by it.
_SLACK = 1.0 + 1e-5
#: Coordinates where no point is, beyond all of them.
_NOWHERE = 2**30


@kernel
def _mark_row(above, before, left, here, right, after, below, out):
    """Mark the surface voxels of a row; no branch, hence many voxels at a time."""
    for x in range(out.size):
        open_z = (above[x] == 0) | (below[x] == 0)
        open_y = (before[x] == 0) | (after[x] == 0)
        open_x = (left[x] == 0) | (right[x] == 0)
        out[x] = (here[x] == 1) & (open_z | open_y | open_x)


@kernel
def _count_ones(row):
    """Voxels of a row that are 1; summed in bytes, which 128 voxels cannot overflow."""
    total = 0
    for start in range(0, row.size, 128):
        piece = row[start : start + 128]
        ones = np.uint8(0)
        for x in range(piece.size):
            ones = np.uint8(ones + (piece[x] == 1))
        total += np.int64(ones)
    return total


@kernel
def _list_row(marked, z, y, points, n):
    """Append the marked voxels of a row to the points from `n` on; how many there are then."""
    # whole words of 8 voxels, so that stretches without surface are passed over quickly
    words = marked.view(np.uint64)
    for word in range(words.size):
        if words[word] != 0:
            for x in range(8 * word, 8 * word + 8):
                if marked[x] != 0:
                    points[n, 0] = z
                    points[n, 1] = y
                    points[n, 2] = x
                    n += 1
    return n


@kernel
def list_surface(above, here, below, z, start, points):
    """List the surface voxels of one slice, until the list might be too short for a row.

    Parameters
    ----------
    above, here, below : (H, W) uint8
        The slice and its neighbours in z: 0 outside, 1 inside, 2 unknown.
    z : int
        Number of the slice.
    start : int
        Row to begin with.
    points : (N, 3) int32, out
        z, y, x of the voxels that are inside and have one of their six
        neighbours outside or beyond the edge of the slice, in raster order.

    Returns
    -------
    next_start, n_points, n_inside : int
        Row to go on with (H when done), points listed, and voxels inside in
        these rows, surface or not.

    Notes
    -----
    - N is at least W.
    - A plane is its own `above` and `below`: then only the four neighbours in
      the slice decide.
    - Beyond the first and last slice the caller hands over zeros.
    """
    height, width = here.shape
    nothing = np.zeros(width, np.uint8)
    marked = np.zeros((width + 7) // 8 * 8, np.uint8)
    n_points = 0
    n_inside = 0
    for y in range(start, height):
        if n_points + width > points.shape[0]:
            return y, n_points, n_inside
        n_row = _count_ones(here[y])
        if n_row == 0:
            continue
        n_inside += n_row
        before = here[y - 1] if y > 0 else nothing
        after = here[y + 1] if y < height - 1 else nothing
        if width > 2:
            _mark_row(
                above[y, 1:-1],
                before[1:-1],
                here[y, :-2],
                here[y, 1:-1],
                here[y, 2:],
                after[1:-1],
                below[y, 1:-1],
                marked[1 : width - 1],
            )
        marked[0] = here[y, 0] == 1
        marked[width - 1] = here[y, width - 1] == 1
        n_points = _list_row(marked, z, y, points, n_points)
    return height, n_points, n_inside


@kernel
def _spread_bits(value):
    """Put two zero bits between the lower 21 bits of a number."""
    v = np.uint64(value) & np.uint64(0x1FFFFF)
    v = (v | (v << np.uint64(32))) & np.uint64(0x1F00000000FFFF)
    v = (v | (v << np.uint64(16))) & np.uint64(0x1F0000FF0000FF)
    v = (v | (v << np.uint64(8))) & np.uint64(0x100F00F00F00F00F)
    v = (v | (v << np.uint64(4))) & np.uint64(0x10C30C30C30C30C3)
    return (v | (v << np.uint64(2))) & np.uint64(0x1249249249249249)


@kernel
def order_keys(points, scale, keys):
    """Place of each point along a space-filling curve (Morton order).

    Parameters
    ----------
    points : (N, 3) int32
        Non-negative voxel coordinates.
    scale : (3,) float64
        Factor per axis that brings the coordinates to equal lengths below 2**21.
    keys : (N,) uint64, out
    """
    for i in range(points.shape[0]):
        key = np.uint64(0)
        for axis in range(3):
            key |= _spread_bits(points[i, axis] * scale[axis]) << np.uint64(2 - axis)
        keys[i] = key


@kernel
def build_tree(points, starts, leaves, boxes):
    """Pack sorted points into leaves, and leaves into nodes.

    Parameters
    ----------
    points : (N, 3) int32
        In Morton order, N > 0.
    starts : (V + 1,) int64
        First node of each level in `boxes`, and their number. The nodes of
        level 0 hold `FAN` leaves each, those of the next level `FAN` nodes of
        level 0 each, until a level has one node, the root.
    leaves : (L, 3, FAN) int32, out
        z, y, x of the points, leaf by leaf; L = ceil(N / FAN).
    boxes : (starts[V], 6, FAN) int32, out
        Lowest z, y, x and highest z, y, x of the children of each node.

    Notes
    -----
    - Where there is no point, the coordinates lie far beyond all others; where
      there is no child, the box is inside out. Both are far from everything.
    """
    n_leaves = leaves.shape[0]
    leaves[n_leaves - 1] = _NOWHERE
    for i in range(points.shape[0]):
        for axis in range(3):
            leaves[i // FAN, axis, i % FAN] = points[i, axis]
    boxes[:, :3] = _NOWHERE
    boxes[:, 3:] = -_NOWHERE
    for i in range(points.shape[0]):
        leaf = i // FAN
        for axis in range(3):
            low = boxes[leaf // FAN, axis]
            high = boxes[leaf // FAN, axis + 3]
            low[leaf % FAN] = min(low[leaf % FAN], points[i, axis])
            high[leaf % FAN] = max(high[leaf % FAN], points[i, axis])
    for level in range(1, starts.size - 1):
        for child in range(starts[level] - starts[level - 1]):
            node = starts[level] + child // FAN
            for axis in range(3):
                boxes[node, axis, child % FAN] = boxes[starts[level - 1] + child, axis].min()
                boxes[node, axis + 3, child % FAN] = boxes[
                    starts[level - 1] + child, axis + 3
                ].max()


@kernel
def _gap(place, low, high):
    """Voxels between a place and a range along one axis, 0 within it."""
    below = np.int32(low - place)
    above = np.int32(place - high)
    gap = below if below > above else above
    return np.float32(gap if gap > np.int32(0) else np.int32(0))


@kernel
def _near_boxes(boxes, node, z, y, x, wz, wy, wx, bound):
    """Bits of the children of a node whose boxes may lie within a squared distance."""
    bits = np.uint32(0)
    for k in range(FAN):
        dz = _gap(z, boxes[node, 0, k], boxes[node, 3, k]) * wz
        dy = _gap(y, boxes[node, 1, k], boxes[node, 4, k]) * wy
        dx = _gap(x, boxes[node, 2, k], boxes[node, 5, k]) * wx
        near = np.uint32(dz * dz + dy * dy + dx * dx < bound)
        bits |= np.uint32(near << np.uint32(k))
    return bits


@kernel
def _near_points(leaves, node, z, y, x, wz, wy, wx, bound):
    """Bits of the points of a leaf that may lie within a squared distance."""
    bits = np.uint32(0)
    for k in range(FAN):
        dz = np.float32(np.int32(leaves[node, 0, k] - z)) * wz
        dy = np.float32(np.int32(leaves[node, 1, k] - y)) * wy
        dx = np.float32(np.int32(leaves[node, 2, k] - x)) * wx
        near = np.uint32(dz * dz + dy * dy + dx * dx < bound)
        bits |= np.uint32(near << np.uint32(k))
    return bits


@kernel
def _lowest_bit(bits):
    """Place of the lowest bit that is set, read from the exponent of its value."""
    lowest = np.float64(np.int64(bits) & -np.int64(bits))
    return (lowest.view(np.int64) >> 52) - 1023


@kernel
def _squared_distance(leaves, node, k, z, y, x, weights):
    """Squared distance to one point of a leaf, in double precision."""
    dz = (np.float64(leaves[node, 0, k]) - z) * weights[0]
    dy = (np.float64(leaves[node, 1, k]) - y) * weights[1]
    dx = (np.float64(leaves[node, 2, k]) - x) * weights[2]
    return dz * dz + dy * dy + dx * dx


@kernel
def nearest_distances(sources, leaves, starts, boxes, weights, out):
    """Distance of each source to the nearest point of a tree.

    Parameters
    ----------
    sources : (M, 3) int32
        Voxel coordinates; fast where neighbours in the list are neighbours in space.
    leaves, starts, boxes
        From `build_tree`.
    weights : (3,) float64
        Voxel spacing along the axes.
    out : (M,) float64, out
        Distances in the unit of `weights`.

    Notes
    -----
    1. Look first into the leaf that held the nearest point of the source before.
    2. Walk down the tree and leave out boxes that are not nearer.

    Coordinates lie between 0 and 2**28. Single precision decides, with a
    margin, what is looked at; the distances themselves are exact, the same
    products and sums in double precision as in a full search.

    References
    ----------
    Bounding boxes over points along a space-filling curve: I. Kamel &
    C. Faloutsos, On packing R-trees, Proc. CIKM (1993), doi:10.1145/170088.170403.
    """
    unit = min(weights[0], weights[1], weights[2])
    wz = np.float32(weights[0] / unit)
    wy = np.float32(weights[1] / unit)
    wx = np.float32(weights[2] / unit)
    per_unit = _SLACK / (unit * unit)
    n_levels = starts.size - 1
    # a node leaves at most its children behind, on each of at most 7 levels
    pending = np.empty(8 * FAN, np.int64)
    levels = np.empty(8 * FAN, np.int64)
    nearest = 0
    nearest_k = 0
    for s in range(sources.shape[0]):
        z = sources[s, 0]
        y = sources[s, 1]
        x = sources[s, 2]
        best = _squared_distance(leaves, nearest, nearest_k, z, y, x, weights)
        pending[0] = 0
        levels[0] = n_levels - 1
        pending[1] = nearest
        levels[1] = -1
        depth = 2
        while depth > 0:
            depth -= 1
            node = pending[depth]
            level = levels[depth]
            bound = np.float32(best * per_unit)
            if level >= 0:
                bits = _near_boxes(boxes, starts[level] + node, z, y, x, wz, wy, wx, bound)
                while bits != 0:
                    k = _lowest_bit(bits)
                    bits = np.uint32(bits & np.uint32(bits - np.uint32(1)))
                    pending[depth] = node * FAN + k
                    levels[depth] = level - 1
                    depth += 1
                continue
            bits = _near_points(leaves, node, z, y, x, wz, wy, wx, bound)
            while bits != 0:
                k = _lowest_bit(bits)
                bits = np.uint32(bits & np.uint32(bits - np.uint32(1)))
                candidate = _squared_distance(leaves, node, k, z, y, x, weights)
                if candidate < best:
                    best = candidate
                    nearest = node
                    nearest_k = k
        out[s] = np.sqrt(best)
