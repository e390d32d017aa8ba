"""Settings of a comparison of methods."""

from __future__ import annotations

from dataclasses import dataclass

from helaseg._validate import check_positive, check_range
from helaseg.errors import ParameterError

#: The metric that ranks the methods and picks the worst slices.
MAIN_METRIC = "jaccard_index"
VOXEL_METRIC = "average_hausdorff_distance_voxel"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """Settings of a comparison.

    Parameters
    ----------
    metrics : tuple of str
        Scores to take, `jaccard_index` among them; ``boundary_f_…nm`` for any tolerance.
    threshold : float
        Probabilities from here on are foreground.
    pole_fraction : float
        Share of the slices of the true object that is a pole, at either end.
    instance_iou : float
        Two objects match if their intersection over union is larger than this.
    n_worst : int
        Slices of each method to show.
    n_resamples : int
        Of the bootstrap of the mean difference.
    confidence : float
        Of its interval.
    seed : int
        Of the bootstrap.
    """

    metrics: tuple[str, ...] = (
        MAIN_METRIC,
        "dice_coefficient",
        "accuracy",
        "precision",
        "recall",
        "average_hausdorff_distance_truth_to_prediction",
        "average_hausdorff_distance_surface",
        VOXEL_METRIC,
        "hausdorff_distance_95",
        "boundary_f_50nm",
        "boundary_f_100nm",
        "n_missing_slices",
        "n_spurious_slices",
    )
    threshold: float = 0.5
    pole_fraction: float = 0.1
    instance_iou: float = 0.5
    n_worst: int = 3
    n_resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if MAIN_METRIC not in self.metrics:
            msg = (
                f"'metrics' must hold '{MAIN_METRIC}', which ranks the methods, got {self.metrics}"
            )
            raise ParameterError(msg)
        check_range("threshold", self.threshold, 0, 1)
        check_range("pole_fraction", self.pole_fraction, 0, 0.5)
        check_range("instance_iou", self.instance_iou, 0, 1)
        check_positive("n_worst", self.n_worst, zero=True)
        check_positive("n_resamples", self.n_resamples)
        check_range("confidence", self.confidence, 0, 1)
