"""Borders between cells at the working pixels, and vacuoles."""

from __future__ import annotations

import numpy as np

from helaseg.cells.membrane.refinement import refine_slice
from helaseg.cells.membrane.vacuoles import fill_vacuoles, find_vacuoles


def test_the_border_moves_to_the_dark_line():
    solid = np.ones((40, 60), bool)
    ridge = np.zeros(solid.shape, np.uint8)
    ridge[:, 32] = 100
    rough = np.ones(solid.shape, np.uint8)
    rough[:, 30:] = 2  # two pixels off
    cells = refine_slice(rough, solid, ridge, border_px=4.5)
    assert (cells[:, :32] == 1).all()
    assert (cells[:, 33:] == 2).all()
    # too far away, it stays where the coarse grid saw it
    far = refine_slice(rough, solid, np.roll(ridge, 12, axis=1), border_px=4.5)
    assert (far[:, 26] == 1).all()
    assert (far[:, 34] == 2).all()


def test_a_filopodium_along_another_cell_keeps_its_place():
    solid = np.ones((40, 60), bool)
    rough = np.ones(solid.shape, np.uint8)
    rough[20:23, 20:50] = 2  # all of it nearer to the border than the border may move
    cells = refine_slice(rough, solid, np.zeros(solid.shape, np.uint8), border_px=4.5)
    assert (cells[21, 25:45] == 2).all()
    assert (cells[30] == 1).all()


def test_rims_are_filled_and_resin_is_not():
    solid = np.zeros((20, 20), bool)
    solid[4:16, 4:16] = True
    solid[1, 1] = True
    rough = np.zeros(solid.shape, np.uint8)
    rough[6:14, 6:14] = 3
    rough[0, :] = 3  # the coarse grid may reach into the resin
    cells = refine_slice(rough, solid, np.zeros(solid.shape, np.uint8), border_px=4.5)
    np.testing.assert_array_equal(cells == 3, solid & (np.arange(20)[:, None] > 3))
    assert not refine_slice(rough * 0, solid, rough, border_px=4.5).any()


def pockets() -> np.ndarray:
    resin = np.ones((200, 200), bool)
    resin[20:180, 20:180] = False  # 3.2 µm of cells
    resin[95:105, 60:70] = True  # 800 nm from the outside
    resin[95:105, 22:26] = True  # 40 nm from the outside
    resin[95:105, 96:106] = True  # between two cells
    return resin


def test_vacuoles_are_deep_pockets_within_one_cell():
    resin = pockets()
    deep = find_vacuoles(resin, pixel_nm=20, min_depth_nm=600, open_resin_um2=25)
    assert deep[100, 65] > 0
    assert deep[100, 100] > 0
    assert not deep[100, 24]
    assert not deep[0, 0]
    cells = np.where(resin, 0, 1).astype(np.int32)
    cells[:, 100:][cells[:, 100:] > 0] = 2
    fill_vacuoles(cells, deep)
    assert (cells[95:105, 60:70] == 1).all()
    assert not cells[95:105, 96:106].any()
    assert not cells[100, 24]


def test_without_open_resin_no_pocket_is_a_vacuole():
    resin = np.zeros((100, 100), bool)
    resin[40:60, 40:60] = True
    assert not find_vacuoles(resin, pixel_nm=20, min_depth_nm=100, open_resin_um2=25).any()
    none = find_vacuoles(resin & False, pixel_nm=20, min_depth_nm=100, open_resin_um2=25)
    assert not none.any()
