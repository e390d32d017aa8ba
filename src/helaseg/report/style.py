"""Colours, axes and encoding that all figures of the report share.

Figures are made with the object interface of matplotlib, so that no backend is
chosen and no figure stays in memory between calls.
"""

from __future__ import annotations

import base64
import functools
import io
import math
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from helaseg.core.grid import Grid

#: Colours that people with any colour vision can tell apart [1]_.
#:
#: .. [1] Okabe M, Ito K, "Color universal design", 2008;
#:    Wong B, Nature Methods 8:441, 2011, doi:10.1038/nmeth.1618.
CELL = "#56B4E9"
NUCLEUS = "#F0E442"
ENVELOPE = "#D55E00"
OTHER_CELLS = "#CC79A7"
PLAIN = "#0072B2"
FLAGGED = "#E69F00"
INK = "#222222"
FAINT = "#8a8a8a"
SERIES = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")

DPI = 100
#: Limits of any canvas: of one side and of all pixels, which take 4 bytes each.
MAX_SIDE_PX, MAX_CANVAS_PX = 8000.0, 16e6


def new_figure(width_px: float, height_px: float) -> Figure:
    """An empty white figure of a size in pixels (at 100 dots per inch).

    What would be larger than `MAX_SIDE_PX` or `MAX_CANVAS_PX` is made smaller as a whole, so
    that no picture takes more than some 100 MB, whatever is drawn.
    """
    shrink = min(
        1.0,
        MAX_SIDE_PX / max(width_px, height_px),
        math.sqrt(MAX_CANVAS_PX / (width_px * height_px)),
    )
    size = (max(width_px * shrink, 1.0) / DPI, max(height_px * shrink, 1.0) / DPI)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def on_plain_ground(colour: str) -> list[Any]:
    """Path effects of a line: yellow, which shows on grey values, gets a dark edge on white."""
    return [withStroke(linewidth=3, foreground=INK)] if colour == NUCLEUS else []


def slice_text(z: int, grid: Grid, number: int | None = None) -> str:
    """A slice in words: ``"slice 12 (file no. 56), z = 0.60 µm"``."""
    file = "" if number is None else f" (file no. {number})"
    return f"slice {z}{file}, z = {z * grid.slice_nm / 1000:.2f} µm"


def label_text(text: str) -> str:
    """Prepare a name that a person chose for a figure.

    A dollar sign is no formula, and a character that the font of figures lacks is
    shown by its number, such as U+65E5: pages show the name itself.
    """
    known = _characters()
    shown = (c if ord(c) in known else f"U+{ord(c):04X} " for c in text if c.isprintable())
    return "".join(shown).strip().replace("$", r"\$")


@functools.cache
def _characters() -> frozenset[int]:
    """Characters of the font that matplotlib brings along."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def axes_at(figure: Figure, box_px: tuple[float, float, float, float], **settings: Any) -> Axes:
    """Axes at a place (left, bottom, width, height) in pixels of a figure from `new_figure`."""
    wide, high = (n * DPI for n in figure.get_size_inches())
    left, bottom, width, height = box_px
    return figure.add_axes((left / wide, bottom / high, width / wide, height / high), **settings)


def style_axes(axes: Axes, *, grid: bool = True) -> None:
    """Thin dark axes, no box, faint grid lines."""
    axes.set_facecolor("white")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.8)
    axes.tick_params(labelsize=9, colors=INK, width=0.8, length=3)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(10)
        label.set_color(INK)
    if grid:
        axes.grid(visible=True, color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)


def nice_length(limit: float) -> float:
    """The longest of 1, 2 and 5 times a power of ten that does not exceed `limit`."""
    power = 10.0 ** math.floor(math.log10(limit))
    return max(step * power for step in (1, 2, 5) if step * power <= limit * (1 + 1e-9))


def add_scale_bar(axes: Axes, *, width_um: float, height_um: float, font_size: float = 10) -> float:
    """Draw a white bar with a dark rim at the lower right of a picture in µm.

    Parameters
    ----------
    axes : Axes
        Shows the picture with x from 0 to `width_um` and y downwards from 0 to `height_um`.
    width_um, height_um : float
        Extent of the picture.
    font_size : float
        Of its length in words, in points.

    Returns
    -------
    float
        Length of the bar, in µm.
    """
    length = nice_length(width_um * 0.25)
    thick, gap = height_um * 0.012, width_um * 0.03
    left, top = width_um - gap - length, height_um * 0.965 - thick
    axes.add_patch(
        Rectangle(
            (left, top),
            length,
            thick,
            facecolor="white",
            edgecolor="black",
            linewidth=0.6,
            zorder=5,
        )
    )
    text = f"{length * 1000:g} nm" if length < 0.1 else f"{length:g} µm"
    axes.text(
        left + length / 2,
        top - height_um * 0.01,
        text,
        ha="center",
        va="bottom",
        color="white",
        fontsize=font_size,
        fontweight="bold",
        zorder=6,
        path_effects=[withStroke(linewidth=font_size / 4, foreground="black")],
    )
    return length


def figure_pixels(figure: Figure, *, dpi: int = DPI) -> NDArray[np.uint8]:
    """The drawn figure, shape (rows, columns, 3), RGB."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def png_bytes(figure: Figure, *, dpi: int = DPI) -> bytes:
    """The drawn figure as a PNG file; equal figures give equal bytes."""
    _, data = cv2.imencode(".png", figure_pixels(figure, dpi=dpi)[..., ::-1])
    return data.tobytes()


def picture_uri(figure: Figure, *, dpi: int = DPI, quality: int = 80) -> str:
    """A figure with photographic content as a WebP data address."""
    rgb = figure_pixels(figure, dpi=dpi)
    _, data = cv2.imencode(".webp", rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def chart_uri(figure: Figure) -> str:
    """A figure of lines and text as an SVG data address; equal figures give equal bytes."""
    buffer = io.BytesIO()
    nothing: Any = {"Date": None, "Creator": None}
    with matplotlib.rc_context({"svg.hashsalt": "helaseg", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
