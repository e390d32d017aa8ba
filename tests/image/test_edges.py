"""Canny edges against scikit-image, scipy and the symmetries of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import feature

from helaseg._kernels import gradient as kernels
from helaseg._kernels._jit import python_form
from helaseg.errors import ParameterError
from helaseg.image import canny, gaussian, gradient_magnitude

BOTH_FORMS = pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])


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


@BOTH_FORMS
def test_maxima_are_those_of_scikit_image(smooth, monkeypatch, form):
    for name in ("_sobel_row", "_suppress_row"):
        monkeypatch.setattr(kernels, name, form(getattr(kernels, name)))
    plane = smooth[:31, :27].copy()
    marks = np.zeros((33, 29), np.uint8)
    form(kernels.mark_maxima)(plane, np.float32(0.5), np.float32(4), marks)
    # With equal thresholds nothing is linked: what is left are the maxima.
    for mark, level in ((1, 0.5), (2, 4)):
        want = feature.canny(plane, sigma=0, low_threshold=8 * level, high_threshold=8 * level)
        np.testing.assert_array_equal(marks[1:-1, 1:-1] >= mark, want)
    assert not marks[[0, 1, -2, -1]].any()
    assert not marks[:, [0, 1, -2, -1]].any()

    out = np.empty_like(plane)
    form(kernels.sobel_magnitude)(plane, out)
    np.testing.assert_allclose(8 * out, sobel_length(plane), rtol=1e-4, atol=1e-4)


@BOTH_FORMS
def test_linking_is_keeping_components(rng, form):
    for share in (0.2, 0.5):
        marks = np.zeros((30, 43), np.uint8)
        marks[1:-1, 1:-1] = rng.choice(3, (28, 41), p=[1 - share, share - 0.01, 0.01])
        flat = np.zeros(30 * 43 + -(30 * 43) % 8, np.uint8)
        flat[: marks.size] = marks.ravel()
        form(kernels.link_marks)(flat, flat.view(np.uint64), 43, np.empty(flat.size, np.int64))
        found = flat[: marks.size].reshape(marks.shape)
        np.testing.assert_array_equal(found == 3, linked(marks))
        assert not (found == 2).any()
        np.testing.assert_array_equal(found > 0, marks > 0)


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
