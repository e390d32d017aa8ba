from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure
from solids import ellipsoid, torus

from helaseg.cells.shape.coarse_mask import join_voxels
from helaseg.cells.shape.topology import Topology, euler_number, measure_topology, smooth_topology
from helaseg.core.grid import Grid
from helaseg.errors import ParameterError


@pytest.mark.parametrize("density", [0.02, 0.2, 0.4, 0.6, 0.85, 0.97])
@pytest.mark.parametrize("shape", [(9, 10, 11), (1, 12, 13), (6, 1, 7), (14, 3, 2)])
def test_counts_are_those_of_others(density, shape, rng):
    mask = rng.random(shape) < density
    topology = measure_topology(mask)
    assert topology.euler_number == measure.euler_number(np.pad(mask, 1), connectivity=3)
    assert topology.n_components == ndimage.label(mask, np.ones((3, 3, 3)))[1]
    assert topology.n_cavities == ndimage.label(~np.pad(mask, 1))[1] - 1


def test_handles_of_known_solids():
    ring = np.zeros((5, 7, 11), bool)
    ring[1:4, 1:6, 1:10] = True
    ring[:, 3, 3] = False
    assert measure_topology(ring) == Topology(n_components=1, n_handles=1, n_cavities=0)
    ring[:, 3, 7] = False
    assert measure_topology(ring) == Topology(n_components=1, n_handles=2, n_cavities=0)
    ring[2, 1:6, 5] = True
    shell = np.ones((5, 5, 5), bool)
    shell[2, 2, 2] = False
    assert measure_topology(shell) == Topology(n_components=1, n_handles=0, n_cavities=1)


def test_voxels_touch_across_corners_and_the_outside_across_faces():
    mask = np.zeros((4, 4, 4), bool)
    mask[1, 1, 1] = mask[2, 2, 2] = True
    assert measure_topology(mask) == Topology(n_components=1, n_handles=0, n_cavities=0)
    # The other way round: two hollows that touch at an edge stay two.
    block = np.ones((4, 5, 5), bool)
    block[1, 1, 2] = block[2, 2, 2] = False
    assert measure_topology(block).n_cavities == 2


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_axes_do_not_matter(axes, rng):
    mask = rng.random((7, 8, 9)) < 0.5
    assert measure_topology(mask.transpose(axes)) == measure_topology(mask)


def test_empty_and_full():
    nothing = Topology(n_components=0, n_handles=0, n_cavities=0)
    assert measure_topology(np.zeros((3, 4, 5), bool)) == nothing
    assert measure_topology(np.zeros((0, 4, 5), bool)) == nothing
    assert euler_number(np.ones((3, 4, 5), bool)) == 1


def test_two_axes_are_refused():
    with pytest.raises(ParameterError, match="'mask' must have 3 axes"):
        measure_topology(np.zeros((4, 5), bool))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("voxel_nm", [(50, 20, 20), (100, 28, 28)])
def test_a_ring_has_one_handle_whatever_the_noise(axis, voxel_nm, rng):
    mask, grid = torus(1500.0, 600.0, voxel_nm, axis=axis)
    assert measure_topology(mask) == Topology(n_components=1, n_handles=1, n_cavities=0)
    noisy = mask & (rng.random(mask.shape) > 0.02)
    noisy |= (ndimage.binary_dilation(mask)) & (rng.random(mask.shape) < 0.2)
    assert measure_topology(noisy).n_cavities > 100
    coarse = join_voxels(noisy, grid, voxel_nm=50.0)
    assert smooth_topology(coarse, smoothing_nm=75.0) == Topology(
        n_components=1, n_handles=1, n_cavities=0
    )


def test_a_cut_object_goes_on_straight():
    mask, grid = ellipsoid((1000, 1000, 1000), (50, 20, 20))
    half = mask[mask.shape[0] // 2 :]
    coarse = join_voxels(
        half, Grid(shape=half.shape, voxel_size_nm=grid.voxel_size_nm), voxel_nm=50.0
    )
    assert smooth_topology(coarse, smoothing_nm=75.0).euler_number == 1


def test_an_object_that_smoothing_would_remove_is_counted_as_it_is():
    mask = np.zeros((5, 9, 9), bool)
    mask[2, 4, 4] = True
    coarse = join_voxels(mask, Grid(shape=mask.shape, voxel_size_nm=(50, 20, 20)), voxel_nm=50.0)
    assert smooth_topology(coarse, smoothing_nm=75.0).n_components == 1
