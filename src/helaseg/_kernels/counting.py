"""Count pairs of labels, and the four cells of a confusion table."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def count_overlap(truth, prediction, out):
    """Add voxels of the truth, of the prediction and of both to `out`.

    Parameters
    ----------
    truth, prediction : (N,) uint8
        0 or 1, nothing else.
    out : (3,) int64, in and out
        Sums of truth, prediction and their product.

    Notes
    -----
    - Blocks of 128 voxels are summed in one byte, which cannot overflow, so
      that the inner loop runs on wide vectors.
    """
    n = truth.size
    for start in range(0, n, 128):
        in_truth = np.uint8(0)
        in_prediction = np.uint8(0)
        in_both = np.uint8(0)
        for i in range(start, min(start + 128, n)):
            in_truth = np.uint8(in_truth + truth[i])
            in_prediction = np.uint8(in_prediction + prediction[i])
            in_both = np.uint8(in_both + (truth[i] & prediction[i]))
        out[0] += np.int64(in_truth)
        out[1] += np.int64(in_prediction)
        out[2] += np.int64(in_both)


@kernel
def count_pairs(first, second, start, keys, counts, n_used):
    """Add up how often each pair of labels occurs, until the table is too full.

    Parameters
    ----------
    first, second : (N,) uint32
    start : int
        Voxel to begin with.
    keys : (K,) uint64, in and out
        ``first << 32 | second`` of the pair in each place of the hash table.
    counts : (K,) int64, in and out
        Voxels of the pair; 0 marks a free place.
    n_used : int
        Places taken so far.

    Returns
    -------
    next_start, n_used : int
        Where to go on (N when done) and the places taken.

    Notes
    -----
    - K is a power of two above 2.
    - Places are found by multiplicative hashing and linear probing.
    - Runs of one pair cost a comparison per voxel, so segmentations cost
      little more than reading them.
    - It stops before a new pair when three quarters of the places are taken.
    """
    n = first.size
    mask = np.uint64(keys.size - 1)
    limit = keys.size * 3 // 4
    i = start
    while i < n:
        a = first[i]
        b = second[i]
        stop = i + 1
        while stop < n and first[stop] == a and second[stop] == b:
            stop += 1
        key = (np.uint64(a) << np.uint64(32)) | np.uint64(b)
        # below 2**64 for any two labels, so the Python form cannot overflow either
        mixed = np.uint64(a) * np.uint64(0x9E3779B1) + np.uint64(b)
        place = (mixed ^ (mixed >> np.uint64(15))) & mask
        while counts[place] != 0 and keys[place] != key:
            place = (place + np.uint64(1)) & mask
        if counts[place] == 0:
            if n_used >= limit:
                return i, n_used
            keys[place] = key
            n_used += 1
        counts[place] += stop - i
        i = stop
    return n, n_used
