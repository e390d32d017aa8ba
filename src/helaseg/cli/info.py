"""``helaseg info``: what a file is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helaseg.cli.options import CommonOptions, InputOptions, check_plausible
from helaseg.cli.plan import as_bytes
from helaseg.cli.session import session, show
from helaseg.core.volume import Volume
from helaseg.errors import DoubtfulDataWarning, MissingVoxelSizeError, ParameterError
from helaseg.io.slice_names import gap_text, missing_runs


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
    if inside := _images(path):
        yield "path", str(path)
        yield "format", f"zarr with {len(inside)} images; give one of them"
        for name in inside:
            image = _open(path / name, options)[0]
            size = " x ".join(f"{v:g}" for v in image.grid.voxel_size_nm)
            shape = " x ".join(map(str, image.shape))
            yield "image", f"{name}: {shape} of {image.data.dtype}, voxels of {size} nm (z, y, x)"
        return
    source = "given by --voxel-size-nm" if options.voxel_size_nm else "stated in the file"
    volume, is_stated = _open(path, options)
    source = source if is_stated else ""
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
        gaps = missing_runs(volume.slice_numbers)
        listed = f": {gap_text(gaps)}" if gaps else ""
        yield "slices", f"number {first} to {last}, {missing} missing{listed}"
    try:
        check_plausible(path, volume.grid.voxel_size_nm) if source else None
    except ParameterError as error:
        yield "note", str(error)
    if _is_white_zero(path):
        yield "note", "white is stored as zero: dark and bright are exchanged in the numbers"
    yield "compression", _compression(path)
    for level in _levels(path):
        yield "level", level
    yield "in memory", as_bytes(volume.grid.n_voxels * dtype.itemsize)
    yield "on disk", as_bytes(_size_on_disk(path))


def _open(path: Path, options: InputOptions) -> tuple[Volume, bool]:
    """Open whatever can be described, and whether its voxel size is stated or given."""
    from helaseg.io import find_image, open_volume

    opened = {"level": options.level, "allow_gaps": True}
    path = find_image(path)
    try:
        return open_volume(path, options.voxel_size_nm, **opened), True  # type: ignore[arg-type]
    except MissingVoxelSizeError:
        # The rest can be described without it.
        with warnings.catch_warnings():
            # Nobody asked for this voxel size.
            warnings.simplefilter("ignore", DoubtfulDataWarning)
            return open_volume(path, (1.0, 1.0, 1.0), **opened), False  # type: ignore[arg-type]


def _images(path: Path) -> list[str]:
    """Images of a zarr group that holds several."""
    if not _is_zarr(path):
        return []
    from helaseg.io.zarr_store import images_inside

    node = _zarr_node(path)
    inside = images_inside(node) if hasattr(node, "groups") else []
    return inside if len(inside) > 1 else []


def _is_white_zero(path: Path) -> bool:
    files = _tiffs(path)
    if not files:
        return False
    import tifffile

    with tifffile.TiffFile(files[0]) as tif:
        page: Any = tif.pages[0]
        return bool(page.photometric == 0)


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and any(
        (path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray")
    )


def _tiffs(path: Path) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [f for f in files if f.suffix.lower() in (".tif", ".tiff")]


def _format(path: Path) -> str:
    if _is_zarr(path):
        from helaseg.io.ngff import ome_attributes

        attributes = _zarr_node(path).attrs.asdict()
        ome = ome_attributes(attributes)
        scales = ome.get("multiscales")
        if not isinstance(scales, list) or not scales or not isinstance(scales[0], dict):
            return "zarr"
        return f"OME-Zarr {ome.get('version') or scales[0].get('version', 'unknown')}"
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
    from helaseg.io.ngff import read_multiscale

    attributes = _zarr_node(path).attrs.asdict()
    group = _zarr_node(path)
    image = read_multiscale(attributes, where=str(path))
    for number, level in enumerate(image.levels if image else ()):
        if level.path in group:
            shape = " x ".join(str(n) for n in group[level.path].shape)
            yield f"{number}: {shape}"


def _zarr_node(path: Path) -> Any:
    from helaseg.io.zarr_store import open_node

    return open_node(path)


def _size_on_disk(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())
