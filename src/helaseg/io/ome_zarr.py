"""OME-Zarr images (0.1 to 0.6) and plain zarr arrays as lazy volumes."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from helaseg.errors import DataFormatError, HelasegError, HelasegWarning
from helaseg.io.lazy import LazyArray, as_slice
from helaseg.io.ngff import Multiscale, ome_attributes, read_multiscale
from helaseg.io.units import Geometry
from helaseg.io.zarr_chunks import open_checked_array, settle
from helaseg.io.zarr_store import images_inside, open_node

#: Bytes of decoded chunks that a volume keeps.
_KEPT_BYTES = 256_000_000


class _Slab:
    """Decoded chunks under some slices, loaded by the first who holds the lock."""

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes
        self.lock = threading.Lock()
        self.data: NDArray[Any] | None = None


class ZarrArray(LazyArray):
    """Three axes of a zarr array; all others have one element.

    Parameters
    ----------
    path : Path
        Folder of the array.
    array : zarr.Array
        The same, open.
    axes : tuple of int or None
        Which axes are z, y and x; None where there is no z.

    Notes
    -----
    Chunks hold several slices, the package reads slice by slice. So the slab of
    chunks under a slice is decoded once and kept for its neighbours, the last
    slabs up to 256 MB in all. Threads that ask for slices of one slab wait for
    the first of them, others do not.
    """

    def __init__(self, *, path: Path, array: Any, axes: tuple[int | None, int, int]) -> None:
        z, y, x = axes
        n_z = 1 if z is None else array.shape[z]
        super().__init__(shape=(n_z, array.shape[y], array.shape[x]), dtype=array.dtype)
        self.path = path
        self.axes = axes
        self.chunk_depth = 1 if z is None else array.chunks[z]
        # Processes open the array again, without a look through all its files.
        self.separator = getattr(array.metadata, "dimension_separator", ".")
        self._forget()

    def _forget(self) -> None:
        self._array: Any = None
        self._lock = threading.Lock()
        self._slabs: dict[tuple[range, range, range], _Slab] = {}

    def source_files(self) -> Iterable[Path]:
        """Metadata and chunks of the array."""
        return (file for file in self.path.rglob("*") if file.is_file())

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: v for name, v in state.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        depth = self.chunk_depth
        first = zs[0] // depth * depth
        deep = range(first, min(first + depth, self.shape[0]))
        n_bytes = len(deep) * len(ys) * len(xs) * self.dtype.itemsize
        if len(zs) > 1 or len(deep) == 1 or n_bytes > _KEPT_BYTES:
            out[...] = self._load(zs, ys, xs)
            return
        slab = self._slab((deep, ys, xs), n_bytes)
        with slab.lock:
            if slab.data is None:
                slab.data = self._load(deep, ys, xs)
            out[...] = slab.data[zs[0] - first : zs[0] - first + 1]

    def _slab(self, box: tuple[range, range, range], n_bytes: int) -> _Slab:
        """The slab of a box, which becomes the newest; the oldest ones make room."""
        with self._lock:
            slab = self._slabs.pop(box, None) or _Slab(n_bytes)
            room = _KEPT_BYTES - n_bytes
            while sum(s.n_bytes for s in self._slabs.values()) > room:
                del self._slabs[next(iter(self._slabs))]
            self._slabs[box] = slab
            return slab

    def _load(self, zs: range, ys: range, xs: range) -> NDArray[Any]:
        with _readable(self.path):
            if self._array is None:
                self._array = open_checked_array(self.path, separator=self.separator)
            index: list[Any] = [0] * self._array.ndim
            kept = []
            for axis, r in zip(self.axes, (zs, ys, xs), strict=True):
                if axis is not None:
                    index[axis] = as_slice(r)
                    kept.append(axis)
            try:
                found = np.asarray(self._array[tuple(index)])
            except Exception:
                settle()
                raise
        # The axes may lie in any order on disk; what is read is z, y, x.
        found = found.transpose(np.argsort(np.argsort(kept)))
        return found.reshape(len(zs), len(ys), len(xs))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever a damaged folder makes the zarr library raise into one clear line."""
    try:
        yield
    except (HelasegError, HelasegWarning):
        raise
    except Exception as error:
        # Damaged metadata and chunks lead the library and its codecs to errors of any type.
        reason = str(error).partition("\n")[0] or type(error).__name__
        msg = f"{path} cannot be read as zarr ({reason}); it is damaged, copy the folder again"
        raise DataFormatError(msg) from error


def open_ome_zarr(path: Path, *, level: int = 0) -> tuple[LazyArray, Geometry]:
    """Open an OME-Zarr image or a plain zarr array.

    Parameters
    ----------
    path : Path
        Folder of the image group, of one of its arrays, or of a group that holds
        a single image or label image.
    level : int
        Pyramid level, 0 is full resolution.

    Returns
    -------
    LazyArray, Geometry
        The volume and what the metadata say about its voxels; an array that is
        opened without its group has no voxel size.

    Raises
    ------
    DataFormatError
        If there is no image, no such level, more than one channel or time
        point, or metadata that cannot be understood (see `read_multiscale`).
    """
    with _readable(path), warnings.catch_warnings():
        # Stray files and keys in a folder are no concern of who reads its image.
        warnings.filterwarnings("ignore", module="zarr")
        return _open(path, level)


def _open(path: Path, level: int) -> tuple[LazyArray, Geometry]:
    node = open_node(path)
    if isinstance(node, zarr.Array):
        if level:
            msg = f"{path} is a plain zarr array with level 0 only, got level {level}"
            raise DataFormatError(msg)
        axes = Multiscale(axes=(), levels=()).zyx(node.shape, where=str(path))
        return _lazy(path, axes), Geometry()
    inside = images_inside(node)
    if len(inside) != 1:
        what = f"it holds {', '.join(inside)}; give one of them" if inside else "it holds none"
        msg = f"{path} must be an OME-Zarr image or a zarr array, {what}"
        raise DataFormatError(msg)
    folder = path / inside[0]
    group: Any = node[inside[0]] if inside[0] else node
    image = read_multiscale(group.attrs.asdict(), where=str(folder))
    assert image is not None
    if level >= len(image.levels):
        msg = f"{folder} has the levels 0 to {len(image.levels) - 1}, got level {level}"
        raise DataFormatError(msg)
    name = image.levels[level].path
    try:
        array = group[name]
    except KeyError as error:
        msg = f"{folder} lacks the level {name!r} that its metadata name"
        raise DataFormatError(msg) from error
    axes = image.zyx(array.shape, where=str(folder))
    # Labels without an object have no chunks.
    is_label = "image-label" in ome_attributes(group.attrs.asdict())
    data = _lazy(folder / name, axes, may_be_empty=is_label)
    return data, _geometry(image, level, axes)


def _lazy(
    path: Path, axes: tuple[int | None, int, int], *, may_be_empty: bool = False
) -> ZarrArray:
    array = open_checked_array(path, may_be_empty=may_be_empty)
    if np.dtype(array.dtype).kind not in "buif":
        msg = f"{path} must hold integers or floats, it holds {array.dtype}"
        raise DataFormatError(msg)
    return ZarrArray(path=path, array=array, axes=axes)


def _geometry(image: Multiscale, level: int, axes: tuple[int | None, int, int]) -> Geometry:
    scale, translation = image.levels[level].scale, image.levels[level].translation
    if scale is None or translation is None or not image.axes:
        return Geometry()
    sizes: list[float | None] = [None, None, None]
    offset = [0.0, 0.0, 0.0]
    for i, axis in enumerate(axes):
        if axis is not None and scale[axis] > 0:
            unit = image.axes[axis].unit_nm
            sizes[i] = None if unit is None else scale[axis] * unit
            offset[i] = translation[axis] / scale[axis]
    return Geometry(
        voxel_size_nm=(sizes[0], sizes[1], sizes[2]), offset_vx=(offset[0], offset[1], offset[2])
    )
