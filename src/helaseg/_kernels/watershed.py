"""Flooding from markers with one first-in-first-out queue per level.

A voxel is one row of `cells`, two int32 side by side in memory:

- ``cells[i, 0]``: its label when positive, else one of the states below;
- ``cells[i, 1]``: its level until it is queued, then the next voxel of its queue.

A queue is a ring: its tail points to its head, so one number per level is
enough, and no voxel is queued twice, so the rings need no storage of their own.
"""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Digits of the radix sort: 6 of 11 bits cover 64.
DIGIT_BITS = 11
N_DIGITS = 6

#: States in ``cells[:, 0]``; below `LINE` lie the voxels that wait for their label.
FREE = 0
OUTSIDE = -1
LINE = -2


@kernel
def rank(keys, order, ranks):
    """Replace keys by their rank among the distinct keys; return how many are distinct.

    Parameters
    ----------
    keys : (N,) uint64
    order : (N,) int32, out
        Work space; ends with the stable order of the keys.
    ranks : (N,) int32, out
        0 = smallest key; equal keys have equal ranks.

    Notes
    -----
    Radix sort from the lowest digit; digits that are the same in all keys are passed over.
    """
    n = keys.size
    base = 1 << DIGIT_BITS
    digit_mask = np.uint64(base - 1)
    counts = np.zeros((N_DIGITS, base), dtype=np.int64)
    for i in range(n):
        rest = keys[i]
        order[i] = i
        for d in range(N_DIGITS):
            counts[d, np.int64(rest & digit_mask)] += 1
            rest = rest >> np.uint64(DIGIT_BITS)
    for d in range(N_DIGITS):
        if counts[d].max() == n:
            continue
        place = counts[d]
        total = 0
        for b in range(base):
            here = place[b]
            place[b] = total
            total += here
        shift = np.uint64(d * DIGIT_BITS)
        for i in range(n):
            voxel = order[i]
            b = np.int64((keys[voxel] >> shift) & digit_mask)
            ranks[place[b]] = voxel
            place[b] += 1
        order[:] = ranks
    level = -1
    for i in range(n):
        if i == 0 or keys[order[i]] != keys[order[i - 1]]:
            level += 1
        ranks[order[i]] = level
    return level + 1


@kernel
def _append(cells, tails, level, voxel):
    tail = tails[level]
    if tail < 0:
        cells[voxel, 1] = voxel
    else:
        cells[voxel, 1] = cells[tail, 1]
        cells[tail, 1] = voxel
    tails[level] = voxel


@kernel
def queue_markers(cells, tails):
    """Queue every voxel that has a label, in raster order.

    Parameters
    ----------
    cells : (N, 2) int32, in and out
        Labels and levels.
    tails : (n_levels,) int32, in and out
        Last voxel of each level's queue; filled with -1 by the caller.
    """
    for voxel in range(cells.shape[0]):
        if cells[voxel, 0] > 0:
            _append(cells, tails, cells[voxel, 1], voxel)


@kernel
def flood(cells, tails, steps):
    """Give every reachable free voxel the label of the neighbour that reached it first.

    Parameters
    ----------
    cells : (N, 2) int32, in and out
        After `queue_markers`; ends with labels, `FREE` or `OUTSIDE` in column 0.
    tails : (n_levels,) int32, in and out
    steps : (K,) int64
        Offsets of a voxel's neighbours in `cells`, in the order in which they are asked.

    Notes
    -----
    The image is padded so that no neighbour of an inside voxel leaves `cells`.
    A voxel below the current level joins the current level's queue: the level never falls.
    """
    for level in range(tails.size):
        while tails[level] >= 0:
            # take the whole ring; what joins meanwhile is the next ring
            last = tails[level]
            tails[level] = -1
            following = cells[last, 1]
            voxel = last + 1
            while voxel != last:
                voxel = following
                following = cells[voxel, 1]
                label = cells[voxel, 0]
                for k in range(steps.size):
                    other = voxel + steps[k]
                    if cells[other, 0] == FREE:
                        cells[other, 0] = label
                        _append(cells, tails, max(level, cells[other, 1]), other)


@kernel
def flood_with_lines(cells, tails, steps):
    """Flood as `flood` does, but leave a voxel between two labels as `LINE`.

    Parameters
    ----------
    cells : (N, 2) int32, in and out
        After `queue_markers`; ends with labels, `FREE`, `LINE` or `OUTSIDE` in column 0.
    tails : (n_levels,) int32, in and out
    steps : (K,) int64

    Notes
    -----
    A voxel gets its label when it leaves the queue, not when it enters: only then
    is it known whether another label has come up to it. While it waits, the
    label that reached it first is stored as ``LINE - label``. A line passes its
    first label on, so that no pocket behind a line stays empty.
    """
    for level in range(tails.size):
        while tails[level] >= 0:
            last = tails[level]
            tails[level] = -1
            following = cells[last, 1]
            voxel = last + 1
            while voxel != last:
                voxel = following
                following = cells[voxel, 1]
                label = cells[voxel, 0]
                if label < LINE:
                    label = LINE - label
                    cells[voxel, 0] = label
                    for k in range(steps.size):
                        beside = cells[voxel + steps[k], 0]
                        if beside > 0 and beside != label:
                            cells[voxel, 0] = LINE
                            break
                for k in range(steps.size):
                    other = voxel + steps[k]
                    if cells[other, 0] == FREE:
                        cells[other, 0] = LINE - label
                        _append(cells, tails, max(level, cells[other, 1]), other)
