"""Connected components on bits: pack the rows, unite the runs that touch, number and paint them.

A row of the image is a row of bits, bit i of word k for the pixel ``64 * k + i``, with at
least one zero bit after its last pixel. A run is a stretch of ones in a row. Runs count
from 1 in raster order, and what is kept of each is its parent alone: where a run begins
and ends is read from the bits again. Number 0 is the outside.
"""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

_ONE = np.uint64(1)
_TOP = np.uint64(63)
# Moves the lowest bit of each byte to the top byte, that of byte i to bit i.
_GATHER = np.uint64(0x0102040810204080)
_GATHERED = np.uint64(56)
_PAIRS = np.uint64(0x5555555555555555)
_FOURS = np.uint64(0x3333333333333333)
_BYTES = np.uint64(0x0F0F0F0F0F0F0F0F)
_SUM = np.uint64(0x0101010101010101)
_TWO = np.uint64(2)
_FOUR = np.uint64(4)


@kernel
def _count_bits(word):
    """Ones of a 64-bit word; the compiler knows this form and takes one instruction for it."""
    word = word - ((word >> _ONE) & _PAIRS)
    word = (word & _FOURS) + ((word >> _TWO) & _FOURS)
    word = (word + (word >> _FOUR)) & _BYTES
    return np.int64((word * _SUM) >> _GATHERED)


@kernel
def _as_ones(row, background, ones):
    for x in range(row.size):
        ones[x] = np.uint8(row[x] != 0) ^ background


@kernel
def _pack(eights, packed):
    for k in range(eights.size):
        packed[k] = np.uint8((eights[k] * _GATHER) >> _GATHERED)


@kernel
def _count_starts(bits):
    count = 0
    before = np.uint64(0)
    for k in range(bits.size):
        word = bits[k]
        count += _count_bits(word & ~((word << _ONE) | before))
        before = word >> _TOP
    return count


@kernel
def pack_rows(rows, background, first, last, packed, bits, n_runs):
    """Turn rows into bits and count their runs.

    Parameters
    ----------
    rows : (N, W) uint8
        Non-zero pixels are foreground.
    background : uint8
        1 to take the background for ones, 0 for the foreground.
    first, last : int
        The rows ``first:last`` are done.
    packed : (N, 8 * K) uint8, out
        The memory of `bits`.
    bits : (N, K) uint64, out
        ``K = W // 64 + 1``.
    n_runs : (N,) int64, out

    Notes
    -----
    Needs a little-endian machine.
    """
    # The pixels beyond the width stay 0.
    eights = np.zeros(packed.shape[1], np.uint64)
    ones = eights.view(np.uint8)
    for row in range(first, last):
        _as_ones(rows[row], background, ones)
        _pack(eights, packed[row])
        n_runs[row] = _count_starts(bits[row])


@kernel
def begin_runs(bits, offsets, width, border, first, last, parents):
    """Make each run its own parent, or the outside where it touches the border.

    Parameters
    ----------
    bits : (N, K) uint64
    offsets : (N + 1,) int64
        Row r owns the runs ``offsets[r]:offsets[r + 1]``; ``offsets[0]`` is 1.
    width : int
        Pixels of a row.
    border : (N,) uint8
        0: no run of the row touches the border; 1: those at its ends do; 2: all do.
    first, last : int
        The rows ``first:last`` are done.
    parents : (R + 1,) uint32, out
        The caller sets ``parents[0] = 0``.
    """
    for row in range(first, last):
        run = offsets[row]
        stop = offsets[row + 1]
        if border[row] == 2:
            parents[run:stop] = 0
            continue
        for k in range(run, stop):
            parents[k] = k
        if border[row] == 1 and run < stop:
            if bits[row, 0] & _ONE:
                parents[run] = 0
            if (bits[row, (width - 1) >> 6] >> np.uint64((width - 1) & 63)) & _ONE:
                parents[stop - 1] = 0


@kernel
def _unite(parents, a, b):
    """Join the trees of two runs; the smaller root stays (Rem's algorithm with splicing)."""
    while parents[a] != parents[b]:
        if parents[a] < parents[b]:
            a, b = b, a
        above = parents[a]
        parents[a] = parents[b]
        if above == a:
            break
        a = above


@kernel
def _join_pair(here, there, run_here, run_there, diagonal, parents):
    """Unite the runs of one row with those of another that touch them.

    `run_here` and `run_there` are the last runs before the rows.
    """
    before_here = np.uint64(0)
    before_there = np.uint64(0)
    for k in range(here.size):
        h = here[k]
        t = there[k]
        h_left = (h << _ONE) | before_here
        t_left = (t << _ONE) | before_there
        before_here = h >> _TOP
        before_there = t >> _TOP
        h_starts = h & ~h_left
        t_starts = t & ~t_left
        if h_starts | t_starts:
            # One bit for each pair of runs that touch: where their overlap begins ...
            touch = h & t & ~(h_left & t_left)
            if diagonal:
                # ... or where one begins, one pixel after the last one of the other.
                touch |= (h_starts & t_left & ~t) | (t_starts & h_left & ~h)
            while touch:
                up_to = touch ^ (touch - _ONE)
                a = run_here + _count_bits(h_starts & up_to)
                b = run_there + _count_bits(t_starts & up_to)
                _unite(parents, np.uint32(a), np.uint32(b))
                touch &= touch - _ONE
            run_here += _count_bits(h_starts)
            run_there += _count_bits(t_starts)


@kernel
def join_rows(bits, offsets, height, connectivity, first, last, lowest, highest, parents):
    """Unite the runs of rows with the runs of earlier rows that they touch.

    Parameters
    ----------
    bits : (N, K) uint64
    offsets : (N + 1,) int64
    height : int
        Rows of a plane; the planes follow one another.
    connectivity : int
        Largest number of axes in which two touching voxels may differ by one.
    first, last : int
        The rows ``first:last`` are joined ...
    lowest, highest : int
        ... with their earlier neighbours among the rows ``lowest:highest``.
    parents : (R + 1,) uint32, in and out
        Never larger than the run itself.

    Notes
    -----
    Blocks of rows may be joined inside themselves at the same time; what they
    share, ``parents[0]``, is never written. The joins between blocks follow
    one after the other.

    References
    ----------
    M. Patwary, J. Blair, F. Manne (2010), Experiments on union-find algorithms
    for the disjoint-set data structure, doi:10.1007/978-3-642-13193-6_35.
    """
    for row in range(first, last):
        y = row % height
        for dz in range(2):
            for dy in range(-1, 2 * dz):
                steps = dz + abs(dy)
                other = row - dz * height + dy
                if (
                    steps > connectivity
                    or y + dy < 0
                    or y + dy >= height
                    or other < lowest
                    or other >= highest
                    or offsets[row] == offsets[row + 1]
                    or offsets[other] == offsets[other + 1]
                ):
                    continue
                _join_pair(
                    bits[row],
                    bits[other],
                    offsets[row] - 1,
                    offsets[other] - 1,
                    steps < connectivity,
                    parents,
                )


@kernel
def number_runs(parents):
    """Turn parents into component numbers 1, 2, ... in raster order, in place; return their count.

    Parameters
    ----------
    parents : (R + 1,) uint32, in and out
        In: parents. Out: component number of each run; 0 for the outside.

    Notes
    -----
    A parent is never larger than its run, so it is already numbered when the run comes.
    """
    count = 0
    for run in range(1, parents.size):
        parent = parents[run]
        known = parents[parent]
        new = parent == run
        count += np.int64(new)
        parents[run] = count if new else known
    return count


@kernel
def _find_edges(bits, edges):
    """Find where the runs of a row begin and end, in turn."""
    n = 0
    before = np.uint64(0)
    for k in range(bits.size):
        word = bits[k]
        change = word ^ ((word << _ONE) | before)
        before = word >> _TOP
        while change:
            edges[n] = 64 * k + _count_bits((change - _ONE) & ~change)
            n += 1
            change &= change - _ONE


@kernel
def _paint(row, start, stop, value):
    """Write a value into ``row[start:stop]``, and perhaps into the 47 pixels after it."""
    # An unsigned place cannot count from the end of the row: the compiler takes wide stores.
    if start + 16 <= row.size:
        first = np.uint64(start)
        for k in range(16):
            row[first + np.uint64(k)] = value
        start += 16
    if start < stop:
        # A multiple of a store where there is room: single pixels would cost as much again.
        n = (stop - start + 31) & -32
        if start + n > row.size:
            n = stop - start
        first = np.uint64(start)
        for k in range(n):
            row[first + np.uint64(k)] = value


@kernel
def paint_runs(bits, offsets, numbers, first, last, out):
    """Write the number of each run into the image; all else becomes 0.

    Parameters
    ----------
    bits : (N, K) uint64
    offsets : (N + 1,) int64
    numbers : (R + 1,) uint32
    first, last : int
        The rows ``first:last`` are done.
    out : (N, W) int32, out
    """
    width = out.shape[1]
    edges = np.empty(width + 1, np.int64)
    for row in range(first, last):
        line = out[row]
        _find_edges(bits[row], edges)
        x = 0
        n = 0
        for run in range(offsets[row], offsets[row + 1]):
            # From left to right, so that what was written too much is written over.
            _paint(line, x, edges[n], np.int32(0))
            x = edges[n + 1]
            _paint(line, edges[n], x, np.int32(numbers[run]))
            n += 2
        _paint(line, x, width, np.int32(0))


@kernel
def mark_runs(bits, offsets, numbers, chosen, first, last, out):
    """Set the pixels of the chosen components to 1 and leave the others as they are.

    Parameters
    ----------
    bits : (N, K) uint64
    offsets : (N + 1,) int64
    numbers : (R + 1,) uint32
    chosen : (n_components + 1,) uint8
        1 for the chosen components, else 0.
    first, last : int
        The rows ``first:last`` are done.
    out : (N, W) uint8, in and out
    """
    edges = np.empty(out.shape[1] + 1, np.int64)
    for row in range(first, last):
        start = offsets[row]
        stop = offsets[row + 1]
        found = np.uint8(0)
        for run in range(start, stop):
            found |= chosen[numbers[run]]
        if found == 0:
            continue
        _find_edges(bits[row], edges)
        line = out[row]
        for run in range(start, stop):
            if chosen[numbers[run]]:
                n = 2 * (run - start)
                line[edges[n] : edges[n + 1]] = 1


@kernel
def size_runs(bits, offsets, numbers, width, sizes):
    """Add up the voxels of each component.

    Parameters
    ----------
    bits : (N, K) uint64
    offsets : (N + 1,) int64
    numbers : (R + 1,) uint32
    width : int
        Pixels of a row.
    sizes : (n_components + 1,) int64, in and out
    """
    edges = np.empty(width + 1, np.int64)
    for row in range(bits.shape[0]):
        if offsets[row] < offsets[row + 1]:
            _find_edges(bits[row], edges)
            n = 0
            for run in range(offsets[row], offsets[row + 1]):
                sizes[numbers[run]] += edges[n + 1] - edges[n]
                n += 2


@kernel
def measure_runs(bits, offsets, numbers, width, height, counts, moments, bounds):
    """Add all runs to the table of regions.

    Parameters
    ----------
    bits : (N, K) uint64
    offsets : (N + 1,) int64
    numbers : (R + 1,) uint32
    width, height : int
        Pixels of a row, rows of a plane.
    counts : (L,) int64, in and out
        Voxels.
    moments : (L, 3) int64, in and out
        Sums of the coordinates z, y, x.
    bounds : (L, 6) int64, in and out
        Smallest z, y, x and largest z, y, x plus 1; starts with large numbers
        and with zeros.

    Notes
    -----
    The sum of the x of a run is that of an arithmetic series.
    """
    edges = np.empty(width + 1, np.int64)
    for row in range(bits.shape[0]):
        if offsets[row] == offsets[row + 1]:
            continue
        z = row // height
        y = row - z * height
        _find_edges(bits[row], edges)
        k = 0
        for run in range(offsets[row], offsets[row + 1]):
            number = numbers[run]
            start = edges[k]
            stop = edges[k + 1]
            k += 2
            n = stop - start
            counts[number] += n
            moments[number, 0] += z * n
            moments[number, 1] += y * n
            moments[number, 2] += (start + stop - 1) * n // 2
            bounds[number, 0] = min(bounds[number, 0], z)
            bounds[number, 1] = min(bounds[number, 1], y)
            bounds[number, 2] = min(bounds[number, 2], start)
            # Planes come in order.
            bounds[number, 3] = z + 1
            bounds[number, 4] = max(bounds[number, 4], y + 1)
            bounds[number, 5] = max(bounds[number, 5], stop)
