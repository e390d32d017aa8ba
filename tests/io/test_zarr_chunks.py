"""Chunks of zarr arrays: found under the names they have, refused where torn or too large."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import zarr
from numcodecs import Blosc, GZip, Zstd
from zarr.codecs import GzipCodec, ZstdCodec

from helaseg.core.grid import Grid
from helaseg.errors import DataFormatError, DoubtfulDataWarning
from helaseg.io import open_volume, write_ome_zarr

GREY = np.random.default_rng(0).integers(1, 255, (8, 32, 32), dtype=np.uint8)
CHUNKS = (4, 16, 16)
SIZE_NM = (50, 10, 10)


def make(path, *, zarr_format=2, **options):
    array = zarr.create_array(
        path, shape=GREY.shape, chunks=CHUNKS, dtype="u1", zarr_format=zarr_format, **options
    )
    array[:] = GREY
    return path


@pytest.mark.parametrize("written", [".", "/"])
@pytest.mark.parametrize("stated", [".", "/", None])
def test_chunks_of_either_separator_are_read_whatever_is_stated(tmp_path, written, stated):
    naming = {"name": "v2", "separator": written}
    path = make(tmp_path / "a.zarr", chunk_key_encoding=naming)
    metadata = json.loads((path / ".zarray").read_text())
    metadata.pop("dimension_separator", None)
    if stated:
        metadata["dimension_separator"] = stated
    (path / ".zarray").write_text(json.dumps(metadata))
    assert np.array_equal(open_volume(path, SIZE_NM).data, GREY)


def test_chunks_named_in_two_ways_are_refused(tmp_path):
    path = make(tmp_path / "a.zarr")
    (path / "1" / "0").mkdir(parents=True)
    (path / "1.0.0").rename(path / "1" / "0" / "0")
    with pytest.raises(DataFormatError, match="names do not fit its metadata"):
        open_volume(path, SIZE_NM)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_without_chunks_is_warned_of(tmp_path, zarr_format):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(4, 8, 8), chunks=(2, 8, 8), dtype="u1", zarr_format=zarr_format)
    with pytest.warns(DoubtfulDataWarning, match=r"holds no chunk: every voxel reads as 0"):
        open_volume(path, SIZE_NM)
    (path / "0.0.0.part").write_bytes(b"a")
    with pytest.warns(DoubtfulDataWarning, match=r"no chunk, though 1 other files are there"):
        open_volume(path, SIZE_NM)


@pytest.mark.parametrize("compressor", [Blosc(), Blosc(cname="lz4"), Zstd(), GZip(), None])
def test_every_cut_of_a_chunk_is_refused(tmp_path, compressor):
    path = make(tmp_path / "a.zarr", compressors=compressor)
    chunk = path / "1.0.1"
    content = chunk.read_bytes()
    for end in range(0, len(content), len(content) // 40):
        chunk.write_bytes(content[:end])
        with pytest.raises(DataFormatError, match=r"cut short|damaged"):
            np.asarray(open_volume(path, SIZE_NM).data)


def test_every_cut_of_a_shard_is_refused(tmp_path):
    path = make(tmp_path / "a.zarr", zarr_format=3, shards=(8, 16, 32))
    shard = path / "c/0/1/0"
    content = shard.read_bytes()
    for end in range(0, len(content), len(content) // 20):
        shard.write_bytes(content[:end])
        with pytest.raises(DataFormatError, match=r"cut short|damaged"):
            np.asarray(open_volume(path, SIZE_NM).data)


@pytest.mark.parametrize("codec", [ZstdCodec(), GzipCodec()])
def test_a_chunk_that_inflates_to_another_size_is_refused_before_it_does(tmp_path, codec):
    path = make(tmp_path / "a.zarr", zarr_format=3, compressors=codec)
    bomb = np.zeros(50_000_000, np.uint8)
    packed = gzip.compress(bomb) if isinstance(codec, GzipCodec) else Zstd().encode(bomb)
    (path / "c/0/0/0").write_bytes(packed)
    with pytest.raises(DataFormatError, match=r"holds 50000000 bytes, .* chunks of 1024"):
        np.asarray(open_volume(path, SIZE_NM).data)


def test_chunks_and_slices_larger_than_the_memory_are_refused(tmp_path):
    far = 10**7
    for name, shape, chunks in (
        ("chunk", (4, 16, 16), (10**5, 10**5, 10**5)),
        ("slice", (1, far, far), (1, 64, 64)),
    ):
        path = tmp_path / f"{name}.zarr"
        zarr.create_array(path, shape=shape, chunks=chunks, dtype="u1")
        (path / "c/0/0").mkdir(parents=True)
        (path / "c/0/0/0").write_bytes(b"a")
        with pytest.raises(DataFormatError, match=f"declares a {name} of .* GB, more than"):
            open_volume(path, SIZE_NM)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_metadata_at_the_top_may_be_older_than_the_array(tmp_path, zarr_format):
    path = tmp_path / "a.ome.zarr"
    write_ome_zarr(path, GREY[:4], Grid(shape=(4, 32, 32), voxel_size_nm=SIZE_NM), n_levels=1)
    if zarr_format == 2:
        attributes = zarr.open_group(path).attrs.asdict()["ome"]
        group = zarr.open_group(path, mode="w", zarr_format=2)
        attributes["multiscales"][0]["version"] = "0.4"
        group.attrs.update({"multiscales": attributes["multiscales"]})
        group.create_array("0", shape=(4, 32, 32), chunks=CHUNKS, dtype="u1")
    zarr.consolidate_metadata(path)
    array = zarr.open_array(path / "0", mode="r+")
    array.resize(GREY.shape)
    array[:] = GREY
    assert np.array_equal(open_volume(path).data, GREY)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"zarr_format": 3}', b'{"zarr_format": 3, "node_type": 1}'],
)
def test_damaged_metadata_are_one_line(tmp_path, damage):
    path = tmp_path / "a.ome.zarr"
    write_ome_zarr(path, GREY, Grid(shape=GREY.shape, voxel_size_nm=SIZE_NM))
    for file in (path / "zarr.json", path / "0" / "zarr.json"):
        content = file.read_bytes()
        file.write_bytes(damage)
        with pytest.raises(DataFormatError) as caught:
            open_volume(path)
        assert len(str(caught.value).splitlines()) == 1
        file.write_bytes(content)
