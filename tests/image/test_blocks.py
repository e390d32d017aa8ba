"""Joining blocks of voxels."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.image.blocks import pool_all, pool_labels, pool_max


def blocks(array: np.ndarray, factors: tuple[int, int, int]):
    """Each block of an array, with its place on the coarse grid."""
    shape = [-(-n // f) for n, f in zip(array.shape, factors, strict=True)]
    for place in np.ndindex(*shape):
        box = tuple(slice(p * f, (p + 1) * f) for p, f in zip(place, factors, strict=True))
        yield place, array[box]


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 3, 3), (1, 4, 2), (3, 1, 1)])
@pytest.mark.parametrize("shape", [(5, 7, 8), (2, 3, 3), (6, 12, 4)])
def test_blocks_are_joined_as_their_names_say(rng, shape, factors):
    mask = rng.random(shape) < 0.8
    labels = rng.integers(0, 2, shape).astype(np.uint8) * 3
    labels[:2] = 5
    values = rng.integers(0, 256, shape).astype(np.uint8)
    before = (mask.copy(), labels.copy(), values.copy())
    pooled = pool_all(mask, factors), pool_labels(labels, factors), pool_max(values, factors)
    for place, block in blocks(mask, factors):
        assert pooled[0][place] == block.all()
    for place, block in blocks(labels, factors):
        assert pooled[1][place] == (block.flat[0] if (block == block.flat[0]).all() else 0)
    for place, block in blocks(values, factors):
        assert pooled[2][place] == block.max()
    for array, old in zip((mask, labels, values), before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_a_thin_gap_survives():
    mask = np.ones((1, 6, 6), bool)
    mask[0, 3] = False
    np.testing.assert_array_equal(pool_all(mask, (1, 3, 3))[0], [[True, True], [False, False]])
