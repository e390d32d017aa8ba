"""Peaks of a distance map with a suppression radius: against OpenCV, scikit-image and scipy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg.image import distance_transform, peak_local_maxima


def _places(marks: np.ndarray) -> np.ndarray:
    """Rows and columns of what is marked; np.argwhere takes several times as long."""
    return np.stack(np.divmod(np.flatnonzero(marks), marks.shape[1]), axis=1)


def _by_dilation(image: np.ndarray, radius: int) -> Callable[[], np.ndarray]:
    window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return lambda: _places((cv2.dilate(image, window) == image) & (image > 0))


def _by_scipy(image: np.ndarray, radius: int) -> Callable[[], np.ndarray]:
    side = 2 * radius + 1
    return lambda: _places((ndimage.maximum_filter(image, side) == image) & (image > 0))


def _same(ours: Any, theirs: Any) -> str:
    np.testing.assert_array_equal(ours, theirs)
    return f"identical, {len(ours)} peaks"


def _same_but_ties(image: np.ndarray, radius: int) -> Callable[[Any, Any], str]:
    def check(ours: Any, theirs: Any) -> str:
        kept = set(map(tuple, ours.tolist()))
        found = set(map(tuple, theirs.tolist()))
        assert kept <= found, kept - found
        for y, x in found - kept:
            near = np.abs(ours - (y, x)).max(axis=1) < radius
            assert (image[tuple(ours[near].T)] == image[y, x]).any(), (y, x)
        return f"{len(kept)} peaks identical, {len(found - kept)} ties of theirs dropped"

    return check


def cases(size: str) -> Iterator[Case]:
    """The distance map of the cells in a slice, with several radii."""
    pictures = (
        (inputs.slice_2k(size), (10, 50, 100)),
        (inputs.slice_8k(size, 8200), (50,)),
    )
    for picture, radii in pictures:
        image = distance_transform(inputs.cell_mask(picture))
        for radius in radii:
            ties = "does not thin out ties"
            yield Case(
                kernel="Peaks",
                data=f"distance map {image.shape[0]} x {image.shape[1]} float32, radius {radius}",
                bytes_in=image.nbytes,
                traffic=image.nbytes,
                ours=lambda image=image, radius=radius: peak_local_maxima(
                    image, min_distance_px=radius, threshold=0.0
                ),
                peers=(
                    Peer(
                        name="OpenCV dilate and compare",
                        call=_by_dilation(image, radius),
                        threads=cv2.setNumThreads,
                        check=_same_but_ties(image, radius),
                        difference=ties,
                        bar=6.0 if radius >= 50 else None,
                    ),
                    Peer(
                        name="scikit-image peak_local_max",
                        call=lambda image=image, radius=radius: peak_local_max(
                            image, min_distance=radius, threshold_abs=0, exclude_border=False
                        ),
                        check=_same,
                    ),
                    Peer(
                        name="scipy maximum_filter and compare",
                        call=_by_scipy(image, radius),
                        check=_same_but_ties(image, radius),
                        difference=ties,
                    ),
                ),
            )


if __name__ == "__main__":
    main(cases)
