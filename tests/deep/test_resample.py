"""Resampled volumes keep their faces, their mean and straight lines."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from helaseg.core.grid import Grid
from helaseg.deep.resample import ResampledArray, shares, working_grid


@pytest.mark.parametrize("n_in", [1, 2, 7, 64, 300])
@pytest.mark.parametrize("n_out", [1, 2, 5, 64, 299, 600])
def test_shares_of_a_voxel_sum_to_one(n_in: int, n_out: int) -> None:
    for k in range(n_out):
        parts = shares(k, n_in, n_out)
        assert all(0 <= i < n_in and p > 0 for i, p in parts)
        assert sum(p for _, p in parts) == pytest.approx(1)


def test_fewer_voxels_are_means_of_blocks(rng: np.random.Generator) -> None:
    image = rng.random((6, 20, 30)).astype(np.float32)
    found = ResampledArray(image, shape=(3, 4, 10))[:, :, :]
    expected = image.reshape(3, 2, 4, 5, 10, 3).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_more_voxels_are_interpolated_between_centres(rng: np.random.Generator) -> None:
    image = rng.random((5, 8, 9)).astype(np.float32)
    shape = (11, 24, 20)
    found = ResampledArray(image, shape=shape)[:, :, :]
    places = np.meshgrid(
        *((np.arange(m) + 0.5) * n / m - 0.5 for n, m in zip(image.shape, shape, strict=True)),
        indexing="ij",
    )
    expected = ndimage.map_coordinates(image, places, order=1, mode="nearest")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_any_box_is_that_of_the_whole(rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (6, 20, 30)).astype(np.uint8)
    lazy = ResampledArray(image, shape=(9, 7, 40))
    whole = lazy[:, :, :]
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(lazy[3:8:2, 1:5, 20:], whole[3:8:2, 1:5, 20:])
    np.testing.assert_array_equal(lazy[4], whole[4])


def test_the_working_grid_spans_the_same_volume() -> None:
    grid = Grid(shape=(300, 2000, 1001), voxel_size_nm=(50, 10, 10), offset_nm=(5, 0, 100))
    made = working_grid(grid, (50, 50, 50), along_z=True)
    assert made.shape == (300, 400, 200)
    for axis in range(3):
        faces = [
            (g.offset_nm[axis] - g.voxel_size_nm[axis] / 2, g.shape[axis] * g.voxel_size_nm[axis])
            for g in (grid, made)
        ]
        assert faces[0] == pytest.approx(faces[1])
    assert working_grid(grid, (25, 50, 50), along_z=False).shape[0] == 300
    assert working_grid(grid, (25, 50, 50), along_z=True).shape[0] == 600
