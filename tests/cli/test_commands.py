"""The commands read, call the library, write and refuse bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

from helaseg.cli.app import app, main
from helaseg.cli.help import FIRST_TIER
from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import Detection, Track
from helaseg.core.results import Provenance, SegmentationResult
from helaseg.core.volume import LabelVolume
from helaseg.errors import JobError
from helaseg.execution import JOURNAL_NAME
from helaseg.io import create_label_zarr, open_volume, read_cells_csv, write_tiff

SIZE = ["--voxel-size-nm", "50,10,10"]


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    return text.strip()


@pytest.fixture
def slices(tmp_path: Path, rng: np.random.Generator) -> Path:
    folder = tmp_path / "slices"
    folder.mkdir()
    for z in range(6):
        image = rng.integers(0, 255, (20, 30), np.uint8)
        tifffile.imwrite(folder / f"z{z:04d}.tif", image)
    return folder


@pytest.fixture
def masks(tmp_path: Path) -> tuple[Path, Path]:
    truth = np.zeros((3, 8, 10), np.uint8)
    truth[:, 2:6, 2:6] = 255
    prediction = truth.copy()
    prediction[0] = 0
    paths = tmp_path / "truth.npy", tmp_path / "prediction.npy"
    np.save(paths[0], truth)
    np.save(paths[1], prediction)
    return paths


class FakePipeline:
    """Stands for the steps that take long, and counts their calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail: Exception | None = None

    def detect(self, volume: Any, *, config: Any, executor: Any, progress: Any) -> Any:
        self.calls.append("detect")
        if self.fail:
            raise self.fail
        seen = Detection(z=2, y=10.0, x=15.0, radius_nm=60.0)
        lone = Detection(z=2, y=3.0, x=4.0, radius_nm=30.0, rank=2)
        background = np.zeros(volume.shape, np.uint8)
        return SimpleNamespace(
            detections=(seen, lone),
            tracks=(Track(id=1, detections=(seen,)),),
            rois={1: Roi(start=(1, 5, 5), stop=(5, 15, 25))},
            background=LabelVolume(data=background, grid=volume.grid),
            steps=(),
        )

    def segment(self, volume: Any, *, config: Any, **settings: Any) -> SegmentationResult:
        self.calls.append("segment")
        if self.fail:
            raise self.fail
        labels = np.zeros(volume.shape, np.uint8)
        labels[1:4, 5:15, 5:15] = 2
        mask = LabelVolume(data=(labels > 0).astype(np.uint8), grid=volume.grid)
        return SegmentationResult(
            labels=LabelVolume(data=labels, grid=volume.grid),
            nucleus=mask,
            cell=mask,
            measurements={"nucleus_um3": 1.5},
            provenance=Provenance(config={}, inputs={}, seed=0, steps=()),
        )


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    from helaseg.pipelines import classical

    fake = FakePipeline()
    monkeypatch.setattr(classical, "detect", fake.detect)
    monkeypatch.setattr(classical, "segment", fake.segment)
    return fake


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


# --- detect -----------------------------------------------------------------


def test_detect_writes_its_tables_and_is_done_once(
    slices: Path, tmp_path: Path, pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    from helaseg.io import read_cells_csv

    out = tmp_path / "out"
    assert main(["detect", str(slices), str(out), *SIZE]) == 0
    pages = {"cells.csv", "detections.csv", "candidates.html"}
    assert names(out) == {JOURNAL_NAME, "background.ome.zarr", *pages}
    (row,) = read_cells_csv(out / "cells.csv")
    assert row.roi == Roi(start=(1, 5, 5), stop=(5, 15, 25))
    assert "1 cell:" in capsys.readouterr().out
    assert main(["detect", str(slices), str(out), *SIZE]) == 0
    assert pipeline.calls == ["detect"]
    assert "found earlier" in capsys.readouterr().out
    # A table that somebody has edited is not made again.
    edited = (out / "cells.csv").read_text().replace(",yes", ",no")
    (out / "cells.csv").write_text(edited)
    assert main(["detect", str(slices), str(out), *SIZE]) == 0
    assert pipeline.calls == ["detect"]
    assert (out / "cells.csv").read_text() == edited
    assert capsys.readouterr().out
    (out / "cells.csv").unlink()
    assert main(["detect", str(slices), str(out), *SIZE, "--quiet"]) == 0
    assert pipeline.calls == ["detect", "detect"]
    assert capsys.readouterr().out == ""


def test_other_settings_need_another_folder_or_overwrite(
    slices: Path, tmp_path: Path, pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["detect", str(slices), str(tmp_path / "out"), *SIZE]
    assert main(command) == 0
    assert main([*command, "--track.min-probes", "2"]) == 2
    assert "give --overwrite to replace it" in one_line(capsys.readouterr().err)
    assert main([*command, "--track.min-probes", "2", "--overwrite"]) == 0
    assert pipeline.calls == ["detect", "detect"]


@pytest.mark.parametrize("job", ["detect", "segment"])
def test_a_failed_job_leaves_nothing(
    job: str,
    slices: Path,
    tmp_path: Path,
    pipeline: FakePipeline,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline.fail = JobError("a worker process died")
    assert main([job, str(slices), str(tmp_path / "out"), *SIZE]) == 1
    assert one_line(capsys.readouterr().err) == "helaseg: error: a worker process died"
    assert not (tmp_path / "out").exists()


# --- crop -------------------------------------------------------------------


def test_crop_honours_an_edited_table(
    slices: Path, tmp_path: Path, pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["detect", str(slices), str(out), *SIZE]) == 0
    crop = ["crop", str(slices), str(out), "--cells", str(out / "cells.csv"), *SIZE]
    assert main(crop) == 0
    assert "1 box cut, 0 were there" in capsys.readouterr().out
    (folder,) = (out / "rois").iterdir()
    assert folder.name.startswith("roi_001_")
    # What the user adds beside the image does not make the box outdated.
    (folder / "segmentation").mkdir()
    (folder / "segmentation" / "labels.tif").write_text("x")
    assert main(crop) == 0
    assert "0 boxes cut, 1 were there" in capsys.readouterr().out
    table = (out / "cells.csv").read_text()
    (out / "cells.csv").write_text(table.replace(",5,15,", ",6,16,"))
    assert main(crop) == 0
    assert "1 box cut, 0 were there" in capsys.readouterr().out
    assert main([*crop, "--ids", "1,4"]) == 2
    assert "(1), got [4]" in one_line(capsys.readouterr().err)
    shutil.rmtree(folder / "segmentation")
    (out / "cells.csv").write_text(table.splitlines()[0] + "\n")
    assert main(crop) == 0
    said = capsys.readouterr().out
    assert "0 boxes cut, 0 were there, 1 of cells that the table drops removed" in said


@pytest.mark.parametrize(
    ("format", "image"),
    [
        ("tiff-stack", "rois/*/raw.tif"),
        ("ome-zarr", "rois/*/raw.ome.zarr"),
        ("nnunet", "nnunet/imagesTs/*_0000.tif"),
    ],
)
def test_crop_writes_what_it_is_asked_for(
    format: str, image: str, slices: Path, tmp_path: Path, pipeline: FakePipeline
) -> None:
    out = tmp_path / "out"
    assert main(["detect", str(slices), str(out), *SIZE]) == 0
    (row,) = read_cells_csv(out / "cells.csv")
    whole = open_volume(slices, (50, 10, 10))
    mask = np.full(whole.shape, row.id, np.uint16)
    mask[:, :, : whole.shape[2] // 2] = 0
    write_tiff(tmp_path / "mask.tif", mask, whole.grid)
    crop = ["crop", str(slices), str(out), "--cells", str(out / "cells.csv"), *SIZE]
    crop += ["--format", format, "--mask", str(tmp_path / "mask.tif"), "--executor", "threads:2"]
    assert main(crop) == 0
    (path,) = out.glob(image)
    want = np.where(mask == row.id, whole.read(), 0)[row.roi.slices]
    np.testing.assert_array_equal(open_volume(path).read(), want)
    manifest = (out / "crops.sha256").read_text()
    assert path.relative_to(out).as_posix() in manifest
    assert main(crop) == 0


# --- segment ----------------------------------------------------------------


def test_segment_writes_its_files_and_is_done_once(
    slices: Path, tmp_path: Path, pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["segment", str(slices), str(out), *SIZE]
    assert main(command) == 0
    files = {"labels.tif", "nucleus.tif", "cell.tif", "measurements.csv", "slices.csv"}
    assert files | {"provenance.json", "report.html", JOURNAL_NAME} <= names(out)
    assert "report.html" in capsys.readouterr().out
    assert main(command) == 0
    assert pipeline.calls == ["segment"]
    assert main([*command, "--nucleus-only", "--overwrite"]) == 0
    assert pipeline.calls == ["segment", "segment"]


def test_the_seed_slice_must_lie_inside(
    slices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(slices), str(tmp_path / "o"), *SIZE, "--seed-slice", "6"]) == 2
    assert "'seed_slice' must lie between 0 and 5, got 6" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


# --- evaluate ---------------------------------------------------------------


def test_evaluate_prints_and_writes_scores(
    masks: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, prediction = map(str, masks)
    files = ["--json", str(tmp_path / "s.json"), "--csv", str(tmp_path / "s.csv")]
    assert main(["evaluate", truth, prediction, *SIZE, *files]) == 0
    out = capsys.readouterr().out
    (line,) = [x for x in out.splitlines() if "jaccard_index" in x]
    assert float(line.split()[-1]) == pytest.approx(2 / 3, rel=1e-5)
    rows = json.loads((tmp_path / "s.json").read_text())
    (volume,) = [r for r in rows if r["metric"] == "jaccard_index" and r["z"] is None]
    assert volume["value"] == pytest.approx(2 / 3)
    assert any(r["z"] == 0 and r["undefined"] for r in rows)
    assert (tmp_path / "s.csv").read_text().startswith("metric,label,z,value")
    assert main(["evaluate", truth, prediction, *SIZE, *files]) == 2
    assert "s.json must be new" in one_line(capsys.readouterr().err)
    assert main(["evaluate", truth, prediction, *SIZE, *files, "--overwrite"]) == 0


def test_evaluate_leaves_out_what_is_ignored(
    masks: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ignore = np.zeros((3, 8, 10), np.uint8)
    ignore[0] = 1
    np.save(tmp_path / "ignore.npy", ignore)
    words = [*map(str, masks), *SIZE, "--ignore", str(tmp_path / "ignore.npy")]
    assert main(["evaluate", *words, "--metrics", "jaccard_index", "--no-per-slice"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[-2:] == ["jaccard_index", "1"]


def test_evaluate_takes_size_and_place_from_the_image_that_states_them(
    masks: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = Grid(shape=(3, 8, 10), voxel_size_nm=(50, 10, 10), offset_nm=(0, 710, 1240))
    write_tiff(tmp_path / "placed.tif", np.load(masks[1]), grid)
    words = ["--metrics", "jaccard_index", "--no-per-slice", "--foreground"]
    for pair in ([str(masks[0]), "placed.tif"], ["placed.tif", str(masks[0])]):
        paths = [str(tmp_path / p) for p in pair]
        assert main(["evaluate", *paths, *words]) == 0
        said = capsys.readouterr().out
        assert "0.666667" in said
        assert "does not state its place" in said


def test_evaluate_reads_signed_masks_and_refuses_what_is_unclear(
    masks: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = np.where(np.load(masks[0]) > 0, -127, -128).astype(np.int8)
    np.save(tmp_path / "signed.npy", signed)
    words = [*SIZE, "--foreground", "--metrics", "jaccard_index", "--no-per-slice"]
    assert main(["evaluate", str(masks[0]), str(tmp_path / "signed.npy"), *words]) == 0
    said = capsys.readouterr()
    assert "jaccard_index  1" in said.out
    assert "-127 is foreground" in one_line(said.err)
    np.save(tmp_path / "signed.npy", signed + np.arange(3, dtype=np.int8)[:, None, None])
    assert main(["evaluate", str(masks[0]), str(tmp_path / "signed.npy"), *words]) == 2
    assert "none of which is clearly background" in one_line(capsys.readouterr().err)


def test_evaluate_refuses_grey_values(
    masks: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "grey.npy", np.zeros((3, 8, 10), np.float32))
    assert main(["evaluate", str(masks[0]), str(tmp_path / "grey.npy"), *SIZE]) == 2
    assert "grey.npy must hold integer labels, it holds float32" in capsys.readouterr().err


# --- info and plans ---------------------------------------------------------


def test_info_of_slices(slices: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(slices)]) == 0
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert facts["format"] == "folder of 6 TIFF slices"
    assert facts["shape"].startswith("6 x 20 x 30")
    assert facts["type"] == "uint8"
    assert facts["compression"] == "none"
    assert facts["slices"] == "number 0 to 5, 0 missing"
    assert main(["info", str(slices), *SIZE]) == 0
    assert "50 x 10 x 10 nm (z, y, x), given by --voxel-size-nm" in capsys.readouterr().out


def test_info_without_voxel_size_says_what_to_give(
    slices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(slices)]) == 0
    assert "not stated in the file: give --voxel-size-nm" in capsys.readouterr().out


def test_info_describes_what_other_commands_refuse(
    slices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (slices / "z0003.tif").unlink()
    tifffile.imwrite(slices / "z0000.tif", np.zeros((20, 30), np.uint8), photometric="miniswhite")
    for z in (1, 2, 4, 5):
        plane = np.zeros((20, 30), np.uint8)
        tifffile.imwrite(slices / f"z{z:04d}.tif", plane, photometric="miniswhite")
    assert main(["info", str(slices), "--voxel-size-nm", "5000,10,10"]) == 0
    said = capsys.readouterr().out
    assert "number 0 to 5, 1 missing: 3" in said
    assert "is not plausible" in said
    assert "white is stored as zero" in said
    grid = Grid(shape=(4, 8, 8), voxel_size_nm=(50, 10, 10))
    create_label_zarr(tmp_path / "cells.ome.zarr", grid, names=("cell", "nucleus"))
    assert main(["info", str(tmp_path / "cells.ome.zarr")]) == 0
    said = capsys.readouterr().out
    assert "zarr with 2 images" in said
    assert "image/labels/nucleus: 4 x 8 x 8 of uint16, voxels of 50 x 10 x 10 nm" in said


def test_voxel_sizes_may_have_units_and_must_be_in_order(
    slices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--voxel-size-nm", "0.1um,20nm,20nm"], ["--voxel-size-nm=100nm,200A,20"]):
        assert main(["info", str(slices), *words]) == 0
        assert "100 x 20 x 20 nm" in capsys.readouterr().out
    assert main(["detect", str(slices), "out", "--voxel-size-nm", "20,20,100"]) == 2
    assert "--voxel-size-nm 100,20,20?" in one_line(capsys.readouterr().err)
    assert main(["info", str(slices), "--voxel-size-nm", "20furlong,20nm,1nm"]) == 2


def test_info_of_ome_zarr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from helaseg.io import write_ome_zarr

    grid = Grid(shape=(8, 64, 64), voxel_size_nm=(50, 10, 10), offset_nm=(100, 0, 0))
    write_ome_zarr(tmp_path / "v.ome.zarr", np.zeros(grid.shape, np.uint8), grid, kind="image")
    assert main(["info", str(tmp_path / "v.ome.zarr")]) == 0
    out = capsys.readouterr().out
    assert "OME-Zarr 0.5" in out
    assert "stated in the file" in out
    assert "0: 8 x 64 x 64" in out
    assert "chunks" in out
    assert "100 x 0 x 0 nm" in out


@pytest.mark.parametrize("job", ["run", "detect", "segment"])
def test_a_dry_run_plans_and_writes_nothing(
    job: str, slices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([job, str(slices), str(tmp_path / "out"), *SIZE, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"plan of 'helaseg {job}'" in out
    assert "6 x 20 x 30 voxels of 50 x 10 x 10 nm" in out
    assert not (tmp_path / "out").exists()


def test_a_memory_limit_that_cannot_hold_is_refused(
    slices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["segment", str(slices), str(tmp_path / "out"), *SIZE, "--memory-limit", "10MB"]
    assert main(words) == 2
    assert "over the --memory-limit of 10MB" in one_line(capsys.readouterr().err)


def test_the_help_of_each_command_lists_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    for job, option in (
        ("run", "--nucleus.min-area-um2"),
        ("detect", "--detect."),
        ("segment", "--seed-slice"),
        ("crop", "--cells"),
        ("evaluate", "--ignore"),
        ("compare", "--pred"),
        ("phantom", "--packing"),
        ("demo", "--packing"),
        ("info", "--level"),
        ("doctor", "--debug"),
    ):
        assert main([job, "--help"]) == 0
        out = capsys.readouterr().out
        assert option in out
        assert "--memory-limit" in out


def test_help_has_two_tiers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = set[str]()
    for job in ("run", "detect", "segment", "train"):
        assert main([job, "--help"]) == 0
        short = capsys.readouterr().out
        assert len(short.splitlines()) <= 100  # two screens of 50 lines
        assert "more settings of the method: --help-all" in short
        assert main([job, "--help-all"]) == 0
        every = capsys.readouterr().out
        assert "more settings" not in every
        assert len(every.splitlines()) > 2 * len(short.splitlines())
        names.update(n for a in app[job].assemble_argument_collection() for n in a.names)
    assert names > FIRST_TIER


def test_a_key_of_an_earlier_version_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.toml").write_text("seed = 3\n")
    words = ["run", "image", "out", "--config", str(tmp_path / "old.toml")]
    assert main(words) == 2
    assert "'seed' in" in (said := capsys.readouterr().err)
    assert "is no longer a setting: no step of this command is random; remove the line" in said


# --- bad input --------------------------------------------------------------


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def other_size(folder: Path) -> None:
    tifffile.imwrite(folder / "z0003.tif", np.zeros((21, 30), np.uint8))


def gap(folder: Path) -> None:
    (folder / "z0002.tif").unlink()


def truncated(folder: Path) -> None:
    file = folder / "z0004.tif"
    file.write_bytes(file.read_bytes()[:300])


def colour(folder: Path) -> None:
    for file in folder.iterdir():
        tifffile.imwrite(file, np.zeros((20, 30, 3), np.uint8), photometric="rgb")


def not_a_number(folder: Path) -> None:
    for file in folder.iterdir():
        tifffile.imwrite(file, np.full((20, 30), np.nan, np.float32))


def missing(folder: Path) -> None:
    empty(folder)
    folder.rmdir()


@pytest.mark.parametrize("job", ["detect", "segment"])
@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (empty, "slices"),
        (missing, "slices"),
        (other_size, "z0003.tif"),
        (gap, "2"),
        (truncated, "z0004.tif"),
        (colour, "z0000.tif"),
        (not_a_number, "NaN"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    job: str,
    spoil: Any,
    named: str,
    slices: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(slices)
    assert main([job, str(slices), str(tmp_path / "out"), *SIZE]) == 2
    err = one_line(capsys.readouterr().err)
    assert err.startswith("helaseg: error: ")
    assert named in err
    assert not (tmp_path / "out").exists()


def test_a_gap_may_be_allowed(slices: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gap(slices)
    assert main(["info", str(slices), "--allow-gaps"]) == 0
    assert "number 0 to 5, 1 missing" in capsys.readouterr().out


def test_a_missing_voxel_size_names_the_option(
    slices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", str(slices), str(tmp_path / "out")]) == 2
    assert "--voxel-size-nm" in one_line(capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("job", ["detect", "segment", "phantom"])
def test_a_foreign_output_folder_is_refused(
    job: str, slices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.tex").write_text("x")
    words = [job, str(out)] if job == "phantom" else [job, str(slices), str(out), *SIZE]
    assert main(words) == 2
    assert "thesis" in one_line(capsys.readouterr().err)
    assert names(out) == {"chapter1.tex"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nucleus.min-area-umm2", "1"], "Did you mean --nucleus.min-area-um2?"),
        (["--voxel-size", "50,10,10"], "Did you mean --voxel-size-nm?"),
        (["--nucleus.min-area-um2", "-1"], "'min_area_um2' must be positive"),
    ],
)
def test_a_wrong_option_is_one_line(
    words: list[str], message: str, slices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(slices), str(tmp_path / "out"), *words]) == 2
    assert message in one_line(capsys.readouterr().err)


def test_an_unknown_key_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.toml").write_text("[nucleus]\nmin_area_umm2 = 1\n")
    words = ["segment", "nowhere", str(tmp_path / "out"), "--config", str(tmp_path / "c.toml")]
    assert main(words) == 2
    err = one_line(capsys.readouterr().err)
    assert "unknown key 'nucleus.min_area_umm2' in" in err
    assert "did you mean 'nucleus.min_area_um2'?" in err


# --- phantom ----------------------------------------------------------------


def test_phantom_writes_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p"
    words = ["phantom", str(out), "--shape", "4,64,64", "--voxel-size-nm", "500,200,200"]
    assert main([*words, "--n-cells", "1"]) == 0
    assert names(out) == {"image", "truth", "phantom.json"}
    stamps = sorted(p.stat().st_mtime_ns for p in out.rglob("*.tif"))
    assert main([*words, "--n-cells", "1"]) == 0
    assert sorted(p.stat().st_mtime_ns for p in out.rglob("*.tif")) == stamps
    assert "phantom: " in capsys.readouterr().out
    assert main([*words, "--n-cells", "2"]) == 2
    assert "holds a phantom with other settings" in one_line(capsys.readouterr().err)
    assert main([*words, "--n-cells", "2", "--overwrite"]) == 0
    (out / "notes.txt").write_text("mine")
    (out / "phantom.json").write_text("broken")
    assert main([*words, "--n-cells", "2"]) == 2
    assert "with other settings" in one_line(capsys.readouterr().err)
    assert main([*words, "--packing", "2"]) == 2
    assert "'packing' must lie between 0.0 and 1.0" in one_line(capsys.readouterr().err)


def test_phantom_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phantom", str(tmp_path / "p"), "--dry-run"]) == 0
    assert "64 x 1536 x 1536 voxels" in capsys.readouterr().out
    assert main(["demo", str(tmp_path / "p"), "--dry-run"]) == 0
    assert "plan of 'helaseg run'" in capsys.readouterr().out
    assert not (tmp_path / "p").exists()
