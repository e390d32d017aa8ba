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


def _compiled(kernel):
    return kernel


def _surface_by_scipy(state: np.ndarray) -> np.ndarray:
    return (state == 1) & ~ndimage.binary_erosion(state > 0, border_value=0)


def _list_surface(form, above, here, below, z, n_points):
    """The whole list, in pieces of at most `n_points`."""
    points = np.empty((max(n_points, here.shape[1]), 3), np.int32)
    found, n_inside, row = [], 0, 0
    while row < here.shape[0]:
        row, n, inside = form(surface.list_surface)(above, here, below, z, row, points)
        found += points[:n].tolist()
        n_inside += inside
    return found, n_inside


@FORMS
@settings(max_examples=30, deadline=None)
@given(
    state=hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 19)),
        elements=st.sampled_from([0, 1, 1, 1, 1, 1, 2]),
    ),
    n_points=st.sampled_from([1, 25, 1000]),
)
def test_list_surface_of_a_volume(form, state, n_points) -> None:
    nothing = np.zeros(state.shape[1:], np.uint8)
    padded = [nothing, *state, nothing]
    found, n_inside = [], 0
    for z in range(len(state)):
        listed, inside = _list_surface(form, *padded[z : z + 3], z, n_points)
        found += listed
        n_inside += inside
    assert found == np.argwhere(_surface_by_scipy(state)).tolist()
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
def test_list_surface_of_a_plane(form, state) -> None:
    found, _ = _list_surface(form, state, state, state, 5, 1000)
    want = np.argwhere(_surface_by_scipy(state))
    assert found == [[5, *row] for row in want.tolist()]


@FORMS
def test_a_full_slice_is_counted_without_overflow(form) -> None:
    state = np.ones((3, 1000), np.uint8)
    found, n_inside = _list_surface(form, state, state, state, 0, 5000)
    assert n_inside == 3000
    assert len(found) == 2002


@FORMS
def test_order_keys_interleave_the_bits(form) -> None:
    points = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [3, 1, 2]], np.int32)
    keys = np.empty(5, np.uint64)
    form(surface.order_keys)(points, np.ones(3), keys)
    assert keys.tolist() == [0, 1, 2, 4, 0b101110]
    top = np.full((1, 3), 2**21 - 1, np.int32)
    form(surface.order_keys)(top, np.ones(3), keys[:1])
    assert keys[0] == 2**63 - 1


def _tree(form, points):
    n = -(-len(points) // surface.FAN)
    leaves = np.empty((n, 3, surface.FAN), np.int32)
    starts = [0]
    while n > 1 or len(starts) == 1:
        n = -(-n // surface.FAN)
        starts.append(starts[-1] + n)
    boxes = np.empty((starts[-1], 6, surface.FAN), np.int32)
    levels = np.array(starts, np.int64)
    form(surface.build_tree)(points, levels, leaves, boxes)
    return leaves, levels, boxes


@FORMS
@pytest.mark.parametrize("n", [1, 16, 17, 100, 300])
def test_boxes_hold_their_points(form, n, rng) -> None:
    points = rng.integers(0, 50, (n, 3)).astype(np.int32)
    leaves, starts, boxes = _tree(form, points)
    flat = leaves.transpose(0, 2, 1).reshape(-1, 3)
    np.testing.assert_array_equal(flat[:n], points)
    assert (flat[n:] == 2**30).all()
    assert starts[-1] - starts[-2] == 1
    for level in range(len(starts) - 1):
        # points below one child of this level
        reach = surface.FAN ** (level + 1)
        for child in range((starts[level + 1] - starts[level]) * surface.FAN):
            node = boxes[starts[level] + child // surface.FAN, :, child % surface.FAN]
            members = points[child * reach : (child + 1) * reach]
            if len(members):
                want = np.r_[members.min(axis=0), members.max(axis=0)]
            else:
                want = np.repeat([2**30, -(2**30)], 3)
            np.testing.assert_array_equal(node, want)


@FORMS
@pytest.mark.parametrize("bits", [1, 2, 3, 8, 40, 2**15, 2**31, 2**32 - 2])
def test_lowest_bit(form, bits) -> None:
    assert form(surface._lowest_bit)(np.uint32(bits)) == (bits & -bits).bit_length() - 1


@FORMS
@pytest.mark.parametrize("n_targets", [1, 5, 40, 333])
@pytest.mark.parametrize(
    "spacing", [(1.0, 1.0, 1.0), (50.0, 10.0, 7.0), (1e-9, 2e-9, 1e-9), (3e7, 1e7, 1e7)]
)
def test_nearest_distances(form, n_targets, spacing, rng) -> None:
    # in no order at all: order is for speed, not for the result
    targets = rng.integers(0, 60, (n_targets, 3)).astype(np.int32)
    sources = rng.integers(0, 80, (50, 3)).astype(np.int32)
    sources[:5] = targets[rng.integers(0, n_targets, 5)]
    out = np.empty(50)
    form(surface.nearest_distances)(sources, *_tree(_compiled, targets), np.array(spacing), out)
    want = cKDTree(targets * spacing).query(sources * np.array(spacing))[0]
    np.testing.assert_allclose(out, want, rtol=1e-13)
    assert (out[:5] == 0).all()


def test_nearest_distances_are_those_of_a_full_search(rng) -> None:
    # far away in the coordinates, where single precision could not tell neighbours apart
    targets = (rng.integers(0, 400, (3000, 3)) + 10_000_000).astype(np.int32)
    sources = (rng.integers(0, 400, (200, 3)) + 10_000_000).astype(np.int32)
    spacing = np.array([8.3, 4.1, 4.1])
    out = np.empty(200)
    surface.nearest_distances(sources, *_tree(_compiled, targets), spacing, out)
    steps = (targets[None].astype(float) - sources[:, None]) * spacing
    squares = steps[..., 0] ** 2 + steps[..., 1] ** 2 + steps[..., 2] ** 2
    np.testing.assert_array_equal(out, np.sqrt(squares.min(axis=1)))
