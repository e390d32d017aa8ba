"""Predictions by path: which image a folder means, and what the method took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helaseg.core.comparison import MethodCost
from helaseg.errors import DataFormatError
from helaseg.io import find_label_image, is_class_image, read_cost


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("labels.tif", "nucleus.tif", "cell.tif", "cells.tif", "report.html"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("nucleus", "nucleus.tif"),
        ("cell", "cell.tif"),
        ("envelope", "labels.tif"),
        ("cytoplasm", "labels.tif"),
    ],
)
def test_a_part_of_a_folder(folder, part, name) -> None:
    assert find_label_image(folder, part=part) == folder / name
    assert find_label_image(folder, part=part, instances=True) == folder / "cells.tif"


def test_labels_may_be_ome_zarr(folder) -> None:
    (folder / "labels.tif").unlink()
    (folder / "labels.ome.zarr").mkdir()
    assert find_label_image(folder, part="envelope") == folder / "labels.ome.zarr"


def test_anything_else_is_the_image_itself(folder, tmp_path) -> None:
    slices = tmp_path / "slices"
    slices.mkdir()
    (slices / "z0001.tif").touch()
    for path in (slices, folder / "nucleus.tif", tmp_path / "nowhere.npy"):
        assert find_label_image(path, part="cell") == path
    assert find_label_image(str(slices)) == slices


def test_a_folder_that_does_not_say_is_refused(folder) -> None:
    with pytest.raises(DataFormatError, match=r"several label images; say which .*--part nucleus"):
        find_label_image(folder)
    (folder / "cell.tif").unlink()
    with pytest.raises(DataFormatError, match=r"is a folder of helaseg without cell.tif; name"):
        find_label_image(folder, part="cell")


def test_class_images_are_known_by_name() -> None:
    assert is_class_image(Path("a/labels.tif"))
    assert is_class_image(Path("a/labels.ome.zarr"))
    assert not is_class_image(Path("labels/a.tif"))


def note(path: Path, **content: object) -> None:
    path.write_text(json.dumps(content))


def test_costs_are_read_where_they_are_noted(tmp_path) -> None:
    steps = [
        {"step": "nucleus", "seconds": 3.0, "peak_memory_mb": 250.0},
        {"step": "cell", "seconds": 9.0, "peak_memory_mb": 512.0},
    ]
    note(tmp_path / "provenance.json", steps=steps, config={})
    model = tmp_path / "model"
    model.mkdir()
    note(model / "training.json", seconds=3600, peak_memory_mb=9000, energy_j=5e5, device="one GPU")
    untrained = MethodCost(predict_seconds=12.0, predict_memory_mb=512.0)
    for path in (tmp_path, tmp_path / "nucleus.tif"):
        assert read_cost(path) == untrained
        assert read_cost(path, model) == MethodCost(
            train_seconds=3600.0,
            predict_seconds=12.0,
            train_memory_mb=9000.0,
            predict_memory_mb=512.0,
            train_energy_j=5e5,
            device="one GPU",
        )
    note(tmp_path / "training.json", seconds=5)
    steps = [{"step": "a", "energy_j": 30}, {"step": "b", "energy_j": 40}]
    note(tmp_path / "provenance.json", steps=steps, machine="laptop")
    assert read_cost(tmp_path) == MethodCost(
        train_seconds=5.0, predict_energy_j=70.0, device="laptop"
    )


def test_what_is_not_noted_is_not_known(tmp_path) -> None:
    assert read_cost(tmp_path / "a.tif") == MethodCost()
    note(tmp_path / "training.json", seconds=None, energy_j=float("nan"), peak_memory_mb="much")
    steps = [{"step": "a", "energy_j": 30}, {"step": "b", "energy_j": None}]
    note(tmp_path / "provenance.json", steps=steps)
    assert read_cost(tmp_path) == MethodCost()


def test_broken_notes_are_refused(tmp_path) -> None:
    deep = "[" * 5000 + "]" * 5000
    for content in (
        "{",
        "[1]",
        '{"steps": [3]}',
        '{"steps": 3}',
        deep,
        '{"a": ' + "9" * 5000 + "}",
    ):
        (tmp_path / "provenance.json").write_text(content)
        with pytest.raises(DataFormatError, match=r"provenance.json must .*remove or mend it"):
            read_cost(tmp_path)
    (tmp_path / "provenance.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DataFormatError, match=r"provenance.json must hold JSON"):
        read_cost(tmp_path)
    with pytest.raises(DataFormatError, match=r"must be the folder of a training, there is no"):
        read_cost(tmp_path, tmp_path / "model")


def test_a_result_of_helaseg_without_a_network_took_no_training(tmp_path) -> None:
    note(tmp_path / "provenance.json", steps=[], inputs={"roi": {}})
    assert read_cost(tmp_path).train_seconds == 0.0
    note(tmp_path / "provenance.json", steps=[], inputs={"roi": {}, "model": {}})
    assert read_cost(tmp_path).train_seconds is None
