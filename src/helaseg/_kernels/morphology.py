"""Disks of any radius on binary planes."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def _step_away(row, value, previous, far, distance):
    """Vertical distance one row on: 0 on pixels of `value`, else one more, at most `far`."""
    one = previous.dtype.type(1)
    zero = previous.dtype.type(0)
    for x in range(row.size):
        further = min(previous.dtype.type(previous[x] + one), far)
        distance[x] = zero if row[x] == value else further


@kernel
def _nearer(above, below, distance):
    for x in range(above.size):
        distance[x] = min(above[x], below[x])


@kernel
def _look_up(distance, heights, cone):
    for x in range(cone.size):
        cone[x] = heights[distance[x]]


@kernel
def _widen(cone, left, right, step, wider):
    """The larger of a cone and those `step` pixels to its sides, which are lower by `step`."""
    for x in range(cone.size):
        # Taking the larger one first keeps the difference at 0 or above.
        a = cone.dtype.type(max(left[x], step) - step)
        b = cone.dtype.type(max(right[x], step) - step)
        wider[x] = max(cone[x], max(a, b))


@kernel
def _mark_row(cone, value, other, row):
    for x in range(row.size):
        row[x] = value if cone[x] > 0 else other


@kernel
def measure_columns(plane, value, far, first, last, below, above):
    """Vertical distances that rows of a plane need, before any row is written.

    Parameters
    ----------
    plane : (Y, X) uint8
        Holds 0 and 1 only.
    value : uint8
    far : uint8 or uint16
        Largest distance told; as good as none.
    first, last : int
        The rows ``first:last`` are done.
    below : (Y, X) array of the kind of `far`, out
        Distance to the nearest pixel of `value` at or below.
    above : (X,) array of the kind of `far`, out
        Distance at row ``first - 1`` to the nearest pixel of `value` at or above.

    Notes
    -----
    At most `far` rows beyond the block are read.
    """
    height, width = plane.shape
    reach = np.int64(far)
    # Two rows in turn: the compiler only vectorises a loop that does not write what it reads.
    near = np.full((2, width), far)
    for y in range(max(first - reach, 0), first):
        _step_away(plane[y], value, near[y % 2], far, near[1 - y % 2])
    above[:] = near[first % 2]
    near[:] = far
    for y in range(min(last + reach, height) - 1, last - 1, -1):
        _step_away(plane[y], value, near[y % 2], far, near[1 - y % 2])
    previous = near[1 - last % 2]
    for y in range(last - 1, first - 1, -1):
        _step_away(plane[y], value, previous, far, below[y])
        previous = below[y]


@kernel
def spread_disk(plane, value, heights, below, above, first, last, out):
    """Spread the pixels of one value over a disk.

    Parameters
    ----------
    plane : (Y, X) uint8
        Holds 0 and 1 only.
    value : uint8
        The value that spreads, 0 or 1.
    heights : (R + 2,) uint8 or uint16
        Half-width of the disk plus 1 at each vertical distance from its centre,
        the largest first; the last one, and no other, is 0.
    below : (Y, X) array of the dtype of `heights`
    above : (X,) array of the dtype of `heights`
        Both from `measure_columns` with the same block and ``far = R + 1``.
    first, last : int
        The rows ``first:last`` are done.
    out : (Y, X) uint8, out
        Becomes `value` where such a pixel lies within the disk, else
        ``1 - value``. May be `plane` itself.

    Notes
    -----
    1. From the top down, the distance to the nearest pixel of `value` above, a row
       at a time. The smaller one of this and the distance below gives the half-width
       of the disk in this row.
    2. A half-width h covers its row as a cone of height h + 1 and slope 1 does.
       The upper envelope of all cones of the row is found in steps of 1, 2, 4,
       ... pixels; the disk reaches where it is above 0.

    The cost grows with the logarithm of the radius only. Outside the plane
    nothing spreads.
    """
    width = plane.shape[1]
    far = heights.dtype.type(heights.size - 1)
    widest = min(int(heights[0]) - 1, width)
    margin = 1
    while 2 * margin <= widest:
        margin *= 2
    near = np.empty((2, width), heights.dtype)
    near[first % 2] = above
    nearest = np.empty(width, heights.dtype)
    other = np.uint8(1 - value)
    # The margins stay 0: what leaves the row never comes back into it.
    cones = np.zeros((2, width + 2 * margin), heights.dtype)
    stop = margin + width
    for y in range(first, last):
        _step_away(plane[y], value, near[y % 2], far, near[1 - y % 2])
        # In two steps, because only the first one can take many pixels at once.
        _nearer(near[1 - y % 2], below[y], nearest)
        _look_up(nearest, heights, cones[0, margin:stop])
        now = 0
        step = 1
        while step <= widest:
            cone = cones[now]
            _widen(
                cone[margin:stop],
                cone[margin - step : stop - step],
                cone[margin + step : stop + step],
                heights.dtype.type(step),
                cones[1 - now, margin:stop],
            )
            now = 1 - now
            step *= 2
        _mark_row(cones[now, margin:stop], value, other, out[y])
