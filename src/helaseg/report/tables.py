"""Results and scores as rows of text: names with units, numbers with sensible digits."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helaseg.core.objects import CellFlag
from helaseg.core.results import SliceRecord, StepCost
from helaseg.core.scores import Score, ScoreTable
from helaseg.core.seams import Seam

# The end of a name says its unit (the rule of the whole package).
_UNITS = {
    "um3": "µm³",
    "um2": "µm²",
    "um": "µm",
    "nm": "nm",
    "nm2": "nm²",
    "nm3": "nm³",
    "px": "px",
    "vx": "voxels",
    "slices": "slices",
    "seconds": "s",
    "mb": "MB",
}
_ABSENT = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A named value as text.

    Parameters
    ----------
    name, value, unit : str
        What to print.
    reason : str
        Why there is no value; empty if there is one.
    note : str
        What the value holds for, if that is not the whole object.
    """

    name: str
    value: str
    unit: str = ""
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One metric of one label over all columns of a table of scores.

    Parameters
    ----------
    metric, label, unit : str
        What the numbers are.
    cells : tuple of Quantity
        One per column.
    mean, median : str
        Over the defined values.
    """

    metric: str
    label: str
    unit: str
    cells: tuple[Quantity, ...]
    mean: str
    median: str


def number_text(value: Any, *, digits: int = 4) -> str:
    """A number for a reader: `digits` significant ones, thin spaces from 10 000 on.

    Integers keep all digits; None, nan and empty text become a dash.
    """
    if value is None or value == "":
        return _ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    if math.isnan(number):
        return _ABSENT
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    whole = isinstance(value, int) or (isinstance(value, str) and value.strip("-").isdigit())
    if whole or abs(number) >= 10**digits:
        text = f"{round(number):,}" if abs(number) >= 10_000 else str(round(number))
        return text.replace(",", "\u2009").replace("-", "−")
    places = digits - 1 - math.floor(math.log10(abs(number))) if number else 0
    if places > 8:
        return f"{number:.{digits - 1}e}"
    return f"{number:.{max(places, 0)}f}".replace("-", "−")


def quantity(key: str, value: Any) -> Quantity:
    """A measurement named in the house style, such as ``nucleus_volume_um3``."""
    words = key.split("_")
    if words[0] == "n" and len(words) > 1:
        return Quantity(name="number of " + " ".join(words[1:]), value=number_text(value))
    unit = _UNITS.get(words[-1], "")
    if unit and len(words) > 1:
        words = words[:-1]
    return Quantity(name=" ".join(words), value=number_text(value), unit=unit)


def key_quantities(measurements: Mapping[str, Any]) -> list[Quantity]:
    """Volumes, areas, then ratios: what stands at the head of a page (at most eight).

    What was not measured is left out.
    """
    wanted = (
        lambda k: k.endswith("_um3"),
        lambda k: k.endswith("_um2"),
        lambda k: "ratio" in k,
    )
    known = {k: v for k, v in measurements.items() if number_text(v) != _ABSENT}
    keys = [k for want in wanted for k in known if want(k)]
    return [_of_part(k, measurements) for k in dict.fromkeys(keys)][:8]


def _of_part(key: str, measurements: Mapping[str, Any]) -> Quantity:
    """A measurement that says if it is that of the part inside, or why it has no value."""
    found = quantity(key, measurements[key])
    of_both = "ratio" in key or key.startswith("polarity")
    is_cut = any(
        _number(measurements.get(f"{'nucleus' if part == 'nucleus' else 'cell'}_is_cut"))
        for part in ("nucleus", "cell", "cytoplasm")
        if of_both or key.startswith(part)
    )
    if not is_cut or key.endswith("_is_cut"):
        return found
    if found.value == _ABSENT:
        return dataclasses.replace(found, reason="not measured, since it is cut by the border")
    if found.unit in ("µm³", "µm²") or "ratio" in key:
        return dataclasses.replace(found, note="part inside")
    return found


def all_quantities(measurements: Mapping[str, Any]) -> list[Quantity]:
    """Every measurement but the flags, in the order of the file."""
    return [_of_part(k, measurements) for k in measurements if k not in ("flags", "id")]


def flat_settings(settings: Mapping[str, Any], *, under: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names with their values as text."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{under}{key}"
        if isinstance(value, Mapping) and value:
            rows += flat_settings(value, under=f"{name}.")
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(str(v) for v in value)))
        else:
            rows.append((name, _ABSENT if value is None else str(value)))
    return rows


def step_rows(steps: Iterable[StepCost | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Name, seconds, memory, energy and share of the total time (0 to 1) of each step."""
    rows = []
    for step in steps:
        values = dataclasses.asdict(step) if isinstance(step, StepCost) else dict(step)
        rows.append(values)
    total = sum(_number(r.get("seconds")) for r in rows)
    return [
        {
            "step": str(r.get("step", _ABSENT)),
            "seconds": number_text(r.get("seconds"), digits=3),
            "memory": number_text(r.get("peak_memory_mb"), digits=3),
            "energy": None if r.get("energy_j") is None else number_text(r["energy_j"], digits=3),
            "share": _number(r.get("seconds")) / total if total > 0 else 0.0,
        }
        for r in rows
    ]


def total_seconds(steps: Iterable[Mapping[str, Any] | StepCost]) -> float:
    """Sum of the seconds of all steps."""
    return sum(s.seconds if isinstance(s, StepCost) else _number(s.get("seconds")) for s in steps)


def duration_text(seconds: float) -> str:
    """Seconds for a reader: ``48 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 120:
        return f"{number_text(round(seconds, 1), digits=3)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def flag_words(flags: CellFlag) -> list[str]:
    """The flags as sentences for a person; an empty list for none."""
    return [flag.text for flag in CellFlag if flag in flags and flag != CellFlag.NONE]


def slice_rows(records: Sequence[SliceRecord]) -> list[tuple[str, ...]]:
    """One row of text per slice: index, areas, confidence, envelope, event."""
    return [
        (
            str(r.z),
            number_text(r.cell_um2),
            number_text(r.nucleus_um2),
            number_text(r.confidence, digits=2),
            number_text(r.envelope_thickness_nm, digits=3),
            number_text(r.envelope_confidence, digits=2),
            r.event,
        )
        for r in records
    ]


def score_columns(
    scores: ScoreTable | None, scores_by_cell: Mapping[Any, ScoreTable] | None
) -> dict[str, ScoreTable]:
    """All tables of scores under the names of their columns.

    A table for the whole volume is split by the name of its prediction when it
    holds several.
    """
    columns: dict[str, ScoreTable] = {}
    if scores is not None:
        names = list(dict.fromkeys(s.pred for s in scores))
        for name in names:
            title = "whole volume" if len(names) == 1 else name
            columns[title] = ScoreTable(rows=tuple(s for s in scores if s.pred == name))
    for name, table in (scores_by_cell or {}).items():
        columns[f"cell {name}" if isinstance(name, int) else str(name)] = table
    return columns


def score_rows(
    columns: Mapping[str, ScoreTable], *, summary: Collection[str] | None = None
) -> list[ScoreRow]:
    """Scores of whole volumes, one row per metric and label.

    An undefined score keeps its reason and is left out of mean and median;
    these are over the columns in `summary`, by default over all.
    """
    summed = set(columns) if summary is None else set(summary)
    found: dict[tuple[str, str, str], dict[str, Score]] = {}
    for name, table in columns.items():
        for score in table.select(per_slice=False):
            found.setdefault((score.metric, score.label, score.unit), {})[name] = score
    rows = []
    for (metric, label, unit), by_column in found.items():
        values = [
            score.value
            for name, score in by_column.items()
            if name in summed and math.isfinite(score.value)
        ]
        rows.append(
            ScoreRow(
                metric=metric_words(metric),
                label=label,
                unit="" if unit == "1" else unit,
                cells=tuple(_score_cell(by_column.get(name)) for name in columns),
                mean=number_text(statistics.fmean(values)) if values else _ABSENT,
                median=number_text(statistics.median(values)) if values else _ABSENT,
            )
        )
    return rows


def undefined_reasons(columns: Mapping[str, ScoreTable]) -> list[str]:
    """One line per undefined score of a whole volume."""
    return [
        f"{name}: {metric_words(score.metric)} of {score.label} has no value, {score.undefined}"
        for name, table in columns.items()
        for score in table.select(per_slice=False)
        if score.undefined is not None
    ]


_PEOPLE = {"jaccard", "dice", "hausdorff"}


def metric_words(metric: str) -> str:
    """The name of a metric in words; names of people with a capital letter."""
    words = [w.capitalize() if w in _PEOPLE else w for w in metric.split("_")]
    if words[0] == "boundary" and words[-1].endswith("nm"):
        what = "F" if words[1] == "f" else words[1]
        return f"boundary {what} within {words[2].removesuffix('nm')} nm"
    return " ".join(["number of", *words[1:]] if words[0] == "n" else words)


def _score_cell(score: Score | None) -> Quantity:
    if score is None:
        return Quantity(name="", value=_ABSENT)
    if score.undefined is not None:
        return Quantity(name="", value="undefined", reason=score.undefined)
    value: Any = score.value
    if score.metric.startswith("n_") and float(value).is_integer():
        value = int(value)
    return Quantity(name="", value=number_text(value))


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0


#: What the kinds of seams are called, and how many of them a page shows.
_SEAM_WORDS = {
    "border_cut": "cut by its crop",
    "duplicate": "claimed twice",
    "merge": "two in one",
    "z_flicker": "flickers along z",
}
N_SEAMS = 20


def seam_rows(seams: Sequence[Seam]) -> list[dict[str, str]]:
    """The worst seams of a run as words."""
    return [
        {
            "kind": _SEAM_WORDS.get(seam.kind, seam.kind),
            "cells": f"{seam.cell} and {seam.other}" if seam.other else str(seam.cell),
            "severity": f"{100 * seam.severity:.0f} %",
            "place": ", ".join(f"{v:.0f}" for v in seam.position_vx),
            "text": seam.text,
        }
        for seam in seams[:N_SEAMS]
    ]
