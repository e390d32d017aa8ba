"""Cells of many crops in one volume: each voxel goes to one cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Roi
from helaseg.core.volume import LabelVolume
from helaseg.io import CellRow, read_segmentation


def slabs_of(shape: tuple[int, int, int], chunk: tuple[int, int, int]) -> Iterator[Roi]:
    """Boxes of whole chunks, about 3e7 voxels each, wide rather than long."""
    depth = chunk[0]
    columns = max(1, int(3e7 / (depth * chunk[1])) // chunk[2]) * chunk[2]
    columns = min(columns, -(-shape[2] // chunk[2]) * chunk[2])
    rows = max(1, int(3e7 / (depth * columns)) // chunk[1]) * chunk[1]
    for z in range(0, shape[0], depth):
        for y in range(0, shape[1], rows):
            for x in range(0, shape[2], columns):
                stop = (z + depth, y + rows, x + columns)
                yield Roi(start=(z, y, x), stop=stop).clip(shape)


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
    n_claims = np.zeros(slab.shape, np.uint8)
    inside = [p for p in sorted(pieces, key=lambda p: p.cell.id) if not _part(p, slab).is_empty]
    for piece in inside:
        box = _part(piece, slab)
        here = box.shift([-a for a in slab.start]).slices
        claimed, kernel = _claims(piece, box)
        n_claims[here] += claimed
        cell[here][claimed] = piece.cell.id
        nucleus[here][kernel] = piece.cell.id
    contested: dict[tuple[int, int], tuple[int, NDArray[np.float64]]] = {}
    disputed = n_claims > 1
    if disputed.any():
        cell[disputed] = 0
        nucleus[disputed] = 0
        # Doubt of the present owner in percent, plus less than one for its distance; below 0
        # in its nucleus.
        rank = np.full(slab.shape, np.inf, np.float32)
        for piece in inside:
            _dispute(piece, slab, disputed, cell, nucleus, rank, contested)
    return PastedSlab(cell=cell, nucleus=nucleus, contested=contested)


def _part(piece: Piece, slab: Roi) -> Roi:
    """Intersect a crop with a slab, in voxels of the big volume."""
    return piece.roi.intersect(slab)


def _claims(piece: Piece, box: Roi) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cell with nucleus, and nucleus, in a box of the big volume."""
    local = box.shift([-a for a in piece.roi.start]).slices
    kernel = np.asarray(piece.nucleus.data[local]) != 0
    return (np.asarray(piece.mask.data[local]) != 0) | kernel, kernel


def _dispute(
    piece: Piece,
    slab: Roi,
    disputed: NDArray[np.bool_],
    cell: NDArray[np.uint16],
    nucleus: NDArray[np.uint16],
    rank: NDArray[np.float32],
    contested: dict[tuple[int, int], tuple[int, NDArray[np.float64]]],
) -> None:
    """Give a cell the disputed voxels of a slab that it has a better claim on, in place."""
    box = _part(piece, slab)
    here = box.shift([-a for a in slab.start]).slices
    if not disputed[here].any():
        return
    claimed, kernel = _claims(piece, box)
    places = np.nonzero(claimed & disputed[here])
    if not len(places[0]):
        return
    in_volume = np.stack(places, axis=1) + np.array(box.start)
    mine = _relative_distance(piece, in_volume)
    mine /= 1 + mine
    mine += _doubt(piece, in_volume)
    mine[kernel[places]] -= 1e6
    owners = cell[here][places]
    for other in np.unique(owners[owners > 0]):
        shared = in_volume[owners == other]
        n, total = contested.get((int(other), piece.cell.id), (0, np.zeros(3)))
        contested[int(other), piece.cell.id] = (n + len(shared), total + shared.sum(axis=0))
    wins = mine < rank[here][places]
    won = tuple(axis[wins] for axis in places)
    rank[here][won] = mine[wins]
    cell[here][won] = piece.cell.id
    nucleus[here][won] = np.where(kernel[won], piece.cell.id, 0)


def _doubt(piece: Piece, places: NDArray[np.int64]) -> NDArray[np.float32] | float:
    """100 less the confidence in percent at places of the big volume."""
    if piece.confidence is None:
        return 0.0
    coarse = piece.confidence
    at = []
    for axis, size, coarse_size, n, start in zip(
        places.T,
        piece.mask.grid.voxel_size_nm,
        coarse.grid.voxel_size_nm,
        coarse.grid.shape,
        piece.roi.start,
        strict=True,
    ):
        at.append(np.minimum((axis - start) // round(coarse_size / size), n - 1))
    first, last = int(at[0].min()), int(at[0].max())
    read = np.asarray(coarse.data[first : last + 1])
    return np.float32(100) - read[at[0] - first, at[1], at[2]].astype(np.float32)


def _relative_distance(piece: Piece, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """Distance of places of the big volume to the centroid of a cell, in its radii."""
    size = np.array(piece.mask.grid.voxel_size_nm)
    terms = (((places - np.array(piece.cell.centroid_vx)) * size) ** 2).astype(np.float32)
    away = np.sqrt(terms[:, 0] + terms[:, 1] + terms[:, 2])
    return away / np.float32(max(piece.cell.radius_nm, 1.0))
