"""Files of zarr chunks: found under the name that is used, and checked before they are decoded."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr
from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore

from helaseg.errors import DataFormatError, DoubtfulDataWarning
from helaseg.io.declared_size import check_declared_size

_KEY = re.compile(r"(?:c[./])?(\d+(?:[./]\d+)*)")
_METADATA = frozenset(("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"))
_BLOSC_HEADER_BYTES = 16
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChunkForm:
    """Expected form of the file of a chunk.

    Parameters
    ----------
    codec : str
        Name of the outermost compression, empty for none.
    n_bytes : int, optional
        Bytes of a chunk without it; None if other codecs lie between.
    is_sharded : bool
        A file holds many chunks behind an index.
    """

    codec: str
    n_bytes: int | None
    is_sharded: bool

    @classmethod
    def of(cls, array: zarr.Array) -> ChunkForm:
        """Read the form from the metadata of an array."""
        n_bytes = math.prod(array.chunks) * array.dtype.itemsize
        codecs = [*array.filters, *array.compressors]
        name = _codec_name(codecs[-1]) if codecs else ""
        return cls(
            codec=name,
            n_bytes=n_bytes if len(codecs) <= 1 else None,
            is_sharded=array.shards is not None,
        )

    def check(self, path: Path, data: bytes) -> None:
        """Raise if a compressed chunk states another length than it has or must have.

        Raises
        ------
        DataFormatError
            If the file is cut short or holds another amount of data.

        Notes
        -----
        Blosc does not notice that a chunk ends early, and frames of zstd and gzip may
        inflate to any size: both state their sizes in the header or the trailer.
        """
        stated = len(data) if not self.codec else _stated_bytes(self.codec, data)
        if self.codec == "blosc":
            whole = len(data) >= _BLOSC_HEADER_BYTES and int.from_bytes(data[12:16], "little")
            if whole != len(data):
                raise _cut_short(path, f"its header promises {int(whole)} bytes, got {len(data)}")
        if self.n_bytes is None or stated is None or stated == self.n_bytes % 2**32:
            return
        if not self.codec and stated < self.n_bytes:
            raise _cut_short(path, f"it must hold {self.n_bytes} bytes, got {stated}")
        msg = (
            f"{path} is damaged: this chunk holds {stated} bytes, its array has chunks of "
            f"{self.n_bytes}; copy the folder again"
        )
        raise DataFormatError(msg)


class CheckedStore(LocalStore):
    """A folder whose chunks are checked when they are read.

    A chunk of no bytes or an index that ends early would read as zeros.
    """

    form: ChunkForm | None = None

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Read a file or a part of it."""
        found = await super().get(key, prototype, byte_range)
        if found is None or key.rpartition("/")[2] in _METADATA:
            return found
        path = self.root / key
        if len(found) == 0:
            raise _cut_short(path, "it is empty")
        if isinstance(byte_range, RangeByteRequest):
            if len(found) < byte_range.end - byte_range.start:
                raise _cut_short(path, f"it ends before byte {byte_range.end}")
        elif byte_range is None and self.form is not None and not self.form.is_sharded:
            self.form.check(path, found.to_bytes())
        return found


def open_checked_array(
    path: Path, *, separator: str | None = None, may_be_empty: bool = False
) -> zarr.Array:
    """Open an array for reading, with its chunks under the names that they have.

    Parameters
    ----------
    path : Path
        Folder of the array.
    separator : {".", "/"}, optional
        What joins the numbers of a chunk in its name, where that is known already;
        else the files are looked through.
    may_be_empty : bool
        Do not warn of an array without any file: it holds labels, of which there
        may be none.

    Returns
    -------
    zarr.Array
        Reads of it check each chunk.

    Raises
    ------
    DataFormatError
        If chunks are larger than the memory, or are named in another way than the
        metadata say and cannot be read in that way.

    Warns
    -----
    DoubtfulDataWarning
        If no chunk is stored at all, so that every voxel has the fill value.

    Notes
    -----
    In version 2 of the format the separator may be left unstated, and copies between
    kinds of storage change it: arrays whose chunks all have the other separator are
    read with that one.
    """
    store = CheckedStore(path, read_only=True)
    array: zarr.Array = zarr.open_array(store, mode="r")
    if separator is None:
        separator = _separator_on_disk(path, array, may_be_empty)
    metadata: Any = array.metadata
    if metadata.zarr_format == 2 and metadata.dimension_separator != separator:
        changed = dataclasses.replace(metadata, dimension_separator=separator)
        inner: Any = zarr.AsyncArray(metadata=changed, store_path=array.store_path)
        array = zarr.Array(inner)
    block = array.shards or array.chunks
    check_declared_size(path, math.prod(block) * array.dtype.itemsize, "a chunk")
    store.form = ChunkForm.of(array)
    return array


def settle() -> None:
    """Wait for the reads that a failed one has left; at exit each would print a message."""
    from zarr.core.sync import sync

    async def wait() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    sync(wait())


def _separator_on_disk(path: Path, array: zarr.Array, may_be_empty: bool) -> str:
    """The separator that the names of the chunks have."""
    metadata: Any = array.metadata
    v2 = metadata.zarr_format == 2
    stated = metadata.dimension_separator if v2 else metadata.chunk_key_encoding.separator
    block = array.shards or array.chunks
    counts = [-(-n // k) for n, k in zip(array.shape, block, strict=True)]
    n_fitting = n_foreign = 0
    others: set[str] = set()
    for name in _files(path):
        match = _KEY.fullmatch(name)
        place = [int(k) for k in re.split("[./]", match[1])] if match else []
        if len(place) != len(counts) or any(k >= n for k, n in zip(place, counts, strict=True)):
            n_foreign += 1
        elif name == metadata.encode_chunk_key(tuple(place)):
            n_fitting += 1
        else:
            others.add("/" if "/" in name.removeprefix("c/") else ".")
    if others:
        if v2 and not n_fitting and len(others) == 1:
            return others.pop()
        msg = (
            f"{path} holds chunks whose names do not fit its metadata (numbers joined by "
            f"{' or '.join(sorted(others))}, stated is {stated}); copy the folder again"
        )
        raise DataFormatError(msg)
    if not n_fitting and 0 not in array.shape and (n_foreign or not may_be_empty):
        beside = f", though {n_foreign} other files are there" if n_foreign else ""
        msg = (
            f"{path} holds no chunk{beside}: every voxel reads as {array.fill_value}; "
            "if that is not expected, copy the folder again"
        )
        warnings.warn(msg, DoubtfulDataWarning, stacklevel=2)
    return str(stated)


def _files(folder: Path, before: str = "") -> Iterator[str]:
    """Files of an array but for its metadata, relative to its folder, with slashes."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(Path(entry.path), f"{before}{entry.name}/")
            elif entry.name not in _METADATA:
                yield before + entry.name


def _codec_name(codec: Any) -> str:
    """The name of a codec of either version of the format, such as "blosc"."""
    name = getattr(codec, "codec_id", None) or codec.to_dict().get("name", "unknown")
    return str(name)


def _stated_bytes(codec: str, data: bytes) -> int | None:
    """Bytes that a compressed chunk says to inflate to, modulo 2^32; None if it does not say."""
    if codec == "blosc":
        return int.from_bytes(data[4:8], "little")
    if codec == "gzip" and data[:2] == b"\x1f\x8b":
        return int.from_bytes(data[-4:], "little")
    if codec == "lz4":
        return int.from_bytes(data[:4], "little")
    if codec == "zstd":
        return _zstd_bytes(data)
    return None


def _zstd_bytes(data: bytes) -> int | None:
    """Content size in the header of a zstd frame (RFC 8878, section 3.1.1.1)."""
    if not data.startswith(_ZSTD_MAGIC) or len(data) < 6:
        return None
    descriptor = data[4]
    is_single, kind = descriptor >> 5 & 1, descriptor >> 6
    start = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    n = (is_single, 2, 4, 8)[kind]
    if n == 0:
        return None
    size = int.from_bytes(data[start : start + n], "little")
    return (size + 256 if n == 2 else size) % 2**32


def _cut_short(path: Path, how: str) -> DataFormatError:
    return DataFormatError(f"{path} is cut short: {how}; copy the folder again")
