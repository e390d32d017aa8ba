"""The journal of finished work and the claim on an output folder."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helaseg.errors import DataFormatError, JobError, OutputExistsError, ParameterError
from helaseg.execution import (
    JOURNAL_NAME,
    Journal,
    check_output,
    claim_output,
    fingerprint_of,
    hold_output,
    make_executor,
    ordered_map,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    radius_nm: float = 1.0


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / JOURNAL_NAME)


def test_recorded_work_is_done_and_survives_reopening(journal: Journal) -> None:
    output = journal.path.parent / "a.tif"
    output.write_bytes(b"1234")
    assert not journal.is_done("a", "f1")
    journal.record("a", "f1", outputs=[output], values={"n": np.int64(3)})
    for seen in (journal, Journal(journal.path)):
        assert seen.is_done("a", "f1")
        assert not seen.is_done("a", "f2")
        assert not seen.is_done("b", "f1")
        assert seen.values("a") == {"n": 3}
        assert seen.outputs("a") == (output,)


@pytest.mark.parametrize("damage", ["gone", "shorter", "longer", "other bytes"])
def test_a_damaged_output_is_not_done(journal: Journal, damage: str) -> None:
    output = journal.path.parent / "a.tif"
    output.write_bytes(b"1234")
    journal.record("a", "f", outputs=[output])
    if damage == "gone":
        output.unlink()
    else:
        written = {"shorter": b"12", "longer": b"12345", "other bytes": b"1235"}
        output.write_bytes(written[damage])
        os.utime(output, ns=(1, 1))
    assert not journal.is_done("a", "f")


def test_a_copy_with_another_time_is_done(journal: Journal) -> None:
    folder = journal.path.parent / "roi"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_bytes(name.encode())
    journal.record("a", "f", outputs=[folder, folder / "a"])
    for name in "ab":
        os.utime(folder / name, ns=(1, 1))
    assert journal.is_done("a", "f")
    (folder / "a").write_bytes(b"b")
    (folder / "b").write_bytes(b"a")
    assert not journal.is_done("a", "f")


def test_known_checksums_are_not_made_again(journal: Journal) -> None:
    output = journal.path.parent / "a"
    output.write_bytes(b"1234")
    journal.record("a", "f", outputs=[output], digests={output: "0" * 64})
    os.utime(output, ns=(1, 1))
    # The record says that the content was another one.
    assert not journal.is_done("a", "f")
    journal.record("a", "f", outputs=[output], digests={output: sha256(b"1234").hexdigest()})
    os.utime(output, ns=(2, 2))
    assert journal.is_done("a", "f")


def test_a_folder_counts_with_all_its_files(journal: Journal) -> None:
    folder = journal.path.parent / "rois" / "roi_001"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"123")
    (folder / "empty").write_bytes(b"")
    journal.record("a", "f", outputs=[folder])
    assert journal.is_done("a", "f")
    (folder / "empty").unlink()
    assert not journal.is_done("a", "f")


def test_the_folder_may_be_moved(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one" / JOURNAL_NAME)
    output = tmp_path / "one" / "a"
    output.parent.mkdir()
    output.write_text("x")
    journal.record("a", "f", outputs=[output])
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert Journal(tmp_path / "two" / JOURNAL_NAME).is_done("a", "f")


def test_a_relative_output_is_one_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/a").write_text("x")
    journal = Journal(Path("out") / JOURNAL_NAME)
    journal.record("a", "f", outputs=[Path("out/a")])
    assert journal.is_done("a", "f")


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(1, 60))
def test_a_torn_last_line_is_ignored_and_the_next_one_is_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / JOURNAL_NAME
    journal = Journal(path)
    journal.record("first", "f")
    journal.record("second", "f")
    path.write_bytes(path.read_bytes()[:-cut])
    torn = Journal(path)
    assert torn.is_done("first", "f")
    # Without its line end alone, the line is still whole.
    assert torn.is_done("second", "f") == (cut == 1)
    torn.record("third", "f")
    again = Journal(path)
    assert again.is_done("first", "f")
    assert again.is_done("third", "f")


@pytest.mark.parametrize("line", ["[1, 2]", "[" * 5000, "null", '{"key": "x"}', "\x00\x00", "3"])
def test_a_strange_line_is_ignored(journal: Journal, line: str) -> None:
    journal.record("a", "f")
    with journal.path.open("a") as file:
        file.write(line + "\n")
    journal = Journal(journal.path)
    assert journal.keys == ("a",)


def test_the_last_record_counts(journal: Journal) -> None:
    journal.record("a", "old", values={"n": 1})
    journal.record("a", "new", values={"n": 2})
    seen = Journal(journal.path)
    assert seen.is_done("a", "new")
    assert not seen.is_done("a", "old")
    assert seen.values("a") == {"n": 2}


def test_threads_lose_no_line(journal: Journal) -> None:
    with make_executor("threads:4") as executor:
        list(ordered_map(executor, lambda i: journal.record(f"k{i}", "f"), range(60)))
    assert len(journal.path.read_text().splitlines()) == 60
    assert set(Journal(journal.path).keys) == {f"k{i}" for i in range(60)}


def test_wrong_records_are_refused(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="must exist before it is recorded"):
        journal.record("a", "f", outputs=[journal.path.parent / "none"])
    with pytest.raises(ParameterError, match="must lie inside the folder of the journal"):
        journal.record("a", "f", outputs=[tmp_path.parent / "elsewhere"])
    with pytest.raises(ParameterError, match="must hold 'a', it has 0 others"):
        journal.values("a")
    assert not journal.path.exists()


def test_a_journal_that_cannot_be_written_is_a_failed_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(JobError, match="cannot write the journal"):
        Journal(tmp_path / "file" / JOURNAL_NAME).record("a", "f")
    (tmp_path / JOURNAL_NAME).mkdir()
    with pytest.raises(DataFormatError, match="cannot read the journal"):
        Journal(tmp_path / JOURNAL_NAME)


def test_removal_stays_inside_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    journal = Journal(out / JOURNAL_NAME)
    journal.record("job:x", "f")
    (out / "mine").write_text("x")
    (out / "folder").mkdir()
    journal.record("x/1", "f", outputs=[out / "mine", out / "folder"])
    precious = tmp_path / "precious"
    precious.write_text("x")
    evil = {"key": "e", "fingerprint": "f", "outputs": {"../precious": 1}, "values": {}}
    with journal.path.open("a") as file:
        file.write(json.dumps(evil) + "\n")
    (out / "notes.txt").write_text("kept")
    Journal(journal.path).clear()
    assert precious.exists()
    assert [p.name for p in out.iterdir()] == ["notes.txt"]


def test_equal_settings_have_equal_fingerprints() -> None:
    one = fingerprint_of("detect", Settings(), Path("a"), np.float32(2), {"b": 1, "a": 2})
    two = fingerprint_of("detect", Settings(), Path("a"), np.float32(2), {"a": 2, "b": 1})
    assert one == two
    assert len(one) == 16
    assert one != fingerprint_of("detect", Settings(radius_nm=2.0), Path("a"), np.float32(2), {})


def test_the_same_job_goes_on_in_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    claim_output(out, job="segment", fingerprint="f").record("segment/1", "f")
    assert claim_output(out, job="segment", fingerprint="f").is_done("segment/1", "f")


def test_another_job_is_kept_out_until_overwritten(tmp_path: Path) -> None:
    journal = claim_output(tmp_path, job="segment", fingerprint="f")
    (tmp_path / "labels.tif").write_text("x")
    journal.record("segment/1", "f", outputs=[tmp_path / "labels.tif"])
    with pytest.raises(
        OutputExistsError, match=r"holds the job 'segment' with another input.*--ov"
    ):
        claim_output(tmp_path, job="segment", fingerprint="g")
    with pytest.raises(OutputExistsError, match="holds the job 'segment'"):
        claim_output(tmp_path, job="detect", fingerprint="f")
    assert (tmp_path / "labels.tif").exists()
    journal = claim_output(tmp_path, job="segment", fingerprint="g", overwrite=True)
    assert not (tmp_path / "labels.tif").exists()
    assert journal.keys == ("job:segment",)
    claim_output(tmp_path, job="detect", fingerprint="f", overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_refused_always(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(OutputExistsError, match="must be new, empty or written by helaseg"):
        claim_output(tmp_path, job="run", fingerprint="f", overwrite=overwrite)
    with pytest.raises(OutputExistsError, match="must be a folder, it is a file"):
        claim_output(tmp_path / "thesis.tex", job="run", fingerprint="f", overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_job_may_live_beside_another(tmp_path: Path) -> None:
    first = claim_output(tmp_path, job="detect", fingerprint="d")
    (tmp_path / "cells.csv").write_text("x")
    first.record("detect/cells", "d", outputs=[tmp_path / "cells.csv"])
    second = claim_output(tmp_path, job="crop", fingerprint="c", beside=("detect",))
    (tmp_path / "raw").write_text("x")
    second.record("crop/1", "c", outputs=[tmp_path / "raw"])
    claim_output(tmp_path, job="crop", fingerprint="c2", overwrite=True, beside=("detect",))
    assert (tmp_path / "cells.csv").exists()
    assert not (tmp_path / "raw").exists()


def test_removing_outputs_leaves_no_empty_folder(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    folder = tmp_path / "rois" / "one"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    journal.record("one", "f", outputs=[folder / "a.txt"])
    journal.remove_outputs(["one"])
    assert not (tmp_path / "rois").exists()
    assert journal.path.exists()


def test_a_second_job_is_kept_out_while_one_writes(tmp_path: Path) -> None:
    with hold_output(tmp_path / "out"):
        with (
            pytest.raises(OutputExistsError, match=r"another job is writing to .*out; wait"),
            hold_output(tmp_path / "out"),
        ):
            pass
        with hold_output(tmp_path / "other"):
            pass
    with hold_output(tmp_path / "out"):
        pass
    assert list((tmp_path / "out").iterdir()) == []


def test_a_check_says_what_a_claim_would_and_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    check_output(out, job="run", fingerprint="a")
    assert not out.exists()
    claim_output(out, job="run", fingerprint="a")
    before = (out / JOURNAL_NAME).read_bytes()
    check_output(out, job="run", fingerprint="a")
    check_output(out, job="run", fingerprint="b", overwrite=True)
    for job, print_ in (("run", "b"), ("detect", "a")):
        with pytest.raises(OutputExistsError, match="holds the job 'run' with another input"):
            check_output(out, job=job, fingerprint=print_)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="it holds other files"):
        check_output(tmp_path / "foreign", job="run", fingerprint="a", overwrite=True)
    assert (out / JOURNAL_NAME).read_bytes() == before
