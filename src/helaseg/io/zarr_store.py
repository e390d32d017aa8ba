"""Zarr arrays on disk: their layout in chunks and shards, and the levels of a pyramid."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
import zarr.codecs
from numpy.typing import DTypeLike, NDArray

from helaseg._validate import as_int_zyx, check_choice
from helaseg.core.grid import Grid, IntZYX, Roi
from helaseg.errors import DataFormatError, JobError, ParameterError
from helaseg.io.ngff import ome_attributes
from helaseg.io.pyramid import downsample, pyramid_factors

PathLike = str | os.PathLike[str]
Shards = Sequence[int] | Literal["auto"] | None

# A slab of 8 slices is what a whole-frame writer must hold at once (8192 x 8192
# uint16: 1 GB); 1024 x 1024 in a file keeps a 35 GB volume at some 4000 files.
CHUNK_VX: IntZYX = (8, 256, 256)
SHARD_VX: IntZYX = (8, 1024, 1024)

Layout = tuple[Sequence[int], Sequence[int] | None]


def open_node(where: Path, mode: Literal["r", "r+"] = "r") -> Any:
    """The group or array at a path."""
    if not where.exists():
        msg = f"expected a zarr folder, there is no {where}"
        raise DataFormatError(msg)
    try:
        if any((where / mark).is_file() for mark in (".zgroup", "zarr.json")):
            try:
                # The copy of all metadata at the top may be older than the arrays.
                return zarr.open_group(where, mode=mode, use_consolidated=False)
            except zarr.errors.ContainsArrayError:
                pass
        return zarr.open_array(where, mode=mode)
    except Exception as error:  # zarr has many errors for a folder that is not its own
        reason = str(error).partition("\n")[0]
        msg = f"expected an OME-Zarr image or a zarr array, {where} is not ({reason})"
        raise DataFormatError(msg) from error


def images_inside(group: zarr.Group, depth: int = 3) -> list[str]:
    """List the OME-Zarr images in a group, which may be one itself ("").

    A group that shows an image of a group below it, for viewers, is not one itself.
    """
    found = ome_attributes(group.attrs.asdict()).get("multiscales")
    if found and not _is_of_another(found):
        return [""]
    inside = []
    for name, child in sorted(group.groups()) if depth else ():
        inside += [f"{name}/{deeper}".rstrip("/") for deeper in images_inside(child, depth - 1)]
    return inside


def _is_of_another(multiscales: Any) -> bool:
    try:
        return "/" in str(multiscales[0]["datasets"][0]["path"])
    except (TypeError, KeyError, IndexError):
        return False


def stored_dtype(dtype: DTypeLike, *, labels: bool) -> np.dtype[Any]:
    """The dtype on disk: bools become uint8, the byte order that of this machine."""
    kind = np.dtype(dtype)
    if kind.kind not in ("bui" if labels else "buif"):
        what = "integers" if labels else "numbers"
        msg = f"'dtype' must be one of {what}, got {kind}"
        raise ParameterError(msg)
    return np.dtype(np.uint8) if kind.kind == "b" else kind.newbyteorder("=")


def plan_layout(chunks: Sequence[int] | None, shards: Shards) -> Layout:
    """Chunks and shards that fit together, before they are fitted to a level."""
    small = as_int_zyx("chunks", CHUNK_VX if chunks is None else chunks)
    if min(small) < 1:
        msg = f"'chunks' must be at least 1, got {chunks!r}"
        raise ParameterError(msg)
    if shards is None:
        return small, None
    if isinstance(shards, str):
        check_choice("shards", shards, ("auto",))
        return small, tuple(max(1, s // c) * c for s, c in zip(SHARD_VX, small, strict=True))
    large = as_int_zyx("shards", shards)
    if min(large) < 1 or any(s % c for s, c in zip(large, small, strict=True)):
        msg = f"'shards' must be whole multiples of the chunks {small}, got {shards!r}"
        raise ParameterError(msg)
    return small, large


def create_array(
    group: zarr.Group, name: str, shape: IntZYX, dtype: np.dtype[Any], layout: Layout
) -> zarr.Array:
    """An empty array; chunks and shards are no larger than the array needs."""
    chunks = tuple(max(1, min(c, n)) for c, n in zip(layout[0], shape, strict=True))
    shards = None
    if layout[1] is not None:
        need = [max(1, math.ceil(n / c)) for c, n in zip(chunks, shape, strict=True)]
        held = [max(1, s // c) for s, c in zip(layout[1], layout[0], strict=True)]
        shards = tuple(c * min(a, b) for c, a, b in zip(chunks, need, held, strict=True))
    codec = zarr.codecs.BloscCodec(
        cname="zstd", clevel=1, shuffle="noshuffle" if dtype.itemsize == 1 else "shuffle"
    )
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=None if shards == chunks else shards,
        compressors=codec,
        fill_value=0,
        dimension_names=("z", "y", "x"),
        overwrite=True,
    )


def add_levels(
    group: zarr.Group,
    grid: Grid,
    kind: str,
    n_levels: int | None,
    layout: Layout,
    where: object,
) -> list[Grid]:
    """Build the levels "1", "2", ... from "0"; returns the grids of all."""
    source: Any = group["0"]
    grids = [grid]
    for number, factors in enumerate(pyramid_factors(grid, n_levels=n_levels), start=1):
        grids.append(grids[-1].downsample(factors))
        target = create_array(group, str(number), grids[-1].shape, source.dtype, layout)
        for roi in block_rois(target):
            fine = Roi(
                start=tuple(a * k for a, k in zip(roi.start, factors, strict=True)),  # type: ignore[arg-type]
                stop=tuple(b * k for b, k in zip(roi.stop, factors, strict=True)),  # type: ignore[arg-type]
            ).clip(source.shape)
            block = downsample(
                source[fine.slices], factors, kind="mode" if kind == "labels" else "mean"
            )
            store_block(target, roi, block, where)
        source = target
    return grids


def block_rois(array: zarr.Array) -> Iterator[Roi]:
    """All blocks of an array, z slowest."""
    shape, block = array.shape, block_shape(array)
    counts = [range(math.ceil(n / k)) for n, k in zip(shape, block, strict=True)]
    for z in counts[0]:
        for y in counts[1]:
            for x in counts[2]:
                start = (z * block[0], y * block[1], x * block[2])
                stop = tuple(a + k for a, k in zip(start, block, strict=True))
                yield Roi(start=start, stop=stop).clip(shape)  # type: ignore[arg-type]


def as_zarr_array(array: zarr.Array | PathLike) -> zarr.Array:
    """The array itself or the one at a path, open for writing."""
    if isinstance(array, zarr.Array):
        return array
    node = open_node(Path(array).resolve(), mode="r+")
    if not isinstance(node, zarr.Array):
        msg = f"expected a zarr array, {array} is a group; name a level in it, such as '0'"
        raise DataFormatError(msg)
    return node


def block_shape(array: zarr.Array | PathLike) -> IntZYX:
    """Voxels along z, y, x that one writer must own: a shard, or a chunk without shards."""
    stored = as_zarr_array(array)
    return tuple(stored.shards or stored.chunks)  # type: ignore[return-value]


def store_block(array: zarr.Array, roi: Roi, data: NDArray[Any], where: object) -> None:
    """Write a box; `where` is the path for the message."""
    try:
        array[roi.slices] = data
    except OSError as error:
        raise refused(where, error) from error


def refused(where: object, error: OSError) -> JobError:
    """Make the error for a file that cannot be written."""
    reason = error.strerror or str(error)
    return JobError(f"could not write {where}: {reason}; free or choose another disk")
