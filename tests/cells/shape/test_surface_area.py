from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solids import ellipsoid, ellipsoid_area_um2, turned

from helaseg.cells.shape.surface_area import (
    _choose_pairs,
    _moved,
    bounding_box,
    even_directions,
    surface_area_um2,
)
from helaseg.core.grid import Grid
from helaseg.errors import ParameterError

VOXELS = [(50, 10, 10), (100, 10, 10), (50, 28, 28)]
#: Half axes from a ball of 1 µm to flat and long ones.
FORMS = [(1000, 1000, 1000), (1000, 1500, 2000), (1000, 2500, 2500), (3000, 1000, 1000)]


@pytest.mark.parametrize("voxel_nm", VOXELS)
@pytest.mark.parametrize("half_nm", FORMS)
def test_area_of_ellipsoids_of_any_orientation_is_within_one_percent(half_nm, voxel_nm):
    seed = FORMS.index(half_nm) * 7 + VOXELS.index(voxel_nm)
    shift = np.random.default_rng(seed).uniform(-0.5, 0.5, 3)
    mask, grid = ellipsoid(half_nm, voxel_nm, turn=turned(seed), shift_vx=shift)
    assert surface_area_um2(mask, grid) == pytest.approx(ellipsoid_area_um2(half_nm), rel=0.01)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("voxel_nm", [(50, 10, 10), (100, 28, 28)])
def test_flat_ellipsoid_along_each_axis(axis, voxel_nm):
    # The large flat sides lie at right angles to the axis, the hardest case.
    half_nm = [2500, 2500, 2500]
    half_nm[axis] = 1000
    mask, grid = ellipsoid(half_nm, voxel_nm)
    assert surface_area_um2(mask, grid) == pytest.approx(ellipsoid_area_um2(half_nm), rel=0.01)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    half_nm=st.tuples(*[st.floats(1000, 1800)] * 3),
    seed=st.integers(0, 10_000),
    shift=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    voxel_nm=st.sampled_from([*VOXELS, (50, 20, 20), (100, 28, 28), (40, 30, 20), (80, 80, 80)]),
)
def test_area_of_drawn_ellipsoids(half_nm, seed, shift, voxel_nm):
    mask, grid = ellipsoid(half_nm, voxel_nm, turn=turned(seed), shift_vx=shift)
    assert surface_area_um2(mask, grid) == pytest.approx(ellipsoid_area_um2(half_nm), rel=0.01)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, 1])
def test_cut_faces_are_no_surface(axis, end):
    half_nm, voxel_nm = (1500, 1200, 1800), (50, 20, 20)
    n = ellipsoid(half_nm, voxel_nm, turn=turned(4))[0].shape[axis]
    # The centre lies between two voxels.
    shift = [0.0, 0.0, 0.0]
    shift[axis] = 0.5 * (n % 2)
    mask, grid = ellipsoid(half_nm, voxel_nm, turn=turned(4), shift_vx=shift)
    middle = (n + 1) // 2
    along = np.moveaxis(mask, axis, 0)
    half = np.moveaxis(along[:middle] if end else along[middle:], 0, axis)
    cut = dataclasses.replace(grid, shape=half.shape)
    assert surface_area_um2(half, cut) == pytest.approx(ellipsoid_area_um2(half_nm) / 2, rel=0.01)


def test_parts_of_a_cut_object_add_up():
    mask, grid = ellipsoid((1500, 1500, 1500), (50, 20, 20))
    third = mask.shape[0] // 3
    parts = [mask[:third], mask[third:]]
    areas = [surface_area_um2(p, dataclasses.replace(grid, shape=p.shape)) for p in parts]
    assert sum(areas) == pytest.approx(surface_area_um2(mask, grid), rel=0.01)


def test_room_around_the_object_changes_nothing():
    mask, grid = ellipsoid((1000, 1000, 1000), (50, 20, 20), margin_nm=400.0)
    box = bounding_box(mask).pad(1)
    tight = mask[box.slices]
    assert surface_area_um2(tight, grid.crop(box)) == pytest.approx(
        surface_area_um2(mask, grid), rel=1e-12
    )


def test_equal_answers_whatever_the_order_of_axes_and_their_direction():
    mask, grid = ellipsoid((1100, 1300, 1700), (30, 30, 30), turn=turned(2))
    area = surface_area_um2(mask, grid)
    for axes in [(1, 2, 0), (2, 1, 0)]:
        other = surface_area_um2(mask.transpose(axes), grid.permute(axes))
        assert other == pytest.approx(area, rel=0.003)
    assert surface_area_um2(mask[::-1, :, ::-1], grid) == pytest.approx(area, rel=0.003)


def test_area_hardly_depends_on_the_voxels():
    # A rough object: a ball with bumps of 0.3 µm, seen on four grids.
    areas = []
    for voxel_nm in [(50, 10, 10), (50, 20, 20), (100, 20, 20), (50, 30, 30)]:
        mask, grid = ellipsoid((1500, 1500, 1500), voxel_nm)
        z, y, x = (
            (np.arange(n) - (n - 1) / 2) * v for n, v in zip(mask.shape, voxel_nm, strict=True)
        )
        z, y, x = z[:, None, None], y[:, None], x
        bumps = np.sin(z / 200) * np.sin(y / 200) * np.sin(x / 200)
        areas.append(surface_area_um2(z**2 + y**2 + x**2 <= (1400 + 100 * bumps) ** 2, grid))
    assert np.ptp(areas) / np.mean(areas) < 0.015


def test_twice_the_voxel_and_ruler_is_four_times_the_area():
    mask, grid = ellipsoid((1000, 1200, 1400), (50, 20, 20))
    double = dataclasses.replace(grid, voxel_size_nm=(100, 40, 40))
    assert surface_area_um2(mask, double, ruler_nm=300.0) == pytest.approx(
        4 * surface_area_um2(mask, grid), rel=1e-9
    )


def test_a_wall_of_any_orientation_has_its_area():
    # A plane of normal n through a block, cut on all sides: area = cross-section / |n·x|.
    grid = Grid(shape=(60, 150, 150), voxel_size_nm=(50, 20, 20))
    z, y, x = np.ix_(
        *((np.arange(n) - (n - 1) / 2) * v for n, v in zip(grid.shape, (50, 20, 20), strict=True))
    )
    for normal in [(0, 0, 1), (0, 1, 2), (1, 2, 4), (1, 0, 3)]:
        unit = np.array(normal) / np.linalg.norm(normal)
        mask = z * unit[0] + y * unit[1] + x * unit[2] <= 3
        true = 3.0 * 3.0 / unit[2]
        assert surface_area_um2(mask, grid) == pytest.approx(true, rel=0.02)


def test_tiny_and_empty_objects():
    grid = Grid(shape=(5, 6, 7), voxel_size_nm=(50, 20, 20))
    mask = np.zeros(grid.shape, bool)
    assert surface_area_um2(mask, grid) == 0.0
    mask[2, 3, 3] = True
    assert 0 < surface_area_um2(mask, grid) < 0.01
    assert surface_area_um2(np.ones(grid.shape, bool), grid) == 0.0


def test_weights_see_every_plane_alike():
    for size in [(50.0, 10.0, 10.0), (100.0, 28.0, 28.0), (3.0, 3.0, 3.0), (25.0, 2.0, 2.0)]:
        pairs = _choose_pairs(size, 150.0)
        steps = pairs.steps_vx * np.array(size)
        lengths = np.linalg.norm(steps, axis=1)
        weights = pairs.areas_nm2 * lengths / np.prod(size)
        seen = np.abs(even_directions(5000) @ (steps / lengths[:, None]).T) @ weights
        assert np.sqrt(np.mean((seen - 1) ** 2)) < 0.004
        assert np.abs(seen - 1).max() < 0.045
        assert len(steps) <= 110


@settings(max_examples=40, deadline=None, derandomize=True)
@given(by=st.integers(-140, 140), seed=st.integers(0, 100))
def test_moved_bits_are_moved_voxels(by, seed):
    voxels = np.random.default_rng(seed).random((3, 192)) < 0.5
    words = np.packbits(voxels, axis=1, bitorder="little").view(np.uint64)
    moved = np.ascontiguousarray(_moved(words, by)).view(np.uint8)
    expected = np.zeros_like(voxels)
    if by >= 0:
        expected[:, : 192 - by] = voxels[:, by:]
    else:
        expected[:, -by:] = voxels[:, :by]
    np.testing.assert_array_equal(np.unpackbits(moved, axis=1, bitorder="little"), expected)


def test_errors_name_the_parameter():
    grid = Grid(shape=(5, 6, 7), voxel_size_nm=(50, 20, 20))
    with pytest.raises(ParameterError, match=r"'mask' must have the shape of 'grid' \(5, 6, 7\)"):
        surface_area_um2(np.zeros((5, 6, 8), bool), grid)
    with pytest.raises(ParameterError, match="'ruler_nm' must be positive"):
        surface_area_um2(np.zeros(grid.shape, bool), grid, ruler_nm=0.0)
