"""Sobel gradient, and the pixels where it is largest across an edge."""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


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
def sobel_magnitude(window, out):
    """Length of the Sobel gradient in grey levels per pixel.

    Parameters
    ----------
    window : float32 array, shape (N + 2, X)
        The rows, the one before and the one after them.
    out : float32 array, shape (N, X)
        Not the memory of `window`.

    Notes
    -----
    Rows are extended by repeating their outermost pixels. The Sobel sums are
    eight times the derivative of a ramp, hence the division.
    """
    n, width = out.shape
    smooth = np.empty(width + 2, np.float32)
    slope = np.empty(width + 2, np.float32)
    gy = np.empty(width, np.float32)
    gx = np.empty(width, np.float32)
    for y in range(n):
        target = out[y]
        _sobel_row(window[y], window[y + 1], window[y + 2], smooth, slope, gy, gx, target)
        for x in range(width):
            target[x] *= np.float32(0.125)


@kernel
def _suppress_row(gy, gx, up, mid, down, low, high, marks):
    """1 for weak and 3 for strong maxima across the edge, 0 elsewhere."""
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
        marks[x] = np.uint8(peak) * (np.uint8(m >= low) + np.uint8(2) * np.uint8(m >= high))


@kernel
def _pack(words, bit, packed):
    """One bit per byte: bit `bit` of byte x becomes bit x. Eight bytes make a word."""
    for i in range(words.size):
        w = (words[i] >> bit) & np.uint64(0x0101010101010101)
        # Pairs, quadruples and octets of bits move together.
        w = (w | (w >> np.uint64(7))) & np.uint64(0x0003000300030003)
        w = (w | (w >> np.uint64(14))) & np.uint64(0x0000000F0000000F)
        packed[i] = np.uint8((w | (w >> np.uint64(28))) & np.uint64(0xFF))


@kernel
def mark_maxima(window, low, high, weak, strong):
    """Mark the pixels where the gradient is largest across the edge.

    Parameters
    ----------
    window : float32 array, shape (N + 4, X), at least 3 wide
        The rows, the two before and the two after them.
    low, high : float32
        Thresholds in grey levels per pixel, ``low <= high``.
    weak, strong : uint8 array, shape (N, 8 W), ``64 W >= X``
        One bit per pixel: 1 where the gradient is a maximum of at least `low`
        or at least `high`.

    Notes
    -----
    The gradient is compared with its two neighbours in the direction of the
    gradient, each interpolated linearly between two of the eight neighbours; a
    tie is a maximum. The outermost pixels of a row are never marked. Only three
    rows of gradients are held at a time.
    """
    n = weak.shape[0]
    width = window.shape[1]
    low8 = np.float32(8) * low
    high8 = np.float32(8) * high
    smooth = np.empty(width + 2, np.float32)
    slope = np.empty(width + 2, np.float32)
    gy = np.empty((3, width), np.float32)
    gx = np.empty((3, width), np.float32)
    magnitude = np.empty((3, width), np.float32)
    marks = np.zeros(8 * weak.shape[1], np.uint8)
    words = marks.view(np.uint64)
    for y in range(n + 2):
        now = y % 3
        _sobel_row(
            window[y],
            window[y + 1],
            window[y + 2],
            smooth,
            slope,
            gy[now],
            gx[now],
            magnitude[now],
        )
        if y < 2:
            continue
        before = (y - 1) % 3
        _suppress_row(
            gy[before],
            gx[before],
            magnitude[(y - 2) % 3],
            magnitude[before],
            magnitude[now],
            low8,
            high8,
            marks,
        )
        _pack(words, np.uint64(0), weak[y - 2])
        _pack(words, np.uint64(1), strong[y - 2])


@kernel
def pack_rows(plane, packed):
    """Bytes to bits, row by row.

    Parameters
    ----------
    plane : uint8 array, shape (Y, X)
        0 and 1.
    packed : uint8 array, shape (Y, 8 W), ``64 W >= X``
        Bit ``x % 8`` of byte ``x // 8`` is pixel x; 0 beyond the last pixel.
    """
    height, width = plane.shape
    row = np.zeros(8 * packed.shape[1], np.uint8)
    words = row.view(np.uint64)
    for y in range(height):
        row[:width] = plane[y]
        _pack(words, np.uint64(0), packed[y])


@kernel
def _unpack(packed, words):
    for i in range(packed.size):
        # The steps of `_pack` backwards: octets, quadruples and pairs part.
        w = np.uint64(packed[i])
        w = w | (w << np.uint64(28))
        w = (w | (w << np.uint64(14))) & np.uint64(0x0003000300030003)
        words[i] = (w | (w << np.uint64(7))) & np.uint64(0x0101010101010101)


@kernel
def unpack_rows(packed, plane):
    """Bits to bytes, row by row: the opposite of `pack_rows`.

    Parameters
    ----------
    packed : uint8 array, shape (Y, 8 W)
    plane : uint8 array, shape (Y, X), ``X <= 64 W``
    """
    height, width = plane.shape
    row = np.empty(8 * packed.shape[1], np.uint8)
    words = row.view(np.uint64)
    for y in range(height):
        _unpack(packed[y], words)
        plane[y] = row[:width]
