"""From the probabilities of a network to one nucleus. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.deep.unet_config import Head
from helaseg.errors import ParameterError

Bytes = NDArray[np.uint8]
#: Which components of a mask are kept.
Keep = Literal["target", "largest", "all"]
#: 10,000 voxels of 50 nm, below which Spiers et al. 2021 drop a component.
MIN_VOLUME_UM3 = 1.25
#: Border between inside and outside in bytes.
HALF = 128


def nucleus_probability(probability: Bytes, classes: Sequence[str], *, head: Head) -> Bytes:
    """Compute the probability of the nucleus up to the midline of its envelope.

    Parameters
    ----------
    probability : ndarray of uint8, shape (C, Z, Y, X)
        0 to 255.
    classes : sequence of str
        Names of the channels.
    head : {"binary", "classes", "distance"}
        What they mean.

    Returns
    -------
    ndarray of uint8, shape (Z, Y, X)
        128 and more inside.

    Raises
    ------
    ParameterError
        If neither nucleus nor nuclear envelope is among the classes.

    Notes
    -----
    - A softmax with both: nucleus plus half of the envelope. In the middle of the envelope
      what is left is shared by both sides, so that the sum passes 0.5 there.
    - Nucleus alone, and several sigmoids: the nucleus.
    - Envelope alone: what it encloses, and the inner half of it.
    """
    names = list(classes)
    if "nucleus" in names:
        inside = probability[names.index("nucleus")]
        if head != "classes" or "nuclear envelope" not in names:
            return inside
        band = probability[names.index("nuclear envelope")]
        return np.minimum(inside.astype(np.uint16) + (band.astype(np.uint16) + 1) // 2, 255).astype(
            np.uint8
        )
    if "nuclear envelope" in names:
        return _enclosed(probability[names.index("nuclear envelope")] >= HALF)
    msg = f"a nucleus needs the class 'nucleus' or 'nuclear envelope', got {', '.join(names)}"
    raise ParameterError(msg)


def _enclosed(band: NDArray[np.bool_]) -> Bytes:
    """Fill an envelope in its slices, up to its midline."""
    from helaseg.image import distance_transform, fill_holes

    found = np.zeros(band.shape, np.uint8)
    for z, ring in enumerate(band):
        filled = fill_holes(ring)
        inner = filled & ~ring
        if inner.any():
            near = distance_transform(~inner) <= distance_transform(filled)
            found[z] = np.where(inner | (ring & near), 255, 0)
    return found


def keep_components(
    mask: NDArray[np.bool_],
    grid: Grid,
    *,
    keep: Keep = "target",
    target_vx: tuple[float, float, float] | None = None,
    min_volume_um3: float = MIN_VOLUME_UM3,
) -> NDArray[np.bool_]:
    """Drop small components, and all but one if one is wanted.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        Components touch by faces, edges or corners (26 neighbours).
    grid : Grid
        Its voxels.
    keep : {"target", "largest", "all"}
        The component that holds the target, or else lies nearest to it; the largest; all.
    target_vx : tuple of float, optional
        Point in the target, in voxels of `mask`; its middle by default.
    min_volume_um3 : float
        Smaller components are dropped. Those that the mask cuts through (a few slices of a
        nucleus) are judged as if they went on: by their largest section, as a ball.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
    """
    from helaseg.image import label

    parts, n = label(mask, connectivity=3, return_count=True)
    if n == 0:
        return np.zeros(mask.shape, bool)
    volume_um3 = np.bincount(parts.ravel(), minlength=n + 1) * grid.voxel_volume_nm3 / 1e9
    pixel_um2 = grid.face_areas_nm2[0] / 1e6
    widest_um2 = np.zeros(n + 1)
    for plane in parts:
        section_um2 = np.bincount(plane.ravel(), minlength=n + 1) * pixel_um2
        widest_um2 = np.maximum(widest_um2, section_um2)
    cut = np.zeros(n + 1, bool)
    cut[np.unique(parts[[0, -1]])] = True
    ball_um3 = 4 / 3 * np.pi * (widest_um2 / np.pi) ** 1.5
    size = np.where(cut, np.maximum(volume_um3, ball_um3), volume_um3)
    large = size >= min_volume_um3
    large[0] = False
    if not large.any():
        return np.zeros(mask.shape, bool)
    if keep == "all":
        return large[parts]
    if keep == "largest":
        return parts == int(np.argmax(np.where(large, volume_um3, -1)))
    middle = [(s - 1) / 2 for s in mask.shape] if target_vx is None else list(target_vx)
    return parts == _nearest(parts, large, middle, grid)


def _nearest(
    parts: NDArray[np.int32], large: NDArray[np.bool_], point: Sequence[float], grid: Grid
) -> int:
    """The component that lies nearest to a point; the smaller number of two."""
    from helaseg.image import distance_transform

    at = tuple(min(max(round(p), 0), n - 1) for p, n in zip(point, parts.shape, strict=True))
    here = int(parts[at])
    if large[here]:
        return here
    everywhere = np.ones(parts.shape, bool)
    everywhere[at] = False
    away = distance_transform(everywhere, spacing=grid.voxel_size_nm)
    candidates = large[parts]
    least = away[candidates].min()
    return int(parts[candidates & (away == least)].min())
