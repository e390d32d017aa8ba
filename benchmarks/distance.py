"""Exact Euclidean distance transform against every library that has an exact one.

Where a peer writes into a given array, both do; where it makes a new one, both do
(touching fresh memory takes a good part of the time). Width 8192 slows down libraries
that walk along columns; width 8200 is the fairer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import diplib
import edt
import mahotas
import numpy as np
import SimpleITK
from scipy import ndimage as ndi

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg._threads import n_threads
from helaseg.image import distance_transform

KERNEL = "exact distance transform"


def agrees(ours: np.ndarray, theirs: Any) -> str:
    """Both distances to float32 rounding; slice by slice, to spare memory."""
    theirs = np.asarray(theirs)
    if ours.ndim == 2:
        ours, theirs = ours[None], theirs[None]
    most = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        error = np.abs(other.astype(np.float64) - mine) / np.maximum(mine, 1)
        most = max(most, float(error.max()))
    if most > 1e-6:
        msg = f"distances differ by up to {most:.1e} of the distance"
        raise AssertionError(msg)
    return "identical" if most == 0 else f"largest relative difference {most:.1e}"


def opencv(mask: np.ndarray) -> Callable[[], Any]:
    """OpenCV's exact transform into a given array."""
    bytes_, out = mask.view(np.uint8), np.empty(mask.shape, np.float32)
    return lambda: cv2.distanceTransform(bytes_, cv2.DIST_L2, cv2.DIST_MASK_PRECISE, out)


def edt_package(mask: np.ndarray, spacing: tuple[float, ...] | None) -> Callable[[], Any]:
    """The package `edt`, with as many threads as ours."""
    return lambda: edt.edt(
        mask, anisotropy=spacing or (1.0,) * mask.ndim, black_border=False, parallel=n_threads()
    )


def dip(mask: np.ndarray, spacing: tuple[float, ...] | None) -> Callable[[], Any]:
    """DIPlib; its axes are x, y, z."""
    image = diplib.Image(mask)
    if spacing is not None:
        image.SetPixelSize(list(spacing[::-1]))
    return lambda: diplib.EuclideanDistanceTransform(image, border="object", method="separable")


def itk(mask: np.ndarray, spacing: tuple[float, ...] | None) -> Callable[[], Any]:
    """SimpleITK: distances from the background, of which it takes the part outside."""
    image = SimpleITK.GetImageFromArray((~mask).view(np.uint8))
    if spacing is not None:
        image.SetSpacing(spacing[::-1])
    return lambda: SimpleITK.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=spacing is not None
    )


def agrees_outside(ours: np.ndarray, theirs: Any) -> str:
    """As `agrees`, where the signed distance of the background is positive."""
    return agrees(ours, np.maximum(SimpleITK.GetArrayFromImage(theirs), 0))


def itk_threads(n: int) -> None:
    """Threads of SimpleITK."""
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(n)


def several(_: int) -> None:
    """Threads of `edt`: it is told at every call."""


def plane(name: str, mask: np.ndarray, bar: float) -> Iterator[Case]:
    """One slice: OpenCV in given arrays, the others in new ones."""
    out = np.empty(mask.shape, np.float32)
    shared = {"bytes_in": mask.size, "traffic": 5 * mask.size, "memory_bar": 4.5}
    cv2.setNumThreads(1)
    itk_threads(1)
    diplib.SetNumberOfThreads(1)
    yield Case(
        kernel=KERNEL,
        data=f"{name}, given output",
        ours=lambda: distance_transform(mask, out=out),
        peers=(
            Peer(
                name="OpenCV distanceTransform, precise",
                call=opencv(mask),
                check=agrees,
                threads=cv2.setNumThreads,
                bar=bar,
            ),
        ),
        **shared,
    )
    yield Case(
        kernel=KERNEL,
        data=f"{name}, new output",
        ours=lambda: distance_transform(mask),
        peers=(
            Peer(name="edt", call=edt_package(mask, None), check=agrees, threads=several, bar=bar),
            Peer(
                name="mahotas",
                call=lambda: mahotas.distance(mask),
                check=lambda ours, theirs: agrees(ours, np.sqrt(theirs)),
                difference="squared distances",
                bar=bar,
            ),
            Peer(
                name="DIPlib, separable",
                call=dip(mask, None),
                check=agrees,
                threads=diplib.SetNumberOfThreads,
                bar=bar,
            ),
            Peer(
                name="SimpleITK SignedMaurer",
                call=itk(mask, None),
                check=agrees_outside,
                threads=itk_threads,
                difference="signed: also the distances of the background",
                bar=bar,
            ),
            Peer(
                name="scipy",
                call=lambda: ndi.distance_transform_edt(mask),
                check=agrees,
                difference="float64",
                bar=10.0,
            ),
        ),
        **shared,
    )


def volume(
    name: str, mask: np.ndarray, spacing: tuple[float, ...] | None, bar: float, *, slow: bool
) -> Iterator[Case]:
    """One volume, new outputs; `slow` adds the libraries that take a minute or more."""
    itk_threads(1)
    peers = [
        Peer(name="edt", call=edt_package(mask, spacing), check=agrees, threads=several, bar=bar)
    ]
    if slow:
        peers += [
            Peer(
                name="SimpleITK SignedMaurer",
                call=itk(mask, spacing),
                check=agrees_outside,
                threads=itk_threads,
                difference="signed: also the distances of the background",
                bar=bar,
            ),
            Peer(
                name="scipy",
                call=lambda: ndi.distance_transform_edt(mask, sampling=spacing),
                check=agrees,
                difference="float64",
                bar=10.0,
            ),
        ]
    yield Case(
        kernel=KERNEL,
        data=f"{name}, spacing {'1' if spacing is None else '50, 10, 10'}",
        ours=lambda: distance_transform(mask, spacing=spacing),
        peers=peers,
        bytes_in=mask.size,
        traffic=5 * mask.size,
        two_threads_bar=1.7,
        memory_bar=4.1,
    )


def cases(size: str) -> Iterator[Case]:
    """Slices and volumes; "cell" is a blurred Otsu mask, "noisy" an unblurred one."""
    image = inputs.slice_2k(size)
    yield from plane("2000 x 2000, cell", inputs.cell_mask(image), 3.0)
    yield from plane("2000 x 2000, noisy", inputs.noisy_mask(image), 3.0)
    for width in (8192, 8200):
        image = inputs.slice_8k(size, width)
        yield from plane(f"8192 x {width}, cell", inputs.cell_mask(image), 5.0)
    spaced = (50.0, 10.0, 10.0)
    stack = inputs.cell_mask(inputs.volume_24(size))
    yield from volume("24 x 2000 x 2000", stack, None, 2.5, slow=False)
    yield from volume("24 x 2000 x 2000", stack, spaced, 4.0, slow=size == "tiny")
    block = inputs.cell_mask(inputs.volume_300(size))
    yield from volume("300 x 1000 x 1000", block, None, 2.5, slow=False)
    yield from volume("300 x 1000 x 1000", block, spaced, 4.0, slow=False)
    # smaller, so that the slow ones come to an end
    part = np.ascontiguousarray(stack[:, :500, :500])
    yield from volume("24 x 500 x 500", part, spaced, 4.0, slow=True)


if __name__ == "__main__":
    main(cases)
