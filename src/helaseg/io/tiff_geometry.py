"""Voxel size and offset as TIFF files state them."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

import tifffile

from helaseg.io.units import LARGEST_PRINTED_PIXEL_NM, Geometry, nm_per_unit, rounded

_NM_PER_RESOLUTION_UNIT = {2: 2.54e7, 3: 1e7}
_XML_NAMESPACE = re.compile(r"\{.*?\}")


def tiff_geometry(tif: tifffile.TiffFile) -> Geometry:
    """Read the geometry from the first page and the description of a TIFF.

    Parameters
    ----------
    tif : tifffile.TiffFile
        The open file.

    Returns
    -------
    Geometry
        Voxel size in nm, None per axis where it is not stated.

    Notes
    -----
    The first of these that states something wins:

    1. OME-XML: ``PhysicalSizeX/Y/Z`` with their units (micrometres where no
       unit is given, as the OME schema says) and the position of the first plane.
    2. An ImageJ description: ``unit`` (``yunit`` and ``zunit`` where the axes
       differ), ``spacing``, the resolution tags in pixels per unit, and
       ``xorigin``, ``yorigin``, ``zorigin`` in voxels. An axis without a unit of
       length is not stated.
    3. The resolution tags in inches or centimetres for y and x. Pixels over
       10 µm are resolutions of print (72 dpi) and not believed; the tags say
       nothing about z, which then comes from ``spacing`` and ``unit`` of a
       description that tifffile wrote, or stays unknown.
    """
    if tif.is_ome and tif.ome_metadata:
        return _from_ome(tif.ome_metadata)
    page: Any = tif.pages[0]
    if tif.is_imagej and tif.imagej_metadata:
        return _from_imagej(tif.imagej_metadata, page)
    described = dict((tif.shaped_metadata or ({},))[0]) if tif.is_shaped else {}
    unit = _NM_PER_RESOLUTION_UNIT.get(_tag(page, "ResolutionUnit"))
    y = x = None
    if unit is not None:
        y, x = (_believed(_pixel(page, name, unit)) for name in ("YResolution", "XResolution"))
    return Geometry(voxel_size_nm=(_spacing(described), y, x), offset_vx=_offset(described))


def _tag(page: Any, name: str) -> Any:
    tag = page.tags.get(name)
    return None if tag is None else tag.value


def _pixel(page: Any, name: str, nm: float) -> float | None:
    """Size of a pixel in nm from a resolution in pixels per unit."""
    value = _tag(page, name)
    if not isinstance(value, tuple) or len(value) != 2 or min(value) <= 0:
        return None
    return rounded(nm * value[1] / value[0])


def _believed(size_nm: float | None) -> float | None:
    return None if size_nm is None or size_nm > LARGEST_PRINTED_PIXEL_NM else size_nm


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _spacing(described: Mapping[str, Any]) -> float | None:
    nm = nm_per_unit(described.get("zunit", described.get("unit")))
    spacing = _number(described.get("spacing"))
    return rounded(spacing * nm) if nm is not None and spacing else None


def _offset(described: Mapping[str, Any]) -> tuple[float, float, float]:
    # The origin of ImageJ is the voxel at which the coordinates are zero.
    z, y, x = (-(_number(described.get(f"{axis}origin")) or 0.0) for axis in "zyx")
    return z, y, x


def _from_imagej(described: Mapping[str, Any], page: Any) -> Geometry:
    """Read each axis in its own unit; ``yunit`` and ``zunit`` stand where they differ."""
    sizes: list[float | None] = []
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        nm = nm_per_unit(described.get(f"{axis}unit", described.get("unit")))
        size = None if nm is None else _pixel(page, tag, nm)
        sizes.append(_believed(size) if nm == nm_per_unit("inch") else size)
    y, x = sizes
    if (_spacing(described), y, x) == (None, None, None):
        return Geometry()
    return Geometry(voxel_size_nm=(_spacing(described), y, x), offset_vx=_offset(described))


def _from_ome(text: str) -> Geometry:
    try:
        root = ET.fromstring(text)
    except ET.ParseError:
        return Geometry()
    pixels = next((e for e in root.iter() if xml_name(e) == "Pixels"), None)
    if pixels is None:
        return Geometry()
    sizes = [_length(pixels, f"PhysicalSize{axis}", default="µm") for axis in "ZYX"]
    # A size of zero or below is a placeholder.
    sizes = [s if s is not None and s > 0 else None for s in sizes]
    plane = next((e for e in pixels if xml_name(e) == "Plane"), None)
    offset = [0.0, 0.0, 0.0]
    if plane is not None:
        for i, (axis, size) in enumerate(zip("ZYX", sizes, strict=True)):
            # Without a unit a position is in the frame of a stage, not a length.
            position = _length(plane, f"Position{axis}", default="reference frame")
            if position is not None and size is not None:
                offset[i] = position / size
    z, y, x = sizes
    return Geometry(voxel_size_nm=(z, y, x), offset_vx=(offset[0], offset[1], offset[2]))


def xml_name(element: ET.Element) -> str:
    """Name of an element without its namespace."""
    return _XML_NAMESPACE.sub("", element.tag)


def _length(element: ET.Element, name: str, *, default: str) -> float | None:
    value = _number(element.get(name))
    nm = nm_per_unit(element.get(f"{name}Unit", default))
    return None if value is None or nm is None else rounded(value * nm)
