"""Scores of a segmentation against a ground truth; definitions in `docs/metrics.md`.

The truth comes first, the prediction second, everything else by keyword.
"""

from __future__ import annotations

from helaseg.metrics.boundary import boundary_f, boundary_precision, boundary_recall
from helaseg.metrics.contingency import ContingencyTable, contingency_table
from helaseg.metrics.evaluate import METRICS, evaluate
from helaseg.metrics.instances import (
    DetectionScores,
    InstanceMatch,
    InstanceMatches,
    PanopticQuality,
    detection_scores,
    instance_f1,
    match_instances,
    panoptic_quality,
)
from helaseg.metrics.objects import evaluate_objects, pair_objects
from helaseg.metrics.overlap import (
    ConfusionCounts,
    accuracy,
    confusion_counts,
    dice_coefficient,
    jaccard_index,
    precision,
    recall,
    specificity,
)
from helaseg.metrics.paired import paired_difference
from helaseg.metrics.surface import (
    average_hausdorff_distance,
    hausdorff_distance,
    mean_surface_distance,
)

__all__ = [
    "METRICS",
    "ConfusionCounts",
    "ContingencyTable",
    "DetectionScores",
    "InstanceMatch",
    "InstanceMatches",
    "PanopticQuality",
    "accuracy",
    "average_hausdorff_distance",
    "boundary_f",
    "boundary_precision",
    "boundary_recall",
    "confusion_counts",
    "contingency_table",
    "detection_scores",
    "dice_coefficient",
    "evaluate",
    "evaluate_objects",
    "hausdorff_distance",
    "instance_f1",
    "jaccard_index",
    "match_instances",
    "mean_surface_distance",
    "pair_objects",
    "paired_difference",
    "panoptic_quality",
    "precision",
    "recall",
    "specificity",
]
