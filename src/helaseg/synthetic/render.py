"""Drawing one slice of a scene, a band of rows at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import phantom as kernels
from helaseg._kernels import phantom_grey
from helaseg.synthetic.scene import Scene

#: Rows drawn at a time: bounds the memory for a slice of any size.
BAND_ROWS = 512
#: Frame around a band: one pixel for the blur, one for the slopes of the ER.
FRAME = 2
#: Cytoplasm between nucleus and plasma membrane (nm).
WALL_NM = 130.0
#: Standard deviation of the noise before the blur in resin, and its rise per grey
#: value below 200 (measured on the real slices: 4.3 in resin, 5.5 in nuclei after it).
GRAIN, GRAIN_SLOPE = 17.6, 0.075
#: Mean distance of ER sheets (nm).
SHEET_NM = 600.0
#: Largest factor on the gap between cells, see `phantom_grey.shade`.
GAP_MOST = 2.0
#: How far around a cell its depth is known (nm): where the resin is lighter.
HALO_NM = 1300.0
_FAR = np.float32(-1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedSlice:
    """Grey values and truth of one slice, each of shape (Y, X).

    Parameters
    ----------
    image : ndarray of uint8
        Grey values.
    cell, nucleus, envelope : ndarray of uint16
        Id of the cell.
    mitochondria : ndarray of uint16 or uint32
        Id of the mitochondrion.
    """

    image: NDArray[np.uint8]
    cell: NDArray[np.uint16]
    nucleus: NDArray[np.uint16]
    envelope: NDArray[np.uint16]
    mitochondria: NDArray[Any]


def empty_slice(scene: Scene) -> RenderedSlice:
    """Arrays for `render_slice`, to be used again for every slice."""
    shape = scene.config.shape[1:]
    return RenderedSlice(
        image=np.empty(shape, np.uint8),
        cell=np.empty(shape, np.uint16),
        nucleus=np.empty(shape, np.uint16),
        envelope=np.empty(shape, np.uint16),
        mitochondria=np.empty(shape, scene.mitochondria_dtype),
    )


def render_slice(scene: Scene, z: int, *, out: RenderedSlice | None = None) -> RenderedSlice:
    """Draw slice `z`: a pure function of scene and z, whatever was drawn before.

    Notes
    -----
    1. Depth of every pixel in the nearest and in the second nearest cell.
    2. Depth in the nucleus of the cell that owns the pixel.
    3. Organelles and debris, as depths below their surfaces.
    4. Grey values and truth (`phantom_grey.shade`).
    5. Electron noise, blur, rounding (`phantom.film`).
    """
    out = empty_slice(scene) if out is None else out
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
    s1, s2, bare, depth, organ = (np.full(shape, _FAR, np.float32) for _ in range(5))
    along = np.zeros(shape, np.float32)
    owner = np.zeros(shape, np.uint16)
    index = np.full(shape, -1, np.int32)
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
    for i, (top, left, rows, cols) in boxes.items():
        corner = (z_nm, y_nm + top * step_y, x_nm + left * step_x, step_y, step_x)
        nucleus = scene.placement.nuclei[i]
        folds = _capsule_depth(scene.folds[i], corner, (rows, cols), reach=120.0)
        kernels.add_nucleus(
            nucleus, i + 1, *at, top, left, folds, *waves, s1, s2, bare, owner,
            GAP_MOST * config.gap_nm, WALL_NM, depth,
        )  # fmt: skip
    things = scene.organelles
    kernels.draw_capsules(things.capsules, *at, 0.0, organ, index, along)
    grey = np.empty(shape, np.float32)
    truth = [np.empty(shape, np.uint16) for _ in range(3)]
    mitochondria = np.empty(shape, out.mitochondria.dtype)
    names = ("rough", "sheet", "breaks", "fine", "coarse", "slow", "flat", "blob")
    arguments: list[Any] = [s1, s2, bare, owner, depth, organ, index, along]
    arguments += [things.kind, things.home, things.number, *(noise[name] for name in names)]
    arguments += [config.grid.pixel_nm, config.gap_nm, 0.5 * config.envelope_nm, SHEET_NM]
    arguments += [config.contrast, grey, *truth, mitochondria]
    phantom_grey.shade(*arguments)
    core = (slice(FRAME, -FRAME), slice(FRAME, -FRAME))
    for target, plane in zip((out.cell, out.nucleus, out.envelope), truth, strict=True):
        target[start:stop] = plane[core]
    out.mitochondria[start:stop] = mitochondria[core]
    grain, slope, gain, offset, lines = _exposure(scene, z)
    inner = np.ascontiguousarray(grey[1:-1, 1:-1])
    kernels.film(
        config.seed, z, start, inner, grain, slope, gain, offset, lines, out.image[start:stop]
    )


def _exposure(scene: Scene, z: int) -> tuple[float, float, float, float, float]:
    """Noise, its slope, gain, offset and row noise of a slice."""
    rng = np.random.default_rng([scene.config.seed, 6, z])
    f = scene.config.noise
    gain, offset = 1 + f * rng.normal(0, 0.006), f * rng.normal(0, 0.8)
    if z in scene.damaged:
        return 2.5 * f * GRAIN, f * GRAIN_SLOPE, 0.45 * gain, 40.0 + offset, 14.0
    # The gain turns about the mean grey value, so that it changes contrast alone.
    return f * GRAIN, f * GRAIN_SLOPE, gain, 165.0 * (1 - gain) + offset, 0.9 * f


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
