"""Label images at the pixel size of the crop, drawn slice by slice when they are read.

A 300 x 2000 x 2000 crop has 1.2e9 voxels. What stays in memory are the masks of the cells
at the working pixel size, four times smaller, and the curves of the envelope, from
which the nucleus is drawn at the pixels of the crop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.envelope.measure import EnvelopeResult
from helaseg.image.blocks import enlarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The results that the label images of a crop are drawn from.

    Parameters
    ----------
    envelope : EnvelopeResult
        The nucleus of the target cell and its envelope.
    cells : ndarray of unsigned integers, shape (Z, h, w), or None
        Instances at the working pixel size, 1 is the target; None if no cells were
        segmented: the nucleus then stands for the cell.
    solid : ndarray of bool, shape (Z, h, w), or None
        Everything that is not resin.
    factor : int
        Pixels of the crop per working pixel along y and x.
    """

    envelope: EnvelopeResult
    cells: NDArray[np.unsignedinteger] | None
    solid: NDArray[np.bool_] | None
    factor: int

    @property
    def instance_dtype(self) -> np.dtype[Any]:
        """The dtype of the instances."""
        return np.dtype(np.uint8) if self.cells is None else self.cells.dtype

    def enlarge(self, small: NDArray[Any]) -> NDArray[Any]:
        """Return a new array at the pixels of the crop."""
        large = enlarge(small, self.factor, self.envelope.grid.shape[1:])
        return large.copy() if self.factor == 1 else large


#: Draws one slice of a label image.
Draw = Callable[[Parts, int], NDArray[Any]]


def draw_nucleus(parts: Parts, z: int) -> NDArray[np.uint8]:
    """Draw the nucleus of the target, 0/1."""
    return parts.envelope.nucleus(z).view(np.uint8)


def draw_cell(parts: Parts, z: int) -> NDArray[np.uint8]:
    """Draw the target cell with its nucleus, 0/1."""
    nucleus = parts.envelope.nucleus(z)
    if parts.cells is None:
        return nucleus.view(np.uint8)
    return (parts.enlarge(parts.cells[z] == 1) | nucleus).view(np.uint8)


def draw_instances(parts: Parts, z: int) -> NDArray[np.unsignedinteger]:
    """Draw all cells, 1 is the target."""
    nucleus = parts.envelope.nucleus(z)
    if parts.cells is None:
        return nucleus.view(np.uint8)
    cells = parts.enlarge(parts.cells[z])
    cells[nucleus] = 1
    return cells


def draw_classes(parts: Parts, z: int) -> NDArray[np.uint8]:
    """Draw the classes of `helaseg.core.results.CLASS_NAMES`."""
    nucleus = parts.envelope.nucleus(z)
    if parts.cells is None or parts.solid is None:
        labels = np.zeros(nucleus.shape, np.uint8)
    else:
        classes = np.zeros(parts.cells.shape[1:], np.uint8)
        classes[parts.solid[z] | (parts.cells[z] > 0)] = 4
        classes[parts.cells[z] == 1] = 1
        labels = parts.enlarge(classes)
    labels[nucleus] = 2
    labels[np.isfinite(parts.envelope.band(z))] = 3
    return labels


def draw_envelope_confidence(parts: Parts, z: int) -> NDArray[np.uint8]:
    """Draw the confidence of the envelope in percent, 1 to 100 on its band, 0 elsewhere."""
    band = parts.envelope.band(z)
    percent = np.zeros(band.shape, np.uint8)
    there = np.isfinite(band)
    # At least 1: an envelope that cannot be seen is not the same as no envelope.
    percent[there] = np.maximum(np.rint(100 * band[there]), 1)
    return percent
