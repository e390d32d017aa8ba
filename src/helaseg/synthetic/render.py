"""Drawing one slice of a scene, a band of rows at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import phantom as kernels
from helaseg._kernels.phantom_grey import Depths
from helaseg.synthetic.drawing import Drawing
from helaseg.synthetic.paint import BAND_ROWS, FRAME, GAP_MOST, Band, RenderedSlice, paint_band
from helaseg.synthetic.scene import Scene

#: Cytoplasm between nucleus and plasma membrane (nm).
WALL_NM = 130.0
#: How far around a cell its depth is known (nm): where the resin is lighter.
HALO_NM = 1300.0
_FAR = np.float32(-1e6)


def scene_drawing(scene: Scene) -> Drawing:
    """The drawing of a scene."""
    config, placement = scene.config, scene.placement
    designs = {
        i + 1: (float(np.sqrt(body[4] * body[5])), placement.half_height_nm(i))
        for i, body in enumerate(placement.cells)
    }
    return Drawing(
        grid=config.grid,
        config=config,
        damaged=scene.damaged,
        n_cells=config.n_cells,
        designs=designs,
        organelles=scene.organelles,
        draw=lambda z, out: render_slice(scene, z, out=out),
    )


def render_slice(scene: Scene, z: int, *, out: RenderedSlice | None = None) -> RenderedSlice:
    """Draw slice `z`: a pure function of scene and z, whatever was drawn before.

    Notes
    -----
    1. Depth of every pixel in the nearest and in the second nearest cell, and in
       the clump if the cells are packed.
    2. Depth in the nucleus of the cell that owns the pixel.
    3. Organelles and debris, as depths below their surfaces.
    4. Grey values and truth (`phantom_grey.shade`).
    5. Electron noise, blur, rounding (`paint.paint_band`).
    """
    if out is None:
        out = RenderedSlice.empty(scene.config.shape[1:], scene.organelles)
    for start in range(0, scene.config.shape[1], BAND_ROWS):
        _render_band(scene, z, start, min(start + BAND_ROWS, scene.config.shape[1]), out)
    return out


def _render_band(scene: Scene, z: int, start: int, stop: int, out: RenderedSlice) -> None:
    config = scene.config
    shape = (stop - start + 2 * FRAME, config.shape[2] + 2 * FRAME)
    step_y, step_x = config.voxel_size_nm[1:]
    # The scene fills the box from 0 to its extent, so the first voxel has its centre at a half.
    z_nm = (z + 0.5) * config.voxel_size_nm[0]
    y_nm = (start - FRAME + 0.5) * step_y + scene.jitter_nm[z, 0]
    x_nm = (0.5 - FRAME) * step_x + scene.jitter_nm[z, 1]
    at = (z_nm, y_nm, x_nm, step_y, step_x)
    noise = {
        name: field.plane(z_nm, y_nm, x_nm, (step_y, step_x), np.empty(shape, np.float32))
        for name, field in scene.fields.items()
    }
    s1, s2, bare, depth = (np.full(shape, _FAR, np.float32) for _ in range(4))
    owner = np.zeros(shape, np.uint16)
    waves = (noise["wave_a"], noise["wave_b"], noise["rough"])
    boxes = {
        i: box
        for i, body in enumerate(scene.placement.cells)
        if (box := _box(body, at, shape)) is not None
    }
    # Around blebs the depth is drawn less far, because that costs time, and counts
    # more: neighbours keep about a third of the gap to blebs.
    bleb_reach = 60.0 + 0.75 * config.gap_nm
    stretch = (GAP_MOST * config.gap_nm + 200.0) / bleb_reach
    for i, (top, left, rows, cols) in boxes.items():
        corner = (z_nm, y_nm + top * step_y, x_nm + left * step_x, step_y, step_x)
        parts = _capsule_depth(scene.protrusions[i], corner, (rows, cols), reach=bleb_reach)
        body = scene.placement.cells[i]
        kernels.add_cell(body, i + 1, *at, top, left, parts, stretch, *waves, s1, s2, bare, owner)
    clump = scene.placement.clump
    if clump is not None:
        bare = clump.depth(s1, s2, at)
    for i, (top, left, rows, cols) in boxes.items():
        corner = (z_nm, y_nm + top * step_y, x_nm + left * step_x, step_y, step_x)
        nucleus = scene.placement.nuclei[i]
        folds = _capsule_depth(scene.folds[i], corner, (rows, cols), reach=120.0)
        kernels.add_nucleus(
            nucleus, i + 1, *at, top, left, folds, *waves, s1, s2, bare, owner,
            GAP_MOST * config.gap_nm, WALL_NM, depth,
        )  # fmt: skip
    if clump is not None:
        # Half the lead over the second cell stays the distance to the contact.
        s1, s2 = bare, bare - (s1 - s2)
    still = np.zeros(shape, np.float32)
    depths = Depths(
        s1=s1, s2=s2, bare=bare, owner=owner, nucleus=depth, graze_cell=still, graze_nucleus=still
    )
    textures = config.textures(scene.damaged)
    band = Band(z, start, at)
    paint_band(band, depths, noise, scene.organelles, textures, config.gap_nm, out)


def _box(
    body: NDArray[np.float64],
    at: tuple[float, float, float, float, float],
    shape: tuple[int, int],
) -> tuple[int, int, int, int] | None:
    """Rows and columns (top, left, n rows, n columns) that a cell can reach, or None."""
    z, y, x, step_y, step_x = at
    wide = 1.35 * max(body[4], body[5]) + HALO_NM
    if abs(z - body[0]) > 1.35 * body[3] + HALO_NM:
        return None
    top = max(0, int(np.floor((body[1] - wide - y) / step_y)))
    left = max(0, int(np.floor((body[2] - wide - x) / step_x)))
    rows = min(shape[0], int(np.ceil((body[1] + wide - y) / step_y))) - top
    cols = min(shape[1], int(np.ceil((body[2] + wide - x) / step_x))) - left
    return (top, left, rows, cols) if rows > 0 and cols > 0 else None


def _capsule_depth(
    capsules: NDArray[np.float64],
    corner: tuple[float, float, float, float, float],
    shape: tuple[int, int],
    *,
    reach: float,
) -> NDArray[np.float32]:
    depth = np.full(shape, _FAR, np.float32)
    index = np.empty(shape, np.int32)
    along = np.empty(shape, np.float32)
    kernels.draw_capsules(capsules, *corner, reach, depth, index, along)
    return depth
