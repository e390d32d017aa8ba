"""Drawings of the kernels that work on runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from board import (
    BLUE,
    INK,
    LIGHT_BLUE,
    LIGHT_RED,
    PALE,
    RED,
    WHITE,
    as_mask_image,
    board,
    colours,
    frame,
    runs_of,
    show,
    write,
)
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helaseg.image import fill_holes, label


def touching(runs: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Pairs of runs in neighbouring rows that share a column."""
    return [
        (i, j)
        for j, (y, start, stop) in enumerate(runs)
        for i, (other_y, other_start, other_stop) in enumerate(runs)
        if other_y == y - 1 and other_start < stop and start < other_stop
    ]


def small_mask() -> NDArray[np.bool_]:
    """Three components in a few rows; one comes together only at the bottom."""
    rows = (
        ".##...##....",
        ".###...#..##",
        "..##..##...#",
        "..##.##...##",
        "...###......",
        "........##..",
        ".###..######",
        "..##..##..##",
        "......##..##",
    )
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def draw_components() -> Figure:
    """Runs, their union, numbers."""
    mask = small_mask()
    runs = runs_of(mask)
    labels, n = label(mask, return_count=True)
    figure, (first, second, third) = board(
        ("Rows become runs", "A row is a row of bits; where a run\nbegins is found in 64 at once."),
        ("Touching runs unite", "Two runs that share a column join;\nthe earlier one is the root."),
        ("Numbers are painted", "Roots are numbered in order,\nruns are written as a whole."),
        widths=(1, 1, 1),
    )
    show(first, as_mask_image(mask))
    for y, start, stop in runs:
        first.plot([start + 0.35, stop - 0.35], [y + 0.5] * 2, color=BLUE, lw=3, zorder=4)
    show(second, colours(mask.astype(int), {0: PALE, 1: PALE}))
    roots = {
        int(v): i for i, v in reversed([(i, labels[y, a]) for i, (y, a, _) in enumerate(runs)])
    }
    for i, (y, start, stop) in enumerate(runs):
        root = i in roots.values()
        frame(
            second,
            start + 0.08,
            y + 0.14,
            stop - start - 0.16,
            0.72,
            BLUE,
            fill=True,
            facecolor=BLUE if root else LIGHT_BLUE,
            linewidth=0.8,
            zorder=3,
        )
        write(second, (start + stop) / 2, y + 0.54, i + 1, WHITE if root else INK)
    for i, j in touching(runs):
        shared = (max(runs[i][1], runs[j][1]) + min(runs[i][2], runs[j][2])) / 2
        second.plot(
            [shared] * 2, [runs[j][0] - 0.17, runs[j][0] + 0.17], color=RED, lw=2.8, zorder=5
        )
    tones = {0: PALE, 1: BLUE, 2: LIGHT_BLUE, 3: RED, 4: LIGHT_RED}
    assert n < len(tones)
    show(third, colours(labels, tones))
    for i in roots.values():
        y, start, stop = runs[i]
        value = labels[y, start]
        write(third, start + 0.5, y + 0.54, value, WHITE if value % 2 else INK)
    return figure


def draw_fill_holes() -> Figure:
    """Background runs that do not hang together with the border are painted."""
    rows = (
        "............",
        ".#####..###.",
        "##...##.#.##",
        "#..#..#..#.#",
        "#.###.#.##..",
        "#..#..#.#.##",
        "##...##.#..#",
        ".#####..####",
        "............",
    )
    mask = np.array([[pixel == "#" for pixel in row] for row in rows])
    filled = fill_holes(mask)
    runs = runs_of(~mask)
    figure, (first, second, third) = board(
        ("Mask", "Background with no path out\nover pixel sides is a hole."),
        (
            "Runs of background",
            "Those at the border are outside from\nthe start, and all that joins them.",
        ),
        ("Only holes are painted", "Runs of holes (red) are written;\nnothing else is touched."),
        widths=(1, 1, 1),
    )
    paint = {0: WHITE, 1: LIGHT_BLUE, 2: RED}
    show(first, colours(mask.astype(int), paint), grid=PALE)
    show(second, colours(mask.astype(int), {0: WHITE, 1: PALE}), grid=PALE)
    for y, start, stop in runs:
        hole = filled[y, start]
        second.plot(
            [start + 0.3, stop - 0.3], [y + 0.5] * 2, color=RED if hole else BLUE, lw=3, zorder=4
        )
    for i, j in touching(runs):
        shared = (max(runs[i][1], runs[j][1]) + min(runs[i][2], runs[j][2])) / 2
        hole = filled[runs[i][0], runs[i][1]]
        second.plot(
            [shared] * 2,
            [runs[i][0] + 0.5, runs[j][0] + 0.5],
            color=RED if hole else BLUE,
            lw=1,
            zorder=4,
        )
    show(third, colours(filled * 2 - mask, paint), grid=PALE)
    return figure
