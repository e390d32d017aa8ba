"""`open_volume`: what is opened, where the voxel size comes from, what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import tifffile

import helaseg
from helaseg.core.grid import Grid, Roi
from helaseg.core.volume import Volume
from helaseg.errors import (
    DataFormatError,
    DoubtfulDataWarning,
    JobError,
    MissingVoxelSizeError,
    ParameterError,
)
from helaseg.execution import JOURNAL_NAME
from helaseg.io import (
    check_unchanged,
    describe_job,
    fingerprint,
    input_state,
    open_volume,
    to_uint8,
    write_tiff_slices,
)
from helaseg.io.units import nm_per_unit

ZERO = np.zeros((3, 8, 9), np.uint8)


def size_of(path):
    return open_volume(path).grid.voxel_size_nm


def test_it_is_public():
    assert helaseg.open_volume is open_volume


# --- voxel size of TIFF --------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "factor"), [("nm", 1), ("um", 1e3), ("micron", 1e3), ("\u00b5m", 1e3), ("mm", 1e6)]
)
def test_imagej_states_the_voxel_size(tmp_path, unit, factor):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        ZERO,
        imagej=True,
        resolution=(factor / 10, factor / 12),
        metadata={
            "axes": "ZYX",
            "spacing": 50 / factor,
            "unit": unit if unit.isascii() else "\\u00B5m",
        },
    )
    assert size_of(path) == pytest.approx((50, 12, 10))
    # What the caller says wins, with a word.
    with pytest.warns(DoubtfulDataWarning, match=r"voxels of 50 x 12 x 10 nm.*1 x 2 x 3 nm are"):
        assert open_volume(path, (1, 2, 3)).grid.voxel_size_nm == (1, 2, 3)
    open_volume(path, (50.01, 12, 10))


@pytest.mark.parametrize(
    ("resolution", "metadata"),
    [
        ((0.1, 0.1), {"spacing": 50.0}),
        ((0.1, 0.1), {"spacing": 50.0, "unit": "pixel"}),
        ((0.1, 0.1), {"unit": "nm"}),
        ((72.0, 72.0), {"spacing": 1.0, "unit": "inch"}),
    ],
)
def test_imagej_without_unit_or_spacing_states_nothing(tmp_path, resolution, metadata):
    tifffile.imwrite(
        tmp_path / "a.tif",
        ZERO,
        imagej=True,
        resolution=resolution,
        metadata={"axes": "ZYX", **metadata},
    )
    with pytest.raises(MissingVoxelSizeError, match="give --voxel-size-nm Z,Y,X"):
        open_volume(tmp_path / "a.tif")


def test_ome_xml_states_voxel_size_and_position(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.01,
        "PhysicalSizeY": 100.0,
        "PhysicalSizeYUnit": "\u00c5",
        "PhysicalSizeZ": 50.0,
        "PhysicalSizeZUnit": "nm",
        "Plane": {"PositionX": [0.5] * 3, "PositionXUnit": ["\u00b5m"] * 3, "PositionY": [7.0] * 3},
    }
    tifffile.imwrite(path, ZERO, ome=True, metadata=metadata)
    grid = open_volume(path).grid
    assert grid.voxel_size_nm == pytest.approx((50, 10, 10))
    assert grid.offset_nm == pytest.approx((0, 0, 500))


def test_resolution_tags_alone_do_not_know_z(tmp_path):
    path = tmp_path / "a.tif"
    options = {"metadata": None, "photometric": "minisblack"}
    tifffile.imwrite(path, ZERO, resolution=(1e6, 1e6), resolutionunit="CENTIMETER", **options)
    with pytest.raises(MissingVoxelSizeError, match="found only y = 10 nm, x = 10 nm"):
        open_volume(path)
    for dpi, unit in ((72, "INCH"), (300, "INCH"), (1, "NONE"), (28, "CENTIMETER")):
        tifffile.imwrite(path, ZERO, resolution=(dpi, dpi), resolutionunit=unit, **options)
        with pytest.raises(MissingVoxelSizeError, match="found nothing"):
            open_volume(path)


def test_plain_tiff_with_a_described_spacing(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        ZERO[0],
        resolution=(1e6, 1e6),
        resolutionunit="CENTIMETER",
        metadata={"spacing": 50.0, "unit": "nm", "axes": "YX"},
    )
    assert size_of(path) == (50, 10, 10)


@pytest.mark.parametrize(
    ("unit", "nm"),
    [
        ("nanometer", 1),
        ("nanometre", 1),
        ("Angstrom", 0.1),
        ("micrometers", 1e3),
        ("\u03bcm", 1e3),
        (" cm ", 1e7),
        ("pixel", None),
        ("second", None),
        ("", None),
        (None, None),
    ],
)
def test_units(unit, nm):
    assert nm_per_unit(unit) == nm


def test_a_bad_voxel_size_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", ZERO)
    with pytest.raises(ParameterError, match="'voxel_size_nm' must be positive"):
        open_volume(tmp_path / "a.npy", (50, 0, 10))
    with pytest.raises(ParameterError, match="'voxel_size_nm' must be three"):
        open_volume(tmp_path / "a.npy", (50, 10))


# --- npy --------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i8", "f4", "?"])
def test_npy_is_mapped(tmp_path, rng, order, dtype):
    data = np.array(rng.integers(0, 2, (3, 5, 7)).astype(dtype), order=order)
    np.save(tmp_path / "a.npy", data)
    volume = open_volume(tmp_path / "a.npy", (50, 10, 10))
    assert volume.data.dtype.isnative
    np.testing.assert_array_equal(volume.read(), data)
    np.testing.assert_array_equal(volume.data[1, 2:, ::2], data[1, 2:, ::2])
    copy = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(copy.slice(2), data[2])


def test_npy_of_one_slice_and_bad_npy(tmp_path):
    np.save(tmp_path / "a.npy", ZERO[0])
    assert open_volume(tmp_path / "a.npy", (50, 10, 10)).shape == (1, 8, 9)
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 2, 2)))
    with pytest.raises(DataFormatError, match="must hold numbers along z, y, x"):
        open_volume(tmp_path / "a.npy", (50, 10, 10))
    np.save(tmp_path / "a.npy", np.array(["a", "b"]))
    with pytest.raises(DataFormatError, match="must hold numbers along z, y, x"):
        open_volume(tmp_path / "a.npy", (50, 10, 10))
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object))
    with pytest.raises(DataFormatError, match=r"cannot be read as \.npy"):
        open_volume(tmp_path / "a.npy", (50, 10, 10))
    np.save(tmp_path / "a.npy", ZERO)
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-9])
    with pytest.raises(DataFormatError, match=r"a\.npy"):
        open_volume(tmp_path / "a.npy", (50, 10, 10))


# --- what is no volume -------------------------------------------------------------


def test_what_is_no_volume_is_named(tmp_path):
    with pytest.raises(DataFormatError, match="nothing does not exist"):
        open_volume(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataFormatError, match="empty holds no slices"):
        open_volume(tmp_path / "empty")
    (tmp_path / "a.jpg").write_text("x")
    with pytest.raises(DataFormatError, match=r"a\.jpg has the unknown ending '.jpg'"):
        open_volume(tmp_path / "a.jpg")
    (tmp_path / "a.tif").write_text("this is no TIFF")
    with pytest.raises(DataFormatError, match=r"a\.tif cannot be read as TIFF"):
        open_volume(tmp_path / "a.tif")
    np.save(tmp_path / "a.npy", np.zeros((0, 4, 5)))
    with pytest.raises(DataFormatError, match=r"a\.npy"):
        open_volume(tmp_path / "a.npy", (1, 1, 1))


def test_levels_are_for_ome_zarr(tmp_path):
    np.save(tmp_path / "a.npy", ZERO)
    with pytest.raises(DataFormatError, match="has level 0 only"):
        open_volume(tmp_path / "a.npy", (1, 1, 1), level=1)
    with pytest.raises(ParameterError, match="'level' must be an integer from 0"):
        open_volume(tmp_path / "a.npy", (1, 1, 1), level=-1)


def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", ZERO)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("helaseg.io.volumes.open_npy", refuse)
    with pytest.raises(DataFormatError, match=r"a\.npy cannot be opened: Permission denied"):
        open_volume(tmp_path / "a.npy", (1, 1, 1))


# --- state of an input ----------------------------------------------------------


def test_a_slice_that_changes_changes_the_state_of_the_input(tmp_path):
    for z in range(40):
        tifffile.imwrite(tmp_path / f"z{z:03d}.tif", ZERO[0])
    volume = to_uint8(open_volume(tmp_path, (50, 10, 10)))
    box = volume.crop(Roi(start=(0, 1, 1), stop=(40, 5, 5)))
    states = [input_state(volume), input_state(box)]
    check_unchanged(volume, states[0])
    assert states == [input_state(volume), input_state(box)]
    before = fingerprint(volume)
    tifffile.imwrite(tmp_path / "z018.tif", ZERO[0] + 9)
    assert fingerprint(volume) == before  # the slice is not in the sample
    assert input_state(volume) != states[0]
    assert input_state(box) != states[1]
    with pytest.raises(JobError, match="changed while they were read; start again"):
        check_unchanged(volume, states[0])
    (tmp_path / "z018.tif").unlink()
    with pytest.raises(DataFormatError, match=r"z018\.tif cannot be read any more"):
        input_state(volume)


def test_a_job_notes_where_its_input_lies_and_when(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", ZERO)
    monkeypatch.setattr("sys.argv", ["/usr/bin/helaseg", "segment", "a.npy", "out"])
    job = describe_job(open_volume(tmp_path / "a.npy", (50, 10, 10)))
    assert job["source"] == str(tmp_path / "a.npy")
    assert job["date"].endswith("+00:00")
    assert job["command"] == ["helaseg", "segment", "a.npy", "out"]
    monkeypatch.setattr("sys.argv", ["ipykernel"])
    memory = Volume(data=ZERO, grid=Grid(shape=ZERO.shape, voxel_size_nm=(50, 10, 10)))
    assert describe_job(memory) | {"date": ""} == {"source": None, "date": "", "command": None}


def test_an_output_folder_is_no_image(tmp_path):
    write_tiff_slices(
        tmp_path / "phantom" / "image",
        ZERO,
        Grid(shape=ZERO.shape, voxel_size_nm=(50, 10, 10)),
        prefix="s",
    )
    with pytest.raises(DataFormatError, match=r"holds no slices.*; image in it does"):
        open_volume(tmp_path / "phantom")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "overview.png").write_bytes(b"")
    (tmp_path / "run" / JOURNAL_NAME).write_text("")
    with pytest.raises(DataFormatError, match=r"is an output folder of helaseg, not an image"):
        open_volume(tmp_path / "run", (50, 10, 10))
