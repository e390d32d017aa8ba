"""Distances between the surfaces of two masks."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from helaseg._validate import as_spacing, check_choice, check_range
from helaseg.metrics.meter import DistanceMeter
from helaseg.metrics.overlap import as_masks, warn_undefined

Mode = Literal["truth_to_prediction", "surface", "voxel"]
MODES = ("truth_to_prediction", "surface", "voxel")


def average_hausdorff_distance(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    spacing: ArrayLike | None,
    mode: Mode = "truth_to_prediction",
    ignore: ArrayLike | None = None,
) -> float:
    """Mean distance from one mask to the nearest voxel of the other.

    The three modes differ by a factor of two and more on the same masks; name
    the mode wherever the number is shown.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    spacing : number, sequence of one number per axis, or None
        Distance between neighbouring voxels; None is 1, distances in voxels.
    mode : {"truth_to_prediction", "surface", "voxel"}
        ``"truth_to_prediction"``: mean over the surface voxels of the truth of
        the distance to the nearest surface voxel of the prediction.
        ``"surface"``: half the sum of that and of the mean the other way round.
        ``"voxel"``: the same two means over all voxels of the masks, where
        voxels that both masks share have distance 0.
    ignore : array of the same shape, optional
        Non-zero voxels are left out: they are neither foreground nor background.

    Returns
    -------
    float
        In the unit of `spacing`; nan with `UndefinedScoreWarning` if a side is empty.

    Raises
    ------
    ParameterError
        Shapes that differ, a spacing that is not positive, an unknown mode.

    Notes
    -----
    1. Surface voxels: foreground with one of its 6 neighbours (4 in 2-D) in the
       background or beyond the border of the image.
    2. The nearest surface voxel is found by a tree of boxes over the surface
       voxels; distances are exact.

    A volume of one slice is a plane: its voxels have no neighbours along z.
    The memory is some 40 bytes per surface voxel beyond the masks.

    References
    ----------
    H. Spiers et al. (2021), Deep learning for automatic segmentation of the
    nuclear envelope in electron microscopy data, trained with volunteer
    segmentations, Traffic 22(7), doi:10.1111/tra.12789.
    A. A. Taha, A. Hanbury (2015), Metrics for evaluating 3D medical image
    segmentation, BMC Medical Imaging 15:29, doi:10.1186/s12880-015-0068-x.
    """
    check_choice("mode", mode, MODES)
    meter = measure_masks(truth, prediction, spacing, ignore, voxel=mode == "voxel")
    return _report(meter, f"average_hausdorff_distance_{mode}")


def mean_surface_distance(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    spacing: ArrayLike | None,
    ignore: ArrayLike | None = None,
) -> float:
    """Mean distance of all surface voxels of both masks to the other surface.

    Also called average symmetric surface distance (ASSD). Each surface voxel
    weighs the same, so the larger surface counts more; in
    `average_hausdorff_distance` with ``mode="surface"`` both sides count alike.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    spacing : number, sequence of one number per axis, or None
        Distance between neighbouring voxels; None is 1, distances in voxels.
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        In the unit of `spacing`; nan with `UndefinedScoreWarning` if a side is empty.

    Raises
    ------
    ParameterError
        Shapes that differ, a spacing that is not positive.

    References
    ----------
    T. Heimann et al. (2009), Comparison and evaluation of methods for liver
    segmentation from CT datasets, IEEE Trans. Medical Imaging 28(8),
    doi:10.1109/TMI.2009.2013851.
    """
    return _report(measure_masks(truth, prediction, spacing, ignore), "mean_surface_distance")


def hausdorff_distance(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    spacing: ArrayLike | None,
    percentile: float | None = None,
    ignore: ArrayLike | None = None,
) -> float:
    """Largest distance of a surface voxel of one mask to the other surface.

    Parameters
    ----------
    truth, prediction : (Y, X) or (Z, Y, X) array of bools or numbers
        Non-zero is foreground.
    spacing : number, sequence of one number per axis, or None
        Distance between neighbouring voxels; None is 1, distances in voxels.
    percentile : float, optional
        Take this percentile (0 to 100) of each direction in place of its
        maximum: 95 is the usual robust form (HD95).
    ignore : array of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    float
        The larger of both directions, in the unit of `spacing`; nan with
        `UndefinedScoreWarning` if a side is empty.

    Raises
    ------
    ParameterError
        Shapes that differ, a spacing that is not positive, a percentile out of range.

    References
    ----------
    D. P. Huttenlocher, G. A. Klanderman, W. J. Rucklidge (1993), Comparing
    images using the Hausdorff distance, IEEE Trans. Pattern Analysis and
    Machine Intelligence 15(9), doi:10.1109/34.232073.
    """
    if percentile is not None:
        check_range("percentile", percentile, 0, 100)
    meter = measure_masks(truth, prediction, spacing, ignore)
    return _report(meter, "hausdorff_distance", percentile=percentile)


def measure_masks(
    truth: ArrayLike,
    prediction: ArrayLike,
    spacing: Any,
    ignore: ArrayLike | None,
    *,
    voxel: bool = False,
) -> DistanceMeter:
    """Check two masks and measure the distances between them."""
    ndim = np.ndim(truth)
    masks = as_masks(truth, prediction, ignore)
    steps = as_spacing("spacing", spacing, ndim)
    n_slices = masks[0].shape[0]
    meter = DistanceMeter(
        n_slices=n_slices,
        spacing=(1.0,) * (3 - ndim) + steps,
        has_ignore=ignore is not None,
        voxel=voxel,
    )
    ignored = [None] * n_slices if masks[2] is None else masks[2]
    meter.measure(list(zip(masks[0], masks[1], ignored, strict=True)))
    return meter


def _report(meter: DistanceMeter, metric: str, *, percentile: float | None = None) -> float:
    value, reason = meter.score(metric, percentile=percentile)
    if reason is not None:
        warn_undefined(metric, reason, stacklevel=3)
    return value
