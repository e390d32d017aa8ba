"""Share of one surface close to the other: boundary precision, recall and F."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from helaseg._validate import check_positive
from helaseg.metrics.overlap import warn_undefined
from helaseg.metrics.surface import measure_masks

_NAME = re.compile(r"(boundary_(?:f|precision|recall))_(\d+(?:\.\d+)?)nm")

#: Those that `evaluate` gives without being asked. 50 nm is the usual distance between
#: slices, so the least tolerance at which a surface one slice off counts as found, and about
#: twice the distance of two tracings by hand (20 nm); 100 nm is the next slice.
BOUNDARY_METRICS = ("boundary_f_50nm", "boundary_f_100nm")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryMetric:
    """A boundary score with its tolerance, as its name says, such as ``boundary_f_50nm``.

    Parameters
    ----------
    kind : str
        ``"boundary_f"``, ``"boundary_precision"`` or ``"boundary_recall"``.
    tolerance_nm : float
        How far apart two surfaces may lie.
    """

    kind: str
    tolerance_nm: float


def as_boundary_metric(name: str) -> BoundaryMetric | None:
    """Parse a name such as ``boundary_recall_30nm``; None if it is not such a name."""
    match = _NAME.fullmatch(name)
    if match is None or float(match[2]) == 0:
        return None
    return BoundaryMetric(kind=match[1], tolerance_nm=float(match[2]))


def boundary_f(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    tolerance: float,
    spacing: ArrayLike | None,
    ignore: ArrayLike | None = None,
) -> float:
    """Harmonic mean of `boundary_precision` and `boundary_recall`.

    Also called boundary F1 and BF score; without the mean of two directions,
    as one ratio, it is the surface Dice coefficient.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    tolerance : float
        Largest distance at which surface voxels count as found, in the unit of `spacing`.
    spacing : number, sequence of one number per axis, or None
        Distance between neighbouring voxels; None is 1, the tolerance is in voxels.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        Between 0 and 1; 0 if one side alone is empty, nan with
        `UndefinedScoreWarning` if both are.

    Raises
    ------
    ParameterError
        Shapes that differ, a spacing or a tolerance that is not positive.

    References
    ----------
    D. R. Martin, C. C. Fowlkes, J. Malik (2004), Learning to detect natural image
    boundaries using local brightness, color, and texture cues, IEEE Trans. Pattern
    Analysis and Machine Intelligence 26(5), doi:10.1109/TPAMI.2004.1273918.
    G. Csurka, D. Larlus, F. Perronnin (2013), What is a good evaluation measure for
    semantic segmentation?, BMVC, doi:10.5244/C.27.32.
    """
    return _score("boundary_f", truth, prediction, tolerance, spacing, ignore)


def boundary_precision(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    tolerance: float,
    spacing: ArrayLike | None,
    ignore: ArrayLike | None = None,
) -> float:
    """Share of the prediction's surface voxels that lie close to the truth's surface.

    Parameters
    ----------
    truth, prediction, tolerance, spacing, ignore
        As in `boundary_f`.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if the prediction is empty.

    Raises
    ------
    ParameterError
        As in `boundary_f`.
    """
    return _score("boundary_precision", truth, prediction, tolerance, spacing, ignore)


def boundary_recall(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    tolerance: float,
    spacing: ArrayLike | None,
    ignore: ArrayLike | None = None,
) -> float:
    """Share of the truth's surface voxels that lie close to the prediction's surface.

    Parameters
    ----------
    truth, prediction, tolerance, spacing, ignore
        As in `boundary_f`.

    Returns
    -------
    float
        Between 0 and 1; nan with `UndefinedScoreWarning` if the truth is empty.

    Raises
    ------
    ParameterError
        As in `boundary_f`.
    """
    return _score("boundary_recall", truth, prediction, tolerance, spacing, ignore)


def _score(
    kind: str,
    truth: ArrayLike,
    prediction: ArrayLike,
    tolerance: float,
    spacing: Any,
    ignore: ArrayLike | None,
) -> float:
    check_positive("tolerance", tolerance)
    meter = measure_masks(truth, prediction, spacing, ignore)
    value, reason = meter.boundary_score(kind, tolerance=tolerance)
    if reason is not None:
        warn_undefined(kind, reason, stacklevel=3)
    return value
