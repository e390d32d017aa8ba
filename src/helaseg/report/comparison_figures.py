"""Figures of a comparison: scores from slice to slice, outlines of all methods in one slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from helaseg.core.comparison import Comparison
from helaseg.core.grid import Roi
from helaseg.core.volume import Volume
from helaseg.errors import ParameterError
from helaseg.report import style
from helaseg.report.pictures import block_means, draw_outline, stretched_grey
from helaseg.report.tables import metric_words

#: Colours that show on grey values and on white; beyond them the line is dashed.
COLOURS = ("#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#0072B2")
TRUTH, IN_DOUBT = "#F0E442", "#E69F00"
_POLES = "#e8edf1"
# Room around what is shown of a slice, as a share of its size.
_MARGIN = 0.08
#: Less than this is not shown: a few pixels by themselves tell nobody where they are.
_LEAST_NM = 2000.0


Dashes = Literal["solid", "dashed", "dotted"]


def method_styles(methods: Sequence[str]) -> dict[str, tuple[str, Dashes]]:
    """Colour and line of each method."""
    dashes: tuple[Dashes, ...] = ("solid", "dashed", "dotted")
    n = len(COLOURS)
    return {m: (COLOURS[i % n], dashes[i // n % len(dashes)]) for i, m in enumerate(methods)}


def plot_slice_scores(comparison: Comparison, metrics: Sequence[str]) -> Figure:
    """Scores of all methods from slice to slice.

    Parameters
    ----------
    comparison : Comparison
        Its scores, as in its ranking.
    metrics : sequence of str
        One panel each.

    Returns
    -------
    Figure
        Slices at the poles are shaded. Where a method has no value, a cross stands in the
        margin above the panel.

    Raises
    ------
    ParameterError
        Without a metric.
    """
    if not metrics:
        msg = "'metrics' must name at least one metric, got none"
        raise ParameterError(msg)
    legend_px = 18 * -(-(len(comparison.methods) + 1) // 6)
    height = 150 * len(metrics) + 52 + legend_px
    figure = style.new_figure(760, height)
    panels = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    z = np.array(comparison.slices)
    styles = method_styles(comparison.methods)
    apart = min(0.045, 0.11 / max(1, len(styles) - 1))  # crosses stay below the title
    for ax, metric in zip(panels, metrics, strict=True):
        for pole in comparison.split.poles:
            ax.axvspan(pole - 0.5, pole + 0.5, color=_POLES, linewidth=0, zorder=0)
        curves = np.array([comparison.per_slice(name, metric) for name in styles])
        # Where nobody has a value there is nothing to compare: before and after the object.
        known = np.isfinite(curves).any(axis=0)
        for rank, (colour, dashes) in enumerate(styles.values()):
            values = curves[rank]
            marker = "o" if len(z) <= 40 else ""
            # Each curve is thinner than those beneath it, so that all are seen where they coincide.
            width = 1.5 + (len(styles) - 1 - rank) * min(1.5, 2.5 / max(1, len(styles) - 1))
            ax.plot(
                z,
                values,
                color=colour,
                linestyle=dashes,
                linewidth=width,
                marker=marker,
                markersize=2.5 + width,
            )
            gone = z[np.isnan(values) & known]
            # Above the panel, methods one above the other: a gap alone could be overlooked.
            height_of = np.full(len(gone), 1.03 + apart * rank)
            place = {"transform": ax.get_xaxis_transform(), "clip_on": False}
            ax.plot(gone, height_of, "x", color=colour, markersize=3.5, **place)
        unit = _unit_of(comparison, metric)
        words = metric_words(metric)
        ax.set_title(f"{words} ({unit})" if unit else words, fontsize=10, loc="left", pad=14)
        if unit:
            ax.set_ylim(bottom=0)
        style.style_axes(ax)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel("slice (index in the ROI)")
    handles = [
        Line2D([], [], color=c, linestyle=d, linewidth=2, label=style.label_text(n))
        for n, (c, d) in styles.items()
    ]
    if comparison.split.poles:
        handles.append(Patch(color=_POLES, label="poles"))  # type: ignore[arg-type]
    figure.legend(handles=handles, loc="lower center", ncols=6, fontsize=9, frameon=False)
    figure.subplots_adjust(
        left=0.09, right=0.985, bottom=(48 + legend_px) / height, top=1 - 34 / height, hspace=0.5
    )
    return figure


def plot_outlines(
    comparison: Comparison, z: int, *, image: Volume | None = None, size_px: int = 640
) -> Figure:
    """The outlines of the truth (yellow) and of all methods in one slice.

    Parameters
    ----------
    comparison : Comparison
        With its masks.
    z : int
        The slice.
    image : Volume, optional
        Grey values to draw on; grey without it.
    size_px : int
        Side of the picture.

    Returns
    -------
    Figure
        A square around everything that anybody found. Voxels in doubt are tinted.
    """
    masks = {name: v.slice(z) != 0 for name, v in comparison.predictions.items()}
    truth = comparison.truth.slice(z) != 0
    box = _box_around([truth, *masks.values()], least_px=_LEAST_NM / comparison.grid.pixel_nm)
    height_um, width_um = (
        n * s / 1000 for n, s in zip(box.shape[1:], comparison.grid.voxel_size_nm[1:], strict=True)
    )
    scale = size_px / max(height_um, width_um)
    wide, high = max(width_um * scale, 24.0), max(height_um * scale, 24.0)
    shape_px = (round(high), round(wide))
    figure = style.new_figure(wide, high)
    ax = figure.add_axes((0, 0, 1, 1))
    part = box.slices[1:]
    grey = np.full(block_means(truth[part], shape_px).shape, 0.45, np.float32)
    if image is not None:
        grey = stretched_grey(block_means(image.slice(z)[part], shape_px))
    rgb = np.repeat(grey[..., None], 3, axis=2)
    if comparison.ignore is not None:
        share = 0.35 * block_means(comparison.ignore.slice(z)[part] != 0, shape_px)[..., None]
        rgb = rgb * (1 - share) + np.asarray(to_rgb(IN_DOUBT), np.float32) * share
    extent = (width_um, height_um)
    ax.imshow(rgb, extent=(0, width_um, height_um, 0), aspect="auto", interpolation="auto")
    styles = method_styles(comparison.methods)
    # Each line is thinner than those beneath it, so that all are seen where they coincide.
    finer = 1.0 if len(styles) < 4 else 0.5
    width = 1.4 + finer * len(styles)
    share = block_means(truth[part], shape_px)
    # A dark rim shows the truth on bright resin.
    draw_outline(ax, share, "black", width=width + 2, extent_um=extent)
    draw_outline(ax, share, TRUTH, width=width + 1, extent_um=extent)
    for name, (colour, dashes) in styles.items():
        width -= finer
        share = block_means(masks[name][part], shape_px)
        draw_outline(ax, share, colour, width=width, extent_um=extent, dashes=dashes)
    ax.set_xlim(0, width_um)
    ax.set_ylim(height_um, 0)
    ax.set_axis_off()
    if min(wide, high) >= 160:
        style.add_scale_bar(ax, width_um=width_um, height_um=height_um, font_size=12)
    return figure


def plotted_metrics(comparison: Comparison, wanted: Mapping[str, int]) -> list[str]:
    """Those of the wanted metrics that the comparison holds slice by slice, up to a number each."""
    rows = comparison.table(comparison.methods[0]).select(per_slice=True)
    held = [m for m in dict.fromkeys(s.metric for s in rows) if not m.endswith("_px")]
    chosen: list[str] = []
    for start, most in wanted.items():
        chosen += [m for m in held if m.startswith(start)][:most]
    return chosen


def _unit_of(comparison: Comparison, metric: str) -> str:
    rows = comparison.table(comparison.methods[0]).select(metric=metric)
    unit = next(iter(rows)).unit
    return "" if unit == "1" else unit


def _box_around(masks: Sequence[NDArray[np.bool_]], *, least_px: float) -> Roi:
    """A square, as far as the slice allows, around all masks; the whole slice if they are empty."""
    held = np.logical_or.reduce(masks)
    shape = held.shape
    rows, columns = np.flatnonzero(held.any(axis=1)), np.flatnonzero(held.any(axis=0))
    if not rows.size:
        return Roi(start=(0, 0, 0), stop=(1, *shape))
    spans = [(int(v[0]), int(v[-1]) + 1) for v in (rows, columns)]
    side = round(max(least_px, max(b - a for a, b in spans) * (1 + 2 * _MARGIN))) + 2
    starts = [
        min(max(0, (a + b - side) // 2), max(0, n - side))
        for (a, b), n in zip(spans, shape, strict=True)
    ]
    stops = [min(a + side, n) for a, n in zip(starts, shape, strict=True)]
    return Roi(start=(0, starts[0], starts[1]), stop=(1, stops[0], stops[1]))
