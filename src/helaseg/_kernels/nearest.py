"""Exact nearest False voxel, one axis after the other: y, then x, then z.

Along y two scans find the nearest row. Along x and z every line needs the best i of
``min over i of f[i] + weight * (i - j)**2``, the leftmost one where several are. It
never moves left when j moves right, so it is found by halving.
"""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel

#: Lines of the z axis that are copied out together: 16 float32 fill a cache line.
TILE = 16


@kernel
def _best_sites(f, n, weight, sites):
    """Leftmost best i for every j of a line of `n`."""
    stride = 1
    while stride < n:
        stride *= 2
    j = 0
    while stride >= 1:
        while j < n:
            low = 0
            high = n - 1
            if j > 0:
                low = sites[j - stride]
                if j + stride < n:
                    high = sites[j + stride]
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
            sites[j] = best
            j += 2 * stride
        stride //= 2
        j = stride


@kernel
def nearest_in_slices(mask, weight_y, weight_x, out, index):
    """Squared distance inside each slice, and where its nearest False voxel is.

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
            _best_sites(line, width, weight_x, sites)
            for x in range(width):
                site = sites[x]
                if line[site] < np.inf:
                    out[z, y, x] = line[site] + weight_x * ((site - x) * (site - x))
                    index[z, y, x] = (z * height + row[site]) * width + site
                else:
                    out[z, y, x] = np.inf
                    index[z, y, x] = -1


@kernel
def nearest_across_slices(weight_z, weight_y, weight_x, squared, index):
    """Extend `nearest_in_slices` to the whole volume, in place.

    Parameters
    ----------
    weight_z, weight_y, weight_x : float64
    squared : (D, H, W) float32, in and out
    index : (D, H, W) int32 or int64, in and out
        Of equally near False voxels the one in the lowest slice.

    Notes
    -----
    Squared distances inside the slices are computed again from `index`: float32 would
    make some equal that are not, and some unequal that are.
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
                    origin = np.int64(index[z, y, x0 + t])
                    origins[t, z] = origin
                    if origin < 0:
                        lines[t, z] = np.inf
                        continue
                    place = origin - z * height * width
                    row = place // width
                    up = np.float64(row - y)
                    along = np.float64(place - row * width - x0 - t)
                    lines[t, z] = up * up * weight_y + weight_x * (along * along)
            for t in range(n_lines):
                _best_sites(lines[t], depth, weight_z, sites)
                for z in range(depth):
                    site = sites[z]
                    squared[z, y, x0 + t] = lines[t, site] + weight_z * ((site - z) * (site - z))
                    index[z, y, x0 + t] = origins[t, site]
