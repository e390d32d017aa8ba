"""Exact Euclidean distance inside slices: first along y, then along x.

Along y two scans count the rows to the nearest False voxel. Along x every row needs
the lower envelope of parabolas, ``min over i of f[i] + (i - j)**2``. The best i never
moves left when j moves right, so it is found at every LEAF-th j by halving, and
between two such j only the parabolas of their best i compete. Nothing branches on
single voxels: a parabola is a slice of one table of squares, added to its f and
compared for many j at a time. `distance_across` goes on along z.
"""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Rows whose upward counts are kept for the downward scan; a multiple is shared by threads.
BAND = 32
#: Positions of a row between two halving points.
LEAF = 32
#: Parabolas of a row that compete in one go: LEAF minima are read and written once for all.
BUNDLE = 8
#: Candidates of a halving point are looked at in multiples of this many, beyond the row's end.
STRIP = 16
#: More than any key of a candidate.
MOST = np.int64(0x7FFFFFFFFFFFFFFF)


@kernel
def _count_on(row, count):
    """Take one more row into the count of rows since the last False voxel."""
    for x in range(row.size):
        more = count[x] + np.float32(1)
        count[x] = more if row[x] != 0 else np.float32(0)


@kernel
def _count_and_keep(row, count, kept):
    """`_count_on` with a copy of the count."""
    for x in range(row.size):
        more = count[x] + np.float32(1)
        rows = more if row[x] != 0 else np.float32(0)
        count[x] = rows
        kept[x] = rows


@kernel
def _heights(row, count, upward, weight, f, best):
    """`_count_on`, and the squared distance along y, twice: f is kept, best is lowered."""
    for x in range(row.size):
        more = count[x] + np.float32(1)
        rows = more if row[x] != 0 else np.float32(0)
        count[x] = rows
        nearer = rows if rows < upward[x] else upward[x]
        height = nearer * nearer * weight
        f[x] = height
        best[x] = height


@kernel
def _hand_on(ends, count, n_rows):
    """Swap what a band knows of itself for what its neighbour knows; go on to the next band."""
    for x in range(ends.size):
        own = ends[x]
        came = count[x]
        ends[x] = came
        through = came + n_rows
        count[x] = own if own < through else through


@kernel
def column_ends(mask, first, last, above, below):
    """Rows from each end of a band to the nearest False voxel in the band.

    Parameters
    ----------
    mask : (H, W) uint8
    first, last : int64
        Bands of BAND rows, `last` excluded.
    above, below : (number of bands, W) float32, out
        Counted from the last row upwards and from the first row downwards: 0 at a
        False voxel, infinity where the band has none in this column.
    """
    height = mask.shape[0]
    for band in range(first, last):
        begin = band * BAND
        end = min(begin + BAND, height)
        above[band] = np.inf
        for y in range(begin, end):
            _count_on(mask[y], above[band])
        below[band] = np.inf
        for y in range(end - 1, begin - 1, -1):
            _count_on(mask[y], below[band])


@kernel
def hand_on(height, above, below):
    """Carry the counts of `column_ends` from band to band.

    Parameters
    ----------
    height : int64
        Rows of the mask.
    above, below : (number of bands, W) float32, in and out
        Afterwards the count of the row before the band, and of the row behind it.
    """
    n_bands, width = above.shape
    count = np.full(width, np.inf, dtype=np.float32)
    for band in range(n_bands):
        _hand_on(above[band], count, np.float32(min(BAND, height - band * BAND)))
    count[:] = np.inf
    for band in range(n_bands - 1, -1, -1):
        _hand_on(below[band], count, np.float32(min(BAND, height - band * BAND)))


@kernel
def _best_site(f, squares, shift, first, stop):
    """Leftmost i with the least ``f[i] + squares[i + shift]``; looks at whole STRIPs."""
    stop = first + (stop - first + STRIP - 1) // STRIP * STRIP
    best = MOST
    for i in range(first, stop):
        # unsigned indices need no test for counting from the end, which vectors cannot do;
        # the bits of floats that are not negative are ordered as the floats are
        cost = np.float32(f[np.uint64(i)] + squares[np.uint64(i + shift)])
        key = (np.int64(cost.view(np.int32)) << 32) | i
        best = key if key < best else best
    return best & 0xFFFFFFFF


@kernel
def _row_sites(f, n, squares, centre, sites):
    """Best i for j = 0, LEAF, 2 * LEAF, ... and n - 1; return how many j there are."""
    count = (n - 1 + LEAF - 1) // LEAF + 1
    stride = 1
    while stride < count:
        stride *= 2
    k = 0
    while stride >= 1:
        while k < count:
            j = min(k * LEAF, n - 1)
            low = 0
            high = n - 1
            known = f[j]
            if k > 0:
                low = sites[k - stride]
                cost = f[low] + squares[centre + low - j]
                known = cost if cost < known else known
                if k + stride < count:
                    high = sites[k + stride]
                    cost = f[high] + squares[centre + high - j]
                    known = cost if cost < known else known
            site = j
            if known > 0:
                first = low
                stop = high + 1
                if known < np.inf:
                    # nothing further away than the distance already known can be better
                    reach = np.int64(np.sqrt(known)) + 1
                    first = max(first, j - reach)
                    stop = min(stop, j + reach + 1)
                site = _best_site(f, squares, centre - j, first, stop)
            # a STRIP may end behind `high`, and rounding prefer it by a hair
            sites[k] = min(site, high)
            k += 2 * stride
        stride //= 2
        k = stride
    return count


@kernel
def _lower_leaf(f, first, last, squares, at, begin, best):
    """Lower ``best[begin + t]`` to parabolas first ... last; ``squares[at - i + t]`` is i's."""
    for i in range(first, last + 1, BUNDLE):
        f0, f1, f2, f3 = f[i], f[i + 1], f[i + 2], f[i + 3]
        f4, f5, f6, f7 = f[i + 4], f[i + 5], f[i + 6], f[i + 7]
        ramp = squares[at - i - 7 : at - i + LEAF]
        leaf = best[begin : begin + LEAF]
        for t in range(LEAF):
            c0 = f0 + ramp[t + 7]
            c1 = f1 + ramp[t + 6]
            c2 = f2 + ramp[t + 5]
            c3 = f3 + ramp[t + 4]
            c4 = f4 + ramp[t + 3]
            c5 = f5 + ramp[t + 2]
            c6 = f6 + ramp[t + 1]
            c7 = f7 + ramp[t]
            c0 = c0 if c0 < c1 else c1
            c2 = c2 if c2 < c3 else c3
            c4 = c4 if c4 < c5 else c5
            c6 = c6 if c6 < c7 else c7
            c0 = c0 if c0 < c2 else c2
            c4 = c4 if c4 < c6 else c6
            c0 = c0 if c0 < c4 else c4
            old = leaf[t]
            leaf[t] = c0 if c0 < old else old


@kernel
def _any(row, begin, end):
    """Return whether a part of a row holds a True voxel."""
    some = np.uint8(0)
    for x in range(begin, end):
        some |= row[np.uint64(x)]
    return some != 0


@kernel
def _finish(squared, begin, end, unit, out):
    """Write ``squared[begin:end]`` to the same place of `out`: as it is for unit 0, else roots."""
    if unit == 0:
        for x in range(begin, end):
            out[np.uint64(x)] = squared[np.uint64(x)]
    elif unit == 1:
        for x in range(begin, end):
            out[np.uint64(x)] = np.sqrt(squared[np.uint64(x)])
    else:
        for x in range(begin, end):
            out[np.uint64(x)] = np.sqrt(np.float64(squared[np.uint64(x)])) * unit


@kernel
def distances_in_bands(mask, first, last, above, below, weight, unit, out):
    """Distance of True voxels to the nearest False voxel, in bands of one slice.

    Parameters
    ----------
    mask : (H, W) uint8
        W at least 1.
    first, last : int64
        Bands of BAND rows, `last` excluded.
    above, below : (number of bands, W) float32, in
        From `hand_on`; they are used up.
    weight : float64
        Squared spacing along y in units of the spacing along x.
    unit : float64
        Length of a pixel along x; 0 leaves squared distances in pixels.
    out : (H, W) float32, out
        0 where the mask is False; infinity where the slice has no False voxel.
    """
    height, width = mask.shape
    padded = (width + LEAF - 1) // LEAF * LEAF
    # infinities behind the row let strips, bundles and the last leaf overrun it
    f = np.full(padded + STRIP, np.inf, dtype=np.float32)
    best = np.full(padded, np.inf, dtype=np.float32)
    upward = np.empty((BAND, width), dtype=np.float32)
    sites = np.empty(width // LEAF + 3, dtype=np.int64)
    centre = padded + STRIP
    squares = np.empty(2 * centre + LEAF, dtype=np.float32)
    for k in range(squares.size):
        squares[k] = np.float64(k - centre) * np.float64(k - centre)
    for band in range(first, last):
        begin = band * BAND
        end = min(begin + BAND, height)
        for y in range(end - 1, begin - 1, -1):
            _count_and_keep(mask[y], below[band], upward[y - begin])
        for y in range(begin, end):
            row = mask[y]
            target = out[y]
            _heights(row, above[band], upward[y - begin], np.float32(weight), f, best)
            count = _row_sites(f, width, squares, centre, sites)
            for k in range(padded // LEAF):
                x = k * LEAF
                if _any(row, x, min(x + LEAF, width)):
                    last_site = sites[min(k + 1, count - 1)]
                    _lower_leaf(f, sites[k], last_site, squares, centre + x, x, best)
                _finish(best, x, min(x + LEAF, width), unit, target)


@kernel
def distances_in_slices(mask, first, last, weight, unit, out):
    """`distances_in_bands` for whole slices, one after the other.

    Parameters
    ----------
    mask : (D, H, W) uint8
    first, last : int64
        Slices, `last` excluded.
    weight, unit : float64
    out : (D, H, W) float32, out
    """
    _, height, width = mask.shape
    n_bands = (height + BAND - 1) // BAND
    above = np.empty((n_bands, width), dtype=np.float32)
    below = np.empty((n_bands, width), dtype=np.float32)
    # a plain 0 would be a type of its own and compile both callees again
    top = np.int64(0)
    for z in range(first, last):
        column_ends(mask[z], top, n_bands, above, below)
        hand_on(height, above, below)
        distances_in_bands(mask[z], top, n_bands, above, below, weight, unit, out[z])


@kernel
def roots(squared, unit):
    """Turn squared distances in pixels into distances in the unit of `unit`, in place.

    Parameters
    ----------
    squared : (N,) float32, in and out
    unit : float64
        Length of one pixel.
    """
    _finish(squared, 0, squared.size, unit, squared)
