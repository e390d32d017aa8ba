"""Label images of a prediction at the pixels of the volume, made slice by slice when read."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from helaseg.core.results import CLASS_NAMES
from helaseg.deep.nucleus import HALF
from helaseg.deep.resample import ResampledArray
from helaseg.io.lazy import LazyArray, as_slice

Bytes = NDArray[np.uint8]
Kind = Literal["nucleus", "cell", "labels"]
_LABELS = {text: number for number, text in CLASS_NAMES.items()}


class PredictedImage(LazyArray):
    """Masks or classes of one cell.

    Parameters
    ----------
    kind : {"nucleus", "cell", "labels"}
        0/1 masks, or the classes of `CLASS_NAMES`.
    shape : tuple of int
        Of the volume.
    nucleus : ndarray of uint8, shape (z, y, x)
        128 and more inside of the nucleus, on the voxels of the network.
    cell, others : ndarray of uint8 of that shape, or None
        The same for the whole cell with its nucleus, and for other cells.
    envelope : ndarray of uint8 of that shape, or None
        The same for the nuclear envelope; None draws a band on the border of the nucleus.
    band_px : float
        Thickness of that band in pixels of the volume.
    """

    def __init__(
        self,
        kind: Kind,
        shape: tuple[int, int, int],
        *,
        nucleus: Bytes,
        cell: Bytes | None = None,
        others: Bytes | None = None,
        envelope: Bytes | None = None,
        band_px: float = 7.0,
    ) -> None:
        super().__init__(shape=shape, dtype=np.uint8)
        self.kind = kind
        self.band_px = band_px
        self._wide = {
            name: ResampledArray(part, shape=shape, dtype=np.uint8)
            for name, part in (
                ("nucleus", nucleus),
                ("cell", cell),
                ("others", others),
                ("envelope", envelope),
            )
            if part is not None
        }

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        for plane, z in zip(out, zs, strict=True):
            plane[...] = self._slice(z)[as_slice(ys), as_slice(xs)]

    def _slice(self, z: int) -> Bytes:
        nucleus = self._wide["nucleus"][z] >= HALF
        if self.kind == "nucleus":
            return nucleus.view(np.uint8)
        cell = self._wide["cell"][z] >= HALF if "cell" in self._wide else np.zeros_like(nucleus)
        if self.kind == "cell":
            # Without cytoplasm nothing is known of the cell.
            return (cell | nucleus if "cell" in self._wide else cell).view(np.uint8)
        labels = np.zeros(nucleus.shape, np.uint8)
        if "others" in self._wide:
            labels[self._wide["others"][z] >= HALF] = _LABELS["other cells"]
        labels[cell] = _LABELS["cytoplasm"]
        labels[nucleus] = _LABELS["nucleus"]
        if "envelope" in self._wide:
            labels[self._wide["envelope"][z] >= HALF] = _LABELS["nuclear envelope"]
        else:
            _draw_band(labels, nucleus, self.band_px)
        return labels


def _draw_band(labels: Bytes, nucleus: NDArray[np.bool_], band_px: float) -> None:
    """The envelope on both sides of the border of the nucleus."""
    from helaseg.image import distance_transform

    rows, columns = (np.flatnonzero(nucleus.any(axis=a)) for a in (1, 0))
    if not rows.size:
        return
    reach = int(np.ceil(band_px)) + 1
    box = tuple(slice(max(0, int(v[0]) - reach), int(v[-1]) + reach + 1) for v in (rows, columns))
    inside = nucleus[box]
    # The border lies half a pixel from the centres on either side.
    limit = band_px / 2 + 0.5
    near = distance_transform(inside) <= limit if not inside.all() else np.zeros_like(inside)
    labels[box][inside & near] = _LABELS["nuclear envelope"]
    labels[box][~inside & (distance_transform(~inside) <= limit)] = _LABELS["nuclear envelope"]
