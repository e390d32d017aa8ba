"""Pieces of cells that are seen apart in a slice: cross-sections of thin protrusions.

A filopodium that leaves its cell above or below is a piece by itself in a
slice, and too thin for the coarse grid. It belongs to the cell that it is
connected with through other slices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.membrane.agglomeration import share_supervoxels
from helaseg.cells.membrane.config import CompetitionConfig
from helaseg.cells.membrane.supervoxels import Contacts, Lines

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

#: Pieces join whatever the contact, cells do not join, and no piece is a cell.
_NO_NEW_CELLS = CompetitionConfig(
    min_openness=0.0,
    large_um3=1e12,
    one_cell_openness=1e12,
    lone_um3=1e12,
    min_cell_um3=1e12,
)


def connect_pieces(
    cells: NDArray[np.unsignedinteger], solid: Mask, *, voxel_size_nm: tuple[float, float, float]
) -> None:
    """Give pieces without a cell, in place, to the cell they are connected with.

    Parameters
    ----------
    cells : ndarray of unsigned integers, shape (Z, Y, X), in and out
        Cells; 0 is resin and what no cell reached in its own slice.
    solid : ndarray of bool, shape (Z, Y, X)
        Everything that is not resin.
    voxel_size_nm : tuple of float
        Voxel size.

    Notes
    -----
    1. Pieces are connected components within a slice. They touch what lies over
       or under them, and all of such a contact is open.
    2. They are joined by `helaseg.cells.membrane.agglomeration.share_supervoxels`.
    3. What is connected with no cell stays without one.
    """
    z_nm, y_nm, x_nm = voxel_size_nm
    pixel_um2 = y_nm * x_nm / 1e6
    n_cells = int(cells.max(initial=0))
    first = [n_cells]
    areas = [np.bincount(plane.ravel(), minlength=n_cells + 1) for plane in cells]
    volumes = [np.sum(areas, axis=0)]
    pairs, sizes = [], []
    below: Labels | None = None
    for z in range(len(cells)):
        here = _pieces(cells[z], solid[z], first[-1])
        first.append(max(first[-1], int(here.max(initial=0))))
        volumes.append(np.bincount(here.ravel(), minlength=first[-1] + 1)[first[-2] + 1 :])
        over = [cells[k] for k in (z - 1, z + 1) if 0 <= k < len(cells)]
        over += [] if below is None else [below]
        for other in over:
            both = (here > 0) & (other > 0)
            if both.any():
                pair, size = np.unique(
                    np.stack([other[both].astype(np.int64), here[both]], axis=1),
                    axis=0,
                    return_counts=True,
                )
                pairs.append(pair)
                sizes.append(size)
        below = here
    if not pairs:
        return
    pair, index = np.unique(np.concatenate(pairs), axis=0, return_inverse=True)
    area_um2 = pixel_um2 * np.bincount(index.ravel(), np.concatenate(sizes)).astype(np.float64)
    contacts = Contacts(
        pairs=pair.astype(np.int32),
        area_um2=area_um2,
        line_um2=np.zeros_like(area_um2),
        envelope_um2=np.zeros_like(area_um2),
        open_um2=area_um2,
    )
    nowhere = np.zeros(first[-1] + 1, bool)
    ownership = share_supervoxels(
        contacts,
        np.concatenate(volumes) * pixel_um2 * z_nm / 1e3,
        Lines(noise=0.0, membrane=1.0),
        _NO_NEW_CELLS,
        n_nuclei=n_cells,
        cut=nowhere,
        beside=nowhere,
    )
    for z in range(len(cells)):
        here = _pieces(cells[z], solid[z], first[z])
        there = here > 0
        cells[z][there] = ownership.owner[here[there]]


def _pieces(cells: NDArray[np.unsignedinteger], solid: Mask, before: int) -> Labels:
    """Connected components of what has no cell, numbered after `before`."""
    from helaseg.image.labels import label

    pieces = label(solid & (cells == 0), connectivity=2)
    pieces[pieces > 0] += before
    return pieces


def drop_detached(
    cells: NDArray[np.unsignedinteger], nucleus: Mask, min_lobe_fraction: float
) -> None:
    """Take pieces apart from its main ones, in place, from the target cell of a slice.

    Parameters
    ----------
    cells : ndarray of unsigned integers, shape (Y, X), in and out
        Cells, 1 is the target.
    nucleus : ndarray of bool, shape (Y, X)
        The nucleus of the target.
    min_lobe_fraction : float
        Pieces of at least this part of the largest one stay, as do those with a
        part of the nucleus.
    """
    from helaseg.image.labels import label

    pieces = label(cells == 1, connectivity=2)
    area = np.bincount(pieces.ravel())
    area[0] = 0
    kept = area >= min_lobe_fraction * area.max()
    kept[pieces[nucleus]] = True
    kept[0] = True
    cells[~kept[pieces]] = 0
