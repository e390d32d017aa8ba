"""Gaussian blur against scipy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from helaseg._kernels import blur as kernels
from helaseg._kernels._jit import python_form
from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.image import filters, gaussian

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, max_side=9)


def close(found, want, scale=255.0):
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5 * scale)


@pytest.fixture(params=[lambda k: k, python_form], ids=["compiled", "python"])
def form(request, monkeypatch):
    """The compiled kernels, or all of them as Python."""
    for name, value in vars(kernels).items():
        if hasattr(value, "py_func"):
            monkeypatch.setattr(kernels, name, request.param(value))
    return kernels


def half_filter(radius):
    return (0.9 ** np.arange(radius + 1) / (1 + radius)).astype(np.float32)


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 4, 6, 7, 9])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rows_are_blurred_like_scipy(rng, form, dtype, radius):
    plane = rng.integers(0, 256, (9, 7)).astype(dtype)
    half = half_filter(radius)
    short = half_filter(max(radius - 1, 0))
    short /= short[0]
    rows = np.arange(-half.size + 1, 9 + half.size - 1).clip(0, 8)
    columns = np.arange(-short.size + 1, 7 + short.size - 1).clip(0, 6)
    want = ndimage.correlate1d(plane.astype(float), np.r_[half[:0:-1], half], 0, mode="nearest")
    want = ndimage.correlate1d(want, np.r_[short[:0:-1], short], 1, mode="nearest")
    blurred = np.empty(plane.shape, np.float32)
    form.blur_rows(plane, rows, columns, half, short, blurred)
    close(blurred, want)
    # No bit depends on where a block of rows begins.
    for start, stop in ((0, 0), (1, 2), (2, 9), (3, 7)):
        part = np.empty((stop - start, 7), np.float32)
        form.blur_rows(plane, rows[start : stop + 2 * radius], columns, half, short, part)
        np.testing.assert_array_equal(part, blurred[start:stop])


def test_depth_is_blurred_like_scipy(rng, form):
    volume = rng.random((5, 7, 4), np.float32)
    half = half_filter(2)
    want = volume.astype(float)
    want[:, 2:6] = ndimage.correlate1d(want[:, 2:6], np.r_[half[:0:-1], half], 0)
    form.blur_depth(volume, np.array([1, 0, 0, 1, 2, 3, 4, 4, 3]), half, 2, 6)
    close(volume, want, scale=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int16, bool])
def test_threads_change_nothing(rng, monkeypatch, dtype):
    monkeypatch.setattr(filters, "PIXELS_PER_BLOCK", 100)
    image = rng.integers(0, 256, (5, 67, 41)).astype(dtype)
    image.setflags(write=False)
    found = []
    for n in (1, 3):
        with limit_threads(n):
            found.append(gaussian(image, sigma_px=(1, 2, 1.4)))
    np.testing.assert_array_equal(found[0], found[1])


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_gaussian_is_that_of_scipy(data):
    dtype = data.draw(st.sampled_from(["?", "u1", "i2", ">u2", "f4", "f8"]))
    elements = None if dtype == "?" else st.integers(0, 100)
    image = data.draw(hnp.arrays(dtype, data.draw(SHAPES), elements=elements))
    image.setflags(write=False)
    image = image[..., ::-1].T
    sigma = tuple(data.draw(st.sampled_from([0, 0.6, 2.0])) for _ in image.shape)
    mode = data.draw(st.sampled_from(["reflect", "nearest"]))
    radius = data.draw(st.sampled_from([None, 1, 3, 20]))
    found = gaussian(image, sigma_px=sigma, radius_px=radius, mode=mode)
    reach = [int(np.ceil(3 * s)) if radius is None else radius for s in sigma]
    want = ndimage.gaussian_filter(image.astype(float), sigma, mode=mode, radius=reach)
    assert found.dtype == np.float32
    close(found, want, scale=100)


def test_the_7_by_7_filter_is_that_of_opencv(rng):
    image = rng.integers(0, 256, (53, 80)).astype(np.uint8)
    found = gaussian(image, sigma_px=2, radius_px=3, mode="nearest")
    want = cv2.GaussianBlur(image.astype(np.float32), (7, 7), 2, borderType=cv2.BORDER_REPLICATE)
    close(found, want)


def test_blurring_slices_alone_is_blurring_each(rng):
    volume = rng.integers(0, 256, (4, 20, 15)).astype(np.uint8)
    found = gaussian(volume, sigma_px=(0, 1.5, 1.5))
    for plane, blurred in zip(volume, found, strict=True):
        np.testing.assert_array_equal(gaussian(plane, sigma_px=1.5), blurred)
    close(gaussian(volume, sigma_px=1.5), ndimage.gaussian_filter(volume / 1.0, 1.5, radius=5))


def test_a_constant_stays_and_the_sum_is_kept(rng):
    close(gaussian(np.full((9, 4), 200, np.uint8), sigma_px=3), np.full((9, 4), 200.0))
    image = rng.random((30, 41))
    assert gaussian(image, sigma_px=2).sum() == pytest.approx(image.sum(), rel=1e-5)


def test_transposing_changes_nothing(rng):
    image = rng.random((30, 41))
    found = gaussian(image.T, sigma_px=(1, 3)).T
    close(found, gaussian(image, sigma_px=(3, 1)), scale=1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (0, 5), (3, 0, 2)])
def test_thin_and_empty_images(shape):
    found = gaussian(np.ones(shape), sigma_px=2)
    np.testing.assert_allclose(found, np.ones(shape), rtol=1e-6)


def test_out_is_filled_and_returned(rng):
    image = rng.random((3, 8, 9))
    out = np.full(image.shape, np.nan, np.float32)
    assert gaussian(image, sigma_px=1, out=out) is out
    np.testing.assert_array_equal(out, gaussian(image, sigma_px=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma_px": -1}, "'sigma_px' must be zero or positive, got -1"),
        ({"sigma_px": (1, 2, 3)}, "'sigma_px' must be one number or 2 of them"),
        ({"sigma_px": 1, "radius_px": 1.5}, "'radius_px' must be whole pixels, got 1.5"),
        ({"sigma_px": 1, "mode": "wrap"}, "'mode' must be one of 'reflect', 'nearest'"),
        (
            {"sigma_px": 1, "out": np.empty((4, 4))},
            "'out' must be a writable C-contiguous float32 array of shape",
        ),
        (
            {"sigma_px": 1, "out": np.empty((4, 8), np.float32)[:, ::2]},
            "'out' must be a writable C-contiguous float32 array",
        ),
    ],
)
def test_wrong_use_is_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        gaussian(np.zeros((4, 4)), **arguments)


def test_wrong_images_are_refused():
    with pytest.raises(ParameterError, match="'image' must be finite"):
        gaussian(np.array([[np.nan]]), sigma_px=1)
    image = np.zeros((4, 4), np.float32)
    with pytest.raises(ParameterError, match="'out' must not share memory with 'image'"):
        gaussian(image, sigma_px=1, out=image)
