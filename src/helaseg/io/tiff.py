"""TIFF files and folders of TIFF slices as lazy volumes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from helaseg.errors import DataFormatError, DoubtfulDataWarning
from helaseg.io.lazy import LazyArray, MappedArray
from helaseg.io.regular_file import check_regular_file
from helaseg.io.slice_names import check_gaps, numbered_slices
from helaseg.io.tiff_directories import count_directories
from helaseg.io.tiff_geometry import tiff_geometry
from helaseg.io.tiff_promise import check_promise
from helaseg.io.tiff_stack import TiffStack, file_dtype, is_raw, locate, readable
from helaseg.io.units import Geometry

TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf2", ".tf8")

#: A stack of more images than this is no set of channels.
_MOST_CHANNELS = 4

#: Value of the tag of a page in which the smallest number is white.
_WHITE_IS_ZERO = 0


def open_tiff(path: Path) -> tuple[LazyArray, Geometry]:
    """Open one TIFF file: a page, a stack, ImageJ, OME-TIFF or BigTIFF.

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
        If it cannot be read, is cut short, holds fewer images than it says, holds
        colours, channels or time points, or pages of different sizes or types.

    Warns
    -----
    DoubtfulDataWarning
        If it holds more than one image.

    Notes
    -----
    Grey values are those in the file: palettes and "white is zero" are not
    applied, so that masks and labels keep their numbers. A single stack along time
    or more than four channels is taken as z, since many writers name it so. Of a
    pyramid the full resolution is read, of several images in an OME-TIFF the first one.
    Pages may differ in compression.
    """
    with readable(path):
        n_pages = count_directories(path)
        with tifffile.TiffFile(path) as tif:
            check_promise(path, tif, n_pages)
            pages = _full_pages(path, tif)
            if pages is None:
                data, keyframe = _open_series(path, tif)
            else:
                keyframe = pages[0]
                _check_page(path, keyframe)
                data = _stack([(path, page) for page in pages], keyframe)
            return data, tiff_geometry(tif)


def open_tiff_folder(
    folder: Path, files: Sequence[Path], *, allow_gaps: bool
) -> tuple[LazyArray, Geometry, tuple[int, ...]]:
    """Open a folder of single-page TIFF slices, in the order of the numbers in their names.

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
        As `open_tiff`, and for slices of different sizes or types, or of which some
        are stored with white as zero.
    """
    numbered = numbered_slices(folder, files)
    if not allow_gaps:
        check_gaps(folder, [number for number, _ in numbered])
    geometry = Geometry()
    first: tuple[Path, Any] | None = None
    pages = []
    for _, path in numbered:
        with readable(check_regular_file(path)):
            n_pages = count_directories(path)
            # An OME slice may name its whole stack: each file is read alone.
            with tifffile.TiffFile(path, _multifile=False) as tif:
                if n_pages != 1 or len(tif.pages) != 1:
                    msg = f"{path} must be a single slice, it holds {n_pages} pages"
                    raise DataFormatError(msg)
                page: Any = tif.pages[0]
                if not tif.is_ome:
                    check_promise(path, tif, n_pages)
                _check_page(path, page)
                if first is None:
                    first = path, page
                    geometry = tiff_geometry(tif)
                _check_same(path, page, *first)
                pages.append(locate(path, page))
    assert first is not None
    keyframe = first[1]
    shape = (len(pages), keyframe.imagelength, keyframe.imagewidth)
    return (
        TiffStack(pages=pages, shape=shape, dtype=keyframe.dtype),
        geometry,
        tuple(number for number, _ in numbered),
    )


def _full_pages(path: Path, tif: tifffile.TiffFile) -> list[Any] | None:
    """Pages of a stack that the library divides into several series; None if there is one.

    It divides by compression and predictor, and sets reduced copies of a page apart.
    """
    if tif.is_ome or tif.is_imagej or len(tif.series) == 1:
        return None
    every: Sequence[Any] = tif.pages[:]
    pages = [page for page in every if not page.is_reduced]
    if not pages:
        return None
    for page in pages[1:]:
        if _kind(page) != _kind(pages[0]):
            shapes = ", ".join(str(s.shape) for s in tif.series[:4])
            msg = f"{path} must hold pages of one size and type, got {shapes}; split the file"
            raise DataFormatError(msg)
        _check_same(path, page, path, pages[0])
    return pages


def _kind(page: Any) -> tuple[Any, ...]:
    return page.shape, page.dtype, page.samplesperpixel


def _open_series(path: Path, tif: tifffile.TiffFile) -> tuple[LazyArray, Any]:
    """The first series of a file, and its first page."""
    if not tif.series:
        msg = f"{path} holds no image"
        raise DataFormatError(msg)
    series = tif.series[0]
    keyframe: Any = series.keyframe
    _check_page(path, keyframe)
    n_slices = _count_slices(path, series)
    _tell_other_images(path, tif.series, n_slices)
    if series.dataoffset is not None and is_raw(keyframe):
        return MappedArray(
            path=path,
            offset=series.dataoffset,
            shape=(n_slices, keyframe.imagelength, keyframe.imagewidth),
            dtype=file_dtype(keyframe),
        ), keyframe
    places = []
    for page in series.pages:
        if page is None:
            msg = f"{path} is an OME-TIFF that lacks slices: a file it names is not there"
            raise DataFormatError(msg)
        places.append((Path(page.parent.filehandle.path), page))
    if len(places) != n_slices:
        msg = f"{path} is cut short: it describes {n_slices} slices, {len(places)} are there"
        raise DataFormatError(msg)
    return _stack(places, keyframe), keyframe


def _tell_other_images(path: Path, images: Sequence[Any], n_slices: int) -> None:
    """Refuse a stack that is stored as one image per slice, warn of other images."""
    first, others = images[0], images[1:]
    if not others:
        return
    alike = sum(i.shape == first.shape and i.dtype == first.dtype for i in images)
    if n_slices == 1 and alike > 1:
        msg = (
            f"{path} holds {alike} images of one slice, {first.shape[-2]} x {first.shape[-1]} "
            "pixels each; save them as one stack along z, or as a folder of slices"
        )
        raise DataFormatError(msg)
    shapes = ", ".join(" x ".join(map(str, i.shape)) for i in others[:3])
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    msg = (
        f"{path} holds {len(images)} images: the first one is read, the others ({shapes}{more} "
        "pixels) are left out; save the one that is meant by itself"
    )
    warnings.warn(msg, DoubtfulDataWarning, stacklevel=2)


def _stack(pages: Sequence[tuple[Path, Any]], keyframe: Any) -> TiffStack:
    return TiffStack(
        pages=[locate(path, page) for path, page in pages],
        shape=(len(pages), keyframe.imagelength, keyframe.imagewidth),
        dtype=keyframe.dtype,
    )


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


def _check_same(path: Path, page: Any, first_path: Path, first: Any) -> None:
    """Raise unless two slices have one size, type and meaning of grey; byte order may differ."""
    this, that = (
        ((p.imagelength, p.imagewidth), np.dtype(p.dtype).newbyteorder("=")) for p in (page, first)
    )
    if this != that:
        words = [f"{y} x {x} pixels of {dtype}" for (y, x), dtype in (this, that)]
        msg = (
            f"{path} has {words[0]}, {first_path.name} has {words[1]}; "
            "all slices of a folder must have one size and type"
        )
        raise DataFormatError(msg)
    white = [p.photometric == _WHITE_IS_ZERO for p in (page, first)]
    if white[0] != white[1]:
        odd, other = (path, first_path.name) if white[0] else (first_path, path.name)
        pages = f" (pages {first.index} and {page.index})" if path == first_path else ""
        msg = (
            f"{odd} stores white as zero, {other} does not{pages}: one of them would come out "
            "inverted; save all slices alike"
        )
        raise DataFormatError(msg)


def _count_slices(path: Path, series: Any) -> int:
    """Count the slices of a series; channels and time points are refused."""
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
