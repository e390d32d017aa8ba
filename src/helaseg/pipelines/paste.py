"""Cells of many crops in one volume: each voxel goes to one cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Roi
from helaseg.core.volume import LabelVolume
from helaseg.io import CellRow, read_segmentation


def slabs_of(shape: tuple[int, int, int], chunk: tuple[int, int, int]) -> Iterator[Roi]:
    """Boxes of whole chunks over the full width, about 3e7 voxels each."""
    depth = chunk[0]
    rows = max(1, int(3e7 / (depth * shape[2])) // chunk[1]) * chunk[1]
    for z in range(0, shape[0], depth):
        for y in range(0, shape[1], rows):
            stop = (min(z + depth, shape[0]), min(y + rows, shape[1]), shape[2])
            yield Roi(start=(z, y, 0), stop=stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A segmented crop and where it lies.

    Parameters
    ----------
    cell : CellRow
        Its cell.
    roi : Roi
        Its box in the big volume.
    mask, nucleus : LabelVolume
        0/1, on the grid of the box.
    confidence : LabelVolume, optional
        Percent, on joined voxels of that grid; without it the cell is sure of all it
        claims.
    """

    cell: CellRow
    roi: Roi
    mask: LabelVolume
    nucleus: LabelVolume
    confidence: LabelVolume | None = None

    @classmethod
    def of(cls, cell: CellRow, folder: Path) -> Piece:
        """The piece whose segmentation lies in a folder."""
        result = read_segmentation(folder)
        return cls(
            cell=cell,
            roi=cell.roi,
            mask=result.cell,
            nucleus=result.nucleus,
            confidence=result.cell_confidence,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastedSlab:
    """Labels of a slab.

    Parameters
    ----------
    cell, nucleus : ndarray of uint16, shape of the slab
        Ids of the cells.
    contested : mapping of (int, int) to (int, ndarray)
        For two cells, the first with the lower id, how many voxels both claimed, and
        the sum of their places, z, y, x in voxels of the big volume.
    """

    cell: NDArray[np.uint16]
    nucleus: NDArray[np.uint16]
    contested: Mapping[tuple[int, int], tuple[int, NDArray[np.float64]]]


def paste_slab(pieces: Sequence[Piece], slab: Roi) -> PastedSlab:
    """Labels of all cells and nuclei in a slab of the big volume.

    A voxel that two crops claim goes to the cell whose nucleus it is, else to
    the one that is surer of it, having competed with all cells of its crop, else
    to the one whose centroid is nearer relative to its radius; never to both,
    and whatever the order of the crops.
    """
    cell = np.zeros(slab.shape, np.uint16)
    nucleus = np.zeros(slab.shape, np.uint16)
    # Doubt of the present owner in percent, plus less than one for its distance; below 0
    # in its nucleus.
    rank = np.full(slab.shape, np.inf, np.float32)
    contested: dict[tuple[int, int], tuple[int, NDArray[np.float64]]] = {}
    for piece in sorted(pieces, key=lambda p: p.cell.id):
        both = piece.roi.intersect(slab)
        if both.is_empty:
            continue
        local = both.shift([-a for a in piece.roi.start]).slices
        here = both.shift([-a for a in slab.start]).slices
        mask = np.asarray(piece.mask.data[local]) != 0
        kernel = np.asarray(piece.nucleus.data[local]) != 0
        mine = _relative_distance(piece, both)
        mine /= 1 + mine
        mine += _doubt(piece, local)
        mine[kernel] -= 1e6
        claimed = mask | kernel
        _note_contested(contested, piece.cell.id, claimed, cell[here], both)
        wins = claimed & (mine < rank[here])
        rank[here][wins] = mine[wins]
        cell[here][wins] = piece.cell.id
        nucleus[here][wins] = 0
        nucleus[here][wins & kernel] = piece.cell.id
    return PastedSlab(cell=cell, nucleus=nucleus, contested=contested)


def _note_contested(
    contested: dict[tuple[int, int], tuple[int, NDArray[np.float64]]],
    number: int,
    claimed: NDArray[np.bool_],
    owners: NDArray[np.uint16],
    box: Roi,
) -> None:
    """Count the voxels that a cell claims of cells pasted before, all with lower ids."""
    places = np.argwhere(claimed & (owners > 0))
    if not len(places):
        return
    theirs = owners[tuple(places.T)]
    for other in np.unique(theirs):
        mine = places[theirs == other] + np.array(box.start)
        n, total = contested.get((int(other), number), (0, np.zeros(3)))
        contested[int(other), number] = (n + len(mine), total + mine.sum(axis=0))


def _doubt(piece: Piece, box: tuple[slice, ...]) -> Any:
    """100 less the confidence in percent of each voxel of a box of the crop."""
    if piece.confidence is None:
        return np.float32(0)
    coarse = piece.confidence
    places = []
    for part, size, coarse_size, n in zip(
        box,
        piece.mask.grid.voxel_size_nm,
        coarse.grid.voxel_size_nm,
        coarse.grid.shape,
        strict=True,
    ):
        joined = round(coarse_size / size)
        places.append(np.minimum(np.arange(part.start, part.stop) // joined, n - 1))
    first, last = places[0][0], places[0][-1]
    read = np.asarray(coarse.data[first : last + 1])
    return np.float32(100) - read[np.ix_(places[0] - first, *places[1:])]


def _relative_distance(piece: Piece, box: Roi) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Distance of each voxel of a box to the centroid of a cell, in radii of the cell."""
    size = piece.mask.grid.voxel_size_nm
    terms = [
        (((np.arange(a, b) - c) * s) ** 2).astype(np.float32)
        for a, b, c, s in zip(box.start, box.stop, piece.cell.centroid_vx, size, strict=True)
    ]
    z, y, x = np.ix_(*terms)
    return np.sqrt(z + y + x) / np.float32(max(piece.cell.radius_nm, 1.0))
