"""Sums over labelled regions, and other names for them."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def _run_stop(line, x, label):
    """The first place at or after `x` that does not hold `label`."""
    while x + 16 <= line.size:
        # An unsigned place cannot count from the end of the row: the compiler compares 16 at once.
        first = np.uint64(x)
        different = np.int32(0)
        for k in range(16):
            different |= line[first + np.uint64(k)] ^ label
        if different:
            break
        x += 16
    while x < line.size and line[x] == label:
        x += 1
    return x


@kernel
def count_labels(flat, counts):
    """Add the number of pixels of each label to `counts`; return how many had no place.

    Parameters
    ----------
    flat : int32 array, shape (N,)
    counts : int64 array, shape (L,)

    Notes
    -----
    Neighbours of one label are counted together before `counts` is touched.
    """
    n_bad = 0
    i = 0
    n = flat.size
    while i < n:
        label = flat[i]
        start = i
        i = _run_stop(flat, i + 1, label)
        if 0 <= label < counts.size:
            counts[label] += i - start
        else:
            n_bad += i - start
    return n_bad


@kernel
def sum_labels(flat, values, sums):
    """Add the values of each label to `sums`; return how many pixels had no place.

    Parameters
    ----------
    flat : int32 array, shape (N,)
    values : float64 array, shape (N,)
    sums : float64 array, shape (L,)
    """
    n_bad = 0
    for i in range(flat.size):
        label = flat[i]
        if 0 <= label < sums.size:
            sums[label] += values[i]
        else:
            n_bad += 1
    return n_bad


@kernel
def add_plane(plane, z, counts, moments, bounds):
    """Add one plane of labels to the table of regions.

    Parameters
    ----------
    plane : int32 array, shape (Y, X)
        Labels from 0 (left out) to L - 1.
    z : int64
        Number of the plane.
    counts : int64 array, shape (L,)
        Pixels.
    moments : int64 array, shape (L, 3)
        Sums of the coordinates z, y, x.
    bounds : int64 array, shape (L, 6)
        Smallest z, y, x and largest z, y, x plus 1; starts with large numbers
        and with zeros.

    Notes
    -----
    A run of one label in a row is added at once; the sum of its x is that of an
    arithmetic series.
    """
    height, width = plane.shape
    for y in range(height):
        line = plane[y]
        x = 0
        while x < width:
            label = line[x]
            start = x
            x = _run_stop(line, x + 1, label)
            if label == 0:
                continue
            n = x - start
            counts[label] += n
            moments[label, 0] += z * n
            moments[label, 1] += y * n
            moments[label, 2] += (start + x - 1) * n // 2
            bounds[label, 0] = min(bounds[label, 0], z)
            bounds[label, 1] = min(bounds[label, 1], y)
            bounds[label, 2] = min(bounds[label, 2], start)
            bounds[label, 3] = max(bounds[label, 3], z + 1)
            bounds[label, 4] = max(bounds[label, 4], y + 1)
            bounds[label, 5] = max(bounds[label, 5], x)


@kernel
def add_intensity(flat, values, sums, lows, highs):
    """Add the grey values of one plane to the table of regions.

    Parameters
    ----------
    flat : int32 array, shape (N,)
        Labels from 0 (left out) to L - 1.
    values : float64 array, shape (N,)
    sums, lows, highs : float64 array, shape (L,)
        `lows` starts with infinity, `highs` with minus infinity; NaN spreads
        through all three.
    """
    for i in range(flat.size):
        label = flat[i]
        if label != 0:
            value = values[i]
            sums[label] += value
            # NaN enters by the second test, and no comparison with it lets it out.
            if value < lows[label] or value != value:
                lows[label] = value
            if value > highs[label] or value != value:
                highs[label] = value


@kernel
def note_labels(flat, present):
    """Set `present` to 1 at the place of each label that occurs.

    Parameters
    ----------
    flat : (N,) int32
        Labels from 0 to L - 1.
    present : (L,) uint8, in and out
    """
    for i in range(flat.size):
        present[np.uint32(flat[i])] = 1


@kernel
def replace_labels(flat, table, out):
    """Write the entry of a table for each label.

    Parameters
    ----------
    flat : (N,) int32
        Labels from 0 to L - 1.
    table : (L,) int32
    out : (N,) int32, out
        May be `flat` itself.
    """
    for i in range(flat.size):
        out[i] = table[np.uint32(flat[i])]
