"""The shape of one cell in one figure: sections, solid, sphere map and measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from helaseg.cells.shape.describe import CellShape, describe_cell
from helaseg.core.grid import Grid
from helaseg.core.results import SegmentationResult
from helaseg.core.volume import LabelVolume, Volume
from helaseg.image.blocks import join_pixels, joined_pixels
from helaseg.report import style, tables
from helaseg.report.pictures import grey_limits, stretched_grey
from helaseg.report.sphere_chart import draw_sphere_map
from helaseg.report.surfaces import look_at, render_solids

#: Pixels are joined to about this size: finer ones do not show in a panel of 400 px.
_PIXEL_NM = 40.0
_WIDTH_PX, _TOP_PX, _BOTTOM_PX = 1180, 560, 390
#: A section is at least so wide and so high, however thin the specimen is.
_LEAST_PX = 12.0
#: How many invaginations are numbered on the map and listed.
_N_LISTED = 5
_ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("volume of nucleus, cell", ("nucleus_volume_um3", "cell_volume_um3")),
    ("surface of nucleus, cell", ("nucleus_surface_um2", "cell_surface_um2")),
    ("sphericity of nucleus, cell", ("nucleus_sphericity", "cell_sphericity")),
    ("nucleus to cell ratio", ("nucleus_to_cell_ratio",)),
    ("nucleus off the middle of the cell", ("polarity_nm",)),
    ("… in radii of the cell", ("polarity_ratio",)),
    (
        "half axes of the ellipsoid",
        ("nucleus_long_half_axis_nm", "nucleus_middle_half_axis_nm", "nucleus_short_half_axis_nm"),
    ),
    ("Jaccard index with the ellipsoid", ("nucleus_ellipsoid_jaccard",)),
    ("distance to it: standard deviation", ("nucleus_ellipsoid_sd_nm",)),
    ("… lowest, highest", ("nucleus_ellipsoid_lowest_nm", "nucleus_ellipsoid_highest_nm")),
    ("Euler number of the nucleus", ("nucleus_euler_number",)),
    (
        "pieces, handles, cavities",
        ("n_nucleus_components", "n_nucleus_handles", "n_nucleus_cavities"),
    ),
    ("invaginations, tunnels", ("n_invaginations", "n_tunnels")),
    ("… their volume", ("invaginated_volume_um3",)),
)


def plot_cell_shape(
    result: SegmentationResult, *, raw: Volume | None = None, shape: CellShape | None = None
) -> Figure:
    """The shape of a cell and its nucleus.

    Parameters
    ----------
    result : SegmentationResult
        The segmentation.
    raw : Volume, optional
        The image on the grid of the labels, drawn beneath the outlines.
    shape : CellShape, optional
        What `helaseg.cells.shape.describe.describe_cell` found; by default it is
        measured here, on pixels joined to about 40 nm.

    Returns
    -------
    Figure
        Sections in three planes through the middle of the nucleus; the nucleus
        in its glassy cell; the distance of the nuclear envelope to the fitted
        ellipsoid on the sphere in equal-area projection, with the largest
        invaginations numbered; and a table of measures.

    Raises
    ------
    GridMismatchError
        If the image does not lie on the grid of the labels.

    Notes
    -----
    The volumes are read slice by slice; in memory are two masks on joined
    pixels.
    """
    if raw is not None:
        raw.grid.check_agrees(result.labels.grid, names=("raw", "labels"))
    nucleus, cell, grid = _read_masks(result)
    if shape is None:
        shape = describe_cell(nucleus, cell if cell.any() else None, grid)
    figure = style.new_figure(_WIDTH_PX, _TOP_PX + _BOTTOM_PX)
    centre_vx = _middle(shape, nucleus, cell, grid)
    _draw_sections(figure, raw, nucleus, cell, grid, centre_vx)
    _draw_solid(figure, nucleus, cell, grid)
    draw_sphere_map(figure, (0, 0, 710, _BOTTOM_PX), shape, n_numbered=_N_LISTED)
    _draw_table(figure, {**shape.measurements, **result.measurements}, shape)
    return figure


def _read_masks(
    result: SegmentationResult,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Grid]:
    """Nucleus and cell on joined pixels."""
    full = result.labels.grid
    factor = joined_pixels(full.pixel_nm, _PIXEL_NM)
    grid = full.downsample((1, factor, factor))

    def read(volume: LabelVolume) -> NDArray[np.bool_]:
        mask = np.empty(grid.shape, bool)
        for z, plane in enumerate(mask):
            plane[:] = join_pixels((volume.slice(z) != 0).view(np.uint8), factor) >= 0.5
        return mask

    return read(result.nucleus), read(result.cell), grid


def _middle(
    shape: CellShape, nucleus: NDArray[np.bool_], cell: NDArray[np.bool_], grid: Grid
) -> tuple[int, int, int]:
    """Find the place of the sections: the middle of the nucleus, the cell or the crop."""
    place = (np.array(grid.shape) - 1) / 2
    if shape.ellipsoid is not None:
        place = grid.to_vx(shape.ellipsoid.centre_nm)
    elif cell.any():
        place = np.array(
            [np.mean(np.flatnonzero(cell.any(axis=a))) for a in ((1, 2), (0, 2), (0, 1))]
        )
    z, y, x = np.clip(np.rint(place), 0, np.array(grid.shape) - 1).astype(int).tolist()
    return z, y, x


def _draw_sections(
    figure: Figure,
    raw: Volume | None,
    nucleus: NDArray[np.bool_],
    cell: NDArray[np.bool_],
    grid: Grid,
    at_vx: tuple[int, int, int],
) -> None:
    """Sections xy, yz and xz in the aspect of the specimen, sharing their axes."""
    z, y, x = at_vx
    z_um, y_um, x_um = (n * s / 1000 for n, s in zip(grid.shape, grid.voxel_size_nm, strict=True))
    left, bottom, gap, room = 58, _BOTTOM_PX + 48, 14, _TOP_PX - 84
    px = min(room / (y_um + z_um), (560 - left - gap) / (x_um + z_um))
    across, down, depth = (max(v * px, _LEAST_PX) for v in (x_um, y_um, z_um))
    images = _raw_sections(raw, at_vx, grid)
    panels = (
        (
            "xy",
            (left, bottom + depth + gap, across, down),
            (x_um, y_um),
            (nucleus[z], cell[z]),
        ),
        (
            "yz",
            (left + across + gap, bottom + depth + gap, depth, down),
            (z_um, y_um),
            (nucleus[:, :, x].T, cell[:, :, x].T),
        ),
        ("xz", (left, bottom, across, depth), (x_um, z_um), (nucleus[:, y], cell[:, y])),
    )
    limits = None if images is None else grey_limits(images["xy"])
    for name, box, (wide, high), (inner, outer) in panels:
        ax = style.axes_at(figure, box)
        if images is not None:
            ax.imshow(
                stretched_grey(images[name], limits),
                extent=(0, wide, high, 0),
                cmap="gray",
                vmin=0,
                vmax=1,
                aspect="auto",
            )
        else:
            ax.set_facecolor("#eeeeee")
        for mask, colour, width in ((outer, style.CELL, 1.5), (inner, style.NUCLEUS, 1.3)):
            _outline(ax, mask, (wide, high), colour, width)
        ax.set_xlim(0, wide)
        ax.set_ylim(high, 0)
        style.style_axes(ax, grid=False)
        ax.set_facecolor("#eeeeee")
        if name == "yz":
            ax.set_yticklabels([])
            ax.set_xlabel("z (µm)")
        else:
            ax.set_ylabel(f"{'y' if name == 'xy' else 'z'} (µm)")
        if name == "xz":
            ax.set_xlabel("x (µm)")
        else:
            ax.tick_params(labelbottom=name == "yz")
    figure.legend(
        handles=[
            Line2D([], [], color=style.CELL, linewidth=2, label="cell"),
            Line2D(
                [],
                [],
                color=style.NUCLEUS,
                linewidth=2,
                label="nucleus",
                path_effects=style.on_plain_ground(style.NUCLEUS),
            ),
        ],
        loc="upper left",
        bbox_to_anchor=(left / _WIDTH_PX, 1 - 4 / (_TOP_PX + _BOTTOM_PX)),
        ncols=2,
        fontsize=9,
        frameon=False,
        borderaxespad=0,
    )


def _raw_sections(
    raw: Volume | None, at_vx: tuple[int, int, int], grid: Grid
) -> dict[str, NDArray[np.float32]] | None:
    """The image in the planes of the masks, read once, slice by slice."""
    if raw is None:
        return None
    factor = joined_pixels(raw.grid.pixel_nm, _PIXEL_NM)
    z, y, x = at_vx
    sections = {
        "xy": np.empty(grid.shape[1:], np.float32),
        "yz": np.empty((grid.shape[1], grid.shape[0]), np.float32),
        "xz": np.empty((grid.shape[0], grid.shape[2]), np.float32),
    }
    for k in range(grid.shape[0]):
        joined = join_pixels(raw.slice(k), factor)
        sections["yz"][:, k] = joined[:, x]
        sections["xz"][k] = joined[y]
        if k == z:
            sections["xy"][:] = joined
    return sections


def _outline(
    ax: Axes, mask: NDArray[np.bool_], extent_um: tuple[float, float], colour: str, width: float
) -> None:
    if not mask.any():
        return
    # A rim of zeros closes the outline of what touches the border.
    padded = np.pad(mask.astype(np.float32), 1)
    x, y = (
        (np.arange(n) - 0.5) * (length / (n - 2))
        for n, length in zip(padded.shape[::-1], extent_um, strict=True)
    )
    lines = ax.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=[width])
    lines.set_path_effects(style.on_plain_ground(colour))


def _draw_solid(
    figure: Figure, nucleus: NDArray[np.bool_], cell: NDArray[np.bool_], grid: Grid
) -> None:
    """The nucleus in its cell, with the directions of the axes and a scale bar."""
    view = look_at(nucleus | cell, grid)
    solids = [(nucleus, style.NUCLEUS, False), (cell, style.CELL, True)]
    picture = render_solids([s for s in solids if s[0].any()], grid, view)
    ax = style.axes_at(figure, (590, _BOTTOM_PX + 10, _TOP_PX - 20, _TOP_PX - 20))
    wide_um = view.width_nm / 1000
    ax.imshow(picture, extent=(0, wide_um, wide_um, 0), interpolation="bilinear")
    ax.set_axis_off()
    for name, (right, down, _) in zip("zyx", view.frame.T, strict=True):
        start, length = (0.09 * wide_um, 0.06 * wide_um), 0.07 * wide_um
        tip = (start[0] + right * length, start[1] + down * length)
        ax.annotate("", tip, start, arrowprops={"arrowstyle": "-|>", "color": style.INK, "lw": 1})
        ax.text(
            start[0] + right * length * 1.35,
            start[1] + down * length * 1.35,
            name,
            ha="center",
            va="center",
            fontsize=9,
            color=style.INK,
        )
    length = style.nice_length(wide_um * 0.25)
    low = 0.97 * wide_um
    ax.plot([0.97 * wide_um - length, 0.97 * wide_um], [low, low], color=style.INK, linewidth=3)
    ax.text(
        0.97 * wide_um - length / 2,
        low - 0.015 * wide_um,
        f"{length:g} µm",
        ha="center",
        va="bottom",
        fontsize=9,
        color=style.INK,
    )


def _draw_table(figure: Figure, measures: Mapping[str, Any], shape: CellShape) -> None:
    ax = style.axes_at(figure, (720, 0, _WIDTH_PX - 730, _BOTTOM_PX - 8))
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    rows = [(name, _value_text(measures, keys)) for name, keys in _ROWS]
    for fold in shape.invaginations[:_N_LISTED]:
        volume = f"{tables.number_text(fold.volume_um3, digits=2)} µm³"
        if math.isfinite(fold.depth_nm):
            way = "long" if fold.kind == "tunnel" else "deep"
            volume += f", {tables.number_text(fold.depth_nm / 1000, digits=2)} µm {way}"
        rows.append((f"  {fold.id}  {fold.kind}", volume))
    ax.set_ylim(max(len(rows), 16) + 0.5, -0.5)
    for k, (name, value) in enumerate(rows):
        ax.text(0, k, name, fontsize=9, va="center", color=style.INK)
        ax.text(1, k, value, fontsize=9, va="center", ha="right", color=style.INK)
        ax.axhline(k + 0.5, color="#e6e6e6", linewidth=0.8)


def _value_text(measures: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """Values of equal unit side by side; lengths in µm from 1 µm on."""
    values = [measures.get(key, math.nan) for key in keys]
    unit = tables.quantity(keys[0], values[0]).unit
    numbers = [float(v) for v in values]
    if unit == "nm" and max((abs(v) for v in numbers if math.isfinite(v)), default=0) >= 1000:
        values, unit = [v / 1000 for v in numbers], "µm"
    text = ", ".join(tables.number_text(v, digits=3) for v in values)
    return f"{text} {unit}".strip()
