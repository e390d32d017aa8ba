"""Depths below the surfaces of labelled cells and nuclei, slice by slice.

Labels drawn slice by slice are stacked contours: they jump a little from slice to
slice and say nothing of how the surface runs between two slices. A signed distance
per slice is a smooth function of all three axes (shape-based interpolation: S. Raya
and J. Udupa, IEEE Trans. Med. Imaging 9 (1990) 32, https://doi.org/10.1109/42.52980),
which gives both: its mean over neighbouring slices settles the jumps, its slope along
z tells how obliquely the surface is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from helaseg._kernels.phantom_grey import Depths, Plane
from helaseg.core.volume import LabelVolume
from helaseg.image.distance import distance_transform
from helaseg.image.filters import gaussian

#: In-plane smoothing of the signed distances (nm): the steps of pixels vanish.
SMOOTH_NM = 15.0
#: Neighbouring slices count less the more their distances differ on this scale (nm): what
#: differs by more, such as an island that one slice alone shows, stays as it was drawn.
SAME_NM = 150.0
#: Largest slope of a surface against the normal of the slice.
STEEPEST = 6.0
#: Slopes are smoothed over this length and count up to about this depth (nm).
SLOPE_SMOOTH_NM, SLOPE_REACH_NM = 60.0, 400.0
#: How far distances are followed (nm): between cells, around cells, around nuclei.
CONTACT_NM, CELL_NM, NUCLEUS_NM = 400.0, 1300.0, 3000.0


@dataclass(frozen=True, slots=True)
class _Part:
    """Signed distance in a box of a slice; outside the box it is that of a far pixel."""

    top: int
    left: int
    distance: Plane


@dataclass(frozen=True, slots=True)
class _Raw:
    """Signed distances of one slice as it was drawn."""

    cell: Plane
    nucleus: Plane
    parts: dict[int, _Part]


class LabelDepths:
    """Depths of the slices of two label volumes.

    Parameters
    ----------
    cells, nuclei : LabelVolume
        Ids of the cells (0: resin) and nuclei (0: none), on one grid.

    Notes
    -----
    Three slices are kept, so that slices taken in rising order are read once.
    A slice does not depend on which ones were asked for before.
    """

    def __init__(self, cells: LabelVolume, nuclei: LabelVolume) -> None:
        self._cells = cells
        self._nuclei = nuclei
        self._grid = cells.grid
        self._kept: dict[int, _Raw] = {}

    def slice(self, z: int) -> Depths:
        """Depths of slice `z`, without a frame.

        Notes
        -----
        1. Signed distance in plane to the border of all cells, of all nuclei and
           of each cell, smoothed over `SMOOTH_NM`.
        2. The mean with both neighbouring slices, as far as they agree.
        3. Divided by the secant of the tilt of the surface: a first-order distance
           in three dimensions, so that what is cut obliquely looks wide.
        4. Of the depths in single cells, the best one names the owner, and half its
           lead over the second is the distance to the contact.
        """
        self._kept = {k: self._kept.get(k) or self._read(k) for k in self._around(z)}
        here = self._kept[z]
        near = [raw for k, raw in self._kept.items() if k != z]
        s1, graze_cell, bare = self._settle(here.cell, [raw.cell for raw in near])
        n, graze_nucleus, _ = self._settle(here.nucleus, [raw.nucleus for raw in near])
        best = np.full(s1.shape, -np.inf, np.float32)
        second = np.full(s1.shape, -CONTACT_NM, np.float32)
        graze = np.zeros(s1.shape, np.float32)
        owner = np.zeros(s1.shape, np.uint16)
        for ident, part in here.parts.items():
            top, left = part.top, part.left
            others = [_like(raw.parts.get(ident), part) for raw in near]
            depth, tilt, _ = self._settle(part.distance, others)
            box = (slice(top, top + depth.shape[0]), slice(left, left + depth.shape[1]))
            wins = depth > best[box]
            np.maximum(second[box], np.where(wins, best[box], depth), out=second[box])
            best[box][wins] = depth[wins]
            graze[box][wins] = tilt[wins]
            owner[box][wins] = ident
        lead = np.maximum(best, -CONTACT_NM) - second
        graze_cell = np.where(0.5 * lead < s1, graze, graze_cell)
        # Where only neighbouring slices have a cell nobody owns the pixel.
        s1[owner == 0] = np.minimum(s1[owner == 0], -1.0)
        return Depths(
            s1=s1,
            s2=s1 - lead,
            bare=bare,
            owner=owner,
            nucleus=np.minimum(n, np.minimum(s1, 0.5 * lead)),
            graze_cell=graze_cell,
            graze_nucleus=graze_nucleus,
        )

    def _around(self, z: int) -> range:
        return range(max(z - 1, 0), min(z + 2, self._grid.shape[0]))

    def _read(self, z: int) -> _Raw:
        cells = np.ascontiguousarray(self._cells.slice(z))
        _z, y_nm, x_nm = self._grid.voxel_size_nm
        parts = {}
        reach = [int(np.ceil(CONTACT_NM / step)) + 1 for step in (y_nm, x_nm)]
        for k, found in enumerate(ndimage.find_objects(cells.astype(np.int32)), 1):
            if found is None:
                continue
            top, left = (max(f.start - r, 0) for f, r in zip(found, reach, strict=True))
            box = tuple(
                slice(max(f.start - r, 0), f.stop + r) for f, r in zip(found, reach, strict=True)
            )
            parts[k] = _Part(top, left, self._signed(cells[box] == k, CONTACT_NM))
        return _Raw(
            cell=self._signed(cells > 0, CELL_NM),
            nucleus=self._signed(self._nuclei.slice(z) > 0, NUCLEUS_NM),
            parts=parts,
        )

    def _signed(self, mask: NDArray[np.bool_], most: float) -> Plane:
        """Distance to the border of a mask (nm), positive inside, at most `most`."""
        spacing = self._grid.voxel_size_nm[1:]
        half = np.float32(0.5 * self._grid.pixel_nm)
        inside = distance_transform(mask, spacing=spacing)
        outside = distance_transform(~mask, spacing=spacing)
        signed = np.where(mask, inside - half, half - outside)
        np.clip(signed, -most, most, out=signed)
        return gaussian(signed, sigma_px=SMOOTH_NM / self._grid.pixel_nm, mode="nearest")

    def _settle(self, here: Plane, near: list[Plane]) -> tuple[Plane, Plane, Plane]:
        """Depth in space, widening by the tilt, and distance in plane."""
        total, weight = here.copy(), np.ones_like(here)
        steep = np.zeros_like(here)
        step = np.float32(self._grid.slice_nm)
        for other in near:
            change = other - here
            w = 0.5 * np.exp(-((change / np.float32(SAME_NM)) ** 2))
            total += w * other
            weight += w
            steep += np.minimum(np.abs(change) / step, np.float32(STEEPEST)) ** 2
        total /= weight
        steep /= max(len(near), 1)
        steep = gaussian(steep, sigma_px=SLOPE_SMOOTH_NM / self._grid.pixel_nm, mode="nearest")
        steep *= np.exp(-((total / np.float32(SLOPE_REACH_NM)) ** 2))
        secant2 = 1 + steep
        # The slice is seen through its thickness: a box along z, taken across the surface.
        graze = np.sqrt(steep / secant2) * np.float32(self._grid.slice_nm / np.sqrt(12))
        return (total / np.sqrt(secant2)).astype(np.float32), graze, total


def _like(part: _Part | None, box: _Part) -> Plane:
    """A part of another slice in the box of this one."""
    out = np.full(box.distance.shape, -CONTACT_NM, np.float32)
    if part is None:
        return out
    here, there = [], []
    starts = ((part.top, box.top), (part.left, box.left))
    for axis, (start, first) in enumerate(starts):
        a = max(start, first)
        b = min(start + part.distance.shape[axis], first + out.shape[axis])
        here.append(slice(a - first, max(a, b) - first))
        there.append(slice(a - start, max(a, b) - start))
    out[here[0], here[1]] = part.distance[there[0], there[1]]
    return out
