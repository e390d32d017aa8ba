"""The sheet that every drawing is made on: panels, colours, arrows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from numpy.typing import NDArray

SIZE_INCHES = (7.0, 2.6)

INK = "#222222"
GREY = "#9A9A9A"
PALE = "#E6E6E6"
WHITE = "#FFFFFF"
# Blue and vermilion of M. Okabe and K. Ito: apart for every kind of colour vision.
BLUE = "#0072B2"
LIGHT_BLUE = "#A9CFE6"
RED = "#D55E00"
LIGHT_RED = "#F6C9A6"

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "helaseg",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 8,
    "text.color": INK,
    "path.simplify": False,
}


def board(*panels: tuple[str, str], widths: Sequence[float], flow: bool = True) -> tuple:
    """A figure with a title above and a note below each panel, and arrows in between."""
    figure = Figure(figsize=SIZE_INCHES, facecolor=WHITE)
    side, gap = 0.02, 0.055
    unit = (1 - 2 * side - gap * (len(widths) - 1)) / sum(widths)
    axes, left = [], side
    for i, ((title, note), width) in enumerate(zip(panels, widths, strict=True)):
        ax = figure.add_axes((left, 0.22, unit * width, 0.64))
        ax.set_axis_off()
        figure.text(left, 0.92, f"{i + 1}  {title}", weight="bold", size=8.5)
        figure.text(left, 0.165, note, va="top", linespacing=1.25)
        axes.append(ax)
        left += unit * width + gap
        if flow and i + 1 < len(widths):
            middle = left - gap / 2
            figure.add_artist(
                FancyArrowPatch(
                    (middle - 0.019, 0.54),
                    (middle + 0.019, 0.54),
                    arrowstyle="-|>",
                    mutation_scale=11,
                    color=INK,
                    linewidth=1.4,
                )
            )
    return figure, axes


def colours(array: NDArray, table: dict[int, str]) -> NDArray[np.float64]:
    """An image in colours, one for each value of an array of integers."""
    image = np.ones((*array.shape, 3))
    for value, colour in table.items():
        image[array == value] = to_rgb(colour)
    return image


def shades(array: NDArray, dark: str = INK, light: str = "#F2F2F2") -> NDArray[np.float64]:
    """An image in shades between two colours; high values are dark."""
    low, high = float(array.min()), float(array.max())
    share = np.round((array - low) / (high - low) * 31)[..., None] / 31
    return (1 - share) * np.array(to_rgb(light)) + share * np.array(to_rgb(dark))


def show(
    ax: Axes,
    image: NDArray[np.float64],
    *,
    at: tuple[float, float] = (0, 0),
    grid: str | None = WHITE,
    margin: float = 0.1,
) -> None:
    """Draw an image whose pixel y, x covers the square from (x, y) to (x + 1, y + 1)."""
    height, width = image.shape[:2]
    left, top = at
    # Viewers that smooth what they enlarge find little to smooth.
    factor = 8 if max(height, width) <= 64 else 4
    large = image.repeat(factor, axis=0).repeat(factor, axis=1)
    ax.imshow(large, extent=(left, left + width, top + height, top), interpolation="none", zorder=1)
    if grid is not None:
        ax.vlines(np.arange(width + 1) + left, top, top + height, color=grid, lw=0.6, zorder=2)
        ax.hlines(np.arange(height + 1) + top, left, left + width, color=grid, lw=0.6, zorder=2)
    ax.set_aspect("equal")
    ax.set_xlim(left - margin, left + width + margin)
    ax.set_ylim(top + height + margin, top - margin)


def frame(
    ax: Axes, x: float, y: float, width: float, height: float, colour: str = RED, **more: object
) -> None:
    """Outline a rectangle."""
    style: dict = {"fill": False, "edgecolor": colour, "linewidth": 1.6, "zorder": 5} | more
    ax.add_patch(Rectangle((x, y), width, height, **style))


def write(ax: Axes, x: float, y: float, text: object, colour: str = INK, **more: object) -> None:
    """Text around a point."""
    style: dict = {"ha": "center", "va": "center", "color": colour, "zorder": 6} | more
    ax.text(x, y, str(text), **style)


def arrow(
    ax: Axes, start: tuple[float, float], stop: tuple[float, float], colour: str = INK, **more
) -> None:
    """An arrow in the coordinates of the panel."""
    style: dict = {"arrowstyle": "-|>", "mutation_scale": 8, "linewidth": 1, "zorder": 4} | more
    ax.add_patch(FancyArrowPatch(start, stop, color=colour, shrinkA=0, shrinkB=0, **style))


def disks(shape: tuple[int, int], *places: tuple[float, float, float]) -> NDArray[np.bool_]:
    """A mask of disks, each given by y, x and radius."""
    y, x = np.indices(shape)
    mask = np.zeros(shape, bool)
    for centre_y, centre_x, radius in places:
        mask |= (y - centre_y) ** 2 + (x - centre_x) ** 2 <= radius**2
    return mask


def as_mask_image(mask: NDArray) -> NDArray[np.float64]:
    """A mask in pale blue on pale grey."""
    return colours(mask.astype(int), {0: PALE, 1: LIGHT_BLUE})


def runs_of(mask: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Row, start and stop of every stretch of True, in raster order."""
    found = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        found += [(y, int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    return found
