"""The ellipsoid that fits a mask best, at any orientation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_mask, check_shape_match
from helaseg.cells.shape.surface_area import bounding_box
from helaseg.core.grid import ZYX, Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """An ellipsoid in the coordinates of a grid.

    Parameters
    ----------
    centre_nm : tuple of float
        z, y, x, in nm.
    half_axes_nm : tuple of float
        From the longest to the shortest.
    axes : tuple of three tuples of float
        Their directions: unit vectors z, y, x at right angles, the first
        number that is not 0 of each positive.
    """

    centre_nm: ZYX
    half_axes_nm: ZYX
    axes: tuple[ZYX, ZYX, ZYX]

    @property
    def volume_um3(self) -> float:
        """Volume."""
        return 4 / 3 * math.pi * math.prod(self.half_axes_nm) / 1e9

    @property
    def elongation(self) -> float:
        """Longest over middle half axis, at least 1."""
        return self.half_axes_nm[0] / self.half_axes_nm[1]

    @property
    def flatness(self) -> float:
        """Middle over shortest half axis, at least 1."""
        return self.half_axes_nm[1] / self.half_axes_nm[2]

    def signed_distance_nm(self, points_nm: ArrayLike) -> NDArray[np.float64]:
        """Distance of points to the surface, positive outside.

        Parameters
        ----------
        points_nm : array, shape (..., 3)
            Positions z, y, x, in nm.

        Returns
        -------
        ndarray of float64, shape (...)
            In nm.

        Notes
        -----
        The nearest point of the surface to p, in the axes of the ellipsoid, is
        a_i² p_i / (a_i² + t) with the largest t that puts it on the surface. The
        root is bracketed and halved down to the last bit.
        """
        half = np.asarray(self.half_axes_nm)
        points = np.asarray(points_nm, float) - self.centre_nm
        # By symmetry one octant is enough; 1e-12 keeps the centre off the axes.
        local = np.maximum(np.abs(points @ np.asarray(self.axes).T), 1e-12 * half)
        outside = ((local / half) ** 2).sum(axis=-1) > 1
        # t above its pole at -(shortest half axis)², next to which digits would be lost
        above = half**2 - half[2] ** 2
        low = half[2] * local[..., 2:]
        high = np.linalg.norm(half * local, axis=-1, keepdims=True)
        for _ in range(100):
            middle = (low + high) / 2
            far = ((half * local / (above + middle)) ** 2).sum(axis=-1, keepdims=True) > 1
            low, high = np.where(far, middle, low), np.where(far, high, middle)
        nearest = half**2 * local / (above + high)
        return np.where(outside, 1.0, -1.0) * np.linalg.norm(local - nearest, axis=-1)

    def radii_nm(self, directions: ArrayLike) -> NDArray[np.float64]:
        """Distance from the centre to the surface along unit vectors, shape (..., 3), in nm."""
        local = np.asarray(directions, float) @ np.asarray(self.axes).T
        return 1 / np.linalg.norm(local / np.asarray(self.half_axes_nm), axis=-1)

    def plane_mask(self, grid: Grid, z: int) -> NDArray[np.bool_]:
        """Find which voxels of one slice of a grid have their centre inside, shape (Y, X)."""
        axes = np.asarray(self.axes)
        form = axes.T @ np.diag(1 / np.asarray(self.half_axes_nm) ** 2) @ axes
        dz, y, x = (
            offset + step * np.arange(first, first + n) - c
            for offset, step, first, n, c in zip(
                grid.offset_nm,
                grid.voxel_size_nm,
                (z, 0, 0),
                (1, *grid.shape[1:]),
                self.centre_nm,
                strict=True,
            )
        )
        y, d = y[:, None], dz[0]
        squared = (form[1, 1] * y + 2 * form[0, 1] * d) * y + form[0, 0] * d * d
        squared = squared + (form[2, 2] * x + 2 * form[0, 2] * d) * x
        return squared + 2 * form[1, 2] * y * x <= 1


def fit_ellipsoid(mask: NDArray[np.bool_], grid: Grid) -> Ellipsoid | None:
    """The ellipsoid with the centroid, the directions and the volume of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        The object.
    grid : Grid
        Voxel size and offset, of the shape of the mask.

    Returns
    -------
    Ellipsoid or None
        In the coordinates of the grid; None for an empty mask.

    Raises
    ------
    ParameterError
        If the mask has not the shape of the grid.

    Notes
    -----
    1. First and second moments of the voxels, each a box with moments of its own.
    2. The principal axes of the second moments are the directions; a solid
       ellipsoid of these moments has half axes of √5 standard deviations.
    3. The half axes are scaled by one factor, so that the volume is that of the
       mask. On an ellipsoid the factor is 1; dents and branches spread the
       moments, and would make the ellipsoid larger than the object.
    """
    solid = as_mask("mask", mask, ndim=3)
    check_shape_match("mask", solid.shape, "grid", grid.shape)
    counted = _moments(solid, grid)
    if counted is None:
        return None
    n, mean, second = counted
    spreads, vectors = np.linalg.eigh(second)
    half = np.sqrt(5 * spreads[::-1])
    half *= (n * grid.voxel_volume_nm3 / (4 / 3 * math.pi * half.prod())) ** (1 / 3)
    axes = vectors.T[::-1]
    signs = [np.sign(axis[np.flatnonzero(np.abs(axis) > 1e-9)[0]]) for axis in axes]
    axes = axes * np.array(signs)[:, None]
    centre = grid.to_nm(mean / grid.voxel_size_nm)
    return Ellipsoid(
        centre_nm=tuple(centre.tolist()),
        half_axes_nm=tuple(half.tolist()),
        axes=tuple(tuple(axis) for axis in axes.tolist()),  # type: ignore[arg-type]
    )


def jaccard_with(ellipsoid: Ellipsoid, mask: NDArray[np.bool_], grid: Grid) -> float:
    """Common over joint volume of an ellipsoid and a mask on a grid; what lies outside counts."""
    box = bounding_box(mask)
    if box is None:
        return 0.0
    part, part_grid = mask[box.slices], grid.crop(box)
    common = sum(
        int(np.count_nonzero(plane & ellipsoid.plane_mask(part_grid, z)))
        for z, plane in enumerate(part)
    )
    full = ellipsoid.volume_um3 * 1e9 / grid.voxel_volume_nm3
    return common / (int(np.count_nonzero(part)) + full - common)


def _moments(
    mask: NDArray[np.bool_], grid: Grid
) -> tuple[int, NDArray[np.float64], NDArray[np.float64]] | None:
    """Voxels, mean position from voxel (0, 0, 0) and covariance (3, 3), in nm; None if empty."""
    size = np.asarray(grid.voxel_size_nm)
    y, x = (np.arange(n) * s for n, s in zip(mask.shape[1:], size[1:], strict=True))
    n = 0
    first, second = np.zeros(3), np.zeros((3, 3))
    for k, plane in enumerate(mask):
        in_rows = plane.sum(axis=1)
        m = int(in_rows.sum())
        if not m:
            continue
        # Sums along x of each row: what the other moments are made of.
        along = plane @ x
        z, sy, sx = k * size[0], in_rows @ y, along.sum()
        n += m
        first += (m * z, sy, sx)
        second[0] += (m * z * z, z * sy, z * sx)
        second[1] += (z * sy, in_rows @ (y * y), along @ y)
        second[2] += (z * sx, along @ y, plane.sum(axis=0) @ (x * x))
    if not n:
        return None
    mean = first / n
    return n, mean, second / n - np.outer(mean, mean) + np.diag(size**2 / 12)
