"""Whole cells of a crop: basins of the distance to resin, joined where they belong together.

The published method caps the distance map at 0.70 of its maximum and cuts it
by a watershed, slice by slice. Here the distance map is three-dimensional, and
basins are joined by a rule relative to their own height: a neck at least half
as wide as the smaller piece joins it to the larger one, and so does any neck
when the piece is no larger than a bleb. Two nuclei never join.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saddle:
    """The highest pass between two basins, in nm above the resin."""

    a: int
    b: int
    height_nm: float


def pool_all(mask: Mask, factors: tuple[int, int, int]) -> Mask:
    """Join blocks of voxels; a block is True when all of it is, so thin gaps survive."""
    pads = [(0, -n % f) for n, f in zip(mask.shape, factors, strict=True)]
    padded = np.pad(mask, pads, mode="edge") if any(p[1] for p in pads) else mask
    # one axis after the other, whole rows at a time
    for axis, factor in enumerate(factors):
        ahead = (slice(None),) * axis
        joined = padded[(*ahead, slice(0, None, factor))].copy()
        for k in range(1, factor):
            joined &= padded[(*ahead, slice(k, None, factor))]
        padded = joined
    return padded


def find_basins(
    solid: Mask, distance: NDArray[np.float32], nuclei: Labels, *, step_nm: float
) -> tuple[Labels, int]:
    """Catchment basins of the distance map inside cells.

    Parameters
    ----------
    solid : ndarray of bool, shape (Z, Y, X)
        Everything that is not resin.
    distance : ndarray of float32, shape (Z, Y, X)
        Distance to the resin in nm.
    nuclei : ndarray of int32, shape (Z, Y, X)
        1 to n, each nucleus is one marker whatever the distance map says.
    step_nm : float
        Height resolution; maxima that differ by less are one plateau.

    Returns
    -------
    basins : ndarray of int32, shape (Z, Y, X)
        Basins 1..n are those of the nuclei, further ones those of maxima.
    count : int
        Number of basins.
    """
    from scipy import ndimage

    from helaseg.image.filters import gaussian
    from helaseg.image.labels import label
    from helaseg.image.watershed import watershed

    smooth = gaussian(distance, sigma_px=(0.0, 1.0, 1.0))
    smooth /= step_nm
    levels = np.minimum(smooth, 32000).astype(np.int16)
    del smooth
    top = ndimage.maximum_filter(levels, size=(3, 5, 5)) == levels
    markers = label(top & solid & (nuclei == 0), connectivity=3)
    del top
    n = int(nuclei.max())
    markers[markers > 0] += n
    inside = (nuclei > 0) & solid
    markers[inside] = nuclei[inside]
    count = max(n, int(markers.max()))
    np.negative(levels, out=levels)
    basins = watershed(levels, markers, mask=solid, connectivity=1)
    return basins, count


def find_saddles(basins: Labels, distance: NDArray[np.float32]) -> list[Saddle]:
    """The highest pass between each pair of touching basins."""
    heights: dict[tuple[int, int], float] = {}
    for z in range(basins.shape[0]):
        here, high = basins[z], distance[z]
        pairs = [
            (here[:-1], here[1:], high[:-1], high[1:]),
            (here[:, :-1], here[:, 1:], high[:, :-1], high[:, 1:]),
        ]
        if z + 1 < basins.shape[0]:
            pairs.append((here, basins[z + 1], high, distance[z + 1]))
        for a, b, da, db in pairs:
            border = (a != b) & (a > 0) & (b > 0)
            if not border.any():
                continue
            low, up = np.minimum(a[border], b[border]), np.maximum(a[border], b[border])
            passes = np.minimum(da[border], db[border])
            order = np.lexsort((-passes, up, low))
            low, up, passes = low[order], up[order], passes[order]
            first = np.ones(len(low), bool)
            first[1:] = (low[1:] != low[:-1]) | (up[1:] != up[:-1])
            for i, j, h in zip(low[first], up[first], passes[first], strict=True):
                key = (int(i), int(j))
                heights[key] = max(heights.get(key, 0.0), float(h))
    return [Saddle(a=a, b=b, height_nm=h) for (a, b), h in sorted(heights.items())]


def join_basins(
    saddles: list[Saddle],
    peak_nm: NDArray[np.floating],
    *,
    n_nuclei: int,
    neck_ratio: float,
    bleb_radius_nm: float,
) -> NDArray[np.int32]:
    """Which basins form one cell.

    Parameters
    ----------
    saddles : list of Saddle
        Passes between basins.
    peak_nm : ndarray of float, shape (count + 1,)
        Largest distance to resin in each basin; entry 0 is not used.
    n_nuclei : int
        Basins 1..n_nuclei hold nuclei.
    neck_ratio : float
        A pass at least this part of the lower peak joins two basins.
    bleb_radius_nm : float
        A basin whose peak is lower joins whatever the pass.

    Returns
    -------
    ndarray of int32, shape (count + 1,)
        For each basin the lowest basin number of its cell.

    Notes
    -----
    Passes are visited from the highest down, as in a component tree, so the
    result does not depend on numbering; ties are broken by number.
    """
    parent = np.arange(len(peak_nm), dtype=np.int32)
    peak = np.array(peak_nm, float)

    def find(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = int(parent[k])
        return k

    for saddle in sorted(saddles, key=lambda s: (-s.height_nm, s.a, s.b)):
        a, b = sorted((find(saddle.a), find(saddle.b)))
        if a == b or b <= n_nuclei:
            continue
        # A basin with a nucleus is a cell however flat it is.
        lower = peak[b] if a <= n_nuclei else min(peak[a], peak[b])
        if saddle.height_nm >= neck_ratio * lower or lower < bleb_radius_nm:
            parent[b] = a
            peak[a] = max(peak[a], peak[b])
    return np.array([find(k) for k in range(len(parent))], np.int32)
