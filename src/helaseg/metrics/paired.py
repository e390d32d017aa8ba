"""Two methods on the same slices: mean difference, its interval, a signed-rank test."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import check_positive, check_range, check_shape_match
from helaseg.core.comparison import PairedDifference
from helaseg.core.words import counted
from helaseg.errors import ParameterError

#: With five pairs the smallest two-sided p of a signed-rank test is 1/16: it can show nothing.
LEAST_SLICES = 6


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Compare the scores of two methods in the same slices.

    Parameters
    ----------
    first, second : (N,) array of float
        Scores slice by slice, in the order of z; nan where there is none.
    n_resamples : int
        Of the bootstrap.
    confidence : float
        Of the interval, between 0 and 1.
    seed : int
        Of the bootstrap.

    Returns
    -------
    PairedDifference
        Of first minus second. With fewer than `LEAST_SLICES` slices there is neither
        an interval nor a test, only the mean.

    Raises
    ------
    ParameterError
        Lengths that differ, other axes than one, or settings out of range.

    Notes
    -----
    1. Slices in which both scores exist are taken; the others are counted.
    2. Neighbouring slices show nearly the same, so they do not tell as much as
       independent ones. Blocks of neighbours are therefore kept together: three times
       as long as the differences are correlated (first lag with an autocorrelation
       below 2 / sqrt(N)), at least the cube root of N and at most N / 6.
    3. Interval: percentiles of a circular block bootstrap, widened for the number of
       blocks as Student's t is wider than the normal distribution.
    4. Test: Wilcoxon signed-rank on the means of the blocks, without those that are 0.

    On simulated series of 240 slices with correlations of 0 to 0.9 between neighbours the
    interval covers the true difference in 90 to 97 of 100 cases, and the test rejects in
    3 to 9 where there is no difference; on all slices, as if they were independent, it
    rejects in up to 66. The correlation of a short series is unknown: with 12 slices
    both hold for independent ones alone, and with 40 up to a correlation of 0.5.

    References
    ----------
    F. Wilcoxon (1945), Individual comparisons by ranking methods, Biometrics
    Bulletin 1(6), doi:10.2307/3001968.
    H. R. Künsch (1989), The jackknife and the bootstrap for general stationary
    observations, Annals of Statistics 17(3), doi:10.1214/aos/1176347265.
    T. C. Hesterberg (2015), What teachers should know about the bootstrap, The
    American Statistician 69(4), doi:10.1080/00031305.2015.1089789.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1:
        msg = f"'first' must hold one score per slice, got shape {a.shape}"
        raise ParameterError(msg)
    check_shape_match("second", b.shape, "first", a.shape)
    check_positive("n_resamples", n_resamples)
    check_range("confidence", confidence, 0, 1)
    known = np.isfinite(a) & np.isfinite(b)
    change = a[known] - b[known]
    few = f"only {counted(change.size, 'slice')}, at least {LEAST_SLICES} are needed"
    few = few if change.size < LEAST_SLICES else ""
    low = high = p_value = math.nan
    block, no_test = 1, few
    if not few:
        block = block_length(change)
        low, high = _interval(change, block, n_resamples, confidence, seed)
        p_value, no_test = _signed_rank(change, block)
    return PairedDifference(
        n_slices=int(change.size),
        n_left_out=int(a.size - change.size),
        n_higher=int((change > 0).sum()),
        n_lower=int((change < 0).sum()),
        mean_difference=float(change.mean()) if change.size else math.nan,
        low=low,
        high=high,
        p_value=p_value,
        is_clear=(low > 0 or high < 0) and p_value < 1 - confidence,
        block_slices=block,
        no_interval=few,
        no_test=no_test,
    )


def block_length(values: NDArray[np.float64]) -> int:
    """Return how many neighbours are kept together (see `paired_difference`)."""
    n = values.size
    most = max(1, n // LEAST_SLICES)
    least = min(most, max(1, round(n ** (1 / 3))))
    centred = values - values.mean()
    power = float(centred @ centred)
    lag = 1
    while lag < most and float(centred[lag:] @ centred[:-lag]) * math.sqrt(n) >= 2 * power > 0:
        lag += 1
    return max(least, min(most, 3 * lag if lag > 1 else 1))


def _interval(
    values: NDArray[np.float64], block: int, n_resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    from scipy.stats import norm, t

    rng = np.random.default_rng(seed)
    n = values.size
    starts = rng.integers(0, n, (n_resamples, -(-n // block)))
    # Around the end to the beginning, so that each slice is drawn equally often.
    places = (starts[..., None] + np.arange(block)) % n
    means = values[places.reshape(n_resamples, -1)[:, :n]].mean(axis=1)
    n_blocks = n / block
    reach = math.sqrt(n_blocks / (n_blocks - 1)) * t.ppf((1 + confidence) / 2, n_blocks - 1)
    tail = 100 * norm.sf(reach)
    low, high = np.percentile(means, (tail, 100 - tail))
    return float(low), float(high)


def _signed_rank(values: NDArray[np.float64], block: int) -> tuple[float, str]:
    from scipy.stats import wilcoxon

    n_blocks = values.size // block
    means = values[: n_blocks * block].reshape(n_blocks, block).mean(axis=1)
    unequal = means[means != 0]
    if unequal.size < LEAST_SLICES:
        what = "slices" if block == 1 else f"blocks of {block} slices"
        return math.nan, f"the scores differ in {unequal.size} of {n_blocks} {what}"
    return float(wilcoxon(unequal).pvalue), ""
