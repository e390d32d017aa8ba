"""Kernel of the phantom that turns depths and textures into grey values and truth.

Notes
-----
Preconditions: planes are C-contiguous float32 of one shape, `owner` uint16,
`index` int32 (row of `kind`, `home` and `number`, -1 where there is nothing);
truth planes uint16 or uint32. The grey values are those of EMPIAR-10094 as
8 bit: resin 200, nucleoplasm and plain cytoplasm 147, membranes 110-120.
"""

from __future__ import annotations

import numpy as np

from ._jit import kernel

# What a capsule is; `organelles.py` has the same numbers.
MITOCHONDRION, LYSOSOME, DROPLET, VESICLE, DOT, NUCLEOLUS, GHOST, DEBRIS = range(8)
CHROMOSOME = 8


@kernel
def ramp(x, low, high):
    """0 below `low`, 1 above `high`, smooth between."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@kernel
def bell(u, sigma):
    """A Gaussian of height 1, cut off at three sigma."""
    if abs(u) > 3.0 * sigma:
        return 0.0
    return np.exp(-0.5 * u * u / (sigma * sigma))


@kernel
def shade(
    s1,
    s2,
    bare,
    owner,
    depth,
    graze_cell,
    graze_nucleus,
    organ,
    index,
    along,
    kind,
    home,
    number,
    rough,
    sheet,
    breaks,
    fine,
    coarse,
    slow,
    flat,
    blob,
    step,
    gap,
    half_band,
    sheet_nm,
    resin,
    contrast,
    grey,
    cell,
    nucleus,
    envelope,
    mitochondria,
):
    """Grey value (before noise) and the four truths of every pixel.

    `graze_cell` and `graze_nucleus` widen the membranes of cell and nucleus (nm):
    a membrane that runs along the cut is seen through the depth of the slice.
    `step` is the pixel (nm), `gap` the mean resin between near cells (nm),
    `half_band` half the envelope (nm), `sheet_nm` the mean distance of ER sheets
    (nm), `resin` the grey value of resin beside a cell, `contrast` a factor on all
    that differs from the mean grey 165.
    """
    rows, cols = s1.shape
    # A membrane thinner than a pixel gets wider and weaker by the same factor.
    thin = np.sqrt(64.0 + 0.1 * step * step)
    weak = 8.0 / thin
    for r in range(rows):
        up = max(r - 1, 0)
        down = min(r + 1, rows - 1)
        for c in range(cols):
            cell[r, c] = 0
            nucleus[r, c] = 0
            envelope[r, c] = 0
            mitochondria[r, c] = 0
            # The resin between two cells is of uneven width: half a gap to two gaps.
            between = gap * (1.0 + min(max(rough[r, c], -0.5), 1.0))
            room = min(s1[r, c], 0.5 * (s1[r, c] - s2[r, c] - between))
            n = depth[r, c]
            v = organ[r, c]
            what = -1
            if v > 0.0:
                what = kind[index[r, c]]
            f = fine[r, c]
            if room > 0.0:
                ident = owner[r, c]
                cell[r, c] = ident
                if abs(n) <= half_band:
                    envelope[r, c] = ident
                if n > 0.0:
                    nucleus[r, c] = ident
                    g = 147.0 + 2.4 * f + 1.6 * coarse[r, c] - 5.0 * bell(n - 50.0, 45.0)
                    if what == NUCLEOLUS:
                        edge = ramp(v + 90.0 * coarse[r, c], 0.0, 160.0) * ramp(n, 60.0, 200.0)
                        g -= edge * (13.0 + 3.0 * f)
                else:
                    q = breaks[r, c]
                    inner = ramp(bare[r, c] + 220.0 * q, 200.0, 800.0)
                    g = 147.5 + 3.2 * f + 1.5 * coarse[r, c] + inner * (5.0 * coarse[r, c] - 4.0)
                    if inner > 0.0 and n < -60.0:
                        left = max(c - 1, 0)
                        right = min(c + 1, cols - 1)
                        wx = 1.0 / (max(right - left, 1) * step)
                        wy = 1.0 / (max(down - up, 1) * step)
                        # Cisternae: level sets of noise that bend around the nucleus.
                        p = sheet[r, c] - n / sheet_nm
                        px = sheet[r, right] - sheet[r, left]
                        px -= (depth[r, right] - depth[r, left]) / sheet_nm
                        py = sheet[down, c] - sheet[up, c]
                        py -= (depth[down, c] - depth[up, c]) / sheet_nm
                        slope = np.sqrt((px * wx) ** 2 + (py * wy) ** 2)
                        u = abs(p - np.round(p)) / max(slope, 0.0012)
                        amount = inner * ramp(q, -0.1, 0.5)
                        width = 17.0 + 6.0 * coarse[r, c]
                        g -= amount * 52.0 * weak * bell(u - width, thin)
                        if u < width:
                            g += amount * 8.0
                        # Tubules and vesicles: single membranes in a tangle.
                        px = coarse[r, right] - coarse[r, left]
                        py = coarse[down, c] - coarse[up, c]
                        slope = np.sqrt((px * wx) ** 2 + (py * wy) ** 2)
                        u = (coarse[r, c] - 0.5) / max(slope, 0.004)
                        amount = inner * ramp(-q, 0.0, 0.6)
                        g -= amount * 44.0 * weak * bell(u, thin)
                    if (
                        ((what >= 0 and what <= DOT) or what == CHROMOSOME)
                        and n < -60.0
                        and room > 40.0
                        and home[index[r, c]] == ident
                    ):
                        if what == MITOCHONDRION:
                            mitochondria[r, c] = number[index[r, c]]
                            g = 129.0 + 3.0 * f + 3.0 * (number[index[r, c]] % 7 - 3)
                            phase = along[r, c] / 95.0 + 0.9 * sheet[r, c] + 0.6 * coarse[r, c]
                            fold = abs(phase - np.round(phase)) * 95.0
                            if v > 30.0:
                                g += 10.0 - 32.0 * weak * bell(fold, 1.5 * thin)
                            g -= 26.0 * weak * bell(v - 9.0, thin)
                        elif what == LYSOSOME:
                            g = 96.0 + 9.0 * f + 8.0 * coarse[r, c]
                        elif what == DROPLET:
                            # Part of the rim is osmicated, as a crescent.
                            g = 176.0 + 2.0 * f - 30.0 * weak * bell(v - 8.0, thin)
                            g -= (
                                60.0
                                * ramp(60.0 * breaks[r, c] - v, -10.0, 20.0)
                                * ramp(breaks[r, c], 0.2, 0.6)
                            )
                        elif what == VESICLE:
                            g = 160.0 + 3.0 * f - 40.0 * weak * bell(v - 8.0, thin)
                        elif what == CHROMOSOME:
                            # Condensed: no envelope, an uneven edge, no ER inside.
                            solid = ramp(v + 40.0 * coarse[r, c], 0.0, 60.0)
                            g += solid * (112.0 + 4.0 * f + 3.0 * coarse[r, c] - g)
                        else:
                            g -= 26.0 * ramp(v, 0.0, 15.0)
                wide = np.sqrt(thin * thin + graze_nucleus[r, c] * graze_nucleus[r, c])
                both = bell(n - 13.0, 1.15 * wide) + bell(n + 15.0, 1.15 * wide)
                g -= 32.0 * (8.0 / wide) * both
                # Where cells meet, both membranes are seen edge to edge.
                edge = 13.0 if room == s1[r, c] else 34.0
                wide = np.sqrt(thin * thin + graze_cell[r, c] * graze_cell[r, c])
                g -= edge * (8.0 / wide) * bell(room - 7.0, wide)
            else:
                away = ramp(-bare[r, c], 50.0, 1200.0)
                far = ramp(-bare[r, c], 150.0, 900.0)
                t = flat[r, c] - 0.8
                plate = ramp(t, -0.1, 0.35)
                g = resin - 7.0 * away + 3.0 * slow[r, c]
                g -= far * 17.0 * plate
                # Charge gathers along the edge of such a plate and in lone clouds.
                g -= far * 62.0 * ramp(blob[r, c], 0.0, 1.6) * bell(t - 0.05, 0.16)
                g -= far * 60.0 * ramp(blob[r, c] + 0.3 * slow[r, c], 1.9, 3.2)
                if what == GHOST:
                    g -= 34.0 * weak * bell(v - 8.0, thin) + 16.0 * ramp(
                        fine[r, c] + coarse[r, c], 1.6, 2.4
                    )
                elif what == DEBRIS:
                    g = 147.5 + 3.2 * f - 20.0 * weak * bell(v - 7.0, thin)
            grey[r, c] = 165.0 + contrast * (g - 165.0)
