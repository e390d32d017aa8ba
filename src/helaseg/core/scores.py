"""Numbers that know where they come from: `Score` and `ScoreTable`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from helaseg.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One value of one metric.

    Parameters
    ----------
    metric : str
        Full name, such as ``"jaccard_index"``.
    value : float
        The value; nan when undefined, never 0 or -1 in its place.
    unit : str
        ``"1"`` for a ratio, ``"px"``, ``"nm"``.
    n_voxels : int
        Voxels that were considered.
    params : mapping
        Everything that the value depends on (mode, spacing, tolerance).
    truth, pred : str
        Names of the two sides.
    label : str
        What was compared: ``"nucleus"``, ``"cell"``, ``"label 3"``.
    z : int, optional
        The slice, for a score per slice; None for the volume.
    undefined : str, optional
        Why there is no value.
    """

    metric: str
    value: float
    unit: str = "1"
    n_voxels: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    truth: str = "truth"
    pred: str = "prediction"
    label: str = "foreground"
    z: int | None = None
    undefined: str | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.value) != (self.undefined is not None):
            msg = (
                f"score '{self.metric}' must give a reason exactly when it is nan, "
                f"got value={self.value!r}, undefined={self.undefined!r}"
            )
            raise ParameterError(msg)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; nan becomes None, so that the JSON is valid."""
        return {
            "metric": self.metric,
            "label": self.label,
            "z": self.z,
            "value": None if math.isnan(self.value) else self.value,
            "unit": self.unit,
            "n_voxels": self.n_voxels,
            "params": dict(self.params),
            "truth": self.truth,
            "pred": self.pred,
            "undefined": self.undefined,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """Scores of one comparison, per slice and per volume."""

    rows: tuple[Score, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Score]:
        return iter(self.rows)

    def select(
        self,
        *,
        metric: str | None = None,
        label: str | None = None,
        per_slice: bool | None = None,
    ) -> ScoreTable:
        """The rows that match; ``per_slice=False`` keeps those of the whole volume."""
        rows = tuple(
            s
            for s in self.rows
            if (metric is None or s.metric == metric)
            and (label is None or s.label == label)
            and (per_slice is None or (s.z is not None) == per_slice)
        )
        return ScoreTable(rows=rows)

    def value(self, metric: str, *, label: str | None = None, z: int | None = None) -> float:
        """The one value of a metric, of the volume or of slice `z`.

        Raises
        ------
        ParameterError
            If no row or more than one matches.
        """
        found = [
            s
            for s in self.rows
            if s.metric == metric and s.z == z and (label is None or s.label == label)
        ]
        if len(found) != 1:
            known = ", ".join(sorted({f"{s.metric} of {s.label}" for s in self.rows}))
            msg = (
                f"expected one score {metric!r} (label {label!r}, z {z}), found {len(found)}; "
                f"there are {known}"
            )
            raise ParameterError(msg)
        return found[0].value

    def to_frame(self) -> pd.DataFrame:
        """A table with one row per score."""
        import pandas as pd

        return pd.DataFrame([s.to_dict() for s in self.rows])

    def to_json(self) -> str:
        """The rows as JSON; an undefined score is null with its reason."""
        return json.dumps([s.to_dict() for s in self.rows], indent=1, default=str)
