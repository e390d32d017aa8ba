"""Grey values of a crop as a whole: what its slices are measured by, and which are damaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg.core.volume import Volume
from helaseg.image.blocks import join_pixels

#: Smallest spread of grey values of a sound slice, relative to the slices around.
MIN_SPREAD = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class CropGrey:
    """Grey values of a crop that all its slices are measured by.

    Parameters
    ----------
    low, high : float
        Almost all grey values lie between them.
    """

    low: float
    high: float


def measure_crop(crop: Volume, factor: int) -> CropGrey:
    """The range of grey values, the median over nine slices, so that no odd one can move it.

    `factor` pixels are joined along y and x before.
    """
    n = crop.shape[0]
    values = []
    for z in sorted({round(k * (n - 1) / 8) for k in range(9)}) if n else ():
        small = join_pixels(crop.slice(z), factor)[::2, ::2]
        recorded = small > small.min() if small.size else small.astype(bool)
        if recorded.any():
            # Padding is flat and the darkest of all.
            values.append(np.quantile(small[recorded], (0.001, 0.999)))
    if not values:
        return CropGrey(low=0.0, high=1.0)
    low, high = (float(v) for v in np.median(values, axis=0))
    return CropGrey(low=low, high=max(high, np.nextafter(low, np.inf)))


def find_damaged(grey: NDArray[np.uint8], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Slices whose mean or spread of grey values is unlike that of the slices on either side.

    Parameters
    ----------
    grey : ndarray of uint8, shape (Z, Y, X)
        Grey values, every few pixels.
    seen : ndarray of bool, shape (Z,)
        Slices to judge and to judge by.
    """
    damaged = np.zeros(len(grey), bool)
    places = np.flatnonzero(seen)
    mean, spread = np.array([(grey[z].mean(), grey[z].std()) for z in places]).reshape(-1, 2).T

    def differs(i: int, near: slice) -> bool:
        # The median of five slices is not moved by two damaged ones.
        usual, width = float(np.median(mean[near])), float(np.median(spread[near]))
        return bool(spread[i] < MIN_SPREAD * width or abs(mean[i] - usual) > width)

    # Content changes slowly, and where it does not, only one side is unlike.
    for i in range(2, len(places) - 2):
        before, after = slice(max(i - 5, 0), i), slice(i + 1, i + 6)
        damaged[places[i]] = differs(i, before) and differs(i, after)
    return damaged
