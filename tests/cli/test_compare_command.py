"""``helaseg compare`` reads predictions of any tool, writes its files once, refuses the rest."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from comparisons import GRID, SHIFTED, SHORT, TRUTH, image, labels

import helaseg.metrics as m
from helaseg.cli.app import main
from helaseg.core.grid import Grid, Roi
from helaseg.core.results import Provenance, SegmentationResult, StepCost
from helaseg.execution import JOURNAL_NAME
from helaseg.io import write_segmentation, write_tiff
from helaseg.pipelines.targets import write_target

FILES = {"scores.csv", "statistics.csv", "compare.json", "report.html", JOURNAL_NAME}


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    return text.strip()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an ROI, its truth, and predictions in several forms."""
    monkeypatch.chdir(tmp_path)
    write_tiff("roi.tif", image().data, GRID)
    write_tiff("truth.tif", labels(TRUTH).data, GRID)
    # other tools keep neither voxel size nor place
    np.save("shifted.npy", SHIFTED.astype(np.uint8))
    np.save("soft.npy", np.where(SHORT, 0.9, 0.1).astype(np.float32))
    classes = np.zeros(GRID.shape, np.uint8)
    classes[TRUTH], classes[SHORT] = 1, 2
    classes[SHORT & ~SHIFTED] = 3
    nucleus = labels(SHORT)
    steps = (StepCost(step="nucleus", seconds=4.0, peak_memory_mb=300.0),)
    result = SegmentationResult(
        labels=labels(classes),
        nucleus=nucleus,
        cell=labels(TRUTH),
        cells=labels(TRUTH.astype(np.uint8)),
        provenance=Provenance(config={}, inputs={}, steps=steps),
    )
    write_segmentation(tmp_path / "segmented", result)
    return tmp_path


def run(*words: str) -> int:
    return main(["compare", "roi.tif", "out", "--truth", "truth.tif", *words])


def test_any_form_of_prediction_is_compared(place, capsys) -> None:
    (place / "model").mkdir()
    (place / "model" / "training.json").write_text('{"seconds": 60, "device": "one GPU"}')
    preds = ["--pred", "folder=segmented", "other=shifted.npy", "--pred", "soft=soft.npy"]
    assert run(*preds, "--part", "nucleus", "--training", "soft=model") == 0
    assert {p.name for p in (place / "out").iterdir()} == FILES
    out = capsys.readouterr().out
    assert out.startswith("other is best by the Jaccard index: ")
    assert "report: out/report.html" in out
    found = json.loads((place / "out" / "compare.json").read_text())
    for name, mask in (("folder", SHORT), ("other", SHIFTED), ("soft", SHORT)):
        got = found["scores"][name]["counted"]["volume"]
        assert got["jaccard_index"] == m.jaccard_index(TRUTH, mask)
        assert got["hausdorff_distance_95"] == m.hausdorff_distance(
            TRUTH, mask, spacing=GRID.voxel_size_nm, percentile=95
        )
    assert found["costs"]["folder"]["predict_seconds"] == 4.0
    assert found["costs"]["soft"]["train_seconds"] == 60.0
    assert found["costs"]["other"]["predict_seconds"] is None
    assert found["inputs"]["pred"]["folder"] == "segmented/nucleus.tif"
    assert found["verdict"][0] in out


def test_class_images_and_doubt(place, capsys) -> None:
    np.save("doubt.npy", np.ones(GRID.shape, np.uint8) * (np.arange(50) > 30))
    words = ["--pred", "a=segmented", "b=segmented/labels.tif", "--ignore", "doubt.npy"]
    assert run(*words, "--part", "cell") == 0
    with (place / "out" / "scores.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["metric"] == "jaccard_index"]
    whole = {(r["method"], r["doubt"]): r["value"] for r in rows if r["region"] == "volume"}
    assert set(whole) == {(n, d) for n in "ab" for d in ("counted", "left out")}
    assert set(map(float, whole.values())) == {1.0}
    assert "a and b have the same Jaccard index, 1.000 (cell, 24 slices without" in (
        capsys.readouterr().out
    )


def test_annotated_slices_instances_and_labels(place, capsys) -> None:
    two = GRID.crop(Roi(start=(0, 0, 0), stop=(2, 40, 50)))
    write_tiff("two.tif", labels(TRUTH).data[[5, 12]], two)
    base = ["compare", "roi.tif", "--pred", "a=shifted.npy"]
    assert main([*base[:2], "o1", *base[2:], "--truth", "two.tif", "--slices", "5,12"]) == 0
    assert "(foreground, 2 slices)" in capsys.readouterr().out
    assert run("--pred", "a=segmented/cells.tif", "--instances", "--drawn-slices") == 0
    assert "(objects, 21 slices)" in capsys.readouterr().out
    words = ["--pred", "a=segmented/labels.tif", "--labels", "2,3", "--overwrite"]
    assert run(*words) == 0
    assert "(label 2 and 3, 24 slices)" in capsys.readouterr().out


def test_images_of_the_whole_volume_are_cut(place, capsys) -> None:
    whole = Grid(shape=(40, 150, 260), voxel_size_nm=GRID.voxel_size_nm)
    start = [round(o / s) for o, s in zip(GRID.offset_nm, GRID.voxel_size_nm, strict=True)]
    box = tuple(slice(a, a + n) for a, n in zip(start, GRID.shape, strict=True))
    for name, mask in (("truth.tif", TRUTH), ("other.tif", SHIFTED)):
        data = np.ones(whole.shape, np.uint8)
        data[box] = mask
        write_tiff(name, data, whole)
    assert run("--pred", "a=other.tif", "b=shifted.npy") == 0
    found = json.loads((place / "out" / "compare.json").read_text())["scores"]
    for name in "ab":
        got = found[name]["counted"]["volume"]["jaccard_index"]
        assert got == m.jaccard_index(TRUTH, SHIFTED)
    write_tiff("truth.tif", np.ones((40, 150, 200), np.uint8), replace(whole, shape=(40, 150, 200)))
    assert run("--pred", "a=other.tif", "--overwrite") == 2
    assert "40 x 150 x 200" in one_line(capsys.readouterr().err)


def test_one_annotated_slice_of_the_whole_plane_is_cut(place) -> None:
    start = [round(o / s) for o, s in zip(GRID.offset_nm, GRID.voxel_size_nm, strict=True)]
    plane = np.zeros((1, 150, 260), np.uint8)
    plane[0, start[1] : start[1] + GRID.shape[1], start[2] : start[2] + GRID.shape[2]] = TRUTH[12]
    np.save("truth.npy", plane)
    words = ["--truth", "truth.npy", "--pred", "a=shifted.npy", "--slices", "12"]
    assert main(["compare", "roi.tif", "out", *words]) == 0
    found = json.loads((place / "out" / "compare.json").read_text())["scores"]
    got = found["a"]["counted"]["volume"]["jaccard_index"]
    assert got == m.jaccard_index(TRUTH[12], SHIFTED[12])


def test_names_of_methods_are_text_not_formulas(place) -> None:
    names = ["a$b", "$x$", "@1+1", "+b", "日本", r"\frac{a}{b}_c^d"]
    assert run("--pred", *(f"{name}=shifted.npy" for name in names)) == 0
    table = (place / "out" / "scores.csv").read_text()
    assert "'@1+1" in table
    assert "'+b" in table


def test_labels_of_other_tools_leave_class_images_alone(place) -> None:
    """Label 1 of the truth is not class 1 of helaseg."""
    words = ["--pred", "folder=segmented", "--part", "envelope", "--labels", "1"]
    truth = np.where(TRUTH, 1, 0).astype(np.uint16)
    truth[:, :4] = 3
    write_tiff("truth.tif", truth, GRID)
    assert run(*words) == 0
    found = json.loads((place / "out" / "compare.json").read_text())
    band = SHORT & ~SHIFTED
    got = found["scores"]["folder"]["counted"]["volume"]["jaccard_index"]
    assert got == m.jaccard_index(TRUTH, band)
    assert "truth: label 1" in found["notes"]


def test_the_folder_of_a_cut_cell_stands_for_its_image(place, capsys) -> None:
    roi = place / "rois" / "roi_001"
    write_tiff(roi / "raw.tif", image().data, GRID)
    write_tiff(roi / "cell.tif", labels(TRUTH).data, GRID)
    write_target(roi, (12.0, 1.0, 1.0))
    truth = np.where(TRUTH, 7, 0).astype(np.uint16)
    truth[:, :4] = 3
    write_tiff("truth.tif", truth, GRID)
    command = ["compare", str(roi), "out", "--truth", "truth.tif", "--pred", "a=shifted.npy"]
    assert main(command) == 0
    notes = json.loads((place / "out" / "compare.json").read_text())["notes"]
    assert "truth: 2 objects, label 3 is at the target" in notes


def test_the_target_of_the_crop_picks_the_object(place, capsys) -> None:
    objects = np.where(TRUTH, 7, 0).astype(np.uint16)
    objects[:, :4] = 3
    write_tiff("truth.tif", objects, GRID)
    words = ["--pred", "a=shifted.npy", "--part", "nucleus"]
    assert run(*words) == 2
    assert "say which of them are the nucleus" in one_line(capsys.readouterr().err)
    write_target(place, (12.0, 20.0, 25.0))
    assert run(*words) == 0
    notes = json.loads((place / "out" / "compare.json").read_text())["notes"]
    assert "truth: 2 objects, label 7 is at the target" in notes
    assert run(*words, "--target-vx", "12,1,1", "--overwrite") == 0
    notes = json.loads((place / "out" / "compare.json").read_text())["notes"]
    assert "truth: 2 objects, label 3 is at the target" in notes


def test_it_is_done_once_and_again_when_something_changed(place, capsys) -> None:
    words = ["--pred", "a=shifted.npy"]
    assert run(*words) == 0
    before = (place / "out" / "report.html").stat().st_mtime_ns
    capsys.readouterr()
    assert run(*words) == 0
    assert capsys.readouterr().out == "done earlier: out\n"
    assert (place / "out" / "report.html").stat().st_mtime_ns == before
    (place / "out" / "scores.csv").write_text("edited")
    assert run(*words) == 0
    assert (place / "out" / "scores.csv").read_text().startswith("method,doubt,region,z,metric")
    changed = SHIFTED.copy()
    changed[11, 20, 25] = False  # one voxel, in a slice that no sample sees
    np.save("shifted.npy", changed.astype(np.uint8))
    capsys.readouterr()
    assert run(*words) == 2
    assert "with another input or other settings" in one_line(capsys.readouterr().err)
    assert run(*words, "--overwrite", "--quiet") == 0
    assert "report:" not in capsys.readouterr().out


def test_a_dry_run_plans_and_writes_nothing(place, capsys) -> None:
    assert run("--pred", "a=shifted.npy", "b=soft.npy", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "plan of 'helaseg compare'" in out
    assert "48 slices" in out
    assert not (place / "out").exists()


def test_settings_come_from_a_file_too(place) -> None:
    Path("c.toml").write_text('pred = ["a=soft.npy"]\nthreshold = 0.95\nslices = [12]\n')
    assert run("--config", "c.toml", "--metrics", "jaccard_index") == 0
    found = json.loads((place / "out" / "compare.json").read_text())
    assert found["config"]["threshold"] == 0.95
    assert found["scores"]["a"]["counted"]["volume"] == {"jaccard_index": 0.0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--pred", "a"],
            "'--pred' must be NAME=PATH with a name of its own, got 'a' in this form",
        ),
        (["--pred", "=a.npy"], "got '=a.npy' in this form"),
        (["--pred", "a=x", "a=y"], "got 'a=y' a second time"),
        (["--pred", "a=nowhere.tif"], "nowhere.tif does not exist"),
        (["--pred", "a=segmented"], "with several label images; say which is meant"),
        (["--pred", "a=segmented/labels.tif"], "'a' must be a mask or say what it holds"),
        (["--pred", "a=wide.npy"], "'a' and 'ROI' must share one grid, got 24 x 40 x 51"),
        (["--pred", "a=grey.npy"], "'a' must hold probabilities between 0 and 1"),
        (["--pred", "a=soft.npy", "--part", "soma"], "--part"),
        (["--pred", "a=soft.npy", "--slices", "30"], "'slices' must be indices from 0 to 23"),
        (
            ["--pred", "a=soft.npy", "--training", "b=m"],
            "must name methods of --pred (a), got ['b']",
        ),
        (["--pred", "a=soft.npy", "--training", "a=m"], "there is no training.json in it"),
        (["--pred", "a=soft.npy", "--ignore", "soft.npy"], "soft.npy must hold integer labels"),
        (["--pred", "a=soft.npy", "--metrics", "recall"], "'metrics' must hold 'jaccard_index'"),
        ([], "--pred"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(place, words, message, capsys) -> None:
    np.save("wide.npy", np.zeros((24, 40, 51), np.uint8))
    np.save("grey.npy", np.full(GRID.shape, 7.0, np.float32))
    assert run(*words) == 2
    err = one_line(capsys.readouterr().err)
    assert err.startswith("helaseg: error: ")
    assert message in err
    assert not (place / "out").exists()


def test_a_truth_of_floats_is_refused(place, capsys) -> None:
    words = ["compare", "roi.tif", "out", "--truth", "soft.npy", "--pred", "a=shifted.npy"]
    assert main(words) == 2
    assert "soft.npy must hold integer labels" in one_line(capsys.readouterr().err)
