"""CSV files that people edit: rows that know where they stand, and detections."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from helaseg.core.objects import Detection
from helaseg.errors import DataFormatError, HelasegError, ParameterError
from helaseg.io.atomic import atomic_path

T = TypeVar("T")

#: Spreadsheets take a text that begins so for a formula.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

_PLAIN_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
#: Numbers of voxels, slices and cells are smaller; floats hold every integer up to here.
_LARGEST_INTEGER = 2**53

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
        If a file cannot be written.
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
            raise self.error(column, f"a number was expected, got {text[:40]!r}")
        return value

    def integer(self, column: str) -> int:
        """An integer; spreadsheets may have made 12 to 12.0."""
        text = self.values[column]
        value = int(text) if _PLAIN_INTEGER.fullmatch(text) else self.number(column)
        if value != int(value) or abs(value) > _LARGEST_INTEGER:
            raise self.error(column, f"an integer below 2^53 was expected, got {text[:40]!r}")
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
        writer.writerows([csv_value(value) for value in row] for row in rows)


def csv_value(value: Any) -> Any:
    """Put a quote in front of a text that a spreadsheet would carry out as a formula."""
    if not isinstance(value, str) or not value.startswith(_FORMULA_SIGNS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


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
    separator = ";" if ";" in header else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    lines = []
    try:
        lines = [(reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        msg = f"{path}, line {reader.line_num}: cannot be read as CSV ({error}); correct the line"
        raise DataFormatError(msg) from error
    names = [name.strip() for name in lines[0][1]] if lines else []
    missing = [column for column in columns if column not in names]
    if missing:
        msg = f"{path}, line 1: column '{missing[0]}' is missing; keep the columns of the table"
        raise DataFormatError(msg)
    rows = []
    for number, fields in lines[1:]:
        # A spreadsheet writes separators into blank lines.
        if not fields or (len(names) > 1 and not any(field.strip() for field in fields)):
            continue
        values = {name: field.strip() for name, field in zip(names, fields, strict=False)}
        row = TableRow(path=path, line=number, values=values)
        absent = [column for column in columns if column not in values]
        if absent:
            raise row.error(absent[0], "the line ends before this column")
        rows.append(row)
    return rows


def shortened(value: float) -> float:
    """Thousandths of a voxel or nm are enough for a table."""
    return round(float(value), 3)
