"""Invaginations, tunnels and pockets of a nucleus, entering from any direction."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive
from helaseg.cells.shape.coarse_mask import CoarseMask
from helaseg.core.grid import ZYX, Grid
from helaseg.core.results import Invagination
from helaseg.image.distance import distance_transform
from helaseg.image.labels import label

Mask = NDArray[np.bool_]

#: Steps of a way, one of each two opposite ones; two voxels along an axis are two steps of one.
_STEPS = [
    step
    for step in itertools.product(range(-2, 3), repeat=3)
    if math.gcd(*step) == 1 and step > (0, 0, 0)
]
#: A second opening of fewer voxel faces than this is a leak between voxels.
_LEAST_OPENING_FACES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class InvaginationConfig:
    """Settings that decide what counts as an invagination.

    Parameters
    ----------
    closing_radius_nm : float
        A ball of this radius rolls over the surface; where it cannot enter is
        an invagination. Openings up to twice as wide are found: reported
        invaginations of nuclei are 0.1 to 1 µm wide, and wider dents belong to
        the form of the nucleus, which the sphere map shows.
    min_depth_nm : float
        Shallower ones are wrinkles: on a nucleus drawn slice by slice they are a
        film over the whole surface.
    min_volume_um3 : float
        Smaller ones are dropped: 0.01 µm³ is a cube of 0.2 µm, four voxels of
        50 nm, less of which has no form.
    """

    closing_radius_nm: float = 600.0
    min_depth_nm: float = 300.0
    min_volume_um3: float = 0.01

    def __post_init__(self) -> None:
        for name in ("closing_radius_nm", "min_depth_nm"):
            check_positive(name, getattr(self, name))
        check_positive("min_volume_um3", self.min_volume_um3, zero=True)


def find_invaginations(
    coarse: CoarseMask, *, config: InvaginationConfig | None = None
) -> tuple[Invagination, ...]:
    """Find where the outside reaches into an object.

    Parameters
    ----------
    coarse : CoarseMask
        The object, from `helaseg.cells.shape.coarse_mask.join_voxels`. What is
        narrower than two of its voxels is not seen.
    config : InvaginationConfig, optional
        Settings.

    Returns
    -------
    tuple of Invagination
        By falling volume.

    Notes
    -----
    1. Close the object by a ball, in nm: dilation and erosion are thresholds of
       exact distances between voxel centres. Where the object is cut by the
       border it is taken to go on straight.
    2. What the closing adds and lies deeper than half of `min_depth_nm` under its
       surface falls into pieces; those that reach `min_depth_nm` are kept. They
       get back what was added within that half depth: the layer under the
       opening, not the thin film that joins the wrinkles of the surface.
    3. Openings: the faces between a piece and the outside of the closed object,
       in patches. Their signed sum is a vector whose length is the area of the
       opening as a flat surface, whatever its orientation, and which points
       outwards.
    4. Depth: the longest of the shortest ways from the opening to each voxel of
       the piece, over steps of up to two voxels (at most 3 % too long).

    Memory: about twenty bytes per voxel of the coarse mask with the reach of the
    ball around it.

    References
    ----------
    Serra, J. Image Analysis and Mathematical Morphology. Academic Press (1982),
    chapter on closings.
    """
    from scipy import ndimage

    config = config or InvaginationConfig()
    pieces, outside, grid = _deep_pieces(coarse, config)
    voxel_um3 = grid.voxel_volume_nm3 / 1e9
    found = []
    for number, where in enumerate(ndimage.find_objects(pieces), 1):
        if where is None:
            continue
        # One voxel around, which the images have room for.
        where = tuple(slice(s.start - 1, s.stop + 1) for s in where)
        piece = pieces[where] == number
        volume_um3 = float(np.count_nonzero(piece) * voxel_um3)
        if volume_um3 >= config.min_volume_um3:
            corner_vx = [s.start for s in where]
            found.append((volume_um3, _measure_piece(piece, outside[where], grid, corner_vx)))
    # Of equal volumes the one met first in the order of z, y, x comes first.
    found.sort(key=lambda entry: -entry[0])
    return tuple(
        Invagination(id=k, volume_um3=volume_um3, **measures)
        for k, (volume_um3, measures) in enumerate(found, 1)
    )


def _deep_pieces(
    coarse: CoarseMask, config: InvaginationConfig
) -> tuple[NDArray[np.int32], Mask, Grid]:
    """Numbered pieces, the outside of the closed object, and the grid of both.

    There is one voxel around the coarse mask. Beyond a side where the object is
    cut nothing is outside, for what is there is not known.
    """
    size = coarse.grid.voxel_size_nm
    reach = [math.ceil(config.closing_radius_nm / s) + 2 for s in size]
    share = coarse.padded(tuple(reach))  # type: ignore[arg-type]
    solid = share >= 128
    del share
    closed = _close(solid, config.closing_radius_nm, size)
    box = tuple(slice(r - 1, 1 - r) for r in reach)
    added = closed[box] & ~solid[box]
    outside = ~closed[box]
    for axis, sides in enumerate(coarse.cut):
        for goes_on, border in zip(sides, (0, -1), strict=True):
            if goes_on:
                for image in (added, outside):
                    np.moveaxis(image, axis, 0)[border] = False
    # From voxel centre to voxel centre: the surface lies half a voxel nearer.
    depth = distance_transform(closed, spacing=size)[box] - min(size) / 2
    del solid, closed
    half = config.min_depth_nm / 2
    deep = added & (depth > half)
    pieces, n = label(deep, connectivity=3, return_count=True)
    reaches = np.zeros(n + 1, bool)
    reaches[pieces[deep & (depth >= config.min_depth_nm)]] = True
    pieces[~reaches[pieces]] = 0
    del depth, deep
    away, nearest = distance_transform(pieces == 0, spacing=size, return_indices=True)
    layer = added & (away <= half + max(size)) & (nearest >= 0)
    pieces[layer] = pieces.reshape(-1)[nearest[layer]]
    return pieces, outside, coarse.padded_grid((1, 1, 1))


def _close(solid: Mask, radius_nm: float, size: ZYX) -> Mask:
    """Closing by a ball: what no ball can reach that stays outside the object."""
    near = distance_transform(~solid, spacing=size) <= radius_nm
    return distance_transform(near, spacing=size) > radius_nm


def _measure_piece(piece: Mask, outside: Mask, grid: Grid, corner_vx: list[int]) -> dict[str, Any]:
    """Measure a piece as an `Invagination`, without its number and volume."""
    size = np.asarray(grid.voxel_size_nm)
    openings = _find_openings(piece, outside, grid)
    centroid = grid.to_nm(np.argwhere(piece).mean(axis=0) + corner_vx)
    areas = [float(np.linalg.norm(vector)) for vector, _ in openings]
    depth = float("nan")
    direction = np.full(3, np.nan)
    if openings:
        vector, first = openings[0]
        direction = -vector / areas[0]
        if len(openings) > 1:
            ends = [np.argwhere(mouth).mean(axis=0) * size for _, mouth in openings[:2]]
            direction = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
        # From the centres of the first to those of the last voxels a voxel is missing.
        depth = _longest_way(piece, first, size) + float(np.linalg.norm(direction * size))
    kinds = ("pocket", "invagination", "tunnel")
    mean_area = sum(areas) / max(len(areas), 1)
    return {
        "kind": kinds[min(len(openings), 2)],
        "depth_nm": depth,
        "opening_um2": sum(areas) / 1e6,
        "opening_width_nm": 2 * math.sqrt(mean_area / math.pi),
        "n_openings": len(openings),
        **{f"centroid_{a}_nm": float(v) for a, v in zip("zyx", centroid, strict=True)},
        **{f"direction_{a}": float(v) for a, v in zip("zyx", direction, strict=True)},
    }


def _find_openings(
    piece: Mask, outside: Mask, grid: Grid
) -> list[tuple[NDArray[np.float64], Mask]]:
    """Vector area (nm², outwards) and voxels of each opening of a piece, the largest first."""
    faces = []
    for axis, area in enumerate(grid.face_areas_nm2):
        for sign in (1, -1):
            beyond = np.roll(outside, -sign, axis)
            faces.append((axis, sign * area, piece & beyond))
    mouth = np.logical_or.reduce([face for _, _, face in faces])
    patches, n = label(mouth, connectivity=3, return_count=True)
    vectors = np.zeros((n + 1, 3))
    for axis, area, face in faces:
        vectors[:, axis] += area * np.bincount(patches[face], minlength=n + 1)
    areas = np.linalg.norm(vectors, axis=1)
    order = sorted(range(1, n + 1), key=lambda k: -areas[k])
    least = _LEAST_OPENING_FACES * max(grid.face_areas_nm2)
    # The largest is an opening however small; an area of 0 has no direction.
    kept = [k for i, k in enumerate(order) if areas[k] >= (least if i else 1e-9)]
    return [(vectors[k], patches == k) for k in kept]


def _longest_way(piece: Mask, first: Mask, size: NDArray[np.float64]) -> float:
    """Longest of the shortest ways within a piece from some of its voxels to the others, in nm."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    # Two voxels around, so that a step from a voxel of the piece stays in the array.
    room = np.pad(piece, 2)
    numbers = np.full(room.shape, -1, np.int64)
    voxels = np.flatnonzero(room)
    numbers.reshape(-1)[voxels] = np.arange(len(voxels))
    starts, ends, lengths = [], [], []
    for step in _STEPS:
        there = numbers.reshape(-1)[voxels + np.dot(step, np.array(numbers.strides) // 8)]
        joined = there >= 0
        starts.append(np.flatnonzero(joined))
        ends.append(there[joined])
        lengths.append(np.full(len(ends[-1]), np.linalg.norm(step * size)))
    graph = coo_array(
        (np.concatenate(lengths), (np.concatenate(starts), np.concatenate(ends))),
        shape=(len(voxels), len(voxels)),
    )
    sources = numbers[np.pad(first, 2)]
    ways = dijkstra(graph.tocsr(), directed=False, indices=sources, min_only=True)
    return float(ways[np.isfinite(ways)].max())
