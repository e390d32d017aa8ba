"""Foreground of a mask: 0/1, 0/255, signed bytes, soft edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.volume import Sliceable
from helaseg.errors import DataFormatError
from helaseg.io.lazy import LazyArray, as_slice

#: Of the upper half of the greys of a soft mask, this part lies on its plateau.
_PLATEAU = 0.3
#: Greys down to this part of the largest one are the plateau: JPEG leaves ripples on it.
_PLATEAU_GREY = 0.9
#: Objects have an inside. The greys between background and plateau of a soft mask are its rim:
#: at most this part of them has four neighbours of the same grey.
_INSIDE = 0.1
#: Masks have at least this range; smaller numbers are labels.
_LEAST_GREY = 16
#: Slices that are looked at for soft edges.
_N_SLICES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskReading:
    """Interpretation of an image as a mask.

    Parameters
    ----------
    above : int
        Greater values are foreground.
    note : str
        What was decided, if it is not the plain rule that everything but 0 is foreground.
    """

    above: int
    note: str = ""


def read_mask_values(data: Sliceable, *, name: str) -> MaskReading:
    """Decide which values of an image are foreground.

    Parameters
    ----------
    data : sliceable of integers, shape (Z, Y, X)
        The image.
    name : str
        For messages.

    Returns
    -------
    MaskReading

    Raises
    ------
    DataFormatError
        If it is not clear what is background.

    Notes
    -----
    1. Of two values the larger one is foreground: 0/1, 0/255, 1/2, also the signed
       bytes -128/-127 of IMOD. 0 and a negative value are refused.
    2. One value is background if it is 0, foreground if it is 1 or 255.
    3. Of more values the positive ones are foreground, and 0 must be one of them.
    4. Masks that were resized or stored as JPEG have greys between 0 and a plateau,
       on their rim alone. They are cut at half of the largest value. Labels of objects
       are distinguished from them by their inside.
    """
    values = set[int]()
    for z in range(data.shape[0]):
        values.update(int(v) for v in np.unique(np.asarray(data[z, :, :])))
    low, high = min(values), max(values)
    shown = ", ".join(str(v) for v in sorted(values)[:6]) + (" ..." if len(values) > 6 else "")
    if len(values) == 1 and low in (0, 1, 255):
        note = "" if low == 0 else f"{name} holds {low} everywhere: all of it is foreground"
        return MaskReading(above=0, note=note)
    if len(values) == 2 and high != 0:
        note = "" if low == 0 else f"{name} holds {shown}: {high} is foreground"
        return MaskReading(above=low, note=note)
    if len(values) == 1 or low != 0:
        msg = (
            f"{name} holds the values {shown}, none of which is clearly background; save it as a "
            "mask of 0 and 255"
        )
        raise DataFormatError(msg)
    if is_soft_mask(data, values):
        note = f"{name} is a mask with soft edges: values above {high // 2} are foreground"
        return MaskReading(above=high // 2, note=note)
    return MaskReading(above=0)


def is_soft_mask(data: Sliceable, values: set[int]) -> bool:
    """Return whether an image is a mask whose edges were blurred (rule 4 of `read_mask_values`).

    Parameters
    ----------
    data : sliceable of integers, shape (Z, Y, X)
        The image.
    values : set of int
        The values in it.
    """
    high = max(values, default=0)
    if len(values | {0}) < 3 or min(values) < 0 or high < _LEAST_GREY:
        return False
    between = values - {0, high}
    if len(between) == 1 and abs(2 * between.copy().pop() - high) > 2:
        return False  # a single grey on a rim is that of the middle
    n_upper = n_plateau = n_between = n_inside = 0
    n_z = data.shape[0]
    for z in sorted({round(float(k)) for k in np.linspace(0, n_z - 1, min(n_z, _N_SLICES))}):
        plane = np.asarray(data[z, :, :]).astype(np.int64)
        n_upper += int(np.count_nonzero(2 * plane > high))
        n_plateau += int(np.count_nonzero(plane >= _PLATEAU_GREY * high))
        rim = (plane > (1 - _PLATEAU_GREY) * high) & (plane < _PLATEAU_GREY * high)
        n_between += int(np.count_nonzero(rim))
        n_inside += int(np.count_nonzero(rim & _has_equal_neighbours(plane)))
    return n_plateau >= _PLATEAU * max(1, n_upper) and n_inside <= _INSIDE * n_between


def _has_equal_neighbours(plane: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels whose four neighbours in the slice have the same value."""
    framed = np.pad(plane, 1, mode="edge")
    middle = framed[1:-1, 1:-1]
    neighbours = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    return np.logical_and.reduce([middle == other for other in neighbours])


class AboveArray(LazyArray):
    """One value where another volume is greater than a limit, 0 elsewhere.

    Parameters
    ----------
    base : sliceable, shape (Z, Y, X)
        The volume.
    above : int
        The limit.
    value : int
        What stands in the foreground, uint8.
    """

    def __init__(self, base: Sliceable, *, above: int, value: int = 1) -> None:
        super().__init__(shape=tuple(base.shape), dtype=np.uint8)  # type: ignore[arg-type]
        self.base, self.above, self.value = base, above, value
        self.chunk_depth = getattr(base, "chunk_depth", 1)

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        for plane, z in zip(out, zs, strict=True):
            values = np.asarray(self.base[z, as_slice(ys), as_slice(xs)])
            plane[...] = np.where(values > self.above, self.value, 0)
