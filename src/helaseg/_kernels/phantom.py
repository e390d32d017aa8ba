"""Kernels of the phantom: smooth noise, capsules, cell and nucleus fields, film grain.

Notes
-----
Preconditions: all arrays are C-contiguous; planes are float32 unless stated,
tables float64; row ``r`` and column ``c`` of a plane lie at ``y0 + r * step_y``
and ``x0 + c * step_x`` (nm, or lattice units for noise).
"""

from __future__ import annotations

import numpy as np

from ._jit import kernel

# A cubic B-spline over unit white noise has variance (151 / 315) per axis.
_NOISE_GAIN = (315.0 / 151.0) ** 1.5
_LOW32 = 0xFFFFFFFF


@kernel
def mix32(h):
    """Scramble the low 32 bits of an int64; products stay below 2**63."""
    h = h & _LOW32
    h ^= h >> 16
    h = (h * 0x21F0AAAD) & _LOW32
    h ^= h >> 15
    h = (h * 0x735A2D97) & _LOW32
    h ^= h >> 15
    return h


@kernel
def lattice_value(seed, k, j, i):
    """White noise at an integer lattice point: uniform, mean 0, variance 1."""
    h = mix32(i * 0x2C1B3C6D + mix32(j * 0x297A2D39 + mix32(k * 0x1B56C4E9 + seed)))
    return (h / 4294967296.0 - 0.5) * 3.4641016151377544


@kernel
def spline_weights(t, w):
    """The four cubic B-spline weights at phase 0 <= t < 1 (sum 1)."""
    s = 1.0 - t
    w[0] = s * s * s / 6.0
    w[1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
    w[2] = (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0
    w[3] = t * t * t / 6.0


@kernel
def noise_plane(seed, z, y0, x0, step_y, step_x, out):
    """Smooth 3-D noise on one plane, in lattice units, mean 0, variance near 1."""
    rows, cols = out.shape
    wz = np.empty(4)
    wy = np.empty(4)
    kz = int(np.floor(z))
    spline_weights(z - kz, wz)
    j_first = int(np.floor(y0)) - 1
    j_last = int(np.floor(y0 + (rows - 1) * step_y)) + 2
    i_first = int(np.floor(x0)) - 1
    i_last = int(np.floor(x0 + (cols - 1) * step_x)) + 2
    lattice = np.empty((j_last - j_first + 1, i_last - i_first + 1), np.float32)
    for j in range(lattice.shape[0]):
        for i in range(lattice.shape[1]):
            v = 0.0
            for m in range(4):
                v += wz[m] * lattice_value(seed, kz - 1 + m, j_first + j, i_first + i)
            lattice[j, i] = v * _NOISE_GAIN
    # The weights along x are the same in every row.
    first = np.empty(cols, np.int64)
    wx = np.empty((cols, 4), np.float32)
    w = np.empty(4)
    for c in range(cols):
        x = x0 + c * step_x
        i = int(np.floor(x))
        spline_weights(x - i, w)
        first[c] = i - 1 - i_first
        for m in range(4):
            wx[c, m] = w[m]
    line = np.empty(lattice.shape[1], np.float32)
    for r in range(rows):
        y = y0 + r * step_y
        j = int(np.floor(y))
        spline_weights(y - j, wy)
        b = j - 1 - j_first
        for i in range(line.size):
            line[i] = (
                wy[0] * lattice[b, i]
                + wy[1] * lattice[b + 1, i]
                + wy[2] * lattice[b + 2, i]
                + wy[3] * lattice[b + 3, i]
            )
        for c in range(cols):
            i = first[c]
            out[r, c] = (
                wx[c, 0] * line[i]
                + wx[c, 1] * line[i + 1]
                + wx[c, 2] * line[i + 2]
                + wx[c, 3] * line[i + 3]
            )


@kernel
def noise_points(seed, points, out):
    """The noise of `noise_plane` at free points, shape (n, 3), lattice units."""
    wz = np.empty(4)
    wy = np.empty(4)
    wx = np.empty(4)
    for n in range(points.shape[0]):
        k = int(np.floor(points[n, 0]))
        j = int(np.floor(points[n, 1]))
        i = int(np.floor(points[n, 2]))
        spline_weights(points[n, 0] - k, wz)
        spline_weights(points[n, 1] - j, wy)
        spline_weights(points[n, 2] - i, wx)
        v = 0.0
        for a in range(4):
            for b in range(4):
                for c in range(4):
                    w = wz[a] * wy[b] * wx[c]
                    v += w * lattice_value(seed, k - 1 + a, j - 1 + b, i - 1 + c)
        out[n] = v * _NOISE_GAIN


@kernel
def draw_capsules(capsules, z, y0, x0, step_y, step_x, reach, best, index, along):
    """Signed depth (nm) below the surface of tapered capsules that cross a plane.

    Columns of `capsules`: z0 y0 x0 z1 y1 x1 r0 r1 (nm), z squash (1 = round,
    0.1 = ten times as tall along z), shear of y and of x per nm of z, arc
    length at the start. A pixel takes the capsule with the largest depth that
    is above both `best` and ``-reach``; `index` gets its row, `along` the arc
    length.
    """
    rows, cols = best.shape
    for n in range(capsules.shape[0]):
        za, ya, xa = capsules[n, 0], capsules[n, 1], capsules[n, 2]
        zb, yb, xb = capsules[n, 3], capsules[n, 4], capsules[n, 5]
        ra, rb = capsules[n, 6], capsules[n, 7]
        k = capsules[n, 8]
        middle = 0.5 * (za + zb)
        h = (z - middle) * k
        za = (za - middle) * k
        zb = (zb - middle) * k
        wide = max(ra, rb) + reach
        if h < min(za, zb) - wide or h > max(za, zb) + wide:
            continue
        ya += capsules[n, 9] * (z - middle)
        yb += capsules[n, 9] * (z - middle)
        xa += capsules[n, 10] * (z - middle)
        xb += capsules[n, 10] * (z - middle)
        r0 = max(0, int(np.ceil((min(ya, yb) - wide - y0) / step_y)))
        r1 = min(rows - 1, int(np.floor((max(ya, yb) + wide - y0) / step_y)))
        c0 = max(0, int(np.ceil((min(xa, xb) - wide - x0) / step_x)))
        c1 = min(cols - 1, int(np.floor((max(xa, xb) + wide - x0) / step_x)))
        dz, dy, dx = zb - za, yb - ya, xb - xa
        squared = dz * dz + dy * dy + dx * dx
        inverse = 1.0 / squared if squared > 0.0 else 0.0
        length = np.sqrt(squared)
        wide2 = wide * wide
        for r in range(r0, r1 + 1):
            py = y0 + r * step_y - ya
            pz = h - za
            for c in range(c0, c1 + 1):
                px = x0 + c * step_x - xa
                t = (pz * dz + py * dy + px * dx) * inverse
                t = min(max(t, 0.0), 1.0)
                ez = pz - t * dz
                ey = py - t * dy
                ex = px - t * dx
                e2 = ez * ez + ey * ey + ex * ex
                if e2 > wide2:
                    continue
                v = ra + t * (rb - ra) - np.sqrt(e2)
                if v > best[r, c] and v > -reach:
                    best[r, c] = v
                    index[r, c] = n
                    along[r, c] = capsules[n, 11] + t * length


@kernel
def add_cell(
    cell,
    ident,
    z,
    y0,
    x0,
    step_y,
    step_x,
    top,
    left,
    parts,
    stretch,
    wave_a,
    wave_b,
    rough,
    s1,
    s2,
    bare,
    owner,
):
    """Enter one cell into the best (`s1`) and second best (`s2`) depth of a plane.

    `bare` gets the best depth without blebs and filopodia.

    `cell`: z y x (nm), half axes along z, u, v (nm), cos and sin of the angle
    between u and y, weights of wave_a and wave_b (fractions of the radius),
    weight of `rough` (nm). `parts` (a box at row `top`, column `left`) holds the
    depth in blebs and filopodia; outside them it is multiplied by `stretch`, so
    that where it ends unknown (see `reach` in `draw_capsules`) it counts for nothing.
    """
    cos, sin = cell[6], cell[7]
    qz = (z - cell[0]) / cell[3]
    for r in range(parts.shape[0]):
        y = y0 + (top + r) * step_y - cell[1]
        for c in range(parts.shape[1]):
            x = x0 + (left + c) * step_x - cell[2]
            qu = (cos * y + sin * x) / cell[4]
            qv = (cos * x - sin * y) / cell[5]
            q2 = qz * qz + qu * qu + qv * qv
            gz = qz / cell[3]
            gu = qu / cell[4]
            gv = qv / cell[5]
            g2 = gz * gz + gu * gu + gv * gv
            scale = np.sqrt(q2 / g2) if g2 > 0.0 else cell[3]
            i = top + r
            j = left + c
            f = np.sqrt(q2) + cell[8] * wave_a[i, j] + cell[9] * wave_b[i, j]
            s = (1.0 - f) * scale + cell[10] * rough[i, j]
            bare[i, j] = max(bare[i, j], s)
            p = parts[r, c]
            if p < 0.0:
                p *= stretch
            # A soft union: blebs grow out of the body without a crease.
            near = max(60.0 - abs(s - p), 0.0)
            s = max(s, p) + near * near / 240.0
            if s > s1[i, j]:
                s2[i, j] = s1[i, j]
                s1[i, j] = s
                owner[i, j] = ident
            elif s > s2[i, j]:
                s2[i, j] = s


@kernel
def add_nucleus(
    nucleus,
    ident,
    z,
    y0,
    x0,
    step_y,
    step_x,
    top,
    left,
    folds,
    wave_a,
    wave_b,
    rough,
    s1,
    s2,
    bare,
    owner,
    gap,
    wall,
    depth,
):
    """Depth below the midline of the nuclear envelope where the cell `ident` owns the plane.

    `nucleus` has the columns of `cell` in `add_cell`; `folds` (a box) holds the
    depth in the invaginations; the nucleus keeps `wall` nm of cytoplasm around it
    and does not grow into blebs.
    """
    cos, sin = nucleus[6], nucleus[7]
    qz = (z - nucleus[0]) / nucleus[3]
    for r in range(folds.shape[0]):
        y = y0 + (top + r) * step_y - nucleus[1]
        for c in range(folds.shape[1]):
            i = top + r
            j = left + c
            if owner[i, j] != ident:
                continue
            x = x0 + (left + c) * step_x - nucleus[2]
            qu = (cos * y + sin * x) / nucleus[4]
            qv = (cos * x - sin * y) / nucleus[5]
            q2 = qz * qz + qu * qu + qv * qv
            gz = qz / nucleus[3]
            gu = qu / nucleus[4]
            gv = qv / nucleus[5]
            g2 = gz * gz + gu * gu + gv * gv
            scale = np.sqrt(q2 / g2) if g2 > 0.0 else nucleus[3]
            f = np.sqrt(q2) + nucleus[8] * wave_a[i, j] + nucleus[9] * wave_b[i, j]
            n = (1.0 - f) * scale + nucleus[10] * rough[i, j]
            # The noise gives the slits an uneven width.
            n = min(n, 0.4 * nucleus[10] * rough[i, j] - folds[r, c])
            room = min(bare[i, j], 0.5 * (s1[i, j] - s2[i, j] - gap))
            depth[i, j] = min(n, room - wall)


@kernel
def film(seed, z, row, grey, strength, slope, gain, offset, rows_sd, out):
    """Electron noise, 3 x 3 Gaussian of sigma 1 px, rounding to uint8.

    `grey` has a frame of one pixel more than `out` (uint8) on each side; `row`
    is the number of its first row in the slice. The standard deviation of the
    noise before the blur is ``strength + slope * (200 - grey)``.
    """
    rows, cols = grey.shape
    wide = np.empty((3, cols), np.float32)
    side = 0.27406862
    middle = 1.0 - 2.0 * side
    slice_key = mix32(z + mix32(seed))
    for r in range(rows):
        key = mix32((row + r) * 0x2C1B3C6D + slice_key)
        # Four bytes of one hash: nearly normal, and free of any state.
        h = mix32(key + 77)
        b = (h & 255) + ((h >> 8) & 255) + ((h >> 16) & 255) + (h >> 24)
        line = rows_sd * (b - 510.0) / 147.8
        slot = r % 3
        for c in range(cols):
            h = mix32(c * 0x297A2D39 + key)
            b = (h & 255) + ((h >> 8) & 255) + ((h >> 16) & 255) + (h >> 24)
            g = grey[r, c]
            sd = strength + slope * (200.0 - g)
            wide[slot, c] = g + line + sd * (b - 510.0) / 147.8
        if r < 2:
            continue
        above = (r - 2) % 3
        centre = (r - 1) % 3
        for c in range(cols - 2):
            v = 0.0
            for m in range(3):
                w = middle if m == 1 else side
                v += w * (
                    side * (wide[above, c + m] + wide[slot, c + m]) + middle * wide[centre, c + m]
                )
            v = v * gain + offset
            out[r - 2, c] = np.uint8(min(max(v + 0.5, 0.0), 255.0))


@kernel
def tally_slice(cell, nucleus, counts, nucleus_counts, sum_y, sum_x):
    """Add the pixels of each cell and nucleus, and the sums of rows and columns, of a slice."""
    rows, cols = cell.shape
    for r in range(rows):
        for c in range(cols):
            i = cell[r, c]
            if i > 0:
                counts[i] += 1.0
                sum_y[i] += r
                sum_x[i] += c
                if nucleus[r, c] > 0:
                    nucleus_counts[i] += 1.0
