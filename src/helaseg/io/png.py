"""PNG slices as a lazy volume."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.errors import DataFormatError
from helaseg.io.lazy import LazyArray, as_slice
from helaseg.io.regular_file import check_regular_file
from helaseg.io.slice_names import check_gaps, numbered_slices
from helaseg.io.units import Geometry

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">II5B")
_COLOURS = {2: "colours", 3: "a palette", 4: "transparency", 6: "colours and transparency"}
#: Deflate makes nothing smaller than by this factor.
_MOST_COMPRESSION = 1100


class PngStack(LazyArray):
    """PNG files of one size and type as a volume; a read decodes whole slices.

    Parameters
    ----------
    files : sequence of Path
        One per slice.
    shape : tuple of int
        Voxels along z, y, x.
    dtype : numpy dtype
        uint8 or uint16.
    """

    def __init__(self, *, files: Sequence[Path], shape: tuple[int, int, int], dtype: Any) -> None:
        super().__init__(shape=shape, dtype=dtype)
        self.files = tuple(files)

    def source_of(self, z: int) -> str:
        """The file that holds a slice."""
        return str(self.files[z])

    def source_files(self) -> Iterable[Path]:
        """One file per slice."""
        return self.files

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"files": tuple(f.absolute() for f in self.files)}

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        import imagecodecs

        for plane, z in zip(out, zs, strict=True):
            file = self.files[z]
            try:
                whole = imagecodecs.png_decode(file.read_bytes())
            except (OSError, ValueError, RuntimeError) as error:  # PngError is a RuntimeError
                msg = f"{file} cannot be read as PNG ({error}); copy it again"
                raise DataFormatError(msg) from error
            if whole.shape != self.shape[1:] or whole.dtype != self.dtype:
                msg = f"{file} has changed since it was opened; start again"
                raise DataFormatError(msg)
            plane[...] = whole[as_slice(ys), as_slice(xs)]


def open_png_slices(
    folder: Path, files: Sequence[Path], *, allow_gaps: bool
) -> tuple[LazyArray, Geometry, tuple[int, ...]]:
    """Open PNG slices, in the order of the numbers in their names.

    Parameters
    ----------
    folder : Path
        For messages.
    files : sequence of Path
        The slices, grey and with 8 or 16 bits.
    allow_gaps : bool
        Take the slices that are there as neighbours.

    Returns
    -------
    LazyArray, Geometry, tuple of int
        The volume, a voxel size that is not stated, the numbers.

    Raises
    ------
    MissingSlicesError
        If numbers are missing and `allow_gaps` is not set.
    DataFormatError
        If a file is no PNG, is cut short or not grey, or if sizes or types differ.
    """
    numbered = numbered_slices(folder, files)
    if not allow_gaps:
        check_gaps(folder, [number for number, _ in numbered])
    first_file = numbered[0][1]
    first = _read_header(first_file)
    for _, file in numbered[1:]:
        if (this := _read_header(file)) != first:
            words = [f"{y} x {x} pixels of {dtype}" for y, x, dtype in (this, first)]
            msg = (
                f"{file} has {words[0]}, {first_file.name} has {words[1]}; "
                "all slices of a folder must have one size and type"
            )
            raise DataFormatError(msg)
    height, width, dtype = first
    data = PngStack(
        files=[file for _, file in numbered], shape=(len(numbered), height, width), dtype=dtype
    )
    return data, Geometry(), tuple(number for number, _ in numbered)


def _read_header(path: Path) -> tuple[int, int, np.dtype[Any]]:
    """Height, width and type, after a walk through the chunks to the end of the file."""
    size = check_regular_file(path).stat().st_size
    with path.open("rb") as file:
        head = file.read(33)
        if not head.startswith(_SIGNATURE) or len(head) < 33 or head[12:16] != b"IHDR":
            msg = f"{path} is not a PNG file; it is damaged, or its name has the wrong ending"
            raise DataFormatError(msg)
        width, height, bits, colour, *_ = _HEADER.unpack(head[16:29])
        at, kind = 8, b""
        while kind != b"IEND":
            file.seek(at)
            chunk = file.read(8)
            n = int.from_bytes(chunk[:4], "big")
            if len(chunk) < 8 or at + 12 + n > size:
                msg = f"{path} is cut short: it ends inside a block; copy the file again"
                raise DataFormatError(msg)
            at, kind = at + 12 + n, chunk[4:]
    if colour != 0 or bits not in (8, 16):
        kind_text = _COLOURS.get(colour, f"{bits} bits per pixel")
        msg = f"{path} must be grey with 8 or 16 bits, it has {kind_text}; convert it first"
        raise DataFormatError(msg)
    if height * width * bits // 8 > _MOST_COMPRESSION * size:
        msg = (
            f"{path} is damaged: it declares {height} x {width} pixels, which its {size} bytes "
            "cannot hold; copy the file again"
        )
        raise DataFormatError(msg)
    return height, width, np.dtype(np.uint8 if bits == 8 else np.uint16)
