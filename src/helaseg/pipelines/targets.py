"""Target of a crop: a note beside the crop."""

from __future__ import annotations

import json
from pathlib import Path

from helaseg._validate import as_zyx
from helaseg.errors import DataFormatError, ParameterError
from helaseg.io import CellRow, atomic_path, find_image
from helaseg.io.json_file import read_record

#: Note beside a crop: where its cell is.
TARGET_NAME = "target.json"


def target_of(cell: CellRow) -> tuple[float, float, float]:
    """The centroid of a cell in voxels of its box, which need not be its middle."""
    # A box that was moved by hand may not hold it any more.
    z, y, x = (
        float(min(max(c - a, 0.0), b - a - 1))
        for c, a, b in zip(cell.centroid_vx, cell.roi.start, cell.roi.stop, strict=True)
    )
    return (z, y, x)


def write_target(folder: Path, target_vx: tuple[float, float, float]) -> Path:
    """Note beside a crop which of its cells is meant."""
    with atomic_path(folder / TARGET_NAME) as temporary:
        temporary.write_text(
            json.dumps({"target_vx": target_vx}, indent=1) + "\n", encoding="utf-8"
        )
    return folder / TARGET_NAME


def read_target(crop: Path) -> tuple[float, float, float] | None:
    """Read the target that `write_target` noted beside a crop, if there is one.

    Raises
    ------
    DataFormatError
        If the note is broken.
    """
    note = find_image(crop).resolve().parent / TARGET_NAME
    if not note.is_file():
        return None
    advice = "remove it to take the cell in the middle"
    try:
        return as_zyx("target_vx", read_record(note, advice=advice).get("target_vx"))
    except ParameterError as error:
        msg = f"{note} does not say where the cell lies: {error}; {advice}"
        raise DataFormatError(msg) from error
