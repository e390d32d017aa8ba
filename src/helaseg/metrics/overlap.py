"""Overlap of two masks, by counting voxels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import counting
from helaseg._validate import as_mask, check_shape_match, for_kernel
from helaseg.errors import UndefinedScoreWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionCounts:
    """Voxels by what the truth and the prediction say.

    Parameters
    ----------
    tp, fp, fn, tn : int
        True positives (foreground in both), false positives (only in the
        prediction), false negatives (only in the truth), true negatives.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: ConfusionCounts) -> ConfusionCounts:
        """The counts of two pieces together: of slices, the counts of their volume."""
        return ConfusionCounts(
            tp=self.tp + other.tp,
            fp=self.fp + other.fp,
            fn=self.fn + other.fn,
            tn=self.tn + other.tn,
        )

    @property
    def n_voxels(self) -> int:
        """Voxels considered."""
        return self.tp + self.fp + self.fn + self.tn


def describe_empty(truth_is_empty: bool, prediction_is_empty: bool) -> str | None:
    """The reason for an undefined score, or None if neither side is empty."""
    if truth_is_empty and prediction_is_empty:
        return "truth and prediction are empty"
    if truth_is_empty:
        return "the truth is empty"
    return "the prediction is empty" if prediction_is_empty else None


def _union(c: ConfusionCounts) -> tuple[int, int, str]:
    return c.tp, c.tp + c.fp + c.fn, "truth and prediction are empty"


def _dice(c: ConfusionCounts) -> tuple[int, int, str]:
    return 2 * c.tp, 2 * c.tp + c.fp + c.fn, "truth and prediction are empty"


def _accuracy(c: ConfusionCounts) -> tuple[int, int, str]:
    return c.tp + c.tn, c.n_voxels, "no voxel is considered"


def _precision(c: ConfusionCounts) -> tuple[int, int, str]:
    return c.tp, c.tp + c.fp, "the prediction is empty"


def _recall(c: ConfusionCounts) -> tuple[int, int, str]:
    return c.tp, c.tp + c.fn, "the truth is empty"


def _specificity(c: ConfusionCounts) -> tuple[int, int, str]:
    return c.tn, c.tn + c.fp, "the truth has no background"


#: Numerator, denominator and what a zero denominator means, by metric.
_RATIOS: dict[str, Callable[[ConfusionCounts], tuple[int, int, str]]] = {
    "jaccard_index": _union,
    "dice_coefficient": _dice,
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "specificity": _specificity,
}

OVERLAP_METRICS = tuple(_RATIOS)


def overlap_score(counts: ConfusionCounts, *, metric: str) -> tuple[float, str | None]:
    """The value of an overlap metric, and why it has none.

    Parameters
    ----------
    counts : ConfusionCounts
        Of a slice or of a volume.
    metric : str
        One of `OVERLAP_METRICS`.

    Returns
    -------
    value : float
        Between 0 and 1; nan when undefined.
    reason : str or None
        Why the value is nan.
    """
    numerator, denominator, reason = _RATIOS[metric](counts)
    if denominator == 0:
        return float("nan"), reason
    return numerator / denominator, None


def warn_undefined(metric: str, reason: str, *, stacklevel: int) -> None:
    """Say that a score has no value, as a warning at the line of the public call."""
    warnings.warn(
        f"{metric} is undefined and returned as nan: {reason}",
        UndefinedScoreWarning,
        stacklevel=stacklevel + 1,
    )


def confusion_counts(
    truth: ArrayLike, prediction: ArrayLike, *, ignore: ArrayLike | None = None
) -> ConfusionCounts:
    """Count true and false positives and negatives.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    ConfusionCounts
        Four whole numbers, exact.

    Raises
    ------
    ParameterError
        Shapes that differ, or arrays that are neither 2-D nor 3-D.

    Notes
    -----
    A volume of bools is counted in place; each other array costs one byte per
    voxel, an ignore mask two more bytes per voxel of a slice.
    """
    truth_mask, prediction_mask, ignored = as_masks(truth, prediction, ignore)
    sums = np.zeros(3, np.int64)
    n_voxels = 0
    for z in range(truth_mask.shape[0]):
        a, b = truth_mask[z], prediction_mask[z]
        if ignored is not None:
            a, b = a[~ignored[z]], b[~ignored[z]]
        counting.count_overlap(_as_bytes(a), _as_bytes(b), sums)
        n_voxels += a.size
    in_truth, in_prediction, both = (int(v) for v in sums)
    return ConfusionCounts(
        tp=both,
        fp=in_prediction - both,
        fn=in_truth - both,
        tn=n_voxels - in_truth - in_prediction + both,
    )


def as_masks(
    truth: ArrayLike, prediction: ArrayLike, ignore: ArrayLike | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Check two masks and what to ignore, and bring them to shape (Z, Y, X)."""
    truth_mask = as_mask("truth", truth)
    prediction_mask = as_mask("prediction", prediction)
    check_shape_match("prediction", prediction_mask.shape, "truth", truth_mask.shape)
    ignored = None
    if ignore is not None:
        ignored = as_mask("ignore", ignore)
        check_shape_match("ignore", ignored.shape, "truth", truth_mask.shape)
    if truth_mask.ndim == 2:
        return truth_mask[None], prediction_mask[None], None if ignored is None else ignored[None]
    return truth_mask, prediction_mask, ignored


def _as_bytes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return for_kernel(mask.reshape(-1).view(np.uint8))


def _ratio_of_masks(
    metric: str, truth: ArrayLike, prediction: ArrayLike, ignore: ArrayLike | None
) -> float:
    counts = confusion_counts(truth, prediction, ignore=ignore)
    value, reason = overlap_score(counts, metric=metric)
    if reason is not None:
        warn_undefined(metric, reason, stacklevel=3)
    return value


def jaccard_index(
    truth: ArrayLike, prediction: ArrayLike, *, ignore: ArrayLike | None = None
) -> float:
    """Intersection over union: TP / (TP + FP + FN).

    Also called IoU and Jaccard similarity.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if both masks are empty.

    Raises
    ------
    ParameterError
        Shapes that differ, or arrays that are neither 2-D nor 3-D.

    References
    ----------
    P. Jaccard (1912), The distribution of the flora in the alpine zone,
    New Phytologist 11(2), doi:10.1111/j.1469-8137.1912.tb05611.x.
    """
    return _ratio_of_masks("jaccard_index", truth, prediction, ignore)


def dice_coefficient(
    truth: ArrayLike, prediction: ArrayLike, *, ignore: ArrayLike | None = None
) -> float:
    """Twice the intersection over the sum of both sizes: 2 TP / (2 TP + FP + FN).

    Also called F1 score, F-measure and Sørensen-Dice coefficient.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if both masks are empty.

    Raises
    ------
    ParameterError
        Shapes that differ, or arrays that are neither 2-D nor 3-D.

    References
    ----------
    L. R. Dice (1945), Measures of the amount of ecologic association between
    species, Ecology 26(3), doi:10.2307/1932409.
    """
    return _ratio_of_masks("dice_coefficient", truth, prediction, ignore)


def accuracy(truth: ArrayLike, prediction: ArrayLike, *, ignore: ArrayLike | None = None) -> float:
    """Share of voxels that are right: (TP + TN) / (TP + FP + FN + TN).

    Also called pixel accuracy. It depends on how much background surrounds
    the object: the larger the crop, the closer to 1.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if no voxel is considered.

    Raises
    ------
    ParameterError
        Shapes that differ, or arrays that are neither 2-D nor 3-D.
    """
    return _ratio_of_masks("accuracy", truth, prediction, ignore)


def precision(truth: ArrayLike, prediction: ArrayLike, *, ignore: ArrayLike | None = None) -> float:
    """Share of the prediction that is right: TP / (TP + FP).

    Also called positive predictive value.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if the prediction is empty.

    Raises
    ------
    ParameterError
        Shapes that differ, or arrays that are neither 2-D nor 3-D.
    """
    return _ratio_of_masks("precision", truth, prediction, ignore)


def recall(truth: ArrayLike, prediction: ArrayLike, *, ignore: ArrayLike | None = None) -> float:
    """Share of the truth that was found: TP / (TP + FN).

    Also called sensitivity and true positive rate.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if the truth is empty.

    Raises
    ------
    ParameterError
        Shapes that differ, or arrays that are neither 2-D nor 3-D.
    """
    return _ratio_of_masks("recall", truth, prediction, ignore)


def specificity(
    truth: ArrayLike, prediction: ArrayLike, *, ignore: ArrayLike | None = None
) -> float:
    """Share of the true background that was left alone: TN / (TN + FP).

    Also called true negative rate.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if the truth has no background.

    Raises
    ------
    ParameterError
        Shapes that differ, or arrays that are neither 2-D nor 3-D.
    """
    return _ratio_of_masks("specificity", truth, prediction, ignore)
