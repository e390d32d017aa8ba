"""Dark lines: what a line, an edge and noise answer, against plain convolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from helaseg.errors import ParameterError
from helaseg.image.ridges import dark_ridges, oriented_dark_ridges


def line(angle_deg: float, *, depth: float = 30.0, sigma: float = 2.0) -> np.ndarray:
    """A straight dark line of Gaussian profile through the middle."""
    y, x = np.mgrid[-40:41, -40:41]
    turn = np.deg2rad(angle_deg)
    across = y * np.cos(turn) - x * np.sin(turn)
    return 150 - depth * np.exp(-(across**2) / (2 * sigma**2))


def rotated_kernel(sigma: float, length: float, angle_deg: float) -> np.ndarray:
    """The filter as scipy would make it: derivatives of a blurred point, then rotated."""
    point = np.zeros((121, 121))
    point[60, 60] = 1
    kernel = ndimage.gaussian_filter(point, (sigma, length), order=(2, 0), truncate=6)
    kernel = ndimage.rotate(kernel, -angle_deg, reshape=False, order=3)
    return sigma**2 * kernel


@pytest.mark.parametrize("angle", [0, 15, 45, 90, 150])
def test_a_line_answers_alike_in_all_directions(angle):
    strength = oriented_dark_ridges(line(angle), sigma_px=2, length_px=6)
    # Second derivative of a Gaussian line blurred by an equal Gaussian: depth / 2**1.5.
    assert strength[40, 40] == pytest.approx(30 / 2**1.5, rel=0.02)
    beside = (round(40 + 8 * np.cos(np.deg2rad(angle))), round(40 - 8 * np.sin(np.deg2rad(angle))))
    assert strength[beside] < 0.05 * strength[40, 40]


def test_it_is_the_largest_of_the_rotated_filters(rng):
    image = ndimage.gaussian_filter(rng.normal(150, 40, (70, 70)), 1)
    want = np.zeros((70, 70))
    for k in range(6):
        kernel = rotated_kernel(2.0, 5.0, 30.0 * k)
        want = np.maximum(want, ndimage.correlate(image, kernel, mode="nearest"))
    found = oriented_dark_ridges(image, sigma_px=2, length_px=5, n_orientations=6)
    # Kernels end at three sigma here and at six there.
    np.testing.assert_allclose(found, want, atol=0.02 * want.max())


def test_as_long_as_wide_it_is_the_isotropic_filter():
    image = line(25)
    round_ = oriented_dark_ridges(image, sigma_px=3, length_px=3, n_orientations=24)
    np.testing.assert_allclose(
        round_[10:-10, 10:-10], dark_ridges(image, sigma_px=3)[10:-10, 10:-10], atol=0.3
    )


def test_noise_counts_less_than_without_direction(rng):
    noise = rng.normal(0, 10, (200, 200))
    along = np.median(oriented_dark_ridges(noise, sigma_px=2.25, length_px=6))
    alone = dark_ridges(noise, sigma_px=2.25)
    assert along < 0.9 * np.median(alone[alone > 0])


def test_flat_images_bright_lines_and_grey_offsets():
    assert (
        oriented_dark_ridges(np.full((30, 40), 77, np.uint8), sigma_px=2, length_px=5).max() < 1e-3
    )
    bright = 300 - line(0)
    assert oriented_dark_ridges(bright, sigma_px=2, length_px=6)[40, 40] < 1e-3
    low = oriented_dark_ridges(line(30), sigma_px=2, length_px=6)
    high = oriented_dark_ridges(line(30) + 30000, sigma_px=2, length_px=6)
    np.testing.assert_allclose(low, high, atol=0.05)
    assert oriented_dark_ridges(np.zeros((0, 5)), sigma_px=2, length_px=5).shape == (0, 5)


def test_transposed_images_give_transposed_lines(rng):
    image = rng.integers(0, 255, (60, 90)).astype(np.uint8)
    turned = oriented_dark_ridges(image.T, sigma_px=2, length_px=6)
    np.testing.assert_allclose(
        oriented_dark_ridges(image, sigma_px=2, length_px=6), turned.T, atol=1e-2
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma_px": 0}, "'sigma_px' must be positive"),
        ({"length_px": -1}, "'length_px' must be positive"),
        ({"n_orientations": 0}, "'n_orientations' must be a positive whole number, got 0"),
        ({"n_orientations": 2.5}, "'n_orientations' must be a positive whole number, got 2.5"),
    ],
)
def test_settings_are_checked_by_name(settings, message):
    with pytest.raises(ParameterError, match=message):
        oriented_dark_ridges(np.zeros((9, 9)), **({"sigma_px": 1, "length_px": 2} | settings))


def test_only_slices_are_taken():
    with pytest.raises(ParameterError, match="'image'"):
        oriented_dark_ridges(np.zeros((3, 9, 9)), sigma_px=1, length_px=2)
