"""Number of images that the description of a TIFF file promises, against the number in it."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tifffile

from helaseg.errors import DataFormatError
from helaseg.io.tiff_geometry import xml_name

#: More planes than any stack has; lists of them would fill the memory.
_MOST_PLANES = 1_000_000


def check_promise(path: Path, tif: tifffile.TiffFile, n_pages: int) -> None:
    """Raise if a TIFF file holds other images than its description says.

    Parameters
    ----------
    path : Path
        For messages.
    tif : tifffile.TiffFile
        The open file.
    n_pages : int
        Number of its directories.

    Raises
    ------
    DataFormatError
        If there are fewer images than ``images``, ``slices``, ``channels`` and
        ``frames`` of ImageJ, ``SizeZ``, ``SizeC`` and ``SizeT`` of OME or the
        shape that tifffile noted; if ImageJ counts fewer than there are; or if
        the file is one of several whose description lies in another file.

    Notes
    -----
    ImageJ writes large stacks with a single directory, behind which all slices lie
    in one piece. Such a file must be long enough for them.
    """
    page: Any = tif.pages[0]
    if tif.is_ome:
        _check_ome(path, tif.ome_metadata or "", page, n_pages)
    elif tif.is_imagej:
        promised = _imagej_images(tif.imagej_metadata or {})
        if n_pages == 1 and promised > 1:
            _check_single_directory(path, page, promised)
        elif n_pages < promised:
            raise _too_few(path, promised, n_pages)
        elif 1 < promised < n_pages:
            msg = (
                f"{path} holds {n_pages} pages, its ImageJ description counts {promised}; "
                "save the stack again in Fiji so that both agree"
            )
            raise DataFormatError(msg)
    elif tif.is_shaped:
        _check_shaped(path, tif, page, n_pages)


def _imagej_images(described: Mapping[str, Any]) -> int:
    images = _count(described, "images")
    product = math.prod(_count(described, axis) for axis in ("channels", "slices", "frames"))
    return max(images, product)


def _count(described: Mapping[str, Any], key: str) -> int:
    value = described.get(key, 1)
    return value if isinstance(value, int) and value > 0 else 1


def _check_single_directory(path: Path, page: Any, promised: int) -> None:
    """All slices follow the first in one piece."""
    if page.compression != 1 or not page.is_contiguous:
        raise _too_few(path, promised, 1)
    need = page.dataoffsets[0] + promised * page.nbytes
    if need > (there := path.stat().st_size):
        msg = (
            f"{path} is cut short: its {promised} slices take {need} bytes, there are {there}; "
            "copy the file again"
        )
        raise DataFormatError(msg)


def _check_shaped(path: Path, tif: tifffile.TiffFile, page: Any, n_pages: int) -> None:
    described = (tif.shaped_metadata or ({},))[0]
    try:
        shape = [int(n) for n in described.get("shape", ())]
    except (TypeError, ValueError):
        return
    n_voxels, in_page = math.prod(shape), math.prod(page.shape)
    promised = -(-n_voxels // in_page) if in_page else 0
    if promised <= n_pages:
        return
    if n_pages == 1 and described.get("truncated"):
        _check_single_directory(path, page, promised)
        return
    raise _too_few(path, promised, n_pages)


def _check_ome(path: Path, text: str, page: Any, n_pages: int) -> None:
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        msg = f"{path} holds a damaged description of OME ({error}); copy the file again"
        raise DataFormatError(msg) from error
    for element in root.iter():
        if xml_name(element) == "BinaryOnly":
            companion = element.get("MetadataFile") or "another file"
            msg = (
                f"{path} is one file of an image in several, described in {companion}; put its "
                "slices in a folder of their own and give the folder, or join them to one file"
            )
            raise DataFormatError(msg)
    pixels = next((e for e in root.iter() if xml_name(e) == "Pixels"), None)
    if pixels is None:
        return
    samples = max(1, page.samplesperpixel)
    try:
        n_z, n_t, n_c = (int(pixels.get(f"Size{axis}", "1")) for axis in "ZTC")
    except ValueError as error:
        msg = f"{path} holds a damaged description of OME ({error}); copy the file again"
        raise DataFormatError(msg) from error
    promised = n_z * n_t * max(1, n_c // samples)
    files = {e.get("FileName") for e in pixels.iter() if xml_name(e) == "UUID"} - {None}
    in_several = bool(files - {path.name})
    if promised > (_MOST_PLANES if in_several else n_pages):
        raise _too_few(path, promised, n_pages)


def _too_few(path: Path, promised: int, n_pages: int) -> DataFormatError:
    msg = (
        f"{path} is cut short: its description promises {promised} images, it holds {n_pages}; "
        "copy the file again, or save what is left as a stack of its own"
    )
    return DataFormatError(msg)
