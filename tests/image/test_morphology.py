"""Disks, holes and specks against scipy, scikit-image, OpenCV and brute force."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import morphology as peers

from helaseg._kernels import morphology as kernels
from helaseg._kernels._jit import python_form
from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.image import (
    binary_closing,
    binary_dilation,
    binary_erosion,
    binary_opening,
    components,
    fill_holes,
    remove_small,
)
from helaseg.image import morphology as module

DISKS = (binary_dilation, binary_erosion, binary_opening, binary_closing)
PLANES = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=14))
RADII = st.sampled_from([0, 0.5, 1, 2**0.5, 2, 13**0.5, 3.2, 6, 40.0])


def disk(radius):
    r = int(radius)
    return np.array(
        [[np.hypot(y, x) <= radius for x in range(-r, r + 1)] for y in range(-r, r + 1)]
    )


def dilated(mask, radius):
    """All pixels whose distance to some True pixel is at most the radius."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    y, x = np.indices(mask.shape)
    ys, xs = np.nonzero(mask)
    return (np.hypot(y[..., None] - ys, x[..., None] - xs) <= radius).any(axis=-1)


@pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("radius", [0, 1, 2.3, 5, 30])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 1])
def test_kernel_spreads_either_value(rng, monkeypatch, form, dtype, radius, share):
    for name in ("_step_away", "_nearer", "_look_up", "_widen", "_mark_row"):
        monkeypatch.setattr(kernels, name, form(getattr(kernels, name)))
    plane = (rng.random((17, 23)) < share).astype(np.uint8)
    r = int(radius)
    heights = [int(np.sqrt(radius**2 - d**2)) + 1 for d in range(r + 1)]
    heights = np.array([*heights, 0], dtype)

    def spread(plane, value, out, blocks):
        below = np.empty(plane.shape, dtype)
        carried = []
        for first, last in blocks:
            above = np.empty(plane.shape[1], dtype)
            far = dtype(r + 1)
            form(kernels.measure_columns)(plane, np.uint8(value), far, first, last, below, above)
            carried.append((first, last, above))
        for first, last, above in carried:
            form(kernels.spread_disk)(
                plane, np.uint8(value), heights, below, above, first, last, out
            )

    out = np.empty_like(plane)
    spread(plane, 1, out, [(0, 17)])
    np.testing.assert_array_equal(out, dilated(plane == 1, radius))
    spread(1 - plane, 0, out, [(0, 1), (1, 4), (4, 17)])
    np.testing.assert_array_equal(out, ~dilated(plane == 1, radius))
    want = ~dilated(plane == 0, radius)
    spread(plane, 0, plane, [(0, 5), (5, 6), (6, 17)])
    np.testing.assert_array_equal(plane, want)


@settings(max_examples=40, deadline=None)
@given(PLANES, RADII)
def test_disks_are_exact(mask, radius):
    mask.setflags(write=False)
    grown = dilated(mask, radius)
    np.testing.assert_array_equal(binary_dilation(mask, radius_px=radius), grown)
    shrunk = ~dilated(~mask, radius)
    np.testing.assert_array_equal(binary_erosion(mask, radius_px=radius), shrunk)
    np.testing.assert_array_equal(binary_opening(mask, radius_px=radius), dilated(shrunk, radius))
    r = int(radius)
    padded = dilated(np.pad(mask, r), radius)
    closed = ~dilated(~padded, radius)[r : r + mask.shape[0], r : r + mask.shape[1]]
    np.testing.assert_array_equal(binary_closing(mask, radius_px=radius), closed)


@settings(max_examples=20, deadline=None)
@given(PLANES, RADII)
def test_disks_keep_the_laws_of_morphology(mask, radius):
    opened = binary_opening(mask, radius_px=radius)
    closed = binary_closing(mask, radius_px=radius)
    assert not (opened & ~mask).any()
    assert not (mask & ~closed).any()
    np.testing.assert_array_equal(binary_opening(opened, radius_px=radius), opened)
    for operation in DISKS:
        found = operation(mask, radius_px=radius)
        np.testing.assert_array_equal(operation(mask.T, radius_px=radius).T, found)
        np.testing.assert_array_equal(operation(3 * mask.astype(np.int16), radius_px=radius), found)
    np.testing.assert_array_equal(
        ~binary_dilation(~mask, radius_px=radius), binary_erosion(mask, radius_px=radius)
    )


@pytest.mark.parametrize("radius", [1, 3, 4.5, 12])
def test_disks_agree_with_the_peers(rng, radius):
    mask = ndimage.gaussian_filter(rng.random((90, 130)), 2) > 0.5
    footprint = disk(radius)
    assert footprint.sum() > 4
    for operation, peer in (
        (binary_dilation, peers.dilation),
        (binary_erosion, peers.erosion),
        (binary_opening, peers.opening),
    ):
        want = peer(mask, footprint, mode="ignore")
        np.testing.assert_array_equal(operation(mask, radius_px=radius), want)
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, footprint.astype(np.uint8))
    np.testing.assert_array_equal(binary_opening(mask, radius_px=radius), opened)


@pytest.mark.parametrize("radius", [252, 253, 253.9, 254, 300])
def test_radii_around_the_largest_byte(rng, radius):
    mask = np.zeros((560, 70), bool)
    mask[rng.integers(0, 560, 2), rng.integers(0, 70, 2)] = True
    np.testing.assert_array_equal(binary_dilation(mask, radius_px=radius), dilated(mask, radius))
    wide = mask.T.copy()
    np.testing.assert_array_equal(binary_dilation(wide, radius_px=radius), dilated(wide, radius))


@pytest.mark.parametrize("shape", [(90, 131), (5, 40, 33)])
@pytest.mark.parametrize("radius", [1, 4.5, 12])
def test_threads_do_not_change_a_pixel(rng, monkeypatch, shape, radius):
    monkeypatch.setattr(module, "_LEAST_PX", 64)
    monkeypatch.setattr(components, "_LEAST_PX", 64)
    mask = ndimage.gaussian_filter(rng.random(shape), 2) > 0.5
    frozen = mask.copy()
    frozen.setflags(write=False)

    def results():
        found = [operation(frozen, radius_px=radius) for operation in DISKS]
        found += [operation(m := mask.copy(), radius_px=radius, out=m) for operation in DISKS]
        return [*found, fill_holes(mask), remove_small(mask, min_area_px=30, connectivity=2)]

    with limit_threads(1):
        alone = results()
    with limit_threads(3):
        shared = results()
    for a, b in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_radius_on_a_pixel_includes_it():
    """The squared distance 13 is reached although the square of its root is below 13."""
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    assert np.sqrt(13.0) ** 2 < 13
    grown = binary_dilation(mask, radius_px=np.sqrt(13.0))
    assert grown[4 + 2, 4 + 3]
    assert grown.sum() == disk(13**0.5).sum()


def test_closing_keeps_objects_at_the_border_and_leaves_the_strip():
    mask = np.zeros((20, 20), bool)
    mask[:, :2] = True
    mask[5:15, 5:15] = True
    closed = binary_closing(mask, radius_px=3)
    assert closed[:, :2].all()
    assert closed[10, 2:5].all()
    assert not closed[10, 16:].any()


def test_volumes_are_worked_on_slice_by_slice(rng):
    volume = rng.random((3, 30, 20)) < 0.6
    for operation in DISKS:
        want = [operation(plane, radius_px=2) for plane in volume]
        np.testing.assert_array_equal(operation(volume, radius_px=2), want)


@pytest.mark.parametrize("operation", DISKS)
def test_out_may_be_the_mask(rng, operation):
    mask = rng.random((2, 30, 20)) < 0.6
    want = operation(mask, radius_px=1.5)
    out = np.ones_like(mask)
    assert operation(mask, radius_px=1.5, out=out) is out
    np.testing.assert_array_equal(out, want)
    operation(mask, radius_px=1.5, out=mask)
    np.testing.assert_array_equal(mask, want)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=8)))
def test_holes_are_those_of_scipy(mask):
    mask.setflags(write=False)
    filled = fill_holes(mask.T)
    np.testing.assert_array_equal(filled, ndimage.binary_fill_holes(mask.T))
    np.testing.assert_array_equal(fill_holes(filled), filled)
    assert not (mask.T & ~filled).any()


def test_only_small_holes_are_filled():
    mask = np.ones((12, 20), bool)
    mask[2:4, 2:4] = False
    mask[2:8, 8:12] = False
    mask[5:7, 18:] = False
    found = fill_holes(mask, max_area_px=4)
    assert found[2:4, 2:4].all()
    assert not found[2:8, 8:12].any()
    assert not found[5:7, 18:].any()
    np.testing.assert_array_equal(fill_holes(mask, max_area_px=3), mask)
    assert fill_holes(mask, max_area_px=24).sum() == mask.size - 4
    # A diagonal gap of the object does not open a hole.
    ring = np.pad(~np.eye(2, dtype=bool), 3)
    ring[3:5, 3:5] = False
    ring[2, 3:5] = ring[5, 3:5] = ring[3:5, 2] = ring[3:5, 5] = True
    assert fill_holes(ring)[3:5, 3:5].all()


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_holes_and_specks_go_into_out(rng, kind):
    mask = np.where(rng.random((40, 70)) < 0.6, 3, 0).astype(kind)
    for operation, setting in ((fill_holes, {}), (remove_small, {"min_area_px": 5})):
        want = operation(mask, **setting)
        out = rng.random(mask.shape) < 0.5
        assert operation(mask, out=out, **setting) is out
        np.testing.assert_array_equal(out, want)
        if kind is bool:
            same = mask.copy()
            operation(same, out=same, **setting)
            np.testing.assert_array_equal(same, want)


@pytest.mark.parametrize("smooth", [0, 1, 4])
def test_holes_of_large_masks_are_those_of_scipy(rng, smooth):
    mask = ndimage.gaussian_filter(rng.random((701, 813)), smooth) > 0.5
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
    volume = ndimage.gaussian_filter(rng.random((20, 60, 71)), smooth) > 0.45
    np.testing.assert_array_equal(fill_holes(volume), ndimage.binary_fill_holes(volume))


def test_a_hole_of_one_slice_may_lead_outside_through_another():
    volume = np.ones((3, 7, 7), bool)
    volume[1, 3, 3] = False
    assert fill_holes(volume).all()
    volume[1, 3, :3] = False
    np.testing.assert_array_equal(fill_holes(volume), volume)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=8)),
    st.integers(0, 6),
    st.integers(1, 3),
)
def test_small_components_are_those_of_scipy(mask, least, connectivity):
    connectivity = min(connectivity, mask.ndim)
    structure = ndimage.generate_binary_structure(mask.ndim, connectivity)
    components, n = ndimage.label(mask, structure)
    large = np.bincount(components.ravel(), minlength=n + 1) >= least
    large[0] = False
    found = remove_small(mask, min_area_px=least, connectivity=connectivity)
    np.testing.assert_array_equal(found, large[components])


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (3, 0), (0, 4, 4), (2, 0, 3)])
def test_empty_masks_stay_empty(shape):
    mask = np.zeros(shape, bool)
    for operation in DISKS:
        assert operation(mask, radius_px=2).shape == shape
    assert fill_holes(mask).shape == shape
    assert remove_small(mask, min_area_px=2).shape == shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: binary_opening(m, radius_px=-1), "'radius_px' must be zero or positive, got -1"),
        (lambda m: binary_closing(m, radius_px=np.nan), "'radius_px' must be zero or positive"),
        (lambda m: binary_erosion(m, radius_px=1e6), "'radius_px' must lie between 0 and 65000"),
        (lambda m: binary_dilation(m[0], radius_px=1), "'mask' must have 2 or 3 axes"),
        (
            lambda m: binary_dilation(m, radius_px=1, out=m[1:]),
            r"'out' must be a writable .* bool array of shape \(4, 4\), got bool \(3, 4\)",
        ),
        (
            lambda m: binary_dilation(m, radius_px=1, out=m.T),
            "'out' must be a writable C-contiguous bool array",
        ),
        (
            lambda m: binary_dilation(m[:3], radius_px=1, out=m[1:]),
            "'out' must be 'mask' itself or share no memory with it",
        ),
        (lambda m: fill_holes(m[:3], out=m[1:]), "'out' must be 'mask' itself or share no memory"),
        (lambda m: fill_holes(m, max_area_px=-1), "'max_area_px' must be zero or positive"),
        (lambda m: remove_small(m, min_area_px=-1), "'min_area_px' must be zero or positive"),
        (
            lambda m: remove_small(m, min_area_px=1, connectivity=3),
            "'connectivity' must lie between 1 and 2, got 3",
        ),
    ],
)
def test_wrong_use_is_refused(call, message):
    with pytest.raises(ParameterError, match=message):
        call(np.zeros((4, 4), bool))
