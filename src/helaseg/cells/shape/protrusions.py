"""Blebs and filopodia of a cell: labelled apart, counted and measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive
from helaseg.core.grid import Grid

Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtrusionConfig:
    """What a protrusion is.

    Parameters
    ----------
    radius_nm : float
        The body of a cell is what balls of this radius can reach without leaving it;
        the rest is protrusions. Blebs of HeLa cells have radii of 100 to 600 nm.
    min_length_nm : float
        Shorter ones are unevenness of the membrane.
    voxel_nm : float
        Voxels are joined to at most this size, half the thickness of a filopodium.
    """

    radius_nm: float = 600.0
    min_length_nm: float = 300.0
    voxel_nm: float = 60.0

    def __post_init__(self) -> None:
        for name in ("radius_nm", "voxel_nm"):
            check_positive(name, getattr(self, name))
        check_positive("min_length_nm", self.min_length_nm, zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protrusion:
    """One bleb or filopodium.

    Parameters
    ----------
    id : int
        Its label, by falling volume from 1.
    owner : int
        Number of its cell.
    volume_um3 : float
        Volume.
    length_nm : float
        Largest distance of its voxels from the body of the cell.
    z_nm, y_nm, x_nm : float
        Centroid, physical.
    """

    id: int
    owner: int
    volume_um3: float
    length_nm: float
    z_nm: float
    y_nm: float
    x_nm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Protrusions:
    """All protrusions of a cell.

    Parameters
    ----------
    labels : ndarray of int32, shape of `grid`
        0 is no protrusion.
    grid : Grid
        The joined voxels around the cell.
    rows : tuple of Protrusion
        One per label.
    """

    labels: Labels
    grid: Grid
    rows: tuple[Protrusion, ...]


def label_protrusions(
    cells: NDArray[np.unsignedinteger],
    grid: Grid,
    *,
    cell: int = 1,
    config: ProtrusionConfig | None = None,
) -> Protrusions:
    """Label the blebs and filopodia of a cell.

    Parameters
    ----------
    cells : ndarray of unsigned integers, shape of `grid`
        Instances, as in `CellResult.cells`.
    grid : Grid
        Their grid.
    cell : int
        Number of the cell.
    config : ProtrusionConfig, optional
        Settings.

    Returns
    -------
    Protrusions
        Empty for a cell without voxels, or so thin that it has no body.

    Notes
    -----
    1. Join voxels to nearly cubic ones; a block belongs to the cell if half of it does.
    2. The body is the opening of the cell by a ball, from two distance maps in nm.
       Outside the crop the cell is taken to go on: a cut is no end.
    3. What is left falls into connected pieces; those that reach less than
       ``min_length_nm`` from the body are dropped.
    """
    from helaseg.image.distance import distance_transform
    from helaseg.image.labels import label

    config = config or ProtrusionConfig()
    joined, part = _joined(cells, grid, cell, config.voxel_nm)
    spacing = part.voxel_size_nm
    body = distance_transform(joined, spacing=spacing) >= config.radius_nm
    if not body.any():
        return Protrusions(labels=np.zeros(joined.shape, np.int32), grid=part, rows=())
    away = distance_transform(~body, spacing=spacing)
    outside = joined & (away > config.radius_nm)
    pieces = label(outside, connectivity=3)
    n = int(pieces.max(initial=0))
    length = np.zeros(n + 1, np.float32)
    np.maximum.at(length, pieces.ravel(), away.ravel())
    length -= np.float32(config.radius_nm)
    size = np.bincount(pieces.ravel(), minlength=n + 1)
    kept = np.flatnonzero(length >= max(config.min_length_nm, min(spacing) / 2))
    kept = kept[kept > 0]
    kept = kept[np.argsort(-size[kept], kind="stable")]
    number = np.zeros(n + 1, np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    labels = number[pieces]
    return Protrusions(labels=labels, grid=part, rows=_rows(labels, part, cell, length[kept]))


def _rows(
    labels: Labels, grid: Grid, cell: int, length_nm: NDArray[np.float32]
) -> tuple[Protrusion, ...]:
    n = len(length_nm) + 1
    places = np.nonzero(labels)
    number = labels[places]
    count = np.bincount(number, minlength=n)
    sums = [np.bincount(number, axis, minlength=n) for axis in places]
    rows = []
    for k in range(1, n):
        centre = grid.to_nm([total[k] / count[k] for total in sums])
        rows.append(
            Protrusion(
                id=k,
                owner=cell,
                volume_um3=float(count[k] * grid.voxel_volume_nm3 / 1e9),
                length_nm=float(length_nm[k - 1]),
                z_nm=float(centre[0]),
                y_nm=float(centre[1]),
                x_nm=float(centre[2]),
            )
        )
    return tuple(rows)


def _joined(
    cells: NDArray[np.unsignedinteger], grid: Grid, cell: int, voxel_nm: float
) -> tuple[NDArray[np.bool_], Grid]:
    """The cell on joined voxels."""
    factors = tuple(max(1, int(voxel_nm / size)) for size in grid.voxel_size_nm)
    coarse = grid.downsample(factors)
    joined = np.zeros(coarse.shape, bool)
    f_z, f_y, f_x = factors
    for z in range(coarse.shape[0]):
        block = cells[z * f_z : (z + 1) * f_z] == cell
        pad = [(0, 0), *((0, -n % f) for n, f in zip(block.shape[1:], (f_y, f_x), strict=True))]
        block = np.pad(block, pad, mode="edge")
        rows, cols = block.shape[1] // f_y, block.shape[2] // f_x
        share = block.reshape(len(block), rows, f_y, cols, f_x).mean(axis=(0, 2, 4))
        joined[z] = share[: coarse.shape[1], : coarse.shape[2]] >= 0.5
    return joined, coarse
