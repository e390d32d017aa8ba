"""The working type: one stated rule, never silent; and fingerprints."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from helaseg.core.grid import Grid, Roi
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import DataFormatError, ParameterError
from helaseg.io import fingerprint, open_volume, to_uint8
from helaseg.io.sampling import sample_slices


def volume_of(data, **options):
    grid = Grid(shape=data.shape, voxel_size_nm=(50, 10, 10))
    return Volume(data=data, grid=grid, name="stack", **options)


def test_uint8_passes_through(rng):
    volume = volume_of(rng.integers(0, 255, (3, 8, 9), np.uint8))
    assert to_uint8(volume) is volume


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "i8", "u8", "f2", "f4", "f8"]),
    seed=st.integers(0, 99),
)
def test_limits_map_linearly(dtype, seed):
    info = np.iinfo(dtype) if dtype[0] in "ui" else None
    low, high = (max(info.min, -3000), min(info.max, 3000)) if info else (-3000, 3000)
    data = np.random.default_rng(seed).integers(low, high, (2, 5, 6)).astype(dtype)
    a, b = 7.0, 101.5
    want = np.clip(np.rint((data.astype(float) - a) / (b - a) * 255), 0, 255)
    got = to_uint8(volume_of(data), limits=(a, b))
    assert got.data.dtype == np.uint8
    np.testing.assert_allclose(got.read(), want, atol=1)
    assert np.mean(got.read() == want) > 0.95


def test_the_stated_rule(rng, caplog):
    data = rng.normal(1000, 50, (40, 30, 30)).astype(np.float32)
    data[5] = 0
    volume = volume_of(data)
    with caplog.at_level(logging.INFO, logger="helaseg.io.working_type"):
        scaled = to_uint8(volume)
    slices = sorted({round(z) for z in np.linspace(0, 39, 16)})
    sample = data[[z for z in slices if z != 5]]
    low, high = np.percentile(sample.astype(float), (0.1, 99.9))
    assert scaled.data.limits == pytest.approx((low, high))
    assert scaled.name == f"stack (float32 {low:g} to {high:g} as uint8)"
    (record,) = caplog.records
    assert "become 0 to 255" in record.getMessage()
    assert f"{low:g} to {high:g}" in record.getMessage()
    want = np.clip(np.rint((data.astype(float) - low) * (255 / (high - low))), 0, 255)
    np.testing.assert_array_equal(scaled.read(), want)
    np.testing.assert_array_equal(scaled.data[3:9, ::2, 4], want[3:9, ::2, 4])


def test_blank_slices_do_not_shift_the_limits(rng):
    data = rng.integers(20000, 30000, (16, 30, 30)).astype(np.uint16)
    want = to_uint8(volume_of(data)).data.limits
    data[3] = 0
    assert to_uint8(volume_of(data)).data.limits[0] == pytest.approx(want[0], rel=0.01)


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4"])
def test_constant_and_sparse_data(dtype):
    data = np.full((3, 8, 9), 7, dtype)
    assert to_uint8(volume_of(data)).read().max() == 0
    data = np.zeros((3, 80, 90), dtype)
    data[1, 4, 4] = 9
    scaled = to_uint8(volume_of(data))
    assert scaled.data.limits == (0, 9)
    np.testing.assert_array_equal(scaled.read() // 255, data // 9)


def test_bools_become_0_and_255():
    data = np.zeros((2, 3, 4), bool)
    data[1, 2] = True
    np.testing.assert_array_equal(to_uint8(volume_of(data)).read(), data * 255)


def test_reading_is_lazy_and_travels(tmp_path, rng):
    data = rng.integers(0, 60000, (4, 20, 30)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", compression="zlib")
    scaled = to_uint8(open_volume(tmp_path / "a.tif", (50, 10, 10)))
    copy = pickle.loads(pickle.dumps(scaled))
    np.testing.assert_array_equal(copy.read(), scaled.read())
    assert scaled.grid == open_volume(tmp_path / "a.tif", (50, 10, 10)).grid
    box = Roi(start=(1, 2, 3), stop=(3, 9, 30))
    np.testing.assert_array_equal(copy.crop(box).read(), scaled.read()[box.slices])


def test_nan_names_slice_and_file(tmp_path, rng):
    data = rng.normal(0, 1, (40, 12, 13)).astype(np.float32)
    folder = tmp_path / "s"
    folder.mkdir()
    data[0, 3, 4] = np.nan
    data[7, 3, 4] = np.inf
    for z, plane in enumerate(data):
        tifffile.imwrite(folder / f"z{z + 101}.tif", plane)
    volume = open_volume(folder, (50, 10, 10))
    match = r"slice 101 of s \(.*z101\.tif\) holds NaN or infinity in 1 pixels"
    with pytest.raises(DataFormatError, match=match):
        to_uint8(volume)
    scaled = to_uint8(volume, limits=(-3, 3))
    scaled.slice(1)
    with pytest.raises(DataFormatError, match=r"slice 108 of s \(.*z108\.tif\)"):
        scaled.slice(7)
    assert scaled.data.source_of(7).endswith("z108.tif")
    with pytest.raises(DataFormatError, match=r"slice 0 of stack holds NaN"):
        to_uint8(volume_of(data))


@pytest.mark.parametrize("limits", [(5, 5), (5, 1), (0, float("nan")), (0, float("inf"))])
def test_bad_limits_are_refused(limits):
    with pytest.raises(ParameterError, match="'limits' must be two finite numbers"):
        to_uint8(volume_of(np.zeros((2, 3, 4), np.uint16)), limits=limits)


# --- fingerprints -----------------------------------------------------------------


def test_fingerprints_tell_volumes_apart(tmp_path, rng):
    data = rng.integers(0, 255, (5, 20, 30), np.uint8)
    one = fingerprint(volume_of(data))
    assert len(one) == 16
    assert one == fingerprint(volume_of(data.copy()))
    np.save(tmp_path / "a.npy", data)
    assert one == fingerprint(open_volume(tmp_path / "a.npy", (50, 10, 10)))
    other = data.copy()
    other[4, 19, 29] ^= 1
    assert one != fingerprint(volume_of(other))
    assert one != fingerprint(volume_of(data.astype(np.uint16)))
    assert one != fingerprint(volume_of(data.reshape(5, 30, 20)))
    assert one != fingerprint(open_volume(tmp_path / "a.npy", (51, 10, 10)))
    labels = LabelVolume(data=data, grid=volume_of(data).grid)
    assert one == fingerprint(labels)


def test_byte_order_does_not_matter(rng):
    data = rng.integers(0, 6000, (5, 20, 30)).astype("<u2")
    assert fingerprint(volume_of(data)) == fingerprint(volume_of(data.astype(">u2")))


def test_the_sample_is_small_and_reads_few_slices():
    class Counted:
        shape, dtype = (500, 4096, 4096), np.dtype(np.uint8)
        read: list[int] = []  # noqa: RUF012

        def __getitem__(self, index):
            self.read.append(index[0])
            rows = range(4096)[index[1]]
            return np.zeros((len(rows), len(rows)), np.uint8)

    data = Counted()
    sizes = [plane.size for _, plane in sample_slices(data, n_slices=8, n_pixels=65536)]
    assert data.read == [0, 71, 143, 214, 285, 356, 428, 499]
    assert max(sizes) <= 65536
    assert list(sample_slices(np.zeros((0, 3, 4)), n_slices=8, n_pixels=9)) == []
