"""What a run says of itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helaseg.core.results import StepCost, installed_versions, plain_value
from helaseg.core.volume import Volume
from helaseg.io import CellRow, atomic_path
from helaseg.io.json_file import read_record
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
        "n_cells": len(cells),
        "config": as_plain(config),
        "seed": config.seed,
        "versions": installed_versions(),
        "steps": [as_plain(cost) for cost in steps],
        "overview": "overview.png",
        "overview_z": overview["z"],
        "overview_pixel_nm": overview["pixel_nm"],
    }
    with atomic_path(out / "run.json") as target:
        target.write_text(_as_json(summary) + "\n", encoding="utf-8")


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, default=plain_value)
