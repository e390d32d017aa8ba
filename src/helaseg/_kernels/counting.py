"""Count pairs of labels, and the four cells of a confusion table."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Voxels that are compared at once.
STRIDE = 64


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
def _add_run(table, n_used, a, b, n_voxels):
    """Add a run of one pair; return the places taken, or -1 where it found no place."""
    mask = np.uint64(table.shape[0] - 1)
    key = (np.uint64(a) << np.uint64(32)) | np.uint64(b)
    # below 2**64 for any two labels, so the Python form cannot overflow either
    mixed = np.uint64(a) * np.uint64(0x9E3779B1) + np.uint64(b)
    place = (mixed ^ (mixed >> np.uint64(15))) & mask
    while table[place, 1] != 0 and table[place, 0] != key:
        place = (place + np.uint64(1)) & mask
    if table[place, 1] == 0:
        if n_used >= table.shape[0] * 3 // 4:
            return -1
        table[place, 0] = key
        n_used += 1
    table[place, 1] += np.uint64(n_voxels)
    return n_used


@kernel
def _is_one_pair(first, second, a, b):
    """Return whether a stride holds only one pair; no branch, hence many voxels at a time."""
    differs = np.uint32(0)
    for k in range(STRIDE):
        differs |= (first[k] ^ a) | (second[k] ^ b)
    return differs == 0


@kernel
def _list_changes(first, second, changes):
    """Find where a stride's pair differs from the one before it; how many such voxels.

    `first` and `second` begin one voxel before the stride.
    """
    n = 0
    for k in range(STRIDE):
        # always written, counted when it is one: a branch would be guessed wrong at each run
        changes[n] = k
        n += (first[k] != first[k + 1]) | (second[k] != second[k + 1])
    return n


@kernel
def count_pairs(first, second, start, table, n_used):
    """Add up how often each pair of labels occurs, until the table is too full.

    Parameters
    ----------
    first, second : (N,) uint32
    start : int
        Voxel to begin with.
    table : (K, 2) uint64, in and out
        A hash table: ``first << 32 | second`` of the pair in each place, and
        its voxels; 0 voxels mark a free place.
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
    - A stride of voxels is compared with the pair at hand at once, and the
      table is touched once per run of one pair, so segmentations cost little
      more than reading them.
    - It stops before a new pair when three quarters of the places are taken.
    """
    n = first.size
    changes = np.empty(STRIDE + 1, np.int64)
    run = start
    i = start + 1
    while i < n:
        n_changes = 0
        step = STRIDE
        if i + STRIDE <= n:
            if not _is_one_pair(
                first[i : i + STRIDE], second[i : i + STRIDE], first[run], second[run]
            ):
                n_changes = _list_changes(
                    first[i - 1 : i + STRIDE], second[i - 1 : i + STRIDE], changes
                )
        else:
            step = 1
            if first[i] != first[run] or second[i] != second[run]:
                changes[0] = 0
                n_changes = 1
        for c in range(n_changes):
            used = _add_run(table, n_used, first[run], second[run], i + changes[c] - run)
            if used < 0:
                return run, n_used
            n_used = used
            run = i + changes[c]
        i += step
    if run < n:
        used = _add_run(table, n_used, first[run], second[run], n - run)
        if used < 0:
            return run, n_used
        n_used = used
    return n, n_used
