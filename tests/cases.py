"""Named cases with hand-computed scores, drawn where they are small.

In a drawing ``.`` is background, ``T`` truth alone, ``P`` prediction alone,
``B`` both; ``?``, ``t``, ``p`` and ``b`` are the same four under the ignore
mask. A case with several drawings is a volume, one drawing per slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

OVERLAP = ("jaccard_index", "dice_coefficient", "accuracy", "precision", "recall", "specificity")
THERE = "average_hausdorff_distance_truth_to_prediction"
SURFACE = "average_hausdorff_distance_surface"
VOXEL = "average_hausdorff_distance_voxel"
DISTANCES = (
    THERE,
    SURFACE,
    VOXEL,
    "mean_surface_distance",
    "hausdorff_distance",
    "hausdorff_distance_95",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Truth, prediction and what their scores must be.

    A number is the expected value; a text is the reason for which the score is undefined.
    """

    name: str
    drawings: tuple[str, ...]
    counts: tuple[int, int, int, int]  # tp, fp, fn, tn
    scores: Mapping[str, float | str]
    spacing: tuple[float, ...] = (1.0, 1.0)
    n_missing_slices: int = 0
    n_spurious_slices: int = 0
    masks: tuple[NDArray[np.bool_], ...] = field(init=False)

    def __post_init__(self) -> None:
        rows = np.array([[list(r) for r in d.split()] for d in self.drawings])
        if len(self.drawings) == 1:
            rows = rows[0]
        masks = [np.isin(rows, list(marks)) for marks in ("TBtb", "PBpb", "?tpb")]
        object.__setattr__(self, "masks", tuple(masks))

    @property
    def truth(self) -> NDArray[np.bool_]:
        return self.masks[0]

    @property
    def prediction(self) -> NDArray[np.bool_]:
        return self.masks[1]

    @property
    def ignore(self) -> NDArray[np.bool_] | None:
        return self.masks[2] if self.masks[2].any() else None


def _distances(*values: float | str) -> dict[str, float | str]:
    return dict(zip(DISTANCES, values, strict=True))


def _overlaps(*values: float | str) -> dict[str, float | str]:
    return dict(zip(OVERLAP, values, strict=True))


def _undefined(reason: str) -> dict[str, float | str]:
    return dict.fromkeys(DISTANCES, reason)


_SAME = dict.fromkeys(DISTANCES, 0.0)

CASES = (
    Case(
        name="identical",
        drawings=("..... .BBB. .BBB. .....",),
        counts=(6, 0, 0, 14),
        scores=dict.fromkeys(OVERLAP, 1.0) | _SAME,
    ),
    Case(
        name="empty_truth",
        drawings=("... .PP ...",),
        counts=(0, 2, 0, 7),
        scores=_overlaps(0.0, 0.0, 7 / 9, 0.0, "the truth is empty", 7 / 9)
        | _undefined("the truth is empty"),
        n_spurious_slices=1,
    ),
    Case(
        name="empty_prediction",
        drawings=("... .TT ...",),
        counts=(0, 0, 2, 7),
        scores=_overlaps(0.0, 0.0, 7 / 9, "the prediction is empty", 0.0, 1.0)
        | _undefined("the prediction is empty"),
        n_missing_slices=1,
    ),
    Case(
        name="both_empty",
        drawings=("... ...",),
        counts=(0, 0, 0, 6),
        scores=_overlaps(
            "truth and prediction are empty",
            "truth and prediction are empty",
            1.0,
            "the prediction is empty",
            "the truth is empty",
            1.0,
        )
        | _undefined("truth and prediction are empty"),
    ),
    Case(
        # each side: one voxel at distance 1, two at 0
        name="shifted_by_one",
        drawings=("...... .TBBP. ......",),
        counts=(2, 1, 1, 14),
        scores=_overlaps(1 / 2, 2 / 3, 16 / 18, 2 / 3, 2 / 3, 14 / 15)
        | _distances(1 / 3, 1 / 3, 1 / 3, 1 / 3, 1.0, 0.9),
    ),
    Case(
        # 3 rows and 4 columns apart: 5
        name="one_pixel",
        drawings=("T.... ..... ..... ....P",),
        counts=(0, 1, 1, 18),
        scores=_overlaps(0.0, 0.0, 0.9, 0.0, 0.0, 18 / 19) | dict.fromkeys(DISTANCES, 5.0),
    ),
    Case(
        # the border of the image is a surface, so even here there is one
        name="full",
        drawings=("BBBB BBBB BBBB",),
        counts=(12, 0, 0, 0),
        scores=_overlaps(1.0, 1.0, 1.0, 1.0, 1.0, "the truth has no background") | _SAME,
    ),
    Case(
        # truth ring: 12 voxels at 1, 4 corners at sqrt 2; prediction ring: 8 at 1
        name="nested_squares",
        drawings=("....... .TTTTT. .TBBBT. .TBBBT. .TBBBT. .TTTTT. .......",),
        counts=(9, 0, 16, 24),
        scores=_overlaps(9 / 25, 18 / 34, 33 / 49, 1.0, 9 / 25, 1.0)
        | _distances(
            (12 + 4 * sqrt(2)) / 16,
            ((12 + 4 * sqrt(2)) / 16 + 1) / 2,
            (12 + 4 * sqrt(2)) / 50,
            (12 + 4 * sqrt(2) + 8) / 24,
            sqrt(2),
            sqrt(2),
        ),
    ),
    Case(
        name="two_islands_one_missed",
        drawings=("B........T",),
        counts=(1, 0, 1, 8),
        scores=_overlaps(1 / 2, 2 / 3, 0.9, 1.0, 1 / 2, 1.0)
        | _distances(4.5, 2.25, 2.25, 3.0, 9.0, 8.55),
    ),
    Case(
        # the two end slices are 50 nm from the prediction
        name="missing_end_slices",
        drawings=("... .T. ...", "... .B. ...", "... .B. ...", "... .T. ..."),
        spacing=(50.0, 10.0, 10.0),
        counts=(2, 0, 2, 32),
        scores=_overlaps(1 / 2, 2 / 3, 34 / 36, 1.0, 1 / 2, 1.0)
        | _distances(25.0, 12.5, 12.5, 100 / 6, 50.0, 50.0),
        n_missing_slices=2,
    ),
    Case(
        name="spurious_last_slice",
        drawings=("... .B. ...", "... .B. ...", "... .P. ..."),
        spacing=(50.0, 10.0, 10.0),
        counts=(2, 1, 0, 24),
        scores=_overlaps(2 / 3, 4 / 5, 26 / 27, 2 / 3, 1.0, 24 / 25)
        | _distances(0.0, 50 / 6, 50 / 6, 10.0, 50.0, 45.0),
        n_spurious_slices=1,
    ),
    Case(
        # what lies under the mask is neither right nor wrong
        name="ignore_band",
        drawings=("BBBtp? BBBtp. BBBtp?",),
        counts=(9, 0, 0, 1),
        scores=dict.fromkeys(OVERLAP, 1.0) | _SAME,
    ),
    Case(
        # x + 3 is 30 nm away, z + 1 is 50 nm away, though it is nearer in voxels
        name="anisotropic_box",
        drawings=("..... T..P. .....", "..... P.... ....."),
        spacing=(50.0, 10.0, 10.0),
        counts=(0, 2, 1, 27),
        scores=_overlaps(0.0, 0.0, 0.9, 0.0, 0.0, 27 / 29)
        | _distances(30.0, 35.0, 35.0, 110 / 3, 50.0, 49.0),
        n_spurious_slices=1,
    ),
)
