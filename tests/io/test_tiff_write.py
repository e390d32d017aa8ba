"""TIFFs that are written: read back with their voxels and place, streamed, whole or not there."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from helaseg.core.grid import Grid
from helaseg.errors import JobError, OutputExistsError, ParameterError
from helaseg.io import open_volume, tiff_write, write_tiff, write_tiff_slices

DTYPES = ["u1", "u2", "f4", "i1", "i2", "i4", "u4", "f8", "u8", "i8", "f2"]


def grid_of(shape, offset=(0.0, 0.0, 0.0), size=(50.0, 28.08, 10.0)):
    return Grid(shape=shape, voxel_size_nm=size, offset_nm=offset)


class Streamed:
    """Counts the slices that are read and refuses to give more than one at a time."""

    def __init__(self, data):
        self.base, self.shape, self.dtype = data, data.shape, data.dtype
        self.read: list[int] = []

    def __getitem__(self, index):
        z = index[0]
        if isinstance(z, slice):
            assert z.stop - z.start == 1
            z = z.start
        self.read.append(z)
        return self.base[index]


@pytest.mark.parametrize("compression", [None, "zlib", "zstd"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (-75.0, 123.4, 1e6)])
def test_stacks_come_back(tmp_path, rng, compression, dtype, offset):
    data = rng.integers(0, 100, (3, 20, 31)).astype(dtype)
    grid = grid_of(data.shape, offset)
    path = tmp_path / "new" / "a.tif"
    write_tiff(path, data, grid, compression=compression)
    back = open_volume(path)
    assert back.data.dtype == np.dtype(dtype)
    assert back.grid.agrees_with(grid)
    assert back.grid.voxel_size_nm == grid.voxel_size_nm
    np.testing.assert_array_equal(back.read(), data)
    np.testing.assert_array_equal(tifffile.imread(path), data)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["u1", "u4", "u8"])
def test_slices_come_back(tmp_path, rng, compression, dtype):
    data = rng.integers(0, 100, (4, 20, 31)).astype(dtype)
    grid = grid_of(data.shape, (200.0, 1000.0, 30.0))
    folder = tmp_path / "raw"
    write_tiff_slices(folder, data, grid, prefix="cell", first_number=9, compression=compression)
    assert sorted(f.name for f in folder.iterdir()) == [f"cell_z{n:04d}.tif" for n in range(9, 13)]
    back = open_volume(folder)
    assert back.grid.agrees_with(grid)
    assert back.slice_numbers == (9, 10, 11, 12)
    np.testing.assert_array_equal(back.read(), data)
    # Each slice lies in its place also when it is opened alone.
    alone = open_volume(folder / "cell_z0011.tif")
    assert alone.grid.offset_nm == pytest.approx((300.0, 1000.0, 30.0))


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from(["u1", "u4", "u8", "?"]),
    compression=st.sampled_from([None, "zlib"]),
)
def test_any_shape_comes_back(tmp_path_factory, shape, dtype, compression):
    data = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
    data.setflags(write=False)
    grid = grid_of(shape, (1.0, 2.0, 3.0))
    path = tmp_path_factory.mktemp("t") / "a.tif"
    write_tiff(path, data, grid, compression=compression)
    back = open_volume(path)
    assert back.grid.agrees_with(grid)
    np.testing.assert_array_equal(back.read(), data)
    flipped = data.transpose(0, 2, 1)[:, ::-1]
    grid = grid_of(flipped.shape)
    write_tiff_slices(path.parent / "s", flipped, grid, prefix="a")
    np.testing.assert_array_equal(open_volume(path.parent / "s").read(), flipped)


def test_fiji_finds_the_voxel_size(tmp_path):
    data = np.zeros((3, 8, 9), np.uint8)
    write_tiff(tmp_path / "a.tif", data, grid_of(data.shape))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_imagej
        assert tif.imagej_metadata["unit"] == "nm"
        assert tif.imagej_metadata["spacing"] == 50.0
        assert tif.imagej_metadata["slices"] == 3
        assert tif.series[0].axes == "ZYX"
        up, down = tif.pages[0].tags["XResolution"].value
        assert down / up == pytest.approx(10.0)
        assert tif.pages[0].compression == 8


@pytest.mark.parametrize("dtype", ["u1", "u2", "u8"])
def test_raw_stacks_lie_in_one_piece_as_imagej_wants(tmp_path, rng, dtype):
    data = rng.integers(0, 9, (4, 7, 9)).astype(dtype)
    write_tiff(tmp_path / "a.tif", data, grid_of(data.shape), compression=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        start = tif.pages[0].dataoffsets[0]
        assert len(tif.pages) == 4
    raw = (tmp_path / "a.tif").read_bytes()[start : start + data.nbytes]
    assert raw == data.tobytes()


def test_over_four_gigabytes_it_becomes_bigtiff_with_ome_xml(tmp_path, monkeypatch, rng):
    monkeypatch.setattr(tiff_write, "_CLASSIC_BYTES", 100)
    data = rng.integers(0, 9, (3, 8, 9), dtype=np.uint8)
    grid = grid_of(data.shape, (5.0, 6.0, 7.0))
    write_tiff(tmp_path / "a.tif", data, grid)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
        assert tif.is_ome
    back = open_volume(tmp_path / "a.tif")
    assert back.grid.agrees_with(grid)
    np.testing.assert_array_equal(back.read(), data)


@pytest.mark.parametrize("write", [write_tiff, write_tiff_slices])
def test_slices_are_read_once_and_one_at_a_time(tmp_path, rng, write):
    data = Streamed(rng.integers(0, 9, (6, 8, 9), dtype=np.uint8))
    options = {"prefix": "a"} if write is write_tiff_slices else {}
    write(tmp_path / "a.tif", data, grid_of(data.shape), **options)
    assert data.read == list(range(6))


class Failing(Streamed):
    """A disk that is full after two slices."""

    def __getitem__(self, index):
        if len(self.read) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().__getitem__(index)


@pytest.mark.parametrize("write", [write_tiff, write_tiff_slices])
def test_a_full_disk_leaves_what_was_there(tmp_path, write):
    old = np.ones((3, 8, 9), np.uint8)
    grid = grid_of(old.shape)
    options = {"prefix": "a"} if write is write_tiff_slices else {}
    path = tmp_path / "a.tif"
    write(path, old, grid, **options)
    with pytest.raises(JobError, match=r"could not write .*a\.tif: No space left on device") as e:
        write(path, Failing(np.zeros_like(old)), grid, **options)
    assert "\n" not in str(e.value)
    assert [f.name for f in tmp_path.iterdir()] == ["a.tif"]
    np.testing.assert_array_equal(open_volume(path).read(), old)


def test_slices_replace_their_own_kind_only(tmp_path):
    data = np.ones((3, 8, 9), np.uint8)
    folder = tmp_path / "raw"
    write_tiff_slices(folder, data, grid_of(data.shape), prefix="a")
    write_tiff_slices(folder, data[:2], grid_of((2, 8, 9)), prefix="a")
    assert len(list(folder.iterdir())) == 2
    with pytest.raises(OutputExistsError, match=r"holds other files \(a_z0001\.tif\)"):
        write_tiff_slices(folder, data, grid_of(data.shape), prefix="b")
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(OutputExistsError, match=r"thesis\.tex"):
        write_tiff_slices(folder, data, grid_of(data.shape), prefix="a")
    with pytest.raises(OutputExistsError, match=r"thesis\.tex"):
        write_tiff_slices(folder / "thesis.tex", data, grid_of(data.shape), prefix="a")


def test_wrong_use_is_refused(tmp_path):
    data = np.ones((3, 8, 9), np.uint8)
    path = tmp_path / "a.tif"
    with pytest.raises(ParameterError, match="'data' must have the shape of 'grid'"):
        write_tiff(path, data, grid_of((3, 8, 8)))
    with pytest.raises(ParameterError, match="'compression' must be one of"):
        write_tiff(path, data, grid_of(data.shape), compression="lzw")
    with pytest.raises(ParameterError, match="at least one voxel"):
        write_tiff(path, data[:0], grid_of((0, 8, 9)))
    with pytest.raises(ParameterError, match="integer or float type"):
        write_tiff(path, data.astype(complex), grid_of(data.shape))
    with pytest.raises(ParameterError, match="'first_number' must not be negative"):
        write_tiff_slices(path, data, grid_of(data.shape), prefix="a", first_number=-1)
    assert list(tmp_path.iterdir()) == []
