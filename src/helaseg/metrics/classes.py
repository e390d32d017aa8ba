"""Pairs of labels that are compared: those of the truth and those of the prediction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.errors import ParameterError
from helaseg.metrics.contingency import ContingencyTable

Mask = NDArray[np.bool_]
Values = tuple[int, ...]

#: What callers may pass: names with labels, or labels that mean the same on both sides.
Labels = Mapping[str, Any] | Collection[int] | None

#: Values that stand for "inside" in a mask.
_MASK_VALUES = {1, 255}

#: An image with more labels holds objects, not classes.
_MOST_CLASSES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """One comparison.

    Parameters
    ----------
    name : str
        What it is called in the scores.
    truth_values, prediction_values : tuple of int
        Labels that count as foreground on each side.
    """

    name: str
    truth_values: Values
    prediction_values: Values

    def masks(
        self, truth: NDArray[Any], prediction: NDArray[Any], ignored: Mask | None
    ) -> tuple[Mask, Mask, Mask | None]:
        """The foreground of both sides in one slice, and the ignored voxels as they came."""
        return (
            _mask_of(truth, self.truth_values),
            _mask_of(prediction, self.prediction_values),
            ignored,
        )


def _mask_of(plane: NDArray[Any], values: Values) -> Mask:
    # a few comparisons are many times faster than a search for each voxel
    mask = np.zeros(plane.shape, np.bool_)
    for value in values:
        mask |= plane == value
    return mask


def as_classes(
    labels: Labels, tables: list[ContingencyTable], names: Mapping[int, str]
) -> tuple[ClassPair, ...]:
    """The comparisons that `labels` asks for, or those that the images suggest.

    Parameters
    ----------
    labels : mapping, collection of int or None
        As in `helaseg.metrics.evaluate`.
    tables : list of ContingencyTable
        Which labels occur, slice by slice.
    names : mapping of int to str
        Names of labels.

    Raises
    ------
    ParameterError
        Labels of the wrong form, none at all, or nothing to tell them from.
    """
    if labels is None:
        return _suggest_classes(tables, names)
    if isinstance(labels, Mapping):
        pairs = tuple(_as_class(str(name), values) for name, values in labels.items())
    else:
        values = _as_values("labels", labels)
        pairs = tuple(_same(names.get(v, f"label {v}"), (v,)) for v in values)
    if not pairs:
        msg = "'labels' must name at least one label, got none; omit it to compare all"
        raise ParameterError(msg)
    return pairs


def _same(name: str, values: Values) -> ClassPair:
    return ClassPair(name=name, truth_values=values, prediction_values=values)


def _as_class(name: str, value: Any) -> ClassPair:
    key = f"labels[{name!r}]"
    if not isinstance(value, tuple):
        return _same(name, _as_values(key, value))
    if len(value) != 2:
        msg = (
            f"'{key}' must be a pair (labels of the truth, labels of the prediction), got "
            f"{value!r}; join labels with a list"
        )
        raise ParameterError(msg)
    return ClassPair(
        name=name,
        truth_values=_as_values(key, value[0]),
        prediction_values=_as_values(key, value[1]),
    )


def _is_int(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _as_values(name: str, value: Any) -> Values:
    values = (value,) if _is_int(value) else tuple(value) if np.iterable(value) else ()
    if not values or not all(_is_int(v) and v >= 0 for v in values):
        msg = (
            f"'{name}' must be a label, a list of labels, or a pair of such for truth and "
            f"prediction, all integers from 0, got {value!r}"
        )
        raise ParameterError(msg)
    return tuple(int(v) for v in values)


def _suggest_classes(
    tables: list[ContingencyTable], names: Mapping[int, str]
) -> tuple[ClassPair, ...]:
    in_truth = _occurring([t.truth_labels for t in tables])
    in_prediction = _occurring([t.prediction_labels for t in tables])
    both = tuple(sorted({*in_truth, *in_prediction}))
    masks = [len(v) <= 1 and set(v) <= _MASK_VALUES for v in (in_truth, in_prediction)]
    if all(masks):
        name = next((names[v] for v in both if v in names), "foreground")
        return (ClassPair(name=name, truth_values=in_truth, prediction_values=in_prediction),)
    for is_mask, mask, other in zip(
        masks, (in_truth, in_prediction), (in_prediction, in_truth), strict=True
    ):
        if is_mask and mask == (255,) and 255 not in other:
            msg = (
                f"expected two masks or two class images, got labels {in_truth} in the truth and "
                f"{in_prediction} in the prediction; score both as masks (--foreground, in Python "
                "labels={'nucleus': (255, [2, 3])} with the labels that are meant)"
            )
            raise ParameterError(msg)
    if len(both) > _MOST_CLASSES:
        msg = (
            f"expected at most {_MOST_CLASSES} classes, got {len(both)} labels; compare objects "
            "with helaseg.metrics.match_instances or choose classes with labels=[...]"
        )
        raise ParameterError(msg)
    return tuple(_same(names.get(v, f"label {v}"), (v,)) for v in both)


def _occurring(labels: list[NDArray[np.uint32]]) -> Values:
    found = np.unique(np.concatenate(labels)) if labels else np.empty(0, np.uint32)
    return tuple(int(v) for v in found if v > 0)
