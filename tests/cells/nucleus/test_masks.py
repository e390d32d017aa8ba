"""Small geometry of masks, against plain counting and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from helaseg.cells.nucleus.masks import between, jaccard, rim_of, signed_distance, window


def disk(radius, shape=(80, 80)):
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    return (yy - shape[0] // 2) ** 2 + (xx - shape[1] // 2) ** 2 <= radius**2


def test_between_moves_the_outline_part_of_the_way():
    small, large = disk(10), disk(30)
    assert between(small, large, 0.5).sum() == pytest.approx(np.pi * 20**2, rel=0.05)
    np.testing.assert_array_equal(between(small, large, 0.0), small)
    np.testing.assert_array_equal(between(small, large, 1.0), large)


def test_jaccard_counts_pixels(rng):
    a, b = rng.random((2, 30, 30)) < 0.4
    sets = [set(map(tuple, np.argwhere(mask))) for mask in (a, b)]
    assert jaccard(a, b) == pytest.approx(len(sets[0] & sets[1]) / len(sets[0] | sets[1]))
    assert jaccard(a & False, b & False) == 0.0


def test_signed_distance_is_that_of_scipy():
    mask = disk(12)
    want = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    np.testing.assert_allclose(signed_distance(mask), want, rtol=1e-5)
    assert (signed_distance(np.zeros((4, 4), bool)) < -1e5).all()
    assert (signed_distance(np.ones((4, 4), bool)) > 1e5).all()


def test_window_holds_the_mask_and_starts_even():
    mask = np.zeros((50, 60), bool)
    mask[13:20, 31:40] = True
    rows, cols = window(mask, margin_px=4)
    assert rows.start % 2 == cols.start % 2 == 0
    assert rows.start in (8, 9)
    assert rows.stop == 24
    assert cols.start in (26, 27)
    assert cols.stop == 44
    assert window(mask, margin_px=100) == (slice(0, 50), slice(0, 60))
    assert window(mask & False, margin_px=4) is None


def test_rim_is_what_touches_the_mask_by_a_side():
    mask = disk(9)
    cross = ndimage.generate_binary_structure(2, 1)
    np.testing.assert_array_equal(rim_of(mask), ndimage.binary_dilation(mask, cross) & ~mask)
