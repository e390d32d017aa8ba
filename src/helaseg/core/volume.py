"""Data on a grid: `Volume`, `LabelVolume`, `ProbabilityVolume`.

``data`` is anything that has ``shape``, ``dtype`` and returns an ndarray when
indexed with integers and slices along z, y, x: an ndarray, a memory map, a
zarr array, a lazy stack of TIFF files. Whole volumes are read only by those
who say so (`Volume.read`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid, Roi
from helaseg.core.lazy import SliceBySlice
from helaseg.errors import ParameterError


class Sliceable(Protocol):
    """Interface of the data of a volume."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along z, y, x."""
        ...

    @property
    def dtype(self) -> Any:
        """The numpy dtype of a voxel."""
        ...

    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Window:
    """A lazy view of a box of another array."""

    base: Sliceable
    roi: Roi

    @property
    def shape(self) -> tuple[int, ...]:
        return self.roi.shape

    @property
    def dtype(self) -> Any:
        return self.base.dtype

    def __getitem__(self, index: Any) -> Any:
        keys = index if isinstance(index, tuple) else (index,)
        keys = keys + (slice(None),) * (3 - len(keys))
        moved: list[Any] = []
        for key, start, n in zip(keys, self.roi.start, self.shape, strict=True):
            if isinstance(key, slice):
                a, b, step = key.indices(n)
                if step < 1:
                    msg = f"steps must be positive, got {key!r}"
                    raise ParameterError(msg)
                moved.append(slice(a + start, max(a, b) + start, step))
            else:
                k = int(key)
                if not -n <= k < n:
                    msg = f"index {k} is out of range for an axis of {n} voxels"
                    raise IndexError(msg)
                moved.append(k % n + start)
        return self.base[tuple(moved)]


def _padded_slice(base: Sliceable, roi: Roi, z: int) -> NDArray[Any]:
    """Slice z of a box that may stick out of an array; zero outside."""
    plane = np.zeros(roi.shape[1:], base.dtype)
    inside = roi.intersect(Roi(start=(0, 0, 0), stop=base.shape))  # type: ignore[arg-type]
    there = z + roi.start[0]
    if inside.start[0] <= there < inside.stop[0] and not inside.is_empty:
        here = inside.shift([-a for a in roi.start]).slices
        plane[here[1:]] = np.asarray(base[(there, *inside.slices[1:])])
    return plane


def _check_data(kind: str, data: Sliceable, grid: Grid, *, shape: tuple[int, ...]) -> None:
    for need in ("shape", "dtype", "__getitem__"):
        if not hasattr(data, need):
            msg = f"the data of a {kind} must have '{need}', got {type(data).__name__}"
            raise ParameterError(msg)
    if tuple(shape) != grid.shape:
        msg = f"the data of a {kind} must have the shape of its grid {grid.shape}, got {shape}"
        raise ParameterError(msg)


def _window(data: Sliceable, grid: Grid, roi: Roi) -> Sliceable:
    if roi.clip(grid.shape) != roi:
        msg = f"the box {roi.start} to {roi.stop} must lie inside the volume of {grid.shape}"
        raise ParameterError(msg)
    if isinstance(data, np.ndarray):
        return data[roi.slices]
    if isinstance(data, _Window):
        return _Window(data.base, roi.shift(data.roi.start))
    return _Window(data, roi)


def check_volume(name: str, value: object) -> None:
    """Refuse what is no `Volume`, such as an array that does not know its voxel size.

    Raises
    ------
    ParameterError
        Saying how to make one.
    """
    if not isinstance(value, Volume):
        msg = (
            f"'{name}' must be a Volume, got {type(value).__name__}; make one of an array with "
            "Volume(data=array, grid=Grid(shape=array.shape, voxel_size_nm=(50, 10, 10))), "
            "or of files with open_volume"
        )
        raise ParameterError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A grey-value image on a grid.

    Parameters
    ----------
    data : sliceable, shape (Z, Y, X)
        Grey values; uint8 is the working type.
    grid : Grid
        Shape, voxel size and offset.
    name : str
        What it is, for messages and reports.
    slice_numbers : tuple of int, optional
        Number of each slice in its source (file names), for messages.
    """

    data: Sliceable = field(repr=False)
    grid: Grid
    name: str = "volume"
    slice_numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_data("Volume", self.data, self.grid, shape=tuple(self.data.shape))
        if np.dtype(self.data.dtype).kind not in "buif":
            msg = f"the data of a Volume must be numbers, got dtype {self.data.dtype}"
            raise ParameterError(msg)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        return self.grid.shape

    def crop(self, roi: Roi) -> Volume:
        """A lazy view of a box inside the volume; the offset travels along."""
        numbers = self.slice_numbers[roi.start[0] : roi.stop[0]]
        return Volume(
            data=_window(self.data, self.grid, roi),
            grid=self.grid.crop(roi),
            name=self.name,
            slice_numbers=numbers,
        )

    def crop_padded(self, roi: Roi) -> Volume:
        """A lazy box that may stick out of the volume; what lies outside is 0."""
        if roi.clip(self.grid.shape) == roi:
            return self.crop(roi)
        draw = partial(_padded_slice, self.data, roi)
        data = SliceBySlice(shape=roi.shape, dtype=np.dtype(self.data.dtype), draw=draw)
        return Volume(data=data, grid=self.grid.crop(roi), name=self.name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the result of `read`, for `numpy.asarray`."""
        return np.asarray(self.read(), dtype=dtype)

    def read(self) -> NDArray[Any]:
        """All voxels as an ndarray (reads the whole volume)."""
        return np.asarray(self.data[:, :, :])

    def slice(self, z: int) -> NDArray[Any]:
        """One slice as an ndarray, shape (Y, X)."""
        return np.asarray(self.data[z, :, :])


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelVolume:
    """Integer labels on a grid; 0 is background.

    Parameters
    ----------
    data : sliceable of integers or bools, shape (Z, Y, X)
        The labels.
    grid : Grid
        Shape, voxel size and offset.
    names : mapping of int to str
        What each label means, where labels are classes.
    """

    data: Sliceable = field(repr=False)
    grid: Grid
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_data("LabelVolume", self.data, self.grid, shape=tuple(self.data.shape))
        if np.dtype(self.data.dtype).kind not in "bui":
            msg = f"the data of a LabelVolume must be integers, got dtype {self.data.dtype}"
            raise ParameterError(msg)
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled, so the plain dict travels.
        return (_make_labels, (self.data, self.grid, dict(self.names)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        return self.grid.shape

    def crop(self, roi: Roi) -> LabelVolume:
        """A lazy view of a box inside the volume; the offset travels along."""
        return LabelVolume(
            data=_window(self.data, self.grid, roi), grid=self.grid.crop(roi), names=self.names
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the result of `read`, for `numpy.asarray`."""
        return np.asarray(self.read(), dtype=dtype)

    def read(self) -> NDArray[Any]:
        """All labels as an ndarray (reads the whole volume)."""
        return np.asarray(self.data[:, :, :])

    def slice(self, z: int) -> NDArray[Any]:
        """One slice as an ndarray, shape (Y, X)."""
        return np.asarray(self.data[z, :, :])


def _make_labels(data: Sliceable, grid: Grid, names: dict[int, str]) -> LabelVolume:
    return LabelVolume(data=data, grid=grid, names=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityVolume:
    """Probabilities between 0 and 1 on a grid, one channel per class.

    Parameters
    ----------
    data : sliceable of float, shape (C, Z, Y, X)
        The probabilities.
    grid : Grid
        Shape, voxel size and offset of one channel.
    channels : tuple of str
        Name of each channel.
    """

    data: Sliceable
    grid: Grid
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = tuple(self.data.shape)
        if len(shape) != 4 or shape[0] != len(self.channels):
            msg = (
                f"the data of a ProbabilityVolume must have shape ({len(self.channels)}, Z, Y, X) "
                f"for the channels {self.channels}, got {shape}"
            )
            raise ParameterError(msg)
        _check_data("ProbabilityVolume", self.data, self.grid, shape=shape[1:])
        if np.dtype(self.data.dtype).kind != "f":
            msg = f"the data of a ProbabilityVolume must be floats, got dtype {self.data.dtype}"
            raise ParameterError(msg)
