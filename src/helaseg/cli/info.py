"""``helaseg info``: what a file is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helaseg.cli.options import CommonOptions, InputOptions
from helaseg.cli.plan import as_bytes
from helaseg.cli.session import session, show
from helaseg.errors import MissingVoxelSizeError


def info(
    path: Path,
    /,
    *,
    input_options: InputOptions = InputOptions(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Show format, shape, type, voxel size and its source, compression, size and levels.

    Parameters
    ----------
    path : Path
        Anything that the other commands take as a volume.
    """
    with session(common):
        if common.dry_run:
            show(f"plan of 'helaseg info': reads the headers of {path}, writes nothing")
            return
        for name, value in _facts(path, input_options):
            show(f"{name:<14}{value}")


def _facts(path: Path, options: InputOptions) -> Iterator[tuple[str, str]]:
    from dataclasses import replace

    source = "given by --voxel-size-nm" if options.voxel_size_nm else "stated in the file"
    try:
        volume = options.open(path)
    except MissingVoxelSizeError:
        # The rest can be told without it.
        volume = replace(options, voxel_size_nm=(1.0, 1.0, 1.0)).open(path)
        source = ""
    z, y, x = volume.shape
    dtype = volume.data.dtype
    yield "path", str(path)
    yield "format", _format(path)
    yield "shape", f"{z} x {y} x {x} (z, y, x)"
    yield "type", f"{dtype}"
    if source:
        size = " x ".join(f"{v:g}" for v in volume.grid.voxel_size_nm)
        yield "voxel size", f"{size} nm (z, y, x), {source}"
    else:
        yield "voxel size", "not stated in the file: give --voxel-size-nm Z,Y,X"
    if any(volume.grid.offset_nm):
        yield "offset", " x ".join(f"{v:g}" for v in volume.grid.offset_nm) + " nm (z, y, x)"
    if volume.slice_numbers:
        first, last = volume.slice_numbers[0], volume.slice_numbers[-1]
        missing = last - first + 1 - len(volume.slice_numbers)
        yield "slices", f"number {first} to {last}, {missing} missing"
    yield "compression", _compression(path)
    for level in _levels(path):
        yield "level", level
    yield "in memory", as_bytes(volume.grid.n_voxels * dtype.itemsize)
    yield "on disk", as_bytes(_size_on_disk(path))


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and any(
        (path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray")
    )


def _tiffs(path: Path) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [f for f in files if f.suffix.lower() in (".tif", ".tiff")]


def _format(path: Path) -> str:
    if _is_zarr(path):
        attributes = _zarr_node(path).attrs.asdict()
        ome = attributes.get("ome", attributes)
        if "multiscales" in ome:
            version = ome.get("version") or ome["multiscales"][0].get("version", "unknown")
            return f"OME-Zarr {version}"
        return "zarr"
    files = _tiffs(path)
    if not files:
        return path.suffix.lower().removeprefix(".") or "unknown"
    import tifffile

    with tifffile.TiffFile(files[0]) as tif:
        kind = "OME-TIFF" if tif.is_ome else "ImageJ TIFF" if tif.is_imagej else "TIFF"
        kind = f"{kind} (BigTIFF)" if tif.is_bigtiff else kind
        pages = len(tif.pages)
    return f"folder of {len(files)} {kind} slices" if path.is_dir() else f"{kind}, {pages} pages"


def _compression(path: Path) -> str:
    if _is_zarr(path):
        import zarr

        array = _zarr_node(path)
        if isinstance(array, zarr.Group):
            array = next((a for _, a in array.arrays()), None)
        if array is None:
            return "unknown"
        names = ", ".join(type(c).__name__ for c in array.compressors) or "none"
        shards = f", shards {array.shards}" if array.shards else ""
        return f"{names}; chunks {array.chunks}{shards}"
    files = _tiffs(path)
    if not files:
        return "none"
    import tifffile

    with tifffile.TiffFile(files[0]) as tif:
        page: Any = tif.pages[0]
        return str(page.compression.name).lower()


def _levels(path: Path) -> Iterator[str]:
    if not _is_zarr(path):
        return
    attributes = _zarr_node(path).attrs.asdict()
    scales = attributes.get("ome", attributes).get("multiscales")
    if not scales:
        return
    group = _zarr_node(path)
    for number, dataset in enumerate(scales[0]["datasets"]):
        shape = " x ".join(str(n) for n in group[dataset["path"]].shape)
        yield f"{number}: {shape}"


def _zarr_node(path: Path) -> Any:
    import zarr

    return zarr.open(path, mode="r")


def _size_on_disk(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())
