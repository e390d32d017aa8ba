"""The phantom against real slices of the specimen it imitates (10 nm pixels).

The tolerances say how near the phantom comes; what depends on how much of the
picture is cell (the median, the upper quartile) is compared least strictly.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tifffile
from scipy import ndimage

from helaseg.synthetic import PhantomConfig, make_phantom

pytestmark = pytest.mark.real
PERCENTILES = [1, 5, 25, 50, 75, 95, 99]


@pytest.fixture(scope="module")
def synthetic():
    config = PhantomConfig(
        shape=(1, 2000, 2000), n_cells=4, n_border_cells=3, n_flat_cells=0,
        cell_radius_nm=5600, packing=0.4, seed=2,
    )  # fmt: skip
    phantom = make_phantom(config)
    truth = {name: labels.slice(0) > 0 for name, labels in phantom.truth.items()}
    return phantom.image.slice(0), truth


@pytest.fixture(scope="module", params=["z0060", "z0116"])
def real(request, real_data):
    folder = real_data / "roi_6005_4739"
    image = tifffile.imread(folder / "raw" / f"{request.param}.tif")
    truth = {
        name: tifffile.imread(folder / "truth" / f"{name}_{request.param}.tif") > 0
        for name in ("cell", "nucleus")
    }
    return image, truth


def mad(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def gradient(image):
    smooth = cv2.GaussianBlur(image.astype(np.float32), (7, 7), 2)
    return np.hypot(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125),
        cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125),
    )


def depth(mask):
    return ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)


def test_histogram(real, synthetic):
    a, b = (np.percentile(image, PERCENTILES) for image in (real[0], synthetic[0]))
    limits = [7, 7, 7, 15, 7, 4, 4]
    assert (np.abs(a - b) < limits).all(), (a, b)
    assert synthetic[0].std() == pytest.approx(real[0].std(), rel=0.08)


def test_noise(real, synthetic):
    sizes = []
    for image, _ in (real, synthetic):
        f = image.astype(np.float32)
        sizes.append(mad(f - cv2.GaussianBlur(f, (0, 0), 1.0)))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_noise_is_correlated_as_in_the_nucleus(real, synthetic):
    lags = []
    for image, truth in (real, synthetic):
        f = image - cv2.GaussianBlur(image.astype(np.float32), (0, 0), 6)
        inside = depth(truth["nucleus"]) > 30
        both = [inside[:, k:] & inside[:, :-k] for k in (1, 2, 4)]
        products = [f[:, k:] * f[:, :-k] for k in (1, 2, 4)]
        variance = (f[inside] ** 2).mean()
        lags.append([p[m].mean() / variance for p, m in zip(products, both, strict=True)])
    np.testing.assert_allclose(lags[1], lags[0], atol=0.06)


def test_nucleoplasm_and_cytoplasm(real, synthetic):
    stats = []
    for image, truth in (real, synthetic):
        nucleus, cell = depth(truth["nucleus"]), depth(truth["cell"])
        core, cytoplasm = image[nucleus > 30], image[(nucleus < -20) & (cell > 20)]
        stats.append([core.mean(), core.std(), cytoplasm.mean(), cytoplasm.std()])
    (core, core_sd, plasm, plasm_sd), (core_2, core_sd_2, plasm_2, plasm_sd_2) = stats
    assert core_2 == pytest.approx(core, abs=3)
    assert core_sd_2 == pytest.approx(core_sd, rel=0.15)
    assert plasm_2 == pytest.approx(plasm, abs=5)
    assert plasm_sd_2 == pytest.approx(plasm_sd, rel=0.25)


def test_profile_across_the_nuclear_envelope(real, synthetic):
    profiles = []
    for image, truth in (real, synthetic):
        d = depth(truth["nucleus"])
        profiles.append([image[np.abs(d - k) < 0.8].mean() for k in (-8, -4, -2, 2, 4, 8, 20)])
    assert np.abs(np.subtract(*profiles)).max() < 9
    assert min(profiles[1]) < profiles[1][-1] - 20


def test_edge_density(real, synthetic):
    a, b = (np.percentile(gradient(image), [50, 75, 90, 97]) for image, _ in (real, synthetic))
    ratio = b / a
    assert (ratio > 0.7).all(), ratio
    assert (ratio < 1.15).all(), ratio
