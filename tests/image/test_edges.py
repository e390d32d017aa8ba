"""Canny edges against scikit-image, scipy and the symmetries of the definition."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import feature

from helaseg._kernels import gradient, linking
from helaseg._kernels._jit import python_form
from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.image import canny, edges, gaussian, gradient_magnitude


@pytest.fixture(params=[lambda k: k, python_form], ids=["compiled", "python"])
def kernels(request, monkeypatch):
    """The compiled kernels, or all of them as Python."""
    for module in (gradient, linking):
        for name, value in vars(module).items():
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, request.param(value))
    # Python tells of carries that leave a word; compiled code does not.
    with np.errstate(over="ignore"):
        yield


@pytest.fixture
def smooth(rng):
    """A float image without ties or plateaus."""
    return ndimage.gaussian_filter(rng.normal(0, 300, (90, 71)), 2).astype(np.float32)


def sobel_length(image):
    image = np.asarray(image, float)
    return np.hypot(*(ndimage.sobel(image, axis=a, mode="reflect") for a in (0, 1)))


def linked(marks):
    """Hysteresis by components."""
    components, n = ndimage.label(marks > 0, np.ones((3, 3)))
    strong = np.zeros(n + 1, bool)
    strong[components[marks == 2]] = True
    strong[0] = False
    return strong[components]


def as_words(marks):
    """Bits of a plane, in words."""
    height, width = marks.shape
    words = np.zeros((height, -(-width // 64)), np.uint64)
    gradient.pack_rows(marks.astype(np.uint8), words.view(np.uint8))
    return words


def as_marks(words, width):
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :width]


@pytest.mark.parametrize("width", [3, 27, 64, 70])
def test_maxima_are_those_of_scikit_image(smooth, kernels, width):
    plane = smooth[:31, :width].copy()
    weak, strong = np.zeros((2, 31, -(-width // 64)), np.uint64)
    gradient.mark_maxima(
        np.pad(plane, ((1, 1), (0, 0)), "edge"),
        np.float32(0.5),
        np.float32(4),
        weak[1:-1].view(np.uint8),
        strong[1:-1].view(np.uint8),
    )
    # With equal thresholds nothing is linked: what is left are the maxima.
    for words, level in ((weak, 0.5), (strong, 4)):
        want = feature.canny(plane, sigma=0, low_threshold=8 * level, high_threshold=8 * level)
        np.testing.assert_array_equal(as_marks(words, 64 * words.shape[1])[:, :width], want)
        assert not as_marks(words, 64 * words.shape[1])[:, width:].any()

    out = np.empty_like(plane)
    gradient.sobel_magnitude(np.pad(plane, ((1, 1), (0, 0)), "edge"), out)
    np.testing.assert_allclose(8 * out, sobel_length(plane), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width", [1, 8, 63, 64, 65, 130])
def test_packing_and_unpacking(rng, kernels, width):
    plane = rng.integers(0, 2, (5, width)).astype(np.uint8)
    words = as_words(plane)
    want = np.packbits(plane, axis=1, bitorder="little")
    np.testing.assert_array_equal(words.view(np.uint8)[:, : want.shape[1]], want)
    assert not words.view(np.uint8)[:, want.shape[1] :].any()
    found = np.full_like(plane, 9)
    gradient.unpack_rows(words.view(np.uint8), found)
    np.testing.assert_array_equal(found, plane)


def random_marks(rng, shape, share):
    marks = np.zeros(shape, np.uint8)
    inside = (shape[0] - 2, shape[1] - 2)
    marks[1:-1, 1:-1] = rng.choice(3, inside, p=[1 - share, share - 0.01, 0.01])
    return marks


def spiral(n):
    """A wall one pixel wide that winds inwards; only its inner end is strong."""
    marks = np.zeros((n, n), np.uint8)
    y, x, dy, dx = 1, 1, 0, 1
    marks[y, x] = 1
    for length in [n - 3, *(k for k in range(n - 3, 0, -2) for _ in (0, 1))]:
        for _ in range(length):
            y, x = y + dy, x + dx
            marks[y, x] = 1
        dy, dx = dx, -dy
    marks[y, x] = 2
    return marks


def in_blocks_linked(marks, bounds):
    """What the kernels link, block by block, then at the seams."""
    weak, strong = as_words(marks > 0), as_words(marks == 2)
    stride = weak.shape[1]
    flat = np.append(weak, np.uint64(0)), np.append(strong, np.uint64(0))
    waiting = np.zeros(weak.size, np.uint8)
    stack = np.empty(weak.size, np.int64)
    for start, stop in pairwise(bounds):
        inside = (start + 1) * stride, max(start + 1, stop - 1) * stride
        linking.link_words(*flat, stride, *inside, stack, waiting)
    low, high = stride, weak.size - stride
    for seam in bounds[1:-1]:
        first, last = max((seam - 1) * stride, low), min((seam + 1) * stride, high)
        linking.settle_words(*flat, stride, first, last, low, high, stack, waiting)
    assert not waiting.any()
    return as_marks(flat[1][:-1].reshape(strong.shape), marks.shape[1])


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.99])
def test_linking_is_keeping_components(rng, kernels, share):
    for shape in ((3, 3), (30, 43), (20, 64), (24, 150)):
        marks = random_marks(rng, shape, share)
        for bounds in ((0, shape[0]), (0, 1, 2, shape[0]), (0, shape[0] // 2, shape[0])):
            np.testing.assert_array_equal(in_blocks_linked(marks, bounds), linked(marks))


@pytest.mark.parametrize("flip", [np.asarray, np.flipud, np.fliplr, np.transpose])
def test_long_ways_are_followed(kernels, flip):
    marks = flip(spiral(75))
    for bounds in ((0, 75), (0, 10, 20, 60, 75)):
        np.testing.assert_array_equal(in_blocks_linked(marks, bounds), marks > 0)


def test_large_random_marks_are_linked(rng):
    for share in (0.3, 0.41, 0.5):
        marks = random_marks(rng, (700, 515), share)
        for bounds in ((0, 700), tuple(range(0, 701, 50))):
            np.testing.assert_array_equal(in_blocks_linked(marks, bounds), linked(marks))


@pytest.mark.parametrize("mode", ["absolute", "auto"])
@pytest.mark.parametrize("masked", [False, True])
def test_threads_and_windows_change_nothing(rng, monkeypatch, mode, masked):
    image = rng.integers(0, 256, (143, 131)).astype(np.uint8)
    mask = rng.random(image.shape) < 0.95 if masked else None
    levels = {"low": 2, "high": 20} if mode == "absolute" else {}
    want = canny(image, sigma_px=1, mode=mode, mask=mask, **levels)
    magnitude = gradient_magnitude(image, sigma_px=1)
    assert want.any()
    for pixels, window, n in ((100, 1, 3), (100, 131 * 7, 2), (131 * 40, 131 * 11, 3)):
        monkeypatch.setattr(edges, "PIXELS_PER_BLOCK", pixels)
        monkeypatch.setattr(edges, "_WINDOW_PIXELS", window)
        for threads in (1, n):
            with limit_threads(threads):
                found = canny(image, sigma_px=1, mode=mode, mask=mask, **levels)
                np.testing.assert_array_equal(found, want)
                found = gradient_magnitude(image, sigma_px=1)
                np.testing.assert_array_equal(found, magnitude)


def test_the_gradient_is_that_of_the_blurred_image(rng):
    image = rng.integers(0, 256, (40, 57)).astype(np.uint8)
    blurred = gaussian(image, sigma_px=(2, 1))
    np.testing.assert_array_equal(
        gradient_magnitude(image, sigma_px=(2, 1)), gradient_magnitude(blurred)
    )
    want = canny(blurred, sigma_px=0, low=1, high=3)
    np.testing.assert_array_equal(canny(image, sigma_px=(2, 1), low=1, high=3), want)


def test_out_is_filled_and_returned(rng):
    image = rng.integers(0, 256, (40, 57)).astype(np.uint8)
    image.setflags(write=False)
    out = np.full(image.shape, np.nan, np.float32)
    assert gradient_magnitude(image, sigma_px=1, out=out) is out
    np.testing.assert_array_equal(out, gradient_magnitude(image, sigma_px=1))
    found = np.ones(image.shape, bool)
    assert canny(image, sigma_px=1, mode="auto", out=found) is found
    np.testing.assert_array_equal(found, canny(image, sigma_px=1, mode="auto"))
    assert canny(image[:2], sigma_px=1, mode="auto", out=found[:2]) is not None
    assert not found[:2].any()
    with pytest.raises(ParameterError, match="'out' must be a writable C-contiguous bool array"):
        canny(image, sigma_px=1, mode="auto", out=out)
    with pytest.raises(ParameterError, match="'out' must not share memory with 'image'"):
        gradient_magnitude(out, out=out)


@pytest.mark.parametrize(("low", "high"), [(0.5, 2), (1, 10), (3, 3), (0, 0), (99, 99)])
def test_absolute_edges_are_those_of_scikit_image(smooth, low, high):
    want = feature.canny(smooth, sigma=0, low_threshold=8 * low, high_threshold=8 * high)
    np.testing.assert_array_equal(canny(smooth, sigma_px=0, low=low, high=high), want)


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.9), (0.8, 0.95)])
def test_quantile_edges_are_those_of_scikit_image(smooth, low, high):
    found = canny(smooth, sigma_px=0, low=low, high=high, mode="quantile")
    want = feature.canny(
        smooth, sigma=0, low_threshold=low, high_threshold=high, use_quantiles=True
    )
    np.testing.assert_array_equal(found, want)


def test_blurred_edges_agree_with_scikit_image(rng):
    # scikit-image blurs with another rounding and cuts off later, so near ties may differ.
    image = rng.integers(0, 256, (150, 130)).astype(np.uint8)
    found = canny(image, sigma_px=2, low=1, high=4)
    want = feature.canny(
        image.astype(float), sigma=2, low_threshold=8, high_threshold=32, mode="reflect"
    )
    assert want.sum() > 1000
    assert (found & want).sum() / (found | want).sum() > 0.97


def test_auto_takes_the_documented_quantile(smooth):
    level = np.quantile(gradient_magnitude(smooth), 0.7)
    want = canny(smooth, sigma_px=0, low=0.4 * level, high=level)
    np.testing.assert_array_equal(canny(smooth, sigma_px=0, mode="auto"), want)
    assert want.any()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_edges_follow_the_image(data):
    """Whole numbers make all sums exact, so that symmetries hold pixel by pixel."""
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12))
    image = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 20)))
    image.setflags(write=False)
    edges = canny(image, sigma_px=0, low=1, high=2)
    assert edges.shape == shape
    for moved, back in (
        (image.T, np.transpose),
        (image[::-1], np.flipud),
        (image[:, ::-1], np.fliplr),
        (20 - image, np.asarray),
        (image.astype(float), np.asarray),
        (image.astype(np.int16) + 1000, np.asarray),
    ):
        np.testing.assert_array_equal(back(canny(moved, sigma_px=0, low=1, high=2)), edges)
    magnitude = gradient_magnitude(image)
    np.testing.assert_allclose(magnitude, sobel_length(image) / 8, rtol=1e-5, atol=1e-6)
    assert (magnitude[edges] >= 1).all()


def test_a_step_gives_one_line():
    image = np.zeros((12, 20), np.uint8)
    image[:, 9:] = 100
    edges = canny(image, sigma_px=0, low=2, high=10)
    # Two columns tie at a step between pixels; both are maxima.
    np.testing.assert_array_equal(np.flatnonzero(edges[5]), [8, 9])
    assert edges[1:-1, 8:10].all()
    assert edges.sum() == 2 * 10


def test_a_ramp_has_the_gradient_of_its_slope():
    ramp = np.outer(np.arange(10.0), np.ones(8)) * 3
    np.testing.assert_allclose(gradient_magnitude(ramp)[1:-1], 3)
    np.testing.assert_allclose(gradient_magnitude(ramp, sigma_px=1)[4:-4], 3, rtol=1e-5)


def test_no_edge_leads_through_what_is_masked_out():
    # A step that fades from top to bottom: only its upper end is strong.
    image = np.zeros((20, 20))
    image[:, 10:] = 100 - 4 * np.arange(20)[:, None]
    whole = canny(image, sigma_px=1, low=1, high=30)
    assert whole[1:-1].any(axis=1).all()
    mask = np.ones(image.shape, bool)
    mask[8] = False
    parted = canny(image, sigma_px=1, low=1, high=30, mask=mask)
    np.testing.assert_array_equal(parted[:8], whole[:8])
    assert not parted[8:].any()


def test_quantiles_are_those_of_the_mask(rng, smooth):
    mask = rng.random(smooth.shape) < 0.5
    levels = np.quantile(gradient_magnitude(smooth)[mask], [0.6, 0.9])
    want = canny(smooth, sigma_px=0, low=levels[0], high=levels[1], mask=mask)
    found = canny(smooth, sigma_px=0, low=0.6, high=0.9, mode="quantile", mask=mask)
    np.testing.assert_array_equal(found, want)
    assert not canny(smooth, sigma_px=0, mode="auto", mask=np.zeros(smooth.shape)).any()


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (2, 9), (9, 1), (3, 3)])
def test_thin_and_flat_images_have_no_edges(shape):
    assert not canny(np.ones(shape), sigma_px=1, mode="auto").any()
    assert gradient_magnitude(np.ones(shape), sigma_px=1).shape == shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "best"}, "'mode' must be one of 'absolute', 'quantile', 'auto'"),
        ({}, "'low' and 'high' must be given with mode='absolute', got None and None"),
        ({"low": 1, "mode": "quantile"}, "'low' and 'high' must be given with mode='quantile'"),
        ({"low": 1, "mode": "auto"}, "'low' and 'high' must be left out with mode='auto'"),
        ({"low": 2, "high": 1}, "'low' must not exceed 'high', got 2 and 1"),
        ({"low": -1, "high": 1}, "'low' must be zero or positive, got -1"),
        ({"low": 0.5, "high": 2, "mode": "quantile"}, "'high' must lie between 0 and 1, got 2"),
        ({"mode": "auto", "mask": np.ones((2, 2))}, "'mask' must have the shape of 'image'"),
        ({"mode": "auto", "sigma_px": -1}, "'sigma_px' must be zero or positive"),
    ],
)
def test_wrong_use_is_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        canny(np.zeros((5, 5)), **({"sigma_px": 1} | arguments))


def test_volumes_are_refused():
    for call in (canny, gradient_magnitude):
        options = {"mode": "auto"} if call is canny else {}
        with pytest.raises(ParameterError, match="'image' must have 2 axes"):
            call(np.zeros((5, 5, 5)), sigma_px=1, **options)


@pytest.mark.real
def test_edges_of_a_real_slice(real_data):
    tifffile = pytest.importorskip("tifffile")
    image = tifffile.imread(real_data / "roi_6005_4739" / "raw" / "z0060.tif")[500:1100, 700:1500]
    blurred = gaussian(image, sigma_px=2)
    found = canny(blurred, sigma_px=0, low=1, high=3)
    want = feature.canny(blurred, sigma=0, low_threshold=8, high_threshold=24)
    assert (found & want).sum() / (found | want).sum() > 0.999
