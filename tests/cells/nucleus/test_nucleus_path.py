"""Following a nucleus through drawn slices: lobes, gaps, ends."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.propagation import NucleusPath, keep_large_components, seed_overlap


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


def path_of(areas: list[int]) -> NucleusPath:
    """A nucleus of squares of given areas, slices 50 nm apart."""
    evidence = SimpleNamespace(blank=[False] * len(areas), grid=SimpleNamespace(slice_nm=50.0))
    nuclei = np.zeros((len(areas), 100, 100), np.uint8)
    for plane, area in zip(nuclei, areas, strict=True):
        side = round(area**0.5)
        plane[:side, :side] = 1
    return NucleusPath(evidence, nuclei, 1, NucleusConfig())


def test_a_tail_that_does_not_grow_inwards_is_cut_off():
    pole = [25, 100, 400, 1600, 6400, 6400, 1600, 400, 100, 25]
    path = path_of(pole)
    path.end_tails()
    assert [np.count_nonzero(plane) for plane in path.nuclei] == pole
    # Behind the lower pole a patch goes on as it is.
    path = path_of([16, 16, 16, 16, 16, *pole])
    path.end_tails()
    held = [z for z, plane in enumerate(path.nuclei) if plane.any()]
    assert held[0] in (2, 3, 4)
    assert held[-1] == 14
