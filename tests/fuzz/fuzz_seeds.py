"""Small valid files of every kind that helaseg reads: what the fuzzer damages."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag, Detection, Track
from helaseg.core.results import Provenance, SegmentationResult, SliceRecord, StepCost
from helaseg.core.volume import LabelVolume

SHAPE = (5, 24, 20)
VOXEL_SIZE_NM = (50.0, 10.0, 10.0)
GRID = Grid(shape=SHAPE, voxel_size_nm=VOXEL_SIZE_NM)


@dataclasses.dataclass(frozen=True)
class Seed:
    """A valid file or folder.

    Parameters
    ----------
    name : str
        Unique name.
    path : Path
        The file or folder.
    reader : str
        Which reader of `fuzz_readers` takes it.
    """

    name: str
    path: Path
    reader: str


def image() -> np.ndarray:
    """Grey values that compress somewhat, none of them zero."""
    rng = np.random.default_rng(1)
    smooth = np.add.outer(np.arange(SHAPE[1]), np.arange(SHAPE[2])) + 60
    return (smooth + rng.integers(0, 30, SHAPE)).astype(np.uint8)


def make_image_seeds(folder: Path) -> list[Seed]:
    """One valid volume per format and way of storing it."""
    folder.mkdir(parents=True)
    seeds = []
    for make in (_tiffs, _slice_folders, _raw_files, _mat_files, _zarrs):
        for path in make(folder):
            reader = "mat" if path.suffix == ".mat" else "volume"
            seeds.append(Seed(path.name, path, reader))
    return seeds


def make_table_seeds(folder: Path) -> list[Seed]:
    """One valid table or settings file per reader."""
    folder.mkdir(parents=True)
    return [
        Seed(f"{reader}-{path.name}", path, reader)
        for reader, make in _TABLES.items()
        for path in (make(folder / reader),)
    ]


def _tiffs(folder: Path) -> Iterator[Path]:
    import tifffile
    from PIL import Image

    from helaseg.io import write_tiff

    grey = image()
    physical: dict[str, Any] = {
        "PhysicalSizeX": 0.01,
        "PhysicalSizeY": 0.01,
        "PhysicalSizeZ": 0.05,
    }
    variants: dict[str, dict[str, Any]] = {
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 50, "unit": "nm"}},
        "ome": {"ome": True, "metadata": {"axes": "ZYX", **physical}},
        "ome-lzw": {"ome": True, "compression": "lzw", "metadata": {"axes": "ZYX", **physical}},
        "deflate": {"compression": "zlib", "predictor": True},
        "zstd-tiled": {"compression": "zstd", "tile": (16, 16)},
        "big": {"bigtiff": True, "rowsperstrip": 7},
        "big-endian": {"byteorder": ">"},
    }
    for name, options in variants.items():
        path = folder / f"{name}.{'ome.tif' if 'ome' in options else 'tif'}"
        tifffile.imwrite(path, grey, photometric="minisblack", **options)
        yield path
    sixteen = folder / "sixteen.tif"
    tifffile.imwrite(sixteen, grey.astype(">u2") * 200, byteorder=">")
    yield sixteen
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate"):
        path = folder / f"pillow-{compression}.tif"
        first, *others = [Image.fromarray(plane) for plane in grey]
        first.save(path, save_all=True, append_images=others, compression=compression)
        yield path
    ours = folder / "ours.tif"
    write_tiff(ours, grey, GRID)
    yield ours


def _slice_folders(folder: Path) -> Iterator[Path]:
    import cv2
    import tifffile

    for ending in ("tif", "png"):
        slices = folder / f"slices-{ending}"
        slices.mkdir()
        for z, plane in enumerate(image()):
            path = slices / f"z{z:04d}.{ending}"
            if ending == "tif":
                tifffile.imwrite(path, plane, compression="lzw")
            else:
                cv2.imwrite(str(path), plane)
        yield slices


def _raw_files(folder: Path) -> Iterator[Path]:
    grey = image()
    for name, array in (("c.npy", grey), ("f.npy", np.asfortranarray(grey.astype(np.float32)))):
        np.save(folder / name, array)
        yield folder / name
    header = bytearray(1024)
    words = np.frombuffer(header, "<i4")
    floats = np.frombuffer(header, "<f4")
    words[:4] = (*SHAPE[::-1], 6)
    words[7:10] = SHAPE[::-1]
    floats[10:13] = [10 * n * s for n, s in zip(SHAPE[::-1], VOXEL_SIZE_NM[::-1], strict=True)]
    words[16:19] = (1, 2, 3)
    header[208:216] = b"MAP DD\0\0"
    path = folder / "image.mrc"
    path.write_bytes(bytes(header) + grey.astype("<u2").tobytes())
    yield path


def _mat_files(folder: Path) -> Iterator[Path]:
    import h5py
    import scipy.io

    grey = np.moveaxis(image(), 0, 2)
    for name, compress in (("plain.mat", False), ("deflate.mat", True)):
        scipy.io.savemat(folder / name, {"truth": grey}, do_compression=compress)
        yield folder / name
    path = folder / "hdf5.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("truth", data=image(), chunks=(1, 24, 20), compression="gzip")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(128, b" "))
    yield path


def _zarrs(folder: Path) -> Iterator[Path]:
    import zarr
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

    from helaseg.io import write_ome_zarr

    grey = image()
    chunks = (2, 16, 16)
    kinds: dict[str, dict[str, Any]] = {
        "v3-zstd": {"chunks": chunks, "compressors": ZstdCodec()},
        "v3-gzip": {"chunks": chunks, "compressors": GzipCodec()},
        "v3-blosc": {"chunks": chunks, "compressors": BloscCodec()},
        "v3-raw": {"chunks": chunks, "compressors": None},
        "v3-shards": {"chunks": chunks, "shards": (4, 32, 32)},
        "v2": {"chunks": chunks, "zarr_format": 2},
        "v2-raw": {"chunks": chunks, "zarr_format": 2, "compressors": None},
    }
    for name, options in kinds.items():
        path = folder / f"{name}.zarr"
        zarr.create_array(path, shape=SHAPE, dtype="u1", **options)[:] = grey
        yield path
    path = folder / "image.ome.zarr"
    write_ome_zarr(path, grey, GRID)
    yield path


def _cells(folder: Path) -> Path:
    from helaseg.io import write_cells_csv

    folder.mkdir()
    tracks = [
        Track(
            id=k,
            detections=tuple(Detection(z=z, y=9.5, x=8.0 + k, radius_nm=75.0) for z in range(3)),
        )
        for k in (1, 2)
    ]
    boxes = {k: Roi(start=(0, 2, k), stop=(5, 20, 12 + k)) for k in (1, 2)}
    write_cells_csv(folder / "cells.csv", tracks, boxes, GRID)
    return folder / "cells.csv"


def _detections(folder: Path) -> Path:
    from helaseg.io import write_detections_csv

    folder.mkdir()
    found = [Detection(z=z, y=9.5, x=8.25, radius_nm=75.0) for z in range(3)]
    write_detections_csv(folder / "detections.csv", found, [1, 1, 0])
    return folder / "detections.csv"


def _segmentation(folder: Path) -> Path:
    """What `helaseg segment` leaves of a box-shaped cell."""
    from helaseg.io import write_segmentation

    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 3:20, 3:16] = 1
    labels[2:4, 6:15, 6:12] = 2
    nucleus, cell = labels == 2, labels > 0
    result = SegmentationResult(
        labels=LabelVolume(data=labels, grid=GRID),
        nucleus=LabelVolume(data=nucleus.view(np.uint8), grid=GRID),
        cell=LabelVolume(data=cell.view(np.uint8), grid=GRID),
        slices=tuple(
            SliceRecord(
                z=z,
                nucleus_px=int(nucleus[z].sum()),
                cell_px=int(cell[z].sum()),
                nucleus_um2=float(nucleus[z].sum()) * 1e-4,
                cell_um2=float(cell[z].sum()) * 1e-4,
                confidence=0.75,
                event="followed",
            )
            for z in range(SHAPE[0])
        ),
        measurements={"cell_volume_um3": 1 / 3, "n_cell_slices": 3},
        flags=CellFlag.SMALL,
        provenance=Provenance(
            config={"nucleus": {"sigma_nm": 20.0}},
            inputs={"raw": {"fingerprint": "abc"}},
            seed=3,
            steps=(StepCost(step="nucleus", seconds=1.5, peak_memory_mb=100.0),),
        ),
    )
    folder.mkdir()
    write_segmentation(folder, result)
    return folder


def _checkpoint(folder: Path) -> Path:
    from helaseg.deep import UNet, UNetConfig
    from helaseg.deep.checkpoint import write_description, write_weights
    from helaseg.deep.train_config import TrainConfig

    folder.mkdir()
    network = UNetConfig(width=2, n_halvings=1)
    write_weights(folder, UNet(network), which="best")
    write_description(folder, TrainConfig(network=network), {"n_examples": 1})
    return folder


def _config(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "settings.toml"
    path.write_text("[rois]\nmargin_nm = [300, 500, 500]\n\n[nucleus]\nmin_area_um2 = 2.5\n")
    return path


def _dataset(folder: Path) -> Path:
    from helaseg.io import write_tiff

    folder.mkdir()
    write_tiff(folder / "image.tif", image(), GRID)
    write_tiff(folder / "mask.tif", np.where(image() > 90, np.uint8(255), np.uint8(0)), GRID)
    path = folder / "dataset.toml"
    path.write_text(
        '[[volume]]\nimage = "image.tif"\nlabels = "mask.tif"\ncell = "a"\n'
        "slices = [0, 2]\nvoxel_size_nm = [50, 10, 10]\n"
    )
    return path


def _journal(folder: Path) -> Path:
    from helaseg.execution import Journal, fingerprint_of

    folder.mkdir()
    (folder / "a.txt").write_text("a")
    journal = Journal(folder / "journal.jsonl")
    journal.record("a", fingerprint_of("a", 1), outputs=[folder / "a.txt"], values={"n": 1})
    return folder / "journal.jsonl"


def _run(folder: Path) -> Path:
    """The notes of a run that a page is made of."""
    folder.mkdir()
    note = {
        "name": "stack",
        "grid": {"shape": SHAPE, "voxel_size_nm": VOXEL_SIZE_NM, "offset_nm": (0, 0, 0)},
        "input": {"name": "stack", "shape": SHAPE, "voxel_size_nm": VOXEL_SIZE_NM},
        "n_cells": 1,
        "steps": [{"name": "detect", "seconds": 1.5, "peak_memory_mb": 100.0}],
    }
    (folder / "run.json").write_text(json.dumps(note))
    return folder


_TABLES: dict[str, Callable[[Path], Path]] = {
    "cells": _cells,
    "detections": _detections,
    "segmentation": _segmentation,
    "checkpoint": _checkpoint,
    "config": _config,
    "dataset": _dataset,
    "journal": _journal,
    "run": _run,
}
