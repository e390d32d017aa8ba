"""Classes of a network in label images. Nothing here needs torch.

Sliceable images of 0 to 255: the part of a voxel that belongs to a class. They are read
slice by slice from the files.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from helaseg.core.results import CLASS_NAMES
from helaseg.core.volume import Sliceable
from helaseg.errors import DataFormatError, DoubtfulDataWarning
from helaseg.io.lazy import LazyArray, as_slice
from helaseg.io.mask_values import AboveArray, is_soft_mask, read_mask_values

Bytes = NDArray[np.uint8]
NUCLEUS, ENVELOPE, OTHER = 2, 3, 4
#: Classes that are made of several labels of a class image.
JOINED = {"cell": (1, NUCLEUS, ENVELOPE)}
#: Classes lie against each other, objects apart: this part of the borders between labels and
#: anything else must lie between two labels if they are to be classes.
TOUCHING = 0.1


class LabelPart(LazyArray):
    """255 where a label image has one of some values, 0 elsewhere.

    Parameters
    ----------
    base : sliceable of integers
        The labels.
    values : sequence of int
        Labels of the class; empty is every label but 0.
    inverse : bool
        255 everywhere else instead.
    """

    def __init__(self, base: Sliceable, values: Sequence[int], *, inverse: bool = False) -> None:
        super().__init__(shape=tuple(base.shape), dtype=np.uint8)  # type: ignore[arg-type]
        self.base = base
        self.values = tuple(values)
        self.inverse = inverse

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        for plane, z in zip(out, zs, strict=True):
            labels = np.asarray(self.base[z, as_slice(ys), as_slice(xs)])
            inside = np.isin(labels, self.values) if self.values else labels != 0
            plane[...] = np.where(inside != self.inverse, 255, 0)


class NucleusPart(LazyArray):
    """The nucleus up to the midline of its envelope, from a class image.

    The inner half of the envelope is what lies nearer to the nucleus than to anything else.
    """

    def __init__(self, base: Sliceable) -> None:
        super().__init__(shape=tuple(base.shape), dtype=np.uint8)  # type: ignore[arg-type]
        self.base = base

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        from helaseg.image import distance_transform

        for plane, z in zip(out, zs, strict=True):
            labels = np.asarray(self.base[z, :, :])
            inner = labels == NUCLEUS
            band = labels == ENVELOPE
            if band.any() and inner.any():
                away = distance_transform(~inner)
                rest = distance_transform(inner | band)
                inner = inner | (band & (away <= rest))
            plane[...] = np.where(inner[as_slice(ys), as_slice(xs)], 255, 0)


class VotePart(LazyArray):
    """Shares of votes, 0 to 1 as floats or 0 to 255, as 0 to 255."""

    def __init__(self, base: Sliceable) -> None:
        super().__init__(shape=tuple(base.shape), dtype=np.uint8)  # type: ignore[arg-type]
        self.base = base

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        for plane, z in zip(out, zs, strict=True):
            votes = np.asarray(self.base[z, as_slice(ys), as_slice(xs)])
            if votes.dtype.kind == "f":
                if not np.isfinite(votes).all() or votes.min() < 0 or votes.max() > 1:
                    came = f"{votes.min():g} to {votes.max():g}"
                    msg = f"votes must lie between 0 and 1, slice {z} has {came}"
                    raise DataFormatError(msg)
                votes = np.rint(votes * 255)
            elif votes.dtype != np.uint8:
                msg = f"votes must be floats between 0 and 1 or uint8, got {votes.dtype}"
                raise DataFormatError(msg)
            plane[...] = votes


def parts_of(
    labels: Sliceable,
    classes: Sequence[str],
    *,
    name: str,
    values: Mapping[str, Sequence[int]] | None = None,
    holds: Literal["classes", "objects"] | None = None,
) -> tuple[dict[str, Sliceable], Sliceable | None, str]:
    """The classes of a network in a label image.

    Parameters
    ----------
    labels : sliceable of integers, shape (Z, Y, X)
        A mask (one label), a class image (labels of `CLASS_NAMES`) or instances.
    classes : sequence of str
        Wanted, without the background of a softmax.
    name : str
        For messages.
    values : mapping of str to sequence of int, optional
        Labels of each class, where they are not those of `CLASS_NAMES`.
    holds : {"classes", "objects"}, optional
        Labels of `CLASS_NAMES`, or objects of the one class; judged by the image by default.

    Returns
    -------
    parts : dict of str to sliceable
        0 to 255 for each class.
    known : sliceable, or None
        0 where the image says nothing of the classes: in other cells, the nuclei of which
        a class image does not tell.
    note : str
        How the image was understood.

    Raises
    ------
    DataFormatError
        If a label stands for no class, the image for several of which it says nothing, or if
        its labels may be classes as well as objects.

    Notes
    -----
    Without `values` and `holds`: one label is a mask; labels beyond those of `CLASS_NAMES`
    are objects; labels that lie against each other are those of `CLASS_NAMES`. A few labels
    from 1 to 4 that lie apart may be either, and are refused. A mask with soft edges (it
    was resized, or stored as JPEG) is cut at half and warned of, see `read_mask_values`.
    """
    there = labels_in(labels, name=name)
    if values is None and is_soft_mask(labels, there):
        return _soft_mask(labels, classes, name=name, holds=holds)
    if values is not None:
        # A label that is in no list is background; a list without any label there is a typo.
        for one, wanted in values.items():
            if not there.intersection(wanted):
                msg = (
                    f"{name} has no label of {sorted(wanted)} for {one!r}, it has "
                    f"{_listed(there)}; correct the values"
                )
                raise DataFormatError(msg)
        told = "; ".join(f"{c} = {', '.join(map(str, v))}" for c, v in values.items())
        return {c: LabelPart(labels, values[c]) for c in classes if c in values}, None, told
    alike = len(there) <= 1 or max(there) > max(CLASS_NAMES)
    if holds == "objects" or (holds is None and alike):
        # A mask or instances say one thing.
        if len(classes) != 1:
            msg = (
                f"{name} holds {_listed(there)}, which says nothing of {', '.join(classes)}; train "
                "on one class, or give the labels of each"
            )
            raise DataFormatError(msg)
        kind = "objects" if len(there) > 1 else "a mask"
        return {classes[0]: LabelPart(labels, ())}, None, f"{kind}: every label is {classes[0]}"
    if holds is None and len(classes) == 1 and _share_touching(labels) < TOUCHING:
        msg = (
            f"{name} holds {_listed(there)}, which may be objects or the classes of labels.tif; "
            f"say --instances (in TOML: instances = true) if each is a {classes[0]}, or which "
            f"labels are (in TOML: values = {{ {classes[0]!r} = [{NUCLEUS}] }})"
        )
        raise DataFormatError(msg)
    numbers = {text: (n,) for n, text in CLASS_NAMES.items() if n} | JOINED
    parts: dict[str, Sliceable] = {}
    for one in classes:
        if one == "nucleus" and CLASS_NAMES[ENVELOPE] not in classes:
            parts[one] = NucleusPart(labels)
        elif one in numbers:
            parts[one] = LabelPart(labels, numbers[one])
    other = CLASS_NAMES[OTHER]
    known = None if other in classes else LabelPart(labels, (OTHER,), inverse=True)
    made = "; ".join(f"{c} = {_numbers_of(part)}" for c, part in parts.items())
    return parts, known, f"classes of labels.tif: {made}"


def _soft_mask(
    labels: Sliceable, classes: Sequence[str], *, name: str, holds: str | None
) -> tuple[dict[str, Sliceable], None, str]:
    """The one class of a mask with soft edges."""
    reading = read_mask_values(labels, name=name)
    if len(classes) != 1 or holds is not None:
        wanted = ", ".join(classes) if holds is None else f"{holds} of {classes[0]}"
        msg = (
            f"{reading.note}, {wanted} expected; resize labels without interpolation, and store "
            "them without loss"
        )
        raise DataFormatError(msg)
    warnings.warn(reading.note, DoubtfulDataWarning, stacklevel=3)
    part = AboveArray(labels, above=reading.above, value=255)
    return {classes[0]: part}, None, f"a mask with soft edges, cut above {reading.above}"


def _numbers_of(part: Sliceable) -> str:
    if isinstance(part, NucleusPart):
        return f"{NUCLEUS} and the inner half of {ENVELOPE}"
    assert isinstance(part, LabelPart)
    return ", ".join(map(str, part.values))


def _share_touching(labels: Sliceable) -> float:
    """Part of the borders in the slices that lies between two labels, not one and nothing."""
    n_between = n_borders = 0
    for z in range(labels.shape[0]):
        plane = np.asarray(labels[z, :, :])
        for here, there in ((plane[1:], plane[:-1]), (plane[:, 1:], plane[:, :-1])):
            differ = here != there
            n_borders += int(np.count_nonzero(differ))
            n_between += int(np.count_nonzero(differ & (here != 0) & (there != 0)))
    return n_between / max(1, n_borders)


def labels_in(labels: Sliceable, *, name: str) -> set[int]:
    """Find which labels occur, without 0.

    Raises
    ------
    DataFormatError
        If they are no integers, or negative.
    """
    if np.dtype(labels.dtype).kind not in "bui":
        msg = f"labels must be integers, {name} holds {labels.dtype}; give soft votes as votes"
        raise DataFormatError(msg)
    found: set[int] = set()
    for z in range(labels.shape[0]):
        plane = np.asarray(labels[z, :, :])
        if plane.dtype.kind == "i" and plane.min() < 0:
            msg = f"labels must not be negative, slice {z} of {name} has {plane.min()}"
            raise DataFormatError(msg)
        found.update(int(v) for v in np.unique(plane))
    return found - {0}


def _listed(there: set[int]) -> str:
    if not there:
        return "no label"
    some = ", ".join(str(v) for v in sorted(there)[:6])
    return f"the labels {some}" + (" and more" if len(there) > 6 else "")
