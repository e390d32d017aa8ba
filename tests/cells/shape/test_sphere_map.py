from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from solids import centre_nm, drilled_ball, ellipsoid, places, torus, turned

from helaseg.cells.shape.coarse_mask import join_voxels
from helaseg.cells.shape.ellipsoid import Ellipsoid, fit_ellipsoid
from helaseg.cells.shape.sphere_map import map_to_sphere, sphere_directions
from helaseg.errors import ParameterError


def ball_at(centre, radius):
    return Ellipsoid(
        centre_nm=tuple(centre), half_axes_nm=(radius,) * 3, axes=((1, 0, 0), (0, 1, 0), (0, 0, 1))
    )


def test_cells_have_equal_solid_angles():
    directions = sphere_directions(20, 40)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1)
    # Moments over equal cells are those of the sphere.
    flat = directions.reshape(-1, 3)
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(flat.T @ flat / len(flat), np.eye(3) / 3, atol=1e-3)
    # The first row is the pole at small z, longitude starts at x and goes towards y.
    assert directions[0, 0, 0] == pytest.approx(-0.95)
    np.testing.assert_allclose(directions[10, 0], (0.05, 0.078, 0.996), atol=1e-3)
    np.testing.assert_allclose(directions[10, 10], (0.05, 0.996, -0.078), atol=1e-3)


@pytest.mark.parametrize("voxel_nm", [(50, 10, 10), (50, 20, 20), (100, 28, 28)])
def test_an_ellipsoid_lies_on_itself(voxel_nm):
    mask, grid = ellipsoid((2000, 1500, 1200), voxel_nm, turn=turned(1), shift_vx=(0.3, 0.2, 0.4))
    shape = fit_ellipsoid(mask, grid)
    seen = map_to_sphere(join_voxels(mask, grid, voxel_nm=50.0), shape)
    assert np.isfinite(seen.distance_nm).all()
    assert abs(seen.mean_nm) < 3
    assert seen.sd_nm < 0.1 * voxel_nm[0]
    # Radii are those of the ellipsoid, direction by direction.
    truth = shape.radii_nm(sphere_directions(90, 180))
    assert np.abs(seen.radius_nm - truth).max() < 0.7 * voxel_nm[0]
    assert (seen.n_exits == 1).all()
    assert seen.folded_fraction == 0


def test_bumps_and_dents_are_where_they_are():
    # A ball with a bump of 300 nm towards +y, seen from its centre.
    (z, y, x), grid = places((1800,) * 3, (50, 20, 20))
    squared = z**2 + y**2 + x**2
    mask = squared <= 1500**2
    mask |= (y > 0) & (z**2 + x**2 <= 500**2) & (squared <= 1800**2)
    seen = map_to_sphere(join_voxels(mask, grid, voxel_nm=50.0), ball_at(centre_nm(grid), 1500.0))
    directions = sphere_directions(90, 180)
    on_bump = directions[..., 1] > np.cos(np.arcsin(400 / 1800))
    away = directions[..., 1] < np.cos(np.arcsin(600 / 1500))
    assert np.abs(seen.distance_nm[on_bump] - 300).max() < 20
    assert np.abs(seen.distance_nm[away]).max() < 20
    low, high = seen.range_nm
    assert high == pytest.approx(300, abs=20)
    assert low == pytest.approx(0, abs=20)


def test_a_hole_is_a_deep_place_at_its_side():
    for axis in range(3):
        towards = np.eye(3)[axis]
        mask, grid, _ = drilled_ball(
            1500.0, (50, 20, 20), towards=towards, hole_nm=300.0, depth_nm=1000.0
        )
        seen = map_to_sphere(
            join_voxels(mask, grid, voxel_nm=50.0), ball_at(centre_nm(grid), 1500.0)
        )
        inside = sphere_directions(90, 180)[..., axis] > np.cos(0.15)
        assert np.median(seen.radius_nm[inside]) == pytest.approx(500, abs=30)
        assert seen.range_nm[0] == pytest.approx(-1000, abs=40)


def test_the_outermost_surface_counts_and_folds_are_counted():
    # A shell around a core: lines leave the core, enter the shell and leave it.
    (z, y, x), grid = places((1500,) * 3, (50, 20, 20))
    squared = z**2 + y**2 + x**2
    mask = (squared <= 600**2) | ((squared >= 1000**2) & (squared <= 1500**2))
    seen = map_to_sphere(join_voxels(mask, grid, voxel_nm=50.0), ball_at(centre_nm(grid), 1500.0))
    assert (seen.n_exits == 2).all()
    assert seen.folded_fraction == 1
    assert seen.mean_nm == pytest.approx(0, abs=5)


def test_a_ring_is_not_met_along_its_axis():
    mask, grid = torus(1500.0, 500.0, (50, 20, 20), axis=0)
    seen = map_to_sphere(join_voxels(mask, grid, voxel_nm=50.0), ball_at(centre_nm(grid), 2000.0))
    heights = sphere_directions(90, 180)[..., 0]
    met = np.isfinite(seen.distance_nm)
    assert met[np.abs(heights) < 0.25].all()
    assert not met[np.abs(heights) > 0.5].any()
    assert (seen.n_exits[met] == 1).all()
    assert (seen.n_exits[~met] == 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, 1])
def test_nothing_is_said_where_the_object_is_cut(axis, end):
    mask, grid = ellipsoid((1500, 1500, 1500), (50, 20, 20))
    n = mask.shape[axis]
    keep = [slice(None)] * 3
    keep[axis] = slice(n // 3, None) if end == 0 else slice(0, n - n // 3)
    start = [s.start or 0 for s in keep]
    part = mask[tuple(keep)]
    part_grid = dataclasses.replace(
        grid, shape=part.shape, offset_nm=tuple(grid.to_nm(start).tolist())
    )
    seen = map_to_sphere(
        join_voxels(part, part_grid, voxel_nm=50.0), ball_at(centre_nm(grid), 1500.0)
    )
    along = sphere_directions(90, 180)[..., axis] * (1 if end else -1)
    border = abs((n // 3 - 0.5 - (n - 1) / 2) * grid.voxel_size_nm[axis]) / 1500
    assert np.isnan(seen.distance_nm[along > border + 0.05]).all()
    assert np.isfinite(seen.distance_nm[along < border - 0.05]).all()
    assert abs(seen.mean_nm) < 5


def test_an_object_too_thin_to_see_has_no_numbers():
    mask, grid = ellipsoid((100, 30, 30), (50, 20, 20))
    mask[:] = False
    mask[mask.shape[0] // 2, 5, 5] = True
    seen = map_to_sphere(join_voxels(mask, grid, voxel_nm=50.0), fit_ellipsoid(mask, grid))
    assert np.isnan([seen.mean_nm, seen.sd_nm, *seen.range_nm]).all()


def test_sizes_must_be_positive():
    mask, grid = ellipsoid((300, 300, 300), (50, 20, 20))
    coarse = join_voxels(mask, grid, voxel_nm=50.0)
    with pytest.raises(ParameterError, match="'n_rows' must be positive"):
        map_to_sphere(coarse, ball_at(centre_nm(grid), 300.0), n_rows=0)
