"""Exact Euclidean distance from slice to slice: the z axis after `distance`.

Every column of voxels along z needs the lower envelope of parabolas, ``min over i of
f[i] + weight * (i - j)**2``. A GROUP of neighbouring columns is taken side by side.
The best i of a column never decreases when j increases; so it is found for every
column at every STEP-th j by halving, and between two such j only the parabolas from
the least best i of the group at the first to the greatest at the second compete.
"""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Columns side by side.
GROUP = 64
#: Groups that are copied out together: 1 KiB of every slice.
TILE = 4
#: Slices between two halving points.
STEP = 8
#: Copies of a column end in this many infinities, so that parabolas come in fours.
PAD = 4
#: Bits of the float32 infinity.
INFINITE = 0x7F800000


@kernel
def _begin(f, j, best):
    """Every column begins with its own voxel; return the bits of the largest (see `_largest`)."""
    most = np.int32(0)
    for x in range(GROUP):
        own = np.float32(f[j, x])
        best[x] = own
        bits = own.view(np.int32)
        most = bits if bits > most else most
    return most


@kernel
def _largest(best):
    """Bits of the largest of some floats that are not negative; ordered as the floats are."""
    most = np.int32(0)
    for x in range(GROUP):
        bits = np.float32(best[x]).view(np.int32)
        most = bits if bits > most else most
    return most


@kernel
def _compete(f, j, first, last, squares, best, site):
    """Let parabolas first ... last compete at j; remember who won, column by column."""
    for i in range(first, last + 1, 2):
        across_a = squares[abs(i - j)]
        across_b = squares[abs(i + 1 - j)]
        site_a = np.int32(i)
        site_b = np.int32(i + 1)
        for x in range(GROUP):
            a = f[i, x] + across_a
            b = f[i + 1, x] + across_b
            winner = site_b if b < a else site_a
            a = b if b < a else a
            old = best[x]
            site[x] = winner if a < old else site[x]
            best[x] = a if a < old else old


@kernel
def _span(best, site, low, high):
    """Least and greatest site of the columns that have one; the wrong way round if none has."""
    least = np.int32(high)
    greatest = np.int32(low)
    for x in range(GROUP):
        known = best[x] < np.inf
        a = site[x] if known else np.int32(high)
        b = site[x] if known else np.int32(low)
        least = a if a < least else least
        greatest = b if b > greatest else greatest
    return least, greatest


@kernel
def _spans(f, n, weight, squares, lows, highs, best, site):
    """Span of the best i of a group at j = 0, STEP, ... and n - 1; return how many j there are."""
    count = (n - 1 + STEP - 1) // STEP + 1
    stride = 1
    while stride < count:
        stride *= 2
    k = 0
    while stride >= 1:
        while k < count:
            j = min(k * STEP, n - 1)
            low = 0
            high = n - 1
            if k > 0:
                low = lows[k - stride]
                if k + stride < count:
                    high = highs[k + stride]
            lows[k] = j
            highs[k] = j
            if _begin(f, j, best) > 0:
                site[:] = j
                _compete(f, j, low, low, squares, best, site)
                _compete(f, j, high, high, squares, best, site)
                known = _largest(best)
                first = low
                last = high
                if known < INFINITE:
                    # nothing further away than the distances already known can be better
                    reach = np.int64(np.sqrt(np.int32(known).view(np.float32) / weight)) + 1
                    first = max(first, j - reach)
                    last = min(last, j + reach)
                _compete(f, j, first, last, squares, best, site)
                least, greatest = _span(best, site, low, high)
                if least <= greatest:
                    # the partner of the last parabola may lie behind the bracket
                    lows[k] = min(least, high)
                    highs[k] = min(greatest, high)
            k += 2 * stride
        stride //= 2
        k = stride
    return count


@kernel
def _lower(f, j, first, last, squares, best):
    """Lower the minima of all columns at j to parabolas first ... last."""
    for i in range(first, last + 1, 4):
        across_a = squares[abs(i - j)]
        across_b = squares[abs(i + 1 - j)]
        across_c = squares[abs(i + 2 - j)]
        across_d = squares[abs(i + 3 - j)]
        for x in range(GROUP):
            a = f[i, x] + across_a
            b = f[i + 1, x] + across_b
            c = f[i + 2, x] + across_c
            d = f[i + 3, x] + across_d
            a = a if a < b else b
            c = c if c < d else d
            a = a if a < c else c
            old = best[x]
            best[x] = a if a < old else old


@kernel
def _copy_out(volume, z, y, x0, f):
    """Copy a row's part of a tile to slice z of its groups; infinity beyond the row's end."""
    width = volume.shape[2]
    for g in range(TILE):
        begin = x0 + g * GROUP
        n = max(min(GROUP, width - begin), 0)
        # unsigned indices need no test for counting from the end, which vectors cannot do
        for x in range(n):
            f[g, z, x] = volume[z, y, np.uint64(begin + x)]
        for x in range(n, GROUP):
            f[g, z, x] = np.inf


@kernel
def _write_roots(squared, unit, z, y, x0, volume):
    """Roots of squared distances, times the length of a pixel, from x0 on."""
    n = min(GROUP, volume.shape[2] - x0)
    if unit == 1:
        for x in range(n):
            volume[z, y, np.uint64(x0 + x)] = np.sqrt(squared[x])
    else:
        for x in range(n):
            volume[z, y, np.uint64(x0 + x)] = np.sqrt(np.float64(squared[x])) * unit


@kernel
def distances_across_slices(weight, unit, first, last, volume):
    """Extend squared distances inside slices to distances in the whole volume, in place.

    Parameters
    ----------
    weight : float64
        Squared spacing along z in units of the spacing along x.
    unit : float64
        Length of a pixel along x.
    first, last : int64
        Rows of all slices, `last` excluded.
    volume : (D, H, W) float32, in and out
        Squared distances in pixels become distances in the unit of `unit`.

    Notes
    -----
    D is at least 1.
    """
    depth, _, width = volume.shape
    f = np.full((TILE, depth + PAD, GROUP), np.inf, dtype=np.float32)
    best = np.empty(GROUP, dtype=np.float32)
    site = np.empty(GROUP, dtype=np.int32)
    lows = np.empty(depth // STEP + 3, dtype=np.int64)
    highs = np.empty(depth // STEP + 3, dtype=np.int64)
    squares = np.empty(depth + PAD, dtype=np.float32)
    for k in range(squares.size):
        squares[k] = np.float64(k) * np.float64(k) * weight
    for y in range(first, last):
        for x0 in range(0, width, TILE * GROUP):
            for z in range(depth):
                _copy_out(volume, z, y, x0, f)
            for x in range(x0, min(x0 + TILE * GROUP, width), GROUP):
                group = f[(x - x0) // GROUP]
                count = _spans(group, depth, weight, squares, lows, highs, best, site)
                for z in range(depth):
                    # where all are False the distances are 0 already
                    if _begin(group, z, best) > 0:
                        k = z // STEP
                        last_site = highs[min(k + 1, count - 1)]
                        _lower(group, z, lows[k], last_site, squares, best)
                        _write_roots(best, unit, z, y, x, volume)
