"""Files of one crop that are filled slice by slice, in any order and by several threads."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from helaseg._checksums import digests_of
from helaseg.core.grid import Grid
from helaseg.errors import JobError
from helaseg.io.atomic import atomic_path, disk_errors
from helaseg.io.ome_zarr_write import write_ome_zarr
from helaseg.io.tiff_write import allocate_tiff, encode_slice, slice_name

#: How crops are stored: a folder of TIFF slices, one TIFF stack, an OME-Zarr image,
#: or a case of an nnU-Net data set.
CropFormat = Literal["tiff", "tiff-stack", "ome-zarr", "nnunet"]


class CropFile(ABC):
    """One crop that is being written; nothing shows at its place before `finish`.

    Parameters
    ----------
    target : Path
        File or folder of the crop; an earlier one is replaced.
    grid : Grid
        Its shape, voxel size and offset.

    Raises
    ------
    JobError
        From every method, if a file cannot be written.
    """

    def __init__(self, target: Path, grid: Grid) -> None:
        self.target = target
        self.grid = grid
        # Slices of one crop come one by one: a thread that is still at work after an error
        # must not meet a closed file.
        self._lock = threading.Lock()
        self._open = True
        self._room = ExitStack()
        self._part = self._room.enter_context(atomic_path(target))

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files and folders that are there after `finish`."""
        return (self.target,)

    def put(self, k: int, plane: NDArray[Any]) -> None:
        """Write slice k of the crop, shape (Y, X); every slice once, in any order."""
        with self._lock, disk_errors(self.target):
            if self._open:
                self._put(k, plane)

    def finish(self) -> dict[Path, str]:
        """Put the crop in place; returns the SHA-256 of each of its files."""
        with self._lock, disk_errors(self.target):
            digests = self._close()
            self._open = False
            self._room.close()
        return {self.target / file if str(file) != "." else self.target: d for file, d in digests}

    def discard(self) -> None:
        """Remove what was written; nothing is left if the crop was not finished."""
        with self._lock:
            self._open = False
            error = JobError(f"{self.target} was not finished")
            self._room.__exit__(JobError, error, None)

    @abstractmethod
    def _put(self, k: int, plane: NDArray[Any]) -> None:
        """Write a slice; nobody else writes to this crop meanwhile."""

    def _close(self) -> list[tuple[Path, str]]:
        """Complete the files; their paths relative to the target, with checksums."""
        return [
            (file.relative_to(self._part), digest)
            for file, digest in digests_of(self._part).items()
        ]


class SliceFolder(CropFile):
    """A folder of raw single-page TIFFs; checksums are made of what is written."""

    def __init__(self, target: Path, grid: Grid, *, prefix: str, numbers: Sequence[int]) -> None:
        super().__init__(target, grid)
        self.names = [slice_name(prefix, number) for number in numbers]
        self._digests: dict[str, str] = {}
        with disk_errors(target):
            self._part.mkdir()

    def _put(self, k: int, plane: NDArray[Any]) -> None:
        name = self.names[k]
        data = encode_slice(plane, self.grid, k)
        (self._part / name).write_bytes(data)
        self._digests[name] = hashlib.sha256(data).hexdigest()

    def _close(self) -> list[tuple[Path, str]]:
        return [(Path(name), self._digests[name]) for name in sorted(self._digests)]


class _FlatFile(CropFile):
    """Voxels in one piece of one file, from an offset on."""

    def __init__(self, target: Path, grid: Grid, *, dtype: Any) -> None:
        super().__init__(target, grid)
        self.dtype = np.dtype(dtype).newbyteorder("<")
        try:
            with disk_errors(target):
                path, self._offset = self._make()
                self._file = os.open(path, os.O_WRONLY)
        except BaseException:
            self.discard()
            raise
        self._room.callback(os.close, self._file)

    @abstractmethod
    def _make(self) -> tuple[Path, int]:
        """Make the file; where it is, and where its voxels begin."""

    def _put(self, k: int, plane: NDArray[Any]) -> None:
        data = np.ascontiguousarray(plane, dtype=self.dtype)
        rest, offset = data.data.cast("B"), self._offset + k * data.nbytes
        while rest:
            n = os.pwrite(self._file, rest, offset)
            rest, offset = rest[n:], offset + n


class StackFile(_FlatFile):
    """One raw TIFF stack."""

    def _make(self) -> tuple[Path, int]:
        return self._part, allocate_tiff(self._part, self.grid, self.dtype)


class NnunetCase(StackFile):
    """A raw TIFF stack named as a case of nnU-Net, with its voxel size beside it in nm."""

    def __init__(self, target: Path, grid: Grid, *, dtype: Any) -> None:
        super().__init__(target, grid, dtype=dtype)
        self.sidecar = target.with_name(target.name.removesuffix("_0000.tif") + ".json")

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The image and its voxel size."""
        return (self.target, self.sidecar)

    def finish(self) -> dict[Path, str]:
        """Put the case in place; returns the SHA-256 of its two files."""
        with atomic_path(self.sidecar) as part:
            spacing = {"spacing": list(self.grid.voxel_size_nm)}
            part.write_text(json.dumps(spacing) + "\n", encoding="utf-8")
        return super().finish() | digests_of(self.sidecar)


class ZarrImage(_FlatFile):
    """An OME-Zarr image with its pyramid; raw slices are gathered in a file until `finish`.

    Chunks hold several slices: as many crops as are open at a time would not fit in memory.
    """

    def _make(self) -> tuple[Path, int]:
        self._raw = self._part.with_name("raw")
        self._raw.touch()
        return self._raw, 0

    def _close(self) -> list[tuple[Path, str]]:
        voxels = np.memmap(self._raw, dtype=self.dtype, mode="r", shape=self.grid.shape)
        write_ome_zarr(self._part, voxels, self.grid, kind="image")
        return super()._close()


def open_crop_file(
    folder: Path,
    grid: Grid,
    *,
    format: CropFormat,
    dtype: Any,
    numbers: Sequence[int],
) -> CropFile:
    """A crop to be filled in the folder of its cell; an nnU-Net case lies beside all folders.

    Parameters
    ----------
    folder : Path
        Such as ``out/rois/roi_001_...``; its name is that of the crop.
    grid : Grid
        Of the crop.
    format : {"tiff", "tiff-stack", "ome-zarr", "nnunet"}
        ``raw/`` with slices, ``raw.tif``, ``raw.ome.zarr``, or
        ``out/nnunet/imagesTs/roi_..._0000.tif``.
    dtype : numpy dtype
        Of its voxels.
    numbers : sequence of int
        Number of each slice, for the names of single files.

    Raises
    ------
    JobError
        If a file cannot be written.
    """
    if format == "tiff":
        return SliceFolder(folder / "raw", grid, prefix=folder.name, numbers=numbers)
    if format == "tiff-stack":
        return StackFile(folder / "raw.tif", grid, dtype=dtype)
    if format == "ome-zarr":
        return ZarrImage(folder / "raw.ome.zarr", grid, dtype=dtype)
    cases = folder.parent.parent / "nnunet" / "imagesTs"
    return NnunetCase(cases / f"{folder.name}_0000.tif", grid, dtype=dtype)
