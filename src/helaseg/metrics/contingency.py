"""Which labels of one image meet which labels of another, and how often."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import counting
from helaseg._validate import as_array, as_labels, as_mask, check_shape_match
from helaseg.core.volume import LabelVolume, Sliceable
from helaseg.errors import ParameterError
from helaseg.metrics.overlap import ConfusionCounts

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 1 << 20
_SMALLEST_TABLE = 1 << 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContingencyTable:
    """How often each pair of labels occurs at one voxel; only pairs that occur.

    Parameters
    ----------
    truth_labels, prediction_labels : (N,) uint32 array
        The pairs, sorted by the truth's label, then by the prediction's.
    counts : (N,) int64 array
        Voxels of each pair, at least 1.
    """

    truth_labels: NDArray[np.uint32]
    prediction_labels: NDArray[np.uint32]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return self.counts.size

    def __add__(self, other: ContingencyTable) -> ContingencyTable:
        """The table of two pieces together."""
        return _merge_pairs(
            np.concatenate([self._keys(), other._keys()]),
            np.concatenate([self.counts, other.counts]),
        )

    def _keys(self) -> NDArray[np.uint64]:
        return (self.truth_labels.astype(np.uint64) << np.uint64(32)) | self.prediction_labels

    @property
    def n_voxels(self) -> int:
        """Voxels considered."""
        return int(self.counts.sum())

    def confusion(
        self, truth_values: Collection[int], prediction_values: Collection[int]
    ) -> ConfusionCounts:
        """The confusion counts of the voxels with one of these labels against all others."""
        in_truth = np.isin(self.truth_labels, list(truth_values))
        in_prediction = np.isin(self.prediction_labels, list(prediction_values))
        return ConfusionCounts(
            tp=int(self.counts[in_truth & in_prediction].sum()),
            fp=int(self.counts[~in_truth & in_prediction].sum()),
            fn=int(self.counts[in_truth & ~in_prediction].sum()),
            tn=int(self.counts[~in_truth & ~in_prediction].sum()),
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per pair: truth, prediction, n_voxels."""
        import pandas as pd

        return pd.DataFrame(
            {
                "truth": self.truth_labels,
                "prediction": self.prediction_labels,
                "n_voxels": self.counts,
            }
        )


def contingency_table(
    a: ArrayLike | LabelVolume,
    b: ArrayLike | LabelVolume,
    *,
    ignore: ArrayLike | LabelVolume | None = None,
) -> ContingencyTable:
    """Count how often each label of one image meets each label of another.

    Parameters
    ----------
    a, b : (Y, X) or (Z, Y, X) array of integers from 0 to 2**32 - 1 or bools, or LabelVolume
        The truth and the prediction; a LabelVolume is read slice by slice.
    ignore : array or LabelVolume of the same shape, optional
        Non-zero voxels are left out.

    Returns
    -------
    ContingencyTable
        Background (0) is a label like any other.

    Raises
    ------
    ParameterError
        Shapes that differ, labels that are no integers, negative or 2**32 and more.

    Notes
    -----
    Runs of one pair are found first and added to a hash table, so the memory
    grows with the pairs that occur, not with the size of the labels.
    """
    first, second = _as_stack("a", a), _as_stack("b", b)
    check_shape_match("b", second.shape, "a", first.shape)
    ignored = None if ignore is None else _as_stack("ignore", ignore)
    if ignored is not None:
        check_shape_match("ignore", ignored.shape, "a", first.shape)
    counter = _PairCounter()
    for z in range(first.shape[0]) if len(first.shape) == 3 else [...]:
        counter.add(
            _as_small_labels("a", first[z]),
            _as_small_labels("b", second[z]),
            None if ignored is None else as_mask("ignore", ignored[z]),
        )
    return counter.table()


def _as_stack(name: str, value: Any) -> Sliceable:
    return value.data if isinstance(value, LabelVolume) else as_array(name, value)


def _as_small_labels(name: str, plane: Any) -> NDArray[Any]:
    labels = as_labels(name, plane)
    if labels.size and labels.dtype.itemsize > 4 and int(labels.max()) > 0xFFFFFFFF:
        msg = (
            f"'{name}' must hold labels below 2**32, got {int(labels.max())}; "
            "number them anew with helaseg.image.relabel_sequential"
        )
        raise ParameterError(msg)
    return labels


class _PairCounter:
    """A hash table of pairs; a full one is put aside and a larger one begun."""

    def __init__(self) -> None:
        self._full: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = []
        self._begin(_SMALLEST_TABLE)

    def _begin(self, size: int) -> None:
        self._keys = np.zeros(size, np.uint64)
        self._counts = np.zeros(size, np.int64)
        self._n_used = 0

    def add(self, a: NDArray[Any], b: NDArray[Any], ignored: NDArray[np.bool_] | None) -> None:
        if ignored is not None:
            a, b = a[~ignored], b[~ignored]
        a, b = a.reshape(-1), b.reshape(-1)
        for start in range(0, a.size, _CHUNK):
            first = _as_uint32(a[start : start + _CHUNK])
            second = _as_uint32(b[start : start + _CHUNK])
            done = 0
            while done < first.size:
                done, self._n_used = counting.count_pairs(
                    first, second, done, self._keys, self._counts, self._n_used
                )
                if done < first.size:
                    self._full.append((self._keys, self._counts))
                    self._begin(4 * self._keys.size)

    def table(self) -> ContingencyTable:
        parts = [*self._full, (self._keys, self._counts)]
        keys = np.concatenate([k[c > 0] for k, c in parts])
        return _merge_pairs(keys, np.concatenate([c[c > 0] for _, c in parts]))


def _as_uint32(flat: NDArray[Any]) -> NDArray[np.uint32]:
    array = np.ascontiguousarray(flat, dtype=np.uint32).view()
    array.flags.writeable = False
    return array


def _merge_pairs(keys: NDArray[np.uint64], counts: NDArray[np.int64]) -> ContingencyTable:
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
    merged = np.add.reduceat(counts, first) if first.size else counts
    pairs = keys[first]
    return ContingencyTable(
        truth_labels=(pairs >> np.uint64(32)).astype(np.uint32),
        prediction_labels=pairs.astype(np.uint32),
        counts=merged,
    )
