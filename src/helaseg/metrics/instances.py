"""Matching of instances, and scores of the matching."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_labels, check_range
from helaseg.core.objects import Detection
from helaseg.core.volume import LabelVolume
from helaseg.errors import ParameterError
from helaseg.metrics.contingency import contingency_table
from helaseg.metrics.overlap import warn_undefined


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMatch:
    """One true object and the predicted object that belongs to it.

    Parameters
    ----------
    truth, prediction : int
        Their labels.
    iou : float
        Intersection over union of the two.
    """

    truth: int
    prediction: int
    iou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMatches:
    """Objects that were found, missed and made up.

    Parameters
    ----------
    matches : tuple of InstanceMatch
        Sorted by the true label; no label occurs twice.
    missed : tuple of int
        True labels without a match.
    spurious : tuple of int
        Predicted labels without a match.
    threshold : float
        A match has a larger IoU than this.
    """

    matches: tuple[InstanceMatch, ...]
    missed: tuple[int, ...]
    spurious: tuple[int, ...]
    threshold: float

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN) over objects; nan without any object."""
        n_found = 2 * len(self.matches)
        n_objects = n_found + len(self.missed) + len(self.spurious)
        return n_found / n_objects if n_objects else float("nan")

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the matches; nan without any match."""
        if not self.matches:
            return float("nan")
        return sum(m.iou for m in self.matches) / len(self.matches)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticQuality:
    """Panoptic quality and its two factors.

    Parameters
    ----------
    quality : float
        Sum of the IoU of the matches over TP + FP / 2 + FN / 2; 0 if nothing
        matches, nan without any object.
    segmentation_quality : float
        Mean IoU of the matches; nan without any match.
    recognition_quality : float
        F1 score over objects; nan without any object.
    """

    quality: float
    segmentation_quality: float
    recognition_quality: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionScores:
    """Points against true cells.

    Parameters
    ----------
    found : tuple of int
        True cells with exactly one point.
    missed : tuple of int
        True cells without a point.
    split : tuple of int
        True cells with several points.
    spurious : tuple of int
        Indices of the points on background or outside the image.
    n_points : int
        Points given.
    """

    found: tuple[int, ...]
    missed: tuple[int, ...]
    split: tuple[int, ...]
    spurious: tuple[int, ...]
    n_points: int

    @property
    def precision(self) -> float:
        """Cells with a point over points: a second point in a cell is a false one; nan without."""
        n_hit = len(self.found) + len(self.split)
        return n_hit / self.n_points if self.n_points else float("nan")

    @property
    def recall(self) -> float:
        """Cells with a point over all cells; nan without cells."""
        n_hit = len(self.found) + len(self.split)
        n_cells = n_hit + len(self.missed)
        return n_hit / n_cells if n_cells else float("nan")

    @property
    def f1(self) -> float:
        """2 hits / (points + cells); nan without points and cells."""
        n_hit = len(self.found) + len(self.split)
        n_all = self.n_points + n_hit + len(self.missed)
        return 2 * n_hit / n_all if n_all else float("nan")


def match_instances(
    truth: ArrayLike | LabelVolume,
    prediction: ArrayLike | LabelVolume,
    *,
    threshold: float = 0.5,
    ignore: ArrayLike | LabelVolume | None = None,
) -> InstanceMatches:
    """Pair the objects of two label images.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of non-negative integers, or LabelVolume
        One label per object, 0 is background; a LabelVolume is read slice by slice.
    threshold : float
        Two objects can match if their IoU is larger than this (0 to 1).
    ignore : array or LabelVolume of the same shape, optional
        Non-zero voxels are left out; objects that lie wholly there do not count.

    Returns
    -------
    InstanceMatches
        Every object occurs once: in a match, as missed or as spurious.

    Raises
    ------
    ParameterError
        Shapes that differ, labels that are no integers, a threshold out of range.

    Notes
    -----
    1. IoU of all pairs of objects that overlap, from their contingency table.
    2. Above 0.5 each object has at most one partner (Kirillov et al.).
    3. Below, the pairing with the most matches is taken, and of those the one
       with the largest sum of IoU, in each group of connected pairs (Hungarian
       method).

    References
    ----------
    A. Kirillov et al. (2019), Panoptic segmentation, CVPR, doi:10.1109/CVPR.2019.00963.
    H. W. Kuhn (1955), The Hungarian method for the assignment problem, Naval
    Research Logistics Quarterly 2, doi:10.1002/nav.3800020109.
    """
    check_range("threshold", threshold, 0, 1)
    table = contingency_table(truth, prediction, ignore=ignore)
    true_ids, true_sizes = _sizes(table.truth_labels, table.counts)
    found_ids, found_sizes = _sizes(table.prediction_labels, table.counts)
    both = (table.truth_labels > 0) & (table.prediction_labels > 0)
    rows = np.searchsorted(true_ids, table.truth_labels[both])
    columns = np.searchsorted(found_ids, table.prediction_labels[both])
    shared = table.counts[both]
    iou = shared / (true_sizes[rows] + found_sizes[columns] - shared)
    good = iou > threshold
    rows, columns, iou = rows[good], columns[good], iou[good]
    if threshold < 0.5:
        chosen = _best_pairing(rows, columns, iou, n_rows=len(true_ids), n_columns=len(found_ids))
        rows, columns, iou = rows[chosen], columns[chosen], iou[chosen]
    return InstanceMatches(
        matches=tuple(
            InstanceMatch(truth=int(true_ids[r]), prediction=int(found_ids[c]), iou=float(v))
            for r, c, v in zip(rows, columns, iou, strict=True)
        ),
        missed=tuple(np.delete(true_ids, rows).tolist()),
        spurious=tuple(np.delete(found_ids, columns).tolist()),
        threshold=float(threshold),
    )


def _sizes(
    labels: NDArray[np.uint32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    ids, index = np.unique(labels, return_inverse=True)
    sizes = np.zeros(len(ids), np.int64)
    np.add.at(sizes, index, counts)
    return ids[ids > 0], sizes[ids > 0]


def _best_pairing(
    rows: NDArray[Any], columns: NDArray[Any], iou: NDArray[Any], *, n_rows: int, n_columns: int
) -> NDArray[np.int64]:
    """Indices of the chosen pairs, in the order of the rows."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = n_rows + n_columns
    links = coo_array((np.ones(len(rows)), (rows, columns + n_rows)), shape=(n, n))
    groups = connected_components(links, directed=False)[1][rows]
    chosen = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        r_ids, r = np.unique(rows[members], return_inverse=True)
        c_ids, c = np.unique(columns[members], return_inverse=True)
        pair = np.full((len(r_ids), len(c_ids)), -1)
        pair[r, c] = members
        # one more match is worth more than all the IoU that a pairing can gain
        worth = np.where(pair >= 0, 1 + min(pair.shape) + iou[pair], 0)
        best = pair[linear_sum_assignment(worth, maximize=True)]
        chosen.append(best[best >= 0])
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def panoptic_quality(
    truth: ArrayLike | LabelVolume,
    prediction: ArrayLike | LabelVolume,
    *,
    threshold: float = 0.5,
    ignore: ArrayLike | LabelVolume | None = None,
) -> PanopticQuality:
    """Compute one number for the detection and the outlines of objects.

    Parameters
    ----------
    truth, prediction, threshold, ignore
        As in `match_instances`.

    Returns
    -------
    PanopticQuality
        ``quality = segmentation_quality * recognition_quality``; nan with
        `UndefinedScoreWarning` if neither image holds an object.

    Raises
    ------
    ParameterError
        As in `match_instances`.

    References
    ----------
    A. Kirillov et al. (2019), Panoptic segmentation, CVPR, doi:10.1109/CVPR.2019.00963.
    """
    matches = match_instances(truth, prediction, threshold=threshold, ignore=ignore)
    f1, mean_iou = matches.f1, matches.mean_iou
    if np.isnan(f1):
        warn_undefined("panoptic_quality", "truth and prediction hold no object", stacklevel=2)
    return PanopticQuality(
        quality=f1 * mean_iou if matches.matches else 0.0 * f1,
        segmentation_quality=mean_iou,
        recognition_quality=f1,
    )


def instance_f1(
    truth: ArrayLike | LabelVolume,
    prediction: ArrayLike | LabelVolume,
    *,
    threshold: float = 0.5,
    ignore: ArrayLike | LabelVolume | None = None,
) -> float:
    """F1 score over objects: 2 matches / (true objects + predicted objects).

    Parameters
    ----------
    truth, prediction, threshold, ignore
        As in `match_instances`.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if neither image holds an object.

    Raises
    ------
    ParameterError
        As in `match_instances`.
    """
    matches = match_instances(truth, prediction, threshold=threshold, ignore=ignore)
    if np.isnan(matches.f1):
        warn_undefined("instance_f1", "truth and prediction hold no object", stacklevel=2)
    return matches.f1


def detection_scores(points: Iterable[Detection] | ArrayLike, labels: ArrayLike) -> DetectionScores:
    """Count the true cells that were detected once, not at all, or more than once.

    Parameters
    ----------
    points : iterable of Detection, or (N, D) array
        Positions in voxels, z, y, x (y, x for a 2-D image). A position belongs
        to the voxel whose centre is nearest.
    labels : (Y, X) or (Z, Y, X) array of non-negative integers
        One label per true cell, 0 is background.

    Returns
    -------
    DetectionScores
        Lists of cells, and precision, recall and F1.

    Raises
    ------
    ParameterError
        Points that are no finite numbers or have another number of axes than `labels`.
    """
    cells = as_labels("labels", labels)
    positions = _as_positions(points, cells.ndim)
    index = np.floor(positions + 0.5).astype(np.int64)
    inside = np.all((index >= 0) & (index < cells.shape), axis=1)
    hit = np.zeros(len(index), np.int64)
    hit[inside] = cells[tuple(index[inside].T)]
    n_hits = dict(zip(*(v.tolist() for v in np.unique(hit, return_counts=True)), strict=True))
    true_ids = [i for i in np.unique(cells).tolist() if i > 0]
    return DetectionScores(
        found=tuple(i for i in true_ids if n_hits.get(i, 0) == 1),
        missed=tuple(i for i in true_ids if n_hits.get(i, 0) == 0),
        split=tuple(i for i in true_ids if n_hits.get(i, 0) > 1),
        spurious=tuple(np.flatnonzero(hit == 0).tolist()),
        n_points=len(hit),
    )


def _as_positions(points: Any, ndim: int) -> NDArray[np.float64]:
    if not isinstance(points, np.ndarray):
        listed = [(p.z, p.y, p.x)[-ndim:] if isinstance(p, Detection) else p for p in points]
        points = np.asarray(listed, np.float64) if listed else np.empty((0, ndim))
    positions = np.asarray(points, np.float64)
    if positions.ndim != 2 or positions.shape[1] != ndim or not np.isfinite(positions).all():
        msg = (
            f"'points' must be finite positions with {ndim} numbers each, like the axes of "
            f"'labels', got shape {positions.shape}"
        )
        raise ParameterError(msg)
    return positions
