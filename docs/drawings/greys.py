"""Drawings of the kernels that read grey values."""

from __future__ import annotations

import numpy as np
from board import (
    BLUE,
    GREY,
    INK,
    LIGHT_BLUE,
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
from matplotlib.figure import Figure

from helaseg.image import canny, gaussian, gradient_magnitude, otsu_threshold


def draw_otsu() -> Figure:
    """Pairs of neighbours, the table that counts them, and the threshold."""
    rng = np.random.default_rng(3)
    cell = disks((100, 120), (50, 60, 40))
    grey = np.where(cell, 104, 166) + rng.normal(0, 60, cell.shape)
    image = gaussian(grey.clip(0, 255).astype(np.uint8), sigma_px=1.2).astype(np.uint8)
    stretch = image[50, 20:28]
    pairs = image.reshape(-1, 2)
    table = np.zeros((256, 256))
    np.add.at(table, (pairs[:, 0], pairs[:, 1]), 1)
    figure, (first, second, third) = board(
        ("Pairs of pixels", "One count serves two neighbours:\nhalf as many loads and stores."),
        ("One table of pairs", "Neighbours are alike: few of its\n256 x 256 counters are in use."),
        (
            "Parted into one histogram",
            "The threshold leaves the largest\nvariance between dark and bright.",
        ),
        widths=(1.1, 0.9, 1.0),
    )

    first.set_xlim(-0.1, 8.1)
    first.set_ylim(6.1, -0.9)
    write(first, 4, -0.5, "grey levels in the order of memory")
    for k, value in enumerate(stretch):
        colour = BLUE if k // 2 % 2 == 0 else RED
        frame(first, k, 0, 1, 1, WHITE, fill=True, facecolor=colour, linewidth=1.5, zorder=1)
        write(first, k + 0.5, 0.53, value, WHITE)
    for k in range(0, 8, 2):
        colour = BLUE if k // 2 % 2 == 0 else RED
        arrow(first, (k + 1, 1.1), (k + 1, 3.9), colour)
        frame(first, k + 0.1, 4.0, 1.8, 1.3, colour, linewidth=1.3)
        write(first, k + 1, 4.68, f"{stretch[k]},{stretch[k + 1]}")

    part = table[60:210, 60:210].reshape(75, 2, 75, 2).sum(axis=(1, 3))
    second.imshow(shades(np.minimum(part, 8), BLUE), extent=(60, 210, 210, 60))
    second.set_xlim(56, 214)
    second.set_ylim(232, 56)
    write(second, 135, 222, "second grey level")
    second.text(48, 135, "first grey level", rotation=90, ha="center", va="center", fontsize=8)

    total = table.sum(axis=0) + table.sum(axis=1)
    levels = np.arange(50, 220, 2)  # drawn two by two
    threshold = int(otsu_threshold(image))
    counts = (total[levels] + total[levels + 1]) / 2
    top = counts.max()
    for side, colour in ((levels <= threshold, BLUE), (levels > threshold, RED)):
        third.fill_between(levels[side], counts[side], step="mid", color=colour, lw=0)
    share = np.cumsum(total) / total.sum()
    mean = np.cumsum(total * np.arange(256)) / total.sum()
    spread = (mean[-1] * share - mean) ** 2 / np.maximum(share * (1 - share), 1e-12)
    third.plot(levels, spread[levels] / spread.max() * top * 0.98, color=INK, lw=1)
    third.vlines(threshold, 0, top * 1.05, color=INK, lw=1, ls="--")
    write(third, threshold, top * 1.14, f"threshold {threshold}")
    write(third, 70, top * 0.84, "variance\nbetween")
    third.hlines(0, 50, 220, color=GREY, lw=0.6)
    third.set_xlim(48, 222)
    third.set_ylim(-0.02 * top, top * 1.2)
    return figure


def draw_gaussian() -> Figure:
    """Rows summed into one buffer, the buffer summed along itself."""
    rng = np.random.default_rng(1)
    height, width, r, y, x = 17, 20, 3, 8, 9
    image = np.where(disks((height, width), (8, 10, 5.6)), 70, 190)
    image = (image + rng.normal(0, 30, image.shape)).clip(0, 255).astype(np.uint8)
    blurred = gaussian(image, sigma_px=2, radius_px=r)
    summed = gaussian(image, sigma_px=(2, 0), radius_px=(r, 0))[y]
    weights = np.exp(-0.5 * (np.arange(-r, r + 1) / 2) ** 2)
    figure, (first, second, third) = board(
        ("Add rows", "2 r + 1 rows with their weights,\nmany columns at once."),
        (
            "Add along the row",
            "One row of sums, in the fastest cache,\nwith r pixels more on either side.",
        ),
        ("Write once", "No blurred-in-y image is\never stored in between."),
        widths=(0.95, 1.25, 0.8),
    )
    show(first, shades(-image.astype(float)))
    frame(first, 0, y - r, width, 2 * r + 1)
    for k, weight in enumerate(weights):
        frame(
            first,
            width + 0.6,
            y - r + k + 0.15,
            4 * weight,
            0.7,
            RED,
            fill=True,
            facecolor=RED,
            lw=0,
        )
    first.set_xlim(-0.2, width + 6)
    write(first, width + 0.5, y - r - 1.1, "weights", ha="left")

    extended = np.pad(summed, r, mode="symmetric")
    show(second, shades(-extended)[None], at=(-r, 0))
    for left in (-r, width):
        frame(second, left, 0, r, 1, BLUE, hatch="//////", linewidth=0.8)
    write(second, -r, -1.4, "mirror", BLUE, ha="left")
    write(second, width + r, -1.4, "mirror", BLUE, ha="right")
    frame(second, x - r, -0.15, 2 * r + 1, 1.3)
    for k, weight in enumerate(weights):
        frame(second, x - r + k + 0.15, 1.5, 0.7, 3 * weight, RED, fill=True, facecolor=RED, lw=0)
    second.set_xlim(-r - 0.2, width + r + 0.2)
    second.set_ylim(9.5, -7)
    write(second, width / 2, -1.4, "row buffer")
    arrow(second, (x + 0.5, 4.9), (x + 0.5, 6.6), RED)
    write(second, x + 0.5, 7.5, "one pixel of the result")

    done = shades(-blurred)
    done[y + 1 :] = 1
    done[y, x + 1 :] = 1
    show(third, done, grid=PALE)
    frame(third, x, y, 1, 1)
    return figure


def draw_canny() -> Figure:
    """One sweep from the image to marks, then weak pixels linked with strong ones."""
    rng = np.random.default_rng(4)
    height = width = 40
    shape = disks((height, width), (19, 18, 12)) & ~disks((height, width), (15, 22, 4))
    image = np.where(shape, 90.0, 180.0)
    image[:, 24:] += np.linspace(0, -62, 16) * (image[:, 24:] > 150)
    image = (image + rng.normal(0, 8, image.shape)).clip(0, 255).astype(np.uint8)
    low, high, y = 4.0, 15.0, 23
    blurred = gaussian(image, sigma_px=1.5)
    gradient = gradient_magnitude(image, sigma_px=1.5)
    marks = canny(image, sigma_px=1.5, low=low, high=low).astype(int)
    marks += canny(image, sigma_px=1.5, low=high, high=high)
    edges = canny(image, sigma_px=1.5, low=low, high=high)
    figure, axes = board(
        ("Blur", "A few rows are held,\nnever the image."),
        ("Gradient", "Three rows are held to\ncompare neighbours."),
        ("Keep ridges", "Each pixel: nothing, weak\n(blue) or strong (red)."),
        ("Link", "Weak joined to strong\nstays (red), the rest goes."),
        widths=(1, 1, 1, 1),
    )
    tables = {0: PALE, 1: BLUE, 2: RED}
    sweep = [
        (shades(-blurred), 5, y - 2),
        (shades(gradient, BLUE), 3, y - 1),
        (colours(marks, tables), 1, y),
    ]
    for ax, (picture, rows, top) in zip(axes, sweep, strict=False):
        faded = picture.copy()
        faded[:top] = 0.55 * picture[:top] + 0.45
        faded[top + rows :] = 1
        if rows == 1:
            faded[: top + 1] = picture[: top + 1]
        show(ax, faded, grid=None)
        frame(ax, 0, 0, width, height, GREY, linewidth=0.8)
        frame(ax, 0, top, width, rows)
        arrow(ax, (width / 2, y + 6), (width / 2, y + 13), RED, linewidth=1.6, mutation_scale=11)
    linked = np.where(edges, 2, np.where(marks > 0, 1, 0))
    show(axes[3], colours(linked, {0: PALE, 1: LIGHT_BLUE, 2: RED}), grid=None)
    frame(axes[3], 0, 0, width, height, GREY, linewidth=0.8)
    return figure
