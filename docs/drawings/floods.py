"""Drawings of distances, floods and disks."""

from __future__ import annotations

from collections import deque
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
    as_mask_image,
    board,
    colours,
    disks,
    frame,
    runs_of,
    show,
    write,
)
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helaseg.image import binary_erosion, binary_opening, distance_transform, watershed


def draw_distance() -> Figure:
    """Columns first, then the lowest parabola of each row, found by halving."""
    width, height, y = 129, 92, 40
    mask = disks((height, width), (44, 34, 30), (40, 84, 36), (66, 60, 22)) & ~disks(
        (height, width), (30, 60, 5), (52, 92, 6)
    )
    columns = np.concatenate([distance_transform(mask[:, x : x + 1]) for x in range(width)], axis=1)
    heights = columns[y].astype(float) ** 2
    x = np.arange(width)
    costs = heights[:, None] + (x[:, None] - x) ** 2
    best = costs.argmin(axis=0)
    envelope = costs.min(axis=0)
    np.testing.assert_allclose(np.sqrt(envelope), distance_transform(mask)[y], rtol=1e-6)
    figure, (first, second, third) = board(
        ("Columns", "Rows to the background, up or\ndown, counted for many columns."),
        (
            "Each row: lowest parabola",
            "Each column opens a parabola at its\nsquared count; the lowest is the answer.",
        ),
        ("Halving finds it", "The best column never moves\nleft: only the boxes are tried."),
        widths=(1, 1.05, 0.95),
    )
    show(first, as_mask_image(mask), grid=None)
    first.hlines(y + 0.5, 0, width, color=RED, lw=1.4, zorder=4)
    for column in range(4, width, 8):
        d = columns[y, column]
        if d:
            up = y - d >= 0 and not mask[int(y - d), column]
            arrow(
                first,
                (column + 0.5, y + 0.5),
                (column + 0.5, (y - d if up else y + d) + 0.5),
                BLUE,
                mutation_scale=6,
            )
    top = envelope.max() * 1.7
    for column in range(0, width, 4):
        seen = costs[column] <= top
        second.plot(x[seen][::2], costs[column][seen][::2], color=LIGHT_BLUE, lw=0.7)
    second.plot(x, envelope, color=RED, lw=1.8)
    second.hlines(0, 0, width - 1, color=GREY, lw=0.6)
    second.set_xlim(-2, width + 1)
    second.set_ylim(-0.03 * top, top)

    places = [0, 32, 64, 96, 128]
    turns = {0: 1, 128: 2, 64: 3, 32: 4, 96: 5}
    for start, stop in pairwise(places):
        frame(
            third,
            start,
            best[start],
            stop - start,
            max(best[stop] - best[start], 1),
            GREY,
            fill=True,
            facecolor=PALE,
            linewidth=0.8,
            zorder=1,
        )
    third.plot(x, best, color=BLUE, lw=1.4, zorder=3)
    third.plot(places, best[places], "o", color=RED, ms=4.5, zorder=5)
    for place in places:
        write(third, place - 5, best[place] + 9, turns[place], RED, weight="bold")
    third.set_xlim(-26, width + 8)
    third.set_ylim(-20, width + 14)
    write(third, 64, -13, "pixel, every 32nd first")
    write(third, -21, 66, "its best column", rotation=90)
    return figure


def flood(
    levels: NDArray[np.int64], markers: NDArray[np.int64], mask: NDArray[np.bool_], n_turns: int
) -> tuple[NDArray[np.int64], list[deque]]:
    """Labels and waiting pixels after some turns of the watershed, all of them for -1."""
    labels = np.where(mask, markers, 0)
    queues: list[deque] = [deque() for _ in range(levels.max() + 1)]
    for y, x in np.argwhere(labels):
        queues[levels[y, x]].append((y, x))
    turn = 0
    while any(queues) and turn != n_turns:
        level = next(i for i, queue in enumerate(queues) if queue)
        y, x = queues[level].popleft()
        for b, a in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
            if (
                0 <= b < mask.shape[0]
                and 0 <= a < mask.shape[1]
                and mask[b, a]
                and not labels[b, a]
            ):
                labels[b, a] = labels[y, x]
                queues[max(level, levels[b, a])].append((b, a))
        turn += 1
    return labels, queues


def draw_watershed() -> Figure:
    """Integer levels, one queue for each, lowest level first."""
    mask = disks((10, 14), (4.5, 4.4, 3.9), (5, 9.4, 3.4))
    distance = distance_transform(mask)
    levels = np.zeros(mask.shape, np.int64)
    levels[mask] = np.unique(-distance[mask], return_inverse=True)[1]
    markers = np.zeros(mask.shape, np.int64)
    for number, half in ((1, np.s_[:, :7]), (2, np.s_[:, 7:])):
        place = np.unravel_index(distance[half].argmax(), distance[half].shape)
        markers[half][place] = number
    n_turns = 20
    labels, queues = flood(levels, markers, mask, n_turns)
    finished, _ = flood(levels, markers, mask, -1)
    np.testing.assert_array_equal(finished, watershed(levels, markers, mask=mask))
    figure, (first, second, third) = board(
        (
            f"Whole levels, {n_turns} turns done",
            "From two marked pixels on, low\nlevels first; taken ones have a label.",
        ),
        (
            "A queue for each level",
            "The first of the lowest level is next;\nits free neighbours join at the end.",
        ),
        ("Labels", "Each pixel has been queued\nonce; no heap was sorted."),
        widths=(1, 1, 1),
    )
    paint = {0: PALE, 1: LIGHT_BLUE, 2: LIGHT_RED, 3: WHITE}
    dark = {1: BLUE, 2: RED}
    for ax, names in ((first, labels), (third, finished)):
        show(ax, colours(np.where(mask & (names == 0), 3, names), paint), grid=GREY)
        for y, x in np.argwhere(markers):
            frame(ax, x, y, 1, 1, dark[markers[y, x]])
    for y, x in np.argwhere(mask):
        write(first, x + 0.5, y + 0.54, levels[y, x])
    following = next(queue[0] for queue in queues if queue)
    frame(first, following[1], following[0], 1, 1, INK)

    longest = max(len(queue) for queue in queues)
    second.set_xlim(-2.6, longest + 3)
    second.set_ylim(len(queues) + 0.1, -1.2)
    write(second, -1.2, -0.7, "level")
    for level, queue in enumerate(queues):
        write(second, -1.2, level + 0.54, level)
        second.hlines(level + 1, 0, longest + 2.6, color=PALE, lw=0.8, zorder=0)
        for k, (y, x) in enumerate(queue):
            box = {"fill": True, "facecolor": paint[labels[y, x]], "linewidth": 0.8}
            frame(second, k + 0.1, level + 0.12, 0.8, 0.76, dark[labels[y, x]], **box)
        if len(queue) == longest:
            arrow(second, (longest + 2.4, level + 0.5), (longest + 0.2, level + 0.5), GREY)
        if queue and queue[0] == following:
            frame(second, 0, level + 0.03, 1, 0.94, INK, zorder=7)
            write(second, 0.1, level - 0.5, "next", ha="left")
    return figure


def draw_opening() -> Figure:
    """Vertical distance, a cone for each column, their running maximum."""
    height, width, radius, y = 40, 52, 6, 17
    mask = disks((height, width), (18, 15, 12), (22, 38, 10)) | (
        np.abs(np.indices((height, width))[0] - 19) < 4
    )
    mask[26:36, 44:46] = True
    mask[2:12, 27:29] = True
    opened = binary_opening(mask, radius_px=radius)
    eroded = binary_erosion(mask, radius_px=radius)
    vertical = np.concatenate(
        [distance_transform(mask[:, x : x + 1]) for x in range(width)], axis=1
    )[y]
    reach = np.where(
        vertical <= radius, np.floor(np.sqrt(np.maximum(radius**2 - vertical**2, 0))) + 1, 0
    ).astype(int)
    stages = [reach]
    step = 1
    while step <= radius:
        padded = np.pad(stages[-1], step)
        wider = np.maximum(padded[: -2 * step], padded[2 * step :]) - step
        stages.append(np.maximum(stages[-1], wider))
        step *= 2
    np.testing.assert_array_equal(stages[-1] == 0, eroded[y])
    figure, (first, second, third) = board(
        ("Columns: how far?", "Rows to the background, up or\ndown, at most the radius (grey)."),
        (
            "Row: how wide is the disk?",
            "Half-widths (blue) come from a table and\nspread in steps of 1, 2, 4 (red).",
        ),
        ("Erode, then dilate", "The same twice. What no disk\nfits into (red) is gone."),
        widths=(1, 1.2, 0.95),
    )
    show(first, as_mask_image(mask), grid=None)
    first.hlines(y + 0.5, 0, width, color=RED, lw=1.4, zorder=4)
    for column in range(1, width, 3):
        d = int(min(vertical[column], radius))
        if d:
            up = not mask[y - d, column]
            arrow(
                first,
                (column + 0.5, y + 0.5),
                (column + 0.5, (y - d if up else y + d) + 0.5),
                BLUE if vertical[column] <= radius else GREY,
                mutation_scale=5,
            )
    x = np.arange(width)
    second.bar(x, stages[0], width=0.8, color=BLUE, zorder=3)
    second.fill_between(x, stages[-1], step="mid", color=LIGHT_RED, lw=0, zorder=1)
    second.step(x, stages[-1], where="mid", color=RED, lw=1.4, zorder=2)
    second.set_xlim(-1, width)
    second.set_ylim(-2.4, radius + 2.6)
    kept = np.flatnonzero(eroded[y])
    second.hlines(0, -0.5, width - 0.5, color=GREY, lw=0.6)
    for _, start, stop in runs_of(eroded[y : y + 1]):
        second.hlines(-0.7, start - 0.5, stop - 0.5, color=BLUE, lw=3)
    write(second, kept.mean(), -1.75, "stays after erosion")
    lost = mask & ~opened
    show(third, colours(lost * 2 + opened, {0: PALE, 1: LIGHT_BLUE, 2: RED}), grid=None)
    return figure
