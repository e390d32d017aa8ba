"""Results at the pixel size of the crop, made slice by slice from the working masks.

A 300 x 2000 x 2000 crop has 1.2e9 voxels; its masks at the working pixel size
are four times smaller, so only those are kept and each slice is enlarged when
somebody reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.pixels import enlarge
from helaseg.core.grid import Grid

#: Thickness of the band that stands for the nuclear envelope (Etch a Cell, 70 nm).
ENVELOPE_NM = 70.0

Kind = Literal["nucleus", "cell", "cells", "labels"]


@dataclass(frozen=True, slots=True)
class FullSize:
    """One of the label images of a crop, sliceable along z, y, x.

    Parameters
    ----------
    kind : {"nucleus", "cell", "cells", "labels"}
        0/1 masks, instances, or the classes of `helaseg.core.results.CLASS_NAMES`.
    nuclei : ndarray of unsigned integers, shape (Z, h, w)
        Nuclei at the working pixel size, 1 is that of the target.
    cells : ndarray of unsigned integers, shape (Z, h, w)
        Instances, 1 is the target.
    solid : ndarray of bool, shape (Z, h, w)
        Everything that is not resin.
    factor : int
        Pixels of the crop per working pixel along y and x.
    grid : Grid
        The grid of the crop.
    """

    kind: Kind
    nuclei: NDArray[np.unsignedinteger]
    cells: NDArray[np.unsignedinteger]
    solid: NDArray[np.bool_]
    factor: int
    grid: Grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        return self.grid.shape

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

    def _enlarge(self, small: NDArray[Any]) -> NDArray[Any]:
        return enlarge(small, self.factor, self.shape[1:])

    def _slice(self, z: int) -> NDArray[Any]:
        nucleus = self.nuclei[z] == 1
        if self.kind == "nucleus":
            return self._enlarge(nucleus.astype(np.uint8))
        if self.kind == "cells":
            return self._enlarge(self.cells[z])
        cell = self.cells[z] == 1
        if self.kind == "cell":
            return self._enlarge(cell.astype(np.uint8))
        classes = np.zeros(nucleus.shape, np.uint8)
        classes[self.solid[z] | (self.cells[z] > 0)] = 4
        classes[cell] = 1
        classes[nucleus] = 2
        labels = self._enlarge(classes)
        if nucleus.any():
            labels[envelope_band(self._enlarge(nucleus), self.grid.pixel_nm)] = 3
        return labels


def envelope_band(nucleus: NDArray[np.bool_], pixel_nm: float) -> NDArray[np.bool_]:
    """The band of `ENVELOPE_NM` on the border of a nucleus, half of it on either side.

    Parameters
    ----------
    nucleus : ndarray of bool, shape (Y, X)
        Nucleus up to the midline of the envelope.
    pixel_nm : float
        Pixel size.
    """
    from helaseg.image.morphology import binary_dilation, binary_erosion

    half_px = ENVELOPE_NM / 2 / pixel_nm
    # The border runs between pixels, half a pixel from the outermost centre. The
    # extra half pixel is given to the outer side, so that the band has its full width.
    outer = binary_dilation(nucleus, radius_px=half_px + 0.5)
    return outer & ~binary_erosion(nucleus, radius_px=half_px)
