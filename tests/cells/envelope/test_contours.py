"""Closed curves: traced, filled by the rule of pixel centres, and what lies near them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path
from skimage.draw import polygon2mask

from helaseg.cells.envelope.contours import (
    blur_along,
    fill_contours,
    inward_normals,
    near_contours,
    trace_contours,
)


def star(rng, centre, n, low, high):
    """A closed curve around a point; its corners lie on no pixel centre."""
    angle = np.sort(rng.random(n)) * 2 * np.pi
    radius = rng.uniform(low, high, n)
    return np.column_stack([centre[0] + radius * np.sin(angle), centre[1] + radius * np.cos(angle)])


def inside(curve, shape):
    """The same by matplotlib, point by point."""
    points = np.argwhere(np.ones(shape, bool))
    return Path(np.vstack([curve, curve[:1]])).contains_points(points).reshape(shape)


@pytest.mark.parametrize("seed", range(12))
def test_filled_as_point_in_polygon_says(seed):
    rng = np.random.default_rng(seed)
    curve = star(rng, (30.3, 33.7), int(rng.integers(3, 70)), 4, 29)
    filled = fill_contours([curve], (62, 67))
    np.testing.assert_array_equal(filled, inside(curve, (62, 67)))
    np.testing.assert_array_equal(filled, polygon2mask((62, 67), curve))


def test_holes_islands_and_what_sticks_out(rng):
    shape = (70, 90)
    outer = star(rng, (35.2, 40.1), 40, 25, 60)
    hole = star(rng, (35.2, 40.1), 20, 8, 15)
    island = star(rng, (35.2, 40.1), 10, 2, 6)
    want = inside(outer, shape) ^ inside(hole, shape) ^ inside(island, shape)
    np.testing.assert_array_equal(fill_contours([outer, hole, island], shape), want)
    assert outer.max() > 90
    assert outer.min() < 0


def test_pixels_on_a_border_belong_to_one_of_two_neighbours():
    # Corners on pixel centres: two squares that share a side share no pixel.
    left = np.array([[2.0, 2], [2, 8], [8, 8], [8, 2]])
    right = left + [0, 6]
    a, b = (fill_contours([curve], (20, 20)) for curve in (left, right))
    assert a.sum() == b.sum() == 36
    assert not (a & b).any()


def test_nothing_to_fill():
    assert not fill_contours([], (5, 6)).any()
    far = np.array([[100.0, 100], [100, 110], [110, 110]])
    assert not fill_contours([far], (5, 6)).any()
    flat = np.array([[2.5, 1.0], [2.5, 4.0], [2.5, 2.0]])
    assert not fill_contours([flat], (5, 6)).any()


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_traced_mask_comes_back(rng, factor):
    mask = inside(star(rng, (30, 30), 14, 15, 28), (61, 61))
    mask &= ~inside(star(rng, (30, 30), 9, 5, 9), (61, 61))
    mask[2:5, 2:6] = True
    curves = trace_contours(mask, factor=factor, step_px=0.25 * factor, smooth_px=1e-6)
    assert len(curves) == 3
    large = mask.repeat(factor, axis=0).repeat(factor, axis=1)
    filled = fill_contours(curves, large.shape)
    if factor == 1:
        np.testing.assert_array_equal(filled, mask)
    assert (filled ^ large).sum() < 0.02 * large.sum()


def test_smoothing_keeps_the_size_of_small_islands():
    # A disk of 60 nm radius at 20 nm per pixel, the smallest that a nucleus may have.
    y, x = np.ogrid[:20, :20]
    mask = (y - 10) ** 2 + (x - 10) ** 2 <= 3.2**2
    (curve,) = trace_contours(mask, factor=2, step_px=2.0, smooth_px=4.0)
    filled = fill_contours([curve], (40, 40))
    assert filled.sum() == pytest.approx(4 * mask.sum(), rel=0.06)
    np.testing.assert_allclose(curve.mean(axis=0), [20.5, 20.5], atol=0.05)


def test_normals_point_into_the_mask_also_at_holes():
    y, x = np.ogrid[:100, :100]
    r = np.hypot(y - 50, x - 50)
    mask = (r < 40) & (r > 15)
    curves = trace_contours(mask, factor=1, step_px=1.0, smooth_px=2.0)
    assert len(curves) == 2
    for curve in curves:
        normals = inward_normals(curve)
        np.testing.assert_allclose(np.hypot(*normals.T), 1)
        probe = np.rint(curve + 3 * normals).astype(int)
        assert mask[tuple(probe.T)].all()


def test_a_mask_at_the_border_goes_on_beyond_it():
    mask = np.zeros((30, 40), bool)
    mask[10:20, 25:] = True
    (curve,) = trace_contours(mask, factor=1, step_px=1.0, smooth_px=2.0)
    assert curve[:, 1].max() > 41
    filled = fill_contours([curve], (30, 40))
    assert filled[11:19, 28:].all()
    assert not filled[:, :22].any()


def test_blur_along_is_a_circular_gaussian(rng):
    values = rng.random((64, 3))
    at = np.arange(64)
    apart = np.minimum(at, 64 - at)
    kernel = np.exp(-0.5 * (apart / 3.0) ** 2)
    kernel /= kernel.sum()
    want = np.stack([sum(kernel[k] * np.roll(values[:, c], k) for k in at) for c in range(3)], 1)
    np.testing.assert_allclose(blur_along(values, 3.0), want, atol=1e-6)
    np.testing.assert_allclose(blur_along(values, 0.0), values)


def distance_to_curve(curve, shape):
    """Distance of every pixel centre to the nearest point of a curve, edge by edge."""
    points = np.argwhere(np.ones(shape, bool)).astype(float)
    best = np.full(len(points), np.inf)
    for a, b in zip(curve, np.roll(curve, -1, axis=0), strict=True):
        t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        best = np.minimum(best, np.hypot(*(points - a - t[:, None] * (b - a)).T))
    return best.reshape(shape)


def test_near_pixels_are_all_within_reach_and_know_their_edge(rng):
    shape = (50, 60)
    curves = [star(rng, (24.3, 28.1), 60, 20, 26), star(rng, (24.3, 28.1), 12, 4, 6)]
    near = near_contours(curves, shape, reach_px=3.5)
    distance = np.minimum(*(distance_to_curve(c, shape) for c in curves))
    found = np.zeros(shape, bool)
    found[near.rows, near.cols] = True
    assert len(near.rows) == found.sum()
    np.testing.assert_array_equal(found, distance <= 3.5)
    starts = np.concatenate(curves)
    ends = np.concatenate([np.roll(c, -1, axis=0) for c in curves])
    at = starts[near.edge] + near.along[:, None] * (ends - starts)[near.edge]
    reached = np.hypot(near.rows - at[:, 0], near.cols - at[:, 1])
    np.testing.assert_allclose(reached, distance[near.rows, near.cols], atol=1e-4)


def test_near_nothing():
    near = near_contours([], (5, 5), reach_px=2.0)
    assert len(near.rows) == len(near.edge) == 0
