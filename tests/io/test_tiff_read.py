"""TIFF stacks and folders: every layout gives the same voxels, lazily."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from helaseg.errors import (
    DataFormatError,
    DoubtfulDataWarning,
    MissingSlicesError,
    ParameterError,
)
from helaseg.io import open_volume
from helaseg.io.slice_names import check_gaps, numbered_slices
from helaseg.io.tiff import TiffStack

SIZE = (50.0, 10.0, 10.0)
DTYPES = ["uint8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


def image(rng: np.random.Generator, dtype: str = "uint8", shape=(5, 37, 53)) -> np.ndarray:
    return rng.integers(0, 120, shape).astype(dtype)


def write_folder(folder: Path, data: np.ndarray, numbers=None, name="z{:04d}.tif", **options):
    folder.mkdir(exist_ok=True)
    for number, plane in zip(numbers or range(1, len(data) + 1), data, strict=True):
        tifffile.imwrite(folder / name.format(number), plane, **options)
    return folder


# --- layouts ----------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "packbits", "lzw", "zlib", "deflate", "zstd"])
@pytest.mark.parametrize(
    "layout", [{}, {"rowsperstrip": 1}, {"rowsperstrip": 7}, {"tile": (16, 32)}]
)
def test_compressions_and_layouts(tmp_path, rng, compression, layout):
    data = image(rng, "uint16")
    data[2, 10:] = 0
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, compression=compression, photometric="minisblack", **layout)
    volume = open_volume(path, SIZE)
    np.testing.assert_array_equal(volume.read(), data)
    np.testing.assert_array_equal(volume.data[1:4, 5:30, 17:40], data[1:4, 5:30, 17:40])
    np.testing.assert_array_equal(volume.data[3, ::3, 1::4], data[3, ::3, 1::4])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_types_are_kept(tmp_path, rng, dtype, byteorder, compression):
    data = image(rng, dtype)
    folder = write_folder(
        tmp_path / "s", data, byteorder=byteorder, compression=compression, predictor=False
    )
    volume = open_volume(folder, SIZE)
    assert volume.data.dtype == np.dtype(dtype)
    assert volume.data.dtype.isnative
    got = volume.read()
    assert got.flags.writeable
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, data)


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True},
        {"ome": True},
        {"bigtiff": True},
        {"bigtiff": True, "compression": "lzw", "predictor": True},
        {"metadata": None},
        {"imagej": True, "compression": "zlib"},
    ],
)
def test_kinds_of_stacks(tmp_path, rng, options):
    data = image(rng, "uint16")
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", **options)
    volume = open_volume(tmp_path / "a.tif", SIZE)
    assert volume.shape == data.shape
    assert volume.slice_numbers == ()
    np.testing.assert_array_equal(volume.read(), data)


def test_a_single_page_is_one_slice(tmp_path, rng):
    plane = image(rng, shape=(9, 4))
    tifffile.imwrite(tmp_path / "a.tif", plane)
    volume = open_volume(tmp_path / "a.tif", SIZE, name="mine")
    assert volume.shape == (1, 9, 4)
    assert volume.name == "mine"
    np.testing.assert_array_equal(volume.slice(0), plane)


def test_one_bit_masks_are_read(tmp_path):
    mask = np.zeros((2, 9, 21), bool)
    mask[1, 2:5, 3:20] = True
    tifffile.imwrite(tmp_path / "a.tif", mask, photometric="minisblack")
    np.testing.assert_array_equal(open_volume(tmp_path / "a.tif", SIZE).read() != 0, mask)


def test_palettes_keep_their_numbers(tmp_path, rng):
    data = image(rng, shape=(9, 4))
    table = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="palette", colormap=table)
    np.testing.assert_array_equal(open_volume(tmp_path / "a.tif", SIZE).slice(0), data)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_index_reads_like_numpy(tmp_path_factory, data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)))
    layout = data.draw(st.sampled_from([{}, {"compression": "zlib", "tile": (16, 16)}]))
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    path = tmp_path_factory.mktemp("t") / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for plane in array:
            writer.write(plane, photometric="minisblack", metadata=None, **layout)
    stack = open_volume(path, SIZE).data
    index = []
    for n in shape:
        key = data.draw(
            st.one_of(
                st.integers(-n, n - 1),
                st.builds(
                    slice,
                    st.one_of(st.none(), st.integers(-n - 2, n + 2)),
                    st.one_of(st.none(), st.integers(-n - 2, n + 2)),
                    st.one_of(st.none(), st.integers(1, 3)),
                ),
            )
        )
        index.append(key)
    index = tuple(index[: data.draw(st.integers(0, 3))]) or (Ellipsis,)
    np.testing.assert_array_equal(stack[index], array[index])


def test_bad_indices_are_refused(tmp_path, rng):
    tifffile.imwrite(tmp_path / "a.tif", image(rng), photometric="minisblack")
    data = open_volume(tmp_path / "a.tif", SIZE).data
    with pytest.raises(IndexError, match="index 5 is out of range for an axis of 5"):
        data[5]
    with pytest.raises(ParameterError, match="steps must be positive"):
        data[::-1]
    with pytest.raises(ParameterError, match="integers and slices, got ndarray"):
        data[np.array([0, 1])]
    with pytest.raises(ParameterError, match="at most 3"):
        data[0, 0, 0, 0]
    assert data[2:2].shape == (0, 37, 53)
    assert data.ndim == 3
    assert data.size == 5 * 37 * 53
    assert len(data) == 5
    assert "uint8" in repr(data)
    np.testing.assert_array_equal(np.asarray(data, dtype=float), data[...].astype(float))


# --- laziness, threads, pickles ----------------------------------------------


def test_opening_reads_no_pixels_and_a_slice_reads_one_file(tmp_path, rng, monkeypatch):
    data = image(rng)
    folder = write_folder(tmp_path / "s", data, compression="zlib")
    read: list[int] = []
    original = TiffStack._read_plane

    def counted(self, z, *rest):
        read.append(z)
        original(self, z, *rest)

    monkeypatch.setattr(TiffStack, "_read_plane", counted)
    volume = open_volume(folder, SIZE)
    crop = volume.crop(volume.grid.roi)
    assert read == []
    crop.slice(3)
    assert read == [3]
    assert volume.data.source_of(3) == str(folder / "z0004.tif")


def test_a_crop_decodes_only_its_strips(tmp_path, rng, monkeypatch):
    tifffile.imwrite(
        tmp_path / "a.tif", image(rng), compression="zlib", rowsperstrip=4, photometric="minisblack"
    )
    data = open_volume(tmp_path / "a.tif", SIZE).data
    sizes: list[int] = []
    read = tifffile.FileHandle.read

    def counted(self, size=-1, /):
        coded = read(self, size)
        sizes.append(len(coded))
        return coded

    data[0, :, :]
    monkeypatch.setattr(tifffile.FileHandle, "read", counted)
    data[0, :, :]
    whole, sizes[:] = sum(sizes), []
    data[0, 8:12, :]
    assert sum(sizes) < whole / 2


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_threads_read_what_one_reads(tmp_path, rng, compression):
    data = image(rng, shape=(24, 60, 70))
    tifffile.imwrite(tmp_path / "a.tif", data, compression=compression, photometric="minisblack")
    volume = open_volume(tmp_path / "a.tif", SIZE)
    with ThreadPoolExecutor(8) as pool:
        planes = list(pool.map(volume.slice, list(range(24)) * 3))
    np.testing.assert_array_equal(np.stack(planes), np.concatenate([data] * 3))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pickles_take_the_address_only(tmp_path, rng, compression):
    data = image(rng, shape=(5, 300, 300))
    tifffile.imwrite(tmp_path / "a.tif", data, compression=compression, photometric="minisblack")
    volume = open_volume(tmp_path / "a.tif", SIZE)
    packed = pickle.dumps(volume)
    assert len(packed) < 4000
    np.testing.assert_array_equal(pickle.loads(packed).read(), data)


# --- slice numbers ------------------------------------------------------------


def test_slices_come_in_the_order_of_their_numbers(tmp_path, rng):
    data = image(rng, shape=(12, 4, 5))
    folder = write_folder(tmp_path / "s", data, name="cell_{}.tif")
    volume = open_volume(folder, SIZE)
    assert volume.slice_numbers == tuple(range(1, 13))
    np.testing.assert_array_equal(volume.read(), data)


def test_other_files_do_not_disturb(tmp_path, rng):
    folder = write_folder(tmp_path / "s", image(rng))
    (folder / "notes 1.txt").write_text("x")
    (folder / "._z0001.tif").write_text("x")
    assert open_volume(folder, SIZE).shape == (5, 37, 53)


def test_gaps_are_refused_unless_allowed(tmp_path, rng):
    data = image(rng, shape=(4, 4, 5))
    folder = write_folder(tmp_path / "s", data, numbers=[26, 28, 30, 34])
    with pytest.raises(
        MissingSlicesError, match=r"lacks 5 slices .* 27, 29, 31-33; .*--allow-gaps"
    ):
        open_volume(folder, SIZE)
    volume = open_volume(folder, SIZE, allow_gaps=True)
    assert volume.slice_numbers == (26, 28, 30, 34)
    np.testing.assert_array_equal(volume.read(), data)


def test_many_gaps_are_shortened():
    with pytest.raises(MissingSlicesError, match="and 37 more gaps"):
        check_gaps(Path("s"), list(range(0, 100, 2)))


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["z1.tif", "z2.tif", "z10.tif"], [1, 2, 10]),
        (["z0002_10nm.tif", "z0001_10nm.tif"], [1, 2]),
        (["ROI_1656-6756-329_z001.tif", "ROI_1656-6756-329_z002.tif"], [1, 2]),
        (["only.tif"], [0]),
        (["z0007_10nm.tif"], [7]),
        # other numbers in the names: versions, defocus, working distance, time of day
        (["s001_v3.tif", "s002_v1.tif", "s003_v2.tif"], [1, 2, 3]),
        (["z000_defocus-9.tif", "z001_defocus-8.tif", "z002_defocus+3.tif"], [0, 1, 2]),
        (["s01_WD4.512mm.tif", "s02_WD4.5mm.tif", "s03_WD5mm.tif"], [1, 2, 3]),
        (["a_12_0001.tif", "a_97_0002.tif", "a_33_0003.tif"], [1, 2, 3]),
        (["img1_093000.tif", "img2_093112.tif", "img3_093205.tif"], [1, 2, 3]),
        (["s2_z10.tif", "s1_z11.tif"], [10, 11]),
    ],
)
def test_numbers_in_names(names, numbers):
    found = numbered_slices(Path("s"), [Path(n) for n in names])
    assert [number for number, _ in found] == numbers


def test_two_numbers_that_could_be_meant_are_refused():
    names = [Path(f"a{a}_b{b}.tif") for a, b in ((1, 3), (2, 1), (4, 2))]
    with pytest.raises(DataFormatError, match=r"could be 1 \(behind 'a'\) and 3 \(behind '_b'\)"):
        numbered_slices(Path("s"), names)


def test_names_without_or_with_equal_numbers_are_refused():
    with pytest.raises(DataFormatError, match=r"b\.tif has no slice number"):
        numbered_slices(Path("s"), [Path("a1.tif"), Path("b.tif")])
    with pytest.raises(DataFormatError, match=r"same slice number 1; keep one stack per folder"):
        numbered_slices(Path("s"), [Path("a1.tif"), Path("a01.tif"), Path("a2.tif")])
    with pytest.raises(DataFormatError, match=r"names of 2 kinds, such as a1\.tif and b1\.tif"):
        numbered_slices(Path("s"), [Path("a1.tif"), Path("b1.tif"), Path("a2.tif")])


# --- bad files ------------------------------------------------------------------


def test_slices_of_other_size_or_type_are_named(tmp_path, rng):
    folder = write_folder(tmp_path / "s", image(rng))
    tifffile.imwrite(folder / "z0003.tif", np.zeros((37, 54), np.uint8))
    with pytest.raises(DataFormatError, match=r"z0003\.tif has 37 x 54 .*one size and type"):
        open_volume(folder, SIZE)
    tifffile.imwrite(folder / "z0003.tif", np.zeros((37, 53), np.uint16))
    with pytest.raises(DataFormatError, match=r"z0003\.tif has .* uint16, z0001\.tif has .* uint8"):
        open_volume(folder, SIZE)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kept", [0, 6, 100, 0.7, -1])
def test_truncated_files_are_named(tmp_path, rng, kept, compression):
    folder = write_folder(tmp_path / "s", image(rng), compression=compression)
    file = folder / "z0002.tif"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(DataFormatError, match=r"z0002\.tif .*(cut short|holds 0 pages)"):
        open_volume(folder, SIZE)


def test_a_truncated_stack_is_named(tmp_path, rng):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image(rng), photometric="minisblack")
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(DataFormatError, match=r"a\.tif is cut short"):
        open_volume(path, SIZE)


def test_damaged_pixels_are_named_when_read(tmp_path, rng):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image(rng), compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[2]
        at, n = page.dataoffsets[0], page.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[at : at + n] = bytes(n)
    path.write_bytes(content)
    volume = open_volume(path, SIZE)
    volume.slice(1)
    with pytest.raises(DataFormatError, match=r"a\.tif cannot be read as TIFF"):
        volume.slice(2)


def test_colours_channels_and_times_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    with pytest.raises(DataFormatError, match=r"rgb\.tif must be grey.*convert it first"):
        open_volume(tmp_path / "rgb.tif", SIZE)
    for axes in ("CYX", "ZCYX", "TZYX"):
        shape = (2, 3, 8, 9)[-len(axes) :]
        tifffile.imwrite(
            tmp_path / "c.tif", np.zeros(shape, np.uint8), ome=True, metadata={"axes": axes}
        )
        with pytest.raises(DataFormatError, match=r"c\.tif must be one stack of grey slices"):
            open_volume(tmp_path / "c.tif", SIZE)


def test_a_stack_that_calls_itself_time_is_a_stack(tmp_path, rng):
    data = image(rng)
    tifffile.imwrite(tmp_path / "t.tif", data, imagej=True, metadata={"axes": "TYX"})
    np.testing.assert_array_equal(open_volume(tmp_path / "t.tif", SIZE).read(), data)


def test_pages_of_several_sizes_and_stacks_in_a_folder_are_refused(tmp_path, rng):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.zeros((8, 9), np.uint8))
        writer.write(np.zeros((4, 5), np.uint8))
    with pytest.raises(DataFormatError, match="pages of one size and type"):
        open_volume(tmp_path / "a.tif", SIZE)
    folder = write_folder(tmp_path / "s", image(rng))
    tifffile.imwrite(folder / "z0006.tif", image(rng), photometric="minisblack")
    with pytest.raises(DataFormatError, match=r"z0006\.tif must be a single slice, it holds 5"):
        open_volume(folder, SIZE)


def test_complex_numbers_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9), np.complex64))
    with pytest.raises(DataFormatError, match="must hold integers or floats"):
        open_volume(tmp_path / "a.tif", SIZE)


@pytest.mark.real
def test_real_slices_open_with_gaps(real_data):
    folder = real_data / "roi_6005_4739" / "raw"
    with pytest.raises(MissingSlicesError, match="lacks"):
        open_volume(folder, (100, 10, 10))
    volume = open_volume(folder, (100, 10, 10), allow_gaps=True)
    assert volume.shape == (24, 2000, 2000)
    at = volume.slice_numbers.index(60)
    want = tifffile.imread(folder / "z0060.tif")
    np.testing.assert_array_equal(volume.slice(at), want)
    np.testing.assert_array_equal(volume.data[at, 700:900, 5:77], want[700:900, 5:77])


@pytest.mark.parametrize("second", [(7, 12, 15), (3, 9, 8)])
def test_further_images_of_an_ome_tiff_are_told(second, tmp_path, rng):
    path = tmp_path / "two.ome.tif"
    first = rng.integers(0, 255, (3, 12, 15), dtype=np.uint8)
    with tifffile.TiffWriter(path, ome=True) as file:
        for data in (first, np.zeros(second, np.uint8)):
            file.write(data, metadata={"axes": "ZYX"}, photometric="minisblack")
    with pytest.warns(DoubtfulDataWarning, match=r"holds 2 images: the first one is read"):
        volume = open_volume(path, SIZE)
    np.testing.assert_array_equal(volume.read(), first)


def test_a_stack_of_one_image_per_slice_is_refused(tmp_path):
    path = tmp_path / "slices.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for z in range(3):
            data = np.full((12, 15), z, np.uint8)
            file.write(data, metadata={"axes": "YX"}, photometric="minisblack")
    with pytest.raises(DataFormatError, match=r"holds 3 images of one slice, 12 x 15 pixels"):
        open_volume(path, SIZE)
