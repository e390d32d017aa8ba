"""Boundary scores: by hand, against scipy's distance transform, by relation."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from cases import CASES
from scipy import ndimage

import helaseg.metrics as m
from helaseg.errors import ParameterError, UndefinedScoreWarning
from helaseg.metrics.boundary import as_boundary_metric

KINDS = {
    "boundary_f": m.boundary_f,
    "boundary_precision": m.boundary_precision,
    "boundary_recall": m.boundary_recall,
}


def _blobs(rng, shape):
    return ndimage.gaussian_filter(rng.random(shape), 2) > 0.5


def _all(truth, prediction, **kwargs) -> dict[str, float]:
    return {name: score(truth, prediction, **kwargs) for name, score in KINDS.items()}


def _by_scipy(truth, prediction, *, tolerance, spacing) -> dict[str, float]:
    surfaces = [x & ~ndimage.binary_erosion(x) for x in (truth, prediction)]
    far = [ndimage.distance_transform_edt(~s, sampling=spacing) for s in surfaces]
    recall = (far[1][surfaces[0]] <= tolerance).mean()
    precision = (far[0][surfaces[1]] <= tolerance).mean()
    f = 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)
    return dict(zip(KINDS, (f, precision, recall), strict=True))


@pytest.mark.parametrize("tolerance", [3.0, 7.0, 10.0, 50.0, 51.0])
@pytest.mark.parametrize("shape", [(60, 90), (1, 70), (25, 30, 40)])
def test_blobs_equal_scipy(tolerance, shape, rng) -> None:
    truth, prediction = _blobs(rng, shape), _blobs(rng, shape)
    spacing = (50.0, 10.0, 7.0)[: len(shape)]
    got = _all(truth, prediction, tolerance=tolerance, spacing=spacing)
    assert got == pytest.approx(_by_scipy(truth, prediction, tolerance=tolerance, spacing=spacing))


MEASURED = [c for c in CASES if not isinstance(c.scores["hausdorff_distance"], str)]


@pytest.mark.parametrize("case", MEASURED, ids=lambda c: c.name)
def test_at_the_largest_distance_all_is_found(case) -> None:
    far = case.scores["hausdorff_distance"] or 1e-6
    kwargs = {"spacing": case.spacing, "ignore": case.ignore}
    got = _all(case.truth, case.prediction, tolerance=far, **kwargs)
    assert set(got.values()) == {1.0}
    if far > 1e-3:
        less = _all(case.truth, case.prediction, tolerance=0.999 * far, **kwargs)
        assert less["boundary_f"] < 1
        assert min(less["boundary_precision"], less["boundary_recall"]) < 1


def test_by_hand() -> None:
    # a bar of five voxels; the prediction has the first three and one far off
    truth, prediction = np.zeros((2, 1, 30), bool)
    truth[0, :5] = True
    prediction[0, [0, 1, 2, 20]] = True
    got = _all(truth, prediction, tolerance=10, spacing=10)
    # truth: four of five within one voxel (the last is two off); prediction: three of four
    assert got["boundary_recall"] == pytest.approx(4 / 5)
    assert got["boundary_precision"] == pytest.approx(3 / 4)
    assert got["boundary_f"] == pytest.approx(2 * 0.8 * 0.75 / 1.55)
    assert _all(truth, prediction, tolerance=20, spacing=10)["boundary_recall"] == 1.0


def test_a_surface_at_the_tolerance_counts() -> None:
    truth, prediction = np.zeros((2, 9, 9), bool)
    truth[0, 0] = prediction[3, 4] = True  # 0.3 and 0.4: 0.5, but for rounding
    for spacing in (0.1, 10.0, 28.08):
        inside = _all(truth, prediction, tolerance=5 * spacing, spacing=spacing)
        assert inside == dict.fromkeys(KINDS, 1.0)
        outside = _all(truth, prediction, tolerance=4.999 * spacing, spacing=spacing)
        assert outside == dict.fromkeys(KINDS, 0.0)


@pytest.mark.parametrize("factor", [2.0, 0.1])
def test_spacing_and_tolerance_together_change_nothing(factor, rng) -> None:
    truth, prediction = _blobs(rng, (10, 30, 20)), _blobs(rng, (10, 30, 20))
    spacing = np.array([50.0, 10.0, 10.0])
    once = _all(truth, prediction, tolerance=50, spacing=spacing)
    assert _all(truth, prediction, tolerance=50 * factor, spacing=factor * spacing) == once
    # half the spacing is the same as twice the tolerance
    twice = _all(truth, prediction, tolerance=100, spacing=spacing)
    assert _all(truth, prediction, tolerance=50, spacing=spacing / 2) == twice
    assert twice["boundary_f"] > once["boundary_f"]


def test_sides_and_axes_may_be_swapped(rng) -> None:
    truth, prediction = _blobs(rng, (10, 30, 20)), _blobs(rng, (10, 30, 20))
    once = _all(truth, prediction, tolerance=20, spacing=(50, 10, 7))
    swapped = _all(prediction, truth, tolerance=20, spacing=(50, 10, 7))
    assert swapped["boundary_f"] == pytest.approx(once["boundary_f"])
    assert swapped["boundary_precision"] == once["boundary_recall"]
    turned = [x.transpose(2, 0, 1) for x in (truth, prediction)]
    assert _all(*turned, tolerance=20, spacing=(7, 50, 10)) == once


def test_a_total_miss_is_zero_and_nothing_at_all_is_undefined() -> None:
    none, some = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    ask = partial(m.boundary_f, tolerance=1, spacing=1)
    assert ask(some, none) == 0.0
    assert ask(none, some) == 0.0
    assert m.boundary_recall(some, none, tolerance=1, spacing=1) == 0.0
    assert m.boundary_precision(none, some, tolerance=1, spacing=1) == 0.0
    for score, sides, reason in (
        (m.boundary_f, (none, none), "boundary_f is undefined.*truth and prediction are empty"),
        (m.boundary_recall, (none, some), "boundary_recall is undefined.*the truth is empty"),
        (m.boundary_precision, (some, none), "boundary_precision.*the prediction is empty"),
    ):
        with pytest.warns(UndefinedScoreWarning, match=reason) as seen:
            assert np.isnan(score(*sides, tolerance=1, spacing=1))
        assert seen[0].filename == __file__


def test_a_mask_without_a_border_in_sight_has_no_boundary_score() -> None:
    truth, prediction, ignore = np.ones((5, 5), bool), np.zeros((5, 5), bool), np.ones((5, 5), bool)
    prediction[2, 2] = True
    ignore[2, 1:4] = False
    with pytest.warns(UndefinedScoreWarning, match="the truth touches no background outside"):
        value = m.boundary_f(truth, prediction, tolerance=1, spacing=1, ignore=ignore)
    assert np.isnan(value)


def test_evaluate_gives_the_same_per_volume_and_slice(rng) -> None:
    truth, prediction, ignore = (_blobs(rng, (6, 30, 25)) for _ in range(3))
    size = (50.0, 10.0, 10.0)
    names = ("boundary_f_50nm", "boundary_precision_12.5nm", "boundary_recall_20nm")
    table = m.evaluate(truth, prediction, ignore, voxel_size_nm=size, metrics=names)
    assert list(dict.fromkeys(s.metric for s in table)) == list(names)
    for name in names:
        kind, _, tolerance = name.removesuffix("nm").rpartition("_")
        ask = partial(KINDS[kind], tolerance=float(tolerance))
        assert table.value(name) == ask(truth, prediction, spacing=size, ignore=ignore)
        want = ask(truth[2], prediction[2], spacing=size[1:], ignore=ignore[2])
        assert table.value(name, z=2) == want
        (row,) = table.select(metric=name, per_slice=False)
        assert (row.unit, row.params["tolerance_nm"]) == ("1", float(tolerance))
        assert row.params["spacing_nm"] == list(size)
    assert {"boundary_f_50nm", "boundary_f_100nm"} <= set(m.METRICS)


def test_refuses_wrong_parameters() -> None:
    one = np.ones((2, 2))
    with pytest.raises(ParameterError, match=r"'tolerance' must be positive, got 0"):
        m.boundary_f(one, one, tolerance=0, spacing=1)
    with pytest.raises(ParameterError, match=r"'spacing' must be one positive number or 2 of"):
        m.boundary_recall(one, one, tolerance=1, spacing=(50, 10, 10))
    for name in ("boundary_f_0nm", "boundary_f", "boundary_f_5px", "boundary_g_50nm"):
        assert as_boundary_metric(name) is None
        with pytest.raises(ParameterError, match=rf"'metrics' must be one of .*'{name}'"):
            m.evaluate(one, one, voxel_size_nm=(50, 10, 10), metrics=[name])
