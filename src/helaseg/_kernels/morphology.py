"""Disks of any radius on binary planes."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def _step_away(row, value, previous, far, distance):
    """Vertical distance one row on: 0 on pixels of `value`, else one more, at most `far`."""
    for x in range(row.size):
        further = min(np.uint16(previous[x] + np.uint16(1)), far)
        distance[x] = np.uint16(0) if row[x] == value else further


@kernel
def _look_up(above, below, heights, cone):
    for x in range(above.size):
        cone[x] = heights[min(above[x], below[x])]


@kernel
def _widen(cone, left, right, step, wider):
    """The larger of a cone and those `step` pixels to its sides, which are lower by `step`."""
    for x in range(cone.size):
        # Taking the larger one first keeps the difference at 0 or above.
        a = np.uint16(max(left[x], step) - step)
        b = np.uint16(max(right[x], step) - step)
        wider[x] = max(cone[x], max(a, b))


@kernel
def _mark_row(cone, value, other, row):
    for x in range(row.size):
        row[x] = value if cone[x] > 0 else other


@kernel
def spread_disk(plane, value, heights, below, out):
    """Spread the pixels of one value over a disk.

    Parameters
    ----------
    plane : uint8 array, shape (Y, X)
        Holds 0 and 1 only.
    value : uint8
        The value that spreads, 0 or 1.
    heights : uint16 array, shape (R + 2,)
        Half-width of the disk plus 1 at each vertical distance from its centre,
        the largest first; the last one, and no other, is 0.
    below : uint16 array, shape (Y, X)
        Scratch.
    out : uint8 array, shape (Y, X)
        Becomes `value` where such a pixel lies within the disk, else
        ``1 - value``. May be `plane` itself.

    Notes
    -----
    1. From the bottom up, the distance of each pixel to the nearest pixel of
       `value` at or below it, clipped at R + 1.
    2. From the top down, the same distance above, a row at a time. The smaller
       one gives the half-width of the disk in this row.
    3. A half-width h covers its row as a cone of height h + 1 and slope 1 does.
       The upper envelope of all cones of the row is found in steps of 1, 2, 4,
       ... pixels; the disk reaches where it is above 0.

    The cost grows with the logarithm of the radius only. Outside the plane
    nothing spreads.
    """
    height, width = plane.shape
    far = np.uint16(heights.size - 1)
    if height > 0:
        nothing = np.full(width, far, np.uint16)
        _step_away(plane[height - 1], value, nothing, far, below[height - 1])
    for y in range(height - 2, -1, -1):
        _step_away(plane[y], value, below[y + 1], far, below[y])
    widest = min(int(heights[0]) - 1, width)
    margin = 1
    while 2 * margin <= widest:
        margin *= 2
    # Two rows in turn: the compiler only vectorises a loop that does not write what it reads.
    above = np.full((2, width), far, np.uint16)
    other = np.uint8(1 - value)
    # The margins stay 0: what leaves the row never comes back into it.
    cones = np.zeros((2, width + 2 * margin), np.uint16)
    stop = margin + width
    for y in range(height):
        _step_away(plane[y], value, above[y % 2], far, above[1 - y % 2])
        _look_up(above[1 - y % 2], below[y], heights, cones[0, margin:stop])
        now = 0
        step = 1
        while step <= widest:
            cone = cones[now]
            _widen(
                cone[margin:stop],
                cone[margin - step : stop - step],
                cone[margin + step : stop + step],
                np.uint16(step),
                cones[1 - now, margin:stop],
            )
            now = 1 - now
            step *= 2
        _mark_row(cones[now, margin:stop], value, other, out[y])
