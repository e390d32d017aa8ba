"""The grey values of a volume in numbers that a network knows: `GreyScale`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class GreyScale:
    """Offset and scale of grey values."""

    mean: float
    std: float


def grey_scale(source: Any, *, n_slices: int = 16) -> GreyScale:
    """Mean and standard deviation over evenly spread slices.

    Parameters
    ----------
    source : sliceable, shape (Z, Y, X)
        Grey values. Voxels of the value 0 are left out: they were filled in where nothing
        was recorded.
    n_slices : int
        How many slices are read.

    Returns
    -------
    GreyScale
        0 and 1 for a volume without grey values.
    """
    n = source.shape[0]
    some = min(n, n_slices)
    count, first, second = 0, 0.0, 0.0
    for k in range(some):
        values = np.asarray(source[int((k + 0.5) * n / some)], np.float64)
        values = values[values != 0]
        count += values.size
        first += float(values.sum())
        second += float((values**2).sum())
    if count == 0:
        return GreyScale(mean=0.0, std=1.0)
    mean = first / count
    variance = max(second / count - mean**2, 0.0)
    # A flat volume is divided by one grey value at least.
    return GreyScale(mean=mean, std=max(variance**0.5, 1.0))
