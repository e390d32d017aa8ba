"""The surface kernels: compiled, as Python, and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial import cKDTree

from helaseg._kernels import surface
from helaseg._kernels._jit import python_form

FORMS = pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])


def _surface_by_scipy(state: np.ndarray) -> np.ndarray:
    return (state == 1) & ~ndimage.binary_erosion(state > 0, border_value=0)


@FORMS
@settings(max_examples=20, deadline=None)
@given(
    state=hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements=st.sampled_from([0, 1, 1, 1, 2]),
    )
)
def test_mark_surface_of_a_volume(form, state) -> None:
    nothing = np.zeros(state.shape[1:], np.uint8)
    padded = [nothing, *state, nothing]
    got = np.empty(state.shape, np.bool_)
    n_inside = sum(
        form(surface.mark_surface)(*padded[z : z + 3], got[z]) for z in range(len(state))
    )
    np.testing.assert_array_equal(got, _surface_by_scipy(state))
    assert n_inside == (state == 1).sum()


@FORMS
@settings(max_examples=20, deadline=None)
@given(
    state=hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=7),
        elements=st.sampled_from([0, 1, 1, 1, 2]),
    )
)
def test_mark_surface_of_a_plane(form, state) -> None:
    got = np.empty(state.shape, np.bool_)
    form(surface.mark_surface)(state, state, state, got)
    np.testing.assert_array_equal(got, _surface_by_scipy(state))


@FORMS
def test_order_keys_interleave_the_bits(form) -> None:
    points = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [3, 1, 2]], np.int32)
    keys = np.empty(5, np.uint64)
    form(surface.order_keys)(points, np.ones(3), keys)
    assert keys.tolist() == [0, 1, 2, 4, 0b101110]
    top = np.full((1, 3), 2**21 - 1, np.int32)
    form(surface.order_keys)(top, np.ones(3), keys[:1])
    assert keys[0] == 2**63 - 1


@FORMS
@pytest.mark.parametrize("n", [1, 16, 17, 100])
def test_boxes_hold_their_points(form, n, rng) -> None:
    points = rng.integers(0, 50, (n, 3)).astype(np.int32)
    n_leaves = 1
    while n_leaves * surface.LEAF < n:
        n_leaves *= 2
    boxes = np.empty((2 * n_leaves, 6), np.int32)
    form(surface.build_boxes)(points, boxes)
    np.testing.assert_array_equal(boxes[1], np.r_[points.min(axis=0), points.max(axis=0)])
    for leaf in range(-(-n // surface.LEAF)):
        members = points[leaf * surface.LEAF : (leaf + 1) * surface.LEAF]
        box = np.r_[members.min(axis=0), members.max(axis=0)]
        np.testing.assert_array_equal(boxes[n_leaves + leaf], box)


@FORMS
@pytest.mark.parametrize("n_targets", [1, 5, 40, 333])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (50.0, 10.0, 7.0)])
def test_nearest_distances(form, n_targets, spacing, rng) -> None:
    # in no order at all: order is for speed, not for the result
    targets = rng.integers(0, 60, (n_targets, 3)).astype(np.int32)
    sources = rng.integers(-20, 80, (50, 3)).astype(np.int32)
    n_leaves = 1
    while n_leaves * surface.LEAF < n_targets:
        n_leaves *= 2
    boxes = np.empty((2 * n_leaves, 6), np.int32)
    surface.build_boxes(targets, boxes)
    out = np.empty(50)
    form(surface.nearest_distances)(sources, targets, boxes, np.array(spacing), out)
    want = cKDTree(targets * spacing).query(sources * np.array(spacing))[0]
    np.testing.assert_allclose(out, want, rtol=1e-13)
