"""Who may write to an output folder, and what stays there after an error."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from helaseg.execution import JOURNAL_NAME, Journal, claim_output, hold_output
from helaseg.io import remove_rooms


@contextmanager
def output_folder(
    out: Path,
    *,
    job: str,
    fingerprint: str,
    overwrite: bool = False,
    beside: Iterable[str] = (),
) -> Iterator[Journal]:
    """The journal of an output folder; after an error only recorded work stays.

    Parameters
    ----------
    out, job, fingerprint, overwrite, beside
        As in `helaseg.execution.claim_output`.

    Yields
    ------
    Journal
        Record each finished piece of work in it.

    Raises
    ------
    OutputExistsError
        If the folder is in use by another job.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    before = {path.name for path in out.iterdir()} if out.is_dir() else set()
    try:
        with hold_output(out):
            journal = claim_output(
                out, job=job, fingerprint=fingerprint, overwrite=overwrite, beside=beside
            )
            remove_rooms(out)
            try:
                yield journal
            except BaseException:
                _drop_unrecorded(out, journal, before)
                raise
    except BaseException:
        _remove_empty(made)
        raise


@contextmanager
def no_trace_without_work(out: Path) -> Iterator[None]:
    """For a job that keeps its own journal: after an error, a folder without finished work goes.

    Where something is finished all files stay; each of them is whole.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    before = {path.name for path in out.iterdir()} if out.is_dir() else set()
    try:
        yield
    except BaseException:
        if out.is_dir() and not _has_work(out):
            remove_files([path for path in out.iterdir() if path.name not in before])
        _remove_empty(made)
        raise


def _has_work(out: Path) -> bool:
    return any("/" in key for key in Journal(out / JOURNAL_NAME).keys)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def files_named(out: Path, stems: Iterable[str]) -> list[Path]:
    """List the entries of an output folder that have these names, whatever the ending."""
    wanted = set(stems)
    return sorted(path for path in out.iterdir() if path.name.partition(".")[0] in wanted)


def remove_files(paths: Iterable[Path]) -> None:
    """Delete files and folders that a killed job left without a record."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _drop_unrecorded(out: Path, journal: Journal, before: set[str]) -> None:
    recorded = [path for key in journal.keys for path in journal.outputs(key)]
    kept = {path.relative_to(out).parts[0] for path in recorded if path.exists()}
    known = before | kept | {JOURNAL_NAME}
    remove_files([path for path in out.iterdir() if path.name not in known])
    if not recorded and JOURNAL_NAME not in before:
        journal.clear()
