from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage
from solids import centre_nm, drilled_ball, ellipsoid, places

from helaseg.cells.shape.coarse_mask import join_voxels
from helaseg.cells.shape.invaginations import InvaginationConfig, _close, find_invaginations
from helaseg.errors import ParameterError

SIDES = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, 0, -1), (1, 1, 1), (0, 2, 1), (-1, 2, 0)]


def found_in(mask, grid, **settings):
    coarse = join_voxels(mask, grid, voxel_nm=50.0)
    return find_invaginations(coarse, config=InvaginationConfig(**settings))


@pytest.mark.parametrize("voxel_nm", [(50, 10, 10), (50, 20, 20), (100, 28, 28)])
@pytest.mark.parametrize("towards", SIDES)
def test_a_hole_from_any_side_gives_the_same_answers(towards, voxel_nm):
    mask, grid, volume = drilled_ball(
        2000.0, voxel_nm, towards=towards, hole_nm=300.0, depth_nm=1200.0
    )
    (hole,) = found_in(mask, grid)
    assert hole.kind == "invagination"
    assert hole.n_openings == 1
    # The ball sinks into the mouth by up to 0.08 µm.
    assert hole.volume_um3 == pytest.approx(volume, rel=0.12)
    assert hole.depth_nm == pytest.approx(1200, abs=110)
    assert hole.opening_um2 == pytest.approx(np.pi * 0.3**2, rel=0.2)
    assert hole.opening_width_nm == pytest.approx(600, rel=0.1)
    unit = np.array(towards) / np.linalg.norm(towards)
    inwards = [hole.direction_z, hole.direction_y, hole.direction_x]
    assert -unit @ inwards > 0.99
    middle = centre_nm(grid) + unit * 1400
    place = [hole.centroid_z_nm, hole.centroid_y_nm, hole.centroid_x_nm]
    np.testing.assert_allclose(place, middle, atol=60)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_hole_through_is_a_tunnel(axis):
    mask, grid, volume = drilled_ball(
        1500.0, (50, 20, 20), towards=np.eye(3)[axis], hole_nm=300.0, depth_nm=9e9
    )
    (tunnel,) = found_in(mask, grid)
    assert tunnel.kind == "tunnel"
    assert tunnel.n_openings == 2
    assert tunnel.volume_um3 == pytest.approx(volume, rel=0.12)
    assert tunnel.depth_nm == pytest.approx(2900, rel=0.05)
    assert tunnel.opening_um2 == pytest.approx(2 * np.pi * 0.3**2, rel=0.12)
    assert tunnel.opening_width_nm == pytest.approx(600, rel=0.06)
    direction = [tunnel.direction_z, tunnel.direction_y, tunnel.direction_x]
    assert abs(direction[axis]) > 0.99


def test_a_hollow_is_a_pocket():
    (z, y, x), grid = places((1500,) * 3, (50, 20, 20))
    squared = z**2 + y**2 + x**2
    mask = (squared <= 1500**2) & (squared >= 350**2)
    (pocket,) = found_in(mask, grid)
    assert pocket.kind == "pocket"
    assert pocket.n_openings == 0
    assert pocket.opening_um2 == 0
    assert np.isnan(pocket.depth_nm)
    assert np.isnan(pocket.direction_z)
    assert pocket.volume_um3 == pytest.approx(4 / 3 * np.pi * 0.35**3, rel=0.1)


def test_a_bent_channel_is_as_long_as_its_way():
    # In by 0.9 µm along y, then 0.9 µm along x: nowhere deeper than 0.9 µm below the surface.
    (z, y, x), grid = places((1500, 1500, 2500), (50, 20, 20))
    mask = (np.abs(z) <= 1500) & (np.abs(y) <= 1500) & (np.abs(x) <= 2500)
    first = (np.abs(z) <= 150) & (np.abs(x) <= 150) & (y >= 600)
    second = (np.abs(z) <= 150) & (np.abs(y - 750) <= 150) & (x >= -150) & (x <= 1050)
    (bent,) = found_in(mask & ~first & ~second, grid)
    # Along the inner edge, which is shorter than the middle line of 1.8 µm.
    assert 1500 < bent.depth_nm < 1950
    assert -np.array([0, 1, 0]) @ [bent.direction_z, bent.direction_y, bent.direction_x] > 0.99


def test_convex_objects_and_shallow_dents_have_none():
    mask, grid = ellipsoid((1500, 1200, 1000), (50, 20, 20))
    assert found_in(mask, grid) == ()
    dented, grid, _ = drilled_ball(
        1500.0, (50, 20, 20), towards=(0, 1, 0), hole_nm=300.0, depth_nm=290.0
    )
    assert found_in(dented, grid) == ()
    (hole,) = found_in(dented, grid, min_depth_nm=150.0)
    # The ball reaches 0.08 µm into the mouth, whose rim lies 0.03 µm below the pole.
    assert hole.depth_nm == pytest.approx(290 - 80 - 30, abs=60)


def test_wide_dents_belong_to_the_form():
    mask, grid, _ = drilled_ball(
        2500.0, (50, 30, 30), towards=(0, 0, 1), hole_nm=1000.0, depth_nm=1500.0
    )
    # No ball of 600 nm is kept out by a hole of 1 µm radius, but by the edge at its bottom.
    assert sum(f.volume_um3 for f in found_in(mask, grid)) < 0.6
    (hole,) = found_in(mask, grid, closing_radius_nm=1300.0)
    assert hole.volume_um3 > 3


def test_several_are_numbered_by_volume():
    mask, grid, large = drilled_ball(
        2000.0, (50, 20, 20), towards=(0, 0, 1), hole_nm=350.0, depth_nm=1200.0
    )
    other, _, small = drilled_ball(
        2000.0, (50, 20, 20), towards=(1, 0, 0), hole_nm=250.0, depth_nm=800.0
    )
    first, second = found_in(mask & other, grid)
    assert (first.id, second.id) == (1, 2)
    assert first.volume_um3 == pytest.approx(large, rel=0.15)
    assert second.volume_um3 == pytest.approx(small, rel=0.15)
    assert first.direction_x < -0.99
    assert second.direction_z < -0.99
    only = found_in(mask & other, grid, min_volume_um3=0.25)
    assert [f.volume_um3 for f in only] == [first.volume_um3]


def test_the_border_of_the_array_is_no_opening():
    # A hole along x whose ball is cut through the hole's axis.
    mask, grid, volume = drilled_ball(
        1500.0, (50, 20, 20), towards=(0, 0, 1), hole_nm=300.0, depth_nm=1200.0
    )
    half = mask[mask.shape[0] // 2 :]
    (hole,) = found_in(half, dataclasses.replace(grid, shape=half.shape))
    assert hole.kind == "invagination"
    assert hole.volume_um3 == pytest.approx(volume / 2, rel=0.15)
    assert hole.depth_nm == pytest.approx(1200, abs=110)
    assert hole.direction_x < -0.98
    # A ball cut elsewhere has none.
    ball, grid = ellipsoid((1500, 1500, 1500), (50, 20, 20))
    for part in (ball[:, : ball.shape[1] // 3], ball[ball.shape[0] // 3 :]):
        assert found_in(part, dataclasses.replace(grid, shape=part.shape)) == ()


def test_closing_is_that_of_a_ball_of_voxels(rng):
    solid = np.pad(ndimage.binary_opening(rng.random((12, 30, 30)) < 0.7), 12)
    size = (50.0, 20.0, 25.0)
    z, y, x = np.ix_(*(np.arange(-5, 6) * s for s in size))
    ball = z**2 + y**2 + x**2 <= 100.0**2
    expected = ndimage.binary_closing(solid, ball)
    np.testing.assert_array_equal(_close(solid, 100.0, size), expected)


def test_nothing_in_too_small_an_object():
    mask, grid = ellipsoid((60, 40, 40), (50, 20, 20))
    assert found_in(mask, grid) == ()
    mask[:] = False
    mask[mask.shape[0] // 2, 9, 9] = True
    assert found_in(mask, grid) == ()


@pytest.mark.parametrize("name", ["closing_radius_nm", "min_depth_nm", "min_volume_um3"])
def test_settings_are_checked(name):
    with pytest.raises(ParameterError, match=f"'{name}' must be"):
        InvaginationConfig(**{name: -1.0})
