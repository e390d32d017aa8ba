"""Files and folders appear whole or not at all."""

from __future__ import annotations

import errno

import pytest

from helaseg.errors import JobError, OutputExistsError
from helaseg.io import atomic_path, remove_rooms
from helaseg.io.atomic import ROOM_PREFIX, allocate, disk_errors


def test_a_file_appears_at_the_end(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    with atomic_path(target) as part:
        part.write_text("new")
        assert part.name == target.name
        assert not target.exists()
    assert target.read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_a_folder_replaces_a_folder(tmp_path):
    target = tmp_path / "a"
    for content in ("one", "two"):
        with atomic_path(target) as part:
            part.mkdir()
            (part / content).write_text("x")
    assert [p.name for p in target.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_after_an_error_the_old_file_is_there_alone(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with atomic_path(target) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path):
    def fill():
        with atomic_path(tmp_path / "a.txt") as part:
            part.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(JobError, match=r"a\.txt: No space left on device; free some space") as e:
        fill()
    assert "\n" not in str(e.value)
    assert list(tmp_path.iterdir()) == []


def test_an_array_that_was_written_in_part_means_a_full_disk(tmp_path):
    with (
        pytest.raises(JobError, match=r"a\.npy: No space left on device"),
        disk_errors(tmp_path / "a.npy"),
    ):
        raise OSError("160000 requested and 61120 written")


@pytest.mark.parametrize("native", [True, False])
def test_room_for_a_file_is_taken_at_once(native, tmp_path, monkeypatch):
    if not native:
        monkeypatch.delattr("os.posix_fallocate", raising=False)
    allocate(tmp_path / "map", 3 * 2**20 + 7)
    assert (tmp_path / "map").read_bytes() == bytes(3 * 2**20 + 7)
    assert (tmp_path / "map").stat().st_blocks * 512 >= 3 * 2**20 + 7


def test_a_full_disk_names_the_folder_that_a_scratch_file_is_for(tmp_path, monkeypatch):
    def full(file, start, n_bytes):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    room = tmp_path / "out" / f"{ROOM_PREFIX}x"
    room.mkdir(parents=True)
    with pytest.raises(JobError, match=r"could not write .*out: No space left"):
        allocate(room / "map", 100)


def test_an_impossible_place_is_named(tmp_path):
    (tmp_path / "file").write_text("x")

    def write():
        with atomic_path(tmp_path / "file" / "a.txt") as part:
            part.write_text("x")

    with pytest.raises(JobError, match=r"could not write .*a\.txt"):
        write()


def test_a_failed_rename_keeps_the_old_folder(tmp_path, monkeypatch):
    import os

    target = tmp_path / "a"
    target.mkdir()
    (target / "old").write_text("x")
    replace = os.replace

    def refuse(source, to):
        if str(to) == str(target) and "replaced" not in str(source):
            raise OSError(errno.EIO, "Input/output error")
        replace(source, to)

    def write():
        with atomic_path(target) as part:
            part.mkdir()
            monkeypatch.setattr(os, "replace", refuse)

    with pytest.raises(JobError, match="Input/output error"):
        write()
    assert [p.name for p in target.iterdir()] == ["old"]


def test_errors_of_the_package_pass_unchanged(tmp_path):
    def refuse():
        with atomic_path(tmp_path / "a.txt"):
            raise OutputExistsError("in use")

    with pytest.raises(OutputExistsError, match="in use"):
        refuse()


def test_what_a_kill_left_is_removed(tmp_path):
    (tmp_path / "rois" / ".helaseg-writing-abc" / "raw").mkdir(parents=True)
    (tmp_path / "rois" / ".helaseg-writing-abc" / "raw" / "a").write_bytes(b"1")
    (tmp_path / ".helaseg-writing-x").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "rois" / "kept").write_bytes(b"1")
    remove_rooms(tmp_path)
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert left == [".hidden", "rois", "rois/kept"]
