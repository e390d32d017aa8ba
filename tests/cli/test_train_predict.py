"""``helaseg train`` and ``predict``: files, resuming, and one clear line for what is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helaseg.cli.app import main
from helaseg.core.grid import Grid
from helaseg.io import open_volume, read_segmentation, write_tiff

pytestmark = pytest.mark.usefixtures("one_torch_thread")

GRID = Grid(shape=(8, 200, 200), voxel_size_nm=(50, 10, 10), offset_nm=(100, 200, 300))
SETTINGS = """
n_steps = 60
validate_every = 20
batch_size = 4
patch_px = 16
learning_rate = 1e-2
warm_up = 2
working_voxel_nm = [50, 50, 50]
precision = "float32"
[network]
width = 4
n_halvings = 2
[augment]
elastic_px = 0.0
"""


def inside(shift: int) -> np.ndarray:
    z, y, x = np.ogrid[tuple(slice(n) for n in GRID.shape)]
    return ((z - 4) / 7) ** 2 + ((y - 95) / 60) ** 2 + ((x - 100 - shift) / 70) ** 2 < 1


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    return text.strip()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, one_torch_thread: None) -> Path:
    """A data set of two cells and a network trained on them."""
    folder = tmp_path_factory.mktemp("learned")
    for k, name in enumerate("ab"):
        rng = np.random.default_rng(k)
        mask = inside(10 * k)
        grey = np.where(mask, 90, 170) + rng.normal(0, 12, GRID.shape)
        write_tiff(
            folder / "set" / "images" / f"{name}.tif", np.clip(grey, 1, 255).astype("u1"), GRID
        )
        write_tiff(folder / "set" / "labels" / f"{name}.tif", mask * np.uint8(255), GRID)
    (folder / "train.toml").write_text(SETTINGS)
    command = ["train", str(folder / "set"), str(folder / "model")]
    command += ["--config", str(folder / "train.toml"), "--device", "cpu"]
    assert main(command) == 0
    return folder


def test_training_leaves_a_network_with_its_story(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {p.name.partition("_")[0] for p in (place / "model").iterdir()}
    assert {
        "best.safetensors",
        "last.safetensors",
        "model.json",
        "history.csv",
        "curves.png",
        "training.json",
    } <= files
    noted = json.loads((place / "model" / "model.json").read_text())
    assert sorted(noted["provenance"]["trained_on"] + noted["provenance"]["validated_on"]) == [
        "a",
        "b",
    ]
    before = (place / "model" / "best.safetensors").read_bytes()
    command = ["train", str(place / "set"), str(place / "model"), "--device", "cpu"]
    (place / "model" / ".helaseg-writing-a").mkdir()  # as a kill leaves it
    assert main([*command, "--config", str(place / "train.toml")]) == 0
    assert not list((place / "model").glob(".*"))
    assert "done earlier" in capsys.readouterr().out
    assert (place / "model" / "best.safetensors").read_bytes() == before
    assert main([*command, "--config", str(place / "train.toml"), "--seed", "5"]) == 2
    assert "--overwrite" in one_line(capsys.readouterr().err)
    corrected = tmp_path / "set"
    shutil.copytree(place / "set", corrected)
    command[1] = str(corrected)
    assert main([*command, "--config", str(place / "train.toml")]) == 0
    assert "done earlier" in capsys.readouterr().out
    write_tiff(corrected / "labels" / "a.tif", inside(1) * np.uint8(255), GRID)
    assert main([*command, "--config", str(place / "train.toml")]) == 2
    assert "with another input" in one_line(capsys.readouterr().err)
    assert (place / "model" / "best.safetensors").read_bytes() == before


@pytest.mark.parametrize("axes", [[], ["--tri-axis", "union"]])
def test_a_prediction_has_the_files_of_a_segmentation(
    place: Path, tmp_path: Path, axes: list[str]
) -> None:
    roi = place / "set" / "images" / "b.tif"
    command = ["predict", str(roi), str(place / "model"), str(tmp_path / "out"), *axes]
    assert main([*command, "--device", "cpu", "--quiet"]) == 0
    result = read_segmentation(tmp_path / "out")
    assert result.nucleus.grid.agrees_with(GRID)
    found, true = result.nucleus.read() > 0, inside(10)
    assert (found & true).sum() / (found | true).sum() > 0.85
    assert set(np.unique(result.labels.read())) == {0, 2, 3}
    assert not result.cell.read().any()
    assert [s.event for s in result.slices] == ["predicted"] * 8
    probability = open_volume(tmp_path / "out" / "probability.tif")
    assert probability.shape == (8, 40, 40)
    assert (tmp_path / "out" / "agreement.tif").exists() == bool(axes)
    assert "<html" in (tmp_path / "out" / "report.html").read_text()
    assert not list((tmp_path / "out").glob(".*"))
    (tmp_path / "out" / ".helaseg-writing-a").mkdir()  # as a kill leaves it
    stamp = (tmp_path / "out" / "labels.tif").stat().st_mtime_ns
    assert main([*command, "--device", "cpu", "--quiet"]) == 0
    assert (tmp_path / "out" / "labels.tif").stat().st_mtime_ns == stamp
    assert not list((tmp_path / "out").glob(".*"))


def test_short_numbers_give_the_same_labels_but_for_few_voxels(place: Path, tmp_path: Path) -> None:
    roi, found = place / "set" / "images" / "b.tif", []
    for name in ("float32", "bfloat16"):
        command = ["predict", str(roi), str(place / "model"), str(tmp_path / name), "--quiet"]
        assert main([*command, "--precision", name, "--device", "cpu"]) == 0
        found.append(read_segmentation(tmp_path / name).labels.read())
    assert np.mean(found[0] != found[1]) < 1e-3


def test_fine_tuning_goes_on_from_a_network(place: Path, tmp_path: Path) -> None:
    command = [
        "train",
        str(place / "set"),
        str(tmp_path / "finer"),
        "--start",
        str(place / "model"),
    ]
    command += ["--freeze", "encoder", "--n-steps", "4", "--patch-px", "16", "--batch-size", "1"]
    assert main([*command, "--device", "cpu", "--quiet"]) == 0
    noted = json.loads((tmp_path / "finer" / "model.json").read_text())
    assert noted["config"]["network"]["width"] == 4
    assert noted["provenance"]["start"] == str(place / "model")


def test_numbered_nuclei_are_told_from_classes(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "set"
    shutil.copytree(place / "set", data)
    for name in "ab":
        halves = inside(0).astype(np.uint8)
        halves[:, :, :95] *= 2
        halves[:, :, 95:105] = 0
        write_tiff(data / "labels" / f"{name}.tif", halves, GRID)
    command = ["train", str(data), str(tmp_path / "m"), "--config", str(place / "train.toml")]
    assert main([*command, "--dry-run"]) == 2
    assert "say --instances" in one_line(capsys.readouterr().err)
    assert main([*command, "--dry-run", "--instances"]) == 0
    assert "labels    a, b: objects: every label is nucleus" in capsys.readouterr().out


def test_plans_write_nothing(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(place / "set"), str(tmp_path / "m"), "--preset", "unet-2020"]
    assert main([*command, "--patch-px", "32", "--dry-run", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "30,033,388 parameters" in out
    assert "training  1 cell (b), 8 labelled slices" in out
    assert "judging   1 cell (a), 8 labelled slices" in out
    share = re.search(r"nuclear envelope ([0-9.]+) % of the voxels of training", out)
    assert share is not None
    assert float(share[1]) == pytest.approx(100 * inside(10).mean(), rel=0.02)
    assert "takes     about" in out
    roi = place / "set" / "images" / "a.tif"
    command = ["predict", str(roi), str(place / "model"), str(tmp_path / "p"), "--dry-run"]
    assert main([*command, "--tri-axis", "union", "--device", "cpu"]) == 0
    assert "axes      z, y and x, union" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", "OUT"], "expected DATASET and OUT, or OUT with --from-classical"),
        (["train", "NOTHING", "OUT"], "is no data set: give a folder with images/ and labels/"),
        (["train", "SET", "OUT", "--patch-px", "100"], "multiples of 16 pixels, got 100"),
        (["train", "SET", "OUT", "--device", "tpu9"], "'device' must be auto, cpu, cuda or mps"),
        (
            [
                "train",
                "SET",
                "OUT",
                "--network.head",
                "classes",
                "--network.classes",
                "x",
                "y",
                "z",
            ],
            "says nothing of",
        ),
        (["predict", "ROI", "NOTHING", "OUT"], "does not exist; give the folder that"),
        (["predict", "ROI", "SET", "OUT"], "holds no trained network"),
        (["predict", "ROI", "MODEL", "OUT", "--voxel-size-nm", "50,900,900"], "are too coarse"),
    ],
)
def test_what_is_wrong_takes_one_line(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    message: str,
) -> None:
    paths = {
        "OUT": tmp_path / "out",
        "NOTHING": tmp_path / "nothing",
        "SET": place / "set",
        "ROI": place / "set" / "images" / "a.tif",
        "MODEL": place / "model",
    }
    assert main([str(paths.get(word, word)) for word in command]) == 2
    lines = capsys.readouterr().err.splitlines(keepends=True)
    # A voxel size against that of the file is told besides.
    assert message in one_line("".join(line for line in lines if "as was asked" not in line))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["torch", "safetensors"])
def test_without_the_extra_it_says_how_to_get_it(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["train", str(place / "set"), str(tmp_path / "m")]) == 2
    text = one_line(capsys.readouterr().err)
    assert "pip install 'helaseg[deep]'" in text
    assert missing in text


def test_ctrl_c_before_the_first_state_says_that_nothing_is_kept(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from helaseg.deep import training

    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "learning_rate", interrupted)
    command = ["train", str(place / "set"), str(tmp_path / "m"), "--device", "cpu"]
    assert main([*command, "--config", str(place / "train.toml")]) == 1
    message = one_line(capsys.readouterr().err)
    assert "interrupted before the first state was kept, which is at step 20" in message
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_torchrun_shares_one_training(place: Path, tmp_path: Path) -> None:
    """One process claims the folder, writes and speaks; all of them end by themselves."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc-per-node", "2", "--no-python", "--"]
    torchrun.append(str(Path(sys.executable).with_name("helaseg")))
    command = ["train", str(place / "set"), str(tmp_path / "model"), "--device", "cpu"]
    command += ["--config", str(place / "train.toml"), "--n-steps", "5", "--patience", "1"]

    def both(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*torchrun, *command, *more],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    first = both()
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("next: helaseg predict") == 1
    again = both()
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"done earlier: {tmp_path / 'model'}\n"
    other = both("--seed", "9")
    assert other.returncode == 1
    assert other.stderr.count("helaseg: error: the output folder") == 1
    wrong = both("--start", str(tmp_path / "nothing"))
    assert wrong.returncode == 1
    assert wrong.stderr.count("helaseg: error: ") == 1
