"""One foreground of images from anywhere: masks, classes, objects, probabilities."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.core.results import CLASS_NAMES
from helaseg.core.volume import LabelVolume, Sliceable, Volume
from helaseg.deep.labels import NucleusPart
from helaseg.errors import DataFormatError, ParameterError
from helaseg.io.lazy import LazyArray, as_slice
from helaseg.io.mask_values import AboveArray, is_soft_mask, read_mask_values
from helaseg.metrics import contingency_table

#: Names of the classes (of `CLASS_NAMES`) that make up each part; of the envelope the nucleus
#: has the inner half only.
PARTS = {
    "nucleus": ("nucleus", "nuclear envelope"),
    "envelope": ("nuclear envelope",),
    "cytoplasm": ("cytoplasm",),
    "cell": ("cytoplasm", "nucleus", "nuclear envelope"),
}


class SlicesThrough(LazyArray):
    """Slices of another volume at their places, passed through a function; one value elsewhere."""

    def __init__(
        self,
        base: Sliceable,
        *,
        depth: int,
        places: Mapping[int, int],
        convert: Callable[[NDArray[Any]], NDArray[Any]],
        dtype: Any,
        elsewhere: int = 0,
    ) -> None:
        super().__init__(shape=(depth, *base.shape[1:]), dtype=dtype)  # type: ignore[arg-type]
        self.base, self.places = base, dict(places)
        self.convert, self.elsewhere = convert, elsewhere

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        for plane, z in zip(out, zs, strict=True):
            if z in self.places:
                values = np.asarray(self.base[self.places[z], as_slice(ys), as_slice(xs)])
                plane[...] = self.convert(values)
            else:
                plane.fill(self.elsewhere)


def only_slices(labels: LabelVolume, slices: Collection[int], *, elsewhere: int = 0) -> LabelVolume:
    """The same volume with one value in all other slices, which are not read."""
    data = SlicesThrough(
        labels.data,
        depth=labels.shape[0],
        places={z: z for z in slices},
        convert=np.asarray,
        dtype=labels.data.dtype,
        elsewhere=elsewhere,
    )
    return LabelVolume(data=data, grid=labels.grid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Choice of the foreground.

    Parameters
    ----------
    part : str, optional
        One of `PARTS`; tells the labels of class images.
    labels : tuple of int
        Labels of the foreground in images that are neither masks nor, with a part, class images
        with names.
    instances : bool
        Labels are objects; all of them are foreground.
    threshold : float
        Probabilities from here on are foreground.
    target_vx : tuple of float, optional
        A point in the object that is meant, z, y, x in voxels of the ROI: picks the label in
        images of several objects where nothing else does.
    """

    part: str | None = None
    labels: tuple[int, ...] = ()
    instances: bool = False
    threshold: float = 0.5
    target_vx: tuple[float, float, float] | None = None

    @property
    def subject(self) -> str:
        """Name of the compared objects."""
        if self.part is not None:
            return "nuclear envelope" if self.part == "envelope" else self.part
        if self.labels:
            return f"label {' and '.join(str(v) for v in self.labels)}"
        return "objects" if self.instances else "foreground"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreground:
    """One side of a comparison.

    Parameters
    ----------
    mask : LabelVolume
        0/1; slices that are not there are 0.
    objects : LabelVolume, optional
        Its labels, where they are objects.
    present : frozenset of int
        Slices with foreground; of probabilities it is not known beforehand and empty.
    note : str
        How the image was understood.
    """

    mask: LabelVolume
    objects: LabelVolume | None = None
    present: frozenset[int] = field(default=frozenset(), repr=False)
    note: str = ""


def as_foreground(
    name: str,
    volume: LabelVolume | Volume,
    choice: Choice,
    *,
    grid: Grid,
    places: Mapping[int, int],
) -> Foreground:
    """Bring an image to 0 and 1, by one reading of it.

    Parameters
    ----------
    name : str
        Of the image, for messages.
    volume : LabelVolume or Volume
        Mask, classes (a LabelVolume with their names), objects, or probabilities
        between 0 and 1 (floats).
    choice : Choice
        What counts as foreground.
    grid : Grid
        Of the result.
    places : mapping of int to int
        Which slice of the image stands at which slice of the grid.

    Raises
    ------
    ParameterError
        Several labels, and nothing says which of them are meant.
    DataFormatError
        Floats that are no probabilities.
    """

    def through(
        convert: Callable[[NDArray[Any]], NDArray[Any]],
        dtype: Any,
        *,
        base: Sliceable | None = None,
    ) -> LabelVolume:
        base = data if base is None else base
        through_slices = SlicesThrough(
            base, depth=grid.shape[0], places=places, convert=convert, dtype=dtype
        )
        return LabelVolume(data=through_slices, grid=grid)

    data = volume.data
    if np.dtype(volume.data.dtype).kind == "f":
        if choice.instances:
            msg = f"'{name}' must hold objects, it holds {volume.data.dtype}; give integer labels"
            raise DataFormatError(msg)
        note = f"{name}: probabilities, foreground from {choice.threshold:g} on"
        return Foreground(mask=through(_Threshold(name, choice.threshold), np.uint8), note=note)
    signed = ""
    if np.dtype(data.dtype).kind == "i" and any(np.min(data[k]) < 0 for k in places.values()):
        # Masks of signed bytes; other negative labels are refused there.
        reading = read_mask_values(data, name=name)
        data, signed = AboveArray(data, above=reading.above), reading.note
    found = {z: _labels_in(data, k) for z, k in places.items()}
    every = tuple(sorted(set().union(*found.values()))) if found else ()
    names = volume.names if isinstance(volume, LabelVolume) else {}
    if not (choice.instances or choice.labels or names) and is_soft_mask(data, set(every)):
        reading = read_mask_values(data, name=name)
        present = frozenset(z for z, labels in found.items() if max(labels | {0}) > reading.above)
        mask = through(_IsAbove(reading.above), np.uint8)
        return Foreground(mask=mask, present=present, note=reading.note)
    at_target = _label_at(data, places, choice.target_vx)
    values, note = _foreground_values(name, every, names, choice, at_target)
    present = frozenset(z for z, labels in found.items() if labels & set(values))
    if choice.part == "nucleus" and names == CLASS_NAMES:
        mask = through(_is_set, np.uint8, base=NucleusPart(data))
        note += " up to its midline"
    else:
        mask = through(_IsIn(values) if values != every else _is_set, np.uint8)
    objects = through(np.asarray, np.uint32) if choice.instances else None
    return Foreground(mask=mask, objects=objects, present=present, note=signed or f"{name}: {note}")


def _label_at(
    data: Sliceable, places: Mapping[int, int], point: tuple[float, float, float] | None
) -> int:
    """The label at a point; 0 if there is none, or the slice is not annotated."""
    if point is None:
        return 0
    z, y, x = (int(p + 0.5) for p in point)
    inside = z in places and 0 <= y < data.shape[1] and 0 <= x < data.shape[2]
    return int(np.asarray(data[places[z], y, x])) if inside else 0


def _foreground_values(
    name: str, every: tuple[int, ...], names: Mapping[int, str], choice: Choice, at_target: int
) -> tuple[tuple[int, ...], str]:
    """The labels that are foreground, and how the image was understood."""
    if choice.instances:
        return every, f"{len(every)} objects"
    is_class_image = bool(names) and choice.part is not None
    if not is_class_image and every in ((), (1,), (255,)):
        return every, f"a mask of 0 and {every[0]}" if every else "empty"
    if is_class_image:
        assert choice.part is not None
        values = tuple(v for v, word in names.items() if word in PARTS[choice.part])
        return values, f"a class image, label {', '.join(str(v) for v in values)}"
    if choice.labels:
        return choice.labels, f"label {', '.join(str(v) for v in choice.labels)}"
    if at_target:
        return (at_target,), f"{len(every)} objects, label {at_target} is at the target"
    lies = "" if choice.target_vx is None else "; the target lies on none of them"
    what = f"are the {choice.part}" if choice.part else "are meant"
    shown = ", ".join(str(v) for v in every[:8]) + (" ..." if len(every) > 8 else "")
    msg = (
        f"'{name}' must be a mask or say what it holds, it holds the labels {shown}{lies}; say "
        f"which of them {what} (labels=..., --labels), where the one is that is meant "
        "(target_vx=..., --target-vx), or that they are objects (instances=True, --instances)"
    )
    raise ParameterError(msg)


def _labels_in(data: Sliceable, z: int) -> set[int]:
    plane = np.asarray(data[z, :, :])
    return set(contingency_table(plane, plane).truth_labels.tolist()) - {0}


def _is_set(plane: NDArray[Any]) -> NDArray[np.bool_]:
    return plane != 0


@dataclass(frozen=True, slots=True)
class _IsIn:
    values: tuple[int, ...]

    def __call__(self, plane: NDArray[Any]) -> NDArray[np.bool_]:
        mask = np.zeros(plane.shape, np.bool_)
        for value in self.values:
            mask |= plane == value
        return mask


@dataclass(frozen=True, slots=True)
class _IsAbove:
    limit: int

    def __call__(self, plane: NDArray[Any]) -> NDArray[np.bool_]:
        return plane > self.limit


@dataclass(frozen=True, slots=True)
class _Threshold:
    name: str
    threshold: float

    def __call__(self, plane: NDArray[Any]) -> NDArray[np.bool_]:
        low, high = float(plane.min()), float(plane.max())
        if not (low >= 0 and high <= 1):  # also nan
            msg = (
                f"'{self.name}' must hold probabilities between 0 and 1 if it holds floats, got "
                f"{low:g} to {high:g}; write labels as integers"
            )
            raise DataFormatError(msg)
        return plane >= self.threshold
