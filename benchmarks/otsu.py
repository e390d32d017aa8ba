"""Otsu's threshold against its peers: ``python -m benchmarks.otsu``."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import diplib
import mahotas
import numpy as np
import SimpleITK as sitk
from skimage.filters import threshold_otsu

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg.image import otsu_threshold


def same(ours: float, theirs: float) -> str:
    """The same grey level."""
    assert ours == theirs, (ours, theirs)
    return f"identical ({ours})"


def near(ours: float, theirs: float) -> str:
    """The same up to the width of a bin."""
    assert abs(ours - theirs) <= 2, (ours, theirs)
    return f"{ours} and {theirs:.3g}"


def counts_lead_to(mask: np.ndarray | None, image: np.ndarray) -> Peer:
    """Counting alone, without the search for the threshold."""

    def check(_ours: float, counts: np.ndarray) -> str:
        chosen = image if mask is None else image[mask != 0]
        assert (counts.reshape(-1) == np.bincount(chosen.reshape(-1), minlength=256)).all()
        return "its counts are right"

    return Peer(
        name="OpenCV calcHist",
        call=lambda: cv2.calcHist([image], [0], mask, [256], [0, 256]),
        threads=cv2.setNumThreads,
        check=check,
        difference="counts only, in float32, no threshold",
        bar=1.0 if mask is None else None,
    )


def cases(size: str) -> Iterator[Case]:
    """Slices, a mask, and the input that suits counting pairs least."""
    noise = np.random.default_rng(0).integers(0, 256, inputs.slice_2k(size).shape, np.uint8)
    for image, data in (
        (inputs.slice_2k(size), "2000 x 2000 uint8"),
        (inputs.slice_8k(size), "8192 x 8192 uint8"),
        (noise, "2000 x 2000 uint8, white noise"),
    ):
        written = np.empty_like(image)
        peers = [
            Peer(
                name="OpenCV threshold",
                call=lambda image=image, written=written: cv2.threshold(
                    image, 0, 255, cv2.THRESH_OTSU, dst=written
                )[0],
                threads=cv2.setNumThreads,
                check=same,
                difference="also writes the thresholded image",
                bar=1.0,
            ),
            counts_lead_to(None, image),
            Peer(
                name="scikit-image threshold_otsu",
                call=lambda image=image: threshold_otsu(image),
                check=same,
                bar=5.0,
            ),
            Peer(
                name="mahotas otsu",
                call=lambda image=image: mahotas.otsu(image),
                check=near,
                difference="places the threshold by its own rule of ties",
            ),
            Peer(
                name="diplib",
                call=lambda image=image: diplib.Threshold(image, method="otsu")[1],
                threads=diplib.SetNumberOfThreads,
                check=near,
                difference="bins of its own; also writes the thresholded image",
            ),
            Peer(
                name="SimpleITK",
                call=lambda image=image: itk_otsu(image),
                threads=sitk.ProcessObject.SetGlobalDefaultNumberOfThreads,
                check=near,
                difference="256 bins between the extremes; also writes the thresholded image",
            ),
        ]
        if data.endswith("noise"):
            # Flat: the optimum is a matter of rounding for those with bins of their own.
            peers = peers[:3]
            peers = [Peer(**{**vars(peer), "bar": None}) for peer in peers]
        yield Case(
            kernel="Otsu threshold",
            data=data,
            bytes_in=image.nbytes,
            traffic=image.nbytes,
            ours=lambda image=image: otsu_threshold(image),
            peers=tuple(peers),
        )
    image = inputs.slice_2k(size)
    mask = inputs.cell_mask(image)
    yield Case(
        kernel="Otsu threshold",
        data="2000 x 2000 uint8 with mask",
        bytes_in=image.nbytes,
        traffic=2 * image.nbytes,
        ours=lambda: otsu_threshold(image, mask=mask),
        peers=(
            counts_lead_to(mask.view(np.uint8), image),
            Peer(
                name="scikit-image threshold_otsu",
                call=lambda: threshold_otsu(image[mask]),
                check=same,
            ),
        ),
    )


def itk_otsu(image: np.ndarray) -> float:
    """Threshold by SimpleITK, conversion included."""
    found = sitk.OtsuThresholdImageFilter()
    found.SetNumberOfHistogramBins(256)
    found.Execute(sitk.GetImageFromArray(image))
    return float(found.GetThreshold())


if __name__ == "__main__":
    main(cases)
