"""Connected components from runs: find the runs of each row, join them, number them, paint them."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def count_runs(mask, offsets):
    """Where the runs of each row begin in the run table.

    Parameters
    ----------
    mask : (D, H, W) uint8
        Non-zero voxels are foreground.
    offsets : (D * H + 1,) int64, out
        Row r owns the runs ``offsets[r]:offsets[r + 1]``.
    """
    depth, height, width = mask.shape
    offsets[0] = 0
    total = 0
    for z in range(depth):
        for y in range(height):
            before = np.uint8(0)
            for x in range(width):
                here = np.uint8(mask[z, y, x] != 0)
                # 1 only where a run begins; no branch, so that noise costs no more than cells
                total += np.int64(here & (before ^ here))
                before = here
            offsets[z * height + y + 1] = total


@kernel
def find_runs(mask, offsets, starts, stops):
    """First voxel of each run and the voxel after its last, along x.

    Parameters
    ----------
    mask : (D, H, W) uint8
    offsets : (D * H + 1,) int64
        From `count_runs`.
    starts, stops : (R,) int32, out
    """
    depth, height, width = mask.shape
    for z in range(depth):
        for y in range(height):
            run = offsets[z * height + y]
            last = offsets[z * height + y + 1]
            x = 0
            while run < last:
                while mask[z, y, x] == 0:
                    x += 1
                starts[run] = x
                while x < width and mask[z, y, x] != 0:
                    x += 1
                stops[run] = x
                run += 1


@kernel
def _find_root(parents, run):
    root = run
    while parents[root] != root:
        root = parents[root]
    while parents[run] != root:
        parents[run], run = root, parents[run]
    return root


@kernel
def _join_rows(starts, stops, parents, a, a_last, b, b_last, reach):
    """Unite the runs a:a_last of one row with the runs b:b_last of another that touch them."""
    while a < a_last and b < b_last:
        if starts[a] < stops[b] + reach and starts[b] < stops[a] + reach:
            root_a = _find_root(parents, a)
            root_b = _find_root(parents, b)
            # the smaller index is the root, so that it is the first run in raster order
            if root_a < root_b:
                parents[root_b] = root_a
            elif root_b < root_a:
                parents[root_a] = root_b
        if stops[a] < stops[b]:
            a += 1
        else:
            b += 1


@kernel
def join_runs(depth, height, connectivity, offsets, starts, stops, parents):
    """Union-find over the runs that touch.

    Parameters
    ----------
    depth, height : int
        The mask has ``depth * height`` rows.
    connectivity : int
        Largest number of axes in which two touching voxels may differ by one.
    offsets, starts, stops
        The run table.
    parents : (R,) int32, out
        Each run's parent; never larger than the run itself.
    """
    for run in range(parents.size):
        parents[run] = run
    for z in range(depth):
        for y in range(height):
            row = z * height + y
            for dz in range(-1, 1):
                for dy in range(-1, 2):
                    # only rows that lie earlier in raster order
                    if dz == 0 and dy >= 0:
                        continue
                    n_steps = abs(dz) + abs(dy)
                    if n_steps > connectivity or z + dz < 0 or y + dy < 0 or y + dy >= height:
                        continue
                    other = row + dz * height + dy
                    reach = 1 if n_steps < connectivity else 0
                    _join_rows(
                        starts,
                        stops,
                        parents,
                        offsets[row],
                        offsets[row + 1],
                        offsets[other],
                        offsets[other + 1],
                        reach,
                    )


@kernel
def number_runs(parents):
    """Turn parents into component numbers 1, 2, ... in raster order, in place; return their count.

    Parameters
    ----------
    parents : (R,) int32, in and out
        In: parents from `join_runs`. Out: component number of each run.

    Notes
    -----
    A parent is never larger than its run, so it is already numbered when the run comes.
    """
    count = 0
    for run in range(parents.size):
        if parents[run] == run:
            count += 1
            parents[run] = count
        else:
            parents[run] = parents[parents[run]]
    return count


@kernel
def measure_runs(starts, stops, numbers, sizes):
    """Add up the voxels of each component.

    Parameters
    ----------
    starts, stops, numbers : (R,) int32
    sizes : (n_components + 1,) int64, out
        Zeroed by the caller; ``sizes[0]`` stays 0.
    """
    for run in range(numbers.size):
        sizes[numbers[run]] += stops[run] - starts[run]


@kernel
def paint_runs(offsets, starts, stops, values, out):
    """Write each run's value into the image; all else becomes 0.

    Parameters
    ----------
    offsets : (D * H + 1,) int64
    starts, stops, values : (R,) int32
    out : (D, H, W) int32, out
    """
    depth, height, width = out.shape
    for z in range(depth):
        for y in range(height):
            x = 0
            for run in range(offsets[z * height + y], offsets[z * height + y + 1]):
                out[z, y, x : starts[run]] = 0
                out[z, y, starts[run] : stops[run]] = values[run]
                x = stops[run]
            out[z, y, x:width] = 0
