from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tifffile
from solids import centre_nm, drilled_ball, ellipsoid, ellipsoid_area_um2, places, torus, turned

from helaseg.cells.shape.describe import ShapeConfig, centroid_nm, describe_cell
from helaseg.core.grid import Grid
from helaseg.errors import ParameterError

VOXEL = (50, 20, 20)


@pytest.fixture(scope="module")
def made():
    """A ball of a cell with an ellipsoid of a nucleus 300 nm towards +z and 400 nm towards -x."""
    turn = turned(3)
    cell, grid = ellipsoid((2500, 2500, 2500), VOXEL)
    (z, y, x), _ = places((2500,) * 3, VOXEL)
    form = turn @ np.diag(1 / np.square([1500.0, 1200.0, 1000.0])) @ turn.T
    place = [z - 300, y + 0 * z, x + 400]
    nucleus = sum(form[i, j] * place[i] * place[j] for i in range(3) for j in range(3)) <= 1
    return describe_cell(nucleus, cell, grid), nucleus, cell, grid, turn


def test_volumes_and_areas(made):
    m = made[0].measurements
    assert m["nucleus_volume_um3"] == pytest.approx(4 / 3 * np.pi * 1.5 * 1.2, rel=0.005)
    assert m["cell_volume_um3"] == pytest.approx(4 / 3 * np.pi * 2.5**3, rel=0.005)
    assert m["cytoplasm_volume_um3"] == pytest.approx(
        m["cell_volume_um3"] - m["nucleus_volume_um3"], abs=2e-6
    )
    assert m["nucleus_to_cell_ratio"] == pytest.approx(1.5 * 1.2 / 2.5**3, rel=0.01)
    assert m["nucleus_surface_um2"] == pytest.approx(
        ellipsoid_area_um2((1500, 1200, 1000)), rel=0.01
    )
    assert m["cell_surface_um2"] == pytest.approx(4 * np.pi * 2.5**2, rel=0.01)
    assert m["cell_sphericity"] == pytest.approx(1, abs=0.01)
    assert m["cell_radius_nm"] == pytest.approx(2500, rel=0.002)
    assert (m["nucleus_is_cut"], m["cell_is_cut"]) == (0, 0)


def test_polarity_is_the_way_from_cell_to_nucleus(made):
    m = made[0].measurements
    assert [m[f"polarity_{a}_nm"] for a in "zyx"] == pytest.approx([300, 0, -400], abs=3)
    assert m["polarity_nm"] == pytest.approx(500, abs=3)
    assert m["polarity_ratio"] == pytest.approx(0.2, abs=0.002)
    grid = made[3]
    assert [m[f"centroid_{a}_nm"] for a in "zyx"] == pytest.approx(centre_nm(grid), abs=1)


def test_ellipsoid_and_map(made):
    shape, _, _, _, turn = made
    m = shape.measurements
    names = ("long", "middle", "short")
    half = [m[f"nucleus_{n}_half_axis_nm"] for n in names]
    assert half == pytest.approx([1500, 1200, 1000], rel=0.005)
    long = [m[f"nucleus_long_axis_{a}"] for a in "zyx"]
    short = [m[f"nucleus_short_axis_{a}"] for a in "zyx"]
    assert abs(np.dot(long, turn[:, 0])) > 0.999
    assert abs(np.dot(short, turn[:, 2])) > 0.999
    assert m["nucleus_elongation_ratio"] == pytest.approx(1.25, rel=0.01)
    assert m["nucleus_flatness_ratio"] == pytest.approx(1.2, rel=0.01)
    assert m["nucleus_ellipsoid_jaccard"] > 0.99
    assert m["nucleus_ellipsoid_sd_nm"] < 5
    assert -30 < m["nucleus_ellipsoid_lowest_nm"] < m["nucleus_ellipsoid_highest_nm"] < 30
    assert shape.sphere_map.distance_nm.shape == (90, 180)
    assert m["nucleus_euler_number"] == 1
    assert (m["n_invaginations"], m["n_tunnels"], shape.invaginations) == (0, 0, ())


def test_folds_are_counted():
    nucleus, grid, volume = drilled_ball(
        1500.0, VOXEL, towards=(1, 0, 0), hole_nm=300.0, depth_nm=1000.0
    )
    shape = describe_cell(nucleus, None, grid)
    m = shape.measurements
    assert (m["n_invaginations"], m["n_tunnels"]) == (1, 0)
    assert m["invaginated_volume_um3"] == pytest.approx(volume, rel=0.12)
    assert (
        m["deepest_invagination_nm"]
        == shape.invaginations[0].depth_nm
        == pytest.approx(950, abs=110)
    )
    ring, grid = torus(1500.0, 600.0, VOXEL, axis=1)
    m = describe_cell(ring, None, grid).measurements
    assert (m["n_nucleus_components"], m["n_nucleus_handles"]) == (1, 1)
    assert m["nucleus_euler_number"] == 0


def test_measurements_are_plain_numbers(made):
    assert {type(v) for v in made[0].measurements.values()} == {int, float}
    assert all(str(v) != "-0.0" for v in made[0].measurements.values())


def test_names_end_in_units_or_are_ratios_counts_or_vectors(made):
    plain = ("ratio", "sphericity", "fraction", "jaccard", "number", "is_cut")
    for name in made[0].measurements:
        assert name.startswith("n_") or name.endswith(
            ("_um3", "_um2", "_nm", "axis_z", "axis_y", "axis_x", *plain)
        )


def test_what_is_not_there_is_nan(made):
    _, nucleus, cell, grid, _ = made
    nothing = np.zeros(grid.shape, bool)
    both = set(made[0].measurements)
    alone = describe_cell(nucleus, None, grid).measurements
    assert set(alone) == both
    assert np.isnan([v for k, v in alone.items() if "cell" in k and k != "n_cell_slices"]).all()
    assert np.isnan([alone["polarity_nm"], alone["polarity_ratio"]]).all()
    assert alone["n_cell_slices"] == 0
    assert alone["centroid_z_nm"] == pytest.approx(centre_nm(grid)[0] + 300, abs=3)
    empty = describe_cell(nothing, cell, grid)
    m = empty.measurements
    assert set(m) == both
    assert m["nucleus_volume_um3"] == m["nucleus_surface_um2"] == m["n_nucleus_slices"] == 0
    assert m["cell_volume_um3"] > 0
    for name in ("nucleus_sphericity", "n_invaginations", "nucleus_euler_number", "polarity_nm"):
        assert np.isnan(m[name])
    assert (empty.ellipsoid, empty.sphere_map, empty.invaginations) == (None, None, ())
    none = describe_cell(nothing, nothing, grid).measurements
    assert np.isnan([none["nucleus_to_cell_ratio"], none["centroid_z_nm"]]).all()


def test_cut_objects_say_so(made):
    _, nucleus, cell, grid, _ = made
    top = cell.shape[0] // 2
    part = dataclasses.replace(grid, shape=(cell.shape[0] - top, *cell.shape[1:]))
    m = describe_cell(nucleus[top:], cell[top:], part).measurements
    assert (m["nucleus_is_cut"], m["cell_is_cut"]) == (1, 1)
    assert np.isnan([m["nucleus_sphericity"], m["cell_sphericity"]]).all()
    assert m["cell_surface_um2"] == pytest.approx(2 * np.pi * 2.5**2, rel=0.02)
    assert m["nucleus_volume_um3"] > 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 9), (5, 1, 9), (3, 30, 30)])
def test_tiny_objects_are_measured(shape):
    full = np.ones(shape, bool)
    grid = Grid(shape=shape, voxel_size_nm=VOXEL)
    m = describe_cell(full, full, grid).measurements
    assert m["nucleus_volume_um3"] == pytest.approx(np.prod(shape) * 2e-5)
    assert m["nucleus_is_cut"] == 1
    speck = np.zeros((5, 9, 9), bool)
    speck[2, 4, 4] = True
    m = describe_cell(speck, speck, Grid(shape=speck.shape, voxel_size_nm=VOXEL)).measurements
    assert m["n_nucleus_components"] == 1
    assert np.isnan(m["nucleus_ellipsoid_sd_nm"])


def test_volumes_scale_with_the_voxels(made):
    shape, nucleus, cell, grid, _ = made
    double = dataclasses.replace(grid, voxel_size_nm=(100, 40, 40))
    config = ShapeConfig(ruler_nm=300.0, voxel_nm=100.0, smoothing_nm=150.0)
    m = describe_cell(nucleus, cell, double, config=config).measurements
    for name, value in shape.measurements.items():
        power = {"um3": 8, "um2": 4, "nm": 2}.get(name.rsplit("_", 1)[-1], 1)
        if not name.startswith("centroid") and "ellipsoid" not in name:
            assert m[name] == pytest.approx(power * value, rel=1e-5, abs=1e-4)


def test_centroid_is_that_of_the_voxels(made, rng):
    grid = Grid(shape=(6, 7, 8), voxel_size_nm=VOXEL, offset_nm=(9, 8, 7))
    mask = rng.random(grid.shape) < 0.3
    np.testing.assert_allclose(
        centroid_nm(mask, grid), grid.to_nm(np.argwhere(mask).mean(axis=0)), atol=1e-9
    )


def test_shapes_and_settings_are_checked(made):
    _, nucleus, cell, grid, _ = made
    with pytest.raises(ParameterError, match="'cell' must have the shape of 'grid'"):
        describe_cell(nucleus, cell[1:], grid)
    with pytest.raises(ParameterError, match="'voxel_nm' must be positive"):
        ShapeConfig(voxel_nm=0.0)


@pytest.mark.real
@pytest.mark.slow
def test_a_real_nucleus_is_the_same_at_two_pixel_sizes(real_data):
    labels = tifffile.imread(real_data / "c001_labels" / "classes5.tif")
    nucleus = (labels == 1) | (labels == 2)
    found = []
    for step in (2, 3):
        part = nucleus[:, ::step, ::step]
        size = (50, 10 * step, 10 * step)
        found.append(
            describe_cell(part, None, Grid(shape=part.shape, voxel_size_nm=size)).measurements
        )
    for name, tolerance in {
        "nucleus_volume_um3": 0.005,
        "nucleus_surface_um2": 0.01,
        "nucleus_sphericity": 0.01,
        "nucleus_long_half_axis_nm": 0.005,
        "nucleus_ellipsoid_sd_nm": 0.01,
        "invaginated_volume_um3": 0.25,
    }.items():
        assert found[0][name] == pytest.approx(found[1][name], rel=tolerance)
    assert found[0]["n_nucleus_components"] == 1
    assert 0.7 < found[0]["nucleus_sphericity"] < 0.8
    assert found[0]["n_invaginations"] >= 10
