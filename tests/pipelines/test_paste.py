"""Where crops overlap, each voxel goes to one cell, whatever the order of the crops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag
from helaseg.core.volume import LabelVolume
from helaseg.io import CellRow
from helaseg.pipelines.paste import Piece, paste_slab, slabs_of

GRID = Grid(shape=(1, 1, 12), voxel_size_nm=(50, 10, 10))


def piece(cell_id: int, start: int, mask: list[int], nucleus: list[int], centre: float) -> Piece:
    roi = Roi(start=(0, 0, start), stop=(1, 1, start + len(mask)))
    cell = CellRow(
        id=cell_id,
        centroid_vx=(0, 0, centre),
        centroid_nm=(0, 0, 10 * centre),
        radius_nm=50,
        first_slice=0,
        last_slice=0,
        flags=CellFlag.NONE,
        roi=roi,
    )
    images = [
        LabelVolume(data=np.array(v, np.uint8).reshape(1, 1, -1), grid=GRID.crop(roi))
        for v in (mask, nucleus)
    ]
    return Piece(cell=cell, roi=roi, mask=images[0], nucleus=images[1])


def pasted(*pieces: Piece) -> tuple[list[int], list[int]]:
    pasted = paste_slab(pieces, GRID.roi)
    cell, nucleus = pasted.cell, pasted.nucleus
    return cell.ravel().tolist(), nucleus.ravel().tolist()


LEFT = piece(1, 0, [1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 0, 0, 0, 0], 2)
RIGHT = piece(2, 4, [1, 1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 0, 0, 0], 8)


def test_a_contested_voxel_goes_to_the_nearer_centroid():
    # Columns 4 to 7 are claimed by both; the middle between the centroids is 5.
    assert pasted(LEFT, RIGHT)[0] == [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0]


def test_the_order_of_the_crops_does_not_matter():
    assert pasted(LEFT, RIGHT) == pasted(RIGHT, LEFT)


def test_a_contested_voxel_goes_to_the_surer_cell_whatever_the_distance():
    # On voxels joined by two: the left cell is sure of columns 4 and 5 only, the right of 6, 7.
    def sure(of: Piece, percent: list[int]) -> Piece:
        coarse = of.mask.grid.downsample((1, 1, 2))
        data = np.array(percent, np.uint8).reshape(1, 1, -1)
        return dataclasses.replace(of, confidence=LabelVolume(data=data, grid=coarse))

    left, right = sure(LEFT, [100, 100, 30, 20]), sure(RIGHT, [20, 90, 100, 100])
    assert pasted(left, right)[0] == [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0]
    right = sure(RIGHT, [40, 90, 100, 100])
    assert pasted(left, right)[0] == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 0]
    assert pasted(right, left) == pasted(left, right)
    # Equal confidence: the nearer one.
    left, right = sure(LEFT, [50] * 4), sure(RIGHT, [50] * 4)
    assert pasted(left, right) == pasted(LEFT, RIGHT)


def test_a_nucleus_is_never_lost_to_a_neighbour():
    far = piece(3, 4, [1, 1, 1, 1], [1, 0, 0, 0], 11)
    cell, nucleus = pasted(LEFT, far)
    assert cell[4] == nucleus[4] == 3
    assert nucleus[2] == 1


def test_a_box_that_sticks_out_is_cut():
    out = piece(4, -2, [1, 1, 1, 1], [0, 0, 0, 1], 0)
    cell, nucleus = pasted(out)
    assert cell == [4, 4, *[0] * 10]
    assert nucleus == [0, 4, *[0] * 10]


@pytest.mark.parametrize("shape", [(5, 7, 9), (16, 3000, 4000), (1, 1, 1)])
def test_slabs_cover_a_volume_once_in_whole_chunks(shape: tuple[int, int, int]):
    chunk = (8, 1024, 1024)
    slabs = list(slabs_of(shape, chunk))
    assert sum(int(np.prod(s.shape)) for s in slabs) == int(np.prod(shape))
    for slab in slabs:
        assert all(a % c == 0 for a, c in zip(slab.start, chunk, strict=True))
        assert slab.clip(shape) == slab


def test_what_two_crops_claim_is_counted_with_its_place():
    for order in ((LEFT, RIGHT), (RIGHT, LEFT)):
        found = paste_slab(order, GRID.roi).contested
        assert list(found) == [(1, 2)]
        count, places = found[1, 2]
        # Columns 4 to 7.
        assert count == 4
        assert places.tolist() == [0, 0, 4 + 5 + 6 + 7]
    assert paste_slab([LEFT], GRID.roi).contested == {}
