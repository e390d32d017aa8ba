"""Cells one above the other that were linked to one track."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from helaseg.core.grid import Grid
from helaseg.core.objects import Detection


def cut_at_valleys(
    segment: Sequence[Detection], grid: Grid, min_valley: float
) -> list[list[Detection]]:
    """The parts of a track between the deepest valleys of its radius.

    Parameters
    ----------
    segment : sequence of Detection
        In the order of z.
    grid : Grid
        Of the volume.
    min_valley : float
        A valley is lower than this part of a peak on either side.

    Returns
    -------
    list of list of Detection
        One or more, in order. Parts that would be lower than the radius of their
        widest detection are no cells but uneven ends of one, and stay.
    """
    radius = np.array([d.radius_nm for d in segment])
    deepest, cut = min_valley, 0
    for k in range(1, len(segment) - 1):
        depth = radius[k] / max(min(radius[:k].max(), radius[k + 1 :].max()), 1e-9)
        if depth < deepest:
            # The slice of the valley goes to the nearer cell.
            here, before, after = segment[k], segment[k - 1], segment[k + 1]
            ways = [math.hypot(d.y - here.y, d.x - here.x) for d in (before, after)]
            at = k + 1 if ways[0] <= ways[1] else k
            parts = list(segment[:at]), list(segment[at:])
            if all(_is_high(part, grid) for part in parts):
                deepest, cut = depth, at
    if not cut:
        return [list(segment)]
    return [
        part
        for piece in (segment[:cut], segment[cut:])
        for part in cut_at_valleys(piece, grid, min_valley)
    ]


def _is_high(segment: Sequence[Detection], grid: Grid) -> bool:
    """Return whether a track is at least as high as the radius of its widest detection."""
    height_nm = (segment[-1].z - segment[0].z) * grid.slice_nm
    return height_nm >= max(d.radius_nm for d in segment)
