"""Small geometry of the masks of a slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Box = tuple[slice, slice]


def window(mask: Mask, *, margin_px: int) -> Box | None:
    """The box around a mask with a margin, clipped, first row and column even; None if empty."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    starts = (max(int(found[0]) - margin_px, 0) // 2 * 2 for found in (rows, cols))
    stops = (
        min(int(found[-1]) + margin_px + 1, size)
        for found, size in zip((rows, cols), mask.shape, strict=True)
    )
    top, left = starts
    bottom, right = stops
    return slice(top, bottom), slice(left, right)


def jaccard(a: Mask, b: Mask) -> float:
    """Jaccard index of two masks; 0 when both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def signed_distance(mask: Mask) -> NDArray[np.float32]:
    """Distance in pixels to the border of a mask, positive inside."""
    from helaseg.image.distance import distance_transform

    if not mask.any():
        return np.full(mask.shape, -1e6, np.float32)
    if mask.all():
        return np.full(mask.shape, 1e6, np.float32)
    return distance_transform(mask) - distance_transform(~mask)


def between(a: Mask, b: Mask, t: float) -> Mask:
    """The outline a part `t` of the way from `a` to `b`, by signed distance."""
    return (1 - t) * signed_distance(a) + t * signed_distance(b) > 0


def rim_of(mask: Mask) -> Mask:
    """The pixels just outside a mask."""
    from helaseg.image.morphology import binary_dilation

    return binary_dilation(mask, radius_px=1) & ~mask
