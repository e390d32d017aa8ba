"""Flooding from markers with one first-in-first-out queue per level.

A voxel is one int32 word of the padded, ravelled image: its level (0 or more) while
it is free, the negative of its label once it has one, else `OUTSIDE`. One word per
voxel keeps the moving front of the flood in the cache.

The queues share a pool of small chunks: places for voxels and, last, one place that
leads to the next chunk of the same queue. Voxels that wait together lie together, so
that the processor can look ahead, and a chunk that has been read is used again, so
that the pool stays as small as the front. A level's tail is its next empty place;
the tail `last` (the last place of chunk 0, which no queue uses) means an empty queue.
"""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Outside the mask, in the border, or part of a line.
OUTSIDE = np.int32(-(2**31))


@kernel
def leave_out(levels, inside):
    """Set the level of voxels outside the mask to -1.

    Parameters
    ----------
    levels : (N,) int32, in and out
    inside : (N,) uint8
    """
    for i in range(levels.size):
        level = levels[i]
        levels[i] = level if inside[i] != 0 else np.int32(-1)


@kernel
def _mix_row(levels, markers, words):
    count = 0
    for x in range(levels.size):
        level = levels[x]
        label = markers[x]
        word = -label if label > 0 else level
        words[x] = word if level >= 0 else OUTSIDE
        count += np.int64((label > 0) & (level >= 0))
    return count


@kernel
def mix(levels, markers, begins, words, marked):
    """Make words from levels and labels.

    Parameters
    ----------
    levels : (R, W) int32
        Rows of the image, -1 outside the mask.
    markers : (R, W) int32
        Labels of the sources, 0 elsewhere.
    begins : (R,) int64
        Where the rows begin in `words`.
    words : (N,) int32, out
        The padded image.
    marked : (R,) int64, out
        Number of marker voxels inside the mask in each row.
    """
    width = levels.shape[1]
    for row in range(levels.shape[0]):
        place = begins[row]
        marked[row] = _mix_row(levels[row], markers[row], words[place : place + width])


@kernel
def _unmix_row(words, labels):
    for x in range(words.size):
        word = words[x]
        # OUTSIDE is the smallest number there is: it must not be negated
        labels[x] = -word if OUTSIDE < word < 0 else np.int32(0)


@kernel
def unmix(words, begins, labels):
    """Write the labels of words that have one, 0 for the others.

    Parameters
    ----------
    words : (N,) int32
        The padded image.
    begins : (R,) int64
        Where the rows begin in `words`.
    labels : (R, W) int32, out
    """
    width = labels.shape[1]
    for row in range(labels.shape[0]):
        place = begins[row]
        _unmix_row(words[place : place + width], labels[row])


@kernel
def find_seeds(words, levels, begins, marked, steps, seeds, seed_levels):
    """List the marker voxels that have a free neighbour, in raster order.

    The others would leave their queue without doing anything.

    Parameters
    ----------
    words, levels, begins, marked
        After `mix`.
    steps : (K,) int64
        Offsets of a voxel's neighbours in `words`.
    seeds : (S,) int32, out
        Places in `words`; S is the sum of `marked`.
    seed_levels : (S,) int32, out

    Returns
    -------
    int
        How many there are.
    """
    found = 0
    for row in range(levels.shape[0]):
        if marked[row] == 0:
            continue
        for x in range(levels.shape[1]):
            place = begins[row] + x
            if not OUTSIDE < words[place] < 0:
                continue
            for k in range(steps.size):
                if words[place + steps[k]] >= 0:
                    seeds[found] = place
                    seed_levels[found] = levels[row, x]
                    found += 1
                    break
    return found


@kernel
def _open_chunk(heads, pool, last, level, slot):
    """Take a chunk for the level whose tail is `slot` and return its first place.

    ``pool[0]`` is the first chunk that was never used, ``pool[1]`` the one given
    back last, 0 for none; each of these leads to the one given back before it.
    """
    chunk = np.int64(pool[1])
    if chunk > 0:
        pool[1] = pool[chunk]
    else:
        chunk = np.int64(pool[0])
        pool[0] = chunk + last + 1
    if slot == last:
        heads[level] = chunk
    else:
        pool[slot] = chunk
    return chunk


@kernel
def _queue_seeds(seeds, seed_levels, tails, heads, pool, last):
    """Queue each seed at its level; return the lowest and the highest of these levels."""
    lowest, highest = tails.size, -1
    for i in range(seeds.size):
        level = np.int64(seed_levels[i])
        lowest = min(lowest, level)
        highest = max(highest, level)
        slot = np.int64(tails[level])
        if slot & last == last:
            slot = _open_chunk(heads, pool, last, level, slot)
        pool[slot] = seeds[i]
        tails[level] = slot + 1
    return lowest, highest


@kernel
def _spread(words, steps, tails, heads, pool, last, level, head, stop):
    """Let ``pool[head:stop]`` take their free neighbours; return the highest level used."""
    highest = level
    for i in range(head, stop):
        voxel = np.int64(pool[i])
        name = words[voxel]
        for k in range(steps.size):
            other = voxel + steps[k]
            height = np.int64(words[other])
            if height >= 0:
                words[other] = name
                # the level never falls: what lies lower joins the queue being read
                target = max(level, height)
                slot = np.int64(tails[target])
                if slot & last == last:
                    slot = _open_chunk(heads, pool, last, target, slot)
                    highest = max(highest, target)
                pool[slot] = other
                tails[target] = slot + 1
    return highest


@kernel
def _spread_with_lines(words, settled, steps, tails, heads, pool, last, level, head, stop):
    """The same, but a voxel between two labels becomes part of a line.

    A voxel is settled when it leaves its queue, not when it enters: only then is it
    known whether another label has come up to it. A line passes on the label
    that reached it first, so that no pocket behind a line stays empty.
    """
    highest = level
    for i in range(head, stop):
        voxel = np.int64(pool[i])
        name = words[voxel]
        if settled[voxel] == 0:
            settled[voxel] = 1
            for k in range(steps.size):
                other = voxel + steps[k]
                if settled[other] != 0 and words[other] != name and words[other] != OUTSIDE:
                    words[voxel] = OUTSIDE
                    break
        for k in range(steps.size):
            other = voxel + steps[k]
            height = np.int64(words[other])
            if height >= 0:
                words[other] = name
                target = max(level, height)
                slot = np.int64(tails[target])
                if slot & last == last:
                    slot = _open_chunk(heads, pool, last, target, slot)
                    highest = max(highest, target)
                pool[slot] = other
                tails[target] = slot + 1
    return highest


@kernel
def flood(words, settled, steps, seeds, seed_levels, bounds, tails, heads, pool, last):
    """Give every reachable free voxel the label of the neighbour that reached it first.

    Parameters
    ----------
    words : (N,) int32, in and out
        After `mix`.
    settled : (N,) uint8, in and out
        For lines, 1 where a voxel is part of a marker; empty for no lines.
    steps : (K,) int64
        Offsets of a voxel's neighbours in `words`, in the order in which they are asked.
    seeds, seed_levels : (S,) int32
        From `find_seeds`, group after group, in raster order within a group.
    bounds : (G + 1,) int64
        Group g, whose seeds are ``bounds[g]:bounds[g + 1]``, is flooded to its end
        before the next one: what two groups can reach must not touch.
    tails, heads : (n_levels,) uint32, work space
        Filled with `last` by the caller, and so again at the end.
    pool : (P,) uint32, work space
        Chunks of ``last + 1`` places: one that no queue uses, two spare ones, and as
        many as there are voxels to flood, or fewer: a chunk for each level, and one
        for each `last` voxels.
    last : int64
        Places for voxels in a chunk: 1, 3, 7 ...

    Notes
    -----
    The image is padded so that no neighbour of an inside voxel leaves `words`.
    """
    pool[0] = last + 1
    pool[1] = 0
    for group in range(bounds.size - 1):
        part = slice(bounds[group], bounds[group + 1])
        level, highest = _queue_seeds(seeds[part], seed_levels[part], tails, heads, pool, last)
        while level <= highest:
            if tails[level] == last:
                level += 1
                continue
            head = np.int64(heads[level])
            while head != tails[level]:
                if head & last == last:
                    following = np.int64(pool[head])
                    pool[head - last] = pool[1]
                    pool[1] = head - last
                    head = following
                stop = head | last
                tail = np.int64(tails[level])
                if head <= tail < stop:
                    stop = tail
                if settled.size > 0:
                    reached = _spread_with_lines(
                        words, settled, steps, tails, heads, pool, last, level, head, stop
                    )
                else:
                    reached = _spread(words, steps, tails, heads, pool, last, level, head, stop)
                highest = max(highest, reached)
                head = stop
            chunk = head & ~last
            pool[chunk] = pool[1]
            pool[1] = chunk
            tails[level] = last
            level += 1
