"""What stays in an output folder after an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from helaseg.cli.outputs import no_trace_without_work, output_folder
from helaseg.errors import JobError, OutputExistsError
from helaseg.execution import JOURNAL_NAME, claim_output


def fail_after(out: Path, *, recorded: bool) -> None:
    with output_folder(out, job="segment", fingerprint="f") as journal:
        (out / "labels.tif").write_text("x")
        if recorded:
            journal.record("segment/labels", "f", outputs=[out / "labels.tif"])
        (out / "half").mkdir()
        (out / "half" / "written").write_text("x")
        (out / "half.tif").write_text("x")
        raise JobError("stop")


def test_nothing_stays_of_a_job_that_finished_nothing(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="stop"):
        fail_after(tmp_path / "a" / "b" / "out", recorded=False)
    assert list(tmp_path.iterdir()) == []


def test_recorded_work_stays_and_is_found_again(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="stop"):
        fail_after(tmp_path, recorded=True)
    assert {p.name for p in tmp_path.iterdir()} == {JOURNAL_NAME, "labels.tif"}
    with output_folder(tmp_path, job="segment", fingerprint="f") as journal:
        assert journal.is_done("segment/labels", "f")


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    with output_folder(tmp_path, job="segment", fingerprint="f"):
        (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(JobError, match="stop"):
        fail_after(tmp_path, recorded=False)
    assert {p.name for p in tmp_path.iterdir()} == {JOURNAL_NAME, "notes.txt"}


def test_a_refused_folder_is_untouched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(OutputExistsError, match="it holds other files"),
        output_folder(tmp_path, job="segment", fingerprint="f"),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("finished", [False, True])
def test_a_job_with_its_own_journal_leaves_finished_work_or_nothing(
    tmp_path: Path, finished: bool
) -> None:
    out = tmp_path / "a" / "out"

    def job() -> None:
        journal = claim_output(out, job="run", fingerprint="f")
        (out / "cells.csv").write_text("x")
        if finished:
            journal.record("run/detect", "f", outputs=[out / "cells.csv"])
        raise JobError("stop")

    with pytest.raises(JobError, match="stop"), no_trace_without_work(out):
        job()
    assert out.exists() == finished
    if finished:
        assert {p.name for p in out.iterdir()} == {JOURNAL_NAME, "cells.csv"}
    else:
        assert list(tmp_path.iterdir()) == []


def test_a_refused_run_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(OutputExistsError, match="it holds other files"),
        no_trace_without_work(tmp_path),
    ):
        claim_output(tmp_path, job="run", fingerprint="f")
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
