"""Whole files or none: write beside the target, then rename."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helaseg.errors import JobError

#: Start of the names of the folders in which files lie while they are written.
ROOM_PREFIX = ".helaseg-writing-"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends well.

    Parameters
    ----------
    path : path-like
        File or folder to write. What is there is replaced as a whole; missing
        parent folders are made.

    Yields
    ------
    Path
        A path in a fresh folder beside the target, with the name (and so the
        ending) of the target. Nothing exists there yet: write a file or make a
        folder.

    Raises
    ------
    JobError
        If a file cannot be written (full, read-only, no right to write), naming the
        target.

    Notes
    -----
    1. A hidden folder is made beside the target, so that both lie on one disk.
    2. The block writes into it.
    3. The result is renamed to its name. A folder that is in the way is moved
       into the hidden folder first.
    4. The hidden folder is removed, after an error with all that it holds.
    """
    target = Path(path)
    room: Path | None = None
    try:
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            room = Path(tempfile.mkdtemp(prefix=ROOM_PREFIX, dir=target.parent))
            part = room / target.name
            yield part
            _put(part, target, room)
    finally:
        if room is not None:
            shutil.rmtree(room, ignore_errors=True)


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn an error of the disk while a target is written into one that says what to do."""
    try:
        yield
    except OSError as error:
        # An error of ours that is an OSError too already says what to do.
        if type(error).__module__.startswith("helaseg."):
            raise
        reason = error.strerror or str(error)
        if error.errno is None and "requested and" in reason:
            # How numpy tells that it could write a part of an array.
            reason = os.strerror(errno.ENOSPC)
        msg = f"could not write {target}: {reason}; free some space or choose another folder"
        raise JobError(msg) from error


def allocate(path: Path, n_bytes: int) -> None:
    """Make a file of this size whose room on the disk is taken.

    A file that is mapped to memory must have it: where the disk is full, writing to the map
    ends the process.

    Raises
    ------
    JobError
        If a file cannot be written, naming the folder that the file is for.
    """
    folder = path.parent
    target = folder.parent if folder.name.startswith(ROOM_PREFIX) else folder
    with disk_errors(target), path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
            return
        block = bytes(2**20)
        for start in range(0, n_bytes, len(block)):
            file.write(block[: n_bytes - start])


def remove_rooms(folder: Path) -> None:
    """Delete what killed jobs left half-written in a folder and those below it.

    Nobody else may be writing there.
    """
    for room in list(folder.rglob(f"{ROOM_PREFIX}*")):
        shutil.rmtree(room, ignore_errors=True)


def _put(part: Path, target: Path, room: Path) -> None:
    if part.is_dir() and target.is_dir():
        old = room / "replaced"
        os.replace(target, old)
        try:
            os.replace(part, target)
        except OSError:
            os.replace(old, target)
            raise
    else:
        os.replace(part, target)
