"""The 7 x 7 Gaussian of bytes to float32 against its peers: ``python -m benchmarks.gaussian``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import diplib
import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage import filters

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg.image import gaussian

SIGMA, RADIUS = 2.0, 3


def within(limit: float, margin: int = 0) -> Callable[[np.ndarray, np.ndarray], str]:
    """Agreement of two blurred images, leaving out `margin` pixels at the border."""

    def check(ours: np.ndarray, theirs: np.ndarray) -> str:
        inside = (slice(margin, -margin or None),) * 2
        largest = 0.0
        for a, b in zip(ours[inside], np.asarray(theirs)[inside], strict=True):
            largest = max(largest, float(np.abs(a - b.astype(np.float32)).max()))
        assert largest <= limit, largest
        return f"largest difference {largest:.2g} grey levels"

    return check


def itk_blur(image: np.ndarray) -> np.ndarray:
    """Blur by SimpleITK, conversions included."""
    source = sitk.Cast(sitk.GetImageFromArray(image), sitk.sitkFloat32)
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(source, SIGMA**2, 2 * RADIUS + 1))


def cases(size: str) -> Iterator[Case]:
    """Slices; all peers that can write to a given array do, as ours does."""
    for image, data, bar in (
        (inputs.slice_2k(size), "2000 x 2000 uint8", 1.5),
        (inputs.slice_8k(size), "8192 x 8192 uint8", 1.1),
    ):
        out, dst = np.empty((2, *image.shape), np.float32)
        dst8 = np.empty_like(image)
        kernel = cv2.getGaussianKernel(2 * RADIUS + 1, SIGMA, cv2.CV_32F)
        yield Case(
            kernel="Gaussian 7 x 7",
            data=f"{data} to float32",
            bytes_in=image.nbytes,
            traffic=5 * image.nbytes,
            ours=lambda image=image, out=out: gaussian(
                image, sigma_px=SIGMA, radius_px=RADIUS, out=out
            ),
            peers=(
                Peer(
                    name="OpenCV sepFilter2D to float32",
                    call=lambda image=image, dst=dst, kernel=kernel: cv2.sepFilter2D(
                        image, cv2.CV_32F, kernel, kernel, dst=dst, borderType=cv2.BORDER_REFLECT
                    ),
                    threads=cv2.setNumThreads,
                    check=within(1e-3),
                    bar=bar,
                ),
                Peer(
                    name="OpenCV GaussianBlur to uint8",
                    call=lambda image=image, dst=dst8: cv2.GaussianBlur(
                        image, (7, 7), SIGMA, dst=dst, borderType=cv2.BORDER_REFLECT
                    ),
                    threads=cv2.setNumThreads,
                    check=within(1.5),
                    difference="rounds to 8 bits: 2 bytes of traffic per pixel, not 5",
                ),
                Peer(
                    name="scipy gaussian_filter",
                    call=lambda image=image, dst=dst: ndimage.gaussian_filter(
                        image, SIGMA, output=dst, radius=RADIUS
                    ),
                    check=within(1e-3),
                ),
                Peer(
                    name="scikit-image gaussian",
                    call=lambda image=image, dst=dst: filters.gaussian(
                        image,
                        SIGMA,
                        out=dst,
                        preserve_range=True,
                        truncate=RADIUS / SIGMA,
                        mode="reflect",
                    ),
                    check=within(1e-3),
                ),
                Peer(
                    name="diplib Gauss (FIR)",
                    call=lambda image=image: diplib.GaussFIR(image, SIGMA, truncation=1.5),
                    threads=diplib.SetNumberOfThreads,
                    check=within(4.0, margin=8),
                    difference="its own normalisation; new output",
                    pairs=3 if image.size > 1e7 else None,
                ),
                Peer(
                    name="SimpleITK DiscreteGaussian",
                    call=lambda image=image: itk_blur(image),
                    threads=sitk.ProcessObject.SetGlobalDefaultNumberOfThreads,
                    check=within(8.0, margin=8),
                    difference="Bessel weights instead of sampled ones; new output",
                    pairs=3 if image.size > 1e7 else None,
                ),
            ),
        )


if __name__ == "__main__":
    main(cases)
