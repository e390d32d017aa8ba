"""Scores of each object of two label images, such as every cell of a volume."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg.core.grid import Roi
from helaseg.core.scores import ScoreTable
from helaseg.core.volume import LabelVolume
from helaseg.errors import ParameterError
from helaseg.image import region_table
from helaseg.metrics.contingency import contingency_table
from helaseg.metrics.evaluate import evaluate

Pair = tuple[int | None, int | None]

#: Above every label, so it never occurs: the side of a pair that is not there.
_NOWHERE = 1 << 32


def pair_objects(
    truth: ArrayLike | LabelVolume, prediction: ArrayLike | LabelVolume
) -> tuple[Pair, ...]:
    """The objects of two label images side by side, each of them once.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of non-negative integers, or LabelVolume
        One label per object, 0 is background; a LabelVolume is read slice by slice.

    Returns
    -------
    tuple of (int or None, int or None)
        Labels of the truth and of the prediction: first all of the truth in
        their order, a missed one with None beside it, then those that were
        made up, beside None.

    Raises
    ------
    ParameterError
        Shapes that differ, labels that are no integers.

    See Also
    --------
    match_instances : matches for counting what was found, with a least overlap.

    Notes
    -----
    Any overlap counts. The pair with the largest IoU is taken first, then the
    next of those whose objects are both free: unlike the pairing with the most
    matches this never parts two objects that fit for the sake of two that
    hardly touch.
    """
    table = contingency_table(truth, prediction)
    sides = (table.truth_labels, table.prediction_labels)
    sizes = [dict(_sizes(side, table.counts)) for side in sides]
    overlaps = [
        (n / (sizes[0][t] + sizes[1][p] - n), t, p)
        for t, p, n in zip(*(a.tolist() for a in (*sides, table.counts)), strict=True)
        if t and p
    ]
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, t, p in sorted(overlaps, key=lambda o: (-o[0], o[1], o[2])):
        if t not in partner and p not in taken:
            partner[t] = p
            taken.add(p)
    pairs: list[Pair] = [(t, partner.get(t)) for t in sorted(sizes[0]) if t]
    return (*pairs, *((None, p) for p in sorted(sizes[1]) if p and p not in taken))


def _sizes(labels: NDArray[np.uint32], counts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    ids, place = np.unique(labels, return_inverse=True)
    totals = np.zeros(len(ids), np.int64)
    np.add.at(totals, place, counts)
    return zip(ids.tolist(), totals.tolist(), strict=True)


def evaluate_objects(
    truth: LabelVolume,
    prediction: LabelVolume,
    pairs: Iterable[Pair],
    *,
    metrics: Collection[str] | None = None,
    name: str = "object",
) -> dict[Pair, ScoreTable]:
    """Scores of each pair of objects, as if nothing else were in the volume.

    Parameters
    ----------
    truth, prediction : LabelVolume, shape (Z, Y, X)
        One label per object, 0 is background; read slice by slice.
    pairs : iterable of (int or None, int or None)
        Labels of the truth and of the prediction, as from `pair_objects`. None
        is an object that the side does not have.
    metrics : collection of str, optional
        Names out of `METRICS`; None is all of them.
    name : str
        What is compared: the `label` of the scores.

    Returns
    -------
    dict of pair to ScoreTable
        In the order of `pairs`; scores of the volume only, not of its slices.

    Raises
    ------
    GridMismatchError
        If the sides differ in shape, voxel size or offset.
    ParameterError
        A pair without any object, or an unknown metric.

    Notes
    -----
    1. One reading of both sides gives the box of each object.
    2. A pair is evaluated in the box of both its objects and one voxel around,
       so that their surfaces are those they have in the volume. Scores that
       count true negatives (accuracy, specificity) therefore refer to the box.
    """
    wanted = list(pairs)
    for pair in wanted:
        if pair == (None, None):
            msg = "'pairs' must name an object on at least one side of each pair, got (None, None)"
            raise ParameterError(msg)
    truth.grid.check_agrees(prediction.grid, names=("truth", "prediction"))
    in_truth = _boxes(truth, {t for t, _ in wanted if t is not None})
    in_prediction = _boxes(prediction, {p for _, p in wanted if p is not None})
    tables = {}
    for pair in wanted:
        t, p = pair
        boxes = [in_truth.get(t), in_prediction.get(p)]
        # A label that does not occur has no box; any voxel shows that it is not there.
        box = _around([b for b in boxes if b is not None] or [np.zeros((2, 3), int)])
        roi = box.pad(1).clip(truth.shape)
        labels = (_NOWHERE if t is None else t, _NOWHERE if p is None else p)
        tables[pair] = evaluate(
            truth.crop(roi),
            prediction.crop(roi),
            labels={name: labels},
            per_slice=False,
            metrics=metrics,
        )
    return tables


def _boxes(labels: LabelVolume, wanted: Collection[int]) -> dict[int | None, NDArray[np.int_]]:
    """First voxel and one past the last of each label that occurs, shape (2, 3)."""
    boxes: dict[int | None, NDArray[np.int_]] = {}
    for z in range(labels.shape[0]):
        table = region_table(labels.data[z, :, :])
        columns = table[["label", "start_y", "start_x", "stop_y", "stop_x"]]
        for label, *corners in columns.to_numpy(np.int64).tolist():
            if label in wanted:
                here = np.array([[z, *corners[:2]], [z + 1, *corners[2:]]])
                low, high = boxes.get(label, here)
                boxes[label] = np.stack([np.minimum(low, here[0]), np.maximum(high, here[1])])
    return boxes


def _around(boxes: list[NDArray[np.int_]]) -> Roi:
    low = np.min([b[0] for b in boxes], axis=0)
    high = np.max([b[1] for b in boxes], axis=0)
    return Roi(start=tuple(low.tolist()), stop=tuple(high.tolist()))
