"""Label images of a whole volume, filled block by block by several writers at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray

from helaseg._validate import check_shape_match
from helaseg.core.grid import Grid, Roi
from helaseg.errors import DataFormatError, OutputExistsError, ParameterError
from helaseg.io.ngff import VERSION, image_attributes, ome_attributes, read_multiscale
from helaseg.io.zarr_store import (
    PathLike,
    Shards,
    add_levels,
    as_zarr_array,
    block_shape,
    create_array,
    images_inside,
    open_node,
    plan_layout,
    refused,
    store_block,
    stored_dtype,
)


def create_label_zarr(
    path: PathLike,
    grid: Grid,
    *,
    names: Sequence[str],
    dtype: DTypeLike = np.uint16,
    chunks: Sequence[int] | None = None,
    shards: Shards = "auto",
) -> dict[str, zarr.Array]:
    """Create empty label images in one OME-Zarr, to be filled block by block.

    Parameters
    ----------
    path : path
        New or empty folder, such as ``cells.ome.zarr``.
    grid : Grid
        Grid of all label images.
    names : sequence of str
        Names of the label images: ``("cell", "nucleus")`` become the groups
        ``image/labels/cell`` and ``image/labels/nucleus``.
    dtype : dtype
        An integer type.
    chunks, shards
        As in `write_ome_zarr`.

    Returns
    -------
    dict of str to zarr.Array
        The finest level of each, full of 0. They can be pickled and sent to other
        processes; see `write_block` and `slab_rois`.

    Raises
    ------
    OutputExistsError
        If the folder holds files.
    ParameterError
        If names, dtype or chunks do not fit.

    Notes
    -----
    The images are valid from the start, with one level. `finish_pyramids` adds the
    others when all blocks are written.
    """
    target = Path(path).resolve()
    chosen = [names] if isinstance(names, str) else list(names)
    good = chosen and len(set(chosen)) == len(chosen)
    if not good or not all(n and n.isprintable() and not set("/\\.") & set(n) for n in chosen):
        msg = f"'names' must be different plain names such as 'cell', got {names!r}"
        raise ParameterError(msg)
    stored = stored_dtype(dtype, labels=True)
    layout = plan_layout(chunks, shards)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"the label store must be a new folder, {target} exists; remove it or choose another"
        raise OutputExistsError(msg)
    arrays = {}
    try:
        root = zarr.create_group(target, overwrite=True)
        root.attrs.put({"ome": {"version": VERSION}})
        image = root.create_group("image")
        image.attrs.put({"ome": {"version": VERSION}})
        labels = image.create_group("labels")
        labels.attrs.put({"ome": {"version": VERSION, "labels": chosen}})
        for name in chosen:
            group = labels.create_group(name)
            arrays[name] = create_array(group, "0", grid.shape, stored, layout)
            group.attrs.put(image_attributes([grid], name=name, kind="labels"))
    except OSError as error:
        raise refused(target, error) from error
    return arrays


def slab_rois(array: zarr.Array | PathLike) -> list[Roi]:
    """Boxes that different writers may fill at once: one block high, full in y and x."""
    stored = as_zarr_array(array)
    n_z, n_y, n_x = stored.shape
    height = block_shape(stored)[0]
    return [
        Roi(start=(z, 0, 0), stop=(min(z + height, n_z), n_y, n_x)) for z in range(0, n_z, height)
    ]


def write_block(array: zarr.Array | PathLike, roi: Roi, data: Any) -> None:
    """Write a box of whole blocks; threads and processes may write different boxes at once.

    Parameters
    ----------
    array : zarr.Array or path
        What `create_label_zarr` returned, or the path of the array, such as
        ``cells.ome.zarr/image/labels/cell/0``.
    roi : Roi
        Where to write. It must begin at whole blocks (see `block_shape`) and end
        at whole blocks or at the border of the array, so that no two writers touch
        one file.
    data : array, shape of `roi`
        The labels.

    Raises
    ------
    ParameterError
        If the box does not lie on whole blocks or the data do not fit into it.
    JobError
        If the data cannot be written.
    """
    stored = as_zarr_array(array)
    block = block_shape(stored)
    if roi.clip(stored.shape) != roi:
        msg = f"'roi' must lie inside the array of {stored.shape}, got {roi.start} to {roi.stop}"
        raise ParameterError(msg)
    sides = zip(roi.start, roi.stop, block, stored.shape, strict=True)
    if any(a % k or (b % k and b != n) for a, b, k, n in sides):
        msg = (
            f"'roi' must begin and end at whole blocks of {block} voxels or at the border, "
            f"got {roi.start} to {roi.stop}; other writers share the blocks it cuts"
        )
        raise ParameterError(msg)
    values = np.asarray(data)
    check_shape_match("data", values.shape, "roi", roi.shape)
    if not np.can_cast(values.dtype, stored.dtype, "safe"):
        _check_fits(values, stored.dtype)
    store_block(stored, roi, values.astype(stored.dtype, copy=False), stored.store_path)


def finish_pyramids(path: PathLike, *, n_levels: int | None = None) -> None:
    """Build the coarser levels of all label images of an OME-Zarr, by the mode.

    Parameters
    ----------
    path : path
        What `create_label_zarr` made, or one label image in it.
    n_levels : int, optional
        Number of resolutions; see `helaseg.io.pyramid.pyramid_factors`.

    Raises
    ------
    DataFormatError
        If there are no images.
    JobError
        If the data cannot be written.

    Notes
    -----
    Call it once, after the last `write_block`. Each level is made from the one
    before, block by block; levels that are there are replaced. At the end the top
    of the store shows the first of its label images, so that viewers open it.
    """
    where = Path(path).resolve()
    root = open_node(where, mode="r+")
    inside = [] if isinstance(root, zarr.Array) else images_inside(root)
    if not inside:
        msg = f"expected an OME-Zarr with label images, {where} has none"
        raise DataFormatError(msg)
    for name in inside:
        group: Any = root[name] if name else root
        attributes = group.attrs.asdict()
        image = read_multiscale(attributes, where=str(where / name))
        array = group["0"]
        grid = None if image is None else image.grid(0, array.shape, where=str(where / name))
        if grid is None:
            msg = f"{where / name} does not state its voxel size, which its pyramid needs"
            raise DataFormatError(msg)
        layout = (array.chunks, array.shards)
        grids = add_levels(group, grid, "labels", n_levels, layout, where)
        old = ome_attributes(attributes)
        title = str(old["multiscales"][0].get("name", name))
        new = image_attributes(grids, name=title, kind="labels")
        if "image-label" in old:
            new["ome"]["image-label"] = old["image-label"]
        group.attrs.put(new)
    if inside[0]:
        _show_at_the_top(root, inside[0])


def _show_at_the_top(root: zarr.Group, name: str) -> None:
    """Give a group the image of a group below it, whose arrays stay where they are."""
    ome = dict(ome_attributes(root[name].attrs.asdict()))
    image = dict(ome["multiscales"][0])
    image["datasets"] = [{**d, "path": f"{name}/{d['path']}"} for d in image["datasets"]]
    root.attrs.put({"ome": {**ome, "multiscales": [image]}})


def _check_fits(values: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Refuse labels that the stored type would change."""
    if values.dtype.kind not in "bui" or dtype.kind not in "ui":
        msg = f"'data' must hold labels that fit {dtype}, got dtype {values.dtype}"
        raise ParameterError(msg)
    info = np.iinfo(dtype)
    if values.size and (values.min() < info.min or values.max() > info.max):
        msg = f"'data' must lie within {info.min} and {info.max}, got up to {values.max()}"
        raise ParameterError(msg)
