"""Following a nucleus through drawn slices: lobes, gaps, ends."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.nucleus_path import keep_large_components, seed_overlap


def test_components_that_never_join_are_dropped_and_others_stay(rng):
    nuclei = np.zeros((12, 60, 61), np.uint8)
    nuclei[2:10, 10:40, 10:41] = 1
    nuclei[10, 10:16, 10:16] = 1  # an island that joins
    nuclei[4:6, 50:53, 50:53] = 1  # cytoplasm
    nuclei[4:6, 55:58, 55:58] = 2  # another nucleus
    want = nuclei.copy()
    want[4:6, 50:53, 50:53] = 0
    keep_large_components(nuclei, 1, 0.1)
    np.testing.assert_array_equal(nuclei, want)
    keep_large_components(nuclei, 3, 0.1)
    np.testing.assert_array_equal(nuclei, want)


def test_overlap_of_a_seed_is_the_part_covered():
    plane = np.zeros((10, 10), np.uint8)
    plane[:, :4] = 3
    seed = np.zeros((10, 10), bool)
    seed[2:4, 2:7] = True
    assert seed_overlap(seed, plane) == pytest.approx(0.4)
    assert seed_overlap(seed & False, plane) == 0.0
