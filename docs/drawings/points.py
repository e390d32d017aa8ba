"""Drawings of peaks, surface voxels and pairs of labels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from board import (
    BLUE,
    GREY,
    INK,
    LIGHT_BLUE,
    LIGHT_RED,
    PALE,
    RED,
    WHITE,
    arrow,
    board,
    colours,
    disks,
    frame,
    shades,
    show,
    write,
)
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from helaseg.image import gaussian
from helaseg.metrics.contingency import contingency_table


def draw_peaks() -> Figure:
    """Candidates, a window tested against block maxima, the peaks that are kept."""
    rng = np.random.default_rng(1)
    size, block, radius = 96, 16, 20
    image = gaussian(rng.normal(0, 1, (2 * size, 2 * size)).astype(np.float32), sigma_px=4)
    image = image[48 : 48 + size, 48 : 48 + size]
    padded = np.pad(image, 1, constant_values=np.inf)
    around = np.max(
        [
            padded[1 + dy : size + 1 + dy, 1 + dx : size + 1 + dx]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        ],
        axis=0,
    )
    places = [tuple(p) for p in np.argwhere((image == around) & (image > 0))]
    places.sort(key=lambda p: -image[p])

    def window(y: int, x: int) -> tuple[slice, slice]:
        return (
            slice(max(y - radius, 0), min(y + radius + 1, size)),
            slice(max(x - radius, 0), min(x + radius + 1, size)),
        )

    peaks = [p for p in places if image[p] == image[window(*p)].max()]
    figure, (first, second, third) = board(
        ("Candidates", "Pixels that no neighbour in\n3 x 3 exceeds, many at once."),
        (
            "Window: blocks first",
            "The largest value of a block is known:\nonly higher blocks (dashed) are read.",
        ),
        ("Highest first", "Kept (red), each with the window\nin which it is the highest."),
        widths=(1, 1, 1),
    )
    picture = shades(image, BLUE)
    faded = 0.5 * picture + 0.5
    show(first, faded, grid=None)
    first.plot(*(np.array(places).T[::-1] + 0.5), "o", color=INK, ms=2.6)

    blocks = image.reshape(size // block, block, size // block, block).max(axis=(1, 3))

    def higher_blocks(place: tuple[int, int]) -> list[tuple[int, int]]:
        rows, cols = window(*place)
        met = np.zeros(image.shape, bool)
        met[rows, cols] = True
        met = met.reshape(size // block, block, size // block, block).any(axis=(1, 3))
        return [(int(y), int(x)) for y, x in np.argwhere(met & (blocks > image[place]))]

    inner = [p for p in peaks if all(radius < k < size - radius for k in p)]
    chosen = max(inner, key=lambda p: len(higher_blocks(p)))
    show(second, 0.6 * shades(blocks.repeat(block, 0).repeat(block, 1), BLUE) + 0.4, grid=None)
    for k in range(0, size + 1, block):
        second.plot([k, k], [0, size], color=WHITE, lw=1)
        second.plot([0, size], [k, k], color=WHITE, lw=1)
    for y, x in higher_blocks(chosen):
        frame(second, block * x + 1, block * y + 1, block - 2, block - 2, INK, ls="--", lw=1.2)
    rows, cols = window(*chosen)
    frame(
        second,
        cols.start,
        rows.start,
        cols.stop - cols.start,
        rows.stop - rows.start,
        RED,
        zorder=6,
    )
    second.plot(chosen[1] + 0.5, chosen[0] + 0.5, "o", color=RED, ms=4)
    show(third, faded, grid=None)
    for place in places:
        if place in peaks:
            rows, cols = window(*place)
            frame(
                third,
                cols.start,
                rows.start,
                cols.stop - cols.start,
                rows.stop - rows.start,
                RED,
                linewidth=0.9,
            )
            third.plot(place[1] + 0.5, place[0] + 0.5, "o", color=RED, ms=4)
        else:
            third.plot(place[1] + 0.5, place[0] + 0.5, "o", color=GREY, ms=2.6)
    return figure


def morton(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places along a curve that keeps neighbours together: the bits of y and x in turn."""
    key = np.zeros(len(points), np.int64)
    for bit in range(8):
        key |= (points[:, 0] >> bit & 1) << (2 * bit + 1) | (points[:, 1] >> bit & 1) << (2 * bit)
    return key


def draw_hausdorff() -> Figure:
    """Surfaces alone, boxes around a few of their voxels, search within a bound."""
    shape, fan = (52, 68), 4
    truth = disks(shape, (25, 22, 19), (28, 40, 18))
    found = disks(shape, (24, 27, 18), (27, 45, 19), (8, 38, 5))
    surfaces = []
    for mask in (truth, found):
        near = np.pad(mask, 1)
        inner = near[:-2, 1:-1] & near[2:, 1:-1] & near[1:-1, :-2] & near[1:-1, 2:]
        surfaces.append(np.argwhere(mask & ~inner))
    sources, targets = surfaces
    targets = targets[np.argsort(morton(targets), kind="stable")]
    figure, (first, second, third) = board(
        ("Surfaces only", "Voxels with a neighbour outside;\nall others are passed over."),
        (
            "Boxes around neighbours",
            "Sorted along a curve that keeps\nneighbours together, then boxed.",
        ),
        (
            "Search within a bound",
            "The last answer bounds the next\nsearch: few boxes reach into it.",
        ),
        widths=(1, 1, 1),
    )
    blank = np.ones((*shape, 3))
    marked = blank.copy()
    marked[truth & found] = to_rgb(PALE)
    marked[truth ^ found] = to_rgb(PALE)
    marked[tuple(targets.T)] = to_rgb(RED)
    marked[tuple(sources.T)] = to_rgb(BLUE)
    show(first, marked, grid=None)
    leaves = [targets[i : i + fan] for i in range(0, len(targets), fan)]
    boxes = [(*leaf.min(axis=0), *(leaf.max(axis=0) + 1)) for leaf in leaves]
    only = blank.copy()
    only[tuple(targets.T)] = to_rgb(LIGHT_RED)
    show(second, only, grid=None)
    for top, left, bottom, right in boxes:
        frame(second, left, top, right - left, bottom - top, RED, linewidth=0.9)

    write(first, 33, 23, "truth", BLUE)
    write(first, 33, 31, "prediction", RED)
    source = sources[np.argmin(np.abs(sources - (35, 6)).sum(axis=1))]
    before = sources[np.argmin(np.abs(sources - (33, 5)).sum(axis=1))]
    guess = targets[np.argmin(((targets - before) ** 2).sum(axis=1))]
    bound = float(np.hypot(*(guess - source)))
    answer = targets[np.argmin(((targets - source) ** 2).sum(axis=1))]
    only[tuple(sources.T)] = to_rgb(LIGHT_BLUE)
    show(third, only, grid=None)
    for top, left, bottom, right in boxes:
        gap_y = max(top - source[0], source[0] - (bottom - 1), 0)
        gap_x = max(left - source[1], source[1] - (right - 1), 0)
        near = np.hypot(gap_y, gap_x) < bound
        frame(
            third,
            left,
            top,
            right - left,
            bottom - top,
            RED if near else GREY,
            linewidth=1.4 if near else 0.7,
        )
    third.set_xlim(0, 34)
    third.set_ylim(50, 24)
    y, x = source + 0.5
    third.add_patch(Circle((x, y), bound, fill=False, edgecolor=BLUE, ls="--", lw=1.1, zorder=6))
    third.plot(x, y, "o", color=BLUE, ms=3.5, zorder=7)
    arrow(third, (x, y), (answer[1] + 0.5, answer[0] + 0.5), INK, zorder=8, mutation_scale=6)
    return figure


def draw_contingency() -> Figure:
    """Blocks of voxels of one pair, runs where it changes, a table of pairs."""
    y, x = np.indices((6, 32))
    truth = np.where((x - 5) ** 2 / 170 + (y - 2.5) ** 2 / 9 < 1, 3, 0)
    truth = np.where((x - 26) ** 2 / 18 + (y - 2.5) ** 2 / 9 < 1, 5, truth)
    found = np.where((x - 5) ** 2 / 230 + (y - 2.5) ** 2 / 9 < 1, 7, 0)
    found = np.where((x - 27) ** 2 / 18 + (y - 2.5) ** 2 / 9 < 1, 9, found)
    table = contingency_table(truth, found).to_frame()
    row, block = 2, 16
    figure, (first, second, third) = board(
        ("Two images of labels", "Truth above, prediction below;\none row of both is followed."),
        (
            "Blocks of voxels",
            "A block that is all like the pair at hand takes one\n"
            "comparison; else each run of a pair counts once.",
        ),
        ("Table of pairs", "Only pairs that occur\ntake any room."),
        widths=(0.95, 1.4, 0.65),
    )
    paint = {0: PALE, 3: LIGHT_BLUE, 5: BLUE, 7: LIGHT_RED, 9: RED}
    ink = {5: WHITE, 9: WHITE}
    show(first, colours(truth, paint))
    show(first, colours(found, paint), at=(0, 8))
    first.set_xlim(-0.2, 32.2)
    first.set_ylim(14.4, -0.4)
    for top in (row, row + 8):
        for start in (0, block):
            frame(first, start, top, block, 1, INK, linewidth=1.2)

    for k, top in enumerate((0, 4.7)):
        part = np.s_[row, k * block : (k + 1) * block]
        pair = np.stack([truth[part], found[part]])
        show(second, colours(pair, paint), at=(0, top))
        for (line, column), value in np.ndenumerate(pair):
            write(second, column + 0.5, top + line + 0.54, value, ink.get(value, INK))
        changes = np.flatnonzero((pair[:, 1:] != pair[:, :-1]).any(axis=0)) + 1
        edges = [0, *map(int, changes), block]
        for start, stop in pairwise(edges):
            frame(second, start + 0.06, top + 0.03, stop - start - 0.12, 1.94, INK, linewidth=1.2)
            write(second, (start + stop) / 2, top + 2.6, f"+{stop - start}")
    second.set_xlim(-0.2, block + 0.2)
    second.set_ylim(7.8, -0.6)

    third.set_xlim(0, 3)
    third.set_ylim(8.6, -0.4)
    for column, name in enumerate(("truth", "pred.", "voxels")):
        write(third, column + 0.5, 0.4, name)
    third.hlines(1, 0, 3, color=INK, lw=0.8)
    for line, (a, b, n) in enumerate(table.to_numpy()):
        for column, (value, colour) in enumerate(((a, paint[a]), (b, paint[b]), (n, WHITE))):
            place = (column + 0.08, line + 1.15, 0.84, 0.82)
            frame(third, *place, WHITE, fill=True, facecolor=colour, linewidth=0, zorder=1)
            write(
                third, column + 0.5, line + 1.6, value, ink.get(value, INK) if column < 2 else INK
            )
    return figure
