"""``helaseg run`` and ``helaseg demo`` on small phantoms: pages, resuming, scores."""

from __future__ import annotations

import json
import re
import shutil
import time
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from helaseg.cli import demo as demo_module
from helaseg.cli import demo_learned
from helaseg.cli.app import main
from helaseg.cli.demo import cell_text, demo_config
from helaseg.cli.options import DemoOptions
from helaseg.cli.progress_lines import ProgressLines, waits
from helaseg.cli.reports import write_reports
from helaseg.cli.run import doubled_cells
from helaseg.cli.session import Session
from helaseg.core.grid import Grid
from helaseg.core.scores import Score, ScoreTable
from helaseg.core.seams import Seam
from helaseg.deep import TrainConfig, UNetConfig
from helaseg.execution import Compilation
from helaseg.execution.executors import SerialPool
from helaseg.io import open_volume, read_cells_csv, write_tiff
from helaseg.io.seam_table import write_seams_csv
from helaseg.io.tables import read_rows
from helaseg.pipelines.classical import RunConfig
from helaseg.pipelines.cropping import roi_name
from helaseg.synthetic import PhantomConfig

PHANTOM = [
    "--shape=16,220,400",
    "--voxel-size-nm=150,24,24",
    "--n-cells=2",
    "--packing=0.2",
    "--noise=0.4",
    "--n-border-cells=0",
    "--n-flat-cells=0",
    "--seed=5",
]
SMALL_CELLS = [
    "--detect.min-radius-nm=800",
    "--track.min-radius-nm=1000",
    "--rois.margin-nm=300,500,500",
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a phantom and the output of a run; copy it before changing it."""
    folder = tmp_path_factory.mktemp("ran")
    assert main(["phantom", str(folder / "phantom"), *PHANTOM, "--quiet"]) == 0
    words = ["run", str(folder / "phantom" / "image"), str(folder / "run"), *SMALL_CELLS]
    assert main([*words, "--quiet"]) == 0
    return folder


@pytest.fixture
def copied(ran: Path, tmp_path: Path) -> Path:
    # The input keeps its dates, which belong to its fingerprint.
    return Path(shutil.copytree(ran, tmp_path / "copied"))


def again(folder: Path) -> list[str]:
    return ["run", str(folder / "phantom" / "image"), str(folder / "run"), *SMALL_CELLS]


def pages(folder: Path) -> dict[str, int]:
    return {p.parent.name: p.stat().st_mtime_ns for p in (folder / "run").rglob("report.html")}


def test_each_cell_has_a_page_that_the_run_links_to(ran: Path) -> None:
    cells = read_cells_csv(ran / "run" / "cells.csv")
    assert len(cells) >= 2
    page = (ran / "run" / "report.html").read_text()
    for folder in (ran / "run" / "rois").iterdir():
        assert (folder / "report.html").is_file()
        assert f'href="rois/{folder.name}/report.html"' in page
    assert len(pages(ran)) == len(cells) + 1


def test_pages_that_are_up_to_date_stay(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = pages(copied)
    lost = next(p for p in (copied / "run" / "rois").iterdir() if p.name.startswith("roi_002_"))
    (lost / "report.html").unlink()
    assert main(again(copied)) == 0
    after = pages(copied)
    assert after.keys() == before.keys()
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"run", lost.name}
    out = capsys.readouterr().out
    assert f"nothing to segment: all {len(before) - 1} cells were done before" in out
    assert "report: " in out


def test_pages_drawn_by_several_processes_are_the_same(copied: Path) -> None:
    out = copied / "run"
    folders = {int(f.name.split("_")[1]): f for f in sorted((out / "rois").iterdir())}
    for number in (11, 12):
        folders[number] = Path(shutil.copytree(folders[1], out / "rois" / f"roi_0{number}_1_1_1"))
    before = {number: (f / "report.html").read_text() for number, f in folders.items()}
    for folder in folders.values():
        (folder / "report.html").unlink()
    seen: list[tuple[str, int]] = []
    write_reports(
        out, folders, n_workers=2, progress=lambda step, done, total: seen.append((step, done))
    )
    pages = [("report", k) for k in range(1, len(folders) + 1)]
    assert seen == [*pages, ("page of the run", 0)]
    for number, folder in folders.items():
        page = (folder / "report.html").read_text()
        # A copy has the name of its own folder in it.
        assert page == before[number].replace(folders[1].name, folder.name)


def test_a_cell_that_moved_has_one_page(copied: Path) -> None:
    table = copied / "run" / "cells.csv"
    lines = table.read_text().splitlines()
    columns = lines[0].split(",")
    values = lines[1].split(",")
    for axis in "zyx":
        values[columns.index(f"centroid_{axis}_vx")] = "8.0"
    lines[1] = ",".join(values)
    table.write_text("\n".join(lines) + "\n")
    assert main([*again(copied), "--quiet"]) == 0
    assert len(pages(copied)) == len(read_cells_csv(table)) + 1
    page = (copied / "run" / "report.html").read_text()
    assert 'href="rois/roi_001_8_8_8/report.html"' in page


def test_no_cell_found_is_a_success_with_advice(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = Grid(shape=(9, 64, 80), voxel_size_nm=(500, 50, 50))
    write_tiff(tmp_path / "resin.tif", rng.normal(190, 4, grid.shape).astype(np.uint8), grid)
    assert main(["run", str(tmp_path / "resin.tif"), str(tmp_path / "run")]) == 0
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("helaseg: warning: no cell found in ")
    assert "lower 'detect.min_radius_nm'" in line
    assert "0 cells segmented" in shown.out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["n_cells"] == 0
    assert "No cell found" in (tmp_path / "run" / "report.html").read_text()


def test_demo_scores_every_cell(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    one_torch_thread: None,
) -> None:
    words = [
        "demo",
        str(tmp_path / "demo"),
        "--shape=16,420,420",
        "--voxel-size-nm=240,48,48",
        "--n-cells=2",
        "--packing=0.2",
        "--n-border-cells=0",
        "--n-flat-cells=0",
        "--noise=0.3",
        "--seed=5",
    ]
    assert main([*words, "--no-network"]) == 0
    out = capsys.readouterr().out.splitlines()
    (head,) = [line for line in out if line.startswith("per cell, median of 2 in the truth")]
    assert "(0 missed, 0 made up)" in head
    nucleus, cell = out[out.index(head) + 1 : out.index(head) + 3]
    assert nucleus.split()[:2] == ["nucleus", "jaccard_index"]
    assert cell.split()[:2] == ["cell", "jaccard_index"]
    assert 0.6 < float(cell.split()[-1]) <= 1
    page = (tmp_path / "demo" / "run" / "report.html").read_text()
    assert "Scores against truth" in page
    assert "cell 2" in page
    assert main([*words, "--no-network"]) == 0
    assert capsys.readouterr().out.splitlines() == out
    # The same run, and a network that has hardly learned anything beside it.
    little = UNetConfig(width=2, n_halvings=1)
    short = TrainConfig(network=little, n_steps=2, patch_px=32, batch_size=1)
    monkeypatch.setitem(demo_learned.DEMO_PRESETS, "small", short)
    assert main([*words, "--network-preset", "small"]) == 0
    more = capsys.readouterr().out.splitlines()
    assert more[: len(out)] == out
    assert more[len(out)] == "network: preset small (2 steps), as asked for"
    assert more[len(out) + 1].startswith("a U-Net trained on 1 other cell in")
    weights = tmp_path / "demo" / "learned" / "model" / "best.safetensors"
    stamp = weights.stat().st_mtime_ns
    assert main(words) == 0
    assert "preset small (2 steps), as an earlier demo began it" in capsys.readouterr().out
    assert weights.stat().st_mtime_ns == stamp
    monkeypatch.setitem(demo_learned.DEMO_PRESETS, "small", replace(short, seed=3))
    assert main(words) == 0
    assert weights.stat().st_mtime_ns != stamp
    page = (tmp_path / "demo" / "learned" / "compare" / "report.html").read_text()
    assert "unsupervised" in page
    assert "U-Net" in page


@pytest.mark.parametrize(
    ("seconds", "preset"),
    [(0.01, "large"), (0.06, "large"), (0.1, "medium"), (0.5, "small"), (9, "small")],
)
def test_the_network_of_the_demo_fits_the_machine(seconds: float, preset: str) -> None:
    assert demo_learned.choose_preset(seconds) == preset


def test_after_a_fresh_installation_the_demo_compiles_on_another_core(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []
    work = Session(common=DemoOptions(), progress=lambda step, done, total: told.append(step))
    with demo_module.compiled_meanwhile(work):
        pass
    assert not told  # kernels are kept already

    def die() -> None:
        raise BrokenExecutor

    pool = SerialPool()

    monkeypatch.setattr("helaseg.execution.cached_kernels", lambda: (tmp_path, 0))
    monkeypatch.setattr("helaseg.execution.usable_cores", lambda: 2)
    monkeypatch.setattr("helaseg.execution.make_executor", lambda spec: pool)
    made = Compilation(seconds={"blur.rows": 31.4}, n_compiled=1)
    line = "another process compiled the kernels meanwhile, in 31 s"
    for warm, said in ((lambda: made, line), (die, "")):
        monkeypatch.setattr("helaseg.pipelines.warm.warm_kernels", warm)
        with demo_module.compiled_meanwhile(work):
            pass
        assert told.pop() == "compile kernels"
        assert said in capsys.readouterr().err


def test_a_long_silence_is_broken_by_lines() -> None:
    said: list[str] = []
    with ProgressLines(said.append, intervals_s=(0.02, 0.02)) as progress:
        time.sleep(0.1)
        progress("train", 3, 9)
        time.sleep(0.1)
    assert any("preparing" in line for line in said)
    assert said[-1].endswith("train 3 of 9")
    n = len(said)
    time.sleep(0.05)
    assert len(said) == n


def test_lines_of_a_long_job_become_sparse() -> None:
    assert list(islice(waits(10, 60), 7)) == [10, 15, 22.5, 33.75, 50.625, 60, 60]
    assert list(islice(waits(2.5, 2.5), 3)) == [2.5, 2.5, 2.5]


@pytest.mark.parametrize("word", ["--quiet", "--log-level=error", "--memory-limit=4GB"])
def test_demo_takes_two_threads_unless_told(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["demo", str(tmp_path / "demo"), "--dry-run", word]
    assert main(words) == 0
    assert "executor threads:2" in capsys.readouterr().out
    assert main([*words, "--executor", "serial"]) == 0
    assert "executor serial" in capsys.readouterr().out


def test_the_median_is_over_the_cells_of_the_truth() -> None:
    def table(cell: float, nucleus: float) -> ScoreTable:
        rows = [
            Score(
                metric="jaccard_index",
                value=value,
                label=label,
                undefined="empty" if np.isnan(value) else None,
            )
            for label, value in (("cell", cell), ("nucleus", nucleus))
        ]
        return ScoreTable(rows=tuple(rows))

    lines = cell_text(
        {
            1: table(0.9, 0.8),
            4: table(0.7, float("nan")),
            "missed 2": table(0.0, 0.0),
            "made up 3": table(0.0, 0.0),
        }
    ).splitlines()
    assert lines[0] == "per cell, median of 3 in the truth (1 missed, 1 made up):"
    assert lines[1].split() == ["nucleus", "jaccard_index", "0.4000"]
    assert lines[2].split() == ["cell", "jaccard_index", "0.7000"]


def test_two_crops_of_one_cell_are_told(tmp_path: Path) -> None:
    place = {"position_vx": (5.0, 6.0, 7.0), "text": "both crops claim 60 µm³"}
    seams = [
        Seam(kind="duplicate", cell=1, other=3, severity=0.97, **place),  # type: ignore[arg-type]
        Seam(kind="duplicate", cell=1, other=2, severity=0.02, **place),  # type: ignore[arg-type]
        Seam(kind="border_cut", cell=2, other=0, severity=0.9, **place),  # type: ignore[arg-type]
    ]
    grid = Grid(shape=(20, 20, 20), voxel_size_nm=(50, 10, 10))
    write_seams_csv(tmp_path / "seams.csv", seams, grid)
    (line,) = doubled_cells(tmp_path / "seams.csv")
    assert line.startswith("cells 1 and 3 may be one cell: their crops claim 97 % of the smaller")
    assert not list(doubled_cells(tmp_path / "missing.csv"))


def test_slices_keep_the_numbers_of_their_files(ran: Path) -> None:
    grid = open_volume(ran / "phantom" / "image").grid
    for cell in read_cells_csv(ran / "run" / "cells.csv", grid=grid):
        folder = ran / "run" / "rois" / roi_name(cell)
        numbers = list(range(cell.roi.start[0] + 1, cell.roi.stop[0] + 1))
        rows = read_rows(folder / "slices.csv", ("slice_number",))
        assert [row.integer("slice_number") for row in rows] == numbers
        assert list(open_volume(folder / "raw").slice_numbers) == numbers
        captions = re.findall(
            r"Slice (\d+) \(file no\. (\d+)\), z = ", (folder / "report.html").read_text()
        )
        assert captions
        assert all(int(number) == numbers[int(z)] for z, number in captions)


def test_the_demo_measures_phantom_cells_by_their_own_size() -> None:
    small = demo_config(PhantomConfig())
    assert small.track.min_length_nm == 64 * 50 / 4
    assert small.track.small_radius_nm == 1536 * 10 / 12
    assert small.rois.margin_nm == (1500.0, 1536.0, 1536.0)
    assert demo_config(PhantomConfig(shape=(600, 8192, 8192))) == RunConfig()
