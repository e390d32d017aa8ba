"""Crops of many boxes in one pass: right voxels, each slice read once, whole or none."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import DataFormatError, GridMismatchError, JobError, NothingFoundWarning
from helaseg.execution import make_executor
from helaseg.io import CellRow, open_volume, write_ome_zarr, write_tiff_slices
from helaseg.io.manifest import relative_names, write_manifest
from helaseg.pipelines.cropping import cut_boxes, roi_name, warn_of_other_labels
from helaseg.pipelines.targets import read_target

GRID = Grid(shape=(20, 64, 90), voxel_size_nm=(50, 10, 10), offset_nm=(100, 0, 30))
BOXES = (
    Roi(start=(2, 5, 10), stop=(9, 40, 50)),
    Roi(start=(0, 30, 40), stop=(20, 64, 90)),
    Roi(start=(12, 0, 0), stop=(15, 7, 8)),
    # Sticks out on five sides.
    Roi(start=(-2, -3, 60), stop=(23, 20, 95)),
)


class Counting:
    """An array that counts how often each slice is read."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.reads: Counter[int] = Counter()
        self.lock = threading.Lock()

    def __getitem__(self, index: Any) -> np.ndarray:
        with self.lock:
            self.reads[index[0]] += 1
        return self.data[index]


def cells(boxes: tuple[Roi, ...] = BOXES) -> list[CellRow]:
    rows = []
    for k, box in enumerate(boxes, start=1):
        centre = tuple((a + b - 1) / 2 for a, b in zip(box.start, box.stop, strict=True))
        rows.append(
            CellRow(
                id=k,
                centroid_vx=centre,  # type: ignore[arg-type]
                centroid_nm=tuple(GRID.to_nm(centre)),  # type: ignore[arg-type]
                radius_nm=100.0,
                first_slice=box.start[0],
                last_slice=box.stop[0] - 1,
                flags=CellFlag.NONE,
                roi=box,
            )
        )
    return rows


def crop(volume: Volume, rows: list[CellRow], out: Path, **settings: Any) -> list[Path]:
    """The image of each cell, in the order of the cells."""
    paths = {box.cell.id: box.path for box in cut_boxes(volume, rows, out, **settings)}
    return [paths[row.id] for row in rows]


@pytest.mark.parametrize(
    ("numbers", "first", "last"),
    [
        ((), 3, 9),
        (tuple(range(56, 76)), 58, 64),
        ((*range(20, 28), *range(30, 42)), 22, 30),
    ],
)
def test_slices_keep_the_numbers_of_their_source(
    numbers: tuple[int, ...], first: int, last: int, data: np.ndarray, tmp_path: Path
) -> None:
    volume = Volume(data=data, grid=GRID, slice_numbers=numbers)
    paths = crop(volume, cells(), tmp_path)
    numbers = open_volume(paths[0], allow_gaps=True).slice_numbers
    assert numbers == (*range(first, first + 6), last)
    # What lies before the volume has no number: the whole box counts from 1.
    assert open_volume(paths[3]).slice_numbers == tuple(range(1, 26))


@pytest.fixture
def data(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(1, 255, GRID.shape, dtype=np.uint8)


def wanted(data: np.ndarray, box: Roi) -> np.ndarray:
    """A box by numpy alone: pad on all sides, then cut."""
    room = 30
    return np.pad(data, room)[
        tuple(slice(a + room, b + room) for a, b in zip(box.start, box.stop, strict=True))
    ]


@pytest.mark.parametrize("spec", ["serial", "threads:3"])
@pytest.mark.parametrize("format", ["tiff", "tiff-stack", "ome-zarr", "nnunet"])
def test_each_crop_holds_the_voxels_of_its_box(
    format: Any, spec: str, data: np.ndarray, tmp_path: Path
) -> None:
    source = Counting(data)
    volume = Volume(data=source, grid=GRID)
    rows = cells()
    seen: list[tuple[int, int]] = []
    with make_executor(spec) as pool:
        paths = crop(
            volume,
            rows,
            tmp_path,
            format=format,
            executor=pool,
            progress=lambda step, done, total: seen.append((done, total)),
        )
    # Four boxes, each slice of the volume read once.
    assert source.reads == Counter(range(20))
    assert seen == [(k + 1, 25) for k in range(25)]
    for row, path in zip(rows, paths, strict=True):
        made = open_volume(path)
        np.testing.assert_array_equal(made.read(), wanted(data, row.roi))
        assert made.grid.agrees_with(GRID.crop(row.roi))
        folder = tmp_path / "rois" / roi_name(row)
        assert read_target(folder / "raw") is not None
    hidden = [p for p in tmp_path.rglob(".*")]
    assert hidden == []


def test_the_files_are_those_of_the_ordinary_writers(data: np.ndarray, tmp_path: Path) -> None:
    volume = Volume(data=data, grid=GRID)
    rows = cells(BOXES[:1])
    (folder,) = crop(volume, rows, tmp_path / "a")
    piece = volume.crop(BOXES[0])
    write_tiff_slices(
        tmp_path / "b", piece.data, piece.grid, prefix=roi_name(rows[0]), first_number=3
    )
    names = sorted(p.name for p in folder.iterdir())
    assert names == sorted(p.name for p in (tmp_path / "b").iterdir())
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with tifffile.TiffFile(folder / names[0]) as tif:
        assert tif.imagej_metadata is not None
        assert tif.imagej_metadata["unit"] == "nm"
        assert tif.imagej_metadata["spacing"] == 50


def test_wide_types_keep_their_values(rng: np.random.Generator, tmp_path: Path) -> None:
    data = rng.integers(0, 60000, GRID.shape, dtype=np.uint16)
    for format in ("tiff", "tiff-stack", "ome-zarr"):
        out = tmp_path / format
        for row, path in zip(
            cells(), crop(Volume(data=data, grid=GRID), cells(), out, format=format), strict=True
        ):
            np.testing.assert_array_equal(open_volume(path).read(), wanted(data, row.roi))


def test_a_mask_leaves_the_cell_alone(data: np.ndarray, tmp_path: Path) -> None:
    labels = np.zeros(GRID.shape, np.uint16)
    labels[:, :, :45], labels[:, :, 45:] = 1, 2
    mask = LabelVolume(data=labels, grid=GRID)
    paths = crop(Volume(data=data, grid=GRID), cells(), tmp_path, mask=mask)
    for row, path in zip(cells(), paths, strict=True):
        np.testing.assert_array_equal(
            open_volume(path).read(), wanted(np.where(labels == row.id, data, 0), row.roi)
        )
    small = Grid(shape=(3, 3, 3), voxel_size_nm=GRID.voxel_size_nm)
    other = LabelVolume(data=np.zeros((3, 3, 3), np.uint8), grid=small)
    with pytest.raises(GridMismatchError, match="'volume' and 'mask' must share one grid"):
        crop(Volume(data=data, grid=GRID), cells(), tmp_path / "b", mask=other)


def test_a_mask_of_other_cells_is_told() -> None:
    labels = np.zeros(GRID.shape, np.uint16)
    labels[:, :, :45] = 1
    mask = LabelVolume(data=labels, grid=GRID)
    with pytest.warns(NothingFoundWarning, match="does not have the cells 2, 3, 4 at their cent"):
        warn_of_other_labels(mask, cells())
    warn_of_other_labels(mask, cells()[:1])


def test_chunks_are_read_in_layers(
    data: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ome_zarr(tmp_path / "v.ome.zarr", data, GRID)
    volume = open_volume(tmp_path / "v.ome.zarr")
    reads: list[Any] = []
    original = zarr.Array.__getitem__

    def spy(self: Any, index: Any) -> Any:
        reads.append(index)
        return original(self, index)

    monkeypatch.setattr(zarr.Array, "__getitem__", spy)
    paths = crop(volume, cells(), tmp_path / "out")
    # Layers of 8 slices: 2, 3, 1 and 3 of them hold some of the boxes.
    assert len(reads) == 9
    monkeypatch.undo()
    for row, path in zip(cells(), paths, strict=True):
        np.testing.assert_array_equal(open_volume(path).read(), wanted(data, row.roi))


@pytest.mark.parametrize("format", ["tiff", "tiff-stack", "ome-zarr", "nnunet"])
def test_checksums_are_those_of_the_files(format: Any, data: np.ndarray, tmp_path: Path) -> None:
    digests: dict[str, str] = {}
    for box in cut_boxes(Volume(data=data, grid=GRID), cells(), tmp_path, format=format):
        files = [p for o in box.outputs[:-1] for p in ([o] if o.is_file() else o.rglob("*"))]
        there = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.is_file()}
        assert there == box.digests
        digests |= relative_names(box.digests, tmp_path)
    write_manifest(tmp_path / "crops.sha256", digests)
    check = ["sha256sum", "--check", "--strict", "--quiet", "crops.sha256"]
    subprocess.run(check, cwd=tmp_path, check=True)
    victim = next(iter(digests))
    damaged = bytearray((tmp_path / victim).read_bytes())
    damaged[-1] ^= 1
    (tmp_path / victim).write_bytes(damaged)
    failed = subprocess.run(check, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert f"{victim}: FAILED" in failed.stdout


def test_a_case_of_nnunet_has_its_voxel_size_beside_it(data: np.ndarray, tmp_path: Path) -> None:
    paths = crop(Volume(data=data, grid=GRID), cells(), tmp_path, format="nnunet")
    for path in paths:
        assert path.parent == tmp_path / "nnunet" / "imagesTs"
        assert path.name.endswith("_0000.tif")
        sidecar = path.with_name(path.name.removesuffix("_0000.tif") + ".json")
        assert json.loads(sidecar.read_text()) == {"spacing": [50.0, 10.0, 10.0]}
        # As the reader of nnU-Net does.
        assert tifffile.imread(path).ndim == 3
    described = json.loads((tmp_path / "nnunet" / "dataset.json").read_text())
    assert described["file_ending"] == ".tif"
    assert described["labels"]["nucleus"] == 2


@pytest.mark.parametrize("spec", ["serial", "threads:2"])
@pytest.mark.parametrize("format", ["tiff", "tiff-stack", "ome-zarr"])
def test_finished_crops_stay_after_an_error_and_nothing_else(
    format: Any, spec: str, data: np.ndarray, tmp_path: Path
) -> None:
    class Broken(Counting):
        def __getitem__(self, index: Any) -> np.ndarray:
            if index[0] == 17:
                raise DataFormatError("slice 17 is gone")
            return super().__getitem__(index)

    made = []
    volume = Volume(data=Broken(data), grid=GRID)
    with make_executor(spec) as pool:
        boxes = cut_boxes(volume, cells(), tmp_path, format=format, executor=pool)
        with pytest.raises(DataFormatError, match="slice 17 is gone"):
            made.extend(box.cell.id for box in boxes)
    assert made == [1, 3]
    left = {p.parent.name for p in tmp_path.glob("rois/*/raw*")}
    assert left == {roi_name(cells()[0]), roi_name(cells()[2])}
    assert [p for p in tmp_path.rglob(".*")] == []


@pytest.mark.parametrize("format", ["tiff", "tiff-stack", "ome-zarr"])
def test_a_full_disk_is_one_line(
    format: Any, data: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(JobError, match=r"could not write .*raw.*: No space left on device; free"):
        crop(Volume(data=data, grid=GRID), cells(), tmp_path, format=format)
    monkeypatch.undo()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_slice_that_vanished_is_named(data: np.ndarray, tmp_path: Path) -> None:
    write_tiff_slices(tmp_path / "stack", data, GRID, prefix="s")
    volume = open_volume(tmp_path / "stack")
    (tmp_path / "stack" / "s_z0006.tif").unlink()
    with pytest.raises(DataFormatError, match=r"s_z0006.tif cannot be read .*put it back"):
        crop(volume, cells(), tmp_path / "out")
