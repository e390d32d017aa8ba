"""OME-Zarr in all its versions, and plain zarr: the same volume in the same place."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from helaseg.core.grid import Grid, Roi
from helaseg.errors import (
    DataFormatError,
    JobError,
    MissingVoxelSizeError,
    OutputExistsError,
    ParameterError,
)
from helaseg.io import downsample, open_volume, write_ome_zarr
from helaseg.io import ome_zarr as reading

SCALE, SHIFT = [50.0, 10.0, 12.0], [100.0, 0.0, -24.0]
AXES = [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]


def steps(scale=SCALE, shift=SHIFT):
    return [
        {"type": "scale", "scale": list(scale)},
        {"type": "translation", "translation": list(shift)},
    ]


def image_04(axes=AXES, **more):
    dataset = {"path": "0", "coordinateTransformations": steps()}
    return {"multiscales": [{"version": "0.4", "axes": axes, "datasets": [dataset], **more}]}


def image_06(transforms, version="0.6"):
    systems = [{"name": "other", "axes": AXES[::-1]}, {"name": "intrinsic", "axes": AXES}]
    dataset = {"path": "0", "coordinateTransformations": transforms}
    scale = {"coordinateSystems": systems, "datasets": [dataset]}
    # Leads on to another frame and is not applied.
    scale["coordinateTransformations"] = [{"type": "scale", "scale": [9, 9, 9]}]
    return {"ome": {"version": version, "multiscales": [scale]}}


def ends(**step):
    return {**step, "input": {"path": "0"}, "output": {"name": "intrinsic"}}


SEQUENCE = ends(type="sequence", transformations=steps())
OLD_SEQUENCE = {**SEQUENCE, "input": "0", "output": "intrinsic"}


def store(path, data, attributes, zarr_format=3):
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    group.create_array("0", data=data, chunks=(2, *data.shape[-2:]) if data.ndim == 3 else "auto")
    group.attrs.update(attributes)
    return path


@pytest.fixture
def data(rng):
    return rng.integers(0, 255, (5, 12, 17), np.uint8)


# --- versions ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("zarr_format", "attributes"),
    [
        (2, image_04()),
        (3, {"ome": {"version": "0.5", **image_04()}}),
        (3, image_06([SEQUENCE])),
        (3, image_06([OLD_SEQUENCE], "0.6.dev1")),
    ],
)
def test_versions_give_one_volume(tmp_path, data, zarr_format, attributes):
    volume = open_volume(store(tmp_path / "a.zarr", data, attributes, zarr_format))
    assert volume.grid.voxel_size_nm == pytest.approx(SCALE)
    assert volume.grid.offset_nm == pytest.approx(SHIFT)
    np.testing.assert_array_equal(volume.read(), data)
    np.testing.assert_array_equal(volume.slice(3), data[3])
    np.testing.assert_array_equal(volume.data[1:4, ::2, 5], data[1:4, ::2, 5])


def test_transformations_of_the_whole_image_follow(tmp_path, data):
    more = {"coordinateTransformations": [{"type": "scale", "scale": [2, 2, 2]}]}
    grid = open_volume(store(tmp_path / "a.zarr", data, image_04(**more), 2)).grid
    assert grid.voxel_size_nm == pytest.approx((100, 20, 24))
    assert grid.offset_nm == pytest.approx((200, 0, -48))


def test_five_axes_and_other_units(tmp_path, data):
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    dataset = {"path": "0", "coordinateTransformations": steps([1, 1, 0.05, 0.01, 0.01], [0] * 5)}
    attributes = {"multiscales": [{"axes": axes, "datasets": [dataset]}]}
    volume = open_volume(store(tmp_path / "a.zarr", data[None, None], attributes, 2))
    assert volume.grid.voxel_size_nm == pytest.approx((50, 10, 10))
    np.testing.assert_array_equal(volume.read(), data)
    np.testing.assert_array_equal(volume.slice(4), data[4])
    two = np.stack([data, data])[None]
    store(tmp_path / "b.zarr", two, attributes, 2)
    with pytest.raises(DataFormatError, match="has 2 entries along 'c', one grey image"):
        open_volume(tmp_path / "b.zarr")


def test_axes_in_another_order_come_as_zyx(tmp_path, data):
    axes = [{"name": a, "type": "space", "unit": "nm"} for a in "xzy"]
    dataset = {"path": "0", "coordinateTransformations": steps([12, 50, 10], [0, 0, 0])}
    attributes = {"multiscales": [{"axes": axes, "datasets": [dataset]}]}
    stored = np.ascontiguousarray(data.transpose(2, 0, 1))
    volume = open_volume(store(tmp_path / "a.zarr", stored, attributes, 2))
    assert volume.grid.voxel_size_nm == pytest.approx(SCALE)
    np.testing.assert_array_equal(volume.read(), data)
    np.testing.assert_array_equal(volume.data[2, 3:9, ::3], data[2, 3:9, ::3])


def test_a_plane_is_one_slice(tmp_path, data):
    axes = AXES[1:]
    dataset = {"path": "0", "coordinateTransformations": steps([10, 12], [0, 0])}
    attributes = {"multiscales": [{"axes": axes, "datasets": [dataset]}]}
    store(tmp_path / "a.zarr", data[0], attributes, 2)
    with pytest.raises(MissingVoxelSizeError, match="found only y = 10 nm, x = 12 nm"):
        open_volume(tmp_path / "a.zarr")
    volume = open_volume(tmp_path / "a.zarr", (50, 10, 12))
    np.testing.assert_array_equal(volume.slice(0), data[0])


def test_plain_arrays_need_the_voxel_size(tmp_path, data):
    for zarr_format in (2, 3):
        path = tmp_path / f"{zarr_format}.zarr"
        zarr.create_array(path, data=data.astype(">u2"), zarr_format=zarr_format)
        with pytest.raises(MissingVoxelSizeError, match="--voxel-size-nm"):
            open_volume(path)
        volume = open_volume(path, (50, 10, 10))
        assert volume.data.dtype == np.uint16
        assert volume.data.dtype.isnative
        np.testing.assert_array_equal(volume.read(), data)
    with pytest.raises(DataFormatError, match="level 0 only"):
        open_volume(path, (50, 10, 10), level=1)


def test_axes_without_unit_need_the_voxel_size(tmp_path, data):
    path = store(tmp_path / "a.zarr", data, image_04([{"name": a} for a in "zyx"]), 2)
    with pytest.raises(MissingVoxelSizeError, match="found nothing"):
        open_volume(path)
    # The offset is kept in voxels: the caller knows better how large they are.
    assert open_volume(path, (100, 10, 12)).grid.offset_nm == pytest.approx((200, 0, -24))


# --- bad metadata ------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ({}, "it holds none"),
        (image_04(AXES[1:]), "2 numbers|2 axes|3 numbers for 2 axes"),
        (image_06([ends(type="rotation", rotation=[[1]])]), "of type 'rotation'"),
        (image_06([ends(type="scale", scale=["a"])]), "cannot be understood"),
        ({"multiscales": [{"axes": AXES, "datasets": []}]}, "without datasets"),
        ({"multiscales": [{"axes": AXES}]}, "cannot be understood"),
        ({"multiscales": [{"axes": AXES, "datasets": [{"path": "7"}]}]}, "lacks the level '7'"),
    ],
)
def test_bad_metadata_are_refused(tmp_path, data, attributes, match):
    path = store(tmp_path / "a.zarr", data, attributes)
    with pytest.raises(DataFormatError, match=match):
        open_volume(path)


def test_other_bad_stores_are_refused(tmp_path, data):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(DataFormatError, match=r"a\.zarr is not"):
        open_volume(tmp_path / "a.zarr")
    zarr.create_array(tmp_path / "c.zarr", data=data.astype(np.complex64))
    with pytest.raises(DataFormatError, match="must hold integers or floats"):
        open_volume(tmp_path / "c.zarr", (1, 1, 1))


def test_a_damaged_chunk_is_named(tmp_path, data):
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, data, Grid(shape=data.shape, voxel_size_nm=SCALE), n_levels=1)
    chunk = next(p for p in (path / "0" / "c").rglob("*") if p.is_file())
    chunk.write_bytes(b"nonsense" * 9)
    with pytest.raises(DataFormatError, match=r"c.0.0.0 is cut short: its header promises"):
        open_volume(path).slice(0)


# --- writing ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["image", "labels"])
@pytest.mark.parametrize("dtype", ["u1", "u2", ">i4", "u8"])
@pytest.mark.parametrize("layout", [{}, {"chunks": (4, 16, 16), "shards": (4, 32, 48)}])
def test_what_is_written_comes_back(tmp_path, rng, kind, dtype, layout):
    data = rng.integers(0, 5, (9, 50, 70)).astype(dtype)
    grid = Grid(shape=data.shape, voxel_size_nm=(20, 10, 10), offset_nm=(100, 20, -5))
    path = tmp_path / "a.ome.zarr"
    write_ome_zarr(path, data, grid, kind=kind, n_levels=3, **layout)
    fine = data
    for level, factors in enumerate([(1, 1, 1), (1, 2, 2), (2, 2, 2)]):
        fine = downsample(fine, factors, kind="mode" if kind == "labels" else "mean")
        grid = grid.downsample(factors)
        volume = open_volume(path, level=level)
        assert volume.grid.agrees_with(grid)
        np.testing.assert_array_equal(volume.read(), fine)
    with pytest.raises(DataFormatError, match="has the levels 0 to 2, got level 3"):
        open_volume(path, level=3)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_the_metadata_follow_the_specification(tmp_path):
    data = np.zeros((4, 600, 40), np.uint8)
    grid = Grid(shape=data.shape, voxel_size_nm=(50, 10, 10), offset_nm=(7, 8, 9))
    write_ome_zarr(tmp_path / "a.ome.zarr", data, grid, kind="labels", names={2: "nucleus"})
    node = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())
    assert node["zarr_format"] == 3
    ome = node["attributes"]["ome"]
    assert ome["version"] == "0.5"
    assert ome["image-label"]["properties"] == [{"label-value": 2, "name": "nucleus"}]
    (image,) = ome["multiscales"]
    assert image["axes"] == AXES
    assert [d["path"] for d in image["datasets"]] == ["0", "1", "2"]
    assert image["datasets"][1]["coordinateTransformations"] == [
        {"type": "scale", "scale": [50, 20, 20]},
        {"type": "translation", "translation": [7, 13, 14]},
    ]
    array = json.loads((tmp_path / "a.ome.zarr" / "0" / "zarr.json").read_text())
    assert array["dimension_names"] == ["z", "y", "x"]
    # Blank blocks take no space.
    assert not [p for p in (tmp_path / "a.ome.zarr" / "0").rglob("*") if p.name != "zarr.json"]


def test_only_zarr_folders_are_replaced(tmp_path, data):
    grid = Grid(shape=data.shape, voxel_size_nm=SCALE)
    for value in (1, 2):
        write_ome_zarr(tmp_path / "a", np.full_like(data, value), grid)
    assert open_volume(tmp_path / "a").read().min() == 2
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("x")
    with pytest.raises(OutputExistsError, match="b exists and is no zarr folder"):
        write_ome_zarr(tmp_path / "b", data, grid)
    assert (tmp_path / "b" / "thesis.tex").exists()


def test_a_full_disk_leaves_nothing(tmp_path, data, monkeypatch):
    class Full:
        shape, dtype = data.shape, data.dtype

        def __getitem__(self, index):
            raise OSError(28, "No space left on device")

    grid = Grid(shape=data.shape, voxel_size_nm=SCALE)
    with pytest.raises(JobError, match=r"a\.zarr: No space left on device"):
        write_ome_zarr(tmp_path / "a.zarr", Full(), grid)
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_is_refused(tmp_path, data):
    grid = Grid(shape=data.shape, voxel_size_nm=SCALE)
    for options, match in (
        ({"kind": "mask"}, "'kind' must be one of"),
        ({"n_levels": 0}, "'n_levels' must be at least 1"),
        ({"chunks": (0, 8, 8)}, "'chunks' must be at least 1"),
        ({"chunks": (8, 8, 8), "shards": (8, 8, 12)}, "'shards' must be whole multiples"),
        ({"shards": "all"}, "'shards' must be one of"),
    ):
        with pytest.raises(ParameterError, match=match):
            write_ome_zarr(tmp_path / "a", data, grid, **options)
    with pytest.raises(ParameterError, match="must be one of integers"):
        write_ome_zarr(tmp_path / "a", data.astype(float), grid, kind="labels")
    with pytest.raises(ParameterError, match="'data' must have the shape of 'grid'"):
        write_ome_zarr(tmp_path / "a", data[:2], grid)
    assert list(tmp_path.iterdir()) == []


# --- laziness, threads, pickles -------------------------------------------------


def counted(monkeypatch):
    loads: list[range] = []
    load = reading.ZarrArray._load

    def count(self, zs, ys, xs):
        loads.append(zs)
        return load(self, zs, ys, xs)

    monkeypatch.setattr(reading.ZarrArray, "_load", count)
    return loads


def test_slices_of_one_chunk_decode_it_once(tmp_path, rng, monkeypatch):
    data = rng.integers(0, 255, (16, 30, 40), np.uint8)
    grid = Grid(shape=data.shape, voxel_size_nm=SCALE)
    write_ome_zarr(tmp_path / "a", data, grid, chunks=(8, 16, 16))
    loads = counted(monkeypatch)
    volume = open_volume(tmp_path / "a")
    assert loads == []
    with ThreadPoolExecutor(4) as pool:
        planes = list(pool.map(volume.slice, range(16)))
    np.testing.assert_array_equal(np.stack(planes), data)
    assert sorted(loads, key=lambda r: r.start) == [range(0, 8), range(8, 16)]


def test_kept_chunks_have_a_limit(tmp_path, rng, monkeypatch):
    data = rng.integers(0, 255, (16, 30, 40), np.uint8)
    grid = Grid(shape=data.shape, voxel_size_nm=SCALE)
    write_ome_zarr(tmp_path / "a", data, grid, chunks=(8, 16, 16))
    volume = open_volume(tmp_path / "a")
    loads = counted(monkeypatch)
    monkeypatch.setattr(reading, "_KEPT_BYTES", 8 * 30 * 40)
    for z in (0, 8, 1):
        np.testing.assert_array_equal(volume.slice(z), data[z])
    assert loads == [range(0, 8), range(8, 16), range(0, 8)]
    monkeypatch.setattr(reading, "_KEPT_BYTES", 100)
    np.testing.assert_array_equal(volume.slice(3), data[3])
    assert loads[-1] == range(3, 4)


def test_pickles_take_the_address_only(tmp_path, rng):
    data = rng.integers(0, 255, (16, 300, 400), np.uint8)
    grid = Grid(shape=data.shape, voxel_size_nm=SCALE, offset_nm=SHIFT)
    write_ome_zarr(tmp_path / "a", data, grid)
    volume = open_volume(tmp_path / "a")
    volume.slice(0)
    packed = pickle.dumps(volume)
    assert len(packed) < 3000
    copy = pickle.loads(packed)
    assert copy.grid == volume.grid
    box = Roi(start=(3, 5, 7), stop=(9, 200, 399))
    np.testing.assert_array_equal(copy.crop(box).read(), data[box.slices])
