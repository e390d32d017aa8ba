"""Arrays whose slices are made when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceBySlice:
    """An array of three axes that is drawn slice by slice, on every access.

    Parameters
    ----------
    shape : tuple of int
        Voxels along z, y, x.
    dtype : numpy dtype
        Of every slice.
    draw : callable
        ``draw(z)`` gives slice z, shape (Y, X), as an array that nobody else changes.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    draw: Callable[[int], NDArray[Any]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole array, for `numpy.asarray`."""
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        keys = index if isinstance(index, tuple) else (index,)
        keys = keys + (slice(None),) * (3 - len(keys))
        z, rest = keys[0], keys[1:]
        if not isinstance(z, slice):
            return self.draw(range(self.shape[0])[int(z)])[rest]
        order = range(self.shape[0])[z]
        if not len(order):
            return np.empty((0, *self.shape[1:]), self.dtype)[(slice(None), *rest)]
        first = self.draw(order[0])[rest]
        out = np.empty((len(order), *first.shape), self.dtype)
        out[0] = first
        for k, number in enumerate(order[1:], start=1):
            out[k] = self.draw(number)[rest]
        return out
