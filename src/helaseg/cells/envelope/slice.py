"""The nuclear envelope in one slice: the outline moved onto the dark line, and measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive, check_range
from helaseg.cells.envelope.contours import blur_along, inward_normals, trace_contours
from helaseg.cells.envelope.line_profiles import (
    Profiles,
    blur_across,
    measure_lines,
    sample_profiles,
    unblurred_width,
)
from helaseg.core.grid import Grid

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Depth = Callable[[Floats], Floats]

#: Cost of a place that lies nearer to another stretch of the outline: never taken.
FORBIDDEN = 100.0
#: A curve whose line is on the median no deeper than this many times the texture of
#: the nucleus shows no envelope. Noise alone gives 1.2, real and phantom nuclei 4 and more.
NO_LINE = 1.5
#: The least that a usual line is worth, in the same unit.
LEAST_LINE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeConfig:
    """Settings for moving the outline of the nucleus onto the dark line.

    Parameters
    ----------
    search_nm : float
        Farthest that a vertex may move. Where there is a line the outline of
        `segment_nucleus` mostly lies within 25 nm of it; farther out the next dark
        thing is as likely the endoplasmic reticulum. 60 to 130 nm gave the same.
    vertex_nm, sample_nm : float
        Distance of vertices along the curve and of grey values across it. 20 nm
        resolve the bends of the envelope, 5 nm are a tenth of its width.
    across_nm, along_nm : float
        Gaussian that the path sees. Across: half a line, so that two membranes
        count as one; along: three vertices.
    edge_nm : float
        Gaussian across the line when its flanks are measured; one published pixel.
    shoulder_nm : float
        Farthest that a flank of the line may lie from its middle.
    stay, bend : float
        Price of leaving the outline by 100 nm, and of moving by one sample from
        vertex to vertex, in depths of the line. Three times less or more of the
        one, none or ten times more of the other changed the mean distance to the
        truth by 5 % at most (benchmarks/envelope_choices.py).
    confident : float
        Vertices of at least this confidence count for the thickness; below it the
        error of the outline rises.
    """

    search_nm: float = 80.0
    vertex_nm: float = 20.0
    sample_nm: float = 5.0
    across_nm: float = 25.0
    along_nm: float = 60.0
    edge_nm: float = 10.0
    shoulder_nm: float = 80.0
    stay: float = 0.3
    bend: float = 0.1
    confident: float = 0.5

    def __post_init__(self) -> None:
        for name in ("search_nm", "vertex_nm", "sample_nm", "across_nm", "shoulder_nm"):
            check_positive(name, getattr(self, name))
        for name in ("along_nm", "edge_nm", "stay", "bend"):
            check_positive(name, getattr(self, name), zero=True)
        check_range("confident", self.confident, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Dark line under one outline of one slice; one value per vertex.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2)
        y, x in pixels of the slice.
    width_nm : ndarray of float64, shape (n,)
        Of the line in the plane of the slice, without the blur of the measurement.
    depth : ndarray of float64, shape (n,)
        Grey levels from the bottom of the line to its lower shoulder.
    upright : ndarray of float64, shape (n,)
        Sine of the angle between envelope and cut: 1 where it stands upright, 0 where
        the cut grazes it.
    texture : float
        Depth of what looks like a line inside the nucleus of this slice.
    """

    points: Floats
    width_nm: Floats
    depth: Floats
    upright: Floats
    texture: float

    @property
    def seen(self) -> bool:
        """Return whether there is a line at all."""
        return bool(np.median(self.depth) > NO_LINE * self.texture)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """An outline of the mask with the grey values across it."""

    points: Floats
    normals: Floats
    pixel_nm: float
    profiles: Profiles
    sharp: Profiles

    def moved(self, shift_nm: Floats, config: EnvelopeConfig) -> Floats:
        """The vertices moved inwards by a smoothed shift."""
        vertex_nm = _vertex_px(self.points) * self.pixel_nm
        smooth_nm = blur_along(shift_nm, 2 * config.vertex_nm / vertex_nm)
        return self.points + (smooth_nm / self.pixel_nm)[:, None] * self.normals


def find_lines(
    image: NDArray[Any],
    own: Mask,
    beside: Sequence[Mask],
    *,
    factor: int,
    grid: Grid,
    config: EnvelopeConfig,
) -> list[Line]:
    """The dark line under each outline of a nucleus in one slice.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        The slice.
    own : ndarray of bool, shape (y, x)
        The nucleus at the working pixel size.
    beside : sequence of ndarray of bool
        The same in the slices before and after, as far as there are any.
    factor : int
        Pixels of the slice per working pixel.
    grid : Grid
        Of the crop.
    config : EnvelopeConfig
        Settings.

    Returns
    -------
    list of Line
        One per closed outline, of islands and of holes; none for an empty mask.
    """
    if not own.any():
        return []
    pixel_nm = grid.pixel_nm
    reach_nm = config.search_nm + config.shoulder_nm
    box = _box_around(own, 2 + int(2 * reach_nm / (pixel_nm * factor)))
    window = tuple(slice(s.start * factor, s.stop * factor) for s in box)
    part = image[window].astype(np.float32)
    depth_nm, *depths_beside = (
        _depth_nm(mask[box], factor * pixel_nm, factor) for mask in (own, *beside)
    )
    outlines = [
        _look_across(part, curve, pixel_nm, config)
        for curve in trace_contours(
            own[box],
            factor=factor,
            step_px=config.vertex_nm / pixel_nm,
            smooth_px=2 * config.vertex_nm / pixel_nm,
        )
    ]
    texture = _texture(outlines, config)
    corner = np.array([s.start for s in window], float)
    lines = []
    for outline in outlines:
        at_nm = _follow_line(outline, depth_nm, texture, pixel_nm, config)
        upright = _upright(outline.points, depths_beside, grid.slice_nm)
        line = _measure(part, outline, at_nm, upright, texture, pixel_nm, config)
        lines.append(replace(line, points=line.points + corner))
    return lines


def _look_across(
    part: NDArray[np.float32], curve: Floats, pixel_nm: float, config: EnvelopeConfig
) -> _Outline:
    normals = inward_normals(curve)
    raw = sample_profiles(
        part,
        curve,
        normals,
        pixel_nm=pixel_nm,
        reach_nm=config.search_nm + config.shoulder_nm,
        step_nm=config.sample_nm,
    )
    smooth = blur_along(raw.values, config.along_nm / pixel_nm / _vertex_px(curve))
    sharp = blur_across(smooth, config.edge_nm / config.sample_nm)
    return _Outline(
        points=curve,
        normals=normals,
        pixel_nm=pixel_nm,
        profiles=Profiles(values=smooth, offsets_nm=raw.offsets_nm),
        sharp=Profiles(values=sharp, offsets_nm=raw.offsets_nm),
    )


def _vertex_px(curve: Floats) -> float:
    """Mean distance of neighbouring vertices."""
    return float(np.hypot(*(np.roll(curve, -1, axis=0) - curve).T).mean())


def _texture(outlines: list[_Outline], config: EnvelopeConfig) -> float:
    """Depth of what looks like a line in the nucleus, where there is none."""
    depths = []
    for outline in outlines:
        inside_nm = np.full(len(outline.points), config.search_nm)
        depths.append(measure_lines(outline.sharp, inside_nm, shoulder_nm=config.shoulder_nm).depth)
    return float(np.median(np.concatenate(depths)))


def _follow_line(
    outline: _Outline, depth_nm: Depth, texture: float, pixel_nm: float, config: EnvelopeConfig
) -> Floats:
    """Offset of the dark line at every vertex, in whole samples."""
    grey = blur_across(outline.profiles.values, config.across_nm / config.sample_nm)
    darkness = np.median(grey, axis=1)[:, None] - grey
    near = np.abs(outline.profiles.offsets_nm) <= config.search_nm + 1e-6
    darkness, offsets_nm = darkness[:, near], outline.profiles.offsets_nm[near]
    usual = max(float(np.median(darkness.max(axis=1))), LEAST_LINE * texture, 1e-6)
    # Something darker than the usual line is not a better envelope.
    cost = np.maximum(-darkness / usual, -1.0) + config.stay * (offsets_nm / 100.0) ** 2
    steps = (offsets_nm / pixel_nm)[:, None] * outline.normals[:, None]
    # A place that far off the outline but close to it lies on another wall of a fold.
    other_wall = np.abs(depth_nm(outline.points[:, None] + steps)) < (
        0.6 * np.abs(offsets_nm) - config.vertex_nm
    )
    cost[other_wall] = FORBIDDEN
    return offsets_nm[_closed_path(np.ascontiguousarray(cost, np.float32), config.bend)]


def _closed_path(cost: NDArray[np.float32], bend: float) -> NDArray[np.int32]:
    """Cheapest closed path through the column where one over two rounds has settled."""
    from helaseg._kernels import paths

    n, k = cost.shape
    back, out = np.empty((2 * n, k), np.int16), np.empty(2 * n, np.int32)
    room = np.empty(k), np.empty(k)
    paths.cheapest_path(np.concatenate([cost, cost]), 1, bend, -1, back, *room, out)
    # The first vertex of the second round is farthest from both free ends.
    paths.cheapest_path(cost, 1, bend, int(out[n]), back[:n], *room, out[:n])
    return out[:n]


def _measure(
    part: NDArray[np.float32],
    outline: _Outline,
    at_nm: Floats,
    upright: Floats,
    texture: float,
    pixel_nm: float,
    config: EnvelopeConfig,
) -> Line:
    """The line near the path: middle, width, depth."""
    # Seen from the path itself: from an outline that wavers about the line, what is
    # averaged along it would be smeared across it.
    near = _look_across(part, outline.moved(at_nm, config), pixel_nm, config)
    flanks = measure_lines(near.sharp, np.zeros(len(at_nm)), shoulder_nm=config.shoulder_nm)
    # The middle may leave the path by half a line, not farther.
    middle_nm = np.clip(flanks.middle_nm, -config.across_nm, config.across_nm)
    # Blurred on purpose, by pixels (1/12) and by the interpolation between them (1/6).
    blur_nm = math.sqrt(config.edge_nm**2 + pixel_nm**2 / 4)
    line = Line(
        points=near.moved(middle_nm, config),
        width_nm=unblurred_width(flanks.width_nm, blur_nm),
        depth=flanks.depth,
        upright=upright,
        texture=texture,
    )
    return line if line.seen else replace(line, points=outline.points)


def _upright(points: Floats, depths_beside: Sequence[Depth], slice_nm: float) -> Floats:
    """Sine of the angle between envelope and cut; 1 where no slice lies beside."""
    if not depths_beside:
        return np.ones(len(points))
    moved_nm = np.mean([np.abs(depth_nm(points)) for depth_nm in depths_beside], axis=0)
    return np.asarray(slice_nm / np.hypot(slice_nm, moved_nm))


def _depth_nm(mask: Mask, working_nm: float, factor: int) -> Depth:
    """Depth inside a mask, negative outside, at points y, x in pixels that are not joined."""
    import cv2

    from helaseg.image.distance import distance_transform

    # Where there is no border it is too far away to matter.
    depth = np.full(mask.shape, 1e6 if mask.any() else -1e6, np.float32)
    if mask.any() and not mask.all():
        steps = np.where(mask, distance_transform(mask) - 0.5, 0.5 - distance_transform(~mask))
        depth = (steps * working_nm).astype(np.float32)

    def at(points: Floats) -> Floats:
        there = ((points + 0.5) / factor - 0.5).astype(np.float32).reshape(-1, 1, 2)
        values = np.empty(len(there))
        # remap takes no table of 32768 rows or more
        for start in range(0, len(there), 32000):
            y, x = (there[start : start + 32000, :, k] for k in (0, 1))
            values[start : start + 32000] = cv2.remap(
                depth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )[:, 0]
        return values.reshape(points.shape[:-1])

    return at


def _box_around(mask: Mask, margin_px: int) -> tuple[slice, slice]:
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(int(rows[0]) - margin_px, 0), int(rows[-1]) + margin_px + 1),
        slice(max(int(cols[0]) - margin_px, 0), int(cols[-1]) + margin_px + 1),
    )
