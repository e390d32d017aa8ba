"""Summary of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helaseg.core.results import StepCost, installed_versions, plain_value
from helaseg.core.volume import Volume
from helaseg.io import CellRow, atomic_path
from helaseg.io.json_file import read_record
from helaseg.io.sampling import describe_job
from helaseg.io.tables import read_rows, write_rows
from helaseg.pipelines.classical import RunConfig, as_plain


def write_summary(
    volume: Volume,
    source: str,
    out: Path,
    config: RunConfig,
    cells: Sequence[CellRow],
    steps: Sequence[StepCost],
) -> None:
    """Write ``run.json``: what was done, with what, how long it took."""
    overview = read_record(out / "overview.json", advice="remove it and run again")
    summary = {
        "name": volume.name,
        "grid": as_plain(volume.grid),
        "input": {
            "name": volume.name,
            "shape": volume.shape,
            "voxel_size_nm": volume.grid.voxel_size_nm,
            "fingerprint": source,
        },
        "job": describe_job(volume),
        "n_cells": len(cells),
        "config": as_plain(config),
        "versions": installed_versions(),
        "steps": [as_plain(cost) for cost in steps],
        "overview": "overview.png",
        "overview_z": overview["z"],
        "overview_pixel_nm": overview["pixel_nm"],
    }
    with atomic_path(out / "run.json") as target:
        target.write_text(_as_json(summary) + "\n", encoding="utf-8")


def write_measurements(path: Path, folders: Mapping[int, Path]) -> None:
    """Write one table with the measurements of every cell, from those in their folders.

    Parameters
    ----------
    path : Path
        The table: ``id`` first, then the columns of the cells.
    folders : mapping of int to Path
        Folder of each segmented cell, by id.
    """
    rows = {
        cell: read_rows(folder / "measurements.csv", ("flags",))[0].values
        for cell, folder in folders.items()
    }
    # Cells without a nucleus may lack columns that others have.
    columns = list(dict.fromkeys(name for row in rows.values() for name in row if name != "id"))
    table = [[cell, *(row.get(name, "") for name in columns)] for cell, row in rows.items()]
    write_rows(path, ("id", *columns), table)


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, default=plain_value)
