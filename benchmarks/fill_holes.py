"""Filling holes: ``python -m benchmarks.fill_holes``.

OpenCV has no such function: the usual recipe pads the mask, floods the outside from a
corner and takes everything else. It and ours write into given arrays; the other peers
make new ones, and so do we beside them ("new output").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import diplib
import fill_voids
import mahotas
import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg.image import fill_holes


def _same(read: Callable[[Any], np.ndarray] = np.asarray) -> Callable[[np.ndarray, Any], str]:
    def check(ours: np.ndarray, theirs: Any) -> str:
        assert np.array_equal(ours, read(theirs) != 0), "other pixels are filled"
        return "identical"

    return check


def _flood(mask: np.ndarray) -> Callable[[], np.ndarray]:
    bytes_ = mask.view(np.uint8)
    height, width = mask.shape
    padded = np.empty((height + 2, width + 2), np.uint8)
    filled = np.empty_like(bytes_)

    def call() -> np.ndarray:
        cv2.copyMakeBorder(bytes_, 1, 1, 1, 1, cv2.BORDER_CONSTANT, dst=padded, value=0)
        cv2.floodFill(padded, None, (0, 0), 2)
        # What was not flooded: the inverse of the outside, the mask included.
        return cv2.compare(padded[1:-1, 1:-1], 2, cv2.CMP_NE, dst=filled)

    return call


def _others(mask: np.ndarray, *, large: bool, slow: bool) -> Iterator[Peer]:
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    picture = diplib.Image(mask)
    yield Peer(
        name="fill_voids",
        call=lambda: fill_voids.fill(mask),
        check=_same(),
        bar=4.0 if large else None,
    )
    yield Peer(
        name="scipy binary_fill_holes",
        call=lambda: ndimage.binary_fill_holes(mask),
        check=_same(),
    )
    yield Peer(
        name="diplib FillHoles",
        call=lambda: diplib.FillHoles(picture, 1),
        check=_same(),
        threads=diplib.SetNumberOfThreads,
    )
    yield Peer(
        name="mahotas close_holes",
        call=lambda: mahotas.close_holes(mask),
        check=_same(),
        pairs=3,
    )
    if slow:
        return
    yield Peer(
        name="SimpleITK BinaryFillhole",
        call=lambda: sitk.BinaryFillhole(image, fullyConnected=False, foregroundValue=1),
        check=_same(sitk.GetArrayFromImage),
        threads=sitk.ProcessObject.SetGlobalDefaultNumberOfThreads,
        pairs=3,
    )


def cases(size: str) -> Iterator[Case]:
    """Cells and noise."""
    images = {"2000 x 2000": inputs.slice_2k(size), "8192 x 8192": inputs.slice_8k(size)}
    for shape, image in images.items():
        large = shape == "8192 x 8192"
        masks = {"cells": inputs.cell_mask(image), "noise": inputs.noisy_mask(image)}
        for kind, mask in masks.items():
            out = np.empty_like(mask)
            common = {"bytes_in": mask.nbytes, "traffic": 2 * mask.nbytes}
            yield Case(
                kernel="Fill holes",
                data=f"{shape}, {kind}",
                ours=lambda m=mask, o=out: fill_holes(m, out=o),
                peers=(
                    Peer(
                        name="OpenCV flood fill",
                        call=_flood(mask),
                        check=_same(),
                        threads=cv2.setNumThreads,
                        bar=1.0 if large else None,
                    ),
                ),
                **common,
            )
            yield Case(
                kernel="Fill holes",
                data=f"{shape}, {kind}, new output",
                ours=lambda m=mask: fill_holes(m),
                # SimpleITK takes half a minute for the large noise
                peers=tuple(_others(mask, large=large, slow=large and kind == "noise")),
                **common,
            )


if __name__ == "__main__":
    main(cases)
