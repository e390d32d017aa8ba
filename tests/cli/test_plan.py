"""The plan of a dry run."""

from __future__ import annotations

import pytest

from helaseg.cli.options import CommonOptions
from helaseg.cli.plan import as_bytes, as_time, plan_crop, plan_detect, plan_run, plan_whole
from helaseg.core.grid import Grid
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
