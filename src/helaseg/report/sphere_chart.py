"""The sphere map of a nucleus as a picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from helaseg.cells.shape.describe import CellShape
from helaseg.cells.shape.sphere_map import SphereMap
from helaseg.report import style

_HALO = withStroke(linewidth=2, foreground="white")
#: Room around the map and for the bar of colours, in pixels.
_LEFT, _BELOW, _ABOVE, _BAR = 24, 50, 46, 98


def draw_sphere_map(
    figure: Figure,
    box_px: tuple[float, float, float, float],
    shape: CellShape,
    *,
    n_numbered: int,
) -> None:
    """Draw the distance of a nuclear envelope to its ellipsoid.

    Parameters
    ----------
    figure : Figure
        From `helaseg.report.style.new_figure`.
    box_px : tuple of float
        Where to draw: left, bottom, width, height.
    shape : CellShape
        From `helaseg.cells.shape.describe.describe_cell`.
    n_numbered : int
        How many invaginations get their number on the map.

    Notes
    -----
    Mollweide's projection keeps areas. The globe is seen from outside with z
    pointing down, as in the other pictures: first slices on top, the x axis in
    the middle, the y axis to the left. Dots mark where a line from the centre
    meets the surface more than once.
    """
    left, bottom, wide, high = box_px
    height = min(high - _BELOW - _ABOVE, (wide - _LEFT - _BAR) / 2)
    at = (left + _LEFT, bottom + _BELOW, 2 * height, height)
    ax: Any = style.axes_at(figure, at, projection="mollweide")
    ax.set_title(
        "nuclear envelope: distance to the fitted ellipsoid", fontsize=10, color=style.INK, pad=22
    )
    ax.set_xticks([])
    ax.set_yticks([])
    sphere_map = shape.sphere_map
    if sphere_map is None or not np.isfinite(sphere_map.distance_nm).any():
        ax.text(0, 0, "no nucleus to map", ha="center", va="center", color=style.FAINT)
        return
    limit = _draw_distances(ax, sphere_map)
    ax.text(
        0.5,
        -(_BELOW - 12) / height,
        "equal areas of the sphere; dots: met more than once; numbers: largest invaginations",
        transform=ax.transAxes,
        ha="center",
        fontsize=8,
        color=style.INK,
    )
    for turn, name in ((0, "x"), (np.pi / 2, "−y"), (-np.pi / 2, "y")):
        _write(ax, turn, 0, name)
    for turn, name, place in (
        (np.pi / 2, "first slices", "bottom"),
        (-np.pi / 2, "last slices", "top"),
    ):
        ax.text(0, turn, name, ha="center", va=place, fontsize=9, color=style.INK)
    _number_invaginations(ax, shape, n_numbered)
    bar = style.axes_at(figure, (at[0] + at[2] + 14, at[1] + 20, 12, height - 40))
    colours = figure.colorbar(ax.collections[0], cax=bar)
    colours.set_label("distance (nm), positive outside", fontsize=9)
    colours.set_ticks(np.linspace(-limit, limit, 5).tolist())
    bar.tick_params(labelsize=8)


def _draw_distances(ax: Any, sphere_map: SphereMap) -> float:
    """The map, with dots where the surface is folded; returns the limit of the colours."""
    distance = sphere_map.distance_nm
    rows, columns = distance.shape
    largest = float(np.nanpercentile(np.abs(distance), 99))
    step = 10 ** max(math.floor(math.log10(max(largest, 1))) - 1, 0)
    limit = float(math.ceil(max(largest, 1) / step) * step)
    # Longitude 0 in the middle, growing to the left: the globe from outside with z downwards.
    around = np.roll(distance, columns // 2, axis=1)[:, ::-1]
    longitudes = np.linspace(-np.pi, np.pi, columns + 1)
    latitudes = -np.arcsin(np.linspace(-1, 1, rows + 1))
    ax.pcolormesh(
        longitudes,
        latitudes,
        np.ma.masked_invalid(around),
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        rasterized=True,
    )
    ax.set_facecolor("#bbbbbb")
    folded = np.roll(sphere_map.n_exits > 1, columns // 2, axis=1)[:, ::-1]
    row, column = np.nonzero(folded)
    middles = (longitudes[1:] + longitudes[:-1]) / 2
    heights = -np.arcsin((2 * np.arange(rows) + 1) / rows - 1)
    ax.plot(middles[column], heights[row], ".", color=style.INK, markersize=1.2)
    return limit


def _number_invaginations(ax: Any, shape: CellShape, n: int) -> None:
    assert shape.ellipsoid is not None
    for fold in shape.invaginations[:n]:
        place = np.array([fold.centroid_z_nm, fold.centroid_y_nm, fold.centroid_x_nm])
        z, y, x = place - shape.ellipsoid.centre_nm
        _write(ax, -math.atan2(y, x), -math.atan2(z, math.hypot(y, x)), str(fold.id), bold=True)


def _write(ax: Any, longitude: float, latitude: float, text: str, *, bold: bool = False) -> None:
    ax.text(
        longitude,
        latitude,
        text,
        ha="center",
        va="center",
        fontsize=9,
        fontweight="bold" if bold else "normal",
        color=style.INK,
        path_effects=[_HALO],
    )
