"""Histogram and Otsu thresholds against numpy, scikit-image, OpenCV and brute force."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.filters import threshold_multiotsu, threshold_otsu

from helaseg._kernels import histogram as kernels
from helaseg._kernels._jit import python_form
from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.image import histogram, multi_otsu, otsu_threshold, thresholds

BYTES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9))


def between_variance(values, thresholds):
    """Exact sum of S^2 / n over the classes, in fractions."""
    total = Fraction(0)
    bounds = [-np.inf, *thresholds, np.inf]
    for low, high in pairwise(bounds):
        members = [int(v) for v in values if low < v <= high]
        if members:
            total += Fraction(sum(members) ** 2, len(members))
    return total


def two_hills(rng, shape=(61, 47)):
    bright = rng.random(shape) < 0.4
    grey = np.where(bright, rng.normal(170, 20, shape), rng.normal(80, 25, shape))
    return grey.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])
@pytest.mark.parametrize("n", [0, 8, 16, 1600])
def test_kernels_count_like_bincount(rng, monkeypatch, form, n):
    for name in ("_count_pairs", "_part_pairs"):
        monkeypatch.setattr(kernels, name, form(getattr(kernels, name)))
    flat = rng.integers(0, 256, n).astype(np.uint8)
    mask = rng.integers(0, 2, n).astype(np.uint8)
    mask[n // 2 :] = 0
    counts = np.zeros(256, np.int64)
    form(kernels.count_bytes)(flat.view(np.uint64), counts)
    np.testing.assert_array_equal(counts, np.bincount(flat, minlength=256))

    counts[:] = 0
    form(kernels.count_masked_bytes)(flat.view(np.uint64), mask.view(np.uint64), counts)
    np.testing.assert_array_equal(counts, np.bincount(flat * mask, minlength=256))

    words = rng.integers(0, 65536, n).astype(np.uint16)
    counts = np.zeros(65536, np.int64)
    form(kernels.count_words)(words, counts)
    np.testing.assert_array_equal(counts, np.bincount(words, minlength=65536))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "?"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 5), (2, 4, 8), (37, 53)])
def test_threads_and_pieces_change_nothing(rng, monkeypatch, dtype, shape):
    monkeypatch.setattr(thresholds, "_CHUNK", 16)
    monkeypatch.setattr(thresholds, "_MOST_WORDS", 3)
    image = rng.integers(0, 256, shape).astype(np.uint8).astype(dtype)
    mask = rng.random(shape) < 0.7
    mask.flat[-1] = True
    for chosen in (None, mask):
        values, want = np.unique(image if chosen is None else image[chosen], return_counts=True)
        for n in (1, 3):
            with limit_threads(n):
                counts, centres = histogram(image, mask=chosen)
            np.testing.assert_array_equal(centres[counts > 0], values.astype(int))
            np.testing.assert_array_equal(counts[counts > 0], want)


def test_memory_may_begin_anywhere_and_be_read_only(rng):
    memory = rng.integers(0, 256, 901).astype(np.uint8)
    want = np.bincount(memory[1:], minlength=256)
    memory.setflags(write=False)
    counts, _ = histogram(memory[1:].reshape(30, 30))
    np.testing.assert_array_equal(counts, want)
    pairs = memory[1:].view(np.uint16).reshape(15, 30)
    counts, _ = histogram(pairs)
    np.testing.assert_array_equal(counts, np.bincount(pairs.ravel(), minlength=65536))


@pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])
@pytest.mark.parametrize("bins", [1, 7, 64])
def test_bins_are_those_of_numpy(rng, form, bins):
    flat = rng.normal(size=900)
    # Values on the edges themselves are where rounding would show.
    flat[:300] = np.round(flat[:300], 1)
    want, edges = np.histogram(flat, bins)
    counts = np.zeros(bins, np.int64)
    form(kernels.count_bins)(np.append(flat, [np.nan, np.inf, 99.0]), edges, counts)
    np.testing.assert_array_equal(counts, want)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_histogram_counts_every_small_integer_exactly(data):
    dtype = data.draw(st.sampled_from(["u1", "i1", "u2", "i2", ">u2", "?"]))
    image = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=3, max_side=8)))
    mask = data.draw(hnp.arrays(bool, image.shape))
    mask.flat[0] = True
    image.setflags(write=False)
    for part, chosen in ((None, image), (mask, image[mask])):
        counts, centres = histogram(image.T, mask=None if part is None else part.T)
        levels, n = np.unique(chosen.astype(int), return_counts=True)
        np.testing.assert_array_equal(centres[counts > 0], levels)
        np.testing.assert_array_equal(counts[counts > 0], n)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.int64])
def test_histogram_of_wide_types_is_that_of_numpy(rng, dtype):
    image = (1e6 * rng.normal(size=(37, 53))).astype(dtype)
    counts, centres = histogram(image, bins=50)
    want, edges = np.histogram(image.astype(np.float64), 50)
    np.testing.assert_array_equal(counts, want)
    np.testing.assert_allclose(centres, (edges[1:] + edges[:-1]) / 2)


def test_histogram_leaves_out_what_is_not_finite(rng):
    image = rng.random((20, 30))
    spoiled = image.copy()
    spoiled[0, :3] = np.nan, np.inf, -np.inf
    counts, _ = histogram(spoiled)
    assert counts.sum() == image.size - 3
    counts, _ = histogram(spoiled, mask=np.arange(20)[:, None] + np.zeros(30) > 0)
    assert counts.sum() == 19 * 30


def test_otsu_agrees_with_the_peers(rng):
    image = two_hills(rng)
    threshold = otsu_threshold(image)
    assert isinstance(threshold, int)
    assert threshold == threshold_otsu(image)
    assert threshold == cv2.threshold(image, 0, 255, cv2.THRESH_OTSU)[0]
    wide = image.astype(np.uint16) * 200
    assert otsu_threshold(wide) == threshold_otsu(wide) == 200 * threshold
    signed = image.astype(np.int16) - 128
    assert otsu_threshold(signed) == threshold_otsu(signed) == threshold - 128
    real = image * 1.7 - 3
    assert otsu_threshold(real) == pytest.approx(threshold_otsu(real), abs=1e-9)
    assert otsu_threshold(real, bins=64) == pytest.approx(threshold_otsu(real, 64), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(BYTES)
def test_otsu_is_the_best_of_all_thresholds(image):
    threshold = otsu_threshold(image)
    values = image.ravel()
    levels = np.unique(values)
    if levels.size == 1:
        assert threshold == levels[0]
        return
    best = max(between_variance(values, [t]) for t in levels[:-1])
    assert float(between_variance(values, [threshold])) == pytest.approx(float(best), rel=1e-12)
    assert (image <= threshold).any()
    assert (image > threshold).any()


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", ">i4", "u4", "i8", "u8"])
def test_types_of_any_width_are_divided_alike(rng, dtype):
    for _ in range(40):
        levels = np.sort(rng.choice(40, 4, replace=False))
        narrow = rng.choice(levels, (1, 60)).astype(np.uint8)
        wide = narrow.astype(dtype)
        assert otsu_threshold(wide) == otsu_threshold(narrow)
        assert multi_otsu(wide, classes=3) == multi_otsu(narrow, classes=3)


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8"])
def test_levels_at_the_ends_of_a_type_are_exact(dtype):
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    image = np.array([[low, low + 1, low + 2, high - 1, high, high]], dtype)
    assert otsu_threshold(image) == low + 2
    assert multi_otsu(image, classes=3)[0] in (low, low + 1, low + 2)
    near = np.array([[high - 5, high - 4, high - 1, high]], dtype)
    assert otsu_threshold(near) == high - 4


def test_many_levels_with_far_ones_among_them_still_have_all_classes(rng):
    image = np.append(rng.choice(2**17, 4000), 2**40)[None]
    first, second = multi_otsu(image, classes=3)
    assert first < second < 2**40


def test_otsu_of_a_mask_sees_only_the_mask(rng):
    image = two_hills(rng)
    mask = rng.random(image.shape) < 0.5
    assert otsu_threshold(image, mask=mask) == threshold_otsu(image[mask])
    assert otsu_threshold(image / 2, mask=mask) == pytest.approx(threshold_otsu(image[mask] / 2))


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_gives_its_value(value):
    assert otsu_threshold(np.full((3, 4), value, np.uint8)) == value
    assert otsu_threshold(np.full((3, 4), value / 3)) == value / 3
    assert multi_otsu(np.full((3, 4), value, np.uint8), classes=4) == (value,) * 3


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_multi_otsu_agrees_with_scikit_image(rng, classes):
    image = two_hills(rng)
    assert multi_otsu(image, classes=classes) == tuple(threshold_multiotsu(image, classes))
    real = image / 7
    np.testing.assert_allclose(
        multi_otsu(real, classes=classes), threshold_multiotsu(real, classes), rtol=1e-6
    )


def test_multi_otsu_of_two_classes_is_otsu(rng):
    image = two_hills(rng)
    assert multi_otsu(image, classes=2) == (otsu_threshold(image),)


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.uint8, (4, 5), elements=st.integers(0, 12)), st.integers(2, 4))
def test_multi_otsu_is_the_best_of_all(image, classes):
    found = multi_otsu(image, classes=classes)
    levels = np.unique(image)
    assert len(found) == classes - 1
    assert list(found) == sorted(found)
    if levels.size < classes:
        assert set(levels[:-1]) <= set(found) <= set(levels)
        return
    values = image.ravel()
    best = max(between_variance(values, t) for t in combinations(levels[:-1], classes - 1))
    assert float(between_variance(values, found)) == pytest.approx(float(best), rel=1e-12)


def test_multi_otsu_groups_the_levels_of_16_bits(rng):
    image = two_hills(rng).astype(np.uint16) * 250
    found = multi_otsu(image, classes=3)
    want = [250 * t for t in multi_otsu(image // 250, classes=3)]
    np.testing.assert_allclose(found, want, atol=2 * 250)
    assert all(isinstance(t, int) for t in found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda im: histogram(im, bins=0), "'bins' must be at least 1, got 0"),
        (lambda im: histogram(im[0]), "'image' must have 2 or 3 axes"),
        (lambda im: histogram(im[:0]), "'image' must hold at least one pixel"),
        (lambda im: histogram(im * np.nan), "'image' must hold at least one finite pixel"),
        (lambda im: histogram(im, mask=im[:2] > 0), "'mask' must have the shape of 'image'"),
        (lambda im: otsu_threshold(im, mask=im < 0), "'mask' must hold at least one True pixel"),
        (lambda im: otsu_threshold(im * 1e308 * [1, -1, 1]), "'image' must span less than"),
        (lambda im: multi_otsu(im, classes=1), "'classes' must be at least 2, got 1"),
    ],
)
def test_wrong_use_is_refused(call, message):
    image = np.array([[1.0, 1, 1], [1, 1, 1], [1, 1, 1.5]])
    with pytest.raises(ParameterError, match=message):
        call(image)


@pytest.mark.real
def test_otsu_of_a_real_slice(real_data):
    tifffile = pytest.importorskip("tifffile")
    image = tifffile.imread(real_data / "roi_6005_4739" / "raw" / "z0060.tif")
    assert otsu_threshold(image) == threshold_otsu(image)
