"""Shaded pictures of solids: a nucleus inside a transparent cell."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from helaseg.core.grid import Grid

#: Samples across the picture, and along a line of sight one per this number of them.
_SIZE_PX = 340
_DEPTH_STEP = 2
#: Where the light comes from: left, above and behind the viewer (right, down, away).
_LIGHT = np.array([-0.45, -0.55, -0.7]) / np.linalg.norm([-0.45, -0.55, -0.7])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A look at a volume from far away.

    Parameters
    ----------
    frame : ndarray, shape (3, 3)
        Unit vectors z, y, x that point to the right, down and away from the
        viewer.
    centre_nm : ndarray, shape (3,)
        What the middle of the picture shows.
    width_nm : float
        Extent of the picture, which is square, and of the depth.
    """

    frame: NDArray[np.float64]
    centre_nm: NDArray[np.float64]
    width_nm: float


def look_at(
    mask: NDArray[np.bool_],
    grid: Grid,
    *,
    elevation_deg: float = 22.0,
    azimuth_deg: float = 60.0,
) -> View:
    """A view of what is True, from above the first slice; z points down the picture.

    The picture is as small as it can be around the object; an empty mask is
    shown as a whole.
    """
    up, turn = np.radians((elevation_deg, azimuth_deg))
    # As x, y, z, for the handedness of the cross product.
    level = np.array([np.cos(turn), np.sin(turn), 0.0])
    z = np.array([0.0, 0.0, 1.0])
    away = np.cos(up) * level + np.sin(up) * z
    down = np.cos(up) * z - np.sin(up) * level
    frame = np.stack([np.cross(down, away), down, away])[:, ::-1]
    # Every fourth voxel is enough for a margin of 5 %.
    places = np.argwhere(mask[:, ::4, ::4]) * (1, 4, 4)
    if not len(places):
        places = np.array([*itertools.product(*((0, n - 1) for n in mask.shape))])
    shown = grid.to_nm(places) @ frame.T
    low, high = shown.min(axis=0), shown.max(axis=0)
    return View(
        frame=frame,
        centre_nm=(low + high) / 2 @ frame,
        width_nm=float(1.05 * (high - low).max() + 4 * max(grid.voxel_size_nm)),
    )


def render_solids(
    solids: Sequence[tuple[NDArray[np.bool_], str, bool]], grid: Grid, view: View
) -> NDArray[np.float32]:
    """Draw solids as seen in parallel light.

    Parameters
    ----------
    solids : sequence of (mask, colour, glassy)
        Masks of the shape of `grid`, from the innermost to the outermost. A
        glassy one lets the ones before it through, least at its rim.
    grid : Grid
        Voxel size and offset.
    view : View
        From `look_at`.

    Returns
    -------
    ndarray of float32, shape (rows, columns, 3)
        RGB between 0 and 1, white where there is nothing.

    Notes
    -----
    1. Each mask is blurred by one and a half voxels and read on a cube of lines of sight.
    2. The surface is where the share first passes one half; its normal is the
       gradient there.
    3. Brightness: light that falls on the surface, and some from everywhere.
    """
    picture = np.ones((_SIZE_PX, _SIZE_PX, 3), np.float32)
    for mask, colour, glassy in solids:
        normals, seen = _first_surface(mask, grid, view)
        lit = 0.42 + 0.68 * np.clip(normals @ _LIGHT, 0, 1)
        shaded = np.clip(np.asarray(to_rgb(colour)) * lit[..., None], 0, 1)
        # A surface seen at a slant is a longer way through glass.
        slant = 1 - np.abs(normals[..., 2])
        cover = (0.22 + 0.6 * slant**2 if glassy else np.ones_like(slant)) * seen
        picture += (cover[..., None] * (shaded - picture)).astype(np.float32)
    return picture


def _first_surface(
    mask: NDArray[np.bool_], grid: Grid, view: View
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Outward normals (right, down, away) of what is seen first, and where anything is."""
    from scipy import ndimage

    step_nm = view.width_nm / _SIZE_PX
    size = np.asarray(grid.voxel_size_nm)
    # At least a voxel of the picture, so that its stairs do not show either.
    sigmas = 1.5 * max(step_nm, size.max()) / size
    field = ndimage.gaussian_filter(
        np.multiply(mask, 255, dtype=np.uint8), sigmas, mode="constant", output=np.uint8
    )
    # From (away, down, right) of the picture to voxels; depth itself is not shown, so that
    # steps along the line of sight may be longer.
    steps_nm = step_nm * np.array([_DEPTH_STEP, 1, 1])
    shape = (_SIZE_PX // _DEPTH_STEP, _SIZE_PX, _SIZE_PX)
    to_voxels = (view.frame[::-1] * steps_nm[:, None] / size).T
    corner = grid.to_vx(view.centre_nm) - to_voxels @ ((np.array(shape) - 1) / 2)
    lines = ndimage.affine_transform(
        field,
        to_voxels,
        offset=corner,
        output_shape=shape,
        order=1,
        mode="constant",
        output=np.uint8,
    )
    inside = lines >= 128
    seen = inside.any(axis=0)
    depth = inside.argmax(axis=0)
    rows, columns = np.indices(seen.shape)
    at = np.clip(np.stack([depth, rows, columns]).T, 1, np.array(shape) - 2).T
    slopes = []
    for axis in (2, 1, 0):
        ahead, behind = at.copy(), at.copy()
        ahead[axis] += 1
        behind[axis] -= 1
        falls = lines[tuple(behind)].astype(np.float64) - lines[tuple(ahead)]
        slopes.append(falls / steps_nm[axis])
    normals = np.stack(slopes, axis=-1)
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals / np.maximum(lengths, 1e-9), seen
