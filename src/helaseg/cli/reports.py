"""The pages of a run: one per cell, and the one that links to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helaseg._version import __version__
from helaseg.execution import (
    JOURNAL_NAME,
    Journal,
    Progress,
    fingerprint_of,
    make_executor,
    ordered_map,
)

if TYPE_CHECKING:
    from helaseg.core.scores import ScoreTable


def write_reports(
    out: Path,
    folders: Mapping[int, Path],
    *,
    scores: ScoreTable | None = None,
    scores_by_cell: Mapping[Any, ScoreTable] | None = None,
    n_workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Write ``report.html`` of each cell and of the run.

    Parameters
    ----------
    out : Path
        Output folder of the run, with its journal.
    folders : mapping of int to Path
        Folder of each segmented cell.
    scores, scores_by_cell
        As in `helaseg.report.write_run_report`.
    n_workers : int
        Processes that draw pages at the same time, if there are enough pages.
    progress : Progress, optional
        Called per cell.

    Returns
    -------
    Path
        The page of the run. A page that shows what its cell holds now is not
        written again.
    """
    from helaseg.report.html import SHAPE_PICTURE, write_run_report, write_segment_report

    journal = Journal(out / JOURNAL_NAME)
    waiting: list[tuple[str, str, Path]] = []
    for cell_id, folder in folders.items():
        key = f"run/report/{cell_id}"
        # It holds the time that each step took, so it differs for every segmentation.
        made = (folder / "provenance.json").read_text(encoding="utf-8")
        print_ = fingerprint_of("report", made, __version__)
        if not journal.is_done(key, print_):
            waiting.append((key, print_, folder))
    journal.remove_outputs(key for key, _, _ in waiting)
    done = len(folders) - len(waiting)
    # Drawing is not safe in threads, and a few pages are not worth the start of processes.
    n_processes = min(n_workers, len(waiting) // 2)
    with make_executor(f"processes:{n_processes}" if n_processes > 1 else "serial") as pool:
        pages = ordered_map(pool, write_segment_report, [folder for _, _, folder in waiting])
        for (key, print_, folder), page in zip(waiting, pages, strict=True):
            journal.record(key, print_, outputs=[page, *folder.glob(SHAPE_PICTURE)])
            done += 1
            if progress:
                progress("report", done, len(folders))
        if progress:
            progress("page of the run", 0, 1)
        return write_run_report(out, scores=scores, scores_by_cell=scores_by_cell, executor=pool)
