"""Ranks of numbers among the distinct ones: by a bit for each possible number, or by sorting."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: The key of voxels that are left out (no number has it: as a float32 it is NaN).
NO_KEY = np.uint32(2**32 - 1)
#: Keys per page, in powers of two, and per word of bits.
PAGE_BITS = 13
WORD_BITS = 6
WORDS_PER_PAGE = 1 << (PAGE_BITS - WORD_BITS)

#: Digits of the radix sort: 6 of 11 bits cover 64.
DIGIT_BITS = 11
N_DIGITS = 6


@kernel
def float_keys(bits, inside, keys):
    """Unsigned integers in the order of floats; return how many NaN lie inside.

    Parameters
    ----------
    bits : (N,) uint32
        float32 numbers, as they are stored.
    inside : (N,) uint8
        0 = leave out.
    keys : (N,) uint32, out
        Equal for 0 and -0; `NO_KEY` where left out.
    """
    sign = np.uint32(1 << 31)
    n_nan = 0
    for i in range(bits.size):
        here = bits[i] if bits[i] != sign else np.uint32(0)
        # the bits of positive floats are in order, those of negative ones in reverse
        key = ~here if here >= sign else here | sign
        keys[i] = key if inside[i] != 0 else NO_KEY
        n_nan += np.int64((inside[i] != 0) & ((here & ~sign) > np.uint32(0x7F800000)))
    return n_nan


@kernel
def mark_keys(keys, pages, bits):
    """Set the bit of every key; return the number of pages used, -1 if `bits` is too small.

    Parameters
    ----------
    keys : (N,) uint32
    pages : (2**(32 - PAGE_BITS),) int32, in and out
        Where the bits of a page of keys begin, in pages; -1 for pages not used, the
        start for all.
    bits : (P * WORDS_PER_PAGE,) uint64, in and out
        Zeros at the start.
    """
    n_pages = 0
    for i in range(keys.size):
        key = keys[i]
        if key == NO_KEY:
            continue
        page = np.int64(pages[key >> np.uint32(PAGE_BITS)])
        if page < 0:
            if (n_pages + 1) * WORDS_PER_PAGE > bits.size:
                return -1
            page = n_pages
            pages[key >> np.uint32(PAGE_BITS)] = page
            n_pages += 1
        word = page * WORDS_PER_PAGE + np.int64(
            (key >> np.uint32(WORD_BITS)) & np.uint32(WORDS_PER_PAGE - 1)
        )
        bit = np.uint64(1) << np.uint64(key & np.uint32(63))
        # most keys come again and again; a store each time would hold up the next load
        if bits[word] & bit == 0:
            bits[word] |= bit
    return n_pages


@kernel
def _count_bits(word):
    """Number of ones: those of each 2 bits, of each 4, of each byte, and these summed up."""
    pairs = np.uint64(0x3333333333333333)
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    word = word + (word >> np.uint64(8))
    word = word + (word >> np.uint64(16))
    word = word + (word >> np.uint64(32))
    return np.int64(word & np.uint64(127))


@kernel
def count_keys(pages, bits, before):
    """Count the keys before each word of bits; return how many there are in all.

    Parameters
    ----------
    pages, bits
        After `mark_keys`.
    before : (P * WORDS_PER_PAGE,) int32, out
        Number of marked keys below those of a word.
    """
    total = 0
    for p in range(pages.size):
        if pages[p] < 0:
            continue
        first = np.int64(pages[p]) * WORDS_PER_PAGE
        for word in range(first, first + WORDS_PER_PAGE):
            before[word] = total
            total += _count_bits(bits[word])
    return total


@kernel
def look_up(keys, pages, bits, before, ranks):
    """Replace keys by their rank among the distinct keys.

    Parameters
    ----------
    keys : (N,) uint32
    pages, bits, before
        After `count_keys`.
    ranks : (N,) int32, out
        0 = smallest key; -1 where left out. May be the memory of `keys`.
    """
    for i in range(keys.size):
        key = keys[i]
        if key == NO_KEY:
            ranks[i] = -1
            continue
        word = np.int64(pages[key >> np.uint32(PAGE_BITS)]) * WORDS_PER_PAGE + np.int64(
            (key >> np.uint32(WORD_BITS)) & np.uint32(WORDS_PER_PAGE - 1)
        )
        below = (np.uint64(1) << np.uint64(key & np.uint32(63))) - np.uint64(1)
        ranks[i] = before[word] + _count_bits(bits[word] & below)


@kernel
def keys_agree(keys, ranks, seen, first):
    """Return whether all keys of the same rank are the same.

    Parameters
    ----------
    keys : (N,) uint64
    ranks : (N,) int32
        -1 where left out.
    seen : (n_ranks,) uint8, in and out
        1 where `first` is set; zeros before the first call.
    first : (n_ranks,) uint64, in and out
        The key that was met first.
    """
    for i in range(keys.size):
        rank = ranks[i]
        if rank < 0:
            continue
        if seen[rank] == 0:
            seen[rank] = 1
            first[rank] = keys[i]
        elif first[rank] != keys[i]:
            return False
    return True


@kernel
def sort_ranks(keys, order, ranks):
    """Replace keys by their rank among the distinct keys; return how many are distinct.

    Parameters
    ----------
    keys : (N,) uint64
    order : (N,) int32, out
        Work space; ends with the stable order of the keys.
    ranks : (N,) int32, out
        0 = smallest key; equal keys have equal ranks.

    Notes
    -----
    Radix sort from the lowest digit; digits that are the same in all keys are passed over.
    """
    n = keys.size
    base = 1 << DIGIT_BITS
    digit_mask = np.uint64(base - 1)
    counts = np.zeros((N_DIGITS, base), dtype=np.int64)
    for i in range(n):
        rest = keys[i]
        order[i] = i
        for d in range(N_DIGITS):
            counts[d, np.int64(rest & digit_mask)] += 1
            rest = rest >> np.uint64(DIGIT_BITS)
    for d in range(N_DIGITS):
        if counts[d].max() == n:
            continue
        place = counts[d]
        total = 0
        for b in range(base):
            here = place[b]
            place[b] = total
            total += here
        shift = np.uint64(d * DIGIT_BITS)
        for i in range(n):
            voxel = order[i]
            b = np.int64((keys[voxel] >> shift) & digit_mask)
            ranks[place[b]] = voxel
            place[b] += 1
        order[:] = ranks
    level = -1
    for i in range(n):
        if i == 0 or keys[order[i]] != keys[order[i - 1]]:
            level += 1
        ranks[order[i]] = level
    return level + 1
