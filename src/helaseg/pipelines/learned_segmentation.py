"""Probabilities of a network as label images, measurements and records of slices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.shape.cut import cut_flags
from helaseg.cells.shape.describe import describe_cell
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.results import CLASS_NAMES, ENVELOPE_NM, SegmentationResult, SliceRecord
from helaseg.core.volume import LabelVolume
from helaseg.deep.images import PredictedImage
from helaseg.deep.nucleus import HALF
from helaseg.deep.resample import ResampledArray

Bytes = NDArray[np.uint8]


def as_segmentation(
    full: Grid,
    grid: Grid,
    nucleus: Bytes,
    inside: NDArray[np.bool_],
    probability: Bytes,
    classes: tuple[str, ...],
) -> SegmentationResult:
    """Label images, measurements and records, as the unsupervised method gives them.

    Parameters
    ----------
    full : Grid
        Of the images: pixels as recorded.
    grid : Grid
        Of what follows: voxels of the network.
    nucleus : ndarray of uint8, shape (Z, Y, X)
        Probability of the nucleus up to the midline of its envelope.
    inside : ndarray of bool, shape (Z, Y, X)
        The nuclei that are kept.
    probability : ndarray of uint8, shape (C, Z, Y, X)
        Of each class.
    classes : tuple of str
        Names of the classes.

    Returns
    -------
    SegmentationResult
        Without provenance.
    """
    # Other nuclei fall below the border, so that interpolation does not bring them back.
    nucleus = np.where(inside, nucleus, np.minimum(nucleus, HALF - 1))
    parts: dict[str, Any] = {"nucleus": nucleus}
    own = None
    if "cytoplasm" in classes:
        body = _sum_of(probability, classes, ("cytoplasm", "nucleus", "nuclear envelope"))
        own = _touching(body >= HALF, inside)
        parts["cell"] = np.where(own, body, np.minimum(body, HALF - 1))
        parts["others"] = np.where(own, np.minimum(body, HALF - 1), body)
    if "nuclear envelope" in classes:
        band = probability[classes.index("nuclear envelope")]
        kept = _touching((band >= HALF) | inside, inside)
        parts["envelope"] = np.where(kept, band, np.minimum(band, HALF - 1))
    parts["band_px"] = ENVELOPE_NM / full.pixel_nm

    def image(kind: Any, names: Any) -> LabelVolume:
        data = PredictedImage(kind, full.shape, **parts)
        return LabelVolume(data=data, grid=full, names=names)

    described = describe_cell(inside, own, grid)
    nucleus_image, cell_image = image("nucleus", {1: "nucleus"}), image("cell", {1: "cell"})
    flags = CellFlag.NONE if inside.any() else CellFlag.NO_NUCLEUS
    flags |= cut_flags(inside if own is None else own, grid)
    sure = ResampledArray(nucleus, shape=full.shape, dtype=np.uint8)
    return SegmentationResult(
        labels=image("labels", CLASS_NAMES),
        nucleus=nucleus_image,
        cell=cell_image,
        slices=tuple(_record(z, nucleus_image, cell_image, sure) for z in range(full.shape[0])),
        invaginations=described.invaginations,
        measurements=dict(described.measurements),
        flags=flags,
    )


def _record(z: int, nucleus: LabelVolume, cell: LabelVolume, sure: Any) -> SliceRecord:
    """Areas of a slice, and the mean probability in the nucleus."""
    inside = nucleus.slice(z) != 0
    n_nucleus, n_cell = int(np.count_nonzero(inside)), int(np.count_nonzero(cell.slice(z)))
    area_um2 = nucleus.grid.face_areas_nm2[0] / 1e6
    return SliceRecord(
        z=z,
        nucleus_px=n_nucleus,
        cell_px=n_cell,
        nucleus_um2=round(n_nucleus * area_um2, 6),
        cell_um2=round(n_cell * area_um2, 6),
        confidence=round(float(sure[z][inside].mean()) / 255, 4) if n_nucleus else math.nan,
        event="predicted" if n_nucleus else "absent",
    )


def _sum_of(probability: Bytes, classes: tuple[str, ...], wanted: tuple[str, ...]) -> Bytes:
    there = [probability[classes.index(c)] for c in wanted if c in classes]
    return np.minimum(np.sum(there, axis=0, dtype=np.uint16), 255).astype(np.uint8)


def _touching(mask: NDArray[np.bool_], seed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Components of a mask that overlap another one."""
    from helaseg.image import label

    parts, n = label(mask, return_count=True)
    kept = np.zeros(n + 1, bool)
    kept[np.unique(parts[seed])] = True
    kept[0] = False
    return kept[parts]
