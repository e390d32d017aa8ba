"""History of a training: `history.csv`. Nothing here needs torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from helaseg.io.tables import read_rows, write_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """State of training at one validation.

    Parameters
    ----------
    step : int
        Steps done.
    train_loss : float
        Mean since the last row.
    validation_loss : float
        On fixed patches of the cells kept for it; nan without.
    validation_dice : float
        Dice coefficient there, the mean over the classes; nan without.
    learning_rate : float
        At this step.
    seconds : float
        Since the first step, over all runs.
    """

    step: int
    train_loss: float
    validation_loss: float
    validation_dice: float
    learning_rate: float
    seconds: float


_COLUMNS = tuple(f.name for f in dataclasses.fields(HistoryRow))


def write_history(file: Path, rows: Sequence[HistoryRow]) -> Path:
    """Write all rows in one step."""
    write_rows(file, _COLUMNS, [dataclasses.astuple(r) for r in rows])
    return file


def read_history(file: Path) -> list[HistoryRow]:
    """Rows of an earlier run; none if there was none.

    Raises
    ------
    DataFormatError
        If the file is no history.
    """
    if not file.exists():
        return []
    found = []
    for row in read_rows(file, _COLUMNS):
        values = {c: math.nan if row.values[c] == "nan" else row.number(c) for c in _COLUMNS[1:]}
        found.append(HistoryRow(step=row.integer("step"), **values))
    return found
