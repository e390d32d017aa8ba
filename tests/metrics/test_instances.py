"""Matching of objects, and scores of objects and of points."""

from __future__ import annotations

import itertools
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import helaseg.metrics as m
from helaseg.core.grid import Grid
from helaseg.core.objects import Detection
from helaseg.core.volume import LabelVolume
from helaseg.errors import ParameterError, UndefinedScoreWarning


def _row(text: str) -> np.ndarray:
    return np.array([[int(c) for c in text]], np.uint8)


# 1 is found (3 of 4), 2 is missed, 3 is cut in two, 7 is made up
TRUTH = _row("1111.222.333333....".replace(".", "0"))
FOUND = _row("5550.....888999.77.".replace(".", "0"))


def test_found_missed_and_spurious() -> None:
    matches = m.match_instances(TRUTH, FOUND)
    assert matches.matches == (m.InstanceMatch(truth=1, prediction=5, iou=0.75),)
    # each half of object 3 has an IoU of exactly 0.5, which is not above the threshold
    assert matches.missed == (2, 3)
    assert matches.spurious == (7, 8, 9)
    assert matches.f1 == 2 / 7
    assert matches.mean_iou == 0.75
    assert matches.threshold == 0.5


def test_below_one_half_an_object_is_matched_once() -> None:
    matches = m.match_instances(TRUTH, FOUND, threshold=0.4)
    assert [(x.truth, x.prediction) for x in matches.matches] == [(1, 5), (3, 8)]
    assert (matches.missed, matches.spurious) == ((2,), (7, 9))


def test_the_pairing_with_most_matches_wins_over_the_best_single_match() -> None:
    # 1 and 5 fit best (4 of 7), but then neither 2 nor 6 has a partner
    truth, found = _row("1111111222"), _row("6665555550")
    iou = {(1, 5): 4 / 9, (1, 6): 3 / 7, (2, 5): 2 / 7}
    matches = m.match_instances(truth, found, threshold=0.1)
    assert {(x.truth, x.prediction): x.iou for x in matches.matches} == {
        key: iou[key] for key in [(1, 6), (2, 5)]
    }


@settings(max_examples=30, deadline=None)
@given(
    labels=hnp.arrays(np.uint8, (2, 4, 6), elements=st.integers(0, 3)),
    threshold=st.sampled_from([0.0, 0.2, 0.5, 0.7]),
)
def test_equals_a_search_over_all_pairings(labels, threshold) -> None:
    truth, found = labels
    iou = {}
    for t, p in itertools.product(range(1, 4), repeat=2):
        union = ((truth == t) | (found == p)).sum()
        value = ((truth == t) & (found == p)).sum() / union if union else 0
        if value > threshold:
            iou[t, p] = value
    best = max(
        (
            (len(pairs), sum(iou[pair] for pair in pairs))
            for order in itertools.permutations(range(1, 4))
            for pairs in [[x for x in zip(range(1, 4), order, strict=True) if x in iou]]
        ),
    )
    matches = m.match_instances(truth, found, threshold=threshold)
    assert len(matches.matches) == best[0]
    assert sum(x.iou for x in matches.matches) == pytest.approx(best[1])
    in_truth = [*matches.missed, *(x.truth for x in matches.matches)]
    in_found = [*matches.spurious, *(x.prediction for x in matches.matches)]
    assert sorted(in_truth) == [i for i in np.unique(truth) if i]
    assert sorted(in_found) == [i for i in np.unique(found) if i]


def test_order_and_numbers_of_labels_do_not_matter(rng) -> None:
    truth, found = np.kron(rng.integers(0, 9, (2, 3, 5, 5)), np.ones((1, 1, 4, 4), int))
    before = m.match_instances(truth, found, threshold=0.05)
    new = np.r_[0, rng.permutation(np.arange(1, 9)) * 1000]
    after = m.match_instances(new[truth], found, threshold=0.05)
    assert {(new[x.truth], x.prediction) for x in before.matches} == {
        (x.truth, x.prediction) for x in after.matches
    }


def test_objects_under_the_ignore_mask_do_not_count() -> None:
    ignore = np.zeros_like(TRUTH)
    ignore[0, 4:] = 1
    matches = m.match_instances(TRUTH, FOUND, ignore=ignore)
    assert (matches.missed, matches.spurious) == ((), ())
    assert matches.f1 == 1.0


def test_label_volumes_are_taken() -> None:
    grid = Grid(shape=(1, *TRUTH.shape), voxel_size_nm=(50, 10, 10))
    volumes = [LabelVolume(data=x[None], grid=grid) for x in (TRUTH, FOUND)]
    assert m.match_instances(*volumes) == m.match_instances(TRUTH, FOUND)


def test_panoptic_quality() -> None:
    got = m.panoptic_quality(TRUTH, FOUND)
    assert got.segmentation_quality == 0.75
    assert got.recognition_quality == 2 / 7
    # 0.75 over one match, half of three spurious and half of two missed
    assert got.quality == pytest.approx(0.75 / (1 + 1.5 + 1))
    assert m.instance_f1(TRUTH, FOUND) == 2 / 7


def test_nothing_matches_and_nothing_is_there() -> None:
    nothing = np.zeros_like(TRUTH)
    missed = m.panoptic_quality(TRUTH, nothing)
    assert (missed.quality, missed.recognition_quality) == (0.0, 0.0)
    assert missed.segmentation_quality == pytest.approx(nan, nan_ok=True)
    with pytest.warns(UndefinedScoreWarning, match="panoptic_quality is undefined.*hold no object"):
        empty = m.panoptic_quality(nothing, nothing)
    assert np.isnan([empty.quality, empty.recognition_quality]).all()
    with pytest.warns(UndefinedScoreWarning, match="instance_f1 is undefined.*hold no object"):
        assert np.isnan(m.instance_f1(nothing, nothing))


def test_threshold_is_checked() -> None:
    with pytest.raises(ParameterError, match=r"'threshold' must lie between 0 and 1, got 50"):
        m.match_instances(TRUTH, FOUND, threshold=50)


CELLS = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 0, 0], [3, 3, 3, 0]])


def test_points_in_cells() -> None:
    points = [(0, 0), (1.4, 0.6), (0, 3), (2, 2), (9, 9), (0, 4)]
    got = m.detection_scores(points, CELLS)
    assert got.found == (2,)
    assert got.split == (1,)
    assert got.missed == (3,)
    assert got.spurious == (3, 4, 5)
    assert got.n_points == 6
    assert got.precision == 2 / 6
    assert got.recall == 2 / 3
    assert got.f1 == pytest.approx(2 * (2 / 6) * (2 / 3) / (2 / 6 + 2 / 3))


def test_detections_in_a_plane_and_in_a_volume() -> None:
    found = [Detection(z=5, y=0, x=3, radius_nm=10.0), Detection(z=0, y=3, x=1, radius_nm=10.0)]
    assert m.detection_scores(found, CELLS).found == (2, 3)
    volume = m.detection_scores(found, np.stack([CELLS, CELLS]))
    assert (volume.found, volume.spurious) == ((3,), (0,))


@pytest.mark.parametrize("points", [[], np.empty((0, 2))])
def test_no_points_miss_every_cell(points) -> None:
    got = m.detection_scores(points, CELLS)
    assert got.missed == (1, 2, 3)
    assert np.isnan(got.precision)
    assert (got.recall, got.f1) == (0.0, 0.0)
    nothing = m.detection_scores(points, np.zeros((2, 2), int))
    assert np.isnan([nothing.recall, nothing.f1]).all()


@pytest.mark.parametrize("points", [[(1, 2, 3)], [1.0, 2.0], [(0.0, nan)]])
def test_points_must_fit_the_image(points) -> None:
    with pytest.raises(ParameterError, match=r"'points' must be finite positions with 2 numbers"):
        m.detection_scores(points, CELLS)
