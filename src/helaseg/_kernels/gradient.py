"""Gaussian blur, Sobel gradient and the two halves of Canny's edge detector."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def _add_scaled_pair(row, first, second, weight):
    for x in range(row.size):
        row[x] += weight * (np.float32(first[x]) + np.float32(second[x]))


@kernel
def blur_plane(plane, rows, columns, row_weights, column_weights, out):
    """Blur one plane with a symmetric separable filter.

    Parameters
    ----------
    plane : uint8 or float32 array, shape (Y, X)
    rows : int64 array, shape (Y + 2 * RY,)
        Row that stands for each row of the plane extended by RY on both sides.
    columns : int64 array, shape (X + 2 * RX,)
        The same for the columns.
    row_weights : float32 array, shape (RY + 1,)
        Weights along y, the central one first.
    column_weights : float32 array, shape (RX + 1,)
        Weights along x, the central one first.
    out : float32 array, shape (Y, X)
        Not the memory of `plane`.

    Notes
    -----
    Both passes meet in one row: it is summed along y, extended, and summed along
    x into `out`, so that no intermediate plane is written.
    """
    height, width = plane.shape
    ry = row_weights.size - 1
    rx = column_weights.size - 1
    row = np.empty(width, np.float32)
    extended = np.empty(width + 2 * rx, np.float32)
    for y in range(height):
        centre = plane[rows[y + ry]]
        for x in range(width):
            row[x] = row_weights[0] * np.float32(centre[x])
        for k in range(1, ry + 1):
            _add_scaled_pair(row, plane[rows[y + ry - k]], plane[rows[y + ry + k]], row_weights[k])
        extended[rx : rx + width] = row
        for x in range(rx):
            extended[x] = row[columns[x]]
            extended[rx + width + x] = row[columns[rx + width + x]]
        target = out[y]
        for x in range(width):
            target[x] = column_weights[0] * row[x]
        for k in range(1, rx + 1):
            _add_scaled_pair(
                target,
                extended[rx - k : rx - k + width],
                extended[rx + k : rx + k + width],
                column_weights[k],
            )


@kernel
def blur_depth(volume, planes, weights):
    """Blur a volume along z, in place.

    Parameters
    ----------
    volume : float32 array, shape (Z, Y, X)
    planes : int64 array, shape (Z + 2 * R,)
        Plane that stands for each plane of the volume extended by R on both sides.
    weights : float32 array, shape (R + 1,)
        The central weight first.

    Notes
    -----
    One row of all planes at a time is copied and summed back.
    """
    depth, height, width = volume.shape
    r = weights.size - 1
    slab = np.empty((depth, width), np.float32)
    for y in range(height):
        for z in range(depth):
            slab[z] = volume[z, y]
        for z in range(depth):
            target = volume[z, y]
            for x in range(width):
                target[x] = weights[0] * slab[z, x]
            for k in range(1, r + 1):
                _add_scaled_pair(
                    target, slab[planes[z + r - k]], slab[planes[z + r + k]], weights[k]
                )


@kernel
def _sobel_row(up, mid, down, smooth, slope, gy, gx, magnitude):
    """Sobel sums of one row; `smooth` and `slope` are scratch with one pixel on both sides."""
    width = mid.size
    for x in range(width):
        smooth[x + 1] = up[x] + np.float32(2) * mid[x] + down[x]
        slope[x + 1] = down[x] - up[x]
    smooth[0] = smooth[1]
    smooth[width + 1] = smooth[width]
    slope[0] = slope[1]
    slope[width + 1] = slope[width]
    for x in range(width):
        a = smooth[x + 2] - smooth[x]
        b = slope[x] + np.float32(2) * slope[x + 1] + slope[x + 2]
        gx[x] = a
        gy[x] = b
        magnitude[x] = np.sqrt(a * a + b * b)


@kernel
def sobel_magnitude(plane, out):
    """Length of the Sobel gradient in grey levels per pixel.

    Parameters
    ----------
    plane : float32 array, shape (Y, X)
    out : float32 array, shape (Y, X)
        Not the memory of `plane`.

    Notes
    -----
    The plane is extended by repeating its outermost pixels. The Sobel sums are
    eight times the derivative of a ramp, hence the division.
    """
    height, width = plane.shape
    smooth = np.empty(width + 2, np.float32)
    slope = np.empty(width + 2, np.float32)
    gy = np.empty(width, np.float32)
    gx = np.empty(width, np.float32)
    for y in range(height):
        target = out[y]
        _sobel_row(
            plane[max(y - 1, 0)],
            plane[y],
            plane[min(y + 1, height - 1)],
            smooth,
            slope,
            gy,
            gx,
            target,
        )
        for x in range(width):
            target[x] *= np.float32(0.125)


@kernel
def _suppress_row(gy, gx, up, mid, down, low, high, marks):
    """1 for weak and 2 for strong maxima across the edge; `marks[x + 1]` belongs to pixel x."""
    for x in range(1, mid.size - 1):
        m = mid[x]
        # All neighbours are loaded before any choice, so that the loop has no branches.
        ul, u, ur = up[x - 1], up[x], up[x + 1]
        left, right = mid[x - 1], mid[x + 1]
        dl, d, dr = down[x - 1], down[x], down[x + 1]
        ay = abs(gy[x])
        ax = abs(gx[x])
        same = (gy[x] >= 0) == (gx[x] >= 0)
        steep = ay > ax
        long = ay if steep else ax
        short = ax if steep else ay
        diagonal_1 = dr if same else dl
        diagonal_2 = ul if same else ur
        side_1 = right if same else left
        side_2 = left if same else right
        straight_1 = d if steep else side_1
        straight_2 = u if steep else side_2
        rest = long - short
        peak = (
            (short * diagonal_1 + rest * straight_1 <= long * m)
            & (short * diagonal_2 + rest * straight_2 <= long * m)
            & (m > 0)
        )
        marks[x + 1] = np.uint8(peak) * (np.uint8(m >= low) + np.uint8(m >= high))


@kernel
def mark_maxima(plane, low, high, marks):
    """Mark the pixels where the gradient is largest across the edge.

    Parameters
    ----------
    plane : float32 array, shape (Y, X), at least 3 x 3
    low, high : float32
        Thresholds in grey levels per pixel, ``low <= high``.
    marks : uint8 array, shape (Y + 2, X + 2), zeros
        Becomes 1 where the gradient is a maximum of at least `low`, 2 of at
        least `high`; pixel (y, x) is marked at (y + 1, x + 1).

    Notes
    -----
    The gradient is compared with its two neighbours in the direction of the
    gradient, each interpolated linearly between two of the eight neighbours; a
    tie is a maximum. The outermost pixels are never marked. Only three rows of
    gradients are held at a time.
    """
    height, width = plane.shape
    low8 = np.float32(8) * low
    high8 = np.float32(8) * high
    smooth = np.empty(width + 2, np.float32)
    slope = np.empty(width + 2, np.float32)
    gy = np.empty((3, width), np.float32)
    gx = np.empty((3, width), np.float32)
    magnitude = np.empty((3, width), np.float32)
    for y in range(height):
        now = y % 3
        _sobel_row(
            plane[max(y - 1, 0)],
            plane[y],
            plane[min(y + 1, height - 1)],
            smooth,
            slope,
            gy[now],
            gx[now],
            magnitude[now],
        )
        if y >= 2:
            before = (y - 1) % 3
            _suppress_row(
                gy[before],
                gx[before],
                magnitude[(y - 2) % 3],
                magnitude[before],
                magnitude[now],
                low8,
                high8,
                marks[y],
            )


@kernel
def link_marks(marks, words, stride, stack):
    """Turn every 2, and every 1 that is 8-connected to a 2, into a 3.

    Parameters
    ----------
    marks : uint8 array, shape (N,)
        Marks 0, 1 and 2 row by row, the outermost row and column of each side 0;
        filled up with zeros to a multiple of 8.
    words : uint64 array, shape (N / 8,)
        The same memory.
    stride : int
        Length of a row.
    stack : int64 array, shape (N,)
        Scratch.

    Notes
    -----
    Eight pixels at a time are skipped where none is 2. A pixel goes on the stack
    once, because it becomes 3 on the way.
    """
    ones = np.uint64(0x0101010101010101)
    twos = np.uint64(0x0202020202020202)
    for w in range(words.size):
        word = words[w]
        if word & twos & ~((word & ones) << np.uint64(1)) == 0:
            continue
        for start in range(8 * w, 8 * w + 8):
            if marks[start] != 2:
                continue
            marks[start] = 3
            stack[0] = start
            n = 1
            while n > 0:
                n -= 1
                at = stack[n]
                for row in (at - stride, at, at + stride):
                    for near in (row - 1, row, row + 1):
                        if marks[near] == 1 or marks[near] == 2:
                            marks[near] = 3
                            stack[n] = near
                            n += 1
