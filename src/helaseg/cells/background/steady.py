"""Resin that leaks into cells of some slices, set right by the slices around.

Where the border of a cell has a gap in a slice, the resin leaks into its cytoplasm
there, or a charging shadow becomes a cell. Neither is in the slices around.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid

#: Slices on either side that are asked, and the farthest that they may lie apart.
REACH, MAX_SLICE_NM = 2, 150.0
#: Smaller or narrower pieces may well be in one slice alone: gaps, tips, vesicles.
MIN_AREA_UM2, MIN_RADIUS_NM = 1.0, 300.0


def steady_resin(resin: NDArray[np.bool_], grid: Grid) -> int:
    """Turn, in place, pieces of resin or cell that all slices around but one contradict.

    Parameters
    ----------
    resin : ndarray of bool, shape (Z, Y, X)
        True = resin.
    grid : Grid
        Its voxel size.

    Returns
    -------
    int
        In how many slices something was turned.

    Notes
    -----
    1. Of the two slices on either side, all but one must show the other class (at the
       first and last slices, where there are two or three, all).
    2. Of what is left, pieces count that are larger than 1 µm² and hold a disk of
       300 nm.
    """
    n = len(resin)
    if n < REACH + 1 or grid.slice_nm > MAX_SLICE_NM:
        return 0
    n_turned = 0
    # Slices before the present one, as they were.
    before: list[NDArray[np.bool_]] = []
    for z in range(n):
        here = resin[z].copy()
        around = [*before[-REACH:], *resin[z + 1 : z + 1 + REACH]]
        votes = np.sum(around, axis=0, dtype=np.uint8)
        few = 1 if len(around) == 2 * REACH else 0
        odd = np.where(here, votes <= few, votes >= len(around) - few)
        before = [*before[-REACH + 1 :], here]
        turned = False
        for kind in (odd & here, odd & ~here):
            flip = _wide_pieces(kind, grid)
            if flip is not None:
                resin[z][flip] = ~here[flip]
                turned = True
        n_turned += turned
    return n_turned


def keep_dark_cells(
    resin: NDArray[np.bool_], grey: NDArray[np.uint8], level: float, grid: Grid
) -> int:
    """Turn back, in place, wide pieces that become resin from one slice to the next and stay dark.

    Parameters
    ----------
    resin : ndarray of bool, shape (Z, Y, X)
        True = resin, which is bright.
    grey : ndarray of uint8, shape (Z, ceil(Y / 2), ceil(X / 2))
        Grey values on every second pixel.
    level : float
        Grey value between cells and resin.
    grid : Grid
        Of `resin`.

    Returns
    -------
    int
        In how many slices something was turned.

    Notes
    -----
    Near the pole of a cell its border is slanted and its edges are weak, so that resin may
    leak in through several slices in a row. From the slice with the least resin both ways,
    what was cell in the slice before and is as dark as cells is still cell.
    """
    from helaseg.image import gaussian

    n = len(resin)
    if n < 2 or grid.slice_nm > MAX_SLICE_NM:
        return 0
    n_turned = 0
    start = int(np.argmin([np.count_nonzero(plane) for plane in resin]))
    for order in (range(start + 1, n), range(start - 1, -1, -1)):
        for z in order:
            new = resin[z] & ~resin[z - order.step]
            if np.count_nonzero(new) < _least_px(grid):
                continue
            smooth = gaussian(grey[z], sigma_px=MIN_RADIUS_NM / 3 / (2 * grid.pixel_nm))
            dark = (smooth < level).repeat(2, axis=0).repeat(2, axis=1)
            new &= dark[: new.shape[0], : new.shape[1]]
            flip = _wide_pieces(new, grid)
            if flip is not None:
                resin[z][flip] = False
                n_turned += 1
    return n_turned


def _least_px(grid: Grid) -> float:
    """Pixels of the smallest piece that counts."""
    return MIN_AREA_UM2 * 1e6 / grid.pixel_nm**2


def _wide_pieces(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_] | None:
    """Pieces that are large and hold a disk, without the thin seams that run from them."""
    from helaseg.image import label
    from helaseg.image.morphology import binary_dilation, binary_opening

    radius_px, least_px = MIN_RADIUS_NM / grid.pixel_nm, _least_px(grid)
    if np.count_nonzero(mask) < least_px:
        return None
    wide = binary_opening(mask, radius_px=radius_px)
    if not wide.any():
        return None
    pieces = label(mask, connectivity=1)
    large = np.bincount(pieces.ravel()) >= least_px
    large[0] = False
    kept = wide & large[pieces]
    if not kept.any():
        return None
    return mask & binary_dilation(kept, radius_px=radius_px / 2)
