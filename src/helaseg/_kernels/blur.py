"""Gaussian blur: symmetric separable filters of rows, columns and planes."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import fused_kernel, kernel


@kernel
def _begin(row, centre, weight):
    for x in range(row.size):
        row[x] = weight * np.float32(centre[x])


@fused_kernel
def _add_pair(row, first, second, weight):
    for x in range(row.size):
        row[x] += weight * (np.float32(first[x]) + np.float32(second[x]))


@fused_kernel
def _add_three_pairs(row, a, b, c, d, e, f, w1, w2, w3):
    for x in range(row.size):
        row[x] = (
            row[x]
            + w1 * (np.float32(a[x]) + np.float32(b[x]))
            + w2 * (np.float32(c[x]) + np.float32(d[x]))
            + w3 * (np.float32(e[x]) + np.float32(f[x]))
        )


@fused_kernel
def _begin_four_rows(r0, r1, r2, r3, plane, at, i, w0, w1, w2, w3):
    """Centre and three pairs of four rows at once: a pixel is converted once, not seven times.

    The centre of the first row is ``plane[at[i + 3]]``.
    """
    y0, y1, y2, y3, y4 = at[i], at[i + 1], at[i + 2], at[i + 3], at[i + 4]
    y5, y6, y7, y8, y9 = at[i + 5], at[i + 6], at[i + 7], at[i + 8], at[i + 9]
    for x in range(r0.size):
        f0 = np.float32(plane[y0, x])
        f1 = np.float32(plane[y1, x])
        f2 = np.float32(plane[y2, x])
        f3 = np.float32(plane[y3, x])
        f4 = np.float32(plane[y4, x])
        f5 = np.float32(plane[y5, x])
        f6 = np.float32(plane[y6, x])
        f7 = np.float32(plane[y7, x])
        f8 = np.float32(plane[y8, x])
        f9 = np.float32(plane[y9, x])
        r0[x] = w0 * f3 + w1 * (f2 + f4) + w2 * (f1 + f5) + w3 * (f0 + f6)
        r1[x] = w0 * f4 + w1 * (f3 + f5) + w2 * (f2 + f6) + w3 * (f1 + f7)
        r2[x] = w0 * f5 + w1 * (f4 + f6) + w2 * (f3 + f7) + w3 * (f2 + f8)
        r3[x] = w0 * f6 + w1 * (f5 + f7) + w2 * (f4 + f8) + w3 * (f3 + f9)


@fused_kernel
def _begin_along_row(out, row, w1, w2, w3):
    """Centre, of weight 1, and three pairs; ``row[x + 3]`` lies at ``out[x]``."""
    for x in range(out.size):
        out[x] = (
            row[x + 3]
            + w1 * (row[x + 2] + row[x + 4])
            + w2 * (row[x + 1] + row[x + 5])
            + w3 * (row[x] + row[x + 6])
        )


@kernel
def _add_further_pairs(row, plane, at, centre, radius, k, weights):
    """Pairs from the k-th outwards of one row of the filter along y."""
    while k + 2 <= radius:
        _add_three_pairs(
            row,
            plane[at[centre - k]],
            plane[at[centre + k]],
            plane[at[centre - k - 1]],
            plane[at[centre + k + 1]],
            plane[at[centre - k - 2]],
            plane[at[centre + k + 2]],
            weights[k],
            weights[k + 1],
            weights[k + 2],
        )
        k += 3
    while k <= radius:
        _add_pair(row, plane[at[centre - k]], plane[at[centre + k]], weights[k])
        k += 1


@kernel
def _sum_columns(plane, at, radius, weights, r0, r1, r2, r3):
    """Four rows of the filter along y; ``plane[at[j + radius]]`` is the centre of row j."""
    if radius >= 3:
        w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
        _begin_four_rows(r0, r1, r2, r3, plane, at, radius - 3, w0, w1, w2, w3)
        k = 4
    else:
        _begin(r0, plane[at[radius]], weights[0])
        _begin(r1, plane[at[radius + 1]], weights[0])
        _begin(r2, plane[at[radius + 2]], weights[0])
        _begin(r3, plane[at[radius + 3]], weights[0])
        k = 1
    if k <= radius:
        _add_further_pairs(r0, plane, at, radius, radius, k, weights)
        _add_further_pairs(r1, plane, at, radius + 1, radius, k, weights)
        _add_further_pairs(r2, plane, at, radius + 2, radius, k, weights)
        _add_further_pairs(r3, plane, at, radius + 3, radius, k, weights)


@kernel
def _sum_row(row, radius, weights, out):
    """One row of the filter along x; `row` reaches `radius` pixels further on both sides."""
    if radius >= 3:
        _begin_along_row(out, row[radius - 3 :], weights[1], weights[2], weights[3])
        k = 4
    else:
        _begin(out, row[radius:], weights[0])
        k = 1
    while k + 2 <= radius:
        _add_three_pairs(
            out,
            row[radius - k :],
            row[radius + k :],
            row[radius - k - 1 :],
            row[radius + k + 1 :],
            row[radius - k - 2 :],
            row[radius + k + 2 :],
            weights[k],
            weights[k + 1],
            weights[k + 2],
        )
        k += 3
    while k <= radius:
        _add_pair(out, row[radius - k :], row[radius + k :], weights[k])
        k += 1


@kernel
def blur_rows(plane, rows, columns, row_weights, column_weights, out):
    """Blur some rows of a plane with a symmetric separable filter.

    Parameters
    ----------
    plane : uint8 or float32 array, shape (Y, X)
    rows : int64 array, shape (N + 2 * RY,)
        Row of the plane that stands for each of the wanted rows and of the RY
        before and after them.
    columns : int64 array, shape (X + 2 * RX,)
        Column that stands for each column of the plane extended by RX on both
        sides.
    row_weights : float32 array, shape (RY + 1,)
        Weights along y, the central one first.
    column_weights : float32 array, shape (RX + 1,)
        Weights along x, the central one first: it is 1.
    out : float32 array, shape (N, X)
        Not the memory of `plane`.

    Notes
    -----
    Four rows at a time are summed along y, extended, and summed along x into
    `out`: no intermediate plane is written. The sum begins with the centre and
    goes outwards pair by pair, whatever the grouping, so that no bit depends on
    where a block of rows begins.
    """
    n, width = out.shape
    ry = row_weights.size - 1
    rx = column_weights.size - 1
    extended = np.empty((4, width + 2 * rx), np.float32)
    r0, r1 = extended[0, rx : rx + width], extended[1, rx : rx + width]
    r2, r3 = extended[2, rx : rx + width], extended[3, rx : rx + width]
    at = np.empty(4 + 2 * ry, np.int64)
    for y in range(0, n, 4):
        # Rows after the last one are summed from what is there, and dropped.
        for i in range(at.size):
            at[i] = rows[min(y + i, rows.size - 1)]
        _sum_columns(plane, at, ry, row_weights, r0, r1, r2, r3)
        for j in range(min(4, n - y)):
            for x in range(rx):
                extended[j, x] = extended[j, rx + columns[x]]
                extended[j, rx + width + x] = extended[j, rx + columns[rx + width + x]]
            _sum_row(extended[j], rx, column_weights, out[y + j])


@kernel
def blur_depth(volume, planes, weights, start, stop):
    """Blur rows ``start <= y < stop`` of a volume along z, in place.

    Parameters
    ----------
    volume : float32 array, shape (Z, Y, X)
    planes : int64 array, shape (Z + 2 * R,)
        Plane that stands for each plane of the volume extended by R on both sides.
    weights : float32 array, shape (R + 1,)
        The central weight first.
    start, stop : int

    Notes
    -----
    One row of all planes at a time is copied and summed back.
    """
    depth, _, width = volume.shape
    r = weights.size - 1
    slab = np.empty((depth, width), np.float32)
    for y in range(start, stop):
        for z in range(depth):
            slab[z] = volume[z, y]
        for z in range(depth):
            target = volume[z, y]
            _begin(target, slab[z], weights[0])
            for k in range(1, r + 1):
                _add_pair(target, slab[planes[z + r - k]], slab[planes[z + r + k]], weights[k])
