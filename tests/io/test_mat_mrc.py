"""MATLAB ground truth and MRC volumes."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest
import scipy.io

from helaseg.errors import (
    DataFormatError,
    DoubtfulDataWarning,
    MissingExtraError,
    MissingVoxelSizeError,
)
from helaseg.io import open_volume, read_mat

# --- MRC ---------------------------------------------------------------------------


def write_mrc(path, data, mode, *, order="<", cell=None, axes=(1, 2, 3), extended=0, imod=None):
    """An MRC file written from the standard, not with the code under test."""
    nz, ny, nx = data.shape
    header = bytearray(1024)
    struct.pack_into(f"{order}10i", header, 0, nx, ny, nz, mode, 0, 0, 0, nx, ny, nz)
    struct.pack_into(f"{order}3f", header, 40, *(cell or (0, 0, 0)))
    struct.pack_into(f"{order}3i", header, 64, *axes)
    struct.pack_into(f"{order}i", header, 92, extended)
    if imod is not None:
        struct.pack_into(f"{order}2i", header, 152, 1146047817, imod)
    header[208:212] = b"MAP "
    header[212:216] = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
    path.write_bytes(bytes(header) + bytes(extended) + data.tobytes())
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("mode", "dtype"), [(0, "i1"), (1, "i2"), (2, "f4"), (6, "u2"), (12, "f2")]
)
def test_mrc_modes(tmp_path, rng, order, mode, dtype):
    data = rng.integers(0, 100, (3, 4, 5)).astype(order + dtype)
    cell = (5 * 100.0, 4 * 110.0, 3 * 500.0)
    path = write_mrc(tmp_path / "a.mrc", data, mode, order=order, cell=cell, extended=48)
    volume = open_volume(path)
    assert volume.grid.voxel_size_nm == pytest.approx((50, 11, 10))
    assert volume.data.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.read(), data)


def test_bytes_of_imod(tmp_path):
    data = np.full((1, 2, 3), 200, np.uint8)
    path = write_mrc(tmp_path / "a.mrc", data, 0, imod=0)
    assert open_volume(path, (1, 1, 1)).slice(0).max() == 200
    write_mrc(path, data, 0, imod=1)
    assert open_volume(path, (1, 1, 1)).data.dtype == np.int8


@pytest.mark.parametrize("cell", [None, (5.0, 4.0, 3.0), (float("nan"), 4.0, 3.0)])
def test_placeholders_are_no_voxel_size(tmp_path, cell):
    path = write_mrc(tmp_path / "a.mrc", np.zeros((3, 4, 5), np.int8), 0, cell=cell)
    with pytest.raises(MissingVoxelSizeError, match="voxel-size-nm"):
        open_volume(path)


def test_mrc_without_machine_stamp(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.ones((3, 4, 5), ">i2"), 1, order=">")
    content = bytearray(path.read_bytes())
    content[212:216] = bytes(4)
    path.write_bytes(content)
    assert open_volume(path, (1, 1, 1)).read().max() == 1
    content[12:16] = b"\x77\x77\x77\x77"
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match="neither machine stamp nor mode"):
        open_volume(path, (1, 1, 1))


def test_bad_mrc_is_refused(tmp_path):
    data = np.zeros((3, 4, 5), np.int16)
    path = write_mrc(tmp_path / "a.mrc", data, 4)
    with pytest.raises(DataFormatError, match="has MRC mode 4, known are 0, 1, 2, 6, 12"):
        open_volume(path)
    write_mrc(path, data, 1, axes=(3, 2, 1))
    with pytest.raises(DataFormatError, match="must store x fastest"):
        open_volume(path)
    write_mrc(path, data, 1)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataFormatError, match=r"a\.mrc is cut short"):
        open_volume(path)
    write_mrc(path, np.zeros((0, 4, 5), np.int16), 1)
    with pytest.raises(DataFormatError, match="states a shape of 0 x 4 x 5"):
        open_volume(path)
    path.write_bytes(b"short")
    with pytest.raises(DataFormatError, match="it has 5 bytes"):
        open_volume(path)


def test_mode_0_that_states_unsigned_values_is_read_so_and_said(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.full((3, 4, 5), 200, np.uint8).view("i1"), 0)
    content = bytearray(path.read_bytes())
    for smallest, largest, expected in ((0, 200, 200), (0, 100, -56), (-128, 127, -56)):
        content[76:84] = np.array([smallest, largest], "<f4").tobytes()
        path.write_bytes(content)
        if expected > 0:
            with pytest.warns(DoubtfulDataWarning, match="unsigned bytes: .* up to 200"):
                volume = open_volume(path, (1, 1, 1))
        else:
            volume = open_volume(path, (1, 1, 1))
        assert int(volume.read()[0, 0, 0]) == expected


# --- npy -----------------------------------------------------------------------------


def test_other_files_named_npy_are_refused_in_one_line(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))
    with pytest.raises(DataFormatError, match=r"is an archive \(\.npz\)"):
        open_volume(path, (1, 1, 1))
    np.save(path, np.zeros((2, 3, 4)))
    content = path.read_bytes()
    for old, new in ((b"(2, 3, 4)", b"(2, 3, '"), (b"'<f8'", b"'\xff8'"), (b"(2, 3, 4)", b"9" * 9)):
        path.write_bytes(content.replace(old, new))
        with pytest.raises(DataFormatError, match=r"a\.npy"):
            open_volume(path, (1, 1, 1))


# --- MATLAB --------------------------------------------------------------------------


def test_mat_axes(tmp_path):
    data = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    scipy.io.savemat(tmp_path / "a.mat", {"labels": np.moveaxis(data, 0, 2), "note": "x", "n": 5})
    got = read_mat(tmp_path / "a.mat")
    np.testing.assert_array_equal(got, data)
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    scipy.io.savemat(tmp_path / "b.mat", {"labels": data[0]})
    np.testing.assert_array_equal(read_mat(tmp_path / "b.mat"), data[0])


def test_mat_with_several_images(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"a": np.zeros((2, 3)), "b": np.ones((2, 3, 4))})
    with pytest.raises(DataFormatError, match=r"a \(2, 3\), b \(2, 3, 4\)"):
        read_mat(path)
    assert read_mat(path, "b").shape == (4, 2, 3)
    with pytest.raises(DataFormatError, match="holds no image 'c'"):
        read_mat(path, "c")


def test_damaged_types_and_sizes_of_mat_elements_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    for compress in (False, True):
        scipy.io.savemat(path, {"a": np.ones((4, 5, 3), np.uint8)}, do_compression=compress)
        content = path.read_bytes()
        for end in range(1, len(content), 7):
            path.write_bytes(content[:end])
            with pytest.raises(DataFormatError, match=r"a\.mat"):
                read_mat(path)
    scipy.io.savemat(path, {"a": np.ones((4, 5, 3), np.uint8)})
    content = bytearray(path.read_bytes())
    tag = content.index(struct.pack("<II", 2, 60))  # of the 60 numbers, type 2
    content[tag + 1] = 1  # which ends the process in the reader of scipy
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match="unknown type 258"):
        read_mat(path)


def test_bad_mat(tmp_path):
    with pytest.raises(DataFormatError, match=r"a\.mat does not exist"):
        read_mat(tmp_path / "a.mat")
    (tmp_path / "a.mat").write_text("no MATLAB file at all, but long enough for a header" * 9)
    with pytest.raises(DataFormatError, match=r"a\.mat cannot be read as a MATLAB file"):
        read_mat(tmp_path / "a.mat")
    scipy.io.savemat(tmp_path / "b.mat", {"note": "x"})
    with pytest.raises(DataFormatError, match="its images are: none"):
        read_mat(tmp_path / "b.mat")


def write_mat73(path, data):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        # MATLAB's (rows, columns, slices) lie in HDF5 as (slices, columns, rows).
        file["labels"] = np.swapaxes(data, -1, -2)
        file.create_group("#refs#")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))


def test_mat_version_73(tmp_path):
    data = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    write_mat73(tmp_path / "a.mat", data)
    np.testing.assert_array_equal(read_mat(tmp_path / "a.mat"), data)


def test_mat_version_73_needs_h5py(tmp_path, monkeypatch):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"MATLAB files of version 7\.3 needs 'h5py'"):
        read_mat(tmp_path / "a.mat")
