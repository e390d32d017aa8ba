"""Opening with a disk: ``python -m benchmarks.opening``.

The fastest way elsewhere is by distance: what is farther than the radius from the
background is the eroded mask, what lies within the radius of that is the opened one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import diplib
import edt
import fastmorph
import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage.morphology import isotropic_opening

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg.image import binary_opening


def _same(ours: np.ndarray, theirs: Any) -> str:
    assert np.array_equal(ours, np.asarray(theirs) != 0), "the opened masks differ"
    return "identical"


def _close(ours: np.ndarray, theirs: Any) -> str:
    share = np.mean(ours != (np.asarray(theirs) != 0))
    assert share < 0.05, f"{share:.1%} of the pixels differ"
    return f"{share:.2%} of the pixels differ"


def _by_opencv(mask: np.ndarray, radius: int) -> Callable[[], np.ndarray]:
    bytes_ = mask.view(np.uint8)
    distance = np.empty(mask.shape, np.float32)
    opened = np.empty_like(bytes_)

    def call() -> np.ndarray:
        cv2.distanceTransform(bytes_, cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=distance)
        cv2.compare(distance, float(radius), cv2.CMP_LE, dst=opened)
        cv2.distanceTransform(opened, cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=distance)
        return cv2.compare(distance, float(radius), cv2.CMP_LE, dst=opened)

    return call


def _by_element(mask: np.ndarray, radius: int) -> Callable[[], np.ndarray]:
    bytes_, opened = mask.view(np.uint8), np.empty(mask.shape, np.uint8)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    element = (np.hypot(y, x) <= radius).astype(np.uint8)
    return lambda: cv2.morphologyEx(bytes_, cv2.MORPH_OPEN, element, dst=opened)


def _by_maurer(mask: np.ndarray, radius: int) -> Callable[[], np.ndarray]:
    background = sitk.GetImageFromArray((~mask).view(np.uint8))

    def near(image: Any) -> Any:
        distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False)
        return sitk.LessEqual(distance, float(radius))

    return lambda: sitk.GetArrayFromImage(near(sitk.Not(near(background))))


def _by_edt(mask: np.ndarray, radius: int, threads: Callable[[], int]) -> Callable[[], np.ndarray]:
    def call() -> np.ndarray:
        eroded = edt.edt(mask, parallel=threads()) > radius
        return edt.edt(~eroded, parallel=threads()) <= radius

    return call


def _by_scipy(mask: np.ndarray, radius: int) -> Callable[[], np.ndarray]:
    def call() -> np.ndarray:
        eroded = ndimage.distance_transform_edt(mask) > radius
        return ndimage.distance_transform_edt(~eroded) <= radius

    return call


class _Setting:
    """A number of threads for libraries that take it with each call."""

    def __init__(self) -> None:
        self.n = 1

    def set(self, n: int) -> None:
        self.n = n

    def get(self) -> int:
        return self.n


def _peers(mask: np.ndarray, radius: int, *, large: bool) -> Iterator[Peer]:
    setting = _Setting()
    picture = diplib.Image(mask)
    yield Peer(
        name="two thresholds on OpenCV's precise distance",
        call=_by_opencv(mask, radius),
        check=_same,
        threads=cv2.setNumThreads,
        bar=10.0,
    )
    yield Peer(
        name="OpenCV morphologyEx with the disk",
        call=_by_element(mask, radius),
        check=_same,
        threads=cv2.setNumThreads,
        bar=10.0,
        pairs=3 if large else None,
    )
    yield Peer(
        name="two thresholds on edt",
        call=_by_edt(mask, radius, setting.get),
        check=_same,
        threads=setting.set,
    )
    yield Peer(
        name="two thresholds on SimpleITK's Maurer distance",
        call=_by_maurer(mask, radius),
        check=_close,
        threads=sitk.ProcessObject.SetGlobalDefaultNumberOfThreads,
        difference="distances rounded to float32",
    )
    yield Peer(
        name="diplib IsotropicOpening",
        call=lambda: diplib.IsotropicOpening(picture, radius),
        check=_close,
        threads=diplib.SetNumberOfThreads,
        difference="pixels at a distance of the radius, and at the border",
    )
    yield Peer(
        name="fastmorph spherical_open",
        call=lambda: fastmorph.spherical_open(mask, radius=radius, parallel=setting.get()),
        check=_close,
        threads=setting.set,
        difference="pixels at a distance of the radius, and at the border",
    )
    if large:
        return
    yield Peer(
        name="scikit-image isotropic_opening",
        call=lambda: isotropic_opening(mask, radius),
        check=_same,
    )
    yield Peer(name="two thresholds on scipy's distance", call=_by_scipy(mask, radius), check=_same)


def cases(size: str) -> Iterator[Case]:
    """Two radii on two sizes."""
    images = {"2000 x 2000": inputs.slice_2k(size), "8192 x 8192": inputs.slice_8k(size)}
    for shape, image in images.items():
        mask = inputs.cell_mask(image)
        out = np.empty_like(mask)
        for radius in (30, 60) if size == "full" else (3, 5):
            yield Case(
                kernel="Opening with a disk",
                data=f"{shape}, cells, radius {radius}",
                bytes_in=mask.nbytes,
                traffic=2 * mask.nbytes,
                ours=lambda m=mask, r=radius, o=out: binary_opening(m, radius_px=r, out=o),
                peers=tuple(_peers(mask, radius, large=shape == "8192 x 8192")),
            )


if __name__ == "__main__":
    main(cases)
