"""Basins of the distance map, and which of them are one cell."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.competition import Saddle, find_basins, find_saddles, join_basins, pool_all
from helaseg.image import distance_transform


def balls(*centres_and_radii: tuple[int, int], width: int = 120) -> np.ndarray:
    """Discs on a row, as a stack of one slice."""
    yy, xx = np.ogrid[:60, :width]
    solid = np.zeros((60, width), bool)
    for centre, radius in centres_and_radii:
        solid |= (yy - 30) ** 2 + (xx - centre) ** 2 <= radius**2
    return solid[None]


def cells_of(solid, nuclei=None, **rule):
    distance = distance_transform(solid, spacing=(100, 10, 10))
    nuclei = np.zeros(solid.shape, np.int32) if nuclei is None else nuclei
    basins, count = find_basins(solid, distance, nuclei, step_nm=1.0)
    peak = np.zeros(count + 1)
    np.maximum.at(peak, basins.ravel(), distance.ravel())
    rule = {"n_nuclei": int(nuclei.max()), "neck_ratio": 0.5, "bleb_radius_nm": 0.0} | rule
    return join_basins(find_saddles(basins, distance), peak, **rule)[basins]


def test_a_narrow_neck_parts_two_cells():
    # Radii 20; the discs overlap by 4 px, a neck of half width 9 px: less than half.
    cells = cells_of(balls((35, 20), (71, 20)))
    assert cells[0, 30, 35] != cells[0, 30, 71]
    assert set(np.unique(cells)) == {0, cells[0, 30, 35], cells[0, 30, 71]}


def test_a_wide_neck_joins_two_humps():
    cells = cells_of(balls((45, 20), (65, 20)))
    assert cells[0, 30, 45] == cells[0, 30, 65]


def test_two_nuclei_never_join():
    solid = balls((45, 20), (65, 20))
    nuclei = np.zeros(solid.shape, np.int32)
    nuclei[0, 28:33, 40:45] = 1
    nuclei[0, 28:33, 66:70] = 2
    cells = cells_of(solid, nuclei)
    assert cells[0, 30, 30] == 1
    assert cells[0, 30, 80] == 2


def test_a_bleb_joins_whatever_its_neck():
    solid = balls((40, 20), (65, 7))
    apart = cells_of(solid, neck_ratio=0.9)
    together = cells_of(solid, neck_ratio=0.9, bleb_radius_nm=80.0)
    assert apart[0, 30, 40] != apart[0, 30, 66]
    assert together[0, 30, 40] == together[0, 30, 66]


def test_joining_does_not_depend_on_the_order_of_the_saddles():
    peak = np.array([0, 100.0, 80.0, 60.0])
    saddles = [Saddle(a=1, b=2, height_nm=30), Saddle(a=2, b=3, height_nm=50)]
    rule = {"n_nuclei": 0, "neck_ratio": 0.5, "bleb_radius_nm": 0.0}
    forward = join_basins(saddles, peak, **rule)
    np.testing.assert_array_equal(forward, join_basins(saddles[::-1], peak, **rule))
    np.testing.assert_array_equal(forward, [0, 1, 2, 2])


def test_saddle_is_the_highest_pass():
    basins = np.array([[[1, 1, 2, 2], [1, 1, 2, 2]]], np.int32)
    distance = np.array([[[5, 3, 4, 9], [5, 7, 6, 9]]], np.float32)
    assert find_saddles(basins, distance) == [Saddle(a=1, b=2, height_nm=6.0)]


def test_pooling_keeps_thin_gaps_open():
    mask = np.ones((2, 5, 6), bool)
    mask[:, :, 3] = False
    pooled = pool_all(mask, (1, 2, 2))
    assert pooled.shape == (2, 3, 3)
    np.testing.assert_array_equal(pooled[0], [[True, False, True]] * 3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7)])
def test_pooling_of_partial_blocks_repeats_the_border(shape):
    assert pool_all(np.ones(shape, bool), (2, 2, 2)).all()
