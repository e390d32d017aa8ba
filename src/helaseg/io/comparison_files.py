"""A comparison of methods as files: tables of all its numbers, and what it rests on."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helaseg.core.comparison import Comparison, MethodScores, PairedDifference
from helaseg.core.results import installed_versions, plain_value
from helaseg.io.atomic import atomic_path
from helaseg.io.tables import write_rows

SCORE_COLUMNS = (
    "method",
    "doubt",
    "region",
    "z",
    "metric",
    "label",
    "value",
    "unit",
    "n_voxels",
    "undefined",
)
DIFFERENCE_COLUMNS = (
    "metric",
    "unit",
    "first",
    "second",
    "doubt",
    *(
        field.name
        for field in dataclasses.fields(PairedDifference)
        if field.name not in ("metric", "unit", "first", "second", "doubt")
    ),
)


def write_comparison(
    folder: str | os.PathLike[str],
    comparison: Comparison,
    *,
    verdict: Sequence[str] = (),
    inputs: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the numbers of a comparison.

    Parameters
    ----------
    folder : path-like
        Gets ``scores.csv`` (one row per score: method, with or without voxels in doubt,
        volume, centre, poles or slice), ``statistics.csv`` (one row per pair of methods
        and metric) and ``compare.json`` (the rest: verdict, scores of the volume, costs,
        settings, versions, inputs).
    comparison : Comparison
        What to write.
    verdict : sequence of str
        Sentences on which method is better.
    inputs : mapping, optional
        Where the images came from.

    Returns
    -------
    list of Path
        What was written. A number that does not exist is an empty field, with its
        reason in its row.

    Raises
    ------
    JobError
        If a file cannot be written; each file is there as a whole or not at all.
    """
    folder = Path(folder)
    files = [folder / name for name in ("scores.csv", "statistics.csv", "compare.json")]
    rows = (row for scores in comparison.scores for row in _score_rows(scores))
    write_rows(files[0], SCORE_COLUMNS, rows)
    differences = (
        [_field(getattr(found, column)) for column in DIFFERENCE_COLUMNS]
        for found in comparison.differences
    )
    write_rows(files[1], DIFFERENCE_COLUMNS, differences)
    text = json.dumps(_summary(comparison, verdict, inputs or {}), indent=1, default=plain_value)
    with atomic_path(files[2]) as part:
        part.write_text(text + "\n", encoding="utf-8")
    return files


def _score_rows(scores: MethodScores) -> Iterator[list[Any]]:
    for s in scores.table:
        region = scores.region if s.z is None else "slice"
        place = [scores.method, scores.doubt, region, "" if s.z is None else s.z]
        number = [s.metric, s.label, _field(s.value), s.unit, s.n_voxels, s.undefined or ""]
        yield [*place, *number]


def _field(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value


def _summary(
    comparison: Comparison, verdict: Sequence[str], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for s in comparison.scores:
        values = {row.metric: row.to_dict()["value"] for row in s.table.select(per_slice=False)}
        scores.setdefault(s.method, {}).setdefault(s.doubt, {})[s.region] = values
    return {
        "subject": comparison.subject,
        "verdict": list(verdict),
        "grid": dataclasses.asdict(comparison.grid),
        "slices": list(comparison.slices),
        "centre_slices": list(comparison.split.centre),
        "pole_slices": list(comparison.split.poles),
        "no_poles": comparison.split.reason,
        "scores": scores,
        "worst_slices": [dataclasses.asdict(worst) for worst in comparison.worst],
        "costs": {name: dataclasses.asdict(cost) for name, cost in comparison.costs.items()},
        "notes": list(comparison.notes),
        "config": dict(comparison.config),
        "inputs": dict(inputs),
        "versions": installed_versions(),
    }
