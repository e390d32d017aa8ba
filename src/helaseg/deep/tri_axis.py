"""Tri-axis prediction: one network along z, y and x, three answers made one.

Spiers, H. et al. Deep learning for automatic segmentation of the nuclear envelope in
electron microscopy data, trained with volunteer segmentations. Traffic 22, 240-253 (2021).
doi:10.1111/tra.12789
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_choice
from helaseg.deep.grey import GreyScale
from helaseg.deep.predict import Predictor
from helaseg.deep.predict_config import FUSIONS, Fusion
from helaseg.errors import ParameterError
from helaseg.io.atomic import allocate

#: uint8, 0 to 255 for 0 to 1, or float16.
Probabilities = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriAxisResult:
    """Probabilities of one network along three axes.

    Parameters
    ----------
    probability : ndarray of uint8 (0 to 255 for 0 to 1) or float16, shape (C, Z, Y, X)
        Fused.
    agreement : ndarray of uint8, shape (C, Z, Y, X)
        How many axes gave each voxel 0.5 or more.
    n_found : ndarray of int64, shape (3, C)
        Voxels that each axis (z, y, x) gave 0.5 or more.
    """

    probability: Probabilities
    agreement: NDArray[np.uint8]
    n_found: NDArray[np.int64]


def predict_tri_axis(
    predictor: Predictor,
    source: Any,
    *,
    scale: GreyScale,
    fusion: Fusion = "mean",
    scratch: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TriAxisResult:
    """Predict along z, y and x and fuse.

    Parameters
    ----------
    predictor : Predictor
        Network and windows.
    source : sliceable of numbers, shape (Z, Y, X)
        Grey values on voxels as high as wide.
    scale : GreyScale
        Of the volume.
    fusion : {"union", "majority", "mean", "intersection"}
        How three probabilities become one.
    scratch : Path, optional
        Folder for the probabilities of each axis; in memory by default.
    progress : callable, optional
        Told the slices done and all slices of the three axes.

    Returns
    -------
    TriAxisResult

    Notes
    -----
    1. The volume goes to the device once. Its slices along each axis are views of it.
    2. Union is the largest of the three probabilities, majority the middle one,
       intersection the smallest: above 0.5 they are the union, the majority and the
       intersection of the three masks, and stay probabilities. The published code took the
       union.

    References
    ----------
    Spiers, H. et al. Traffic 22, 240-253 (2021). doi:10.1111/tra.12789
    """
    check_choice("fusion", fusion, FUSIONS)
    shape = tuple(source.shape)
    resident = predictor.resident(source)
    done, total = 0, sum(shape)
    answers = []
    for axis in range(3):
        order = [axis, *(a for a in range(3) if a != axis)]
        whole = (len(predictor.shape.classes), *shape)
        answer = new_array(whole, scratch, f"axis_{axis}", predictor.config.output)
        turned = answer.transpose(0, *(a + 1 for a in order))
        view = resident.permute(order)
        for start, block in predictor.blocks(view, scale):
            turned[:, start : start + block.shape[1]] = block
            done += block.shape[1]
            if progress is not None:
                progress(done, total)
        answers.append(answer)
    return fuse(answers, fusion=fusion, scratch=scratch)


def fuse(
    answers: list[Probabilities], *, fusion: Fusion, scratch: Path | None = None
) -> TriAxisResult:
    """Three probabilities as one, slice by slice.

    Parameters
    ----------
    answers : list of three ndarrays, shape (C, Z, Y, X)
        uint8, 0 to 255, or float16, 0 to 1.
    fusion, scratch
        As in `predict_tri_axis`.
    """
    if len(answers) != 3 or len({a.shape for a in answers}) != 1:
        msg = f"three predictions of one shape are fused, got {[a.shape for a in answers]}"
        raise ParameterError(msg)
    shape = answers[0].shape
    kind = answers[0].dtype
    half = 0.5 if kind == np.float16 else 128
    fused = new_array(shape, scratch, "fused", kind)
    agreement = new_array(shape, scratch, "agreement")
    n_found = np.zeros((3, shape[0]), np.int64)
    for z in range(shape[1]):
        first, second, third = (a[:, z] for a in answers)
        low, high = np.minimum(first, second), np.maximum(first, second)
        if fusion == "union":
            fused[:, z] = np.maximum(high, third)
        elif fusion == "intersection":
            fused[:, z] = np.minimum(low, third)
        elif fusion == "majority":
            fused[:, z] = np.maximum(low, np.minimum(high, third))
        elif kind == np.float16:
            fused[:, z] = (first.astype(np.float32) + second + third) / 3
        else:
            fused[:, z] = (first.astype(np.uint16) + second + third + 1) // 3
        given = np.stack([first >= half, second >= half, third >= half])  # (3, C, Y, X)
        agreement[:, z] = given.sum(axis=0, dtype=np.uint8)
        n_found += np.count_nonzero(given, axis=(2, 3))
    return TriAxisResult(probability=fused, agreement=agreement, n_found=n_found)


def new_array(
    shape: tuple[int, ...], scratch: Path | None, name: str, dtype: Any = np.uint8
) -> NDArray[Any]:
    """An array in memory, or one in a file that is read and written as it is needed."""
    if scratch is None:
        return np.empty(shape, dtype)
    dtype = np.dtype(dtype)
    allocate(scratch / name, math.prod(shape) * dtype.itemsize)
    return np.memmap(scratch / name, mode="r+", dtype=dtype, shape=shape)
