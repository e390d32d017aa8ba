from __future__ import annotations

import numpy as np
import pytest
from solids import ellipsoid

from helaseg.cells.shape import coarse_mask
from helaseg.cells.shape.coarse_mask import join_voxels
from helaseg.core.grid import Grid
from helaseg.errors import ParameterError


@pytest.mark.parametrize("voxel_nm", [(50, 10, 10), (20, 20, 20), (100, 28, 28)])
def test_volume_and_place_are_kept(voxel_nm):
    mask, grid = ellipsoid((900, 700, 800), voxel_nm, shift_vx=(0.3, 0.1, 0.4))
    coarse = join_voxels(mask, grid, voxel_nm=50.0)
    assert np.ptp(coarse.grid.voxel_size_nm) <= 50
    volume = coarse.share.sum(dtype=float) / 255 * coarse.grid.voxel_volume_nm3
    assert volume == pytest.approx(np.count_nonzero(mask) * grid.voxel_volume_nm3, rel=1e-3)
    weights = coarse.share / coarse.share.sum(dtype=float)
    mean = [
        float((weights * np.arange(n).reshape(shape)).sum())
        for n, shape in zip(weights.shape, [(-1, 1, 1), (1, -1, 1), (1, 1, -1)], strict=True)
    ]
    expected = grid.to_nm(np.argwhere(mask).mean(axis=0))
    np.testing.assert_allclose(coarse.grid.to_nm(mean), expected, atol=1.0)
    assert coarse.cut == ((False, False),) * 3


def test_shares_are_means_of_blocks():
    grid = Grid(shape=(6, 9, 10), voxel_size_nm=(25, 20, 20))
    mask = np.random.default_rng(3).random(grid.shape) < 0.6
    mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1] = (False,) * 6
    mask[1, 1, 1] = mask[4, 7, 8] = True
    coarse = join_voxels(mask, grid, voxel_nm=50.0)
    blocks = mask[1:5, 1:9, 1:9].reshape(2, 2, 4, 2, 4, 2).mean(axis=(1, 3, 5))
    np.testing.assert_array_equal(coarse.share, np.rint(255 * blocks))
    np.testing.assert_array_equal(coarse.solid, blocks >= 0.5)
    assert coarse.grid.voxel_size_nm == (50, 40, 40)


def test_cut_sides_go_on_and_free_ones_end():
    grid = Grid(shape=(4, 6, 6), voxel_size_nm=(50, 50, 50), offset_nm=(100, 0, 0))
    mask = np.zeros(grid.shape, bool)
    mask[0:2, 2:4, 3:6] = True
    coarse = join_voxels(mask, grid, voxel_nm=50.0)
    assert coarse.cut == ((True, False), (False, False), (False, True))
    wide = coarse.padded((2, 1, 1))
    assert wide.shape == (6, 4, 5)
    assert (wide[:4, 1:3, 1:5] == 255).all()
    assert np.count_nonzero(wide) == 4 * 2 * 4
    assert coarse.padded_grid((2, 1, 1)).offset_nm == (0, 50, 100)


def test_large_objects_are_joined_further(monkeypatch):
    monkeypatch.setattr(coarse_mask, "_MOST_VOXELS", 4000)
    mask, grid = ellipsoid((900, 900, 900), (50, 20, 20))
    coarse = join_voxels(mask, grid, voxel_nm=50.0)
    assert coarse.share.size <= 4000
    assert coarse.share.sum(dtype=float) / 255 * coarse.grid.voxel_volume_nm3 == pytest.approx(
        np.count_nonzero(mask) * grid.voxel_volume_nm3, rel=0.01
    )


def test_nothing_and_errors():
    grid = Grid(shape=(4, 6, 6), voxel_size_nm=(50, 50, 50))
    assert join_voxels(np.zeros(grid.shape, bool), grid, voxel_nm=50.0) is None
    with pytest.raises(ParameterError, match="'mask' must have the shape of 'grid'"):
        join_voxels(np.zeros((4, 6, 7), bool), grid, voxel_nm=50.0)
    with pytest.raises(ParameterError, match="'voxel_nm' must be positive"):
        join_voxels(np.zeros(grid.shape, bool), grid, voxel_nm=0.0)
