"""Places of voxels: `Grid` (shape, voxel size, offset) and `Roi` (a box of voxels).

Nanometres are floats and live in `Grid`; voxels are integers and live in
`Roi`. The way between the two goes through `Grid` only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_int_zyx, as_zyx
from helaseg.errors import GridMismatchError, ParameterError

ZYX = tuple[float, float, float]
IntZYX = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """A box of voxels, half-open: ``start <= index < stop``.

    Parameters
    ----------
    start, stop : tuple of int
        First voxel and one past the last, in the order z, y, x. A start may be
        negative and a stop may exceed a volume until the box is clipped.
    """

    start: IntZYX
    stop: IntZYX

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", as_int_zyx("start", self.start))
        object.__setattr__(self, "stop", as_int_zyx("stop", self.stop))
        if any(b < a for a, b in zip(self.start, self.stop, strict=True)):
            msg = f"'stop' must not lie before 'start', got start={self.start}, stop={self.stop}"
            raise ParameterError(msg)

    @property
    def shape(self) -> IntZYX:
        """Number of voxels along z, y and x."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))  # type: ignore[return-value]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index into an array; refused while a start is negative."""
        if min(self.start) < 0:
            msg = f"clip the box before indexing, its start is {self.start}"
            raise ParameterError(msg)
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))  # type: ignore[return-value]

    @property
    def is_empty(self) -> bool:
        """Return whether the box holds no voxel."""
        return min(self.shape) == 0

    def pad(self, halo: Sequence[int] | int) -> Roi:
        """The box grown by `halo` voxels on both sides of each axis."""
        h = (halo,) * 3 if isinstance(halo, int) else as_int_zyx("halo", halo)
        return Roi(
            start=tuple(a - n for a, n in zip(self.start, h, strict=True)),  # type: ignore[arg-type]
            stop=tuple(b + n for b, n in zip(self.stop, h, strict=True)),  # type: ignore[arg-type]
        )

    def clip(self, shape: Sequence[int]) -> Roi:
        """The part of the box inside a volume of this shape (possibly empty)."""
        start = [min(max(a, 0), n) for a, n in zip(self.start, shape, strict=True)]
        stop = [max(min(b, n), a) for a, b, n in zip(start, self.stop, shape, strict=True)]
        return Roi(start=tuple(start), stop=tuple(stop))  # type: ignore[arg-type]

    def intersect(self, other: Roi) -> Roi:
        """The common part of two boxes (possibly empty)."""
        start = [max(a, b) for a, b in zip(self.start, other.start, strict=True)]
        stop = [max(min(a, b), s) for a, b, s in zip(self.stop, other.stop, start, strict=True)]
        return Roi(start=tuple(start), stop=tuple(stop))  # type: ignore[arg-type]

    def shift(self, by: Sequence[int]) -> Roi:
        """The box moved by a number of voxels."""
        d = as_int_zyx("by", by)
        return Roi(
            start=tuple(a + n for a, n in zip(self.start, d, strict=True)),  # type: ignore[arg-type]
            stop=tuple(b + n for b, n in zip(self.stop, d, strict=True)),  # type: ignore[arg-type]
        )

    def contains(self, point: Sequence[float]) -> bool:
        """Return whether a point in voxel coordinates lies in the box."""
        return all(a <= p < b for a, p, b in zip(self.start, point, self.stop, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Shape, voxel size and position of a volume.

    Parameters
    ----------
    shape : tuple of int
        Number of voxels along z, y and x.
    voxel_size_nm : tuple of float
        Distance between neighbouring voxel centres, z, y, x, in nm.
    offset_nm : tuple of float
        Position of the centre of voxel (0, 0, 0), z, y, x, in nm.
    """

    shape: IntZYX
    voxel_size_nm: ZYX
    offset_nm: ZYX = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", as_int_zyx("shape", self.shape))
        object.__setattr__(
            self, "voxel_size_nm", as_zyx("voxel_size_nm", self.voxel_size_nm, positive=True)
        )
        object.__setattr__(self, "offset_nm", as_zyx("offset_nm", self.offset_nm))
        if min(self.shape) < 0:
            msg = f"'shape' must not be negative, got {self.shape}"
            raise ParameterError(msg)

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    @property
    def voxel_volume_nm3(self) -> float:
        """Volume of one voxel."""
        return math.prod(self.voxel_size_nm)

    @property
    def face_areas_nm2(self) -> ZYX:
        """Area of the voxel face that is perpendicular to z, to y and to x."""
        z, y, x = self.voxel_size_nm
        return (y * x, z * x, z * y)

    @property
    def pixel_nm(self) -> float:
        """In-plane pixel size: the geometric mean of y and x."""
        return math.sqrt(self.voxel_size_nm[1] * self.voxel_size_nm[2])

    @property
    def slice_nm(self) -> float:
        """Distance between slices."""
        return self.voxel_size_nm[0]

    @property
    def roi(self) -> Roi:
        """The box of all voxels."""
        return Roi(start=(0, 0, 0), stop=self.shape)

    def to_nm(self, points_vx: ArrayLike) -> NDArray[np.float64]:
        """Voxel coordinates, shape (..., 3), to nm."""
        return np.asarray(points_vx, float) * self.voxel_size_nm + np.asarray(self.offset_nm)

    def to_vx(self, points_nm: ArrayLike) -> NDArray[np.float64]:
        """Positions in nm, shape (..., 3), to voxel coordinates (floats)."""
        return (np.asarray(points_nm, float) - self.offset_nm) / np.asarray(self.voxel_size_nm)

    def crop(self, roi: Roi) -> Grid:
        """The grid of a box; its offset travels along (also when the box sticks out)."""
        return replace(self, shape=roi.shape, offset_nm=tuple(self.to_nm(roi.start)))

    def downsample(self, factors: Sequence[int]) -> Grid:
        """The grid after joining blocks of `factors` voxels; the last block may be partial.

        The centre of a joined voxel is the centre of its block, so the offset
        moves by (factor - 1) / 2 voxels.
        """
        f = as_int_zyx("factors", factors)
        if min(f) < 1:
            msg = f"'factors' must be at least 1, got {factors!r}"
            raise ParameterError(msg)
        return Grid(
            shape=tuple(-(-n // k) for n, k in zip(self.shape, f, strict=True)),  # type: ignore[arg-type]
            voxel_size_nm=tuple(s * k for s, k in zip(self.voxel_size_nm, f, strict=True)),  # type: ignore[arg-type]
            offset_nm=tuple(self.to_nm([(k - 1) / 2 for k in f])),
        )

    def permute(self, axes: Sequence[int]) -> Grid:
        """The grid with its axes in another order."""
        if sorted(axes) != [0, 1, 2]:
            msg = f"'axes' must be an order of 0, 1, 2, got {axes!r}"
            raise ParameterError(msg)
        return Grid(
            shape=tuple(self.shape[a] for a in axes),  # type: ignore[arg-type]
            voxel_size_nm=tuple(self.voxel_size_nm[a] for a in axes),  # type: ignore[arg-type]
            offset_nm=tuple(self.offset_nm[a] for a in axes),  # type: ignore[arg-type]
        )

    def agrees_with(self, other: Grid) -> bool:
        """Same shape, and voxel size and offset equal to within a thousandth of a voxel."""
        if self.shape != other.shape:
            return False
        size = np.asarray(self.voxel_size_nm)
        return bool(
            np.all(np.abs(size - other.voxel_size_nm) <= 1e-3 * size)
            and np.all(np.abs(np.subtract(self.offset_nm, other.offset_nm)) <= 1e-3 * size)
        )

    def check_agrees(self, other: Grid, *, names: tuple[str, str]) -> None:
        """Refuse two volumes that do not lie on the same grid.

        Raises
        ------
        GridMismatchError
            Naming both volumes and both grids.
        """
        if not self.agrees_with(other):
            msg = f"'{names[0]}' and '{names[1]}' must share one grid, got {self} and {other}"
            raise GridMismatchError(msg)

    def __str__(self) -> str:
        z, y, x = self.shape
        sz, sy, sx = self.voxel_size_nm
        text = f"{z} x {y} x {x} voxels of {sz:g} x {sy:g} x {sx:g} nm"
        if any(self.offset_nm):
            text += " at ({:g}, {:g}, {:g}) nm".format(*self.offset_nm)
        return text
