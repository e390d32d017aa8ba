"""Contingency tables: how often each pair of labels of two images meets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import counting
from helaseg._threads import in_blocks
from helaseg._validate import as_array, as_labels, as_mask, check_shape_match, for_kernel
from helaseg.core.volume import LabelVolume, Sliceable
from helaseg.errors import ParameterError
from helaseg.metrics.overlap import ConfusionCounts

if TYPE_CHECKING:
    import pandas as pd

#: Voxels that are checked and brought to uint32 at once, and fewest voxels per thread.
_PIECE = 1 << 20
_SMALLEST_TABLE = 1 << 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContingencyTable:
    """Counts of the pairs of labels that occur at one voxel.

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
    1. Find runs of one pair, many voxels at once, and add each run to a hash
       table; threads have tables of their own.
    2. Join and sort the tables.

    The memory grows with the pairs that occur, some 40 bytes for each and
    thread, not with the size of the labels; labels of other types than uint32
    and int32 are converted about a million voxels at a time.
    """
    first, second = _as_stack("a", a), _as_stack("b", b)
    check_shape_match("b", second.shape, "a", first.shape)
    ignored = None if ignore is None else _as_stack("ignore", ignore)
    if ignored is not None:
        check_shape_match("ignore", ignored.shape, "a", first.shape)
    counters = _Counters()
    at_hand = all(isinstance(s, np.ndarray) for s in (first, second, ignored) if s is not None)
    # of an array everything, else one slice after the other
    for z in [...] if at_hand else range(first.shape[0]):
        counters.add(
            np.asarray(first[z]),
            np.asarray(second[z]),
            None if ignored is None else np.asarray(ignored[z]),
        )
    return counters.table()


def _as_stack(name: str, value: Any) -> Sliceable:
    return value.data if isinstance(value, LabelVolume) else as_array(name, value)


def _as_uint32(name: str, piece: Any) -> NDArray[np.uint32]:
    """Labels in a row, in the one type and layout that the kernel is compiled for."""
    labels = as_labels(name, piece, ndim=(1, 2))
    if labels.size and labels.dtype.itemsize > 4 and int(labels.max()) > 0xFFFFFFFF:
        msg = (
            f"'{name}' must hold labels below 2**32, got {int(labels.max())}; "
            "number them anew with helaseg.image.relabel_sequential"
        )
        raise ParameterError(msg)
    flat = np.ascontiguousarray(labels).reshape(-1)
    return for_kernel(flat.view(np.uint32) if flat.dtype == np.int32 else flat, np.uint32)


class _Counters:
    """Tables of pairs, one for each thread that counts at the same time."""

    def __init__(self) -> None:
        self._idle: list[_PairCounter] = []

    def add(self, a: NDArray[Any], b: NDArray[Any], ignored: NDArray[Any] | None) -> None:
        """Count an image or a volume, several pieces of it side by side."""
        arrays = (a, b) if ignored is None else (a, b, ignored)
        if all(array.flags.c_contiguous for array in arrays):
            a, b = a.reshape(-1), b.reshape(-1)
            ignored = None if ignored is None else ignored.reshape(-1)
        elif a.ndim == 3:
            for z in range(a.shape[0]):
                self.add(a[z], b[z], None if ignored is None else ignored[z])
            return
        at_once = max(1, _PIECE // max(1, a[:1].size))

        def count(start: int, stop: int) -> None:
            # taking from and adding to the end of a list are safe between threads
            counter = self._take()
            for at in range(start, stop, at_once):
                piece = slice(at, min(at + at_once, stop))
                first, second = _as_uint32("a", a[piece]), _as_uint32("b", b[piece])
                if ignored is not None:
                    keep = ~as_mask("ignore", ignored[piece], ndim=(1, 2)).reshape(-1)
                    first, second = _as_uint32("a", first[keep]), _as_uint32("b", second[keep])
                counter.add(first, second)
            self._idle.append(counter)

        in_blocks(count, a.shape[0], least=at_once)

    def _take(self) -> _PairCounter:
        try:
            return self._idle.pop()
        except IndexError:
            return _PairCounter()

    def table(self) -> ContingencyTable:
        """All pairs counted so far."""
        parts = [part for counter in self._idle for part in counter.parts()]
        return _merge_pairs(
            np.concatenate([np.zeros(0, np.uint64), *(keys for keys, _ in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(counts for _, counts in parts)]),
        )


class _PairCounter:
    """A hash table of pairs; a full one is put aside and a larger one begun."""

    def __init__(self) -> None:
        self._full: list[NDArray[np.uint64]] = []
        self._begin(_SMALLEST_TABLE)

    def _begin(self, size: int) -> None:
        self._table = np.zeros((size, 2), np.uint64)
        self._n_used = 0

    def add(self, first: NDArray[np.uint32], second: NDArray[np.uint32]) -> None:
        done = 0
        while done < first.size:
            done, self._n_used = counting.count_pairs(
                first, second, done, self._table, self._n_used
            )
            if done < first.size:
                self._full.append(self._table)
                self._begin(4 * len(self._table))

    def parts(self) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
        """Pairs and their voxels, table by table."""
        for table in (*self._full, self._table):
            used = table[table[:, 1] > 0]
            yield used[:, 0], used[:, 1].astype(np.int64)


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
