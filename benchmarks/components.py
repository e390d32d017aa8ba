"""Connected components: ``python -m benchmarks.components``.

Where a peer writes into a given array, so do we; where it makes a new one, we make a
new one too ("new output").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cc3d
import cv2
import diplib
import mahotas
import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage.measure import label as skimage_label
from skimage.measure import regionprops_table

from benchmarks import inputs
from benchmarks.harness import Case, Peer, main
from helaseg.image import label
from helaseg.image.regions import label_with_table

#: Neighbours that a connectivity stands for.
NEIGHBOURS = {2: {1: 4, 2: 8}, 3: {1: 6, 3: 26}}


def _numbers(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Their number of each of our components, if the two images are alike but for the numbers."""
    numbers = np.zeros(int(ours.max()) + 1, np.int64)
    for a, b in zip(ours, theirs, strict=True):
        numbers[a] = b
    for a, b in zip(ours, theirs, strict=True):
        assert np.array_equal(numbers[a], b), "the components differ"
    assert np.unique(numbers).size == numbers.size, "components of ours are one of theirs"
    return numbers


def _same(read: Callable[[Any], np.ndarray] = np.asarray) -> Callable[[np.ndarray, Any], str]:
    def check(ours: np.ndarray, theirs: Any) -> str:
        numbers = _numbers(ours, read(theirs))
        alike = np.array_equal(numbers, np.arange(numbers.size))
        return f"{numbers.size - 1} components, numbers {'alike' if alike else 'in another order'}"

    return check


def _opencv(mask: np.ndarray, connectivity: int, bar: float | None) -> Peer:
    bytes_, labels = mask.view(np.uint8), np.empty(mask.shape, np.int32)
    return Peer(
        name="OpenCV connectedComponents",
        call=lambda: cv2.connectedComponents(bytes_, labels, 4 * connectivity, cv2.CV_32S)[1],
        check=_same(),
        threads=cv2.setNumThreads,
        bar=bar,
    )


def _cc3d(mask: np.ndarray, connectivity: int, bar: float | None) -> Peer:
    neighbours = NEIGHBOURS[mask.ndim][connectivity]
    return Peer(
        name="cc3d",
        call=lambda: cc3d.connected_components(mask, connectivity=neighbours),
        check=_same(),
        difference="labels of 16 bits where they suffice",
        bar=bar,
    )


def _others(mask: np.ndarray, connectivity: int) -> Iterator[Peer]:
    structure = ndimage.generate_binary_structure(mask.ndim, connectivity)
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    picture = diplib.Image(mask)
    full = connectivity == mask.ndim
    yield Peer(
        name="scipy ndimage.label", call=lambda: ndimage.label(mask, structure)[0], check=_same()
    )
    yield Peer(
        name="scikit-image label",
        call=lambda: skimage_label(mask, connectivity=connectivity),
        check=_same(),
    )
    yield Peer(
        name="SimpleITK ConnectedComponent",
        call=lambda: sitk.ConnectedComponent(image, full),
        check=_same(sitk.GetArrayFromImage),
        threads=sitk.ProcessObject.SetGlobalDefaultNumberOfThreads,
    )
    if mask.ndim == 2 or connectivity == 1:
        # With more neighbours in 3-D diplib 3.6 finds components more than all others do.
        yield Peer(
            name="diplib Label",
            call=lambda: diplib.Label(picture, connectivity),
            check=_same(),
            threads=diplib.SetNumberOfThreads,
        )
    if mask.ndim == 2:
        yield Peer(
            name="mahotas label", call=lambda: mahotas.label(mask, structure)[0], check=_same()
        )


def _same_table() -> Callable[[Any, Any], str]:
    def check(ours: Any, theirs: Any) -> str:
        labels, table = ours
        number = _numbers(labels, theirs["labels"])[1:]
        assert np.array_equal(table["n_px"], theirs["n_px"][number])
        for axis in "yx":
            centres = theirs[f"centroid_{axis}"][number]
            assert np.allclose(table[f"centroid_{axis}"], centres, rtol=0, atol=1e-3)
            assert np.array_equal(table[f"start_{axis}"], theirs[f"start_{axis}"][number])
            assert np.array_equal(table[f"stop_{axis}"], theirs[f"stop_{axis}"][number])
        return f"{number.size} components: areas, boxes and centroids agree"

    return check


def _tables(mask: np.ndarray, *, bar: float | None, slow: bool) -> Iterator[Peer]:
    bytes_, labels = mask.view(np.uint8), np.empty(mask.shape, np.int32)

    def opencv() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return cv2.connectedComponentsWithStats(bytes_, labels, connectivity=8, ltype=cv2.CV_32S)[
            1:
        ]

    def read_opencv(found: Any) -> dict[str, np.ndarray]:
        image, stats, centres = found
        x, y, width, height, n_px = stats.T
        return {
            "labels": image,
            "n_px": n_px,
            "start_x": x,
            "start_y": y,
            "stop_x": x + width,
            "stop_y": y + height,
            "centroid_x": centres[:, 0],
            "centroid_y": centres[:, 1],
        }

    def with_cc3d() -> tuple[np.ndarray, dict[str, Any]]:
        found = cc3d.connected_components(mask, connectivity=8)
        return found, cc3d.statistics(found, no_slice_conversion=True)

    def read_cc3d(found: Any) -> dict[str, np.ndarray]:
        image, table = found
        boxes, centres = table["bounding_boxes"].astype(np.int64), table["centroids"]
        return {
            "labels": image,
            "n_px": table["voxel_counts"],
            "start_y": boxes[:, 0],
            "stop_y": boxes[:, 1] + 1,
            "start_x": boxes[:, 2],
            "stop_x": boxes[:, 3] + 1,
            "centroid_y": centres[:, 0],
            "centroid_x": centres[:, 1],
        }

    def with_skimage() -> tuple[np.ndarray, dict[str, np.ndarray]]:
        found = skimage_label(mask, connectivity=2)
        return found, regionprops_table(found, properties=("num_pixels", "bbox", "centroid"))

    def read_skimage(found: Any) -> dict[str, np.ndarray]:
        image, table = found
        names = {"n_px": "num_pixels", "centroid_y": "centroid-0", "centroid_x": "centroid-1"}
        names |= {"start_y": "bbox-0", "start_x": "bbox-1", "stop_y": "bbox-2", "stop_x": "bbox-3"}
        columns = {name: np.insert(table[old], 0, 0) for name, old in names.items()}
        return {"labels": image, **columns}

    def agree(read: Callable[[Any], dict[str, np.ndarray]]) -> Callable[[Any, Any], str]:
        check = _same_table()
        return lambda ours, theirs: check(ours, read(theirs))

    yield Peer(
        name="OpenCV connectedComponentsWithStats",
        call=opencv,
        check=agree(read_opencv),
        threads=cv2.setNumThreads,
        bar=bar,
    )
    yield Peer(name="cc3d and its statistics", call=with_cc3d, check=agree(read_cc3d))
    if not slow:
        yield Peer(
            name="scikit-image label and regionprops_table",
            call=with_skimage,
            check=agree(read_skimage),
            pairs=3,
        )


def _planes(size: str) -> Iterator[Case]:
    images = {"8192 x 8192": inputs.slice_8k(size)}
    if size == "full":
        images["2000 x 2000"] = inputs.slice_2k()
        images["8192 x 8200"] = inputs.slice_8k(width=8200)
    for shape, image in images.items():
        large = shape != "2000 x 2000"
        masks = {"cells": inputs.cell_mask(image), "noise": inputs.noisy_mask(image)}
        for kind, mask in masks.items():
            out = np.empty(mask.shape, np.int32)
            common = {"bytes_in": mask.nbytes, "traffic": 5 * mask.nbytes}
            bar = 1.5 if large and kind == "cells" else None
            for connectivity in (1, 2):
                data = f"{shape}, {kind}, {4 * connectivity} neighbours"
                yield Case(
                    kernel="Connected components",
                    data=data,
                    ours=lambda m=mask, c=connectivity, o=out: label(m, connectivity=c, out=o),
                    peers=(_opencv(mask, connectivity, bar),),
                    **common,
                )
                if shape == "8192 x 8200":
                    continue
                peers = [_cc3d(mask, connectivity, bar)]
                if kind == "cells":
                    peers += _others(mask, connectivity)
                yield Case(
                    kernel="Connected components",
                    data=f"{data}, new output",
                    ours=lambda m=mask, c=connectivity: label(m, connectivity=c),
                    peers=peers,
                    **common,
                )
            if shape == "8192 x 8200":
                continue
            yield Case(
                kernel="Components with statistics",
                data=f"{shape}, {kind}, 8 neighbours",
                ours=lambda m=mask, o=out: label_with_table(m, connectivity=2, out=o),
                peers=tuple(
                    _tables(
                        mask,
                        bar=5.0 if kind == "cells" else None,
                        slow=size == "full" and (large or kind == "noise"),
                    )
                ),
                **common,
            )


def _volumes(size: str) -> Iterator[Case]:
    volumes = {"24 x 2000 x 2000": inputs.volume_24(size)}
    if size == "full":
        volumes["300 x 1000 x 1000"] = inputs.volume_300()
    for name, volume in volumes.items():
        mask = inputs.cell_mask(volume)
        out = np.empty(mask.shape, np.int32)
        for connectivity in (1, 3):
            data = f"{name}, cells, {NEIGHBOURS[3][connectivity]} neighbours"
            common = {"bytes_in": mask.nbytes, "traffic": 5 * mask.nbytes}
            yield Case(
                kernel="Connected components 3-D",
                data=data,
                ours=lambda m=mask, c=connectivity, o=out: label(m, connectivity=c, out=o),
                peers=(_cc3d(mask, connectivity, 1.7),),
                two_threads_bar=1.6,
                **common,
            )
            peers = [_cc3d(mask, connectivity, 1.7)]
            if len(mask) <= 24:
                peers += _others(mask, connectivity)
            yield Case(
                kernel="Connected components 3-D",
                data=f"{data}, new output",
                ours=lambda m=mask, c=connectivity: label(m, connectivity=c),
                peers=peers,
                **common,
            )


def cases(size: str) -> Iterator[Case]:
    """Planes, planes with statistics, volumes."""
    yield from _planes(size)
    yield from _volumes(size)


if __name__ == "__main__":
    main(cases)
