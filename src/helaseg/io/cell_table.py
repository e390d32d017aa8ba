"""The table of cells, which people edit: kept, dropped, moved, resized and new cells."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag, Track
from helaseg.errors import ParameterError
from helaseg.io.tables import TableRow, read_rows, shortened, write_rows

CELL_COLUMNS = (
    "id",
    "centroid_z_vx",
    "centroid_y_vx",
    "centroid_x_vx",
    "centroid_z_nm",
    "centroid_y_nm",
    "centroid_x_nm",
    "radius_nm",
    "first_slice",
    "last_slice",
    "flags",
    "roi_start_z",
    "roi_stop_z",
    "roi_start_y",
    "roi_stop_y",
    "roi_start_x",
    "roi_stop_x",
)
#: Columns that may be missing.
OPTIONAL_COLUMNS = ("rank", "keep")
#: Of a box that is not given, z, y, x; as published: 300 x 2000 x 2000 voxels of 50 x 10 x 10 nm.
BOX_NM = (15000.0, 20000.0, 20000.0)
#: Labels of whole volumes are stored as uint16.
LARGEST_ID = 65535
_YES, _NO = ("", "yes", "y", "true", "1"), ("no", "n", "false", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One line of ``cells.csv``.

    Parameters
    ----------
    id : int
        Number of the cell.
    centroid_vx : tuple of float
        z, y, x in voxels of the big volume.
    centroid_nm : tuple of float
        The same in nm.
    radius_nm : float
        Largest distance to the background.
    first_slice, last_slice : int
        First and last slice with a detection.
    flags : CellFlag
        What is special about the cell.
    roi : Roi
        Its box in voxels of the big volume.
    rank : int
        Place among the candidates, 1 is the best one; 0 where nobody ranked them.
    """

    id: int
    centroid_vx: tuple[float, float, float]
    centroid_nm: tuple[float, float, float]
    radius_nm: float
    first_slice: int
    last_slice: int
    flags: CellFlag
    roi: Roi
    rank: int = 0


def write_cells_csv(
    path: str | os.PathLike[str],
    tracks: Iterable[Track],
    rois: Mapping[int, Roi],
    grid: Grid,
    *,
    ranks: Mapping[int, int] | None = None,
) -> None:
    """Write the cells of a volume.

    Parameters
    ----------
    path : path-like
        The file; it is replaced as a whole.
    tracks : iterable of Track
        The cells, one line each, in this order.
    rois : mapping of int to Roi
        Box of each track id.
    grid : Grid
        Of the volume, for positions in nm.
    ranks : mapping of int to int, optional
        Place of each track id among the candidates; 0 if not given.

    Raises
    ------
    ParameterError
        If a track has no box.
    JobError
        If a file cannot be written.
    """
    rows = []
    for track in tracks:
        if track.id not in rois:
            msg = f"'rois' must hold a box for every track, there is none for {track.id}"
            raise ParameterError(msg)
        roi = rois[track.id]
        box = [v for pair in zip(roi.start, roi.stop, strict=True) for v in pair]
        rows.append(
            [
                track.id,
                *(shortened(v) for v in track.centroid),
                *(shortened(v) for v in grid.to_nm(track.centroid)),
                shortened(track.radius_nm),
                track.first_slice,
                track.last_slice,
                track.flags.names,
                *box,
                (ranks or {}).get(track.id, 0),
                "yes",
            ]
        )
    write_rows(path, (*CELL_COLUMNS, *OPTIONAL_COLUMNS), rows)


def read_cells_csv(path: str | os.PathLike[str], *, grid: Grid | None = None) -> list[CellRow]:
    """Read the cells of a volume, also after the table was edited.

    Parameters
    ----------
    path : path-like
        Rows may have been removed, reordered, added or changed; columns may be in
        any order, others are ignored; commas or semicolons may separate them.
    grid : Grid, optional
        Of the volume. With it fields may be blank, see the notes.

    Returns
    -------
    list of CellRow
        As the file says, without the rows whose ``keep`` is ``no``.

    Raises
    ------
    DataFormatError
        For a missing column, a bad number, an unknown flag, an empty box, a cell
        outside of the volume or an id that comes twice, naming file, line and column.

    Notes
    -----
    With a grid:

    1. Only ``id`` and the centroid in voxels must be given. The centroid in nm
       follows from that in voxels, whatever the table says.
    2. A blank box has the published size (15 x 20 x 20 µm) around the centroid,
       moved to lie inside the volume.
    3. A centroid that was moved out of its box takes the box along.
    4. Blank first and last slices are those of the box, a blank radius is a
       quarter of its width.
    """
    cells: list[CellRow] = []
    seen: set[int] = set()
    for row in read_rows(path, CELL_COLUMNS):
        number = row.integer("id")
        if not 1 <= number <= LARGEST_ID:
            raise row.error("id", f"an id must be 1 to {LARGEST_ID}, got {number}")
        if number in seen:
            raise row.error("id", f"the id {number} comes twice")
        seen.add(number)
        if _is_kept(row):
            cells.append(_read_cell(row, number) if grid is None else _complete(row, number, grid))
    return cells


def _is_kept(row: TableRow) -> bool:
    word = row.values.get("keep", "").lower()
    if word not in (*_YES, *_NO):
        raise row.error("keep", f"'yes' or 'no' was expected, got {word!r}")
    return word in _YES


def _read_cell(row: TableRow, number: int) -> CellRow:
    return CellRow(
        id=number,
        centroid_vx=row.zyx("centroid_{}_vx"),
        centroid_nm=row.zyx("centroid_{}_nm"),
        radius_nm=row.number("radius_nm"),
        first_slice=row.integer("first_slice"),
        last_slice=row.integer("last_slice"),
        flags=row.convert("flags", CellFlag.from_names),
        roi=_read_box(row),
        rank=_whole(row, "rank", 0),
    )


def _complete(row: TableRow, number: int, grid: Grid) -> CellRow:
    """A row with what a person left blank or moved."""
    centroid = row.zyx("centroid_{}_vx")
    for axis, c, n in zip("zyx", centroid, grid.shape, strict=True):
        if not -0.5 <= c <= n - 0.5:
            text = f"the volume has {n} voxels along {axis}, the centroid is at {c:g}"
            raise row.error(f"centroid_{axis}_vx", text)
    blank = not any(row.values[f"roi_{end}_{axis}"] for end in ("start", "stop") for axis in "zyx")
    if blank:
        sizes = zip(BOX_NM, grid.voxel_size_nm, grid.shape, strict=True)
        box = _box_around(centroid, [min(n, max(1, round(s / v))) for s, v, n in sizes], grid)
    else:
        box = _read_box(row)
        if box.clip(grid.shape).is_empty:
            text = f"the box lies outside of the volume of {grid.shape} voxels"
            raise row.error("roi_start_z", text)
        if not box.contains([round(c) for c in centroid]):
            box = _box_around(centroid, box.shape, grid)
    inside = box.clip(grid.shape)
    width_nm = min(n * s for n, s in zip(box.shape[1:], grid.voxel_size_nm[1:], strict=True))
    z, y, x = (float(v) for v in grid.to_nm(centroid))
    radius = row.number("radius_nm") if row.values["radius_nm"] else width_nm / 4
    return CellRow(
        id=number,
        centroid_vx=centroid,
        centroid_nm=(shortened(z), shortened(y), shortened(x)),
        radius_nm=radius,
        first_slice=_whole(row, "first_slice", inside.start[0]),
        last_slice=_whole(row, "last_slice", inside.stop[0] - 1),
        flags=row.convert("flags", CellFlag.from_names),
        roi=box,
        rank=_whole(row, "rank", 0),
    )


def _whole(row: TableRow, column: str, otherwise: int) -> int:
    return row.integer(column) if row.values.get(column) else otherwise


def _read_box(row: TableRow) -> Roi:
    starts = [row.integer(f"roi_start_{axis}") for axis in "zyx"]
    stops = [row.integer(f"roi_stop_{axis}") for axis in "zyx"]
    for axis, start, stop in zip("zyx", starts, stops, strict=True):
        # A start below 0 is a box that sticks out, to be padded.
        if stop <= start:
            text = f"a box must stop after its start, got {start} to {stop}"
            raise row.error(f"roi_stop_{axis}", text)
    return Roi(start=tuple(starts), stop=tuple(stops))  # type: ignore[arg-type]


def _box_around(centroid: Iterable[float], shape: Iterable[int], grid: Grid) -> Roi:
    """A box of a shape around a point, moved inside the volume where it fits."""
    starts, stops = [], []
    for c, n, whole in zip(centroid, shape, grid.shape, strict=True):
        start = round(c) - n // 2
        if n <= whole:
            start = min(max(start, 0), whole - n)
        starts.append(start)
        stops.append(start + n)
    return Roi(start=tuple(starts), stop=tuple(stops))  # type: ignore[arg-type]
