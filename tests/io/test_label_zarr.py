"""Label images that several writers fill: no voxel is lost."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import zarr

from helaseg.core.grid import Grid, Roi
from helaseg.errors import DataFormatError, JobError, OutputExistsError, ParameterError
from helaseg.io import (
    block_shape,
    create_label_zarr,
    downsample,
    finish_pyramids,
    open_volume,
    slab_rois,
    write_block,
)
from helaseg.io.zarr_store import block_rois

GRID = Grid(shape=(21, 70, 90), voxel_size_nm=(50, 10, 10), offset_nm=(100, 20, 30))
CHUNKS = {"chunks": (4, 16, 16), "shards": (4, 32, 32)}


def labels_in(roi: Roi) -> np.ndarray:
    """Labels that tell every voxel of the volume apart, and are never 0."""
    z, y, x = np.ogrid[roi.slices]
    return (1 + (z * 7919 + y * 131 + x) % 60000).astype(np.uint16)


def write_one(path: str, roi: Roi) -> None:
    write_block(path, roi, labels_in(roi))


@pytest.mark.parametrize("workers", ["serial", "threads", "processes"])
@pytest.mark.parametrize("boxes", ["slabs", "blocks"])
def test_concurrent_writers_lose_no_voxel(tmp_path, workers, boxes):
    arrays = create_label_zarr(tmp_path / "cells.ome.zarr", GRID, names=("cell",), **CHUNKS)
    path = str(tmp_path / "cells.ome.zarr" / "image" / "labels" / "cell" / "0")
    rois = slab_rois(path) if boxes == "slabs" else list(block_rois(arrays["cell"]))
    rois = rois[::-1]
    job = partial(write_one, path)
    if workers == "serial":
        list(map(job, rois))
    elif workers == "threads":
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(job, rois))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(job, rois))
    volume = open_volume(tmp_path / "cells.ome.zarr")
    assert volume.grid.agrees_with(GRID)
    np.testing.assert_array_equal(volume.read(), labels_in(GRID.roi))


def test_names_levels_and_place(tmp_path):
    path = tmp_path / "cells.ome.zarr"
    arrays = create_label_zarr(path, GRID, names=("cell", "nucleus"), **CHUNKS)
    assert set(arrays) == {"cell", "nucleus"}
    assert block_shape(arrays["cell"]) == (4, 32, 32)
    for roi in slab_rois(arrays["cell"]):
        write_block(arrays["cell"], roi, labels_in(roi))
    finish_pyramids(path, n_levels=3)
    # Once more after a change: the levels are made anew.
    first = slab_rois(arrays["cell"])[0]
    write_block(arrays["cell"], first, np.full(first.shape, 9))
    finish_pyramids(path / "image" / "labels" / "cell", n_levels=3)
    with pytest.raises(DataFormatError, match="image/labels/cell, image/labels/nucleus; give one"):
        open_volume(path)
    # Viewers open the store at its top: as the first of its label images.
    top = zarr.open_group(path, mode="r")
    shown = top.attrs["ome"]["multiscales"][0]["datasets"]
    assert [d["path"] for d in shown] == [f"image/labels/cell/{k}" for k in range(3)]
    assert all(d["path"] in top for d in shown)
    group = zarr.open_group(path / "image" / "labels", mode="r")
    assert group.attrs["ome"]["labels"] == ["cell", "nucleus"]
    assert "image-label" in zarr.open_group(path / "image/labels/cell").attrs["ome"]
    cell = path / "image" / "labels" / "cell"
    want = labels_in(GRID.roi)
    want[first.slices] = 9
    np.testing.assert_array_equal(open_volume(cell).read(), want)
    coarse = open_volume(cell, level=1)
    assert coarse.grid.agrees_with(GRID.downsample((1, 2, 2)))
    np.testing.assert_array_equal(coarse.read(), downsample(want, (1, 2, 2), kind="mode"))
    nucleus = open_volume(path / "image" / "labels" / "nucleus")
    assert nucleus.read().max() == 0


@pytest.mark.parametrize(
    ("start", "stop", "match"),
    [
        ((1, 0, 0), (4, 70, 90), "must begin and end at whole blocks of .4, 32, 32. voxels"),
        ((0, 0, 0), (4, 31, 90), "other writers share the blocks it cuts"),
        ((0, 0, 0), (24, 70, 90), "must lie inside the array"),
    ],
)
def test_boxes_that_cut_blocks_are_refused(tmp_path, start, stop, match):
    array = create_label_zarr(tmp_path / "a", GRID, names=("cell",), **CHUNKS)["cell"]
    roi = Roi(start=start, stop=stop)
    with pytest.raises(ParameterError, match=match):
        write_block(array, roi, np.zeros(roi.shape, np.uint16))


def test_labels_that_do_not_fit_are_refused(tmp_path):
    array = create_label_zarr(tmp_path / "a", GRID, names=("cell",), **CHUNKS)["cell"]
    roi = slab_rois(array)[0]
    with pytest.raises(ParameterError, match="'data' must lie within 0 and 65535, got up to 70000"):
        write_block(array, roi, np.full(roi.shape, 70000))
    with pytest.raises(ParameterError, match="labels that fit uint16, got dtype float64"):
        write_block(array, roi, np.zeros(roi.shape))
    with pytest.raises(ParameterError, match="'data' must have the shape of 'roi'"):
        write_block(array, roi, np.zeros((1, 2, 3), np.uint16))
    write_block(array, roi, np.full(roi.shape, 7))
    assert open_volume(tmp_path / "a").slice(0).min() == 7


def test_bad_places_are_refused(tmp_path):
    create_label_zarr(tmp_path / "a", GRID, names=("cell",))
    with pytest.raises(OutputExistsError, match="must be a new folder"):
        create_label_zarr(tmp_path / "a", GRID, names=("cell",))
    for names in ((), ("a/b",), ("a", "a"), ("..",)):
        with pytest.raises(ParameterError, match="'names' must be different plain names"):
            create_label_zarr(tmp_path / "b", GRID, names=names)
    with pytest.raises(ParameterError, match="must be one of integers"):
        create_label_zarr(tmp_path / "b", GRID, names=("a",), dtype=float)
    with pytest.raises(DataFormatError, match="there is no"):
        write_block(tmp_path / "b", GRID.roi, np.zeros(GRID.shape, np.uint16))
    with pytest.raises(DataFormatError, match="is a group; name a level"):
        write_block(tmp_path / "a", GRID.roi, np.zeros(GRID.shape, np.uint16))
    zarr.open_group(tmp_path / "c", mode="w")
    with pytest.raises(DataFormatError, match="expected an OME-Zarr with label images"):
        finish_pyramids(tmp_path / "c")


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    array = create_label_zarr(tmp_path / "a", GRID, names=("cell",), **CHUNKS)["cell"]
    roi = slab_rois(array)[0]

    def refuse(self, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", refuse)
    with pytest.raises(JobError, match=r"could not write .*No space left on device"):
        write_block(array, roi, np.ones(roi.shape, np.uint16))
