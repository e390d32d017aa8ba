"""Resin that flips in a single slice, set right by the slices around it.

Where the border of a cell has a gap in one slice, the resin leaks into its cytoplasm
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
    from helaseg.image import label
    from helaseg.image.morphology import binary_dilation, binary_opening

    n = len(resin)
    if n < REACH + 1 or grid.slice_nm > MAX_SLICE_NM:
        return 0
    radius_px = MIN_RADIUS_NM / grid.pixel_nm
    least_px = MIN_AREA_UM2 * 1e6 / grid.pixel_nm**2
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
        if np.count_nonzero(odd) < least_px:
            continue
        turned = False
        for kind in (odd & here, odd & ~here):
            if np.count_nonzero(kind) < least_px:
                continue
            wide = binary_opening(kind, radius_px=radius_px)
            if not wide.any():
                continue
            pieces = label(kind, connectivity=1)
            large = np.bincount(pieces.ravel()) >= least_px
            large[0] = False
            # Without the seam of a pixel or two that runs from it along every border.
            flip = kind & binary_dilation(wide & large[pieces], radius_px=radius_px / 2)
            resin[z][flip] = ~here[flip]
            turned |= bool(flip.any())
        n_turned += turned
    return n_turned
