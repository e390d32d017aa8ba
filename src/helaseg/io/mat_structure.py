"""Structure of MATLAB files of version 5 to 7, checked before they are read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from helaseg.errors import DataFormatError
from helaseg.io.declared_size import check_declared_size

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
#: Types of data elements that hold numbers or text.
_DATA_TYPES = frozenset((*range(1, 8), 9, 12, 13, 16, 17, 18))
#: Types of the first elements of a matrix: flags, dimensions, name.
_HEAD_TYPES = ((6,), (5,), (1, 2, 16))
#: Classes of matrices that hold numbers.
_NUMERIC_CLASSES = range(6, 16)


def check_mat_structure(path: Path) -> None:
    """Raise unless the variables of a MATLAB file are whole.

    Parameters
    ----------
    path : Path
        A file of version 5 to 7; others are left to their readers.

    Raises
    ------
    DataFormatError
        If an element ends beyond the file or its variable, has an unknown type, or
        inflates to another size than it says.

    Notes
    -----
    The reader of scipy takes types and lengths as they are and may end the process on
    damaged ones.

    References
    ----------
    MAT-File Format, The MathWorks, "Level 5 MAT-File Format".
    """
    content = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or len(content) < _HEADER_BYTES:
        return  # version 4, or not a MATLAB file: its reader says so
    at = _HEADER_BYTES
    while at < len(content):
        if at + 8 > len(content):
            raise _damaged(path, "it ends inside a variable")
        kind, n = struct.unpack_from(order + "II", content, at)
        body = content[at + 8 : at + 8 + n]
        if len(body) < n:
            raise _damaged(path, f"a variable of {n} bytes has {len(body)}")
        if kind == _COMPRESSED:
            body = _inflated(path, body, order)
        elif kind != _MATRIX:
            raise _damaged(path, f"a variable has the unknown type {kind}")
        _check_matrix(path, body, order)
        at += 8 + n


def _inflated(path: Path, body: bytes, order: str) -> bytes:
    """Content of a compressed variable, of which no more is inflated than it says."""
    try:
        inflater = zlib.decompressobj()
        tag = inflater.decompress(body, 8)
        kind, n = struct.unpack(order + "II", tag)
        check_declared_size(path, n, "a variable")
        content = inflater.decompress(inflater.unconsumed_tail, n + 1)
    except (zlib.error, struct.error) as error:
        raise _damaged(path, f"a variable cannot be inflated: {error}") from error
    if kind != _MATRIX or len(content) != n:
        raise _damaged(path, f"a variable of type {kind} inflates to {len(content)} bytes, not {n}")
    return content


def _check_matrix(path: Path, body: bytes, order: str) -> None:
    if not body:
        return
    elements = _elements(path, body, order)
    kind_of_class = 0
    for allowed in _HEAD_TYPES:
        kind, start, n = next(elements, (0, 0, 0))
        if kind not in allowed:
            raise _damaged(path, f"the head of a variable has an element of type {kind}")
        if kind == 6 and n >= 4:
            kind_of_class = struct.unpack_from(order + "I", body, start)[0] & 0xFF
    if kind_of_class in _NUMERIC_CLASSES:
        for kind, _, _ in elements:
            if kind not in _DATA_TYPES:
                raise _damaged(path, f"the data of a variable have the unknown type {kind}")


def _elements(path: Path, body: bytes, order: str) -> Iterator[tuple[int, int, int]]:
    """Type, start and length of each element; short ones lie inside their own tag."""
    at = 0
    while at + 8 <= len(body):
        kind, n = struct.unpack_from(order + "II", body, at)
        start = at + 8
        if kind >> 16:
            kind, n, start = kind & 0xFFFF, kind >> 16, at + 4
            at += 8
        else:
            at += 8 + n + (-n % 8)
        if start + n > len(body) or (start == at - 4 and n > 4):
            raise _damaged(path, f"an element of {n} bytes does not fit into its variable")
        yield kind, start, n


def _damaged(path: Path, how: str) -> DataFormatError:
    return DataFormatError(f"{path} is damaged or cut short: {how}; copy the file again")
