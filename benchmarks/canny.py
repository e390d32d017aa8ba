"""Blur and Canny edges against their peers: ``python -m benchmarks.canny``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import diplib
import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage import feature

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg.image import canny

SIGMA, LOW, HIGH = 2.0, 1.0, 3.0
#: Pixels of the blur to either side, those of `helaseg.image.canny`.
RADIUS = 6


def overlap(least: float) -> Callable[[np.ndarray, np.ndarray], str]:
    """Edges with an edge of the other within one pixel, both ways."""

    def check(ours: np.ndarray, theirs: np.ndarray) -> str:
        a, b = ours != 0, np.asarray(theirs) != 0
        near = np.ones((3, 3), bool)
        shares = [
            float((p & ndimage.binary_dilation(q, near)).sum() / max(p.sum(), 1))
            for p, q in ((a, b), (b, a))
        ]
        same = float((a & b).sum() / max((a | b).sum(), 1))
        assert min(shares) >= least, shares
        return (
            f"{same:.1%} of the edge pixels identical, {shares[0]:.1%} and {shares[1]:.1%} "
            "within a pixel"
        )

    return check


def itk_canny(image: np.ndarray) -> np.ndarray:
    """Edges by SimpleITK, conversions included."""
    source = sitk.Cast(sitk.GetImageFromArray(image), sitk.sitkFloat32)
    edges = sitk.CannyEdgeDetection(source, LOW, HIGH, [SIGMA**2] * 2)
    return sitk.GetArrayFromImage(edges)


def cases(size: str) -> Iterator[Case]:
    """Slices; OpenCV writes to given arrays, as ours does."""
    for image, data in (
        (inputs.slice_2k(size), "2000 x 2000 uint8"),
        (inputs.slice_8k(size), "8192 x 8192 uint8"),
        (inputs.slice_8k(size, width=8200), "8192 x 8200 uint8"),
    ):
        out = np.empty(image.shape, bool)
        blurred, edges = np.empty((2, *image.shape), np.uint8)

        def opencv(
            image: np.ndarray = image, blurred: np.ndarray = blurred, edges: np.ndarray = edges
        ) -> np.ndarray:
            cv2.GaussianBlur(
                image, (2 * RADIUS + 1,) * 2, SIGMA, dst=blurred, borderType=cv2.BORDER_REFLECT
            )
            return cv2.Canny(blurred, 8 * LOW, 8 * HIGH, edges=edges, L2gradient=True)

        peers = [
            Peer(
                name="OpenCV GaussianBlur + Canny",
                call=opencv,
                threads=cv2.setNumThreads,
                check=overlap(0.8),
                difference="blur rounded to 8 bits, direction rounded to 4 sectors",
                bar=1.5,
            ),
            Peer(
                name="scikit-image canny",
                call=lambda image=image: feature.canny(
                    image.astype(np.float32),
                    SIGMA,
                    low_threshold=8 * LOW,
                    high_threshold=8 * HIGH,
                    mode="reflect",
                ),
                check=overlap(0.97),
                difference="blur cut off at 4 sigma; new output",
                # A power of two as the width slows it down: not quoted.
                bar=None if image.shape[1] == 8192 else 12.0,
                pairs=3 if image.size > 1e7 else None,
            ),
        ]
        if image.shape[1] != 8200:
            peers += [
                Peer(
                    name="diplib Canny",
                    call=lambda image=image: diplib.Canny(image, [SIGMA], 0.5, 0.9),
                    threads=diplib.SetNumberOfThreads,
                    check=overlap(0.3),
                    difference="thresholds by quantiles, watershed-like thinning; new output",
                    pairs=3 if image.size > 1e7 else None,
                ),
                Peer(
                    name="SimpleITK CannyEdgeDetection",
                    call=lambda image=image: itk_canny(image),
                    threads=sitk.ProcessObject.SetGlobalDefaultNumberOfThreads,
                    check=overlap(0.3),
                    difference="zero crossings of the second derivative; new output",
                    pairs=3 if image.size > 1e7 else None,
                ),
            ]
        yield Case(
            kernel="Gaussian + Canny",
            data=data,
            bytes_in=image.nbytes,
            traffic=2 * image.nbytes,
            ours=lambda image=image, out=out: canny(
                image, sigma_px=SIGMA, low=LOW, high=HIGH, out=out
            ),
            peers=tuple(peers),
            two_threads_bar=None,
        )


if __name__ == "__main__":
    main(cases)
