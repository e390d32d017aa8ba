"""TIFF files that a broken copy cut short, in the forms that programs write, are refused."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from helaseg.core.grid import Grid
from helaseg.errors import DataFormatError
from helaseg.io import open_volume, write_tiff

GREY = np.random.default_rng(0).integers(0, 255, (5, 20, 24), dtype=np.uint8)
SIZE_NM = (50, 10, 10)


def _single_directory(path):
    """One directory for all slices, as ImageJ writes stacks over 4 GB."""
    description = "ImageJ=1.54f\nimages=5\nslices=5\nunit=nm\nspacing=50.0\n"
    tifffile.imwrite(path, GREY[0], description=description, metadata=None)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    path.write_bytes(path.read_bytes()[:start] + GREY.tobytes())


def _pillow(compression):
    def write(path):
        first, *others = [Image.fromarray(plane) for plane in GREY]
        first.save(path, save_all=True, append_images=others, compression=compression)

    return write


def _tifffile(**options):
    return lambda path: tifffile.imwrite(path, GREY, **options)


WRITERS = {
    "single-directory": _single_directory,
    "imagej": _tifffile(imagej=True, metadata={"axes": "ZYX"}),
    "ome": _tifffile(ome=True, metadata={"axes": "ZYX"}),
    "ome-lzw": _tifffile(ome=True, metadata={"axes": "ZYX"}, compression="lzw"),
    "big-endian": _tifffile(byteorder=">"),
    "big": _tifffile(bigtiff=True, compression="zlib", predictor=True),
    "tiled": _tifffile(tile=(16, 16), compression="zlib"),
    "pages": _tifffile(metadata=None, rowsperstrip=7),
    "pillow-raw": _pillow("raw"),
    "pillow-lzw": _pillow("tiff_lzw"),
    "pillow-deflate": _pillow("tiff_adobe_deflate"),
    "ours": lambda path: write_tiff(path, GREY, Grid(shape=GREY.shape, voxel_size_nm=SIZE_NM)),
    "ours-raw": lambda path: write_tiff(
        path, GREY, Grid(shape=GREY.shape, voxel_size_nm=SIZE_NM), compression=None
    ),
}


@pytest.mark.filterwarnings("ignore::helaseg.errors.DoubtfulDataWarning")  # another voxel size
@pytest.mark.parametrize("name", WRITERS)
def test_every_cut_is_refused_or_loses_nothing(tmp_path, name):
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    WRITERS[name](whole)
    content = whole.read_bytes()
    assert np.array_equal(open_volume(whole, SIZE_NM).data, GREY)
    refused = 0
    ends = range(0, len(content), max(1, len(content) // 60))
    for end in ends:
        cut.write_bytes(content[:end])
        try:
            data = np.asarray(open_volume(cut, SIZE_NM).data)
        except DataFormatError:
            refused += 1
        else:
            assert np.array_equal(data, GREY)
    assert refused > 0.9 * len(ends)


def test_more_pages_than_imagej_counts_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    description = "ImageJ=1.54f\nimages=3\nslices=3\n"
    with tifffile.TiffWriter(path) as writer:
        for plane in GREY:
            writer.write(plane, description=description, metadata=None, contiguous=False)
            description = None
    with pytest.raises(DataFormatError, match=r"holds 5 pages, its ImageJ description counts 3"):
        open_volume(path, SIZE_NM)


def test_one_file_of_a_companion_set_is_refused_and_its_folder_is_read(tmp_path):
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<BinaryOnly MetadataFile="set.companion.ome" UUID="urn:uuid:1"/></OME>'
    )
    for z, plane in enumerate(GREY):
        tifffile.imwrite(tmp_path / f"z{z}.ome.tif", plane, description=text, metadata=None)
    with pytest.raises(DataFormatError, match=r"one file of an image in several.*companion\.ome"):
        open_volume(tmp_path / "z0.ome.tif", SIZE_NM)
    assert np.array_equal(open_volume(tmp_path, SIZE_NM).data, GREY)


@pytest.mark.parametrize("axis", "ZTC")
def test_numbers_of_planes_beyond_reason_are_refused_at_once(tmp_path, axis):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, GREY, ome=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as tif:
        text = tif.ome_metadata
    size = f'Size{axis}="{5 if axis == "Z" else 1}"'
    assert size in text
    text = text.replace(size, f'Size{axis}="1000000000"')
    tifffile.imwrite(path, GREY, description=text, metadata=None)
    with pytest.raises(DataFormatError, match=r"promises \d+ images, it holds 5"):
        open_volume(path, SIZE_NM)


@pytest.mark.parametrize(("tag", "value"), [(278, 0), (322, 0), (322, 2**31), (256, 10**5)])
def test_impossible_strips_tiles_and_sizes_are_refused(tmp_path, tag, value):
    path = tmp_path / "a.tif"
    options = {"tile": (16, 16)} if tag == 322 else {"rowsperstrip": 20}
    tifffile.imwrite(path, GREY, compression="zlib", metadata=None, **options)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for page in tif.pages:
            page.tags[tag].overwrite(value, dtype=4)
            if tag == 256:
                page.tags[257].overwrite(value, dtype=4)
    with pytest.raises(DataFormatError, match=r"a\.tif"):
        open_volume(path, SIZE_NM)


def test_one_white_is_zero_slice_among_others_is_refused(tmp_path):
    kinds = ["minisblack", "miniswhite", "minisblack"]
    with tifffile.TiffWriter(tmp_path / "stack.tif") as writer:
        for z, kind in enumerate(kinds):
            writer.write(GREY[z], photometric=kind, metadata=None, contiguous=False)
            (tmp_path / "folder").mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / f"folder/z{z}.tif", GREY[z], photometric=kind)
    for path in (tmp_path / "stack.tif", tmp_path / "folder"):
        with pytest.raises(DataFormatError, match="stores white as zero"):
            open_volume(path, SIZE_NM)


def test_pyramids_are_read_at_full_resolution(tmp_path):
    for place in ("in sub-directories", "as pages"):
        path = tmp_path / f"{place}.tif"
        sub = place == "in sub-directories"
        with tifffile.TiffWriter(path) as writer:
            for plane in GREY:
                writer.write(plane, metadata=None, subifds=1 if sub else None, contiguous=False)
                writer.write(plane[::2, ::2], metadata=None, subfiletype=1)
        assert np.array_equal(open_volume(path, SIZE_NM).data, GREY)


def test_pages_may_differ_in_compression_strips_and_byte_order(tmp_path):
    path, folder = tmp_path / "a.tif", tmp_path / "folder"
    folder.mkdir()
    kinds = [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True}]
    with tifffile.TiffWriter(path) as writer:
        for z, plane in enumerate(GREY):
            writer.write(plane, metadata=None, contiguous=False, **kinds[z % 3])
            sixteen = plane.astype(np.uint16) * 100
            tifffile.imwrite(folder / f"z{z}.tif", sixteen, byteorder="<>"[z % 2])
    assert np.array_equal(open_volume(path, SIZE_NM).data, GREY)
    assert np.array_equal(open_volume(folder, SIZE_NM).data, GREY.astype(np.uint16) * 100)
