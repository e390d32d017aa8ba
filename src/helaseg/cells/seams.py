"""Seams: places where the cells of many crops do not fit together in one volume."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid, Roi
from helaseg.core.seams import MIN_CUT, Seam, SeamKind

Contested = Mapping[tuple[int, int], tuple[int, NDArray[np.float64]]]

#: Least part that is worth a line: of the smaller of two cells that claim the same, of a
#: section that comes and goes.
MIN_SHARED, MIN_FLICKER = 0.05, 0.3
#: Sections smaller than this part of the widest one flicker at every pole.
FLICKER_SECTION = 0.1


class SeamTally:
    """Counts, slab by slab of the volume, what `seams` needs.

    Parameters
    ----------
    rois : mapping of int to Roi
        Crop of each cell.
    centroids : mapping of int to tuple of float
        Where each cell was found, z, y, x in voxels.
    grid : Grid
        Of the volume.
    """

    def __init__(
        self,
        rois: Mapping[int, Roi],
        centroids: Mapping[int, tuple[float, float, float]],
        grid: Grid,
    ) -> None:
        self.rois = dict(rois)
        self.centroids = dict(centroids)
        self.grid = grid
        n = max(self.rois, default=0) + 1
        self._area = np.zeros((grid.shape[0], n), np.int64)
        self._faces: dict[tuple[int, int, bool], list[float]] = {}
        self._shared: dict[tuple[int, int], list[float]] = {}
        self._owner: dict[int, int] = {}

    def add(self, slab: Roi, cells: NDArray[np.integer], contested: Contested) -> None:
        """Count a slab.

        Parameters
        ----------
        slab : Roi
            Its place; slabs must not overlap.
        cells : ndarray of integers, shape of the slab
            Ids of the cells.
        contested : mapping of (int, int) to (int, ndarray)
            Number of voxels that two crops claimed, and the sum of their places.
        """
        n = self._area.shape[1]
        for k, plane in enumerate(cells):
            self._area[slab.start[0] + k] += np.bincount(plane.ravel(), minlength=n)[:n]
        for number, roi in self.rois.items():
            if roi.intersect(slab).is_empty:
                continue
            self._count_faces(number, roi, slab, cells)
            place = tuple(round(c) for c in self.centroids[number])
            if slab.contains(place):
                here = tuple(c - a for c, a in zip(place, slab.start, strict=True))
                self._owner[number] = int(cells[here])
        for pair, (count, places) in contested.items():
            tally = self._shared.setdefault(pair, [0.0, 0.0, 0.0, 0.0])
            for i, value in enumerate((count, *places)):
                tally[i] += float(value)

    def _count_faces(self, number: int, roi: Roi, slab: Roi, cells: NDArray[np.integer]) -> None:
        """Voxels of a cell on the faces of its crop that are not those of the volume."""
        both = roi.intersect(slab)
        for axis in range(3):
            for last in (False, True):
                at = roi.stop[axis] - 1 if last else roi.start[axis]
                outer = self.grid.shape[axis] - 1 if last else 0
                if at == outer or not both.start[axis] <= at < both.stop[axis]:
                    continue
                start, stop = list(both.start), list(both.stop)
                start[axis], stop[axis] = at, at + 1
                face = Roi(start=tuple(start), stop=tuple(stop))  # type: ignore[arg-type]
                part = cells[face.shift([-a for a in slab.start]).slices] == number
                found = np.argwhere(part)
                if len(found):
                    tally = self._faces.setdefault((number, axis, last), [0.0] * 4)
                    tally[0] += len(found)
                    for i, value in enumerate(found.sum(axis=0) + len(found) * np.array(start)):
                        tally[i + 1] += float(value)

    def seams(self) -> list[Seam]:
        """All seams that are worth a look, the worst first."""
        found = [*self._cuts(), *self._duplicates(), *self._merges(), *self._flicker()]
        return sorted(found, key=lambda s: (-s.severity, s.kind, s.cell, s.position_vx))

    def _cuts(self) -> list[Seam]:
        seams = []
        for (number, axis, last), (count, *sums) in sorted(self._faces.items()):
            face_um2 = count * self.grid.face_areas_nm2[axis] / 1e6
            widest_um2 = self._area[:, number].max() * self.grid.face_areas_nm2[0] / 1e6
            part = min(1.0, face_um2 / max(widest_um2, 1e-9))
            if part >= MIN_CUT:
                side = f"{'last' if last else 'first'} {('slice', 'row', 'column')[axis]}"
                text = f"goes on beyond the {side} of its crop on {face_um2:.2f} µm²"
                place = _middle(sums, count)
                seams.append(_seam("border_cut", number, 0, part, place, text))
        return seams

    def _duplicates(self) -> list[Seam]:
        volume = self._area.sum(axis=0)
        seams = []
        for (a, b), (count, *sums) in sorted(self._shared.items()):
            part = min(1.0, count / max(1, int(min(volume[a], volume[b]))))
            if part >= MIN_SHARED:
                um3 = count * self.grid.voxel_volume_nm3 / 1e9
                text = f"both crops claim {um3:.2f} µm³; each voxel went to the surer one"
                seams.append(_seam("duplicate", a, b, part, _middle(sums, count), text))
        return seams

    def _merges(self) -> list[Seam]:
        seams = []
        for number, owner in sorted(self._owner.items()):
            if owner not in (0, number):
                text = f"the place where cell {number} was found belongs to cell {owner}"
                place = self.centroids[number]
                seams.append(_seam("merge", number, owner, 1.0, place, text))
        return seams

    def _flicker(self) -> list[Seam]:
        seams = []
        for number, roi in sorted(self.rois.items()):
            area = self._area[:, number].astype(float)
            floor = FLICKER_SECTION * area.max()
            for z in range(1, len(area) - 1):
                before, here, after = area[z - 1 : z + 2]
                low, high = min(before, after), max(before, after)
                # Between its neighbours a section may be anything.
                jump = max(here - high, low - here, 0.0) / max(high, here, 1.0)
                if max(here, low) >= floor and jump >= MIN_FLICKER:
                    middle = [(a + b - 1) / 2 for a, b in zip(roi.start, roi.stop, strict=True)]
                    text = (
                        f"section of {here:.0f} px between sections of {before:.0f} and {after:.0f}"
                    )
                    place = (float(z), middle[1], middle[2])
                    seams.append(_seam("z_flicker", number, 0, min(1.0, jump), place, text))
        return seams


def _middle(sums: list[float], count: float) -> tuple[float, float, float]:
    z, y, x = (value / count for value in sums)
    return (z, y, x)


def _seam(
    kind: SeamKind,
    cell: int,
    other: int,
    severity: float,
    place: tuple[float, float, float],
    text: str,
) -> Seam:
    return Seam(kind=kind, cell=cell, other=other, severity=severity, position_vx=place, text=text)
