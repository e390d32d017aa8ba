"""The page of a comparison: which method is better, where, and at what cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helaseg._version import __version__
from helaseg.core.comparison import Comparison, Doubt, PairedDifference
from helaseg.core.results import installed_versions
from helaseg.core.scores import ScoreTable
from helaseg.core.volume import Volume
from helaseg.report import style, tables
from helaseg.report.comparison_figures import (
    IN_DOUBT,
    TRUTH,
    method_styles,
    plot_outlines,
    plot_slice_scores,
    plotted_metrics,
)
from helaseg.report.drawn import Picture, drawn
from helaseg.report.pages import template, write_page
from helaseg.report.verdict import best_method, is_better_low, score_text, verdict

#: What the curves and the short tables show, by the start of the name: one overlap, one
#: distance, one boundary score; the files hold all of them.
_SHOWN = {
    "jaccard_index": 1,
    "average_hausdorff_distance_surface": 1,
    "hausdorff_distance_95": 1,
    "boundary_f_": 1,
}
_NOT_KNOWN = "not known"


def write_comparison_report(
    path: str | Path,
    comparison: Comparison,
    *,
    image: Volume | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Path:
    """Write the page of a comparison.

    Parameters
    ----------
    path : path
        The page: one file that needs no other file and no network.
    comparison : Comparison
        From `helaseg.compare`.
    image : Volume, optional
        Of the ROI, to draw the outlines on.
    inputs : mapping, optional
        Where the images came from.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    GridMismatchError
        If the image does not lie on the grid of the comparison.
    JobError
        If a file cannot be written.
    """
    if image is not None:
        image.grid.check_agrees(comparison.grid, names=("image", "truth"))
    sentences = verdict(comparison)
    page = template("compare.html.j2").render(
        title=f"{comparison.subject} of {image.name}" if image else comparison.subject,
        grid=str(comparison.grid),
        sentences=sentences,
        comparison=comparison,
        numbers=_numbers(comparison),
        scores=[_score_section(comparison, doubt) for doubt in reversed(comparison.doubts)],
        chart=_chart(comparison),
        regions=_region_rows(comparison),
        differences=_differences(comparison),
        costs=[_cost_row(comparison, name) for name in comparison.methods],
        legend=_legend(comparison),
        in_doubt=IN_DOUBT,
        worst=list(_worst(comparison, image)),
        settings=tables.flat_settings(comparison.config),
        inputs=tables.flat_settings(inputs or {}),
        versions=tables.flat_settings(installed_versions()),
        version=__version__,
    )
    return write_page(Path(path), page)


def _numbers(comparison: Comparison) -> list[tables.Quantity]:
    best = best_method(comparison)
    poles = len(comparison.split.poles)
    with_truth = sum(bool(comparison.truth.slice(z).any()) for z in comparison.slices)
    quantities = [
        tables.Quantity(name="methods", value=str(len(comparison.methods))),
        tables.Quantity(name="slices that count", value=str(len(comparison.slices))),
        tables.Quantity(name="of them with truth", value=str(with_truth)),
        tables.Quantity(name="at the poles", value=str(poles)),
    ]
    if best is not None:
        words = tables.metric_words(comparison.main_metric)
        value = comparison.table(best).value(comparison.main_metric)
        quantities.append(tables.Quantity(name=f"best {words}", value=f"{value:.3f}", unit=best))
    return quantities


def _score_section(comparison: Comparison, doubt: Doubt) -> dict[str, Any]:
    """All scores of the volume, in one way to treat voxels in doubt."""
    columns = {name: comparison.table(name, doubt=doubt) for name in comparison.methods}
    title = {
        "counted": "All voxels" if len(comparison.doubts) == 1 else "Voxels in doubt counted",
        "left out": "Voxels in doubt left out",
    }[doubt]
    return {
        "title": title,
        "columns": list(columns),
        "rows": tables.score_rows(columns),
        "best": list(_best_cells(columns)),
        "reasons": tables.undefined_reasons(columns),
    }


def _best_cells(columns: Mapping[str, ScoreTable]) -> Iterator[set[int]]:
    """For each row of `tables.score_rows` the columns with the best value."""
    rows: dict[tuple[str, str, str], dict[int, float]] = {}
    for place, table in enumerate(columns.values()):
        for s in table.select(per_slice=False):
            values = rows.setdefault((s.metric, s.label, s.unit), {})
            if not math.isnan(s.value):
                values[place] = -s.value if is_better_low(s) else s.value
    for values in rows.values():
        most = max(values.values(), default=math.nan)
        best = {place for place, value in values.items() if value == most}
        yield best if len(best) < len(columns) else set()


def _chart(comparison: Comparison) -> Picture | None:
    if len(comparison.slices) < 2:
        return None
    metrics = plotted_metrics(comparison, _SHOWN)
    return drawn(
        "scores slice by slice",
        lambda: style.chart_uri(plot_slice_scores(comparison, metrics)),
        caption="Scores from slice to slice. A cross above a panel: this method has no value "
        "where another one has, mostly since it found nothing. scores.csv has every metric.",
    )


def _region_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Scores of the centre and of the poles, method by method."""
    if comparison.split.reason:
        return []
    rows = []
    for metric in (*plotted_metrics(comparison, _SHOWN), "n_missing_slices"):
        for name in comparison.methods:
            cells = []
            for region in ("volume", "centre", "poles"):
                table = comparison.table(name, region=region).select(metric=metric)  # type: ignore[arg-type]
                found = list(table.select(per_slice=False))
                cells.append(score_text(found[0]) if found else "–")
            if any(cell != "–" for cell in cells):
                words = tables.metric_words(metric)
                rows.append({"metric": words, "method": name, "cells": cells})
    return rows


def _differences(comparison: Comparison) -> list[dict[str, Any]]:
    """Metric by metric, what the pairs of methods differ by."""
    groups = []
    for metric in plotted_metrics(comparison, _SHOWN):
        found = [
            d
            for d in comparison.differences
            if d.doubt == comparison.main_doubt and d.metric == metric
        ]
        if found:
            unit = "" if found[0].unit == "1" else f" ({found[0].unit})"
            title = tables.metric_words(metric) + unit
            groups.append({"title": title, "rows": [_difference_row(d) for d in found]})
    return groups


def _difference_row(found: PairedDifference) -> dict[str, Any]:
    def signed(value: float) -> str:
        return ("+" if value > 0 else "") + tables.number_text(value, digits=3)

    interval = f"{signed(found.low)} to {signed(found.high)}"
    return {
        "pair": f"{found.first} − {found.second}",
        "mean": signed(found.mean_difference),
        "interval": found.no_interval or interval,
        "is_clear": "" if found.no_interval else "yes" if found.is_clear else "no",
        "test": "–"
        if found.no_interval
        else found.no_test or tables.number_text(found.p_value, digits=2),
        "slices": f"{found.n_slices} of {found.n_slices + found.n_left_out}",
        "higher": f"{found.n_higher} : {found.n_lower}",
        "block": str(found.block_slices),
    }


def _cost_row(comparison: Comparison, name: str) -> dict[str, str]:
    cost = comparison.costs[name]

    def time(seconds: float | None) -> str:
        return _NOT_KNOWN if seconds is None else tables.duration_text(seconds)

    def number(value: float | None) -> str:
        return _NOT_KNOWN if value is None else tables.number_text(value, digits=3)

    def kilo(value: float | None) -> float | None:
        return None if value is None else value / 1000

    free = cost.train_seconds == 0
    return {
        "name": name,
        "train": "none" if free else time(cost.train_seconds),
        "predict": time(cost.predict_seconds),
        "train_memory": "–" if free else number(cost.train_memory_mb),
        "predict_memory": number(cost.predict_memory_mb),
        "train_energy": "–" if free else number(kilo(cost.train_energy_j)),
        "predict_energy": number(kilo(cost.predict_energy_j)),
        "device": cost.device or _NOT_KNOWN,
    }


def _legend(comparison: Comparison) -> list[dict[str, str]]:
    styles = method_styles(comparison.methods)
    lines = [{"name": "truth", "colour": TRUTH, "line": "solid"}]
    return lines + [{"name": n, "colour": c, "line": d} for n, (c, d) in styles.items()]


def _worst(comparison: Comparison, image: Volume | None) -> Iterator[dict[str, Any]]:
    """Pictures of the worst slices, method by method; a slice is drawn once."""
    words = tables.metric_words(comparison.main_metric)
    outlines: dict[int, Picture] = {}
    known = image.slice_numbers if image is not None else ()
    numbers: Sequence[int | None] = known or [None] * comparison.grid.shape[0]
    for name in comparison.methods:
        pictures = []
        for worst in (w for w in comparison.worst if w.method == name):
            if worst.z not in outlines:
                outlines[worst.z] = drawn(
                    f"outlines in slice {worst.z}",
                    lambda z=worst.z: style.picture_uri(  # type: ignore[misc]
                        plot_outlines(comparison, z, image=image), quality=80
                    ),
                )
            others = _others_in(comparison, worst.z, name)
            place = style.slice_text(worst.z, comparison.grid, numbers[worst.z])
            caption = f"{place.capitalize()}: {words} {worst.value:.3f}"
            caption = f"{caption} ({others})" if others else caption
            pictures.append(dataclasses.replace(outlines[worst.z], caption=caption))
        if pictures:
            yield {"name": name, "pictures": pictures}


def _others_in(comparison: Comparison, z: int, name: str) -> str:
    at = comparison.slices.index(z)
    values: Sequence[tuple[str, float]] = [
        (other, comparison.per_slice(other, comparison.main_metric)[at])
        for other in comparison.methods
        if other != name
    ]
    return ", ".join(f"{n} {'undefined' if math.isnan(v) else f'{v:.3f}'}" for n, v in values)
