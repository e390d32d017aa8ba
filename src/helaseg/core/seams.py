"""A place where the crops of a volume do not fit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: A cell is cut where it lies on a face of its crop with this part of its widest section or
#: more; less is a speck of a protrusion.
MIN_CUT = 0.02

SeamKind = Literal["border_cut", "duplicate", "merge", "z_flicker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """One place to look at.

    Parameters
    ----------
    kind : {"border_cut", "duplicate", "merge", "z_flicker"}
        The cell goes on outside its crop; two crops claim the same voxels; the centroid
        of a cell belongs to another one; a section is unlike those on either side.
    cell, other : int
        The cells; 0 for no other.
    severity : float
        Part of the cell that is affected, 0 to 1.
    position_vx : tuple of float
        Where, z, y, x in voxels of the volume.
    text : str
        What was seen, for a person.
    """

    kind: SeamKind
    cell: int
    other: int
    severity: float
    position_vx: tuple[float, float, float]
    text: str
