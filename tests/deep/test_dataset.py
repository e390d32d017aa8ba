"""Data sets in folders and TOML files become examples, or one clear line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.results import SegmentationResult, SliceRecord
from helaseg.core.volume import LabelVolume
from helaseg.deep import TrainConfig, UNetConfig, split_by_cell
from helaseg.deep.dataset import LabelledVolume, from_classical, open_example, read_dataset
from helaseg.deep.sampler import Sampler
from helaseg.errors import (
    DataFormatError,
    DoubtfulDataWarning,
    GridMismatchError,
    ParameterError,
)
from helaseg.io import write_segmentation, write_tiff

GRID = Grid(shape=(6, 80, 80), voxel_size_nm=(50, 25, 25))


def masks() -> np.ndarray:
    y, x = np.ogrid[:80, :80]
    disk = np.hypot(y - 40, x - 40) < 25
    return np.repeat(disk[None], 6, axis=0) * np.uint8(255)


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(network=UNetConfig(width=2, n_halvings=1), patch_px=32, batch_size=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    grey = np.random.default_rng(0).integers(1, 255, GRID.shape).astype(np.uint8)
    for name in ("a", "b", "c"):
        write_tiff(tmp_path / "images" / f"{name}.tif", grey, GRID)
        np.save(tmp_path / f"{name}.npy", masks())
    (tmp_path / "labels").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.npy").rename(tmp_path / "labels" / f"{name}.npy")
    return tmp_path


def test_a_folder_of_pairs(folder: Path, config: TrainConfig) -> None:
    dataset = read_dataset(folder)
    assert [v.cell for v in dataset.volumes] == ["a", "b", "c"]
    example = open_example(dataset.volumes[0], config)
    assert example.image.shape == (6, 40, 40)
    assert example.target.shape == (1, 6, 40, 40)
    assert (example.weight == 255).all()
    # A disk of 25 pixels of 25 nm, on pixels of 50 nm.
    assert example.target[0, 0].sum() / 255 == pytest.approx((masks()[0] > 0).sum() / 4, rel=1e-3)


def test_a_table_of_volumes(folder: Path, config: TrainConfig) -> None:
    votes = masks().astype(np.float32) / 255 * 0.6
    np.save(folder / "votes.npy", votes)
    doubt = np.zeros(GRID.shape, np.uint8)
    doubt[:, :40] = 1
    np.save(folder / "doubt.npy", doubt)
    (folder / "set.toml").write_text(
        'validation = ["two"]\n'
        '[[volume]]\nimage = "images/a.tif"\nlabels = "labels/a.npy"\ncell = "one"\n'
        'slices = [1, 4]\nignore = "doubt.npy"\nweight = 0.5\n'
        '[[volume]]\nimage = "images/b.tif"\nvotes = "votes.npy"\ncell = "two"\n'
    )
    dataset = read_dataset(folder / "set.toml")
    first, second = (open_example(v, config) for v in dataset.volumes)
    assert dataset.validation == ("two",)
    np.testing.assert_array_equal(np.flatnonzero(first.weight.any(axis=(1, 2))), [1, 4])
    assert not first.weight[1, :20].any()
    assert (first.weight[1, 20:] == 128).all()
    assert second.target.max() == 153
    learned, held = split_by_cell([first, second], config, validation=dataset.validation)
    assert ([e.cell for e in learned], [e.cell for e in held]) == (["one"], ["two"])


def test_the_unsupervised_result_counts_as_it_is_sure(tmp_path: Path, config: TrainConfig) -> None:
    inside = masks() // 255
    labels = inside * 2
    labels[:, :, 75:] = 4
    sure = [1.0, 0.5, 0.25, 1.0, 1.0, float("nan")]

    def volume(data: np.ndarray) -> LabelVolume:
        return LabelVolume(data=data, grid=GRID)

    result = SegmentationResult(
        labels=volume(labels),
        nucleus=volume(inside),
        cell=volume(inside),
        slices=tuple(
            SliceRecord(
                z=z,
                nucleus_px=1,
                cell_px=1,
                nucleus_um2=1.0,
                cell_um2=1.0,
                confidence=c,
                event="followed",
            )
            for z, c in enumerate(sure)
        ),
        flags=CellFlag.NONE,
    )
    write_segmentation(tmp_path, result)
    with pytest.raises(DataFormatError, match="must hold the image as one of raw"):
        from_classical([tmp_path])
    write_tiff(tmp_path / "raw.tif", masks(), GRID)
    (volume_listed,) = from_classical([tmp_path])
    example = open_example(volume_listed, config)
    # No confidence where there is no nucleus: that counts as sure.
    expected = np.rint(255 * np.nan_to_num(sure, nan=1.0))
    np.testing.assert_array_equal(example.weight[:, 0, 0], expected)
    assert not example.weight[:, :, 38:].any()
    part = inside[0].reshape(40, 2, 40, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(example.target[0, 0] / 255, part, atol=1 / 255)


def test_a_distance_head_learns_signed_distances(folder: Path, config: TrainConfig) -> None:
    network = replace(config.network, head="distance")
    config = replace(config, network=network, distance_nm=100.0)
    example = open_example(read_dataset(folder).volumes[0], config)
    row = example.target[0, 3, 20].astype(int)
    assert row[20] > 250
    assert row[0] < 5
    edge = np.flatnonzero(np.diff((row >= 128).astype(int)))
    assert len(edge) == 2
    # Half a voxel from the border on either side.
    step = 127.5 * np.tanh(25 / 100)
    assert row[edge[0] + 1] - 127.5 == pytest.approx(step, abs=12)


def test_a_cell_is_on_one_side(folder: Path, config: TrainConfig) -> None:
    volumes = read_dataset(folder).volumes
    one, two, three = (open_example(v, config) for v in volumes)
    twin = replace(three, name="again", cell="a")
    for seed in range(10):
        seeded = replace(config, seed=seed)
        learned, held = split_by_cell([one, two, twin], seeded)
        assert {e.cell for e in learned}.isdisjoint({e.cell for e in held})
        assert len(learned) + len(held) == 3
        assert held
        again = split_by_cell([one, two, twin], seeded)
        assert [e.name for e in again[1]] == [e.name for e in held]
    with pytest.raises(ParameterError, match="'validation' names z; the data set has a, b"):
        split_by_cell([one, two], config, validation=["z"])
    with pytest.raises(ParameterError, match="are kept for validation; leave one"):
        split_by_cell([one], config, validation=["a"])


def test_patches_are_balanced_known_and_repeatable(folder: Path, config: TrainConfig) -> None:
    example = open_example(read_dataset(folder).volumes[0], config)
    small = example.target.copy()
    small[:] = 0
    small[0, 2, 3:6, 3:6] = 255
    rare = replace(example, target=small)
    config = replace(config, foreground_share=1.0)
    sampler = Sampler([rare], config)
    drawn = [sampler.patch(np.random.default_rng(k)) for k in range(20)]
    assert all(p.target.max() > 0.4 for p in drawn)
    first, again = sampler.batch(3), sampler.batch(3)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, two.image)
    assert not np.array_equal(first[0].image, sampler.batch(4)[0].image)
    assert not np.array_equal(first[0].image, sampler.batch(3, part=1)[0].image)
    # Beyond the volume nothing is known.
    assert any((p.weight == 0).any() for p in drawn)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no table \[\[volume\]\]"),
        ("colour = 1\n[[volume]]\n", "unknown keys colour"),
        ('[[volume]]\nimage = "a"\n', "must have 'image' and one of"),
        ('[[volume]]\nimage = "a"\nlabels = "b"\ncoluor = 1\n', "unknown key 'coluor'"),
        ('[[volume]]\nimage = "a"\nlabels = "b"\nweight = -1\n', "'weight' must be positive"),
        (
            '[[volume]]\nimage = "a"\nlabels = "b"\nslices = 3\n',
            "must be a list of slices",
        ),
        ('[[volume]]\nimage = "a"\nlabels = 1\n', "'labels' must be the path of a file"),
        ('[[volume]]\nimage = "a"\nlabels = "b"\nvoxel_size_nm = "x"\n', "three finite numbers"),
        ("volume = 3\n", "must list its volumes as tables"),
        ("[[volume]]\na = " + "[" * 3000, "must be a TOML file"),
        ("[[", "must be a TOML file"),
    ],
)
def test_tables_that_say_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "set.toml"
    file.write_text(text)
    with pytest.raises(DataFormatError, match=message):
        read_dataset(file)


def test_folders_that_do_not_pair_are_refused(folder: Path, config: TrainConfig) -> None:
    with pytest.raises(DataFormatError, match="is no data set"):
        read_dataset(folder / "nothing")
    with pytest.raises(DataFormatError, match="images/ is missing or empty"):
        read_dataset(folder / "images")
    np.save(folder / "labels" / "z.npy", masks())
    with pytest.raises(DataFormatError, match=r"z\.npy has no image of the same name"):
        read_dataset(folder)
    (folder / "labels" / "z.npy").unlink()
    np.save(folder / "labels" / "a.npy", masks()[:3])
    with pytest.raises(DataFormatError, match="must have the shape of its image"):
        open_example(read_dataset(folder).volumes[0], config)
    (folder / "labels" / "a.npy").unlink()
    with pytest.raises(DataFormatError, match="has no labels of the same name"):
        read_dataset(folder)


def test_slices_that_are_not_there_and_nothing_labelled(folder: Path, config: TrainConfig) -> None:
    volume = read_dataset(folder).volumes[0]
    with pytest.raises(DataFormatError, match="must lie between 0 and 5, got 6"):
        open_example(replace(volume, slices=(6,)), config)
    everything = folder / "all.npy"
    np.save(everything, np.ones(GRID.shape, np.uint8))
    with pytest.raises(DataFormatError, match="has no labelled voxel"):
        open_example(replace(volume, ignore=everything), config)
    with pytest.raises(DataFormatError, match="the data set is empty"):
        Sampler([], config)


def test_planes_along_all_axes_need_cubes(folder: Path, config: TrainConfig) -> None:
    wanted = replace(config, axes="zyx", working_voxel_nm=(50, 25, 25))
    example = open_example(read_dataset(folder).volumes[0], wanted)
    with pytest.raises(ParameterError, match="'axes' must be 'z' for voxels that are not"):
        Sampler([example], wanted)
    cubes = replace(config, axes="zyx")
    sampler = Sampler([open_example(read_dataset(folder).volumes[0], cubes)], cubes)
    assert sampler.batch(0)[0].image.shape == (1, 32, 32)


def test_a_class_that_nobody_drew_and_a_missing_voxel_size(
    folder: Path, config: TrainConfig
) -> None:
    np.save(folder / "labels" / "a.npy", np.zeros(GRID.shape, np.uint8))
    empty = open_example(read_dataset(folder).volumes[0], config)
    with pytest.raises(DataFormatError, match="no labelled voxel of nucleus in any volume of a"):
        Sampler([empty], config).check_labelled()
    (folder / "images" / "a.tif").unlink()
    np.save(folder / "images" / "a.npy", masks())
    with pytest.raises(DataFormatError, match=r"a\.npy does not state its voxel size; list it in"):
        open_example(read_dataset(folder).volumes[0], config)


def test_labels_of_another_voxel_size_or_place_are_refused(
    folder: Path, config: TrainConfig
) -> None:
    file = folder / "labels" / "a.tif"
    (folder / "labels" / "a.npy").unlink()
    volume = read_dataset_of(folder, file)
    write_tiff(file, masks(), replace(GRID, voxel_size_nm=(100, 50, 50)))
    with pytest.raises(GridMismatchError, match=r"a\.tif states voxels of .* its image .* has"):
        open_example(volume, config)
    # A voxel size that is given holds for both.
    given = replace(volume, voxel_size_nm=GRID.voxel_size_nm)
    with pytest.warns(DoubtfulDataWarning, match=r"voxels of 100 x 50 x 50 nm .* as was asked"):
        assert open_example(given, config).image.shape == (6, 40, 40)
    write_tiff(folder / "images" / "a.tif", masks(), replace(GRID, offset_nm=(0, 500, 500)))
    write_tiff(file, masks(), replace(GRID, offset_nm=(0, 500, 900)))
    with pytest.raises(GridMismatchError, match="give labels of the same place"):
        open_example(volume, config)


def read_dataset_of(folder: Path, labels: Path) -> LabelledVolume:
    return LabelledVolume(image=folder / "images" / "a.tif", labels=labels)


def test_a_mask_with_soft_edges_keeps_its_size(folder: Path, config: TrainConfig) -> None:
    soft = scipy.ndimage.gaussian_filter(masks().astype(float), (0, 1.5, 1.5))
    np.save(folder / "labels" / "a.npy", np.round(soft).astype(np.uint8))
    volume = read_dataset_of(folder, folder / "labels" / "a.npy")
    with pytest.warns(DoubtfulDataWarning, match="mask with soft edges: values above 127"):
        example = open_example(volume, config)
    assert example.target[0, 0].sum() / 255 == pytest.approx((masks()[0] > 0).sum() / 4, rel=0.02)
    with pytest.raises(DataFormatError, match="resize labels without interpolation"):
        open_example(replace(volume, instances=True), config)
