"""The field of a run: `plot_field`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from helaseg._validate import as_array, check_positive
from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag, Detection, Track
from helaseg.report import style
from helaseg.report.pictures import block_means, stretched_grey


def plot_field(
    image: ArrayLike | None,
    tracks: Sequence[Track],
    *,
    grid: Grid,
    rois: Mapping[int, Roi] | None = None,
    pixel_nm: float | None = None,
    z: int | None = None,
    size_px: int = 900,
) -> Figure:
    """One slice of the whole volume with the cells found, their numbers and boxes.

    Parameters
    ----------
    image : array, shape (rows, columns), or None
        The slice, usually reduced in size.
    tracks : sequence of Track
        Cells; a circle has the distance to the background as its radius.
    grid : Grid
        Of the volume in which tracks and boxes count voxels.
    rois : mapping of int to Roi, optional
        Box of each cell.
    pixel_nm : float, optional
        Pixel size of `image`; by default it is taken to span the volume.
    z : int, optional
        Slice index of the picture: a cell that was not seen near it is dashed.
    size_px : int
        Longer side of the picture.

    Returns
    -------
    Figure
        Axes in µm from the corner of the volume.
    """
    sz, sy, sx = grid.voxel_size_nm
    height_um, width_um = grid.shape[1] * sy / 1000, grid.shape[2] * sx / 1000
    px = check_positive("size_px", size_px) / max(height_um, width_um, 1e-9)
    left, bottom, right, top = 64, 50, 18, 34
    total_w = max(width_um * px, 60) + left + right
    total_h = max(height_um * px, 60) + bottom + top
    figure = style.new_figure(total_w, total_h)
    box_w, box_h = total_w - left - right, total_h - bottom - top
    ax = figure.add_axes((left / total_w, bottom / total_h, box_w / total_w, box_h / total_h))
    if image is not None:
        array = as_array("image", image, ndim=2)
        step_um = None if pixel_nm is None else check_positive("pixel_nm", pixel_nm) / 1000
        right_um = width_um if step_um is None else array.shape[1] * step_um
        low_um = height_um if step_um is None else array.shape[0] * step_um
        shown = stretched_grey(block_means(array, _fit(array.shape, size_px)))
        ax.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=(0, right_um, low_um, 0))
    else:
        ax.set_facecolor("#eeeeee")
    for track in tracks:
        _draw_cell(ax, track, roi=(rois or {}).get(track.id), grid=grid, z=z)
    ax.set_xlim(0, width_um)
    ax.set_ylim(height_um, 0)
    ax.set_aspect("auto")
    ax.set_xlabel("x (µm)")
    ax.set_ylabel("y (µm)")
    style.style_axes(ax, grid=False)
    if image is not None and min(box_w, box_h) >= 160:
        style.add_scale_bar(ax, width_um=width_um, height_um=height_um)
    if z is not None:
        text = f"slice {z} of {grid.shape[0]}, z = {z * sz / 1000:.2f} µm"
        ax.set_title(style.label_text(text), fontsize=11, color=style.INK, loc="left")
    if tracks:
        ax.legend(handles=_field_handles(boxes=bool(rois)), loc="upper right", fontsize=8)
    return figure


def _fit(shape: tuple[int, ...], size_px: float) -> tuple[int, int]:
    factor = min(1.0, size_px / max(shape))
    return max(round(shape[0] * factor), 1), max(round(shape[1] * factor), 1)


def _nearest(track: Track, z: int) -> Detection:
    return min(track.detections, key=lambda d: abs(d.z - z))


def _draw_cell(ax: Axes, track: Track, *, roi: Roi | None, grid: Grid, z: int | None) -> None:
    _, sy, sx = grid.voxel_size_nm
    colour = style.FLAGGED if track.flags != CellFlag.NONE else style.CELL
    if z is None:
        (_, y, x), radius_nm, seen = track.centroid, track.radius_nm, True
    else:
        near = _nearest(track, z)
        y, x, radius_nm = near.y, near.x, near.radius_nm
        seen = track.first_slice <= z <= track.last_slice
    y_um, x_um = (y + 0.5) * sy / 1000, (x + 0.5) * sx / 1000
    rim = [withStroke(linewidth=3, foreground="black", alpha=0.6)]
    line = "solid" if seen else (0, (4, 3))
    ax.add_patch(
        Circle(
            (x_um, y_um),
            radius_nm / 1000,
            fill=False,
            edgecolor=colour,
            linewidth=1.6,
            linestyle=line,
            path_effects=rim,
        )
    )
    if roi is not None:
        _, top, left = roi.start
        _, rows, columns = roi.shape
        corner = (left * sx / 1000, top * sy / 1000)
        wide, high = columns * sx / 1000, rows * sy / 1000
        ax.add_patch(
            Rectangle(corner, wide, high, fill=False, edgecolor="white", linewidth=0.8, alpha=0.8)
        )
    # The number of a cell that the border cuts stays inside.
    height_um, width_um = grid.shape[1] * sy / 1000, grid.shape[2] * sx / 1000
    ax.text(
        min(max(x_um, 0.025 * width_um), 0.975 * width_um),
        min(max(y_um, 0.025 * height_um), 0.975 * height_um),
        str(track.id),
        ha="center",
        va="center",
        color="white",
        fontsize=11,
        fontweight="bold",
        clip_on=True,
        path_effects=[withStroke(linewidth=2.5, foreground="black")],
    )


def _field_handles(*, boxes: bool) -> list[Any]:
    handles: list[Any] = [
        Line2D([], [], color=style.CELL, linewidth=2, label="cell"),
        Line2D([], [], color=style.FLAGGED, linewidth=2, label="cell with a flag"),
        Line2D([], [], color=style.FAINT, linewidth=2, linestyle="--", label="not in this slice"),
    ]
    if boxes:
        handles.append(Patch(facecolor="none", edgecolor=style.FAINT, label="box of the cell"))
    return handles
