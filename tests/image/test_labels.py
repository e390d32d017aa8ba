from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi
from skimage.measure import label as skimage_label
from skimage.segmentation import relabel_sequential as skimage_relabel

from helaseg._kernels import labeling
from helaseg._kernels._jit import python_form
from helaseg.errors import ParameterError
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


def test_a_winding_run_is_one_component():
    mask = np.array([[1, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]])
    assert label(mask).max() == 1
    assert label(mask[::-1]).max() == 1


@pytest.mark.parametrize("share", [0.3, 0.6])
@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_kernels_agree_with_their_python_form(rng, share, connectivity):
    mask = (rng.random((3, 6, 11)) < share).view(np.uint8)
    want, n_want = scipy_label(mask, connectivity)
    for form in (lambda k: k, python_form):
        offsets = np.empty(19, dtype=np.int64)
        form(labeling.count_runs)(mask, offsets)
        n_runs = int(offsets[-1])
        starts, stops, numbers = (np.empty(n_runs, dtype=np.int32) for _ in range(3))
        form(labeling.find_runs)(mask, offsets, starts, stops)
        form(labeling.join_runs)(3, 6, connectivity, offsets, starts, stops, numbers)
        count = form(labeling.number_runs)(numbers)
        got = np.empty(mask.shape, dtype=np.int32)
        form(labeling.paint_runs)(offsets, starts, stops, numbers, got)
        sizes = np.zeros(count + 1, dtype=np.int64)
        form(labeling.measure_runs)(starts, stops, numbers, sizes)
        assert count == n_want
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(sizes[1:], np.bincount(want.ravel())[1:])


@pytest.mark.parametrize("rows", ["_find_root", "_join_rows"])
def test_union_find_helpers_agree_with_their_python_form(rows):
    if rows == "_find_root":
        for form in (lambda k: k, python_form):
            parents = np.array([0, 0, 1, 2, 4], dtype=np.int32)
            assert form(labeling._find_root)(parents, 3) == 0
            np.testing.assert_array_equal(parents, [0, 0, 0, 0, 4])
    else:
        starts = np.array([0, 5, 2, 8], dtype=np.int32)
        stops = np.array([2, 7, 6, 9], dtype=np.int32)
        for reach, want in ((0, [0, 1, 1, 3]), (1, [0, 0, 0, 3])):
            for form in (lambda k: k, python_form):
                parents = np.arange(4, dtype=np.int32)
                form(labeling._join_rows)(starts, stops, parents, 2, 4, 0, 2, reach)
                roots = [labeling._find_root(parents, run) for run in range(4)]
                assert roots == want


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
        (np.empty((2, 4), dtype=np.int32)[:, ::2], r"int32 \(2, 2\)"),
        ([[0, 0], [0, 0]], "list"),
    ],
)
def test_an_out_that_does_not_fit_is_refused(out, came):
    with pytest.raises(ParameterError, match=rf"'out' must be a writable .* got {came}; leave"):
        label(np.ones((2, 2)), out=out)


def test_relabel_refuses_negative_and_fractional_labels():
    with pytest.raises(ParameterError, match="'labels' must not hold negative labels, got -1"):
        relabel_sequential([[0, -1]])
    with pytest.raises(ParameterError, match="'labels' must hold integer labels, got dtype float"):
        relabel_sequential([[0.5, 1.0]])


def test_more_runs_than_int32_counts_are_refused():
    assert module._check_run_count(2**31 - 1) == 2**31 - 1
    with pytest.raises(ParameterError, match=r"at most 2147483647 runs .* got 2147483648; label"):
        module._check_run_count(2**31)
