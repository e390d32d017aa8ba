"""The surface of a nucleus as a map on a sphere: how far it lies from an ellipsoid."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive
from helaseg.cells.shape.coarse_mask import CoarseMask
from helaseg.cells.shape.ellipsoid import Ellipsoid

#: Voxels added around the object, so that lines leave it within the array.
_PAD = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SphereMap:
    """A surface seen from the centre of an ellipsoid, in cells of equal solid angle.

    Row r of n covers the sines of latitude from ``2 r / n - 1`` to
    ``2 (r + 1) / n - 1``, column c of m the longitudes from ``360 c / m`` to
    ``360 (c + 1) / m`` degrees. The poles are the z axis (latitude grows with
    z), longitude runs from the x axis towards the y axis: the equal-area
    cylindrical map of Lambert.

    Parameters
    ----------
    distance_nm : ndarray of float32, shape (rows, columns)
        Distance of the outermost point of the surface to the ellipsoid,
        positive outside; nan where there is none or the object is cut there.
    radius_nm : ndarray of float32, shape (rows, columns)
        Distance of that point to the centre.
    n_exits : ndarray of uint8, shape (rows, columns)
        How often the line from the centre leaves the object; more than once
        where the surface is folded.
    """

    distance_nm: NDArray[np.float32]
    radius_nm: NDArray[np.float32]
    n_exits: NDArray[np.uint8]

    @property
    def mean_nm(self) -> float:
        """Mean distance over the directions that have one; nan if none has."""
        return self._reduced(np.mean)

    @property
    def sd_nm(self) -> float:
        """Standard deviation of the distance."""
        return self._reduced(np.std)

    @property
    def range_nm(self) -> tuple[float, float]:
        """Smallest and largest distance."""
        return self._reduced(np.min), self._reduced(np.max)

    @property
    def folded_fraction(self) -> float:
        """Part of the sphere in which the surface is met more than once."""
        return float(np.mean(self.n_exits > 1))

    def _reduced(self, reduce: Callable[..., Any]) -> float:
        known = self.distance_nm[np.isfinite(self.distance_nm)]
        return float(reduce(known.astype(np.float64))) if known.size else float("nan")


def sphere_directions(n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """Unit vectors z, y, x of the middles of the cells of a map, shape (rows, columns, 3)."""
    z = (2 * np.arange(n_rows) + 1) / n_rows - 1
    turn = 2 * np.pi * (np.arange(n_columns) + 0.5) / n_columns
    flat = np.sqrt(1 - z * z)[:, None]
    return np.stack(
        np.broadcast_arrays(z[:, None], flat * np.sin(turn), flat * np.cos(turn)), axis=-1
    )


def map_to_sphere(
    coarse: CoarseMask, ellipsoid: Ellipsoid, *, n_rows: int = 90, n_columns: int = 180
) -> SphereMap:
    """Follow lines from the centre of an ellipsoid to the surface of an object.

    Parameters
    ----------
    coarse : CoarseMask
        The object, from `helaseg.cells.shape.coarse_mask.join_voxels`.
    ellipsoid : Ellipsoid
        What distances are measured to, in the coordinates of the grid.
    n_rows, n_columns : int
        Size of the map. The default has cells of 0.2 µm on a nucleus of 12 µm,
        four joined voxels.

    Returns
    -------
    SphereMap

    Raises
    ------
    ParameterError
        If a size is not positive.

    Notes
    -----
    1. The shares of the voxels are blurred by 0.7 voxels, which turns the
       stairs between slices into slopes, and read along each line every half
       voxel by linear interpolation.
    2. The surface is where the share passes one half; exits are counted, the
       outermost is kept.
    3. Its distance to the ellipsoid is that to the nearest point, not along the
       line.
    """
    from scipy import ndimage

    check_positive("n_rows", n_rows)
    check_positive("n_columns", n_columns)
    around = (_PAD, _PAD, _PAD)
    grid = coarse.padded_grid(around)
    field = ndimage.gaussian_filter(coarse.padded(around), 0.7, mode="nearest", output=np.float32)
    size = np.asarray(grid.voxel_size_nm)
    centre = grid.to_vx(ellipsoid.centre_nm)
    corners = np.array([*itertools.product(*((0, n - 1) for n in field.shape))])
    farthest = np.linalg.norm((corners - centre) * size, axis=1).max()
    steps_nm = np.arange(0, farthest + size.min(), size.min() / 2)
    directions = sphere_directions(n_rows, n_columns).reshape(-1, 3)
    lines = [
        _follow(field, centre, part / size, steps_nm)
        for part in np.array_split(directions, -(-len(directions) // 2048))
    ]
    radius = np.concatenate([line[0] for line in lines])
    exits = np.concatenate([line[1] for line in lines])
    points = directions * radius[:, None]
    places = centre + points / size
    for axis, sides in enumerate(coarse.cut):
        for goes_on, beyond in zip(sides, (places < _PAD, places > _last(field)), strict=True):
            if goes_on:
                radius[beyond[:, axis]] = np.nan
    known = np.isfinite(radius)
    distance = np.full(len(radius), np.nan)
    distance[known] = ellipsoid.signed_distance_nm(ellipsoid.centre_nm + points[known])
    shape = (n_rows, n_columns)
    return SphereMap(
        distance_nm=distance.reshape(shape).astype(np.float32),
        radius_nm=radius.reshape(shape).astype(np.float32),
        n_exits=exits.reshape(shape),
    )


def _last(field: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.array(field.shape) - 1 - _PAD


def _follow(
    field: NDArray[np.float32],
    centre: NDArray[np.float64],
    directions_per_nm: NDArray[np.float64],
    steps_nm: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Distance of the outermost exit along each line, nan without one, and the number of exits.

    Lines that are inside at their end leave the array there: the object is cut.
    """
    from scipy import ndimage

    places = centre[:, None, None] + directions_per_nm.T[:, :, None] * steps_nm
    values = ndimage.map_coordinates(field, places, order=1, mode="nearest", output=np.float32)
    inside = values >= 127.5
    leaves = inside[:, :-1] & ~inside[:, 1:]
    exits = leaves.sum(axis=1)
    last = leaves.shape[1] - 1 - leaves[:, ::-1].argmax(axis=1)
    each = np.arange(len(values))
    before, after = values[each, last], values[each, np.minimum(last + 1, values.shape[1] - 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (before - 127.5) / (before - after)
    radius = steps_nm[last] + between * (steps_nm[1] - steps_nm[0])
    radius[(exits == 0) | inside[:, -1]] = np.nan
    return radius, np.minimum(exits, 255).astype(np.uint8)
