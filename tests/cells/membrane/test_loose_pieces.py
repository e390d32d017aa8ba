"""Pieces that are seen apart in a slice."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from helaseg.cells.membrane.loose_pieces import connect_pieces, drop_detached

SIZE = (50.0, 20.0, 20.0)


def test_pieces_follow_their_connection_through_slices():
    solid = np.zeros((6, 20, 40), bool)
    cells = np.zeros(solid.shape, np.uint8)
    cells[0, 5:15, 5:15], cells[0, 5:15, 25:35] = 1, 2
    # A filopodium that leaves cell 1 upwards and drifts towards cell 2.
    for z in range(1, 6):
        solid[z, 8:11, 8 + 3 * z : 12 + 3 * z] = True
    solid[5, 17:19, 35:38] = True  # connected with nothing
    solid |= cells > 0
    connect_pieces(cells, solid, voxel_size_nm=SIZE)
    assert (cells[1:, 8:11][solid[1:, 8:11]] == 1).all()
    assert not cells[5, 17:19].any()


def test_a_piece_between_two_cells_goes_to_the_larger_overlap():
    solid = np.ones((3, 4, 20), bool)
    cells = np.zeros(solid.shape, np.uint8)
    cells[0], cells[2, :, :6] = 3, 7
    solid[1, :, 12:] = False
    solid[2, :, 6:] = False
    connect_pieces(cells, solid, voxel_size_nm=SIZE)
    assert (cells[1, :, :12] == 3).all()


def test_components_are_those_of_a_stranger(rng):
    # With one cell, what gets it is what scipy finds connected with it through slices.
    cells = np.zeros((8, 30, 30), np.uint16)
    cells[4, 10:20, 10:20] = 1
    solid = (rng.random(cells.shape) < 0.35) | (cells > 0)
    # In a slice nothing may touch the cell: refine_slice would have given it away.
    solid[4, 8:22, 8:22] = cells[4, 8:22, 8:22] > 0
    structure = np.zeros((3, 3, 3), bool)
    structure[1] = structure[:, 1, 1] = True
    pieces, _ = ndimage.label(solid, structure)
    expected = pieces == pieces[4, 15, 15]
    connect_pieces(cells, solid, voxel_size_nm=SIZE)
    np.testing.assert_array_equal(cells == 1, expected)


def test_nothing_loose_changes_nothing():
    cells = np.ones((2, 5, 5), np.uint8)
    connect_pieces(cells, cells > 0, voxel_size_nm=SIZE)
    assert (cells == 1).all()


def test_dropped_are_small_pieces_without_nucleus():
    cells = np.zeros((40, 60), np.uint8)
    cells[5:25, 5:25] = 1  # the main piece: 400 pixels
    cells[5:15, 30:40] = 1  # a lobe: 100
    cells[30:32, 5:10] = 1  # a bleb: 10
    cells[30:32, 30:35] = 1  # with nucleus
    cells[30:40, 45:55] = 2
    nucleus = np.zeros(cells.shape, bool)
    nucleus[31, 32] = True
    before = cells.copy()
    drop_detached(cells, nucleus, 0.15)
    assert not cells[30:32, 5:10].any()
    changed = cells != before
    assert changed.sum() == 10
    empty = np.zeros((4, 4), np.uint8)
    drop_detached(empty, empty > 0, 0.15)
    assert not empty.any()
