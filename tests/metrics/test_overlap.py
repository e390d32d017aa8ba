"""Overlap of masks: any input the door admits, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import helaseg.metrics as m
from helaseg.errors import ParameterError
from helaseg.metrics.overlap import OVERLAP_METRICS

DTYPES = st.sampled_from([bool, np.uint8, np.int16, np.uint32, np.int64, np.float32])


@st.composite
def mask_pairs(draw):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=7))
    dtype = draw(DTYPES)
    made = []
    for _ in range(3):
        array = draw(hnp.arrays(bool, shape)).astype(dtype)
        layout = draw(st.sampled_from(["plain", "strided", "read-only", "fortran"]))
        if layout == "strided":
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        elif layout == "fortran":
            array = np.asfortranarray(array)
        elif layout == "read-only":
            array.flags.writeable = False
        made.append(array)
    return made


@settings(max_examples=30, deadline=None)
@given(masks=mask_pairs(), use_ignore=st.booleans())
def test_counts_equal_numpy(masks, use_ignore) -> None:
    truth, prediction, ignore = (a != 0 for a in masks)
    keep = ~ignore if use_ignore else np.ones_like(ignore)
    got = m.confusion_counts(masks[0], masks[1], ignore=masks[2] if use_ignore else None)
    assert got.tp == (truth & prediction & keep).sum()
    assert got.fp == (~truth & prediction & keep).sum()
    assert got.fn == (truth & ~prediction & keep).sum()
    assert got.tn == (~truth & ~prediction & keep).sum()


@settings(max_examples=30, deadline=None)
@given(masks=mask_pairs())
def test_scores_agree_with_each_other(masks) -> None:
    truth, prediction = (a != 0 for a in masks[:2])
    assume(truth.any() and prediction.any())
    jaccard = m.jaccard_index(truth, prediction)
    dice = m.dice_coefficient(truth, prediction)
    p, r = m.precision(truth, prediction), m.recall(truth, prediction)
    assert dice == pytest.approx(2 * jaccard / (1 + jaccard))
    assert jaccard <= min(p, r)
    if p + r:
        assert dice == pytest.approx(2 * p * r / (p + r))
    assert m.accuracy(truth, prediction) == pytest.approx((truth == prediction).mean())
    if not truth.all():
        assert m.recall(~truth, ~prediction) == m.specificity(truth, prediction)


def test_counts_of_slices_add_up_to_those_of_the_volume(rng) -> None:
    truth, prediction = rng.random((2, 5, 9, 7)) > 0.6
    total = m.ConfusionCounts(tp=0, fp=0, fn=0, tn=0)
    for a, b in zip(truth, prediction, strict=True):
        total += m.confusion_counts(a, b)
    assert total == m.confusion_counts(truth, prediction)


@pytest.mark.parametrize("metric", OVERLAP_METRICS)
def test_shapes_must_agree(metric) -> None:
    score = getattr(m, metric)
    with pytest.raises(ParameterError, match=r"'prediction' must have the shape of 'truth'"):
        score(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(ParameterError, match=r"'ignore' must have the shape of 'truth'"):
        score(np.ones((2, 3)), np.ones((2, 3)), ignore=np.ones((2, 2)))
    with pytest.raises(ParameterError, match=r"'truth' must have 2 or 3 axes"):
        score(np.ones(3), np.ones(3))
    with pytest.raises(ParameterError, match=r"'prediction' must hold bools, integers or floats"):
        score(np.ones((1, 1)), np.array([["x"]]))
