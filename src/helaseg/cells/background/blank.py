"""Slices that show nothing, or not what the others of their volume show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def slice_greys(image: NDArray[Any]) -> tuple[float, float]:
    """Median of a slice and its spread, the 1st to the 99th percentile; every 4th pixel."""
    step = 4 if min(image.shape) >= 256 else 1
    low, median, high = np.percentile(image[::step, ::step], (1, 50, 99))
    return float(median), float(high - low)


def off_reference(greys: tuple[float, float], reference: tuple[float, float] | None) -> bool:
    """Return whether a slice shows nothing, or not what the other slices of its volume show.

    Parameters
    ----------
    greys : (median, spread)
        From `slice_greys`.
    reference : (median, spread), optional
        The same of a typical slice of the volume.

    Returns
    -------
    bool
        True where the spread is zero or, with a reference, below a quarter or
        above four times that of the reference, or where the median is off by
        more than the spread of the reference.
    """
    median, spread = greys
    if spread <= 0:
        return True
    if reference is None:
        return False
    typical, width = reference
    return not 0.25 * width <= spread <= 4 * width or abs(median - typical) > width
