"""Sums over labelled regions."""

from __future__ import annotations

from helaseg._kernels._jit import kernel


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
        i += 1
        while i < n and flat[i] == label:
            i += 1
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
        x = 0
        while x < width:
            label = plane[y, x]
            start = x
            x += 1
            while x < width and plane[y, x] == label:
                x += 1
            if label == 0:
                continue
            n = x - start
            counts[label] += n
            moments[label, 0] += z * n
            moments[label, 1] += y * n
            moments[label, 2] += (start + x - 1) * n // 2
            box = bounds[label]
            box[0] = min(box[0], z)
            box[1] = min(box[1], y)
            box[2] = min(box[2], start)
            box[3] = max(box[3], z + 1)
            box[4] = max(box[4], y + 1)
            box[5] = max(box[5], x)


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
