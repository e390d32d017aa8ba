"""Gaussian blur against scipy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from helaseg._kernels import gradient as kernels
from helaseg._kernels._jit import python_form
from helaseg.errors import ParameterError
from helaseg.image import gaussian

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, max_side=9)


def close(found, want, scale=255.0):
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_kernels_blur_like_scipy(rng, monkeypatch, form, dtype):
    monkeypatch.setattr(kernels, "_add_scaled_pair", form(kernels._add_scaled_pair))
    volume = rng.integers(0, 256, (5, 7, 4)).astype(dtype)
    half = np.array([0.5, 0.2, 0.05], np.float32)
    full = np.r_[half[:0:-1], half]
    places = [np.r_[1, 0, np.arange(n), n - 1, n - 2] for n in volume.shape]
    columns = places[2][1:-1]
    blurred = np.empty(volume.shape, np.float32)
    for plane, target in zip(volume, blurred, strict=True):
        form(kernels.blur_plane)(plane, places[1], columns, half, half[:2], target)
    want = ndimage.correlate1d(volume.astype(float), full, axis=1)
    want = ndimage.correlate1d(want, full[1:-1], axis=2)
    close(blurred, want)

    form(kernels.blur_depth)(blurred, places[0], half)
    close(blurred, ndimage.correlate1d(want, full, axis=0))


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
