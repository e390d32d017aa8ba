"""Cells of one slice as hills of the distance to the resin.

Published stages (Karabağ et al. 2021): take the distance to the background,
take its peaks from the highest down and suppress what is near. Different here:
a peak counts by its physical height and by how far it stands out from the
saddle to a higher one, not by its share of the highest peak of the slice and
not up to a fixed number of cells, and the border of the image is no
background, so that cells cut by it are found as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_mask, check_positive, check_range
from helaseg.errors import ParameterError

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class HillConfig:
    """Settings that decide which hills of the distance to the resin are cells.

    Parameters
    ----------
    min_radius_nm : float
        Smallest height of a peak: half the width of the widest part of the
        cell. Most blebs of HeLa cells stay below it (real slices), and a cell
        cut near its pole is seen in the next probed slice anyway.
    min_persistence : float
        Smallest drop from a peak to the saddle that leads to a higher one, as
        a fraction of the height of the peak. The published cell step treats
        hills as one down to 0.7 of the peak as well.
    suppression_factor : float
        No second peak within this many heights of a peak (published 1.2).
    max_hole_um2 : float
        Enclosed pieces of resin up to this size (vacuoles, gaps between
        protrusions) do not count as background.
    """

    min_radius_nm: float = 1300.0
    min_persistence: float = 0.3
    suppression_factor: float = 1.2
    max_hole_um2: float = 1.0

    def __post_init__(self) -> None:
        check_positive("min_radius_nm", self.min_radius_nm)
        check_range("min_persistence", self.min_persistence, 0.0, 1.0)
        check_positive("suppression_factor", self.suppression_factor, zero=True)
        check_positive("max_hole_um2", self.max_hole_um2, zero=True)


def find_peaks(
    background: ArrayLike, *, pixel_nm: float, config: HillConfig | None = None
) -> list[tuple[float, float, float]]:
    """Cells of one slice as peaks of the distance to the background.

    Parameters
    ----------
    background : array of bools, shape (Y, X)
        True = resin.
    pixel_nm : float
        Pixel size.
    config : HillConfig, optional
        What counts as a cell.

    Returns
    -------
    list of (y, x, radius_nm)
        Positions in pixels of `background`, highest peak first; of equally
        high ones the first in raster order comes first. Empty for a slice
        without background, where no distance exists.

    Raises
    ------
    ParameterError
        If the background is not a 2-D mask or the pixel size not positive.

    Notes
    -----
    1. Fill small enclosed resin, take the distance to the rest. The image
       border is no background: the distance ends at resin alone.
    2. Flood the distance from its local maxima over `min_radius_nm` / 2; two
       basins meet at their saddle, the highest distance on their border.
    3. From the highest saddle down: of the two peaks that it joins the lower
       one is dropped unless it is high enough and stands out enough.
    4. From the highest peak down, drop those too near to a higher one.
    """
    mask = as_mask("background", background, ndim=2)
    check_positive("pixel_nm", pixel_nm)
    config = config or HillConfig()
    if not mask.any() or mask.all():
        return []
    distance = distance_to_resin(mask, pixel_nm=pixel_nm, config=config)
    heights, places = persistent_peaks(
        distance, min_height=config.min_radius_nm, min_persistence=config.min_persistence
    )
    kept: list[tuple[float, float, float]] = []
    for i in np.lexsort((places, -heights)):
        y, x = divmod(int(places[i]), mask.shape[1])
        clear = all(
            math.hypot(y - a, x - b) * pixel_nm > config.suppression_factor * h for a, b, h in kept
        )
        if clear:
            kept.append((float(y), float(x), float(heights[i])))
    return kept


def cell_regions(
    background: ArrayLike,
    peaks: Sequence[tuple[float, float]],
    *,
    pixel_nm: float,
    config: HillConfig | None = None,
) -> NDArray[np.int32]:
    """The part of a slice that belongs to each peak.

    Parameters
    ----------
    background : array of bools, shape (Y, X)
        True = resin.
    peaks : sequence of (y, x)
        Positions in pixels of `background`, as from `find_peaks`.
    pixel_nm : float
        Pixel size.
    config : HillConfig, optional
        As for `find_peaks`.

    Returns
    -------
    ndarray of int32, shape (Y, X)
        i + 1 where the pixel belongs to ``peaks[i]``: the distance to the
        background is flooded from the peaks downwards. 0 = resin, or a piece
        of cell without a peak.

    Raises
    ------
    ParameterError
        If the background is not a 2-D mask, the pixel size not positive, or a
        peak outside the image.
    """
    from helaseg.image import watershed

    mask = as_mask("background", background, ndim=2)
    check_positive("pixel_nm", pixel_nm)
    markers = np.zeros(mask.shape, np.int32)
    for i, (y, x) in enumerate(peaks):
        row, col = round(y), round(x)
        if not (0 <= row < mask.shape[0] and 0 <= col < mask.shape[1]):
            msg = f"'peaks' must lie in the image of {mask.shape} pixels, got ({y:g}, {x:g})"
            raise ParameterError(msg)
        markers[row, col] = i + 1
    if not mask.any():
        distance = np.zeros(mask.shape, np.float32)
    else:
        distance = distance_to_resin(mask, pixel_nm=pixel_nm, config=config or HillConfig())
    return watershed(-distance, markers, mask=~mask | (distance > 0), connectivity=2)


def distance_to_resin(mask: Mask, *, pixel_nm: float, config: HillConfig) -> NDArray[np.float32]:
    """Distance to the resin in nm, small enclosed pieces of it left out."""
    from helaseg.image import distance_transform

    cells = fill_vacuoles(mask, pixel_nm=pixel_nm, config=config)
    return distance_transform(cells, spacing=pixel_nm)


def fill_vacuoles(mask: Mask, *, pixel_nm: float, config: HillConfig) -> Mask:
    """All that is no resin, small enclosed pieces of resin included."""
    from helaseg.image import fill_holes

    cells = fill_holes(~mask, max_area_px=int(config.max_hole_um2 * 1e6 / pixel_nm**2))
    # Where all the resin there is lies in holes, the holes are what is left to measure.
    return ~mask if cells.all() else cells


def persistent_peaks(
    distance: NDArray[np.float32], *, min_height: float, min_persistence: float
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Peaks of a distance map that are high and stand out.

    Parameters
    ----------
    distance : ndarray of float32, shape (Y, X)
        Heights.
    min_height : float
        Smallest height of a peak.
    min_persistence : float
        Smallest drop from a peak to the saddle that leads to a higher one, as
        a fraction of its height.

    Returns
    -------
    heights : ndarray of float32, shape (n,)
        Their heights, in raster order.
    places : ndarray of int64, shape (n,)
        Their places in the raveled map; of a plateau, the first.
    """
    from helaseg.image import label, peak_local_maxima, watershed

    within = distance > min_height / 2
    # the same single-precision number for the mask and for the peaks
    tops = peak_local_maxima(distance, threshold=float(np.float32(min_height / 2)))
    top = np.zeros(distance.shape, np.bool_)
    top[tops[:, 0], tops[:, 1]] = True
    markers, n = label(top, connectivity=2, return_count=True)
    if n == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.int64)
    places = np.unique(markers[top], return_index=True)[1]
    places = np.flatnonzero(top)[places]
    heights = distance.ravel()[places]
    basins = watershed(-distance, markers, mask=within, connectivity=2)
    lower, upper, saddle = _saddles(basins, distance)
    parent = np.arange(n)
    best = np.arange(n)
    keep = heights >= min_height

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for k in np.lexsort((upper, lower, -saddle)):
        a, b = root(int(lower[k])), root(int(upper[k]))
        if a == b:
            continue
        if (heights[best[a]], -places[best[a]]) < (heights[best[b]], -places[best[b]]):
            a, b = b, a
        loser = best[b]
        if heights[loser] - saddle[k] < min_persistence * heights[loser]:
            keep[loser] = False
        parent[b] = a
    return heights[keep], places[keep]


def _saddles(
    basins: NDArray[np.int32], distance: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Pairs of touching basins (from 0) and the height of the saddle between them."""
    pairs, levels = [], []
    height, width = basins.shape
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(dy, height), slice(max(0, dx), width + min(0, dx)))
        a, b = basins[here], basins[there]
        touch = (a != b) & (a > 0) & (b > 0)
        ends = np.stack([a[touch], b[touch]]).astype(np.int64) - 1
        pairs.append(np.sort(ends, axis=0))
        levels.append(np.minimum(distance[here][touch], distance[there][touch]))
    ends, level = np.concatenate(pairs, axis=1), np.concatenate(levels)
    key = ends[0] * (int(basins.max()) + 1) + ends[1]
    order = np.lexsort((-level, key))
    first = order[np.unique(key[order], return_index=True)[1]]
    return ends[0][first], ends[1][first], level[first]
