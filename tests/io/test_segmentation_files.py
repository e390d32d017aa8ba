"""The folder of a segmentation: written slice by slice, read back as it was."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import tifffile

from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.results import (
    Invagination,
    Provenance,
    SegmentationResult,
    SliceRecord,
    StepCost,
)
from helaseg.core.volume import LabelVolume
from helaseg.errors import DataFormatError, GridMismatchError, JobError, ParameterError
from helaseg.io import read_segmentation, write_segmentation, write_tiff
from helaseg.io.tiff import TiffStack

GRID = Grid(shape=(6, 20, 30), voxel_size_nm=(50, 10, 10), offset_nm=(1000, 200.5, 0))


def label_volume(data):
    return LabelVolume(data=data, grid=GRID)


@pytest.fixture
def result():
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1:5, 3:15, 4:20] = 1
    labels[2:4, 5:10, 6:12] = 2
    labels[:, 16:] = 4
    cells = np.where(labels == 4, 700, labels > 0).astype(np.uint16)
    records = tuple(
        SliceRecord(
            z=z,
            nucleus_px=int((labels[z] == 2).sum()),
            cell_px=int(np.isin(labels[z], (1, 2)).sum()),
            nucleus_um2=0.1 * z,
            cell_um2=0.3 * z,
            confidence=math.nan if z == 0 else 1 / (z + 1),
            event="absent" if z == 0 else "followed",
            envelope_thickness_nm=math.nan if z == 0 else 50.5 + z,
            envelope_confidence=math.nan if z == 0 else z / 8,
            slice_number=56 + z,
        )
        for z in range(6)
    )
    return SegmentationResult(
        labels=label_volume(labels),
        nucleus=label_volume((labels == 2).astype(np.uint8)),
        cell=label_volume(np.isin(labels, (1, 2))),
        cells=label_volume(cells),
        envelope_confidence=label_volume((labels == 2).astype(np.uint8) * 37),
        slices=records,
        measurements={
            "cell_volume_um3": np.float64(1 / 3),
            "n_cell_slices": np.int64(4),
            "nucleus_to_cell_ratio": math.nan,
            "side": "left, or right",
            "closed": True,
        },
        flags=CellFlag.LITTLE_RESIN | CellFlag.SMALL,
        provenance=Provenance(
            config={"nucleus": {"sigma_nm": 20.0}},
            inputs={"raw": {"fingerprint": "abc"}},
            seed=3,
            steps=(StepCost(step="nucleus", seconds=1.5, peak_memory_mb=100.0),),
        ),
    )


FILES = {
    "nucleus.tif",
    "cell.tif",
    "cells.tif",
    "envelope_confidence.tif",
    "measurements.csv",
    "slices.csv",
    "invaginations.csv",
    "provenance.json",
}


@pytest.mark.parametrize("format", ["tiff", "ome-zarr"])
def test_everything_comes_back(tmp_path, result, format):
    files = write_segmentation(tmp_path / "out", result, format=format)
    labels = "labels.tif" if format == "tiff" else "labels.ome.zarr"
    assert {f.name for f in (tmp_path / "out").iterdir()} == FILES | {labels}
    assert {f.name for f in files} == FILES | {labels}
    back = read_segmentation(tmp_path / "out")
    for name in ("labels", "nucleus", "cell", "cells", "envelope_confidence"):
        got, want = getattr(back, name), getattr(result, name)
        assert got.grid.agrees_with(GRID)
        np.testing.assert_array_equal(got.read(), want.read())
    assert back.labels.names[3] == "nuclear envelope"
    assert repr(back.slices) == repr(result.slices)
    assert back.flags == result.flags
    assert repr(dict(back.measurements)) == repr(
        {
            "cell_volume_um3": 1 / 3,
            "n_cell_slices": 4,
            "nucleus_to_cell_ratio": math.nan,
            "side": "left, or right",
            "closed": True,
        }
    )
    assert back.provenance == result.provenance


def test_masks_are_0_and_255_on_disk(tmp_path, result):
    write_segmentation(tmp_path, result)
    for name in ("nucleus", "cell"):
        stored = tifffile.imread(tmp_path / f"{name}.tif")
        assert stored.dtype == np.uint8
        np.testing.assert_array_equal(stored, getattr(result, name).read() * np.uint8(255))
    table = (tmp_path / "measurements.csv").read_text().splitlines()
    assert len(table) == 2
    assert table[0].endswith(",flags")
    assert table[1].endswith(",small|little_resin")
    assert json.loads((tmp_path / "provenance.json").read_text())["seed"] == 3


class Streamed:
    """A lazily computed view: counts slices, and gives one at a time."""

    def __init__(self, data):
        self.base, self.shape, self.dtype, self.n_read = data, data.shape, data.dtype, 0

    def __getitem__(self, index):
        assert isinstance(index[0], int)
        self.n_read += 1
        return self.base[index]


def test_each_slice_is_computed_once(tmp_path, result):
    views = {
        name: Streamed(getattr(result, name).read())
        for name in ("labels", "nucleus", "cell", "cells")
    }
    lazy = SegmentationResult(**{name: label_volume(view) for name, view in views.items()})
    write_segmentation(tmp_path, lazy)
    assert {name: view.n_read for name, view in views.items()} == dict.fromkeys(views, 6)


def test_a_table_of_slices_from_before_the_envelope_was_measured(tmp_path, result):
    write_segmentation(tmp_path, result)
    table = tmp_path / "slices.csv"
    lines = [line.rsplit(",", 3)[0] for line in table.read_text().splitlines()]
    assert lines[0].endswith("event")
    table.write_text("\n".join(lines) + "\n")
    for got, want in zip(read_segmentation(tmp_path).slices, result.slices, strict=True):
        assert got.nucleus_px == want.nucleus_px
        assert math.isnan(got.envelope_thickness_nm)
        assert math.isnan(got.envelope_confidence)
        assert got.slice_number is None


def test_reading_is_lazy(tmp_path, result, monkeypatch):
    write_segmentation(tmp_path, result)
    read: list[int] = []
    original = TiffStack._read_plane

    def counted(self, z, *rest):
        read.append(z)
        original(self, z, *rest)

    monkeypatch.setattr(TiffStack, "_read_plane", counted)
    back = read_segmentation(tmp_path)
    assert read == []
    back.nucleus.slice(3)
    assert read == [3]


def test_a_smaller_result_leaves_nothing_of_the_earlier_one(tmp_path, result):
    write_segmentation(tmp_path, result, format="ome-zarr")
    (tmp_path / "raw").mkdir()
    small = SegmentationResult(labels=result.labels, nucleus=result.nucleus, cell=result.cell)
    write_segmentation(tmp_path, small)
    back = read_segmentation(tmp_path)
    assert back.cells is None
    assert back.envelope_confidence is None
    assert back.provenance is None
    assert back.slices == ()
    assert dict(back.measurements) == {}
    assert back.flags == CellFlag.NONE
    assert not (tmp_path / "labels.ome.zarr").exists()
    assert (tmp_path / "raw").exists()


def test_a_failure_leaves_no_labels(tmp_path, result):
    class Full(Streamed):
        def __getitem__(self, index):
            raise OSError(28, "No space left on device")

    write_segmentation(tmp_path, result)
    broken = SegmentationResult(
        labels=result.labels,
        nucleus=result.nucleus,
        cell=label_volume(Full(result.cell.read())),
    )
    with pytest.raises(JobError, match=r"could not write .*cell\.tif: No space left"):
        write_segmentation(tmp_path, broken)
    with pytest.raises(DataFormatError, match="holds no segmentation"):
        read_segmentation(tmp_path)


def test_damaged_folders_are_named(tmp_path, result):
    with pytest.raises(DataFormatError, match=r"neither labels\.tif nor labels\.ome\.zarr"):
        read_segmentation(tmp_path)
    write_segmentation(tmp_path, result)
    (tmp_path / "provenance.json").write_text('{"config": {}, "surprise": 1}')
    with pytest.raises(DataFormatError, match=r"provenance\.json is not a provenance"):
        read_segmentation(tmp_path)
    (tmp_path / "provenance.json").unlink()
    table = (tmp_path / "measurements.csv").read_text()
    (tmp_path / "measurements.csv").write_text(table + table.splitlines()[1])
    with pytest.raises(DataFormatError, match="must hold one line of measurements, it holds 2"):
        read_segmentation(tmp_path)
    (tmp_path / "measurements.csv").write_text(table)
    other = Grid(shape=GRID.shape, voxel_size_nm=(60, 10, 10))
    write_tiff(tmp_path / "cell.tif", np.zeros(GRID.shape, np.uint8), other)
    with pytest.raises(GridMismatchError, match="'cell' and 'labels' must share one grid"):
        read_segmentation(tmp_path)
    write_tiff(tmp_path / "labels.tif", np.zeros(GRID.shape, np.float32), GRID)
    with pytest.raises(DataFormatError, match=r"labels\.tif must hold integer labels"):
        read_segmentation(tmp_path)
    with pytest.raises(ParameterError, match="'format' must be one of"):
        write_segmentation(tmp_path, result, format="png")


def test_invaginations_come_back_and_may_be_missing(tmp_path, result):
    hole = Invagination(
        id=1,
        kind="pocket",
        volume_um3=0.25,
        depth_nm=math.nan,
        opening_um2=0.0,
        opening_width_nm=0.0,
        n_openings=0,
        centroid_z_nm=1.0,
        centroid_y_nm=2.5,
        centroid_x_nm=3.0,
        direction_z=math.nan,
        direction_y=math.nan,
        direction_x=math.nan,
    )
    write_segmentation(tmp_path, dataclasses.replace(result, invaginations=(hole,)))
    (again,) = read_segmentation(tmp_path).invaginations
    np.testing.assert_equal(dataclasses.asdict(again), dataclasses.asdict(hole))
    write_segmentation(tmp_path, result)
    assert (tmp_path / "invaginations.csv").read_text().startswith("id,kind,volume_um3")
    (tmp_path / "invaginations.csv").unlink()  # as an earlier version left it
    assert read_segmentation(tmp_path).invaginations == ()
