"""Figures of lines and points: `plot_slices`, `plot_tracks`, `plot_scores`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag, Track
from helaseg.core.results import SliceRecord
from helaseg.core.scores import Score, ScoreTable
from helaseg.errors import ParameterError
from helaseg.report import style
from helaseg.report.tables import metric_words

# Marker of each event of `SliceRecord.event` that is worth a mark.
_EVENT_MARKS = {
    "seed": ("*", style.INK, 110, "seed slice"),
    "bridged": ("s", style.FLAGGED, 26, "bridged"),
}


def plot_slices(records: Sequence[SliceRecord], *, grid: Grid | None = None) -> Figure:
    """Areas and confidence from slice to slice.

    Parameters
    ----------
    records : sequence of SliceRecord
        One per slice.
    grid : Grid, optional
        Of the crop; adds an axis of z in µm.

    Returns
    -------
    Figure
        Above the areas of cell and nucleus in µm², below the confidence of the
        nucleus with marks where the propagation did something special, and that
        of its envelope where it was measured.

    Raises
    ------
    ParameterError
        If there is no record.
    """
    if not records:
        msg = "'records' must hold at least one slice record, got none"
        raise ParameterError(msg)
    z = np.array([r.z for r in records])
    figure = style.new_figure(760, 430)
    areas, sure = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for values, colour, name in (
        ([r.cell_um2 for r in records], style.PLAIN, "cell"),
        ([r.nucleus_um2 for r in records], style.NUCLEUS, "nucleus"),
    ):
        edge = style.on_plain_ground(colour)
        areas.plot(
            z,
            values,
            color=colour,
            linewidth=1.6,
            label=name,
            marker=_dot(len(z)),
            path_effects=edge,
        )
        areas.fill_between(z, values, color=colour, alpha=0.10, linewidth=0)
    areas.set_ylim(bottom=0)
    areas.set_ylabel("area (µm²)")
    areas.legend(fontsize=9, frameon=False, loc="upper right")
    confidence = np.array([r.confidence for r in records], float)
    envelope = np.array([r.envelope_confidence for r in records], float)
    (line,) = sure.plot(z, confidence, color=style.INK, linewidth=1.2, marker=_dot(len(z)))
    if np.isfinite(envelope).any():
        line.set_label("nucleus")
        marker = _dot(len(z))
        sure.plot(z, envelope, color=style.ENVELOPE, linewidth=1.2, marker=marker, label="envelope")
    for event, (marker, colour, size, name) in _EVENT_MARKS.items():
        at = np.array([r.event == event for r in records])
        if at.any():
            heights = np.nan_to_num(confidence[at])
            sure.scatter(z[at], heights, marker=marker, color=colour, s=size, label=name, zorder=3)
    if sure.get_legend_handles_labels()[0]:
        sure.legend(fontsize=9, edgecolor="none", framealpha=0.85, loc="lower right", ncols=5)
    sure.set_ylim(-0.05, 1.1)
    sure.set_ylabel("confidence (0 to 1)")
    sure.set_xlabel("slice (index in the crop)")
    for ax in (areas, sure):
        style.style_axes(ax)
    if grid is not None:
        step = grid.slice_nm / 1000
        top = areas.secondary_xaxis("top", functions=(lambda v: v * step, lambda v: v / step))
        top.set_xlabel("z (µm)", fontsize=9, color=style.INK)
        top.tick_params(labelsize=8, colors=style.INK)
        top.spines["top"].set_color(style.FAINT)
    figure.subplots_adjust(left=0.09, right=0.985, bottom=0.115, top=0.89, hspace=0.12)
    return figure


def plot_tracks(tracks: Sequence[Track], grid: Grid) -> Figure:
    """The cells in space: each track as a line, each detection as a disk.

    Parameters
    ----------
    tracks : sequence of Track
        Detections count voxels of `grid`.
    grid : Grid
        Of the whole volume.

    Returns
    -------
    Figure
        Axes in µm. A volume that is thin in z is stretched along z; the label
        of the z axis states by how much.

    Raises
    ------
    ParameterError
        If there is no track.
    """
    if not tracks:
        msg = "'tracks' must hold at least one track, got none"
        raise ParameterError(msg)
    size = np.array(grid.shape) * grid.voxel_size_nm / 1000
    stretch = z_stretch(grid)
    figure = style.new_figure(760, 600)
    ax: Any = figure.add_axes((0.0, 0.02, 0.94, 0.97), projection="3d")
    ax.computed_zorder = False
    turn = np.linspace(0, 2 * np.pi, 40)
    for track in tracks:
        points = np.array([(d.z, d.y, d.x) for d in track.detections], float)
        z, y, x = ((points + 0.5) * grid.voxel_size_nm / 1000).T
        colour = style.FLAGGED if track.flags != CellFlag.NONE else style.PLAIN
        radii = np.array([d.radius_nm / 1000 for d in track.detections])
        rings = np.stack(
            np.broadcast_arrays(
                x[:, None] + radii[:, None] * np.cos(turn),
                y[:, None] + radii[:, None] * np.sin(turn),
                z[:, None],
            ),
            axis=-1,
        )
        ax.add_collection3d(
            Poly3DCollection(rings, facecolor=colour, edgecolor=colour, alpha=0.16, linewidth=0.5)
        )
        ax.plot(x, y, z, color=colour, linewidth=1.8, marker="o", markersize=2.5)
        middle = len(z) // 2
        ax.text(x[middle], y[middle], z[middle], f"  {track.id}", fontsize=11, fontweight="bold")
    ax.set_xlim(0, size[2])
    ax.set_ylim(size[1], 0)
    ax.set_zlim(size[0], 0)
    ax.set_box_aspect((size[2], size[1], size[0] * stretch), zoom=1.1)
    ax.set_xlabel("x (µm)", fontsize=10)
    ax.set_ylabel("y (µm)", fontsize=10)
    drawn = "z (µm)" if stretch == 1 else f"z (µm), stretched ×{stretch:g}"
    ax.set_zlabel(drawn, fontsize=10)
    ax.tick_params(labelsize=8)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.pane.set_facecolor("#f6f6f6")
        axis.pane.set_edgecolor("#cccccc")
    ax.view_init(elev=22, azim=-60)
    ax.legend(handles=_track_handles(), fontsize=9, frameon=False, loc="upper left")
    return figure


def z_stretch(grid: Grid) -> float:
    """Compute the stretch of z that gives it a third of the in-plane size.

    A whole number, or 1 where z is long enough.
    """
    z, y, x = (n * s for n, s in zip(grid.shape, grid.voxel_size_nm, strict=True))
    return float(max(1, round(0.33 * max(y, x) / max(z, 1e-9))))


def plot_scores(
    scores: ScoreTable | Mapping[Any, ScoreTable], *, metrics: Sequence[str] | None = None
) -> Figure:
    """Scores of the whole volume as points, ratios and distances apart.

    Parameters
    ----------
    scores : ScoreTable or mapping of name to ScoreTable
        One table, or one per cell or method.
    metrics : sequence of str, optional
        Which metrics to show; by default all that are ratios or distances.

    Returns
    -------
    Figure
        One row per metric and label. A short bar is the median. An undefined
        score is a cross in the margin at the right, never a point at 0.

    Raises
    ------
    ParameterError
        If no score of a whole volume is left to show.
    """
    tables = {"": scores} if isinstance(scores, ScoreTable) else dict(scores)
    rows: dict[str, dict[str, list[tuple[str, Score]]]] = {}
    for name, table in tables.items():
        for score in table.select(per_slice=False):
            if (metrics is None and not _is_plotted(score)) or (
                metrics is not None and score.metric not in metrics
            ):
                continue
            key = f"{metric_words(score.metric)}, {score.label}"
            rows.setdefault(score.unit, {}).setdefault(key, []).append((str(name), score))
    if not rows:
        msg = "'scores' must hold at least one score of a whole volume to plot, got none"
        raise ParameterError(msg)
    lines = sum(len(r) for r in rows.values())
    names = list(dict.fromkeys(str(n) for n in tables))
    # More names than colours share one colour; the page has the numbers.
    colours = dict(zip(names, style.SERIES, strict=False)) if len(names) > 1 else {}
    named = len(names) == len(colours)
    foot = 76 if named else 48
    height = 20 + foot + 62 * (len(rows) - 1) + 32 * lines
    figure = style.new_figure(760, height)
    panels = figure.subplots(
        len(rows), 1, squeeze=False, height_ratios=[len(r) for r in rows.values()]
    )
    for ax, (unit, metric_rows) in zip(panels[:, 0], rows.items(), strict=True):
        _draw_scores(ax, metric_rows, unit=unit, colours=colours if named else {})
    panel = (height - 20 - foot - 62 * (len(rows) - 1)) / len(rows)
    figure.subplots_adjust(
        left=0.45, right=0.94, top=1 - 20 / height, bottom=foot / height, hspace=62 / panel
    )
    if named:
        handles = [
            Line2D([], [], color=c, marker="o", linestyle="", label=style.label_text(n))
            for n, c in colours.items()
        ]
        figure.legend(handles=handles, loc="lower center", ncols=7, fontsize=9, frameon=False)
    return figure


def _is_plotted(score: Score) -> bool:
    return score.unit in ("1", "px", "nm", "um") and not score.metric.startswith("n_")


def _draw_scores(
    ax: Axes,
    rows: Mapping[str, list[tuple[str, Score]]],
    *,
    unit: str,
    colours: Mapping[str, str],
) -> None:
    lowest = 1.0
    for place, entries in enumerate(rows.values()):
        values = [s.value for _, s in entries if not math.isnan(s.value)]
        lowest = min([lowest, *values])
        spread = np.linspace(-0.18, 0.18, len(entries)) if len(entries) > 1 else [0.0]
        for (name, score), shift in zip(entries, spread, strict=True):
            colour = colours.get(name, style.PLAIN)
            if math.isnan(score.value):
                ax.plot(
                    1.02,
                    place + shift,
                    "x",
                    color=colour,
                    transform=ax.get_yaxis_transform(),
                    clip_on=False,
                    markersize=6,
                )
            else:
                ax.plot(score.value, place + shift, "o", color=colour, markersize=5.5, alpha=0.85)
        if len(values) > 1:
            middle = float(np.median(values))
            ax.plot([middle, middle], [place - 0.34, place + 0.34], color=style.INK, linewidth=1.6)
    # A name of two lines fits the row; one of more than 44 characters leaves the picture.
    ax.set_yticks(range(len(rows)), [textwrap.fill(style.label_text(name), 44) for name in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    if unit == "1":
        low = max(0.0, math.floor(lowest * 10 - 0.2) / 10)
        ax.set_xlim(low - 0.01 * (1 - low), 1 + 0.01 * (1 - low))
        ax.set_xlabel("score (ratio, 1 is perfect)")
    else:
        ax.set_xlim(left=0)
        ax.set_xlabel(f"distance ({unit}, 0 is perfect)")
    style.style_axes(ax)


def _dot(n: int) -> str:
    # Single points must be seen; many points would hide the line.
    return "o" if n <= 12 else ""


def _track_handles() -> list[Any]:
    return [
        Patch(color=style.PLAIN, alpha=0.6, label="cell"),
        Patch(color=style.FLAGGED, alpha=0.6, label="cell with a flag"),
    ]
