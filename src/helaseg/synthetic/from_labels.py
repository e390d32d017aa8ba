"""Phantoms whose shapes are given as labels: real ones, or those of another generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from helaseg._kernels.phantom_grey import Depths
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume
from helaseg.errors import ParameterError
from helaseg.synthetic.drawing import Drawing
from helaseg.synthetic.geometry import NoiseField, extent_nm, make_fields
from helaseg.synthetic.label_depths import LabelDepths
from helaseg.synthetic.label_rooms import label_organelles
from helaseg.synthetic.organelles import Organelles
from helaseg.synthetic.paint import BAND_ROWS, FRAME, Band, RenderedSlice, paint_band
from helaseg.synthetic.phantom import Phantom, draw_phantom
from helaseg.synthetic.textures import TextureConfig

#: Mean half axis of a cell (nm) in the noise fields: shapes are given here, so that the
#: fields which bend ellipsoids are not used.
_ANY_RADIUS_NM = 5000.0


def render_labels(
    cells: LabelVolume,
    nuclei: LabelVolume,
    config: TextureConfig | None = None,
    **changes: Any,
) -> Iterator[RenderedSlice]:
    """Draw the grey values of EMPIAR-10094 on given labels, slice by slice.

    Parameters
    ----------
    cells : LabelVolume
        Id of the cell of each voxel, nucleus included, 0 for resin; below 65536.
        Cells whose labels touch get two membranes edge to edge.
    nuclei : LabelVolume
        Non-zero in the nuclei up to the midline of their envelope, on the same grid.
    config : TextureConfig, optional
        What it looks like.
    **changes
        Settings that differ from `config`, by name.

    Yields
    ------
    RenderedSlice
        Image and truth of slice 0, 1, ...; new arrays for each. The truth is
        what was drawn: the labels, their contours smoothed over 15 nm in plane
        and settled between neighbouring slices (`LabelDepths`), so that it
        differs from them by a pixel or two.

    Raises
    ------
    ParameterError
        If the grids differ, a label is too large, or a setting is unknown or out
        of range.

    Notes
    -----
    1. Organelles and debris are placed on a coarse map of the labels, for all slices.
    2. Per slice: signed distances (`LabelDepths`), then the same drawing as in
       `make_phantom`. Three slices of labels and their distances are in memory.
    """
    drawing = label_drawing(cells, nuclei, _changed(config, changes))
    for z in range(drawing.grid.shape[0]):
        out = drawing.empty_slice()
        drawing.draw(z, out)
        yield out


def phantom_from_labels(
    cells: LabelVolume,
    nuclei: LabelVolume,
    config: TextureConfig | None = None,
    **changes: Any,
) -> Phantom:
    """The slices of `render_labels` in memory, with a table of the cells.

    Parameters
    ----------
    cells, nuclei, config, **changes
        As for `render_labels`.

    Returns
    -------
    Phantom
        As that of `make_phantom`; its `config` is a `TextureConfig`.

    Raises
    ------
    ParameterError
        As `render_labels`.
    """
    return draw_phantom(label_drawing(cells, nuclei, _changed(config, changes)))


def _changed(config: TextureConfig | None, changes: dict[str, Any]) -> TextureConfig:
    known = TextureConfig.__dataclass_fields__
    for name in changes:
        if name not in known:
            msg = f"textures have no setting {name!r}; the settings are {', '.join(known)}"
            raise ParameterError(msg)
    return replace(TextureConfig() if config is None else config, **changes)


def label_drawing(
    cells: LabelVolume,
    nuclei: LabelVolume,
    textures: TextureConfig,
    *,
    organelles: Organelles | None = None,
) -> Drawing:
    """The drawing of labels; `organelles` replace those that would be placed in the cells."""
    grid = cells.grid
    grid.check_agrees(nuclei.grid, names=("cells", "nuclei"))
    most = max((int(cells.slice(z).max(initial=0)) for z in range(grid.shape[0])), default=0)
    if most > 65535:
        msg = f"'cells' must hold labels up to 65535, got {most}; relabel them in sequence"
        raise ParameterError(msg)
    damaged = tuple(sorted({*textures.damaged_slices, *textures.blank_slices}))
    if damaged and damaged[-1] >= grid.shape[0]:
        msg = (
            f"'damaged_slices' and 'blank_slices' must lie below the {grid.shape[0]} slices of "
            f"the labels, got {damaged[-1]}"
        )
        raise ParameterError(msg)
    if organelles is None:
        organelles = label_organelles(cells, nuclei, textures)
    things = organelles
    fields = make_fields(
        _ANY_RADIUS_NM, _ANY_RADIUS_NM, extent_nm(grid), textures.seed, grid.pixel_nm
    )
    depths = LabelDepths(cells, nuclei)

    def draw(z: int, out: RenderedSlice) -> None:
        _draw_slice(depths.slice(z), fields, things, textures, grid, z, out)

    return Drawing(
        grid=grid,
        config=textures,
        damaged=damaged,
        n_cells=most,
        organelles=things,
        draw=draw,
        in_order=True,
    )


def _draw_slice(
    whole: Depths,
    fields: dict[str, NoiseField],
    organelles: Organelles,
    textures: TextureConfig,
    grid: Grid,
    z: int,
    out: RenderedSlice,
) -> None:
    step_z, step_y, step_x = grid.voxel_size_nm
    n_rows = grid.shape[1]
    for start in range(0, n_rows, BAND_ROWS):
        depths = _framed(whole, start, min(start + BAND_ROWS, n_rows))
        z_nm = (z + 0.5) * step_z
        y_nm, x_nm = (start - FRAME + 0.5) * step_y, (0.5 - FRAME) * step_x
        noise = {
            name: field.plane(
                z_nm, y_nm, x_nm, (step_y, step_x), np.empty(depths.s1.shape, np.float32)
            )
            for name, field in fields.items()
        }
        band = Band(z, start, (z_nm, y_nm, x_nm, step_y, step_x))
        paint_band(band, depths, noise, organelles, textures, 0.0, out)


def _framed(depths: Depths, start: int, stop: int) -> Depths:
    """Rows of the depths with a frame, in which the outermost pixels are repeated."""
    n_rows, n_cols = depths.s1.shape
    rows = np.clip(np.arange(start - FRAME, stop + FRAME), 0, n_rows - 1)
    cols = np.clip(np.arange(-FRAME, n_cols + FRAME), 0, n_cols - 1)
    return Depths._make(np.ascontiguousarray(plane[rows][:, cols]) for plane in depths)
