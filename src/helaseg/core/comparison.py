"""Results of a comparison of methods: `Comparison` and its parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from helaseg.core.grid import Grid
from helaseg.core.scores import ScoreTable
from helaseg.core.volume import LabelVolume
from helaseg.errors import ParameterError

#: What becomes of voxels whose truth is in doubt.
Doubt = Literal["counted", "left out"]
#: Which slices the scores are of.
Region = Literal["volume", "centre", "poles"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCost:
    """Cost of a method; None means "not known", which is not zero.

    Parameters
    ----------
    train_seconds, predict_seconds : float, optional
        Wall-clock time of the training (0 for a method without one), and of the prediction of
        this ROI.
    train_memory_mb, predict_memory_mb : float, optional
        Highest memory, in MB (1e6 bytes).
    train_energy_j, predict_energy_j : float, optional
        Energy in joule, where the machine tells it.
    device : str
        What it ran on; empty if that is not known.
    """

    train_seconds: float | None = None
    predict_seconds: float | None = None
    train_memory_mb: float | None = None
    predict_memory_mb: float | None = None
    train_energy_j: float | None = None
    predict_energy_j: float | None = None
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodScores:
    """The scores of one method.

    Parameters
    ----------
    method : str
        Its name.
    doubt : {"counted", "left out"}
        Whether voxels in doubt count.
    region : {"volume", "centre", "poles"}
        Of which slices; those of ``"volume"`` have a row for each slice too.
    table : ScoreTable
        The scores.
    """

    method: str
    doubt: Doubt
    region: Region
    table: ScoreTable


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Difference of the scores of two methods over the same slices.

    Parameters
    ----------
    n_slices : int
        Slices in which both scores exist.
    n_left_out : int
        Slices in which one of them does not exist.
    n_higher, n_lower : int
        Slices in which the first is higher, and lower.
    mean_difference : float
        First minus second; nan without slices.
    low, high : float
        Interval of the mean difference; nan with too few slices.
    p_value : float
        Of the Wilcoxon signed-rank test of the blocks, two-sided; nan without a test.
    is_clear : bool
        Whether the interval leaves out 0 and the test agrees.
    block_slices : int
        Neighbouring slices that were kept together, since they are no independent cases.
    no_interval, no_test : str
        Why there is none; empty if there is one.
    metric, unit, first, second, doubt : str
        What was compared.
    """

    n_slices: int
    n_left_out: int
    n_higher: int
    n_lower: int
    mean_difference: float
    low: float = math.nan
    high: float = math.nan
    p_value: float = math.nan
    is_clear: bool = False
    block_slices: int = 1
    no_interval: str = ""
    no_test: str = ""
    metric: str = ""
    unit: str = "1"
    first: str = "first"
    second: str = "second"
    doubt: Doubt = "counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceSplit:
    """Slices at the poles of the true object and between them.

    Parameters
    ----------
    centre, poles : tuple of int
        Their indices; empty if they are not distinguished.
    reason : str
        Why they are not distinguished; empty if they are.
    """

    centre: tuple[int, ...] = ()
    poles: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstSlice:
    """A slice in which a method does badly.

    Parameters
    ----------
    method : str
        Which method.
    z : int
        The slice.
    value : float
        Its score there.
    """

    method: str
    z: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Several methods on one ROI.

    Parameters
    ----------
    subject : str
        What is compared, such as ``"nucleus"``.
    grid : Grid
        Of the ROI.
    truth : LabelVolume
        0/1; slices that are not annotated are 0.
    predictions : mapping of str to LabelVolume
        0/1 by method.
    ignore : LabelVolume, optional
        0/1, voxels in doubt.
    slices : tuple of int
        Slices that count.
    split : SliceSplit
        Poles and centre among them.
    scores : tuple of MethodScores
        By method, doubt and region.
    differences : tuple of PairedDifference
        Of each two methods.
    worst : tuple of WorstSlice
        Method by method, the worst first.
    costs : mapping of str to MethodCost
        By method.
    main_metric : str
        The metric that ranks the methods.
    notes : tuple of str
        How the inputs were understood.
    config : mapping
        All settings, as plain values.
    """

    subject: str
    grid: Grid
    truth: LabelVolume = field(repr=False)
    predictions: Mapping[str, LabelVolume] = field(repr=False)
    ignore: LabelVolume | None = field(default=None, repr=False)
    slices: tuple[int, ...]
    split: SliceSplit
    scores: tuple[MethodScores, ...] = field(repr=False)
    differences: tuple[PairedDifference, ...] = field(default=(), repr=False)
    worst: tuple[WorstSlice, ...] = ()
    costs: Mapping[str, MethodCost] = field(default_factory=dict)
    main_metric: str = "jaccard_index"
    notes: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods, in the order in which they were given."""
        return tuple(self.predictions)

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """Treatments of voxels in doubt; the stricter one of the two comes last."""
        return tuple(dict.fromkeys(s.doubt for s in self.scores))

    @property
    def main_doubt(self) -> Doubt:
        """The one that ranks the methods: voxels in doubt are left out if they are known."""
        return self.doubts[-1]

    def table(
        self, method: str, *, doubt: Doubt | None = None, region: Region = "volume"
    ) -> ScoreTable:
        """The scores of one method; by default as in the ranking.

        Raises
        ------
        ParameterError
            If there are none.
        """
        wanted = (method, doubt or self.main_doubt, region)
        for scores in self.scores:
            if (scores.method, scores.doubt, scores.region) == wanted:
                return scores.table
        msg = f"expected scores of {wanted}, there are those of {', '.join(self.methods)}"
        raise ParameterError(msg)

    def per_slice(self, method: str, metric: str, *, doubt: Doubt | None = None) -> list[float]:
        """A score of each slice that counts, in their order; nan where there is none."""
        table = self.table(method, doubt=doubt).select(metric=metric, per_slice=True)
        values = {s.z: s.value for s in table}
        return [values.get(z, math.nan) for z in self.slices]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each two methods, once."""
        for i, first in enumerate(self.methods):
            for second in self.methods[i + 1 :]:
                yield first, second
