"""Sides of a crop that cut an object: one rule for flags and measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.seams import MIN_CUT


def cut_flags(cells: NDArray[Any], grid: Grid) -> CellFlag:
    """Flag the sides of a crop that cut an object.

    Parameters
    ----------
    cells : ndarray of bools or integers, shape (Z, Y, X)
        1 is the object.
    grid : Grid
        Of its voxels.

    Returns
    -------
    CellFlag
        A side cuts it if `MIN_CUT` of its widest section or more lies on it; less
        is a speck of a protrusion.
    """
    # Slice by slice: a mask of the whole crop would be as large as its image.
    area = np.array([np.count_nonzero(part == 1) for part in cells])
    across_z, across_y, across_x = grid.face_areas_nm2
    enough_nm2 = max(MIN_CUT * area.max(initial=0) * across_z, 1e-9)
    flags = CellFlag.NONE
    for z, flag in ((0, CellFlag.CUT_AT_FIRST_SLICE), (-1, CellFlag.CUT_AT_LAST_SLICE)):
        if area[z] * across_z >= enough_nm2:
            flags |= flag
    for at in (0, -1):
        for side, face_nm2 in ((cells[:, at], across_y), (cells[:, :, at], across_x)):
            if np.count_nonzero(side == 1) * face_nm2 >= enough_nm2:
                flags |= CellFlag.LEAVES_ROI
    return flags
