"""The journal of finished work in an output folder, and who may use that folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helaseg._checksums import digest_of_all, files_of
from helaseg.core.results import JOURNAL_NAME, plain_value
from helaseg.errors import DataFormatError, JobError, OutputExistsError, ParameterError

#: Name of the journal in an output folder.

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_JOB_PREFIX = "job:"
_log = logging.getLogger(__name__)


def fingerprint_of(*parts: Any) -> str:
    """A short name for settings and inputs: equal values give equal names.

    Parameters
    ----------
    *parts : object
        Plain values, mappings, config dataclasses, paths, numpy scalars.

    Returns
    -------
    str
        First 16 hexadecimal digits of the SHA-256 of their JSON form with
        sorted keys.
    """
    text = json.dumps(parts, sort_keys=True, default=plain_value)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Journal:
    """Finished pieces of work, one JSON line each, never rewritten.

    Parameters
    ----------
    path : path-like
        The journal file; it is made with the first record. Outputs are stored
        relative to its folder, so the folder may be moved as a whole.

    Notes
    -----
    A line is appended by one write and synced, so a kill tears at most the
    last line; a line that does not parse is ignored and its work is done
    again. The last line of a key counts. One process writes; its threads may
    share the object.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Any]] = {}
        self._torn = False
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        try:
            content = self.path.read_bytes()
        except OSError as error:
            msg = f"cannot read the journal {self.path}: {error.strerror}; check its permissions"
            raise DataFormatError(msg) from error
        self._torn = bool(content) and not content.endswith(b"\n")
        for number, line in enumerate(content.splitlines(), start=1):
            try:
                entry = json.loads(line)
                self._entries[entry["key"]] = {
                    "fingerprint": entry["fingerprint"],
                    "outputs": {name: dict(state) for name, state in entry["outputs"].items()},
                    "values": dict(entry["values"]),
                }
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                _log.info("%s: line %d is torn, its work is done again", self.path, number)

    @property
    def keys(self) -> tuple[str, ...]:
        """The recorded pieces of work, finished or outdated."""
        return tuple(self._entries)

    def fingerprint(self, key: str) -> str | None:
        """The fingerprint that was recorded for a piece of work; None if there is none."""
        entry = self._entries.get(key)
        return entry["fingerprint"] if entry else None

    def is_done(self, key: str, fingerprint: str) -> bool:
        """Return whether a piece of work is finished with these settings and its files are intact.

        Parameters
        ----------
        key : str
            Name of the piece of work.
        fingerprint : str
            Of its inputs and settings, see `fingerprint_of`.

        Returns
        -------
        bool
            True if the last record of the key has this fingerprint and every
            output is what it was. Contents are compared where a file has
            another time of change than in the record: it was edited, damaged
            or copied.
        """
        entry = self._entries.get(key)
        if entry is None or entry["fingerprint"] != fingerprint:
            return False
        return all(
            _is_same(self.path.parent / name, recorded)
            for name, recorded in entry["outputs"].items()
        )

    def values(self, key: str) -> dict[str, Any]:
        """The plain values that were recorded with a piece of work.

        Raises
        ------
        ParameterError
            If there is no record.
        """
        if key not in self._entries:
            msg = f"the journal {self.path} must hold {key!r}, it has {len(self._entries)} others"
            raise ParameterError(msg)
        return dict(self._entries[key]["values"])

    def outputs(self, key: str) -> tuple[Path, ...]:
        """The files and folders that a piece of work wrote; empty for no record."""
        entry = self._entries.get(key)
        return tuple(self.path.parent / name for name in entry["outputs"]) if entry else ()

    def record(
        self,
        key: str,
        fingerprint: str,
        *,
        outputs: Iterable[Path | str] = (),
        values: Mapping[str, Any] | None = None,
        digests: Mapping[Path, str] | None = None,
    ) -> None:
        """Note a piece of work as finished, after its outputs are in place.

        Parameters
        ----------
        key, fingerprint : str
            As in `is_done`.
        outputs : iterable of path-like
            Files and folders it wrote, inside the folder of the journal. A
            folder counts with all its files.
        values : mapping, optional
            JSON-ready values to read back with `values`.
        digests : mapping of Path to str, optional
            SHA-256 of files of the outputs, which are not read for it then.

        Raises
        ------
        ParameterError
            If an output lies outside the folder or does not exist.
        JobError
            If the line cannot be written (a full disk, say).
        """
        states = {}
        known = {path.resolve(): digest for path, digest in (digests or {}).items()}
        for output in outputs:
            name = self._relative(Path(output))
            path = self.path.parent.resolve() / name
            state = _state_of(path)
            if state is None:
                msg = f"output {output} of {key!r} must exist before it is recorded"
                raise ParameterError(msg)
            states[name] = state | {"sha256": digest_of_all(path, known)}
        entry = {
            "key": key,
            "fingerprint": fingerprint,
            "outputs": states,
            "values": dict(values or {}),
        }
        line = json.dumps(entry, default=plain_value)
        with self._lock:
            self._append(line.encode() + b"\n")
            # Read back from the text, so that a resumed job sees the same values.
            self._entries[key] = json.loads(line)

    def _append(self, line: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                data = b"\n" + line if self._torn else line
                # Until the whole line is out, the next one must start on a new line.
                self._torn = True
                while data:
                    data = data[os.write(handle, data) :]
                self._torn = False
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            msg = f"cannot write the journal {self.path}: {error.strerror}; free space and resume"
            raise JobError(msg) from error

    def _relative(self, output: Path) -> str:
        root = self.path.parent.resolve()
        path = (output if output.is_absolute() else Path.cwd() / output).resolve()
        if root not in path.parents:
            msg = f"output {output} must lie inside the folder of the journal {self.path.parent}"
            raise ParameterError(msg)
        return path.relative_to(root).as_posix()

    def remove_outputs(self, keys: Iterable[str] | None = None) -> None:
        """Delete the recorded outputs of these pieces of work (all by default), nothing else."""
        root = self.path.parent.resolve()
        for key in self.keys if keys is None else keys:
            for path in self.outputs(key):
                # An edited journal must not reach files outside its folder.
                if root not in path.resolve().parents:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
                self._remove_empty_parents(path.resolve(), root)

    @staticmethod
    def _remove_empty_parents(path: Path, root: Path) -> None:
        for parent in path.parents:
            if parent == root or not parent.is_dir() or any(parent.iterdir()):
                return
            parent.rmdir()

    def clear(self) -> None:
        """Delete every recorded output and the journal itself."""
        self.remove_outputs()
        self.path.unlink(missing_ok=True)
        self._entries.clear()
        self._torn = False


@contextmanager
def hold_output(out: Path | str) -> Iterator[None]:
    """Keep other jobs out of an output folder while a ``with`` block runs.

    The folder is made. Nothing is left of the hold when the process ends, however it
    ends; where the system knows no such locks there is none.

    Raises
    ------
    OutputExistsError
        If another job is writing there.
    """
    folder = Path(out)
    if fcntl is None or (folder.exists() and not folder.is_dir()):
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        msg = f"cannot make the output folder {folder}: {error.strerror}; choose another place"
        raise JobError(msg) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = (
                f"another job is writing to {folder}; wait until it has ended, or choose another "
                "folder"
            )
            raise OutputExistsError(msg) from error
        except OSError:
            _log.info("%s: this file system has no locks", folder)
        yield
    finally:
        os.close(handle)


def check_output(
    out: Path | str,
    *,
    job: str,
    fingerprint: str,
    overwrite: bool = False,
    beside: Iterable[str] = (),
) -> None:
    """Raise what `claim_output` would raise, and change nothing."""
    _claim(Path(out), job, fingerprint, overwrite, beside)


def claim_output(
    out: Path | str,
    *,
    job: str,
    fingerprint: str,
    overwrite: bool = False,
    beside: Iterable[str] = (),
) -> Journal:
    """The journal of an output folder, if this job may use the folder.

    Parameters
    ----------
    out : path-like
        The output folder; it may be missing.
    job : str
        What writes there, such as ``"segment"``.
    fingerprint : str
        Of input and settings, see `fingerprint_of`.
    overwrite : bool
        Remove what an earlier job of helaseg wrote there.
    beside : iterable of str
        Jobs whose folder this one may share, such as ``"detect"`` for the
        crops of its cells. Their files are never removed; those of this job
        are recognised by keys that start with ``"<job>/"``.

    Returns
    -------
    Journal
        With the finished work of the same job, or new. The folder and the
        journal exist.

    Raises
    ------
    OutputExistsError
        If the folder holds another job or foreign files, or is a file.
    """
    journal, mine, shared = _claim(Path(out), job, fingerprint, overwrite, beside)
    if overwrite and not shared:
        journal.clear()
        mine = False
    elif overwrite:
        journal.remove_outputs(key for key in journal.keys if key.startswith(f"{job}/"))
    if not mine:
        journal.record(_JOB_PREFIX + job, fingerprint)
    return journal


def _claim(
    folder: Path, job: str, fingerprint: str, overwrite: bool, beside: Iterable[str]
) -> tuple[Journal, bool, bool]:
    """The journal of a folder, whether it is that of this very job, and shared with others."""
    if folder.exists() and not folder.is_dir():
        msg = f"the output {folder} must be a folder, it is a file; choose another place"
        raise OutputExistsError(msg)
    journal = Journal(folder / JOURNAL_NAME)
    if not journal.path.exists() and folder.is_dir() and any(folder.iterdir()):
        msg = (
            f"the output folder {folder} must be new, empty or written by helaseg, it holds "
            "other files; choose another folder"
        )
        raise OutputExistsError(msg)
    owners = {key.removeprefix(_JOB_PREFIX) for key in journal.keys if key.startswith(_JOB_PREFIX)}
    guests = owners - {job, *beside}
    mine = journal.is_done(_JOB_PREFIX + job, fingerprint)
    shared = not owners <= {job} | guests
    refused = guests or (job in owners and not mine)
    if refused and (not overwrite or (shared and guests)):
        holder = ", ".join(sorted(guests or {job}))
        msg = (
            f"the output folder {folder} holds the job '{holder}' with another input or other "
            "settings; choose another folder, or give --overwrite to replace it"
        )
        raise OutputExistsError(msg)
    return journal, mine, shared


def _state_of(path: Path) -> dict[str, int] | None:
    """Number of files, bytes and latest change of a file or folder; None if absent."""
    if not path.exists():
        return None
    stats = [file.stat() for file in files_of(path)]
    return {
        # The number counts too: an empty file that is lost must show.
        "files": len(stats),
        "bytes": sum(s.st_size for s in stats),
        "changed_ns": max((s.st_mtime_ns for s in stats), default=0),
    }


def _is_same(path: Path, recorded: Mapping[str, Any]) -> bool:
    """Return whether an output is what was recorded of it."""
    state = _state_of(path)
    if state is None or any(state[name] != recorded.get(name) for name in ("files", "bytes")):
        return False
    if state["changed_ns"] == recorded.get("changed_ns"):
        return True
    return digest_of_all(path, {}) == recorded.get("sha256")
