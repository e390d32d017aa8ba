"""Scores of each object."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import helaseg.metrics as m
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume
from helaseg.errors import GridMismatchError, ParameterError


def _row(text: str) -> np.ndarray:
    return np.array([[[int(c) for c in text]]], np.uint16)


def _volume(data: np.ndarray, **grid: object) -> LabelVolume:
    settings = {"voxel_size_nm": (50, 10, 20), "offset_nm": (100, 0, 7), **grid}
    return LabelVolume(data=data, grid=Grid(shape=data.shape, **settings))


def test_each_object_occurs_once_and_the_best_pairs_win() -> None:
    truth = _row("111100222200333")
    found = _row("555100777770880")
    assert m.pair_objects(truth, found) == ((1, 5), (2, 7), (3, 8), (None, 1))
    assert m.pair_objects(truth, found * 0) == ((1, None), (2, None), (3, None))
    assert m.pair_objects(truth * 0, found * 0) == ()


def test_two_that_fit_are_not_parted_for_two_that_touch() -> None:
    # Most matches would be 1 with 6 and 2 with 5; but 1 and 5 are the same object.
    truth, found = _row("11111111120"), _row("65555555550")
    assert m.pair_objects(truth, found) == ((1, 5), (2, None), (None, 6))


@settings(max_examples=30, deadline=None)
@given(
    labels=hnp.arrays(np.uint16, (2, 2, 4, 5), elements=st.integers(0, 3)),
    scale=st.sampled_from([1, 20_000]),
)
def test_scores_are_those_of_the_object_alone_in_the_volume(labels: np.ndarray, scale: int) -> None:
    truth, found = (_volume(side * np.uint16(scale)) for side in labels)
    pairs = m.pair_objects(truth, found)
    assert {t for t, _ in pairs} - {None} == set(np.unique(truth.data).tolist()) - {0}
    assert {p for _, p in pairs} - {None} == set(np.unique(found.data).tolist()) - {0}
    names = ("jaccard_index", "precision", "average_hausdorff_distance_surface")
    scores = m.evaluate_objects(truth, found, pairs, metrics=names, name="cell")
    assert list(scores) == list(pairs)
    for (t, p), table in scores.items():
        alone = m.evaluate(
            _volume((truth.data == (-1 if t is None else t)).astype(np.uint8)),
            _volume((found.data == (-1 if p is None else p)).astype(np.uint8)),
            per_slice=False,
            metrics=names,
        )
        assert {s.label for s in table} == {"cell"}
        for score in table:
            want = alone.value(score.metric)
            assert score.value == pytest.approx(want, nan_ok=True)
            assert math.isnan(want) == (score.undefined is not None)


def test_a_missed_object_has_a_jaccard_index_of_0_and_no_distance() -> None:
    truth = _volume(_row("111000"))
    names = ("jaccard_index", "hausdorff_distance")
    (table,) = m.evaluate_objects(
        truth, _volume(_row("000000")), [(1, None)], metrics=names
    ).values()
    assert table.value("jaccard_index") == 0
    assert math.isnan(table.value("hausdorff_distance"))
    # A label that does not occur on either side has no overlap to speak of.
    (table,) = m.evaluate_objects(truth, truth, [(9, 9)], metrics=names).values()
    assert math.isnan(table.value("jaccard_index"))


def test_wrong_input_is_named() -> None:
    truth = _volume(_row("110"))
    with pytest.raises(ParameterError, match="'pairs' must name an object on at least one side"):
        m.evaluate_objects(truth, truth, [(None, None)])
    with pytest.raises(GridMismatchError, match="prediction"):
        m.evaluate_objects(truth, _volume(_row("110"), offset_nm=(0, 0, 0)), [(1, 1)])
    with pytest.raises(ParameterError, match="'b' must have the shape of 'a'"):
        m.pair_objects(_row("11"), _row("111"))
