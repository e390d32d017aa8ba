"""Exact squared Euclidean distance, one axis after the other: y, then x, then z.

Along y two scans count the rows to the nearest False voxel. Along x and z every
line needs the lower envelope of parabolas, ``min over i of f[i] + weight * (i - j)**2``.
The best i never moves left when j moves right, so it is found at every LEAF-th j
by halving, and between two such j only the parabolas of their best i compete.
"""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Positions between two halving points; their minima are taken side by side.
LEAF = 32
#: Lines of the z axis that are copied out together: 16 float32 fill a cache line.
TILE = 16


@kernel
def _best_sites(f, n, weight, step, sites):
    """Leftmost best i for j = 0, step, 2 * step, ... and n - 1; return how many j there are."""
    count = (n - 1 + step - 1) // step + 1
    stride = 1
    while stride < count:
        stride *= 2
    k = 0
    while stride >= 1:
        while k < count:
            j = min(k * step, n - 1)
            low = 0
            high = n - 1
            if k > 0:
                low = sites[k - stride]
                if k + stride < count:
                    high = sites[k + stride]
            best = low
            cost = f[low] + weight * ((low - j) * (low - j))
            first = low + 1
            if f[j] < np.inf:
                # a site further away than f[j] allows cannot be better than j itself
                reach = np.int64(np.sqrt(f[j] / weight)) + 1
                first = max(first, j - reach)
                high = min(high, j + reach)
            for i in range(first, high + 1):
                other = f[i] + weight * ((i - j) * (i - j))
                if other < cost:
                    cost = other
                    best = i
            sites[k] = best
            k += 2 * stride
        stride //= 2
        k = stride
    return count


@kernel
def _envelope(f, n, weight, sites, ramp, out):
    """Lower envelope of one line: ``out[j] = min over i of f[i] + weight * (i - j)**2``."""
    count = _best_sites(f, n, weight, LEAF, sites)
    for k in range(max(count - 1, 1)):
        begin = k * LEAF
        end = n if k >= count - 2 else begin + LEAF
        leaf = out[begin:end]
        leaf[:] = np.inf
        for i in range(sites[k], sites[min(k + 1, count - 1)] + 1):
            height = f[i]
            if height < np.inf:
                shift = np.float64(begin - i)
                for j in range(leaf.size):
                    across = shift + ramp[j]
                    cost = height + weight * (across * across)
                    leaf[j] = cost if cost < leaf[j] else leaf[j]


@kernel
def _count_on(row, count):
    """Take one more row into the count of rows since the last False; return its True voxels."""
    n_true = 0
    for x in range(row.size):
        inside = row[x] != 0
        n_true += np.int64(inside)
        more = count[x] + np.float32(1)
        count[x] = more if inside else np.float32(0)
    return n_true


@kernel
def squared_in_slices(mask, weight_y, weight_x, out):
    """Squared distance of True voxels to the nearest False voxel of their own slice.

    Parameters
    ----------
    mask : (D, H, W) uint8
    weight_y, weight_x : float64
        Squared spacing.
    out : (D, H, W) float32, out
        0 where the mask is False; infinity where the slice has no False voxel.
    """
    depth, height, width = mask.shape
    count = np.empty(width, dtype=np.float32)
    line = np.empty(width, dtype=np.float64)
    best = np.empty(width, dtype=np.float64)
    sites = np.empty(width // LEAF + 3, dtype=np.int64)
    ramp = np.arange(2 * LEAF).astype(np.float64)
    for z in range(depth):
        count[:] = np.inf
        for y in range(height):
            row_out = out[z, y]
            _count_on(mask[z, y], count)
            row_out[:] = count
        count[:] = np.inf
        for y in range(height - 1, -1, -1):
            row_out = out[z, y]
            n_true = _count_on(mask[z, y], count)
            for x in range(width):
                rows = count[x] if count[x] < row_out[x] else row_out[x]
                line[x] = np.float64(rows) * np.float64(rows) * weight_y
            if n_true == 0:
                continue  # the first scan left zeros
            _envelope(line, width, weight_x, sites, ramp, best)
            row_out[:] = best


@kernel
def squared_across_slices(weight_z, squared):
    """Extend squared distances inside slices to the whole volume, in place.

    Parameters
    ----------
    weight_z : float64
        Squared spacing.
    squared : (D, H, W) float32, in and out
        From `squared_in_slices`.
    """
    depth, height, width = squared.shape
    lines = np.empty((TILE, depth), dtype=np.float64)
    best = np.empty(depth, dtype=np.float64)
    sites = np.empty(depth // LEAF + 3, dtype=np.int64)
    ramp = np.arange(2 * LEAF).astype(np.float64)
    for y in range(height):
        for x0 in range(0, width, TILE):
            n_lines = min(TILE, width - x0)
            for z in range(depth):
                for t in range(n_lines):
                    lines[t, z] = squared[z, y, x0 + t]
            for t in range(n_lines):
                _envelope(lines[t], depth, weight_z, sites, ramp, best)
                lines[t, :] = best
            for z in range(depth):
                for t in range(n_lines):
                    squared[z, y, x0 + t] = lines[t, z]


@kernel
def nearest_in_slices(mask, weight_y, weight_x, out, index):
    """Squared distance as `squared_in_slices`, and where the nearest False voxel is.

    Parameters
    ----------
    mask : (D, H, W) uint8
    weight_y, weight_x : float64
    out : (D, H, W) float32, out
    index : (D, H, W) int32 or int64, out
        Ravelled index of the nearest False voxel in the whole volume, -1 where
        the slice has none. Of equally near ones the lowest x, then the lowest y.
    """
    depth, height, width = mask.shape
    row_below = np.empty(width, dtype=np.int64)
    row = np.empty(width, dtype=np.int64)
    line = np.empty(width, dtype=np.float64)
    sites = np.empty(width + 1, dtype=np.int64)
    for z in range(depth):
        # `index` holds the nearest row above until the second scan replaces it
        for y in range(height):
            for x in range(width):
                if mask[z, y, x] == 0:
                    index[z, y, x] = y
                elif y > 0:
                    index[z, y, x] = index[z, y - 1, x]
                else:
                    index[z, y, x] = -1
        row_below[:] = -1
        for y in range(height - 1, -1, -1):
            for x in range(width):
                if mask[z, y, x] == 0:
                    row_below[x] = y
                above = np.int64(index[z, y, x])
                below = row_below[x]
                if above >= 0 and (below < 0 or y - above <= below - y):
                    row[x] = above
                else:
                    row[x] = below
                rows = np.float64(row[x] - y)
                line[x] = rows * rows * weight_y if row[x] >= 0 else np.inf
            _best_sites(line, width, weight_x, 1, sites)
            for x in range(width):
                site = sites[x]
                if line[site] < np.inf:
                    out[z, y, x] = line[site] + weight_x * ((site - x) * (site - x))
                    index[z, y, x] = (z * height + row[site]) * width + site
                else:
                    out[z, y, x] = np.inf
                    index[z, y, x] = -1


@kernel
def nearest_across_slices(weight_z, squared, index):
    """Extend `nearest_in_slices` to the whole volume, in place.

    Parameters
    ----------
    weight_z : float64
    squared : (D, H, W) float32, in and out
    index : (D, H, W) int32 or int64, in and out
        Of equally near False voxels the one in the lowest slice.
    """
    depth, height, width = squared.shape
    lines = np.empty((TILE, depth), dtype=np.float64)
    origins = np.empty((TILE, depth), dtype=np.int64)
    sites = np.empty(depth + 1, dtype=np.int64)
    for y in range(height):
        for x0 in range(0, width, TILE):
            n_lines = min(TILE, width - x0)
            for z in range(depth):
                for t in range(n_lines):
                    lines[t, z] = squared[z, y, x0 + t]
                    origins[t, z] = index[z, y, x0 + t]
            for t in range(n_lines):
                _best_sites(lines[t], depth, weight_z, 1, sites)
                for z in range(depth):
                    site = sites[z]
                    squared[z, y, x0 + t] = lines[t, site] + weight_z * ((site - z) * (site - z))
                    index[z, y, x0 + t] = origins[t, site]


@kernel
def roots(squared, unit):
    """Turn squared distances in pixels into distances in the unit of `unit`, in place.

    Parameters
    ----------
    squared : (N,) float32, in and out
    unit : float64
        Length of one pixel.
    """
    for i in range(squared.size):
        squared[i] = np.sqrt(np.float64(squared[i])) * unit
