"""cells.csv and detections.csv: written, edited by people, read."""

from __future__ import annotations

import csv

import pytest

from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag, Detection, Track
from helaseg.errors import DataFormatError, ParameterError
from helaseg.io import (
    read_cells_csv,
    read_detections_csv,
    write_cells_csv,
    write_detections_csv,
)

GRID = Grid(shape=(40, 300, 400), voxel_size_nm=(50, 10, 10), offset_nm=(500, 0, 70))
FLAGS = CellFlag.CUT_BY_SIDE | CellFlag.SMALL


def track(number, flags=CellFlag.NONE):
    seen = tuple(
        Detection(z=z, y=100.5, x=10.25 * number, radius_nm=400.0 + z, rank=number)
        for z in (5, 15, 25)
    )
    return Track(id=number, detections=seen, flags=flags)


TRACKS = [track(1, FLAGS), track(2), track(7)]
ROIS = {t.id: Roi(start=(0, t.id, 20), stop=(30, 120 + t.id, 200)) for t in TRACKS}


@pytest.fixture
def table(tmp_path):
    write_cells_csv(tmp_path / "cells.csv", TRACKS, ROIS, GRID)
    return tmp_path / "cells.csv"


def test_the_columns_are_the_contract(table):
    header = table.read_text(encoding="utf-8").splitlines()[0]
    assert header == (
        "id,centroid_z_vx,centroid_y_vx,centroid_x_vx,centroid_z_nm,centroid_y_nm,centroid_x_nm,"
        "radius_nm,first_slice,last_slice,flags,"
        "roi_start_z,roi_stop_z,roi_start_y,roi_stop_y,roi_start_x,roi_stop_x,rank,keep"
    )


def test_cells_come_back(table):
    rows = read_cells_csv(table)
    assert [row.id for row in rows] == [1, 2, 7]
    for row, cell in zip(rows, TRACKS, strict=True):
        assert row.centroid_vx == pytest.approx(cell.centroid, abs=1e-3)
        assert row.centroid_nm == pytest.approx(tuple(GRID.to_nm(cell.centroid)), abs=1e-3)
        assert row.radius_nm == 425.0
        assert (row.first_slice, row.last_slice) == (5, 25)
        assert row.flags == cell.flags
        assert row.roi == ROIS[cell.id]


def test_no_cells_are_a_header(tmp_path):
    write_cells_csv(tmp_path / "cells.csv", [], {}, GRID)
    assert read_cells_csv(tmp_path / "cells.csv") == []


def edited(table, change, *, delimiter=",", encoding="utf-8", newline="\n"):
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows = change(rows)
    with table.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator=newline)
        writer.writeheader()
        writer.writerows(rows)
    return table


def test_an_edited_table_is_honoured(table):
    def change(rows):
        rows[2]["roi_stop_z"] = "12.0"
        rows[2]["flags"] = ""
        return [{**row, "my notes": "a, b"} for row in (rows[2], rows[0])]

    rows = read_cells_csv(edited(table, change))
    assert [row.id for row in rows] == [7, 1]
    assert rows[0].roi.stop[0] == 12
    assert rows[1].roi == ROIS[1]


def test_rows_are_dropped_by_a_word(table):
    def change(rows):
        for row, word in zip(rows, ("No", "", "yes"), strict=True):
            row["keep"] = word
        return rows

    assert [row.id for row in read_cells_csv(edited(table, change))] == [2, 7]
    for row in read_cells_csv(table, grid=GRID):
        assert row.roi == ROIS[row.id]


def test_a_table_of_an_earlier_version_is_read(table):
    names = ("rank", "keep")
    before = read_cells_csv(table)
    edited(table, lambda rows: [{k: v for k, v in r.items() if k not in names} for r in rows])
    assert read_cells_csv(table) == before


def test_ranks_come_back(tmp_path):
    write_cells_csv(tmp_path / "cells.csv", TRACKS, ROIS, GRID, ranks={1: 3, 2: 1, 7: 2})
    assert [row.rank for row in read_cells_csv(tmp_path / "cells.csv")] == [3, 1, 2]


def test_a_moved_centroid_takes_its_box_along_when_it_leaves_it(table):
    before = {row.id: row for row in read_cells_csv(table)}

    def change(rows):
        rows[0]["centroid_y_vx"], rows[0]["centroid_x_vx"] = "110", "100"  # inside
        rows[1]["centroid_x_vx"] = "390"  # far outside, near the border
        return rows

    inside, moved, other = read_cells_csv(edited(table, change), grid=GRID)
    assert inside.roi == before[1].roi
    assert inside.centroid_vx[1] == 110.0
    assert inside.centroid_nm[1] == 1100.0
    assert moved.roi.shape == before[2].roi.shape
    # Moved inside the volume of 40 x 300 x 400 voxels.
    assert moved.roi == Roi(start=(0, 40, 220), stop=(30, 160, 400))
    assert moved.centroid_nm[2] == pytest.approx(390 * 10 + 70)
    assert (other.roi, other.centroid_vx) == (before[7].roi, before[7].centroid_vx)


def test_a_new_cell_needs_an_id_and_a_place(table):
    def change(rows):
        new = dict.fromkeys(rows[0], "")
        new |= {"id": "9", "centroid_z_vx": "4", "centroid_y_vx": "150", "centroid_x_vx": "200"}
        return [*rows, new]

    cell = read_cells_csv(edited(table, change), grid=GRID)[-1]
    assert cell.id == 9
    # The published size is larger than this volume.
    assert cell.roi == Roi(start=(0, 0, 0), stop=GRID.shape)
    assert (cell.first_slice, cell.last_slice) == (0, 39)
    assert cell.centroid_nm == (700.0, 1500.0, 2070.0)
    assert cell.radius_nm == 750.0
    assert cell.flags == CellFlag.NONE
    with pytest.raises(DataFormatError, match="column 'centroid_z_nm': a number was expected"):
        read_cells_csv(table)


def test_a_cell_outside_of_the_volume_is_refused(table):
    def change(rows):
        rows[1]["centroid_z_vx"] = "40"
        return rows

    edited(table, change)
    match = r"line 3, column 'centroid_z_vx': the volume has 40 voxels along z, .* is at 40"
    with pytest.raises(DataFormatError, match=match):
        read_cells_csv(table, grid=GRID)


def test_a_box_outside_of_the_volume_is_refused(table):
    def change(rows):
        rows[1]["roi_start_y"], rows[1]["roi_stop_y"] = "5000", "5500"
        return rows

    edited(table, change)
    with pytest.raises(DataFormatError, match=r"line 3, .*: the box lies outside of the volume"):
        read_cells_csv(table, grid=GRID)


def test_a_table_that_a_spreadsheet_saved(table):
    before = read_cells_csv(table)

    def shuffle(rows):
        return [dict(reversed(row.items())) for row in rows]

    edited(table, shuffle, delimiter=";", encoding="utf-8-sig", newline="\r\n")
    with table.open("a", encoding="utf-8") as file:
        file.write(";;;\r\n\r\n")
    assert read_cells_csv(table) == before


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("roi_start_y", "twelve", r"line 3, column 'roi_start_y': a number was expected, got 'tw"),
        (
            "roi_start_y",
            "1.5",
            r"line 3, column 'roi_start_y': an integer below 2.53 was expected, got .1.5",
        ),
        ("radius_nm", "nan", r"line 3, column 'radius_nm': a number was expected"),
        ("centroid_z_vx", "", r"line 3, column 'centroid_z_vx': a number was expected, got ''"),
        ("roi_stop_x", "20", r"line 3, column 'roi_stop_x': a box must .* got 20 to 20"),
        ("roi_stop_z", "-1", r"line 3, column 'roi_stop_z': a box must stop after its start"),
        ("id", "1", r"line 3, column 'id': the id 1 comes twice"),
        ("id", "-3", r"line 3, column 'id': an id must be 1 to 65535, got -3"),
        ("id", "65536", r"line 3, column 'id': an id must be 1 to 65535, got 65536"),
        ("id", "9" * 20, r"line 3, column 'id': an integer below 2.53 was expected, got '9999"),
        ("id", "1e400", r"line 3, column 'id': a number was expected, got '1e400'"),
        ("roi_stop_x", "9" * 30, r"line 3, column 'roi_stop_x': an integer below 2.53"),
        ("flags", "x" * 200_000, r"line 3: cannot be read as CSV .field larger"),
        ("keep", "perhaps", r"line 3, column 'keep': 'yes' or 'no' was expected, got 'perhaps'"),
        ("flags", "lovely", r"line 3, column 'flags': unknown cell flag 'lovely'"),
    ],
)
def test_bad_fields_are_named(table, column, value, match):
    def change(rows):
        rows[1][column] = value
        return rows

    with pytest.raises(DataFormatError, match=rf"cells\.csv, {match}"):
        read_cells_csv(edited(table, change))


def test_bad_tables_are_named(table, tmp_path):
    with pytest.raises(DataFormatError, match=r"nothing\.csv cannot be read as CSV: No such file"):
        read_cells_csv(tmp_path / "nothing.csv")
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], lines[1], lines[2][:20]]))
    with pytest.raises(DataFormatError, match=r"line 3, column '.*': the line ends before"):
        read_cells_csv(table)
    table.write_text(lines[0].replace("radius_nm", "radius") + "\n")
    with pytest.raises(DataFormatError, match="line 1: column 'radius_nm' is missing"):
        read_cells_csv(table)
    table.write_text("")
    with pytest.raises(DataFormatError, match="line 1: column 'id' is missing"):
        read_cells_csv(table)
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataFormatError, match="cannot be read as CSV"):
        read_cells_csv(table)


def test_a_track_without_box_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="there is none for 7"):
        write_cells_csv(tmp_path / "cells.csv", TRACKS, {1: ROIS[1], 2: ROIS[2]}, GRID)
    assert list(tmp_path.iterdir()) == []


def test_detections_come_back(tmp_path):
    path = tmp_path / "detections.csv"
    detections = [d for t in TRACKS for d in t.detections]
    ids = [t.id for t in TRACKS for _ in t.detections]
    ids[4] = 0
    write_detections_csv(path, detections, ids)
    assert path.read_text().splitlines()[0] == "z,y,x,radius_nm,rank,cell_id"
    assert read_detections_csv(path) == (detections, ids)
    with pytest.raises(ParameterError, match=r"one entry per detection \(9\), got 8"):
        write_detections_csv(path, detections, ids[1:])
    path.write_text("z,y,x,radius_nm,rank,cell_id\n1,2,x,4,5,6\n")
    with pytest.raises(DataFormatError, match=r"detections\.csv, line 2, column 'x'"):
        read_detections_csv(path)
