"""Kernel of the phantom that turns depths and textures into grey values and truth.

Notes
-----
Preconditions: planes are C-contiguous float32 of one shape, `owner` uint16,
`index` int32 (row of `kind`, `home` and `number`, -1 where there is nothing);
truth planes uint16 or uint32. The planes come in named tuples, which numba takes
apart; the helpers below take the numbers of one pixel. The grey values are those of EMPIAR-10094 as
8 bit: resin 200, nucleoplasm and plain cytoplasm 147, membranes 110-120.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel

# What a capsule is; `organelles.py` has the same numbers.
MITOCHONDRION, LYSOSOME, DROPLET, VESICLE, DOT, NUCLEOLUS, GHOST, DEBRIS = range(8)
CHROMOSOME = 8

Plane = NDArray[np.float32]


class Depths(NamedTuple):
    """Depths in cells and nuclei on a band of rows: float32 planes in nm, with a frame.

    Parameters
    ----------
    s1, s2 : ndarray
        Depth below the surface of the nearest and of the second nearest cell.
    bare : ndarray
        Depth in the cells without their thin protrusions.
    owner : ndarray of uint16
        Id of the nearest cell.
    nucleus : ndarray
        Depth below the midline of the nuclear envelope of that cell.
    graze_cell, graze_nucleus : ndarray
        Extra width of the membranes of cell and nucleus: a membrane that runs along
        the cut is seen through the depth of the slice.
    """

    s1: Plane
    s2: Plane
    bare: Plane
    owner: NDArray[np.uint16]
    nucleus: Plane
    graze_cell: Plane
    graze_nucleus: Plane


class Content(NamedTuple):
    """Organelles and debris as the slice shows them.

    Parameters
    ----------
    depth, along : ndarray
        Depth below the surface of the nearest one and the way along it (nm).
    index : ndarray of int32
        Its row in the three tables that follow, -1 for nothing.
    kind, home, number : ndarray of int32, shape (n,)
        Its kind, the id of its cell (0 for the resin), the id of a mitochondrion.
    """

    depth: Plane
    along: Plane
    index: NDArray[np.int32]
    kind: NDArray[np.int32]
    home: NDArray[np.int32]
    number: NDArray[np.int32]


class Noise(NamedTuple):
    """Planes of smooth noise, named by what they make uneven."""

    rough: Plane
    sheet: Plane
    breaks: Plane
    fine: Plane
    coarse: Plane
    slow: Plane
    flat: Plane
    blob: Plane


class Look(NamedTuple):
    """Numbers that hold for the whole slice.

    Parameters
    ----------
    step, gap, half_band, sheet_nm : float
        Pixel, mean resin between near cells, half the nuclear envelope and mean
        distance of ER sheets (nm).
    resin, contrast : float
        Grey value of resin beside a cell; factor on all that differs from the mean
        grey value of 165.
    """

    step: float
    gap: float
    half_band: float
    sheet_nm: float
    resin: float
    contrast: float


class Truth(NamedTuple):
    """Planes of ids, one for each kind of truth."""

    cell: NDArray[np.uint16]
    nucleus: NDArray[np.uint16]
    envelope: NDArray[np.uint16]
    mitochondria: NDArray[Any]


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
def nucleoplasm(n, v, is_nucleolus, fine, coarse):
    """Grey value in the nucleus: chromatin below the envelope, and nucleoli."""
    g = 147.0 + 2.4 * fine + 1.6 * coarse - 5.0 * bell(n - 50.0, 45.0)
    if is_nucleolus:
        edge = ramp(v + 90.0 * coarse, 0.0, 160.0) * ramp(n, 60.0, 200.0)
        g -= edge * (13.0 + 3.0 * fine)
    return g


@kernel
def cisternae(g, p, slope, amount, coarse, weak, thin):
    """Add sheets of the ER: level sets of noise that bend around the nucleus."""
    u = abs(p - np.round(p)) / max(slope, 0.0012)
    width = 17.0 + 6.0 * coarse
    g -= amount * 52.0 * weak * bell(u - width, thin)
    if u < width:
        g += amount * 8.0
    return g


@kernel
def tubules(g, slope, amount, coarse, weak, thin):
    """Add tubules and vesicles: single membranes in a tangle."""
    u = (coarse - 0.5) / max(slope, 0.004)
    g -= amount * 44.0 * weak * bell(u, thin)
    return g


@kernel
def mitochondrion(v, number, along, sheet, fine, coarse, weak, thin):
    """Grey value in a mitochondrion with its cristae and membranes."""
    g = 129.0 + 3.0 * fine + 3.0 * (number % 7 - 3)
    phase = along / 95.0 + 0.9 * sheet + 0.6 * coarse
    fold = abs(phase - np.round(phase)) * 95.0
    if v > 30.0:
        g += 10.0 - 32.0 * weak * bell(fold, 1.5 * thin)
    g -= 26.0 * weak * bell(v - 9.0, thin)
    return g


@kernel
def small_organelle(g, what, v, breaks, fine, coarse, weak, thin):
    """Grey value in an organelle other than a mitochondrion, on cytoplasm of value g."""
    if what == LYSOSOME:
        g = 96.0 + 9.0 * fine + 8.0 * coarse
    elif what == DROPLET:
        # Part of the rim is osmicated, as a crescent.
        g = 176.0 + 2.0 * fine - 30.0 * weak * bell(v - 8.0, thin)
        g -= 60.0 * ramp(60.0 * breaks - v, -10.0, 20.0) * ramp(breaks, 0.2, 0.6)
    elif what == VESICLE:
        g = 160.0 + 3.0 * fine - 40.0 * weak * bell(v - 8.0, thin)
    elif what == CHROMOSOME:
        # Condensed: no envelope, an uneven edge, no ER inside.
        solid = ramp(v + 40.0 * coarse, 0.0, 60.0)
        g += solid * (112.0 + 4.0 * fine + 3.0 * coarse - g)
    else:
        g -= 26.0 * ramp(v, 0.0, 15.0)
    return g


@kernel
def membranes(g, n, room, meets, graze_nucleus, graze_cell, thin):
    """Add the two membranes of the envelope and the plasma membrane.

    Where cells meet (`meets`), both plasma membranes are seen edge to edge.
    """
    wide = np.sqrt(thin * thin + graze_nucleus * graze_nucleus)
    both = bell(n - 13.0, 1.15 * wide) + bell(n + 15.0, 1.15 * wide)
    g -= 32.0 * (8.0 / wide) * both
    edge = 34.0 if meets else 13.0
    wide = np.sqrt(thin * thin + graze_cell * graze_cell)
    g -= edge * (8.0 / wide) * bell(room - 7.0, wide)
    return g


@kernel
def resin_grey(resin, bare, flat, blob, slow, what, v, fine, coarse, weak, thin):
    """Grey value outside the cells: resin, its dark plates, ghosts and debris."""
    away = ramp(-bare, 50.0, 1200.0)
    far = ramp(-bare, 150.0, 900.0)
    t = flat - 0.8
    plate = ramp(t, -0.1, 0.35)
    g = resin - 7.0 * away + 3.0 * slow
    g -= far * 17.0 * plate
    # Charge gathers along the edge of such a plate and in lone clouds.
    g -= far * 62.0 * ramp(blob, 0.0, 1.6) * bell(t - 0.05, 0.16)
    g -= far * 60.0 * ramp(blob + 0.3 * slow, 1.9, 3.2)
    if what == GHOST:
        g -= 34.0 * weak * bell(v - 8.0, thin) + 16.0 * ramp(fine + coarse, 1.6, 2.4)
    elif what == DEBRIS:
        g = 147.5 + 3.2 * fine - 20.0 * weak * bell(v - 7.0, thin)
    return g


@kernel
def reticulum(g, inner, n, sheet, coarse, q, depth, look, r, c, weak, thin):
    """Add the ER at pixel (r, c) of the inner cytoplasm."""
    rows, cols = depth.shape
    up, down = max(r - 1, 0), min(r + 1, rows - 1)
    left, right = max(c - 1, 0), min(c + 1, cols - 1)
    wx = 1.0 / (max(right - left, 1) * look.step)
    wy = 1.0 / (max(down - up, 1) * look.step)
    p = sheet[r, c] - n / look.sheet_nm
    px = sheet[r, right] - sheet[r, left]
    px -= (depth[r, right] - depth[r, left]) / look.sheet_nm
    py = sheet[down, c] - sheet[up, c]
    py -= (depth[down, c] - depth[up, c]) / look.sheet_nm
    slope = np.sqrt((px * wx) ** 2 + (py * wy) ** 2)
    amount = inner * ramp(q, -0.1, 0.5)
    g = cisternae(g, p, slope, amount, coarse[r, c], weak, thin)
    px = coarse[r, right] - coarse[r, left]
    py = coarse[down, c] - coarse[up, c]
    slope = np.sqrt((px * wx) ** 2 + (py * wy) ** 2)
    amount = inner * ramp(-q, 0.0, 0.6)
    return tubules(g, slope, amount, coarse[r, c], weak, thin)


@kernel
def shade(depths, content, noise, look, grey, truth):
    """Grey value (before noise) and the four truths of every pixel.

    Notes
    -----
    1. Whether the pixel lies in a cell: the resin between two cells is of uneven
       width, half a gap to two gaps.
    2. In a cell: nucleoplasm or cytoplasm with its ER, then an organelle of this
       cell, then the membranes.
    3. Outside: resin with plates, ghosts and debris.
    """
    rows, cols = grey.shape
    # A membrane thinner than a pixel gets wider and weaker by the same factor.
    thin = np.sqrt(64.0 + 0.1 * look.step * look.step)
    weak = 8.0 / thin
    depth, sheets, tangle = depths.nucleus, noise.sheet, noise.coarse
    for r in range(rows):
        for c in range(cols):
            for_cell, for_nucleus, for_envelope, for_mitochondrion = 0, 0, 0, 0
            s1 = depths.s1[r, c]
            between = look.gap * (1.0 + min(max(noise.rough[r, c], -0.5), 1.0))
            room = min(s1, 0.5 * (s1 - depths.s2[r, c] - between))
            n, bare = depth[r, c], depths.bare[r, c]
            fine, coarse, q = noise.fine[r, c], tangle[r, c], noise.breaks[r, c]
            v, at = content.depth[r, c], content.index[r, c]
            what = content.kind[at] if v > 0.0 else -1
            if room > 0.0:
                ident = depths.owner[r, c]
                for_cell = ident
                if abs(n) <= look.half_band:
                    for_envelope = ident
                if n > 0.0:
                    for_nucleus = ident
                    g = nucleoplasm(n, v, what == NUCLEOLUS, fine, coarse)
                else:
                    inner = ramp(bare + 220.0 * q, 200.0, 800.0)
                    g = 147.5 + 3.2 * fine + 1.5 * coarse + inner * (5.0 * coarse - 4.0)
                    if inner > 0.0 and n < -60.0:
                        g = reticulum(g, inner, n, sheets, tangle, q, depth, look, r, c, weak, thin)
                    in_cell = (what >= 0 and what <= DOT) or what == CHROMOSOME
                    if in_cell and n < -60.0 and room > 40.0 and content.home[at] == ident:
                        if what == MITOCHONDRION:
                            for_mitochondrion = content.number[at]
                            way, sheet = content.along[r, c], sheets[r, c]
                            g = mitochondrion(
                                v, for_mitochondrion, way, sheet, fine, coarse, weak, thin
                            )
                        else:
                            g = small_organelle(g, what, v, q, fine, coarse, weak, thin)
                graze = depths.graze_nucleus[r, c], depths.graze_cell[r, c]
                g = membranes(g, n, room, room != s1, graze[0], graze[1], thin)
            else:
                g = resin_grey(
                    look.resin, bare, noise.flat[r, c], noise.blob[r, c], noise.slow[r, c],
                    what, v, fine, coarse, weak, thin,
                )  # fmt: skip
            truth.cell[r, c] = for_cell
            truth.nucleus[r, c] = for_nucleus
            truth.envelope[r, c] = for_envelope
            truth.mitochondria[r, c] = for_mitochondrion
            grey[r, c] = 165.0 + look.contrast * (g - 165.0)
