"""Pages of TIFF files as a lazy volume."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from helaseg.errors import DataFormatError, HelasegError, HelasegWarning
from helaseg.io.lazy import LazyArray, as_slice, check_length

#: Strips and tiles may pad a page, but not to many times its size.
_MOST_PADDING = 4
#: A padded tile of this many bytes is no burden.
_SMALL_BYTES = 64_000_000
#: No codec but zstd, whose frames state their size, makes data smaller than by this factor.
_MOST_COMPRESSION = 4000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PagePlace:
    """Place of a page.

    Parameters
    ----------
    path : Path
        The file.
    directory : int
        Byte offset of the directory of the page.
    pixels : int
        Byte offset of its pixels where they lie uncompressed in one piece, else -1.
    dtype : str
        Type of the samples in the file, with their byte order.
    """

    path: Path
    directory: int
    pixels: int
    dtype: str


class TiffStack(LazyArray):
    """Pages of TIFF files as a volume; each read decodes only the strips or tiles it needs.

    Parameters
    ----------
    pages : sequence of PagePlace
        One per slice. Their byte orders may differ.
    shape : tuple of int
        Voxels along z, y, x.
    dtype : numpy dtype
        Type of a voxel.
    """

    def __init__(
        self,
        *,
        pages: Sequence[PagePlace],
        shape: tuple[int, int, int],
        dtype: Any,
    ) -> None:
        super().__init__(shape=shape, dtype=dtype)
        self.pages = tuple(pages)

    def source_of(self, z: int) -> str:
        """The file that holds a slice."""
        return str(self.pages[z].path)

    def source_files(self) -> Iterable[Path]:
        """The files of the pages, each once."""
        return dict.fromkeys(place.path for place in self.pages)

    def __getstate__(self) -> dict[str, Any]:
        pages = tuple(dataclasses.replace(p, path=p.path.absolute()) for p in self.pages)
        return super().__getstate__() | {"pages": pages}

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        for plane, z in zip(out, zs, strict=True):
            self._read_plane(z, ys, xs, plane)

    def _read_plane(self, z: int, ys: range, xs: range, out: NDArray[Any]) -> None:
        place = self.pages[z]
        with readable(place.path):
            if place.pixels >= 0:
                plane = np.memmap(
                    place.path,
                    dtype=place.dtype,
                    mode="r",
                    offset=place.pixels,
                    shape=self.shape[1:],
                )
                out[...] = plane[as_slice(ys), as_slice(xs)]
                return
            with tifffile.TiffFile(place.path, _multifile=False) as tif:
                tif.filehandle.seek(place.directory)
                page = tifffile.TiffPage(tif, z)
                if ys.step == xs.step == 1:
                    _decode(page, tif.filehandle, ys, xs, out)
                    return
                # Strides are for samples and previews: the box is decoded, then thinned.
                rows, columns = range(ys[0], ys[-1] + 1), range(xs[0], xs[-1] + 1)
                box = np.empty((len(rows), len(columns)), self.dtype)
                _decode(page, tif.filehandle, rows, columns, box)
                out[...] = box[:: ys.step, :: xs.step]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file makes the TIFF library raise into one clear line."""
    try:
        yield
    except (HelasegError, HelasegWarning):
        raise
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror or error}); put it back and start again"
        raise DataFormatError(msg) from error
    except Exception as error:
        # Damaged headers lead the library and its codecs to errors of any type.
        reason = str(error).partition("\n")[0] or type(error).__name__
        msg = f"{path} cannot be read as TIFF ({reason}); it is damaged or cut short, copy it again"
        raise DataFormatError(msg) from error


def file_dtype(page: Any) -> np.dtype[Any]:
    """Type of the samples in the file, with their byte order."""
    return np.dtype(page.parent.byteorder + page.dtype.char)


def is_raw(page: Any) -> bool:
    """Return whether samples lie in the file as numpy would store them."""
    return bool(
        page.compression == 1
        and page.fillorder == 1
        and page.bitspersample == 8 * page.dtype.itemsize
        and not page.is_tiled
    )


def locate(path: Path, page: Any) -> PagePlace:
    """Find a page in its file, after a check that the file can hold its pixels.

    Raises
    ------
    DataFormatError
        If strips or tiles are missing, empty of size, absurdly large or beyond the
        end of the file.
    """
    keyframe = page.keyframe
    offsets, counts = page.dataoffsets, page.databytecounts
    rows, columns = _piece(keyframe)
    if min(rows, columns) < 1:
        msg = f"{path} cannot be read as TIFF: its strips or tiles are {rows} x {columns} pixels"
        raise DataFormatError(msg)
    height, width = keyframe.imagelength, keyframe.imagewidth
    n_pieces = -(-height // rows) * -(-width // columns)
    if len(offsets) != len(counts) or len(offsets) < n_pieces:
        msg = (
            f"{path} is damaged: a page of {n_pieces} strips or tiles lists {len(offsets)} places "
            f"and {len(counts)} sizes; copy the file again"
        )
        raise DataFormatError(msg)
    # Strips without bytes are blank and may point anywhere.
    ends = [offset + count for offset, count in zip(offsets, counts, strict=True) if count]
    check_length(path, max(ends, default=0))
    itemsize = keyframe.dtype.itemsize
    whole = height * width * itemsize
    piece_bytes, page_bytes = rows * columns * itemsize, sum(counts)
    too_large = piece_bytes > max(_SMALL_BYTES, _MOST_PADDING * whole)
    if too_large or (page_bytes and whole > max(_SMALL_BYTES, _MOST_COMPRESSION * page_bytes)):
        msg = (
            f"{path} is damaged: it declares {height} x {width} pixels in pieces of "
            f"{rows} x {columns}, which its {page_bytes} bytes cannot hold; copy the file again"
        )
        raise DataFormatError(msg)
    in_one_piece = (
        is_raw(keyframe)
        and page_bytes == whole
        and all(offsets[i] + counts[i] == offsets[i + 1] for i in range(len(offsets) - 1))
    )
    return PagePlace(
        path=path,
        directory=page.offset,
        pixels=offsets[0] if in_one_piece else -1,
        dtype=file_dtype(keyframe).str,
    )


def _piece(page: Any) -> tuple[int, int]:
    """Rows and columns of a strip or tile."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def _decode(page: Any, file: Any, ys: range, xs: range, out: NDArray[Any]) -> None:
    """Decode the strips or tiles that touch a box of one page into `out`.

    Notes
    -----
    One after the other, without threads: slices are what runs in parallel.
    """
    rows, columns = _piece(page)
    across = -(-page.imagewidth // columns)
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
            found = part[0, y0 - top : y1 - top, x0 - left : x1 - left, 0]
            if found.shape != target.shape:  # would be stretched to fit
                msg = (
                    f"{file.path} is damaged: a strip or tile holds only {part.shape[1]} x "
                    f"{part.shape[2]} pixels; copy the file again"
                )
                raise DataFormatError(msg)
            target[...] = found
