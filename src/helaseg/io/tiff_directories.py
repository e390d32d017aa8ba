"""Directories of a TIFF file: a file that was cut short ends inside their chain."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from helaseg.errors import DataFormatError

#: Bytes of a value of each type; types that TIFF does not know count as bytes.
_VALUE_BYTES = {2: 1, 3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

#: Tags without which pixels cannot be found or understood: size, type, compression, description,
#: strips, resolution, predictor, colours, tiles, sub-directories, sample format.
_NEEDED = frozenset(
    (
        *range(254, 260),
        262,
        270,
        273,
        277,
        278,
        279,
        282,
        283,
        317,
        320,
        322,
        323,
        324,
        325,
        330,
        339,
    )
)

#: More directories than this are a chain that was made to keep a reader busy.
_MOST_DIRECTORIES = 10_000_000


def count_directories(path: Path) -> int:
    """Follow the chain of directories of a TIFF file to its end.

    Parameters
    ----------
    path : Path
        A TIFF or BigTIFF of either byte order.

    Returns
    -------
    int
        Number of directories, at least one.

    Raises
    ------
    DataFormatError
        If the file has no directory, if one of them or a value that is needed to
        find pixels lies beyond the end of the file, or if the chain is circular.

    Notes
    -----
    Libraries end the list of pages where a directory cannot be read, so that a
    file that a broken copy cut short opens with fewer slices. Pixels are not read.

    References
    ----------
    TIFF Revision 6.0, Adobe (1992), section 2.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        order, big = _read_header(path, file)
        head = struct.Struct(order + ("Q" if big else "H"))
        entry = struct.Struct(order + ("HHQQ" if big else "HHII"))
        link = struct.Struct(order + ("Q" if big else "I"))
        file.seek(8 if big else 4)
        (offset,) = link.unpack(_read(path, file, link.size))
        seen: set[int] = set()
        while offset:
            if offset in seen or len(seen) > _MOST_DIRECTORIES:
                msg = (
                    f"{path} cannot be read as TIFF: its chain of pages is circular; copy it again"
                )
                raise DataFormatError(msg)
            seen.add(offset)
            if offset + head.size > size:
                raise _cut_short(path, len(seen), size)
            file.seek(offset)
            (n_entries,) = head.unpack(file.read(head.size))
            body_bytes = n_entries * entry.size + link.size
            if offset + head.size + body_bytes > size:
                raise _cut_short(path, len(seen), size)
            body = file.read(body_bytes)
            for tag, kind, count, value in entry.iter_unpack(body[: -link.size]):
                n_bytes = count * _VALUE_BYTES.get(kind, 1)
                outside = n_bytes > link.size and value + n_bytes > size
                if outside and tag in _NEEDED:
                    raise _cut_short(path, len(seen), size)
            (offset,) = link.unpack(body[-link.size :])
    if not seen:
        msg = f"{path} holds no image; it is a TIFF without pages"
        raise DataFormatError(msg)
    return len(seen)


def _read_header(path: Path, file: BinaryIO) -> tuple[str, bool]:
    """Byte order, and whether it is a BigTIFF."""
    first = _read(path, file, 4)
    order = {b"II": "<", b"MM": ">"}.get(first[:2])
    version = struct.unpack((order or "<") + "H", first[2:])[0]
    if order is None or version not in (42, 43):
        msg = f"{path} cannot be read as TIFF (it starts with {first!r}); is it another format?"
        raise DataFormatError(msg)
    return order, version == 43


def _read(path: Path, file: BinaryIO, n: int) -> bytes:
    found = file.read(n)
    if len(found) < n:
        raise _cut_short(path, 1, path.stat().st_size)
    return found


def _cut_short(path: Path, page: int, size: int) -> DataFormatError:
    msg = (
        f"{path} is cut short: the description of page {page} lies beyond its end "
        f"({size} bytes); copy the file again"
    )
    return DataFormatError(msg)
