"""Verdict of a comparison in sentences: the better method, its lead, places and costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from helaseg.core.comparison import Comparison, MethodCost, PairedDifference, Region
from helaseg.core.scores import Score
from helaseg.core.words import counted
from helaseg.report.tables import duration_text, metric_words, number_text

#: What is smaller for a better method is a distance or a number of slices.
_LOWER_UNITS = ("nm", "px", "slices")


def verdict(comparison: Comparison) -> list[str]:
    """Say which method is better, by what, where, how surely and at what cost.

    Parameters
    ----------
    comparison : Comparison
        With any number of methods.

    Returns
    -------
    list of str
        Sentences; a difference that the slices do not show clearly is called so.
    """
    sentences = [*_ranking(comparison), *_equals(comparison)]
    best = best_method(comparison)
    if best is not None and len(comparison.methods) > 1:
        sentences += _surely(comparison, best)
        sentences += _elsewhere(comparison, best)
        sentences += _other_metrics(comparison, best)
    sentences += _slices(comparison)
    sentences += _cost_sentences(comparison)
    return sentences


def is_better_low(score: Score) -> bool:
    """Return whether a smaller value of this score is the better one."""
    return score.unit in _LOWER_UNITS


def best_method(comparison: Comparison, region: Region = "volume") -> str | None:
    """The method with the highest score of the ranking metric; None if one has no score.

    An overlap does not exist where truth and prediction are empty: that method is right, and one
    that has a score of 0 is not better.
    """
    order = _ranked(comparison, comparison.main_metric, region)
    return order[0][1] if len(order) == len(comparison.methods) else None


def score_text(score: Score) -> str:
    """A score with its unit, or that it is undefined."""
    if math.isnan(score.value):
        return "undefined"
    if score.unit in ("1", "slices"):
        return f"{score.value:.3f}" if score.unit == "1" else f"{score.value:.0f}"
    return f"{number_text(score.value, digits=3)} {score.unit}"


def _ranked(comparison: Comparison, metric: str, region: Region) -> list[tuple[float, str, Score]]:
    """Methods that have a value, the best first; equal ones in the order they were given."""
    rows = []
    for name in comparison.methods:
        for score in comparison.table(name, region=region).select(metric=metric, per_slice=False):
            if not math.isnan(score.value):
                key = score.value if is_better_low(score) else -score.value
                rows.append((key, name, score))
    return sorted(rows, key=lambda row: row[0])


def _ranking(comparison: Comparison) -> Iterator[str]:
    metric = comparison.main_metric
    words = metric_words(metric)
    order = _ranked(comparison, metric, "volume")
    doubt = " without voxels in doubt" if comparison.main_doubt == "left out" else ""
    subject = f"{comparison.subject}, {counted(len(comparison.slices), 'slice')}{doubt}"
    if not order:
        score = next(iter(comparison.table(comparison.methods[0]).select(metric=metric)))
        yield f"No method has a {words} ({subject}): {score.undefined}."
        return
    if len(order) < len(comparison.methods):
        yield f"The truth is empty, so no {words} ranks the methods."
        return
    (_, first, score), *rest = order
    if len(comparison.methods) == 1:
        yield f"{first} has a {words} of {score_text(score)} ({subject})."
    elif rest[0][2].value == score.value:
        equal = [name for _, name, other in order if other.value == score.value]
        yield f"{_listed(equal)} have the same {words}, {score_text(score)} ({subject})."
    else:
        others = _listed([f"{name} ({score_text(other)})" for _, name, other in rest])
        yield f"{first} is best by the {words}: {score_text(score)}, ahead of {others} ({subject})."


def _equals(comparison: Comparison) -> Iterator[str]:
    for name, twin in _twins(comparison).items():
        yield f"{twin} and {name} are the same by every score of every slice."


def _twins(comparison: Comparison) -> dict[str, str]:
    """Methods whose every score is that of an earlier one; what is said of that holds for them."""
    found: dict[str, str] = {}
    for first, second in comparison.pairs():
        same = _all_scores(comparison, first) == _all_scores(comparison, second)
        if same and first not in found:
            found.setdefault(second, first)
    return found


def _all_scores(comparison: Comparison, name: str) -> list[tuple[object, ...]]:
    rows = (s for m in comparison.scores if m.method == name for s in m.table)
    # nan is not equal to itself, but "no value" is.
    return [(s.metric, s.z, None if math.isnan(s.value) else s.value) for s in rows]


def _surely(comparison: Comparison, best: str) -> Iterator[str]:
    twins = _twins(comparison) if len(comparison.methods) > 2 else {}
    for found in comparison.differences:
        if (found.metric, found.doubt) != (comparison.main_metric, comparison.main_doubt):
            continue
        if best not in (found.first, found.second):
            continue
        other = found.second if found.first == best else found.first
        if other in twins:
            continue
        yield difference_words(found, best, other)


def difference_words(found: PairedDifference, name: str, other: str) -> str:
    """A difference slice by slice as a sentence about `name`."""
    sign = 1 if found.first == name else -1
    mean = sign * found.mean_difference
    words = metric_words(found.metric)
    if not found.n_slices:
        return f"{name} and {other} have a {words} together in no slice."
    if not found.n_higher and not found.n_lower:
        return f"{name} and {other} have the same {words} in every slice."
    start = f"Slice by slice {name} differs from {other} by {_signed(mean)} on average"
    if found.no_interval:
        return f"{start} ({words}); {found.no_interval} to say how surely."
    low, high = sorted((sign * found.low, sign * found.high))
    p = "p < 0.001" if found.p_value < 0.001 else f"p = {number_text(found.p_value, digits=2)}"
    test = found.no_test or p
    clear = "which is clear" if found.is_clear else "which is not clear: it may be chance"
    return (
        f"{start}, {clear} ({words}; interval {_signed(low)} to {_signed(high)}, "
        f"{found.n_slices} slices, {test})."
    )


def _elsewhere(comparison: Comparison, best: str) -> Iterator[str]:
    if comparison.split.reason:
        return
    words = metric_words(comparison.main_metric)
    regions: tuple[tuple[Region, str, Sequence[int]], ...] = (
        ("centre", "In the centre", comparison.split.centre),
        ("poles", "At the poles", comparison.split.poles),
    )
    for region, where, slices in regions:
        order = _ranked(comparison, comparison.main_metric, region) if slices else []
        if len(order) > 1:
            (_, first, score), (_, second, next_score), *_ = order
            also = "also " if first == best else ""
            yield (
                f"{where} ({counted(len(slices), 'slice')}) {first} is {also}ahead: {words} "
                f"{score_text(score)} against {score_text(next_score)} of {second}."
                if score.value != next_score.value
                else f"{where} ({counted(len(slices), 'slice')}) {first} and {second} are equal, "
                f"{score_text(score)}."
            )


def _other_metrics(comparison: Comparison, best: str) -> Iterator[str]:
    metrics = dict.fromkeys(
        s.metric for s in comparison.table(best).select(per_slice=False) if s.unit != "slices"
    )
    others: dict[str, list[str]] = {}
    n_known = n_equal = 0
    for metric in metrics:
        order = _ranked(comparison, metric, "volume")
        if len(order) < 2:
            continue
        n_known += 1
        leaders = [name for key, name, _ in order if key == order[0][0]]
        n_equal += len(leaders) == len(comparison.methods)
        if best not in leaders:
            others.setdefault(leaders[0], []).append(metric_words(metric))
    if n_known > 1 and n_known == n_equal:
        yield f"All {n_known} scores of the volume are equal."
    elif n_known > 1 and not others:
        yield f"{best} is best, or as good, by all {n_known} scores of the volume."
    for name, words in others.items():
        yield f"{name} is better than {best} by {_listed(words)}."


def _slices(comparison: Comparison) -> Iterator[str]:
    twins = _twins(comparison)
    different = [name for name in comparison.methods if name not in twins]
    for metric, what in (("n_missing_slices", "finds nothing"), ("n_spurious_slices", "finds")):
        for name in different:
            rows = comparison.table(name).select(metric=metric, per_slice=False)
            n = next((int(s.value) for s in rows), 0)
            if n:
                where = "with" if metric == "n_missing_slices" else "without"
                something = "" if metric == "n_missing_slices" else " something"
                yield f"{name} {what}{something} in {counted(n, 'slice')} {where} truth."


def _cost_sentences(comparison: Comparison) -> Iterator[str]:
    if all(cost == MethodCost() for cost in comparison.costs.values()):
        yield "What the methods cost is not known."
        return
    for name, cost in comparison.costs.items():
        yield f"{name}: {_cost_words(cost)}."


def _cost_words(cost: MethodCost) -> str:
    parts = [
        "training time not known"
        if cost.train_seconds is None
        else f"trained in {duration_text(cost.train_seconds)}"
        if cost.train_seconds
        else "no training",
        "prediction time not known"
        if cost.predict_seconds is None
        else f"predicted in {duration_text(cost.predict_seconds)}",
    ]
    memory = [m for m in (cost.train_memory_mb, cost.predict_memory_mb) if m is not None]
    if memory:
        parts.append(f"peak memory {number_text(max(memory), digits=3)} MB")
    energy = [e for e in (cost.train_energy_j, cost.predict_energy_j) if e is not None]
    if energy:
        parts.append(f"{number_text(sum(energy) / 1000, digits=3)} kJ")
    return ", ".join(parts)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
