"""Two methods on the same slices: by hand, against scipy, and on simulated series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

import helaseg.metrics as m
from helaseg.errors import ParameterError
from helaseg.metrics.paired import block_length


def correlated(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    noise = rng.normal(size=n + 50)
    series = np.zeros(n + 50)
    for i in range(1, n + 50):
        series[i] = rho * series[i - 1] + noise[i]
    return series[50:]


def test_counts_and_mean_by_hand() -> None:
    nan = np.nan
    found = m.paired_difference(
        [0.9, 0.8, nan, 0.7, 0.5, nan, 0.6, 0.9], [0.8, 0.9, 0.5, 0.7, nan, nan, 0.2, 0.5]
    )
    assert (found.n_slices, found.n_left_out) == (5, 3)
    assert (found.n_higher, found.n_lower) == (3, 1)
    assert found.mean_difference == pytest.approx((0.1 - 0.1 + 0 + 0.4 + 0.4) / 5)
    assert np.isnan([found.low, found.high, found.p_value]).all()
    assert found.no_interval == found.no_test == "only 5 slices, at least 6 are needed"
    assert not found.is_clear


def test_no_and_one_slice() -> None:
    none = m.paired_difference([np.nan], [0.5])
    assert np.isnan(none.mean_difference)
    assert none.no_interval == "only 0 slices, at least 6 are needed"
    one = m.paired_difference([0.7], [0.5])
    assert one.mean_difference == pytest.approx(0.2)
    assert one.no_test == "only 1 slice, at least 6 are needed"


def test_few_slices_are_tested_as_they_are() -> None:
    first = np.array([0.9, 0.8, 0.85, 0.95, 0.7, 0.75])
    second = first - [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]
    found = m.paired_difference(first, second)
    assert found.block_slices == 1
    assert found.p_value == pytest.approx(wilcoxon(first - second).pvalue) == pytest.approx(2 / 64)
    assert 0.01 <= found.low < found.mean_difference < found.high <= 0.06
    assert found.is_clear


def test_blocks_are_tested_by_their_means(rng) -> None:
    change = correlated(rng, 120, 0.9) + 1
    found = m.paired_difference(change, np.zeros(120))
    block = found.block_slices
    assert block > 5
    means = change[: 120 // block * block].reshape(-1, block).mean(axis=1)
    assert found.p_value == pytest.approx(wilcoxon(means).pvalue)
    # as if all slices were independent, it would be surer than it can be
    assert found.p_value > wilcoxon(change).pvalue


def test_interval_and_test_must_agree() -> None:
    # six blocks, of which one is barely the other way round: p = 2 * 2 / 64
    change = np.repeat([0.5, 0.4, 0.6, 0.7, 0.3, -0.001], 2)
    found = m.paired_difference(change, np.zeros(12))
    assert found.block_slices == 2
    assert found.low > 0
    assert found.p_value == pytest.approx(0.0625)
    assert not found.is_clear


def test_equal_scores_are_not_tested() -> None:
    same = m.paired_difference(np.ones(8), np.ones(8))
    assert (same.low, same.mean_difference, same.high) == (0, 0, 0)
    assert same.no_test == "the scores differ in 0 of 8 slices"
    assert np.isnan(same.p_value)
    assert not same.is_clear
    longer = m.paired_difference(np.ones(20), np.ones(20))
    assert longer.no_test == "the scores differ in 0 of 6 blocks of 3 slices"
    first = np.ones(7)
    first[2:5] = 1.5
    assert m.paired_difference(first, np.ones(7)).no_test == "the scores differ in 3 of 7 slices"


def test_swapped_sides_turn_the_sign(rng) -> None:
    a, b = rng.random(60), rng.random(60)
    one, other = m.paired_difference(a, b), m.paired_difference(b, a)
    assert one.mean_difference == pytest.approx(-other.mean_difference)
    assert one.p_value == pytest.approx(other.p_value)
    assert (one.n_higher, one.n_lower) == (other.n_lower, other.n_higher)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_the_seed_alone_makes_the_interval(rng) -> None:
    a, b = rng.random(60), rng.random(60)
    assert m.paired_difference(a, b) == m.paired_difference(a, b)
    assert m.paired_difference(a, b).low != m.paired_difference(a, b, seed=1).low
    wide, narrow = (m.paired_difference(a, b, confidence=c) for c in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_independent_values_have_short_blocks_and_correlated_ones_long(rng) -> None:
    assert block_length(rng.normal(size=216)) == 6
    assert 12 < block_length(correlated(rng, 240, 0.9)) <= 40
    assert block_length(np.zeros(30)) == 3
    assert [block_length(rng.normal(size=n)) for n in (6, 11, 12)] == [1, 1, 2]


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_the_interval_holds_the_true_difference(rho) -> None:
    rng = np.random.default_rng(3)
    runs = 150
    found = [
        m.paired_difference(correlated(rng, 240, rho), np.zeros(240), n_resamples=400)
        for _ in range(runs)
    ]
    assert sum(f.low <= 0 <= f.high for f in found) > 0.85 * runs
    assert sum(f.p_value < 0.05 for f in found) < 0.12 * runs


def test_refuses_wrong_parameters() -> None:
    with pytest.raises(ParameterError, match=r"'second' must have the shape of 'first' \(2,\)"):
        m.paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(ParameterError, match=r"'first' must hold one score per slice, got shape"):
        m.paired_difference(np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(ParameterError, match=r"'confidence' must lie between 0 and 1, got 95"):
        m.paired_difference([1, 2], [1, 2], confidence=95)
    with pytest.raises(ParameterError, match=r"'n_resamples' must be positive, got 0"):
        m.paired_difference([1, 2], [1, 2], n_resamples=0)
