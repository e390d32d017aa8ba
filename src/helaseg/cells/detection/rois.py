"""Boxes around cells, to crop them from the volume.

Published: 300 x 2000 x 2000 voxels around the centroid of the track, moved to
stay inside the volume (Karabağ et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from helaseg._validate import as_zyx, check_choice
from helaseg.core.grid import Grid, IntZYX, Roi
from helaseg.core.objects import Track
from helaseg.errors import ParameterError

Bounds = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoiConfig:
    """Settings for the boxes around cells.

    Parameters
    ----------
    mode : {"fitted", "fixed"}
        ``"fixed"``: all boxes have `size_nm` and lie around the centroid of
        the track. ``"fitted"``: around the disks of the detections, plus the
        margin.
    size_nm : tuple of float
        Size of a fixed box, z, y, x; published 300 x 2000 x 2000 voxels of
        50 x 10 x 10 nm.
    margin_nm : tuple of float
        Added on both sides of a fitted box, z, y, x. Detections are a probe
        (1 µm) apart in z and begin below the pole, and the disk is the largest
        that fits into the cell: protrusions and corners reach farther (real
        slices: up to 3 µm).
    border : {"shift", "clip", "pad"}
        A box that leaves the volume is moved inside (published), cut off, or
        left as it is, to be padded by who reads it. A moved box that is larger
        than the volume is cut off.
    """

    mode: Literal["fixed", "fitted"] = "fitted"
    size_nm: tuple[float, float, float] = (15000.0, 20000.0, 20000.0)
    margin_nm: tuple[float, float, float] = (1500.0, 3000.0, 3000.0)
    border: Literal["shift", "clip", "pad"] = "shift"

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, ("fixed", "fitted"))
        check_choice("border", self.border, ("shift", "clip", "pad"))
        object.__setattr__(self, "size_nm", as_zyx("size_nm", self.size_nm, positive=True))
        margin = as_zyx("margin_nm", self.margin_nm)
        if min(margin) < 0:
            msg = f"'margin_nm' must not be negative, got {self.margin_nm!r}"
            raise ParameterError(msg)
        object.__setattr__(self, "margin_nm", margin)


def rois_from_tracks(
    tracks: Sequence[Track], grid: Grid, *, config: RoiConfig | None = None
) -> dict[int, Roi]:
    """One box of voxels per track.

    Parameters
    ----------
    tracks : sequence of Track
        From `link_detections`.
    grid : Grid
        Of the volume.
    config : RoiConfig, optional
        How boxes are drawn.

    Returns
    -------
    dict of int to Roi
        By track id, in the order of the tracks.

    Raises
    ------
    ParameterError
        If two tracks have one id.
    """
    config = config or RoiConfig()
    rois: dict[int, Roi] = {}
    for track in tracks:
        if track.id in rois:
            msg = f"'tracks' must have different ids, id {track.id} occurs twice"
            raise ParameterError(msg)
        box = (
            _fixed(track, grid, config) if config.mode == "fixed" else _fitted(track, grid, config)
        )
        rois[track.id] = _place(box, grid.shape, config.border)
    return rois


def _fixed(track: Track, grid: Grid, config: RoiConfig) -> Roi:
    size = [
        max(1, round(nm / vx)) for nm, vx in zip(config.size_nm, grid.voxel_size_nm, strict=True)
    ]
    # Half the size before the voxel of the centroid, as published: r - 1000 to r + 999.
    start = [round(c) - n // 2 for c, n in zip(track.centroid, size, strict=True)]
    return _roi(start, [a + n for a, n in zip(start, size, strict=True)])


def _fitted(track: Track, grid: Grid, config: RoiConfig) -> Roi:
    vz, vy, vx = grid.voxel_size_nm
    seen = track.detections
    bounds: Bounds = (
        (track.first_slice, track.last_slice),
        (min(d.y - d.radius_nm / vy for d in seen), max(d.y + d.radius_nm / vy for d in seen)),
        (min(d.x - d.radius_nm / vx for d in seen), max(d.x + d.radius_nm / vx for d in seen)),
    )
    margins = [nm / size for nm, size in zip(config.margin_nm, (vz, vy, vx), strict=True)]
    start = [round(low - m) for (low, _), m in zip(bounds, margins, strict=True)]
    stop = [round(high + m) + 1 for (_, high), m in zip(bounds, margins, strict=True)]
    return _roi(start, stop)


def _roi(start: Sequence[int], stop: Sequence[int]) -> Roi:
    return Roi(start=tuple(start), stop=tuple(stop))  # type: ignore[arg-type]


def _place(box: Roi, shape: IntZYX, border: str) -> Roi:
    if border == "pad":
        return box
    if border == "clip":
        return box.clip(shape)
    by = [
        -a if a < 0 or b - a >= n else min(0, n - b)
        for a, b, n in zip(box.start, box.stop, shape, strict=True)
    ]
    return box.shift(by).clip(shape)
