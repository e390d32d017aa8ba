"""Every public score on every named case."""

from __future__ import annotations

import warnings
from functools import partial

import pytest
from cases import CASES, DISTANCES, OVERLAP, Case

import helaseg.metrics as m
from helaseg.errors import UndefinedScoreWarning

FUNCTIONS = {name: getattr(m, name) for name in OVERLAP} | {
    **{
        f"average_hausdorff_distance_{mode}": partial(m.average_hausdorff_distance, mode=mode)
        for mode in ("truth_to_prediction", "surface", "voxel")
    },
    "mean_surface_distance": m.mean_surface_distance,
    "hausdorff_distance": m.hausdorff_distance,
    "hausdorff_distance_95": partial(m.hausdorff_distance, percentile=95),
}
by_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


@by_case
def test_confusion_counts(case: Case) -> None:
    got = m.confusion_counts(case.truth, case.prediction, ignore=case.ignore)
    assert (got.tp, got.fp, got.fn, got.tn) == case.counts
    assert got.n_voxels == sum(case.counts)


@by_case
@pytest.mark.parametrize("metric", FUNCTIONS)
def test_score(case: Case, metric: str) -> None:
    more = {"spacing": case.spacing} if metric in DISTANCES else {}
    score = partial(FUNCTIONS[metric], case.truth, case.prediction, ignore=case.ignore, **more)
    expected = case.scores[metric]
    if isinstance(expected, str):
        name = metric.removesuffix("_95")
        with pytest.warns(UndefinedScoreWarning, match=f"{name} is undefined.*{expected}") as seen:
            value = score()
        assert value != value
        assert seen[0].filename == __file__
    else:
        assert score() == pytest.approx(expected, abs=1e-12)


@by_case
def test_evaluate_gives_the_same(case: Case) -> None:
    size = case.spacing if len(case.spacing) == 3 else (50.0, *case.spacing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = m.evaluate(case.truth, case.prediction, case.ignore, voxel_size_nm=size)
    for metric, expected in case.scores.items():
        (score,) = table.select(metric=metric, per_slice=False)
        if isinstance(expected, str):
            assert score.undefined == expected
        else:
            assert score.value == pytest.approx(expected, abs=1e-12)
        assert score.n_voxels == sum(case.counts)
    assert table.value("n_missing_slices") == case.n_missing_slices
    assert table.value("n_spurious_slices") == case.n_spurious_slices


@by_case
def test_swapped_sides_swap_precision_and_recall(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedScoreWarning)
        a = m.precision(case.truth, case.prediction, ignore=case.ignore)
        b = m.recall(case.prediction, case.truth, ignore=case.ignore)
    assert a == pytest.approx(b, nan_ok=True)
