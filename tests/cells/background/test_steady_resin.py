"""Resin that flips in a single slice."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.background.steady import keep_dark_cells, steady_resin
from helaseg.core.grid import Grid

GRID = Grid(shape=(9, 200, 240), voxel_size_nm=(50, 20, 20))


def ball():
    """Resin around a cell of 1.6 µm that changes slowly."""
    rows, cols = np.indices(GRID.shape[1:])
    return np.stack([np.hypot(rows - 100, cols - 120) > 80 - abs(z - 4) for z in range(9)])


@pytest.mark.parametrize("z", [0, 1, 4, 8])
@pytest.mark.parametrize("kind", ["leak", "shadow"])
def test_a_flip_of_one_slice_is_turned_back(z, kind):
    want = ball()
    resin = want.copy()
    if kind == "leak":
        resin[z, 60:140, 70:150] = True
    else:
        resin[z, 5:60, 5:60] = False
    flipped = np.count_nonzero(resin != want)
    assert steady_resin(resin, GRID) == 1
    # But for sharp corners beside the cell.
    assert np.count_nonzero(resin != want) < 0.02 * flipped


def test_two_flips_with_a_slice_between_them():
    want = ball()
    resin = want.copy()
    resin[4, 60:140, 70:150] = True
    resin[6, 60:140, 70:150] = True
    assert steady_resin(resin, GRID) == 2
    np.testing.assert_array_equal(resin, want)


def test_what_is_small_narrow_or_lasting_stays():
    resin = ball()
    resin[4, 90:110, 100:120] = True  # a vesicle of 0.16 µm²
    resin[5, 30:36, :] ^= True  # a band of 120 nm
    resin[6:9, 60:140, 70:150] = True  # three slices: an invagination
    before = resin.copy()
    assert steady_resin(resin, GRID) == 0
    np.testing.assert_array_equal(resin, before)


def test_thick_slices_and_few_slices_are_left_alone():
    resin = ball()
    resin[4] = True
    before = resin.copy()
    thick = Grid(shape=GRID.shape, voxel_size_nm=(200, 20, 20))
    assert steady_resin(resin, thick) == 0
    assert steady_resin(resin[3:5], GRID.crop(GRID.roi)) == 0
    np.testing.assert_array_equal(resin, before)


def test_a_leak_through_several_slices_is_turned_back_where_it_is_dark(rng):
    want = ball()
    grey = np.where(want, 200.0, 100.0)[:, ::2, ::2] + rng.normal(0, 5, (9, 100, 120))
    resin = want.copy()
    resin[5:, 60:140, 70:150] = True
    flipped = np.count_nonzero(resin != want)
    assert keep_dark_cells(resin, grey.astype(np.uint8), 150.0, GRID) == 4
    assert np.count_nonzero(resin != want) < 0.02 * flipped
    # What has become bright is resin.
    resin = want.copy()
    resin[5:, 60:140, 70:150] = True
    grey[5:, 30:70, 35:75] = 200
    before = resin.copy()
    assert keep_dark_cells(resin, grey.astype(np.uint8), 150.0, GRID) == 0
    np.testing.assert_array_equal(resin, before)


def test_a_cell_that_narrows_or_ends_is_left_alone(rng):
    resin = ball()
    resin[7:] = True
    grey = np.where(resin, 200.0, 100.0)[:, ::2, ::2] + rng.normal(0, 5, (9, 100, 120))
    before = resin.copy()
    assert keep_dark_cells(resin, grey.astype(np.uint8), 150.0, GRID) == 0
    np.testing.assert_array_equal(resin, before)
