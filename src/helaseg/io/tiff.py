"""TIFF stacks and folders of TIFF slices as lazy volumes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from helaseg.errors import DataFormatError
from helaseg.io.lazy import LazyArray, MappedArray, as_slice, check_length
from helaseg.io.slice_names import check_gaps, numbered_slices
from helaseg.io.tiff_geometry import tiff_geometry
from helaseg.io.units import Geometry

TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf2", ".tf8")

#: A stack of more images than this is no set of channels.
_MOST_CHANNELS = 4

#: What tifffile raises for files that are no TIFF, damaged or cut short.
_UNREADABLE = (
    tifffile.TiffFileError,
    struct.error,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
)


class TiffStack(LazyArray):
    """Pages of TIFF files as a volume; each read decodes only the strips or tiles it needs.

    Parameters
    ----------
    pages : sequence of (Path, int, int)
        File, byte offset of the directory of the page, and byte offset of its
        pixels where they lie uncompressed in one piece (else -1).
    shape : tuple of int
        Voxels along z, y, x.
    dtype : numpy dtype
        Type in the file, with its byte order.
    """

    def __init__(
        self,
        *,
        pages: Sequence[tuple[Path, int, int]],
        shape: tuple[int, int, int],
        dtype: Any,
    ) -> None:
        super().__init__(shape=shape, dtype=dtype)
        self.pages = tuple(pages)
        self.file_dtype = np.dtype(dtype)

    def source_of(self, z: int) -> str:
        """The file that holds a slice."""
        return str(self.pages[z][0])

    def __getstate__(self) -> dict[str, Any]:
        pages = tuple((path.absolute(), *where) for path, *where in self.pages)
        return super().__getstate__() | {"pages": pages}

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        for plane, z in zip(out, zs, strict=True):
            self._read_plane(z, ys, xs, plane)

    def _read_plane(self, z: int, ys: range, xs: range, out: NDArray[Any]) -> None:
        path, directory, pixels = self.pages[z]
        if pixels >= 0:
            with _readable(path):
                plane = np.memmap(
                    path, dtype=self.file_dtype, mode="r", offset=pixels, shape=self.shape[1:]
                )
                out[...] = plane[as_slice(ys), as_slice(xs)]
            return
        with _readable(path), tifffile.TiffFile(path, _multifile=False) as tif:
            tif.filehandle.seek(directory)
            page = tifffile.TiffPage(tif, z)
            if ys.step == xs.step == 1:
                _decode(page, tif.filehandle, ys, xs, out)
                return
            # Strides are for samples and previews: the box is decoded, then thinned.
            rows, columns = range(ys[0], ys[-1] + 1), range(xs[0], xs[-1] + 1)
            box = np.empty((len(rows), len(columns)), self.dtype)
            _decode(page, tif.filehandle, rows, columns, box)
            out[...] = box[:: ys.step, :: xs.step]


def open_tiff(path: Path) -> tuple[LazyArray, Geometry]:
    """One TIFF file: a page, a stack, ImageJ, OME-TIFF or BigTIFF.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    LazyArray, Geometry
        The volume and what the file says about its voxels.

    Raises
    ------
    DataFormatError
        If it cannot be read, is cut short, holds colours, channels or time
        points, or pages of different sizes or types.

    Notes
    -----
    Grey values are those in the file: palettes and "white is zero" are not
    applied, so that masks and labels keep their numbers. A single stack along time
    or more than four channels is taken as z, since many writers name it so.
    """
    with _readable(path), tifffile.TiffFile(path) as tif:
        if not tif.series:
            msg = f"{path} holds no image"
            raise DataFormatError(msg)
        series = tif.series[0]
        if len(tif.series) > 1 and not tif.is_ome:
            shapes = ", ".join(str(s.shape) for s in tif.series[:4])
            msg = f"{path} must hold pages of one size and type, got {shapes}; split the file"
            raise DataFormatError(msg)
        keyframe: Any = series.keyframe
        _check_page(path, keyframe)
        n_slices = _count_slices(path, series)
        shape = (n_slices, keyframe.imagelength, keyframe.imagewidth)
        dtype = _file_dtype(keyframe)
        geometry = tiff_geometry(tif)
        if series.dataoffset is not None and _is_raw(keyframe):
            data: LazyArray = MappedArray(
                path=path, offset=series.dataoffset, shape=shape, dtype=dtype
            )
            return data, geometry
        pages = []
        for page in series.pages:
            if page is None:
                msg = f"{path} is an OME-TIFF that lacks slices: a file it names is not there"
                raise DataFormatError(msg)
            pages.append(_locate(Path(page.parent.filehandle.path), page))
    return TiffStack(pages=pages, shape=shape, dtype=dtype), geometry


def open_tiff_folder(
    folder: Path, files: Sequence[Path], *, allow_gaps: bool
) -> tuple[LazyArray, Geometry, tuple[int, ...]]:
    """A folder of single-page TIFF slices, in the order of the numbers in their names.

    Parameters
    ----------
    folder : Path
        For messages.
    files : sequence of Path
        The slices.
    allow_gaps : bool
        Take the slices that are there as neighbours.

    Returns
    -------
    LazyArray, Geometry, tuple of int
        The volume, what the first slice says about the voxels, the numbers.

    Raises
    ------
    MissingSlicesError
        If numbers are missing and `allow_gaps` is not set.
    DataFormatError
        As `open_tiff`, and for slices of different sizes or types.
    """
    numbered = numbered_slices(folder, files)
    if not allow_gaps:
        check_gaps(folder, [number for number, _ in numbered])
    geometry = Geometry()
    first: tuple[tuple[int, int], np.dtype[Any]] | None = None
    pages = []
    for _, path in numbered:
        # An OME slice may name its whole stack: each file is read alone.
        with _readable(path), tifffile.TiffFile(path, _multifile=False) as tif:
            if len(tif.pages) != 1:
                msg = f"{path} must be a single slice, it holds {len(tif.pages)} pages"
                raise DataFormatError(msg)
            page: Any = tif.pages[0]
            _check_page(path, page)
            this = (page.imagelength, page.imagewidth), _file_dtype(page)
            if first is None:
                first = this
                geometry = tiff_geometry(tif)
            _check_same(path, this, numbered[0][1], first)
            pages.append(_locate(path, page))
    assert first is not None
    shape = (len(pages), *first[0])
    return (
        TiffStack(pages=pages, shape=shape, dtype=first[1]),
        geometry,
        tuple(number for number, _ in numbered),
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except DataFormatError:
        raise
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror or error}); put it back and start again"
        raise DataFormatError(msg) from error
    except _UNREADABLE as error:
        msg = f"{path} cannot be read as TIFF ({error}); it is damaged or cut short, copy it again"
        raise DataFormatError(msg) from error


def _check_page(path: Path, page: Any) -> None:
    if page.samplesperpixel > 1:
        msg = (
            f"{path} must be grey, it has {page.samplesperpixel} samples per pixel; "
            "convert it first (in Fiji: Image > Type > 8-bit)"
        )
        raise DataFormatError(msg)
    if page.dtype is None or page.dtype.kind not in "buif":
        msg = f"{path} must hold integers or floats, it holds {page.dtype}"
        raise DataFormatError(msg)
    if page.imagedepth > 1:
        msg = f"{path} must hold flat pages, its pages are {page.imagedepth} slices deep"
        raise DataFormatError(msg)


def _check_same(
    path: Path,
    this: tuple[tuple[int, int], np.dtype[Any]],
    first_path: Path,
    first: tuple[tuple[int, int], np.dtype[Any]],
) -> None:
    if this != first:
        words = [f"{y} x {x} pixels of {dtype}" for (y, x), dtype in (this, first)]
        msg = (
            f"{path} has {words[0]}, {first_path.name} has {words[1]}; "
            "all slices of a folder must have one size and type"
        )
        raise DataFormatError(msg)


def _count_slices(path: Path, series: Any) -> int:
    """Number of slices; channels and time points are refused."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    # A stack along one axis is z, whatever it calls itself; only few channels are channels,
    # because writers that are not told the axes call the slices so.
    stacked = {a: n for a, n in sizes.items() if a not in "YX" and n > 1}
    if len(stacked) > 1 or stacked.get("C", _MOST_CHANNELS + 1) <= _MOST_CHANNELS:
        words = ", ".join(f"{n} x {a}" for a, n in stacked.items())
        msg = (
            f"{path} must be one stack of grey slices, it has {words}; "
            "save one channel and one time point on its own"
        )
        raise DataFormatError(msg)
    return next(iter(stacked.values()), 1)


def _file_dtype(page: Any) -> np.dtype[Any]:
    return np.dtype(page.parent.byteorder + page.dtype.char)


def _is_raw(page: Any) -> bool:
    """Whether samples lie in the file as numpy would store them."""
    return bool(
        page.compression == 1
        and page.fillorder == 1
        and page.bitspersample == 8 * page.dtype.itemsize
        and not page.is_tiled
    )


def _locate(path: Path, page: Any) -> tuple[Path, int, int]:
    """Where a page lies, after a check that the file is long enough."""
    offsets, counts = page.dataoffsets, page.databytecounts
    if len(offsets) != len(counts):
        msg = f"{path} cannot be read as TIFF: it lists {len(offsets)} strips, {len(counts)} sizes"
        raise DataFormatError(msg)
    # Strips without bytes are blank and may point anywhere.
    ends = [offset + count for offset, count in zip(offsets, counts, strict=True) if count]
    check_length(path, max(ends, default=0))
    keyframe = page.keyframe
    whole = keyframe.imagelength * keyframe.imagewidth * keyframe.dtype.itemsize
    in_one_piece = (
        _is_raw(keyframe)
        and sum(counts) == whole
        and all(offsets[i] + counts[i] == offsets[i + 1] for i in range(len(offsets) - 1))
    )
    return path, page.offset, offsets[0] if in_one_piece else -1


def _decode(page: Any, file: Any, ys: range, xs: range, out: NDArray[Any]) -> None:
    """Decode the strips or tiles that touch a box of one page into `out`.

    Notes
    -----
    One after the other, without threads: slices are what runs in parallel.
    """
    height, width = page.imagelength, page.imagewidth
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, height)
    columns = page.tilewidth if page.is_tiled else width
    across = -(-width // columns)
    tables = page.jpegtables
    offsets, counts = page.dataoffsets, page.databytecounts
    for row in range(ys.start // rows, -(-ys.stop // rows)):
        for column in range(xs.start // columns, -(-xs.stop // columns)):
            number = row * across + column
            top, left = row * rows, column * columns
            y0, y1 = max(ys.start, top), min(ys.stop, top + rows)
            x0, x1 = max(xs.start, left), min(xs.stop, left + columns)
            target = out[y0 - ys.start : y1 - ys.start, x0 - xs.start : x1 - xs.start]
            if counts[number] == 0:
                target[...] = page.nodata
                continue
            file.seek(offsets[number])
            coded = file.read(counts[number])
            part = page.decode(coded, number, jpegtables=tables)[0]
            target[...] = part[0, y0 - top : y1 - top, x0 - left : x1 - left, 0]
