"""Volumes written as OME-Zarr 0.5 images with their pyramid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import zarr

from helaseg._validate import check_choice, check_shape_match
from helaseg.core.grid import Grid
from helaseg.core.volume import Sliceable
from helaseg.errors import OutputExistsError
from helaseg.io.atomic import atomic_path
from helaseg.io.label_zarr import slab_rois
from helaseg.io.ngff import image_attributes
from helaseg.io.volumes import ZARR_MARKS
from helaseg.io.zarr_store import (
    PathLike,
    Shards,
    add_levels,
    create_array,
    plan_layout,
    store_block,
    stored_dtype,
)


def write_ome_zarr(
    path: PathLike,
    data: Sliceable,
    grid: Grid,
    *,
    kind: Literal["image", "labels"] = "image",
    n_levels: int | None = None,
    chunks: Sequence[int] | None = None,
    shards: Shards = "auto",
    name: str | None = None,
    names: Mapping[int, str] | None = None,
) -> None:
    """Write a volume as an OME-Zarr 0.5 image with its pyramid.

    Parameters
    ----------
    path : path
        Folder to write, such as ``raw.ome.zarr``; it appears when all is written,
        and replaces a zarr folder that is there.
    data : sliceable, shape (Z, Y, X)
        Grey values or labels; read one slab of ``chunks[0]`` slices at a time.
        Bools are stored as uint8.
    grid : Grid
        Voxel size and offset, stored as scale and translation in nm.
    kind : {"image", "labels"}
        Levels are joined by the mean or by the mode; labels get label metadata.
    n_levels : int, optional
        Number of resolutions; see `helaseg.io.pyramid.pyramid_factors`.
    chunks : tuple of int, optional
        Voxels that are compressed together, z, y, x; default 8, 256, 256.
    shards : tuple of int, "auto" or None
        Voxels that share a file, whole chunks; "auto" is at most 8, 1024, 1024 for
        the default chunks, None is one file for each chunk.
    name : str, optional
        Name in the metadata; default the name of the folder.
    names : mapping of int to str, optional
        What the labels mean.

    Raises
    ------
    ParameterError
        If shapes, dtype or chunks do not fit.
    OutputExistsError
        If `path` is there and is no zarr folder.
    JobError
        If the data cannot be written.

    References
    ----------
    https://ngff.openmicroscopy.org/0.5
    """
    check_choice("kind", kind, ("image", "labels"))
    check_shape_match("data", tuple(data.shape), "grid", grid.shape)
    dtype = stored_dtype(data.dtype, labels=kind == "labels")
    layout = plan_layout(chunks, shards)
    target = Path(path)
    if target.exists() and not any((target / mark).is_file() for mark in ZARR_MARKS):
        msg = f"{target} exists and is no zarr folder; choose another name"
        raise OutputExistsError(msg)
    title = name or target.name.removesuffix(".zarr").removesuffix(".ome")
    with atomic_path(target) as partial:
        group = zarr.create_group(partial, overwrite=True)
        array = create_array(group, "0", grid.shape, dtype, layout)
        for roi in slab_rois(array):
            slab = np.asarray(data[roi.slices])
            store_block(array, roi, slab.astype(dtype, copy=False), target)
        grids = add_levels(group, grid, kind, n_levels, layout, target)
        group.attrs.put(image_attributes(grids, name=title, kind=kind, names=names))
