"""seams.csv: written and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from helaseg.core.grid import Grid
from helaseg.core.seams import Seam
from helaseg.errors import DataFormatError
from helaseg.io.seam_table import read_seams_csv, write_seams_csv

GRID = Grid(shape=(30, 60, 80), voxel_size_nm=(50, 10, 10), offset_nm=(0, 0, 100))
SEAMS = [
    Seam(
        kind="duplicate",
        cell=1,
        other=3,
        severity=0.75,
        position_vx=(3.5, 4.0, 5.25),
        text="both crops claim 1.00 µm³; each voxel went to the surer one",
    ),
    Seam(
        kind="border_cut", cell=2, other=0, severity=0.1, position_vx=(0.0, 1.0, 2.0), text="x, y"
    ),
]


def test_seams_come_back(tmp_path: Path) -> None:
    path = tmp_path / "seams.csv"
    write_seams_csv(path, SEAMS, GRID)
    assert read_seams_csv(path) == SEAMS
    first = path.read_text(encoding="utf-8").splitlines()[1]
    assert first.startswith("1,duplicate,1,3,0.75,3.5,4.0,5.25,175.0,40.0,152.5,")


def test_none_are_a_header(tmp_path: Path) -> None:
    write_seams_csv(tmp_path / "seams.csv", [], GRID)
    assert read_seams_csv(tmp_path / "seams.csv") == []


def test_a_bad_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "seams.csv").write_text("kind,cell\n")
    with pytest.raises(DataFormatError, match="column 'rank' is missing"):
        read_seams_csv(tmp_path / "seams.csv")
