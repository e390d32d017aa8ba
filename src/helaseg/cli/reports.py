"""The pages of a run: one per cell, and the one that links to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helaseg import __version__
from helaseg.execution import JOURNAL_NAME, Journal, Progress, fingerprint_of

if TYPE_CHECKING:
    from helaseg.core.scores import ScoreTable


def write_reports(
    out: Path,
    folders: Mapping[int, Path],
    *,
    scores: ScoreTable | None = None,
    scores_by_cell: Mapping[Any, ScoreTable] | None = None,
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
    for done, (cell_id, folder) in enumerate(folders.items(), start=1):
        key = f"run/report/{cell_id}"
        # It holds the time that each step took, so it differs for every segmentation.
        made = (folder / "provenance.json").read_text(encoding="utf-8")
        print_ = fingerprint_of("report", made, __version__)
        if not journal.is_done(key, print_):
            journal.remove_outputs([key])
            page = write_segment_report(folder)
            journal.record(key, print_, outputs=[page, *folder.glob(SHAPE_PICTURE)])
        if progress:
            progress("report", done, len(folders))
    return write_run_report(out, scores=scores, scores_by_cell=scores_by_cell)
