from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from solids import centre_nm, drilled_ball, ellipsoid, turned

from helaseg.cells.shape.ellipsoid import Ellipsoid, fit_ellipsoid, jaccard_with
from helaseg.core.grid import Grid
from helaseg.errors import ParameterError

HALF = (2000.0, 1400.0, 900.0)


def made(turn=None, centre=(500.0, 600.0, 700.0), half=HALF):
    turn = np.eye(3) if turn is None else turn
    return Ellipsoid(centre_nm=centre, half_axes_nm=half, axes=tuple(map(tuple, turn.T)))


@pytest.mark.parametrize("voxel_nm", [(50, 10, 10), (100, 28, 28)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_ellipsoid_is_found_again(voxel_nm, seed):
    turn, shift = turned(seed), (0.2, -0.3, 0.4)
    mask, grid = ellipsoid(HALF, voxel_nm, turn=turn, shift_vx=shift)
    fitted = fit_ellipsoid(mask, grid)
    np.testing.assert_allclose(fitted.half_axes_nm, HALF, rtol=0.003)
    np.testing.assert_allclose(fitted.centre_nm, centre_nm(grid, shift), atol=2.0)
    np.testing.assert_allclose(np.abs(np.sum(np.array(fitted.axes) * turn.T, axis=1)), 1, atol=1e-4)
    np.testing.assert_allclose(
        np.array(fitted.axes) @ np.array(fitted.axes).T, np.eye(3), atol=1e-9
    )
    assert fitted.elongation == pytest.approx(2000 / 1400, rel=0.005)
    assert fitted.flatness == pytest.approx(1400 / 900, rel=0.005)
    assert jaccard_with(fitted, mask, grid) > 0.995


def test_directions_have_one_sign():
    for seed in range(6):
        mask, grid = ellipsoid(HALF, (100, 50, 50), turn=turned(seed))
        for axis in fit_ellipsoid(mask, grid).axes:
            assert next(v for v in axis if abs(v) > 1e-9) > 0


def test_the_volume_is_that_of_the_mask():
    mask, grid, _ = drilled_ball(
        1500.0, (50, 20, 20), towards=(0, 1, 0), hole_nm=400.0, depth_nm=9e9
    )
    volume = np.count_nonzero(mask) * grid.voxel_volume_nm3 / 1e9
    assert fit_ellipsoid(mask, grid).volume_um3 == pytest.approx(volume, rel=1e-9)


def test_one_voxel_is_as_large_as_itself():
    grid = Grid(shape=(3, 3, 3), voxel_size_nm=(50, 20, 10), offset_nm=(5, 6, 7))
    mask = np.zeros(grid.shape, bool)
    mask[1, 2, 1] = True
    fitted = fit_ellipsoid(mask, grid)
    np.testing.assert_allclose(fitted.centre_nm, (55, 46, 17))
    assert fitted.half_axes_nm[0] / fitted.half_axes_nm[2] == pytest.approx(5)
    assert fitted.volume_um3 == pytest.approx(1e-5)


def test_nothing_has_no_ellipsoid():
    grid = Grid(shape=(3, 3, 3), voxel_size_nm=(50, 20, 10))
    nothing = np.zeros(grid.shape, bool)
    assert fit_ellipsoid(nothing, grid) is None
    assert jaccard_with(made(), nothing, grid) == 0.0
    with pytest.raises(ParameterError, match="'mask' must have the shape of 'grid'"):
        fit_ellipsoid(np.zeros((3, 3, 4), bool), grid)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(point=st.tuples(*[st.floats(-3000, 3000)] * 3), seed=st.integers(0, 50))
def test_distance_is_that_to_the_nearest_point(point, seed):
    shape = made(turned(seed), centre=(0.0, 0.0, 0.0))
    axes, half = np.array(shape.axes), np.array(HALF)

    def squared(angles):
        up, round_ = angles
        unit = np.array([np.sin(up), np.cos(up) * np.sin(round_), np.cos(up) * np.cos(round_)])
        return float(((unit * half @ axes - point) ** 2).sum())

    starts = [(u, r) for u in (-1.0, 0.0, 1.0) for r in (0.5, 2.0, 3.6, 5.2)]
    best = min(minimize(squared, s, method="BFGS").fun for s in starts) ** 0.5
    found = float(shape.signed_distance_nm(point))
    assert abs(found) == pytest.approx(best, abs=0.5)
    inside = ((axes @ np.array(point) / half) ** 2).sum() < 1
    assert (found < 0) == inside or abs(found) < 1e-6


def test_distances_on_the_axes_are_plain():
    shape = made(centre=(0.0, 0.0, 0.0))
    points = np.diag(np.array(HALF) + 100.0)
    np.testing.assert_allclose(shape.signed_distance_nm(points), 100.0, atol=1e-6)
    assert float(shape.signed_distance_nm((0, 0, 0))) == pytest.approx(-900, abs=1e-6)
    np.testing.assert_allclose(shape.radii_nm(np.eye(3)), HALF)
    on_surface = np.array([[0.6, 0.0, 0.8], [0.48, 0.6, 0.64]]) * HALF
    np.testing.assert_allclose(shape.signed_distance_nm(on_surface), 0.0, atol=1e-9)


def test_masks_of_slices_are_those_of_the_formula():
    mask, grid = ellipsoid(HALF, (100, 40, 40), turn=turned(8))
    shape = made(turned(8), centre=tuple(centre_nm(grid)))
    for z in (0, 9, mask.shape[0] // 2):
        # A voxel whose centre lies on the surface may fall to either side.
        assert np.count_nonzero(shape.plane_mask(grid, z) ^ mask[z]) <= 2


def test_what_lies_outside_the_array_counts_against():
    mask, grid = ellipsoid((900, 900, 900), (50, 20, 20))
    fitted = fit_ellipsoid(mask, grid)
    half = mask.copy()
    half[: mask.shape[0] // 2] = False
    assert jaccard_with(fitted, half, grid) == pytest.approx(0.5, abs=0.03)
    twice = made(centre=fitted.centre_nm, half=(1800.0, 1800.0, 1800.0))
    assert jaccard_with(twice, mask, grid) == pytest.approx(1 / 8, rel=0.01)
