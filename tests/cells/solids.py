"""Solids on voxels of any shape, whose measures are known."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation
from scipy.special import elliprg

from helaseg.core.grid import Grid

UPRIGHT = np.eye(3)


def turned(seed):
    """A rotation of z, y, x that is the same for the same seed."""
    return Rotation.random(random_state=seed).as_matrix()


def places(half_nm, voxel_nm, *, shift_vx=(0, 0, 0), margin_nm=300.0):
    """Positions around a centre that lies `shift_vx` voxels off the middle, and their grid.

    The grid lies somewhere in a big volume.
    """
    shape = tuple(int(2 * (h + margin_nm) / v) + 2 for h, v in zip(half_nm, voxel_nm, strict=True))
    grid = Grid(shape=shape, voxel_size_nm=voxel_nm, offset_nm=(1000.0, 2000.0, 3000.0))
    axes = [
        (np.arange(n) - (n - 1) / 2 - s) * v
        for n, s, v in zip(shape, shift_vx, voxel_nm, strict=True)
    ]
    return np.ix_(*axes), grid


def centre_nm(grid, shift_vx=(0, 0, 0)):
    """Where the centre of `places` lies in the coordinates of the grid."""
    return grid.to_nm((np.array(grid.shape) - 1) / 2 + shift_vx)


def ellipsoid(half_nm, voxel_nm, *, turn=UPRIGHT, shift_vx=(0, 0, 0), margin_nm=300.0):
    """Mask and grid; the columns of `turn` are the directions of the half axes."""
    form = turn @ np.diag(1 / np.square(half_nm, dtype=float)) @ turn.T
    reach = np.sqrt(np.diag(turn @ np.diag(np.square(half_nm, dtype=float)) @ turn.T))
    (z, y, x), grid = places(reach, voxel_nm, shift_vx=shift_vx, margin_nm=margin_nm)
    flat = form[1, 1] * y**2 + form[2, 2] * x**2 + 2 * form[1, 2] * y * x
    slope = form[0, 1] * y + form[0, 2] * x
    mask = np.empty(grid.shape, bool)
    for plane, height in zip(mask, z.ravel(), strict=True):
        plane[:] = (flat + 2 * height * slope + form[0, 0] * height**2)[0] <= 1
    return mask, grid


def ellipsoid_area_um2(half_nm):
    """Carlson's symmetric form of the area."""
    a, b, c = (h / 1000 for h in half_nm)
    return 4 * np.pi * elliprg((a * b) ** 2, (a * c) ** 2, (b * c) ** 2)


def drilled_ball(radius_nm, voxel_nm, *, towards, hole_nm, depth_nm, margin_nm=300.0):
    """A ball with a straight round hole from one side; mask, grid, volume of the hole (µm³).

    A depth of more than the diameter drills it through.
    """
    (z, y, x), grid = places((radius_nm,) * 3, voxel_nm, margin_nm=margin_nm)
    unit = np.asarray(towards, float) / np.linalg.norm(towards)
    along = z * unit[0] + y * unit[1] + x * unit[2]
    squared = z**2 + y**2 + x**2
    ball = squared <= radius_nm**2
    hole = (squared - along**2 <= hole_nm**2) & (along >= radius_nm - depth_nm)
    removed = np.count_nonzero(ball & hole) * grid.voxel_volume_nm3 / 1e9
    return ball & ~hole, grid, removed


def torus(ring_nm, tube_nm, voxel_nm, *, axis):
    """A ring around an axis; mask and grid."""
    half = [ring_nm + tube_nm] * 3
    half[axis] = tube_nm
    where, grid = places(half, voxel_nm)
    squares = [p**2 for p in where]
    up = squares.pop(axis)
    return (np.sqrt(squares[0] + squares[1]) - ring_nm) ** 2 + up <= tube_nm**2, grid
