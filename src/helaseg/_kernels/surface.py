"""Surface voxels of a mask, and the nearest of many voxels by a tree of boxes."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Voxels per leaf of the tree.
LEAF = 16


@kernel
def mark_surface(above, here, below, out):
    """Mark the surface voxels of one slice.

    Parameters
    ----------
    above, here, below : (H, W) uint8
        The slice and its neighbours in z: 0 outside, 1 inside, 2 unknown.
    out : (H, W) bool, out
        True where a voxel is inside and one of its six neighbours is outside
        or lies beyond the edge of the slice.

    Returns
    -------
    n_inside : int
        Voxels inside, surface or not.

    Notes
    -----
    - A plane is its own `above` and `below`: then only the four neighbours in
      the slice decide.
    - Beyond the first and last slice the caller hands over zeros.
    """
    height, width = here.shape
    n_inside = 0
    for y in range(height):
        for x in range(width):
            surface = False
            if here[y, x] == 1:
                n_inside += 1
                if y == 0 or x == 0 or y == height - 1 or x == width - 1:
                    surface = True
                else:
                    surface = (
                        here[y - 1, x] == 0
                        or here[y + 1, x] == 0
                        or here[y, x - 1] == 0
                        or here[y, x + 1] == 0
                        or above[y, x] == 0
                        or below[y, x] == 0
                    )
            out[y, x] = surface
    return n_inside


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
def build_boxes(points, boxes):
    """Bounding boxes of a balanced binary tree over sorted points.

    Parameters
    ----------
    points : (N, 3) int32
        In Morton order, N > 0.
    boxes : (2 * L, 6) int32, out
        Lowest and highest coordinate along the three axes of node 1 (root) to
        2 * L - 1; L, a power of two, is at least N / LEAF. Node k has the
        children 2k and 2k + 1; leaf j is node L + j and holds the points
        ``LEAF * j`` to ``LEAF * (j + 1)``.

    Notes
    -----
    - The root of a tree without points in its right half is still right:
      empty boxes are inside out and widen nothing.
    """
    n = points.shape[0]
    n_leaves = boxes.shape[0] // 2
    for node in range(2 * n_leaves - 1, 0, -1):
        for axis in range(3):
            low = np.int32(2**30)
            high = np.int32(-(2**30))
            if node >= n_leaves:
                first = (node - n_leaves) * LEAF
                for i in range(first, min(first + LEAF, n)):
                    low = min(low, points[i, axis])
                    high = max(high, points[i, axis])
            else:
                low = min(boxes[2 * node, axis], boxes[2 * node + 1, axis])
                high = max(boxes[2 * node, axis + 3], boxes[2 * node + 1, axis + 3])
            boxes[node, axis] = low
            boxes[node, axis + 3] = high


@kernel
def _box_distance(boxes, node, z, y, x, weights):
    """Squared distance of a point to a box, 0 inside."""
    dz = max(boxes[node, 0] - z, z - boxes[node, 3], 0) * weights[0]
    dy = max(boxes[node, 1] - y, y - boxes[node, 4], 0) * weights[1]
    dx = max(boxes[node, 2] - x, x - boxes[node, 5], 0) * weights[2]
    return dz * dz + dy * dy + dx * dx


@kernel
def nearest_distances(sources, targets, boxes, weights, out):
    """Distance of each source to the nearest target.

    Parameters
    ----------
    sources : (M, 3) int32
        Voxel coordinates; fast where neighbours in the list are neighbours in space.
    targets : (N, 3) int32
        In Morton order, N > 0.
    boxes : (2 * L, 6) int32
        From `build_boxes`.
    weights : (3,) float64
        Voxel spacing along the axes.
    out : (M,) float64, out
        Distances in the unit of `weights`.

    Notes
    -----
    1. Start from the distance to the target that was nearest to the source before.
    2. Walk down the tree, nearer child first, and leave out boxes that are not nearer.

    The distances are exact: the same products and sums as in a full search.
    """
    n = targets.shape[0]
    n_leaves = boxes.shape[0] // 2
    # a node leaves at most one sibling behind on each of at most 31 levels
    pending = np.empty(40, np.int64)
    bounds = np.empty(40, np.float64)
    nearest = 0
    for s in range(sources.shape[0]):
        z = np.int64(sources[s, 0])
        y = np.int64(sources[s, 1])
        x = np.int64(sources[s, 2])
        dz = (targets[nearest, 0] - z) * weights[0]
        dy = (targets[nearest, 1] - y) * weights[1]
        dx = (targets[nearest, 2] - x) * weights[2]
        best = dz * dz + dy * dy + dx * dx
        pending[0] = 1
        bounds[0] = 0.0
        depth = 1
        while depth > 0:
            depth -= 1
            if bounds[depth] >= best:
                continue
            node = pending[depth]
            while node < n_leaves:
                left = _box_distance(boxes, 2 * node, z, y, x, weights)
                right = _box_distance(boxes, 2 * node + 1, z, y, x, weights)
                near = 2 * node
                if right < left:
                    left, right = right, left
                    near += 1
                if right < best:
                    pending[depth] = near ^ 1
                    bounds[depth] = right
                    depth += 1
                if left >= best:
                    node = 0
                    break
                node = near
            if node == 0:
                continue
            first = (node - n_leaves) * LEAF
            for i in range(first, min(first + LEAF, n)):
                dz = (targets[i, 0] - z) * weights[0]
                dy = (targets[i, 1] - y) * weights[1]
                dx = (targets[i, 2] - x) * weights[2]
                candidate = dz * dz + dy * dy + dx * dx
                if candidate < best:
                    best = candidate
                    nearest = i
        out[s] = np.sqrt(best)
