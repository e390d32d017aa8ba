"""Bright pockets deep inside a cell: vacuoles, not resin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]


def find_vacuoles(
    resin: Mask, *, pixel_nm: float, min_depth_nm: float, open_resin_um2: float
) -> Labels:
    """Bright pockets of a slice that lie deep inside what is not resin.

    Parameters
    ----------
    resin : ndarray of bool, shape (Y, X)
        Everything bright.
    pixel_nm : float
        Pixel size.
    min_depth_nm : float
        Pockets nearer to open resin are resin between protrusions.
    open_resin_um2 : float
        Resin of this area, or at a side of the crop, is open.

    Returns
    -------
    ndarray of int32, shape (Y, X)
        Numbered pockets, 0 elsewhere. Without open resin there are none: nothing
        tells the outside from a vacuole then.
    """
    from helaseg.image.distance import distance_transform
    from helaseg.image.labels import label
    from helaseg.image.regions import region_areas

    pockets = label(resin, connectivity=2)
    n = int(pockets.max(initial=0))
    open_ = region_areas(pockets, n=n) * pixel_nm**2 / 1e6 >= open_resin_um2
    for side in (pockets[0], pockets[-1], pockets[:, 0], pockets[:, -1]):
        open_[side] = True
    open_[0] = False
    if not open_.any() or open_[1:].all():
        return np.zeros(resin.shape, np.int32)
    depth = distance_transform(~open_[pockets], spacing=pixel_nm)
    nearest = np.full(n + 1, np.inf, np.float32)
    np.minimum.at(nearest, pockets.ravel(), depth.ravel())
    deep = nearest > min_depth_nm
    deep[0] = False
    return np.where(deep[pockets], pockets, 0).astype(np.int32)


def fill_vacuoles(cells: Labels, vacuoles: Labels) -> None:
    """Give vacuoles, in place, to the cell that surrounds them.

    Parameters
    ----------
    cells : ndarray of int32, shape (Y, X), in and out
        Cells of the slice, 0 elsewhere.
    vacuoles : ndarray of int32, shape (Y, X)
        From `find_vacuoles`.

    Notes
    -----
    A pocket that two cells touch is resin between them.
    """
    n = int(vacuoles.max(initial=0))
    if n == 0:
        return
    lowest, highest = np.full(n + 1, np.iinfo(np.int32).max), np.zeros(n + 1, np.int64)
    for a, b in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        for pocket, beside in ((a, b), (b, a)):
            touch = (vacuoles[pocket] > 0) & (cells[beside] > 0)
            number, cell = vacuoles[pocket][touch], cells[beside][touch]
            np.minimum.at(lowest, number, cell)
            np.maximum.at(highest, number, cell)
    alone = lowest == highest
    alone[0] = False
    inside = alone[vacuoles]
    cells[inside] = highest[vacuoles[inside]]
