"""Results at the pixel size of the crop, made slice by slice when they are read.

A 300 x 2000 x 2000 crop has 1.2e9 voxels. Kept are the masks of the cells at the
working pixel size, four times smaller, and the curves of the envelope, from
which the nucleus is drawn at the pixels of the crop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.envelope.measure import EnvelopeResult
from helaseg.core.grid import Grid
from helaseg.image.blocks import enlarge

Kind = Literal["nucleus", "cell", "cells", "labels", "envelope_confidence"]


@dataclass(frozen=True, slots=True)
class FullSize:
    """One of the label images of a crop, sliceable along z, y, x.

    Parameters
    ----------
    kind : {"nucleus", "cell", "cells", "labels", "envelope_confidence"}
        0/1 masks, instances, the classes of `helaseg.core.results.CLASS_NAMES`, or
        confidence in percent on the band of the envelope (1 to 100, 0 elsewhere).
    envelope : EnvelopeResult
        The nucleus of the target cell and its envelope.
    cells : ndarray of unsigned integers, shape (Z, h, w)
        Instances at the working pixel size, 1 is the target.
    solid : ndarray of bool, shape (Z, h, w)
        Everything that is not resin.
    factor : int
        Pixels of the crop per working pixel along y and x.
    """

    kind: Kind
    envelope: EnvelopeResult
    cells: NDArray[np.unsignedinteger]
    solid: NDArray[np.bool_]
    factor: int

    @property
    def grid(self) -> Grid:
        """The grid of the crop."""
        return self.envelope.grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        return self.grid.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole image, for `numpy.asarray`."""
        return np.asarray(self[:], dtype=dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the labels."""
        return self.cells.dtype if self.kind == "cells" else np.dtype(np.uint8)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        keys = index if isinstance(index, tuple) else (index,)
        keys = keys + (slice(None),) * (3 - len(keys))
        z, rest = keys[0], keys[1:]
        if not isinstance(z, slice):
            return self._slice(range(self.shape[0])[int(z)])[rest]
        order = range(self.shape[0])[z]
        if not len(order):
            return np.empty((0, *self.shape[1:]), self.dtype)[(slice(None), *rest)]
        first = self._slice(order[0])[rest]
        out = np.empty((len(order), *first.shape), self.dtype)
        out[0] = first
        for k, number in enumerate(order[1:], start=1):
            out[k] = self._slice(number)[rest]
        return out

    def _slice(self, z: int) -> NDArray[Any]:
        if self.kind == "envelope_confidence":
            return self._percent(z)
        nucleus = self.envelope.nucleus(z)
        if self.kind == "nucleus":
            return nucleus.view(np.uint8)
        if self.kind == "cells":
            cells = self._enlarge(self.cells[z])
            cells[nucleus] = 1
            return cells
        cell = self.cells[z] == 1
        if self.kind == "cell":
            return (self._enlarge(cell) | nucleus).view(np.uint8)
        classes = np.zeros(cell.shape, np.uint8)
        classes[self.solid[z] | (self.cells[z] > 0)] = 4
        classes[cell] = 1
        labels = self._enlarge(classes)
        labels[nucleus] = 2
        labels[np.isfinite(self.envelope.band(z))] = 3
        return labels

    def _percent(self, z: int) -> NDArray[np.uint8]:
        band = self.envelope.band(z)
        percent = np.zeros(band.shape, np.uint8)
        there = np.isfinite(band)
        # At least 1: an envelope that cannot be seen is not the same as no envelope.
        percent[there] = np.maximum(np.rint(100 * band[there]), 1)
        return percent

    def _enlarge(self, small: NDArray[Any]) -> NDArray[Any]:
        """A new array at the pixels of the crop."""
        large = enlarge(small, self.factor, self.shape[1:])
        return large.copy() if self.factor == 1 else large
