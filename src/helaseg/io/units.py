"""Lengths as files state them, in nm."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helaseg._validate import as_zyx
from helaseg.core.grid import Grid
from helaseg.errors import DoubtfulDataWarning, MissingVoxelSizeError

_NM_PER_UNIT = {
    "picometer": 1e-3,
    "pm": 1e-3,
    "angstrom": 0.1,
    "å": 0.1,
    "a": 0.1,
    "nanometer": 1.0,
    "nm": 1.0,
    "micrometer": 1e3,
    "micron": 1e3,
    "microns": 1e3,
    "um": 1e3,
    "µm": 1e3,
    "millimeter": 1e6,
    "mm": 1e6,
    "centimeter": 1e7,
    "cm": 1e7,
    "inch": 2.54e7,
    "in": 2.54e7,
    "meter": 1e9,
    "m": 1e9,
}

#: Pixels larger than this (nm) in units of print are resolutions of paper, not of a specimen.
LARGEST_PRINTED_PIXEL_NM = 10_000.0


def nm_per_unit(unit: Any) -> float | None:
    """Length of a unit in nm, by its name or sign; None for what is no length."""
    if not isinstance(unit, str):
        return None
    text = unit.strip().replace("\\u00B5", "µ").replace("\u03bc", "µ").lower()
    text = text.replace("metre", "meter").replace("\u212b", "å").replace("\u00c5", "å")
    if text.endswith("meters") or text == "angstroms":
        text = text[:-1]
    return _NM_PER_UNIT.get(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Geometry as a file states it; the voxel size may be unknown.

    Parameters
    ----------
    voxel_size_nm : tuple of float or None
        z, y, x; None where the file does not say.
    offset_vx : tuple of float
        Position of voxel (0, 0, 0), z, y, x, in voxels, so that it still holds
        when the caller corrects the voxel size.
    """

    voxel_size_nm: tuple[float | None, float | None, float | None] = (None, None, None)
    offset_vx: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def grid(self, name: str, shape: Sequence[int], voxel_size_nm: Any = None) -> Grid:
        """The grid of a volume; a voxel size that is given wins over that of the file.

        Raises
        ------
        MissingVoxelSizeError
            If neither the file nor the caller gives the voxel size.
        """
        if voxel_size_nm is None:
            known = ", ".join(
                f"{axis} = {size:g} nm"
                for axis, size in zip("zyx", self.voxel_size_nm, strict=True)
                if size is not None
            )
            if None in self.voxel_size_nm:
                stated = f"only {known}" if known else "nothing"
                msg = (
                    f"{name} does not state its voxel size (found {stated}); "
                    "give --voxel-size-nm Z,Y,X (in Python voxel_size_nm=(z, y, x))"
                )
                raise MissingVoxelSizeError(msg)
            voxel_size_nm = self.voxel_size_nm
        size = as_zyx("voxel_size_nm", voxel_size_nm, positive=True)
        self._tell_other_size(name, size)
        # Rationals and units leave dust in the last digits, also around zero.
        offset = tuple(
            0.0 if abs(o) < 1e-6 else rounded(o * s)
            for o, s in zip(self.offset_vx, size, strict=True)
        )
        return Grid(shape=tuple(shape), voxel_size_nm=size, offset_nm=offset)  # type: ignore[arg-type]

    def _tell_other_size(self, name: str, given: Sequence[float]) -> None:
        """Warn where the caller's voxel size is not that of the file."""
        pairs = list(zip(self.voxel_size_nm, given, strict=True))
        if all(own is None or math.isclose(own, wanted, rel_tol=0.01) for own, wanted in pairs):
            return
        stated = " x ".join("?" if own is None else f"{own:g}" for own, _ in pairs)
        taken = " x ".join(f"{wanted:g}" for _, wanted in pairs)
        msg = f"{name} states voxels of {stated} nm (z, y, x); {taken} nm are taken, as was asked"
        warnings.warn(msg, DoubtfulDataWarning, stacklevel=4)


def rounded(value: float) -> float:
    """A number to nine significant digits: more than any microscope knows."""
    return float(f"{value:.9g}")
