"""Counting grey values."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def count_bytes(flat, counts):
    """Add the number of pixels of each grey level to `counts`.

    Parameters
    ----------
    flat : uint8 array, shape (N,)
    counts : int64 array, shape (256,)

    Notes
    -----
    Four tables are filled in turn: equal neighbours would otherwise wait for
    each other's store to the same counter.
    """
    tables = np.zeros((4, 256), np.int64)
    n = flat.size
    whole = n - n % 4
    for i in range(0, whole, 4):
        tables[0, flat[i]] += 1
        tables[1, flat[i + 1]] += 1
        tables[2, flat[i + 2]] += 1
        tables[3, flat[i + 3]] += 1
    for i in range(whole, n):
        tables[0, flat[i]] += 1
    for v in range(256):
        counts[v] += tables[0, v] + tables[1, v] + tables[2, v] + tables[3, v]


@kernel
def count_masked_bytes(flat, mask, counts):
    """Add the grey levels of the pixels whose `mask` is 1 to `counts`.

    Parameters
    ----------
    flat, mask : uint8 array, shape (N,)
        `mask` holds 0 and 1 only.
    counts : int64 array, shape (256,)
    """
    tables = np.zeros((4, 256), np.int64)
    n = flat.size
    whole = n - n % 4
    for i in range(0, whole, 4):
        tables[0, flat[i]] += mask[i]
        tables[1, flat[i + 1]] += mask[i + 1]
        tables[2, flat[i + 2]] += mask[i + 2]
        tables[3, flat[i + 3]] += mask[i + 3]
    for i in range(whole, n):
        tables[0, flat[i]] += mask[i]
    for v in range(256):
        counts[v] += tables[0, v] + tables[1, v] + tables[2, v] + tables[3, v]


@kernel
def count_words(flat, counts):
    """Add the number of pixels of each 16-bit grey level to `counts`.

    Parameters
    ----------
    flat : uint16 array, shape (N,)
    counts : int64 array, shape (65536,)
    """
    for i in range(flat.size):
        counts[flat[i]] += 1


@kernel
def count_bins(flat, edges, counts):
    """Add the number of finite values in each of equally wide bins to `counts`.

    Parameters
    ----------
    flat : float64 array, shape (N,)
        Values outside the edges, NaN and infinities are left out.
    edges : float64 array, shape (B + 1,)
        Equally spaced and strictly increasing.
    counts : int64 array, shape (B,)

    Notes
    -----
    A bin holds its lower edge, the last bin both. The quotient finds the bin up
    to rounding; the edges themselves decide.
    """
    bins = counts.size
    low = edges[0]
    high = edges[bins]
    scale = bins / (high - low)
    for i in range(flat.size):
        value = flat[i]
        if value >= low and value <= high:
            b = min(int((value - low) * scale), bins - 1)
            if value < edges[b]:
                b -= 1
            elif b < bins - 1 and value >= edges[b + 1]:
                b += 1
            counts[b] += 1
