"""Figures that show one cell on its image: `plot_overlay`, `plot_orthogonal`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_array, as_labels, check_positive, check_shape_match
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import ParameterError
from helaseg.report import style

# Without an image the overlay is drawn on this grey.
_EMPTY_GREY = 0.93
# z panels outside these shares of the width are stretched or shortened, and say so.
_THINNEST_PANEL, _DEEPEST_PANEL = 0.12, 1.5
# A picture is at least so wide and so high, however thin the specimen is.
_LEAST_PX = 24.0


def plot_overlay(
    image: ArrayLike | None,
    labels: ArrayLike | None,
    grid: Grid,
    *,
    nucleus: ArrayLike | None = None,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    axes: bool = True,
    legend: bool = True,
    size_px: int = 700,
) -> Figure:
    """One slice with the outlines of cell and nucleus.

    Parameters
    ----------
    image : array, shape (Y, X), or None
        Grey values; None draws on plain grey.
    labels : array of integer, shape (Y, X), or None
        Classes of `helaseg.core.results.CLASS_NAMES`.
    grid : Grid
        Gives the pixel size.
    nucleus : array, shape (Y, X), optional
        Mask of the nucleus up to the midline of the envelope, drawn as a
        line. Without it the inner border of the envelope is drawn.
    limits : tuple of float, optional
        Grey values that are drawn black and white, to show several slices
        alike; by default the 0.5 and 99.8 percentile of the slice.
    title : str, optional
        Text above the picture.
    axes : bool
        Draw axes in µm; without them the picture fills the figure.
    legend : bool
        Say what the colours mean.
    size_px : int
        Longer side of the picture.

    Returns
    -------
    Figure
        With a scale bar, unless it is smaller than 160 pixels.

    Raises
    ------
    ParameterError
        If neither image nor labels are given, or their shapes differ.

    Notes
    -----
    Image and classes are averaged over blocks down to `size_px`, so that an
    outline is the line where half of a block belongs to the class.
    """
    grey, classes, inside = _checked_slice(image, labels, nucleus)
    shape = next(a.shape for a in (grey, classes) if a is not None)
    height_um, width_um = (n * s / 1000 for n, s in zip(shape, grid.voxel_size_nm[1:], strict=True))
    scale = check_positive("size_px", size_px) / max(height_um, width_um)
    wide, high = max(width_um * scale, _LEAST_PX), max(height_um * scale, _LEAST_PX)
    left, bottom, right, top = (64, 48, 18, 30 if title else 10) if axes else (0, 0, 0, 0)
    figure = style.new_figure(wide + left + right, high + bottom + top)
    total_w, total_h = wide + left + right, high + bottom + top
    ax = figure.add_axes((left / total_w, bottom / total_h, wide / total_w, high / total_h))
    _draw_section(
        ax,
        grey,
        classes,
        inside,
        extent_um=(width_um, height_um),
        shape_px=(round(high), round(wide)),
        limits=limits,
        names=("x", "y") if axes else None,
    )
    if min(wide, high) >= 160:
        # A picture without axes is usually shown small, among others.
        size = 10 if axes else max(10.0, 0.022 * max(wide, high))
        style.add_scale_bar(ax, width_um=width_um, height_um=height_um, font_size=size)
    if title:
        if axes:
            ax.set_title(style.label_text(title), fontsize=11, color=style.INK, loc="left")
        else:
            _caption(ax, title)
    if legend and labels is not None:
        ax.legend(handles=_class_handles(), loc="upper right", fontsize=8, framealpha=0.9)
    return figure


def plot_orthogonal(
    image: Volume | None,
    labels: LabelVolume,
    *,
    nucleus: LabelVolume | None = None,
    at_vx: Sequence[int] | None = None,
    size_px: int = 700,
) -> Figure:
    """Three sections through one point: xy, yz and xz, all in µm.

    Parameters
    ----------
    image : Volume or None
        Grey values on the grid of `labels`.
    labels : LabelVolume
        Classes of `helaseg.core.results.CLASS_NAMES`.
    nucleus : LabelVolume, optional
        Mask of the nucleus up to the midline of the envelope.
    at_vx : sequence of int, optional
        The point, z, y, x in voxels; the middle of the volume by default.
    size_px : int
        Longer side of the xy panel.

    Returns
    -------
    Figure
        Panels keep the aspect of the specimen, whatever the voxels' shape; where z
        is so thin or so deep that it must be stretched or shortened, its axis says
        how much.

    Raises
    ------
    GridMismatchError
        If the volumes do not share one grid.
    ParameterError
        If the point lies outside, or a volume has no voxel.

    Notes
    -----
    The volumes are read once, slice by slice; only one slice and the two
    sections are in memory.
    """
    grid = labels.grid
    for name, other in (("image", image), ("nucleus", nucleus)):
        if other is not None:
            other.grid.check_agrees(grid, names=(name, "labels"))
    point = tuple(n // 2 for n in grid.shape) if at_vx is None else tuple(int(v) for v in at_vx)
    if len(point) != 3 or not grid.roi.contains(point):
        msg = f"'at_vx' must be a voxel (z, y, x) inside the volume of {grid.shape}, got {at_vx!r}"
        raise ParameterError(msg)
    sections = [_sections(v, point) for v in (image, labels, nucleus)]
    limits = None if sections[0] is None else grey_limits(sections[0][0])
    z_um, y_um, x_um = (n * s / 1000 for n, s in zip(grid.shape, grid.voxel_size_nm, strict=True))
    longest = max(y_um, x_um)
    shown = min(max(z_um / longest, _THINNEST_PANEL), _DEEPEST_PANEL)
    stretch = shown * longest / z_um
    px = check_positive("size_px", size_px) / longest
    across, down, depth = (max(v * px, _LEAST_PX) for v in (x_um, y_um, z_um * stretch))
    left, bottom, top, gap = 64, 50, 30, 62
    # The title of a narrow yz panel needs room at its right.
    right = max(18.0, 140 - depth)
    total_w = left + across + depth + gap + right
    total_h = bottom + down + depth + gap + top
    figure = style.new_figure(total_w, total_h)
    z_name = _axis_name(stretch)
    layout = {
        "xy": (0, depth, across, down, ("x", "y"), (x_um, y_um)),
        "yz": (1, depth, depth, down, (z_name, "y"), (z_um, y_um)),
        "xz": (0, 0, across, depth, ("x", z_name), (x_um, z_um)),
    }
    places = ("z", "x", "y")
    for index, (name, (column, up, wide, high, labels_xy, extent)) in enumerate(layout.items()):
        x0 = left + (across + gap if column else 0)
        y0 = bottom + (up + gap if up else 0)
        box = (x0 / total_w, y0 / total_h, wide / total_w, high / total_h)
        ax = figure.add_axes(box)
        _draw_section(
            ax,
            *(None if s is None else s[index] for s in sections),
            extent_um=extent,
            shape_px=(round(high), round(wide)),
            limits=limits,
            names=labels_xy,
        )
        axis = "zyx".index(places[index])
        where = point[axis] * grid.voxel_size_nm[axis] / 1000
        ax.set_title(f"{name} at {places[index]} = {where:.2f} µm", fontsize=10, loc="left")
        if name == "xy":
            if min(across, down) >= 160:
                style.add_scale_bar(ax, width_um=x_um, height_um=y_um)
            _cross(ax, x=(point[2] + 0.5) * grid.voxel_size_nm[2], y=point[1] + 0.5, grid=grid)
    return figure


def _axis_name(stretch: float) -> str:
    """The z axis, and how much longer or shorter than the others it is drawn."""
    if abs(stretch - 1) < 1e-9:
        return "z"
    return f"z stretched ×{stretch:.1f}," if stretch > 1 else f"z shortened to ×{stretch:.2g},"


def _checked_slice(
    image: ArrayLike | None, labels: ArrayLike | None, nucleus: ArrayLike | None
) -> tuple[NDArray[Any] | None, NDArray[Any] | None, NDArray[Any] | None]:
    if image is None and labels is None:
        msg = "'image' and 'labels' must not both be None, give at least one of them"
        raise ParameterError(msg)
    grey = None if image is None else as_array("image", image, ndim=2)
    classes = None if labels is None else as_labels("labels", labels, ndim=2)
    inside = None if nucleus is None else as_array("nucleus", nucleus, ndim=2)
    first, given = ("image", grey) if grey is not None else ("labels", classes)
    assert given is not None
    for name, array in (("labels", classes), ("nucleus", inside)):
        if array is not None:
            check_shape_match(name, array.shape, first, given.shape)
    if min(given.shape) == 0:
        msg = f"'{first}' must hold at least one pixel, got shape {given.shape}"
        raise ParameterError(msg)
    return grey, classes, inside


def block_means(array: NDArray[Any], shape_px: tuple[int, int]) -> NDArray[np.float32]:
    """Means over blocks along the axes that shrink; the others keep their pixels."""
    rows, columns = (min(n, want) for n, want in zip(array.shape, shape_px, strict=True))
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, dtype=np.float32)
    if (rows, columns) == array.shape:
        return values
    resized = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    return resized.reshape(rows, columns).astype(np.float32, copy=False)


def grey_limits(image: NDArray[Any]) -> tuple[float, float] | None:
    """The 0.5 and 99.8 percentile of the finite values; None if there are none."""
    # In float64 the difference of two float32 values cannot overflow.
    values = np.asarray(image, np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, high = np.percentile(finite, (0.5, 99.8))
    return float(low), float(high)


def stretched_grey(
    image: NDArray[Any], limits: tuple[float, float] | None = None
) -> NDArray[np.float32]:
    """Grey values between 0 and 1, stretched between `limits` (by default `grey_limits`)."""
    low, high = limits or grey_limits(image) or (0.0, 1.0)
    filled = np.nan_to_num(np.asarray(image, np.float64), nan=low, posinf=high, neginf=low)
    return np.clip((filled - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def _draw_section(
    ax: Axes,
    image: NDArray[Any] | None,
    labels: NDArray[Any] | None,
    nucleus: NDArray[Any] | None,
    *,
    extent_um: tuple[float, float],
    shape_px: tuple[int, int],
    limits: tuple[float, float] | None,
    names: tuple[str, str] | None,
) -> None:
    """Grey values, tints and outlines of one section, x to the right, the other axis down."""
    width_um, height_um = extent_um
    if image is not None:
        grey = stretched_grey(block_means(image, shape_px), limits)
    else:
        assert labels is not None
        grey = np.full(block_means(labels, shape_px).shape, _EMPTY_GREY, np.float32)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    lines: list[tuple[NDArray[np.float32], str, float]] = []
    if labels is not None:
        tints = ((labels == 4, style.OTHER_CELLS, 0.30), (labels == 3, style.ENVELOPE, 0.85))
        for mask, colour, strength in tints:
            share = strength * block_means(mask, shape_px)[..., None]
            rgb = rgb * (1 - share) + np.asarray(to_rgb(colour), np.float32) * share
        inside = labels == 2 if nucleus is None else nucleus != 0
        if (labels == 1).any():  # without cytoplasm nothing is known of the cell
            lines.append((block_means((labels > 0) & (labels < 4), shape_px), style.CELL, 1.4))
        lines.append((block_means(inside, shape_px), style.NUCLEUS, 0.8))
    ax.imshow(rgb, extent=(0, width_um, height_um, 0), aspect="auto", interpolation="auto")
    for share, colour, width in lines:
        draw_outline(ax, share, colour, width=width, extent_um=extent_um)
    ax.set_xlim(0, width_um)
    ax.set_ylim(height_um, 0)
    if names is None:
        ax.set_axis_off()
    else:
        ax.set_xlabel(f"{names[0]} (µm)")
        ax.set_ylabel(f"{names[1]} (µm)")
        style.style_axes(ax, grid=False)


def draw_outline(
    ax: Axes,
    share: NDArray[np.float32],
    colour: str,
    *,
    width: float,
    extent_um: tuple[float, float],
    dashes: str = "solid",
) -> None:
    """The line where half of a block belongs to a mask; nothing where no block does."""
    # A rim of zeros closes the outline of what touches the border.
    padded = np.pad(share, 1)
    if padded.max() <= 0.5:
        return
    rows, columns = share.shape
    x = (np.arange(columns + 2) - 0.5) * (extent_um[0] / columns)
    y = (np.arange(rows + 2) - 0.5) * (extent_um[1] / rows)
    ax.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=[width], linestyles=[dashes])


def _sections(
    volume: Volume | LabelVolume | None, point: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None:
    """The xy, yz (columns are z) and xz (rows are z) sections through a voxel."""
    if volume is None:
        return None
    z, y, x = point
    depth, rows, columns = volume.shape
    dtype = np.dtype(volume.data.dtype)
    xy = np.empty((rows, columns), dtype)
    yz = np.empty((rows, depth), dtype)
    xz = np.empty((depth, columns), dtype)
    for k in range(depth):
        plane = volume.slice(k)
        yz[:, k] = plane[:, x]
        xz[k] = plane[y]
        if k == z:
            xy[:] = plane
    return xy, yz, xz


def _cross(ax: Axes, *, x: float, y: float, grid: Grid) -> None:
    for draw, at in ((ax.axvline, x / 1000), (ax.axhline, y * grid.voxel_size_nm[1] / 1000)):
        draw(at, color="white", linewidth=0.7, linestyle=(0, (6, 6)), alpha=0.8)


def _caption(ax: Axes, text: str) -> None:
    ax.text(
        0.015,
        0.985,
        text,
        transform=ax.transAxes,
        ha="left",
        va="top",
        color="white",
        fontsize=11,
        path_effects=[withStroke(linewidth=2.5, foreground="black")],
    )


def _class_handles() -> list[Any]:
    return [
        Line2D([], [], color=style.CELL, linewidth=2, label="cell"),
        Line2D([], [], color=style.NUCLEUS, linewidth=2, label="nucleus"),
        Patch(color=style.ENVELOPE, alpha=0.85, label="nuclear envelope"),
        Patch(color=style.OTHER_CELLS, alpha=0.45, label="other cells"),
    ]
