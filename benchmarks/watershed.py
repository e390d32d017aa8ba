"""Marker watershed of the distance map: ``python -m benchmarks.watershed``.

Markers are the maxima of the distance map. Each marker voxel gets a priority of its
own below all others, so that no library is free to choose an order among equal ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import diplib
import mahotas
import numpy as np
import SimpleITK as sitk
from skimage.segmentation import watershed as skimage_watershed

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg.image import distance_transform, label, watershed

#: A peak is the highest within so many pixels, or z slices.
PEAK_PX, PEAK_SLICES = 20, 2


def _highest_nearby(distance: np.ndarray) -> np.ndarray:
    window = np.ones((2 * PEAK_PX + 1, 1), np.uint8)
    planes = distance.reshape(-1, *distance.shape[-2:])
    highest = np.stack([cv2.dilate(cv2.dilate(p, window), window.T) for p in planes])
    # slices beyond the volume count as if they were those inside
    above, below = highest.copy(), highest.copy()
    for k in range(1, min(PEAK_SLICES, len(planes) - 1) + 1):
        np.maximum(above[k:], highest[:-k], out=above[k:])
        np.maximum(below[:-k], highest[k:], out=below[:-k])
    return np.maximum(above, below).reshape(distance.shape)


def _problem(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mask, priority as float32 and as uint8, and markers."""
    mask = inputs.cell_mask(image)
    spacing = (50.0, 10.0, 10.0)[3 - image.ndim :]
    distance = distance_transform(mask, spacing=spacing)
    distance[~np.isfinite(distance)] = 0
    tops = mask & (distance == _highest_nearby(distance))
    markers = label(tops, connectivity=image.ndim)
    bytes_ = np.rint(255 * (1 - distance / distance.max())).astype(np.uint8)
    priority = np.negative(distance, out=distance)
    places = np.flatnonzero(markers)
    priority.flat[places] = np.floor(priority.min()) - 1 - np.arange(places.size)
    return mask, priority, bytes_, markers


def _same(ours: np.ndarray, theirs: Any) -> str:
    theirs = np.asarray(theirs)
    assert np.array_equal(ours, theirs), f"{np.mean(ours != theirs):.2%} of the voxels differ"
    return "identical"


def _alike(least: float) -> Callable[[np.ndarray, Any], str]:
    def check(ours: np.ndarray, theirs: Any) -> str:
        share = float(np.mean(ours == np.asarray(theirs)))
        assert share >= least, f"only {share:.1%} of the voxels have the same label"
        return f"{share:.1%} of the voxels have the same label"

    return check


def _keeps_markers(markers: np.ndarray) -> Callable[[np.ndarray, Any], str]:
    inner = tuple(slice(1, -1) for _ in markers.shape)

    def check(ours: np.ndarray, theirs: Any) -> str:
        # OpenCV turns the border of the picture into a line
        known, theirs = markers[inner], np.asarray(theirs)
        for labels in (ours[inner], theirs[inner]):
            assert np.array_equal(labels[known > 0], known[known > 0])
            assert np.mean(labels == 0) < 1e-3
        return f"both flood all pixels; same label in {np.mean(ours == theirs):.0%}"

    return check


def _opencv(bytes_: np.ndarray, markers: np.ndarray) -> Callable[[], np.ndarray]:
    colour = cv2.merge([bytes_] * 3)
    # it floods the markers themselves, so each call needs them anew
    work = np.empty_like(markers)

    def call() -> np.ndarray:
        np.copyto(work, markers)
        return cv2.watershed(colour, work)

    return call


def _simpleitk(priority: np.ndarray, markers: np.ndarray) -> Callable[[], np.ndarray]:
    grey, seeds = sitk.GetImageFromArray(priority), sitk.GetImageFromArray(markers)

    def call() -> np.ndarray:
        found = sitk.MorphologicalWatershedFromMarkers(
            grey, seeds, markWatershedLine=False, fullyConnected=False
        )
        return sitk.GetArrayFromImage(found)

    return call


def _diplib(
    priority: np.ndarray, markers: np.ndarray, mask: np.ndarray
) -> Callable[[], diplib.Image]:
    seeds = markers.astype(np.uint32)

    def call() -> diplib.Image:
        return diplib.SeededWatershed(
            priority,
            seeds,
            mask,
            connectivity=1,
            maxDepth=0,
            maxSize=0,
            flags={"labels", "no gaps"},
        )

    return call


def _cases_of(
    image: np.ndarray, name: str, *, few: int | None, bars: dict[str, float]
) -> Iterator[Case]:
    mask, priority, bytes_, markers = _problem(image)
    out = np.empty(image.shape, np.int32)
    itk_threads = sitk.ProcessObject.SetGlobalDefaultNumberOfThreads
    # each reads priority and markers and writes labels
    traffic = priority.nbytes + markers.nbytes + out.nbytes
    yield Case(
        kernel="marker watershed in a mask",
        data=f"{name} float32",
        bytes_in=priority.nbytes + markers.nbytes + mask.nbytes,
        traffic=traffic + mask.nbytes,
        ours=lambda: watershed(priority, markers, mask=mask, out=out),
        peers=(
            Peer(
                name="scikit-image",
                call=lambda: skimage_watershed(priority, markers, mask=mask),
                check=_same,
                bar=bars.get("skimage"),
                pairs=few,
            ),
            Peer(
                name="diplib",
                call=_diplib(priority, markers, mask),
                check=_alike(0.9),
                threads=diplib.SetNumberOfThreads,
                difference="other order among equals",
                bar=bars.get("others"),
                pairs=few,
            ),
        ),
    )
    yield Case(
        kernel="marker watershed without mask",
        data=f"{name} float32",
        bytes_in=priority.nbytes + markers.nbytes,
        traffic=traffic,
        ours=lambda: watershed(priority, markers, out=out),
        peers=(
            Peer(
                name="SimpleITK",
                call=_simpleitk(priority, markers),
                check=_same,
                threads=itk_threads,
                bar=bars.get("others"),
                pairs=few,
            ),
            Peer(
                name="mahotas",
                call=lambda: mahotas.cwatershed(priority, markers),
                check=_alike(0.9),
                difference="other order among equals",
                bar=bars.get("others"),
                pairs=few,
            ),
        ),
    )
    if image.ndim == 2:
        yield Case(
            kernel="marker watershed without mask",
            data=f"{name} uint8",
            bytes_in=bytes_.nbytes + markers.nbytes,
            traffic=bytes_.nbytes + markers.nbytes + out.nbytes,
            ours=lambda: watershed(bytes_, markers, out=out),
            peers=(
                Peer(
                    name="OpenCV",
                    call=_opencv(bytes_, markers),
                    check=_keeps_markers(markers),
                    threads=cv2.setNumThreads,
                    difference="floods by the step between neighbours, 8 bit, leaves lines",
                    bar=bars.get("opencv"),
                ),
            ),
        )


def cases(size: str) -> Iterator[Case]:
    """A slice, a large slice, and a volume."""
    tiny = size == "tiny"
    bars = {} if tiny else {"skimage": 5.0, "opencv": 0.7}
    image = inputs.slice_2k(size)
    yield from _cases_of(image, " x ".join(map(str, image.shape)), few=None, bars=bars)
    bars = {} if tiny else {"skimage": 10.0, "opencv": 1.0}
    image = inputs.slice_8k(size)
    yield from _cases_of(image, " x ".join(map(str, image.shape)), few=3, bars=bars)
    bars = {} if tiny else {"skimage": 7.0, "others": 4.0}
    image = inputs.volume_24(size)
    yield from _cases_of(image, " x ".join(map(str, image.shape)), few=1, bars=bars)


if __name__ == "__main__":
    main(cases)
