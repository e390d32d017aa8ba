"""Arrays that read what is asked for: the base of all volumes on disk."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.errors import DataFormatError, ParameterError


class LazyArray(ABC):
    """A volume that reads only the box that is asked for.

    Index it with integers and slices along z, y, x; each read gives a fresh,
    writable, C-contiguous ndarray in native byte order. Reads from several
    threads are safe, and pickling takes the address of the data, not the data.

    Parameters
    ----------
    shape : tuple of int
        Voxels along z, y, x.
    dtype : numpy dtype
        Type of a voxel as it is read.
    """

    #: Slices that are decoded together.
    chunk_depth = 1

    def __init__(self, *, shape: tuple[int, int, int], dtype: Any) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype).newbyteorder("=")

    @property
    def ndim(self) -> int:
        """Three."""
        return 3

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        ranges, flat = _ranges(index, self.shape)
        out = np.empty(tuple(len(r) for r in ranges), self.dtype)
        if out.size:
            self._read(ranges[0], ranges[1], ranges[2], out)
        return out[tuple(0 if single else slice(None) for single in flat)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:, :, :]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape} {self.dtype}>"

    def source_of(self, z: int) -> str:
        """The file that holds a slice, for messages; empty if there is only one."""
        return ""

    def source_files(self) -> Iterable[Path]:
        """Files that hold the voxels; those of the array that it is made of."""
        return source_files_of(getattr(self, "base", None))

    def __getstate__(self) -> dict[str, Any]:
        # A process with another working folder must find the same file.
        return {k: v.absolute() if isinstance(v, Path) else v for k, v in self.__dict__.items()}

    @abstractmethod
    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        """Fill `out` with the voxels of the (non-empty) ranges."""


class MappedArray(LazyArray):
    """Raw samples in a file: .npy, .mrc, TIFF stacks in one piece.

    Parameters
    ----------
    path : Path
        The file.
    offset : int
        Bytes before the first voxel.
    shape : tuple of int
        Voxels along z, y, x.
    dtype : numpy dtype
        Type in the file, with its byte order.
    order : str
        ``"C"``, or ``"F"`` where z runs fastest.

    Raises
    ------
    DataFormatError
        If the file is shorter than that.
    """

    def __init__(
        self,
        *,
        path: Path,
        offset: int,
        shape: tuple[int, int, int],
        dtype: Any,
        order: str = "C",
    ) -> None:
        super().__init__(shape=shape, dtype=dtype)
        self.path = path
        self.offset = offset
        self.file_dtype = np.dtype(dtype)
        self.order = order
        need = offset + self.size * self.file_dtype.itemsize
        check_length(path, need)

    def source_files(self) -> Iterable[Path]:
        """The one file."""
        return (self.path,)

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        # A new map per read costs microseconds and needs no lock.
        try:
            whole = np.memmap(
                self.path,
                dtype=self.file_dtype,
                mode="r",
                offset=self.offset,
                shape=self.shape,
                order="F" if self.order == "F" else "C",
            )
        except (OSError, ValueError) as error:
            msg = f"{self.path} cannot be read any more ({error}); put it back and start again"
            raise DataFormatError(msg) from error
        out[...] = whole[as_slice(zs), as_slice(ys), as_slice(xs)]


def source_files_of(data: Any) -> Iterable[Path]:
    """Files that hold the voxels of an array or of a view of it; none for one in memory."""
    if isinstance(data, LazyArray):
        return data.source_files()
    base = None if isinstance(data, np.ndarray) else getattr(data, "base", None)
    return () if base is None else source_files_of(base)


def check_length(path: Path, need: int) -> None:
    """Refuse a file with fewer bytes than its header promises."""
    there = path.stat().st_size
    if there < need:
        msg = (
            f"{path} is cut short: its header promises {need} bytes, there are {there}; "
            "copy the file again"
        )
        raise DataFormatError(msg)


def as_slice(r: range) -> slice:
    """The slice that takes the indices of a range."""
    return slice(r.start, r.stop, r.step)


def _ranges(index: Any, shape: tuple[int, ...]) -> tuple[list[range], list[bool]]:
    """Indices along each axis, and which axes a single integer takes away."""
    keys = index if isinstance(index, tuple) else (index,)
    if any(key is Ellipsis for key in keys):
        at = next(i for i, key in enumerate(keys) if key is Ellipsis)
        fill = (slice(None),) * (len(shape) - len(keys) + 1)
        keys = keys[:at] + fill + keys[at + 1 :]
    keys = keys + (slice(None),) * (len(shape) - len(keys))
    if len(keys) != len(shape):
        msg = f"index a volume with at most {len(shape)} integers or slices, got {index!r}"
        raise ParameterError(msg)
    ranges, flat = [], []
    for key, n in zip(keys, shape, strict=True):
        if isinstance(key, slice):
            indices = range(n)[key]
            if indices.step < 1:
                msg = f"steps must be positive, got {key!r}"
                raise ParameterError(msg)
            ranges.append(indices)
        elif isinstance(key, int | np.integer) and not isinstance(key, bool):
            k = int(key)
            if not -n <= k < n:
                msg = f"index {k} is out of range for an axis of {n} voxels"
                raise IndexError(msg)
            ranges.append(range(k % n, k % n + 1))
        else:
            msg = f"index a volume with integers and slices, got {type(key).__name__}"
            raise ParameterError(msg)
        flat.append(not isinstance(key, slice))
    return ranges, flat
