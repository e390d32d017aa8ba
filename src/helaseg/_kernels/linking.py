"""Hysteresis on bits: strong pixels grow over the weak ones that touch them."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def _reached(strong, k, stride):
    """Pixels of word k that touch a strong one, or are one."""
    centre = strong[k - stride] | strong[k] | strong[k + stride]
    before = strong[k - stride - 1] | strong[k - 1] | strong[k + stride - 1]
    after = strong[k - stride + 1] | strong[k + 1] | strong[k + stride + 1]
    return (
        centre
        | (centre << np.uint64(1))
        | (centre >> np.uint64(1))
        | (before >> np.uint64(63))
        | (after << np.uint64(63))
    )


@kernel
def _fill_runs(seeds, weak):
    """All pixels of the runs of 1s in `weak` that hold a seed; seeds lie in `weak`."""
    # The carry of the sum clears a run from its lowest seed to its upper end.
    filled = seeds | (weak & ~(weak + seeds))
    lower = (filled >> np.uint64(1)) & weak & ~filled
    while lower != 0:
        filled = filled | lower
        lower = (lower >> np.uint64(1)) & weak & ~filled
    return filled


@kernel
def _pull(weak, strong, k, stride):
    """Let word k take what it is owed; True if it took anything."""
    have = strong[k]
    new = _reached(strong, k, stride) & weak[k] & ~have
    if new == 0:
        return False
    strong[k] = _fill_runs(have | new, weak[k])
    return True


@kernel
def _sweep(weak, strong, stride, words):
    changed = 0
    for k in words:
        changed += _pull(weak, strong, k, stride)
    return changed


@kernel
def _settle_word(weak, strong, stride, k, low, high, stack, waiting):
    """Pull word k; if it changes, all that follows from it in ``low <= word < high``."""
    if not _pull(weak, strong, k, stride):
        return
    stack[0] = k
    n = 1
    while n > 0:
        n -= 1
        at = stack[n]
        waiting[at] = 0
        for row in (at - stride, at, at + stride):
            for near in (row - 1, row, row + 1):
                if low <= near < high and _pull(weak, strong, near, stride) and not waiting[near]:
                    waiting[near] = 1
                    stack[n] = near
                    n += 1


@kernel
def settle_words(weak, strong, stride, first, last, low, high, stack, waiting):
    """Finish the growth of some words, and all that follows from it.

    Parameters
    ----------
    weak, strong, stride
        As in `link_words`.
    first, last : int
        Words to look at.
    low, high : int
        Words that may change, among them ``first <= word < last``.
    stack : int64 array, shape (``high - low`` or more,)
        Scratch.
    waiting : uint8 array, shape (N,), zeros
        Scratch, zeros again afterwards.

    Notes
    -----
    Afterwards no word of ``low <= word < high`` can grow if before none but
    those of ``first <= word < last`` could.
    """
    for k in range(last - 1, first - 1, -1):
        _settle_word(weak, strong, stride, k, low, high, stack, waiting)


@kernel
def link_words(weak, strong, stride, first, last, stack, waiting):
    """Make every weak pixel strong that is 8-connected to a strong one by weak ones.

    Parameters
    ----------
    weak, strong : uint64 array, shape (N + 1,)
        One bit per pixel, row by row, bit b of word w is pixel ``64 w + b`` of
        its row. Strong pixels are weak, too. The outermost pixels of the image,
        all bits beyond the end of a row and the last word, which belongs to no
        row, are 0.
    stride : int
        Words per row.
    first, last : int
        Words that may change, none of them in the first or last row of the
        image; those one row and one word further are read.
    stack : int64 array, shape (``last - first`` or more,)
        Scratch.
    waiting : uint8 array, shape (N,), zeros
        Scratch, zeros again afterwards.

    Notes
    -----
    64 pixels grow at a time: what the three rows offer is the union of their
    words moved by one pixel, and within a word the carry of a sum runs along.
    Sweeps down and up let edges grow over many rows at once; when little is
    left, a stack of words follows the rest. The result is a closure: it does
    not depend on the order.
    """
    changed = last - first
    down = True
    while 32 * changed > last - first:
        if down:
            changed = _sweep(weak, strong, stride, range(first, last))
        else:
            changed = _sweep(weak, strong, stride, range(last - 1, first - 1, -1))
        down = not down
    settle_words(weak, strong, stride, first, last, first, last, stack, waiting)
