"""CSV files that people edit: rows that know where they stand, and detections."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from helaseg.core.objects import Detection
from helaseg.errors import DataFormatError, HelasegError, ParameterError
from helaseg.io.atomic import atomic_path

T = TypeVar("T")

DETECTION_COLUMNS = ("z", "y", "x", "radius_nm", "rank", "cell_id")


def write_detections_csv(
    path: str | os.PathLike[str], detections: Sequence[Detection], cell_ids: Sequence[int]
) -> None:
    """Write detections with the cell each belongs to.

    Parameters
    ----------
    path : path-like
        The file; it is replaced as a whole.
    detections : sequence of Detection
        One line each.
    cell_ids : sequence of int
        Track id of each detection, 0 for none.

    Raises
    ------
    ParameterError
        If the two are not equally long.
    JobError
        If the disk refuses.
    """
    if len(detections) != len(cell_ids):
        msg = (
            f"'cell_ids' must have one entry per detection ({len(detections)}), got {len(cell_ids)}"
        )
        raise ParameterError(msg)
    rows = [
        [d.z, shortened(d.y), shortened(d.x), shortened(d.radius_nm), d.rank, cell_id]
        for d, cell_id in zip(detections, cell_ids, strict=True)
    ]
    write_rows(path, DETECTION_COLUMNS, rows)


def read_detections_csv(path: str | os.PathLike[str]) -> tuple[list[Detection], list[int]]:
    """Read detections and the cell each belongs to.

    Parameters
    ----------
    path : path-like
        A file of `write_detections_csv`, possibly edited.

    Returns
    -------
    list of Detection, list of int
        As the file says; 0 stands for no cell.

    Raises
    ------
    DataFormatError
        For a missing column or a bad number, naming file, line and column.
    """
    detections, cell_ids = [], []
    for row in read_rows(path, DETECTION_COLUMNS):
        detections.append(
            Detection(
                z=row.integer("z"),
                y=row.number("y"),
                x=row.number("x"),
                radius_nm=row.number("radius_nm"),
                rank=row.integer("rank"),
            )
        )
        cell_ids.append(row.integer("cell_id"))
    return detections, cell_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A line of a CSV file that knows where it stands."""

    path: Path
    line: int
    values: Mapping[str, str]

    def error(self, column: str, text: str) -> DataFormatError:
        """An error that names file, line and column."""
        return DataFormatError(f"{self.path}, line {self.line}, column '{column}': {text}")

    def convert(self, column: str, into: Callable[[str], T]) -> T:
        """A field by a function that raises a ValueError for bad text."""
        try:
            return into(self.values[column])
        except HelasegError as error:
            raise self.error(column, str(error)) from error

    def number(self, column: str) -> float:
        """A finite number."""
        text = self.values[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(column, f"a number was expected, got {text!r}")
        return value

    def integer(self, column: str) -> int:
        """An integer; spreadsheets may have made 12 to 12.0."""
        value = self.number(column)
        if value != int(value):
            raise self.error(column, f"an integer was expected, got {self.values[column]!r}")
        return int(value)

    def zyx(self, pattern: str) -> tuple[float, float, float]:
        """Three columns whose names differ in the axis."""
        z, y, x = (self.number(pattern.format(axis)) for axis in "zyx")
        return z, y, x


def write_rows(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write a CSV file as a whole: UTF-8, commas, one line per row."""
    with atomic_path(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def read_rows(path: str | os.PathLike[str], columns: Sequence[str]) -> list[TableRow]:
    """Lines of a CSV file that has at least these columns; blank lines are left out.

    Raises
    ------
    DataFormatError
        If the file cannot be read, lacks a column, or a line is too short.
    """
    path = Path(path)
    try:
        # Spreadsheets may put a byte order mark first.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"{path} cannot be read as CSV: {reason}"
        raise DataFormatError(msg) from error
    header = text.partition("\n")[0]
    reader = csv.reader(text.splitlines(), delimiter=";" if ";" in header else ",")
    names = [name.strip() for name in next(reader, [])]
    missing = [column for column in columns if column not in names]
    if missing:
        msg = f"{path}, line 1: column '{missing[0]}' is missing; keep the columns of the table"
        raise DataFormatError(msg)
    rows = []
    for fields in reader:
        # A spreadsheet writes separators into blank lines.
        if not fields or (len(names) > 1 and not any(field.strip() for field in fields)):
            continue
        values = {name: field.strip() for name, field in zip(names, fields, strict=False)}
        row = TableRow(path=path, line=reader.line_num, values=values)
        absent = [column for column in columns if column not in values]
        if absent:
            raise row.error(absent[0], "the line ends before this column")
        rows.append(row)
    return rows


def shortened(value: float) -> float:
    """Thousandths of a voxel or nm are enough for a table."""
    return round(float(value), 3)
