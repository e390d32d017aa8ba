"""The plan of a dry run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helaseg.cli.calibrate import calibrate
from helaseg.cli.options import CommonOptions
from helaseg.cli.plan import as_bytes, as_time, plan_crop, plan_detect, plan_run, plan_whole
from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.errors import ParameterError

STACK = Grid(shape=(518, 8192, 8192), voxel_size_nm=(50, 10, 10))


def test_the_stack_of_the_paper_has_its_slices_and_cells() -> None:
    probe, crop, segment, paste = plan_run(STACK, slice_step_nm=1000).steps
    assert (probe.step, probe.n_pieces, probe.piece_vx) == ("detect", 26, 8192 * 8192)
    assert (crop.n_pieces, crop.piece_vx) == (26, 300 * 2000 * 2000)
    assert segment.n_pieces == 26
    assert paste.n_pieces == 518


def test_the_step_between_slices_is_physical() -> None:
    coarse = Grid(shape=(259, 4096, 4096), voxel_size_nm=(100, 20, 20))
    (step,) = plan_detect(coarse, slice_step_nm=1000).steps
    assert step.n_pieces == 26
    thick = Grid(shape=(3, 10, 10), voxel_size_nm=(5000, 20, 20))
    assert plan_detect(thick, slice_step_nm=1000).steps[0].n_pieces == 3


def test_a_small_volume_has_one_cell_of_its_size() -> None:
    grid = Grid(shape=(10, 100, 100), voxel_size_nm=(50, 10, 10))
    _, crop, _, _ = plan_run(grid, slice_step_nm=1000).steps
    assert (crop.n_pieces, crop.piece_vx) == (1, 100_000)


def test_workers_take_less_time_and_more_memory() -> None:
    plan = plan_run(STACK, slice_step_nm=1000)
    assert plan.memory_bytes(2) > plan.memory_bytes(1)
    # More workers than pieces change nothing.
    assert plan.memory_bytes(10_000) == plan.memory_bytes(518)


def test_the_memory_limit_takes_workers_away_and_refuses_what_cannot_fit() -> None:
    plan = plan_whole(
        "segment", Grid(shape=(100, 1000, 1000), voxel_size_nm=(50, 10, 10)), by_slice=False
    )
    assert plan.executor(CommonOptions(executor="threads:4")) == "threads:4"
    assert plan.executor(CommonOptions(memory_limit="4GB")) == "serial"
    with pytest.raises(ParameterError, match=r"'segment' needs about 600 MB .* of 500MB; raise it"):
        plan.executor(CommonOptions(memory_limit="500MB"))
    several = plan_crop(STACK, [(300, 2000, 2000)] * 8)
    limit = several.memory_bytes(3)
    common = CommonOptions(executor="processes:8", memory_limit=str(int(limit)))
    assert several.executor(common) == "processes:3"


def test_the_text_has_every_step_and_says_that_it_estimates() -> None:
    text = plan_run(STACK, slice_step_nm=1000).text(CommonOptions(executor="threads:2"))
    for word in ("detect", "crop", "segment", "paste", "total", "26 slices", "26 ROIs"):
        assert word in text
    assert "nothing was written" in text
    assert "estimates" in text
    assert "one cell per 6700 µm³" in text
    assert "518 x 8192 x 8192 voxels of 50 x 10 x 10 nm" in text


def test_a_plan_without_boxes_is_empty() -> None:
    assert plan_crop(STACK, []).steps[0].n_pieces == 0
    assert "0 ROIs" in plan_crop(STACK, []).text(CommonOptions())


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (34.76e9, "34.8 GB"), (2e12, "2 TB")],
)
def test_sizes_for_a_person(n: float, text: str) -> None:
    assert as_bytes(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.123, "0.12 s"), (45, "45 s"), (600, "10 min"), (7200, "2.0 h")],
)
def test_times_for_a_person(seconds: float, text: str) -> None:
    assert as_time(seconds) == text


def test_known_boxes_take_the_place_of_a_guess() -> None:
    boxes = [(10, 100, 100), (30, 100, 100)]
    plan = plan_run(STACK, slice_step_nm=1000, boxes=boxes)
    _, crop, segment, _ = plan.steps
    assert (crop.n_pieces, crop.piece_vx) == (2, 200_000)
    # The largest one decides about memory.
    assert segment.memory_bytes(1) > crop.memory_bytes(1)
    assert segment.largest_vx == 300_000
    assert "those of the cells.csv" in plan.text(CommonOptions())
    assert plan_run(STACK, slice_step_nm=1000, boxes=[]).steps[1].n_pieces == 0


def test_a_slow_machine_takes_longer() -> None:
    plan = plan_detect(STACK, slice_step_nm=1000)
    one, three = (plan.text(CommonOptions(), slowness=k).splitlines()[-2] for k in (1.0, 3.0))
    assert one.startswith("total")
    assert one != three


def test_without_a_limit_the_free_memory_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    several = plan_crop(STACK, [(300, 2000, 2000)] * 8)
    monkeypatch.setattr("helaseg.cli.plan.free_memory", lambda: int(several.memory_bytes(2)))
    assert several.executor(CommonOptions(executor="threads:8")) == "threads:2"
    monkeypatch.setattr("helaseg.cli.plan.free_memory", lambda: 1000)
    with pytest.raises(ParameterError, match="over the 1 kB that this machine has free; raise it"):
        several.executor(CommonOptions())


def test_what_does_not_fit_on_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_crop(STACK, [(10, 100, 100)] * 8)
    plan.check_disk(tmp_path / "new" / "folder")
    usage = SimpleNamespace(free=300_000)
    monkeypatch.setattr("helaseg.cli.plan.shutil.disk_usage", lambda _: usage)
    match = r"'crop' writes about 800 kB, .* has 300 kB free; choose another disk, cut fewer boxes"
    with pytest.raises(ParameterError, match=match):
        plan.check_disk(tmp_path / "new")
    # What was written before is not written again.
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "crop").write_bytes(bytes(600_000))
    plan.check_disk(tmp_path / "new")


def test_a_machine_is_calibrated_with_a_piece_of_the_volume(rng: np.random.Generator) -> None:
    grid = Grid(shape=(3, 300, 400), voxel_size_nm=(50, 40, 40))
    data = rng.integers(0, 255, grid.shape, dtype=np.uint8)
    found = calibrate(Volume(data=data, grid=grid))
    assert found.slowness > 0
    assert found.read_bytes_per_s > 0
    assert "calibrated with a piece of the volume: this machine is" in found.text
    for slowness, words in ((1.1, "as fast as"), (3.0, "3.0 times slower"), (0.5, "2.0 times fa")):
        assert words in replace(found, slowness=slowness).text
    empty = Grid(shape=(0, 5, 5), voxel_size_nm=(50, 10, 10))
    assert calibrate(Volume(data=np.zeros(empty.shape, np.uint8), grid=empty)).slowness == 1.0
