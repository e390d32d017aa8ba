from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi
from skimage.measure import label as skimage_label
from skimage.segmentation import relabel_sequential as skimage_relabel

from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.image import components
from helaseg.image import labels as module
from helaseg.image.labels import label, largest_component, relabel_sequential

SHAPES = [(37, 53), (1, 40), (40, 1), (1, 1), (9, 17, 23), (1, 5, 6), (7, 1, 9), (0, 4), (3, 0, 5)]
CASES = [(shape, c) for shape in SHAPES for c in range(1, len(shape) + 1)]
MASKS = hnp.arrays(
    st.sampled_from([np.bool_, np.uint8, np.int16, np.int64, np.float32]),
    hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9),
    elements=st.sampled_from([0, 1]),
)


def scipy_label(mask, connectivity):
    return ndi.label(mask, ndi.generate_binary_structure(mask.ndim, connectivity))


@pytest.mark.parametrize(("shape", "connectivity"), CASES)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_label_numbers_as_scipy_does(rng, shape, connectivity, share):
    mask = rng.random(shape) < share
    got, count = label(mask, connectivity=connectivity, return_count=True)
    want, n_want = scipy_label(mask, connectivity)
    assert got.dtype == np.int32
    assert count == n_want
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("shape", "connectivity"), [((60, 71), 1), ((60, 71), 2), ((8, 9, 10), 2)])
def test_label_numbers_as_skimage_does(rng, shape, connectivity):
    mask = ndi.gaussian_filter(rng.random(shape), 1.5) > 0.5
    want = skimage_label(mask, connectivity=connectivity)
    np.testing.assert_array_equal(label(mask, connectivity=connectivity), want)


@settings(max_examples=30, deadline=None)
@given(MASKS, st.integers(1, 3))
def test_label_is_scipy_for_any_dtype_and_layout(mask, connectivity):
    connectivity = min(connectivity, mask.ndim)
    want, _ = scipy_label(mask, connectivity)
    frozen = mask.copy()
    frozen.flags.writeable = False
    spread = np.repeat(mask, 2, axis=-1)[..., ::2]
    for version in (mask, frozen, np.asfortranarray(mask), spread):
        np.testing.assert_array_equal(label(version, connectivity=connectivity), want)


@settings(max_examples=20, deadline=None)
@given(MASKS)
def test_transposing_keeps_the_number_of_components(mask):
    _, count = label(mask, return_count=True)
    _, transposed = label(mask.T, return_count=True)
    assert count == transposed


def test_label_leaves_its_input_alone_and_writable():
    mask = np.ones((3, 4), dtype=bool)
    label(mask)
    assert mask.flags.writeable
    assert mask.all()


def test_label_writes_into_out():
    out = np.full((2, 3), 7, dtype=np.int32)
    got = label([[1, 0, 1], [0, 0, 1]], out=out)
    assert got is out
    np.testing.assert_array_equal(out, [[1, 0, 2], [0, 0, 2]])


@pytest.mark.parametrize("width", [1, 15, 16, 17, 47, 48, 63, 64, 65, 127, 128, 129, 200])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.97, 1.0])
def test_widths_around_the_words(rng, width, share):
    mask = rng.random((12, width)) < share
    for connectivity in (1, 2):
        want, _ = scipy_label(mask, connectivity)
        np.testing.assert_array_equal(label(mask, connectivity=connectivity), want)


def test_bytes_beyond_one_are_foreground():
    mask = np.array([[0, 2, 255, 0, 128], [1, 0, 0, 0, 64]], dtype=np.uint8)
    want = [[0, 1, 1, 0, 2], [3, 0, 0, 0, 2]]
    np.testing.assert_array_equal(label(mask), want)
    np.testing.assert_array_equal(label(mask.view(bool)), want)


@pytest.mark.parametrize("connectivity", [1, 2, 3])
@pytest.mark.parametrize("shape", [(97, 301), (11, 30, 65), (40, 3, 70)])
def test_threads_do_not_change_a_label(rng, monkeypatch, shape, connectivity):
    connectivity = min(connectivity, len(shape))
    monkeypatch.setattr(components, "_LEAST_PX", 64)
    for share in (0.3, 0.6, 0.9):
        mask = rng.random(shape) < share
        with limit_threads(1):
            alone = label(mask, connectivity=connectivity)
            largest = largest_component(mask, connectivity=connectivity)
        with limit_threads(3):
            shared = label(mask, connectivity=connectivity)
            np.testing.assert_array_equal(
                largest_component(mask, connectivity=connectivity), largest
            )
        np.testing.assert_array_equal(shared, alone)
        np.testing.assert_array_equal(shared, scipy_label(mask, connectivity)[0])


@pytest.mark.parametrize("connectivity", [1, 2])
def test_large_masks_are_scipy_s(rng, connectivity):
    for smooth in (0, 1, 4):
        mask = ndi.gaussian_filter(rng.random((700, 811)), smooth) > 0.5
        np.testing.assert_array_equal(
            label(mask, connectivity=connectivity), scipy_label(mask, connectivity)[0]
        )


def test_a_winding_run_is_one_component():
    mask = np.array([[1, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]])
    assert label(mask).max() == 1
    assert label(mask[::-1]).max() == 1


@pytest.mark.parametrize(("shape", "connectivity"), CASES)
def test_largest_component_is_the_largest_label(rng, shape, connectivity):
    mask = rng.random(shape) < 0.5
    labels, count = scipy_label(mask, connectivity)
    got = largest_component(mask, connectivity=connectivity)
    assert got.dtype == bool
    if count == 0:
        assert not got.any()
    else:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        np.testing.assert_array_equal(got, labels == sizes.argmax())


def test_largest_component_writes_into_out_or_into_the_mask(rng):
    mask = rng.random((20, 70)) < 0.4
    want = largest_component(mask)
    out = np.ones_like(mask)
    assert largest_component(mask, out=out) is out
    np.testing.assert_array_equal(out, want)
    largest_component(mask, out=mask)
    np.testing.assert_array_equal(mask, want)


def test_largest_component_takes_the_first_of_two_equal_ones():
    np.testing.assert_array_equal(largest_component([[1, 0, 1]]), [[True, False, False]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.uint64, ">i4"])
@pytest.mark.parametrize("top", [100, 10**9])
def test_relabel_sequential_agrees_with_skimage(rng, dtype, top):
    top = min(top, np.iinfo(dtype).max)
    ids = rng.choice(np.array([0, 1, 5, 40, top - 1, top]), size=(12, 13)).astype(dtype)
    labels, old_ids = relabel_sequential(ids)
    want, _, _ = skimage_relabel(ids.astype(np.int64))
    assert labels.dtype == np.int32
    assert old_ids.dtype == ids.dtype
    np.testing.assert_array_equal(labels, want)
    np.testing.assert_array_equal(old_ids[labels], ids)


@pytest.mark.parametrize("top", [50_000, 10**9])
def test_relabel_sequential_in_pieces_and_threads(rng, monkeypatch, top):
    ids = rng.choice(np.array([0, 3, 1000, top], dtype=np.int32), size=(70, 83))
    monkeypatch.setattr(module, "_CHUNK", 100)
    with limit_threads(1):
        alone, old_ids = relabel_sequential(ids)
    with limit_threads(3):
        shared, _ = relabel_sequential(ids)
        turned, _ = relabel_sequential(ids.T)
        np.testing.assert_array_equal(shared, alone)
        np.testing.assert_array_equal(turned, alone.T)
        got, _ = relabel_sequential(ids, out=ids)
    assert got is ids
    np.testing.assert_array_equal(ids, alone)
    np.testing.assert_array_equal(old_ids, [0, 3, 1000, top])


@pytest.mark.parametrize("top", [9, 10**9])
def test_relabel_sequential_without_background_keeps_zero_free(top):
    labels, old_ids = relabel_sequential(np.array([[top, 4], [4, 7]], dtype=np.int64))
    np.testing.assert_array_equal(labels, [[3, 1], [1, 2]])
    np.testing.assert_array_equal(old_ids, [0, 4, 7, top])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 3)])
def test_relabel_sequential_of_nothing(shape):
    labels, old_ids = relabel_sequential(np.zeros(shape, dtype=np.uint16))
    assert labels.shape == shape
    np.testing.assert_array_equal(labels, 0)
    np.testing.assert_array_equal(old_ids, [0])


@pytest.mark.parametrize("function", [label, largest_component])
@pytest.mark.parametrize("connectivity", [0, 3, 1.5])
def test_connectivity_beyond_the_axes_is_refused(function, connectivity):
    with pytest.raises(ParameterError, match=r"'connectivity' must be one of 1, 2, got"):
        function(np.ones((2, 2)), connectivity=connectivity)


def test_a_line_of_pixels_is_refused():
    with pytest.raises(ParameterError, match=r"'mask' must have 2 or 3 axes, got shape \(4,\)"):
        label(np.ones(4))


@pytest.mark.parametrize(
    ("out", "came"),
    [
        (np.empty((2, 2), dtype=np.int64), r"int64 \(2, 2\)"),
        (np.empty((2, 3), dtype=np.int32), r"int32 \(2, 3\)"),
        (np.empty((2, 4), dtype=np.int32)[:, ::2], r"not C-contiguous int32 \(2, 2\)"),
        ([[0, 0], [0, 0]], "list"),
    ],
)
def test_an_out_that_does_not_fit_is_refused(out, came):
    with pytest.raises(ParameterError, match=rf"'out' must be a writable .* got {came}; omit"):
        label(np.ones((2, 2)), out=out)


def test_relabel_refuses_negative_and_fractional_labels():
    with pytest.raises(ParameterError, match="'labels' must not hold negative labels, got -1"):
        relabel_sequential([[0, -1]])
    with pytest.raises(ParameterError, match="'labels' must hold integer labels, got dtype float"):
        relabel_sequential([[0.5, 1.0]])
