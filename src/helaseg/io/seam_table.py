"""The table of places where crops do not fit together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from helaseg.core.grid import Grid
from helaseg.core.seams import Seam
from helaseg.io.tables import TableRow, read_rows, shortened, write_rows

SEAM_COLUMNS = (
    "rank",
    "kind",
    "cell",
    "other",
    "severity",
    "z_vx",
    "y_vx",
    "x_vx",
    "z_nm",
    "y_nm",
    "x_nm",
    "text",
)


def write_seams_csv(path: Path, seams: Iterable[Seam], grid: Grid) -> None:
    """Write seams, the worst first, with their places in voxels and in nm."""
    rows = [
        [
            rank,
            seam.kind,
            seam.cell,
            seam.other,
            shortened(seam.severity),
            *(shortened(v) for v in seam.position_vx),
            *(shortened(v) for v in grid.to_nm(seam.position_vx)),
            seam.text,
        ]
        for rank, seam in enumerate(seams, start=1)
    ]
    write_rows(path, SEAM_COLUMNS, rows)


def read_seams_csv(path: Path) -> list[Seam]:
    """Read the table that `write_seams_csv` wrote.

    Raises
    ------
    DataFormatError
        For a missing column or a bad number, naming file, line and column.
    """
    return [_seam(row) for row in read_rows(path, SEAM_COLUMNS)]


def _seam(row: TableRow) -> Seam:
    return Seam(
        kind=row.values["kind"],  # type: ignore[arg-type]
        cell=row.integer("cell"),
        other=row.integer("other"),
        severity=row.number("severity"),
        position_vx=row.zyx("{}_vx"),
        text=row.values["text"],
    )
