"""Counting grey values."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def _count_pairs(word, table):
    low = np.uint64(0xFFFF)
    table[word & low] += np.uint32(1)
    table[(word >> np.uint64(16)) & low] += np.uint32(1)
    table[(word >> np.uint64(32)) & low] += np.uint32(1)
    table[word >> np.uint64(48)] += np.uint32(1)


@kernel
def _part_pairs(table, counts):
    for first in range(256):
        total = np.int64(0)
        for second in range(256):
            n = np.int64(table[256 * first + second])
            counts[second] += n
            total += n
        counts[first] += total


@kernel
def count_bytes(words, counts):
    """Add the number of pixels of each grey level to `counts`.

    Parameters
    ----------
    words : uint64 array, shape (N,), fewer than 2**30
        Eight pixels each.
    counts : int64 array, shape (256,)

    Notes
    -----
    Pairs of neighbours are counted, in a table of 256 x 256, and split at the
    end: half as many counters to load and store. Neighbours are alike in a
    picture, so that few counters are in use and stay in the first cache.
    """
    table = np.zeros(65536, np.uint32)
    for i in range(words.size):
        _count_pairs(words[i], table)
    _part_pairs(table, counts)


@kernel
def count_masked_bytes(words, masks, counts):
    """Add the grey levels of the pixels whose mask is 1 to `counts`.

    Parameters
    ----------
    words : uint64 array, shape (N,), fewer than 2**30
        Eight pixels each.
    masks : uint64 array, shape (N,)
        Eight bytes each, 0 and 1 only.
    counts : int64 array, shape (256,)
        Pixels whose mask is 0 are counted as grey level 0.

    Notes
    -----
    As `count_bytes`; the caller takes the pixels outside off again.
    """
    table = np.zeros(65536, np.uint32)
    skipped = 0
    for i in range(words.size):
        mask = masks[i]
        # Far outside, the same counter again and again would wait for itself.
        if mask == 0:
            skipped += 1
            continue
        mask |= mask << np.uint64(1)
        mask |= mask << np.uint64(2)
        mask |= mask << np.uint64(4)
        _count_pairs(words[i] & mask, table)
    _part_pairs(table, counts)
    counts[0] += 8 * skipped


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
