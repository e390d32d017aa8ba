"""The working type uint8: one rule for images of other types."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.volume import Sliceable, Volume
from helaseg.errors import DataFormatError, ParameterError
from helaseg.io.lazy import LazyArray, as_slice
from helaseg.io.sampling import sample_slices

_PERCENTILES = (0.1, 99.9)
_log = logging.getLogger(__name__)


class ScaledArray(LazyArray):
    """Grey values of another array as uint8.

    Parameters
    ----------
    base : sliceable
        The array as it is on disk.
    limits : tuple of float
        Values that become 0 and 255; what lies beyond is clipped.
    name : str
        Name of the volume, for messages.
    slice_numbers : tuple of int
        Number of each slice in its source, for messages.
    """

    def __init__(
        self,
        base: Sliceable,
        *,
        limits: tuple[float, float],
        name: str,
        slice_numbers: tuple[int, ...] = (),
    ) -> None:
        super().__init__(shape=tuple(base.shape), dtype=np.uint8)  # type: ignore[arg-type]
        self.base = base
        self.chunk_depth = getattr(base, "chunk_depth", 1)
        self.limits = limits
        self.name = name
        self.slice_numbers = slice_numbers

    def source_of(self, z: int) -> str:
        """The file that holds a slice."""
        return _file_of(self.base, z)

    def _read(self, zs: range, ys: range, xs: range, out: NDArray[Any]) -> None:
        # Slice by slice: a float copy of a whole box would be four times its size.
        for plane, z in zip(out, zs, strict=True):
            values = np.asarray(self.base[z, as_slice(ys), as_slice(xs)])
            check_finite(values, z, self.base, self.name, self.slice_numbers)
            _scale(values, self.limits, plane)


def to_uint8(volume: Volume, *, limits: tuple[float, float] | None = None) -> Volume:
    """The volume in the working type; voxels are converted when they are read.

    Parameters
    ----------
    volume : Volume
        Grey values of any integer or float type.
    limits : tuple of two floats, optional
        Grey values that become 0 and 255. By default they come from the rule
        below.

    Returns
    -------
    Volume
        The volume itself if it is uint8 and no limits are given. Else its data
        have an attribute `limits`, its name states them, and a log record is made.

    Raises
    ------
    DataFormatError
        If a slice holds NaN or infinity: in the sample at once, in other slices
        when they are read. The message names volume, slice and file.
    ParameterError
        If the second limit does not lie above the first.

    Notes
    -----
    1. Sample: 16 slices evenly from the first to the last (all if there are
       fewer), of each every k-th row and column with the smallest k that keeps
       at most 65536 pixels. Slices whose sample is constant (blank slices) are
       left out unless all are.
    2. Limits: the 0.1 and 99.9 percentile of the sample; if they are equal, its
       lowest and highest value. Bools have the limits 0 and 1.
    3. A value v becomes ``round(255 (v - low) / (high - low))``, clipped to 0 and
       255. If all of the sample has one value, that value and what lies below
       become 0, what lies above 255.
    """
    dtype = np.dtype(volume.data.dtype)
    if limits is None:
        if dtype == np.uint8:
            return volume
        low, high = _limits_of(volume)
    else:
        low, high = (float(v) for v in limits)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            msg = f"'limits' must be two finite numbers in growing order, got {limits!r}"
            raise ParameterError(msg)
    _log.info("%s: %s grey values %g to %g become 0 to 255", volume.name, dtype.name, low, high)
    data = ScaledArray(
        volume.data,
        limits=(low, high),
        name=volume.name,
        slice_numbers=volume.slice_numbers,
    )
    return Volume(
        data=data,
        grid=volume.grid,
        name=f"{volume.name} ({dtype.name} {low:g} to {high:g} as uint8)",
        slice_numbers=volume.slice_numbers,
    )


def check_finite(
    values: NDArray[Any],
    z: int,
    data: Sliceable,
    name: str,
    slice_numbers: tuple[int, ...] = (),
) -> None:
    """Refuse a slice with NaN or infinity.

    Raises
    ------
    DataFormatError
        Naming volume, slice and file.
    """
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    number = slice_numbers[z] if z < len(slice_numbers) else z
    file = _file_of(data, z)
    where = f"slice {number} of {name}" + (f" ({file})" if file else "")
    n = int(values.size - np.count_nonzero(np.isfinite(values)))
    msg = f"{where} holds NaN or infinity in {n} pixels; replace them by grey values first"
    raise DataFormatError(msg)


def _file_of(data: Sliceable, z: int) -> str:
    return str(data.source_of(z)) if isinstance(data, LazyArray) else ""


def _limits_of(volume: Volume) -> tuple[float, float]:
    if np.dtype(volume.data.dtype) == bool:
        return 0.0, 1.0
    parts = []
    for z, values in sample_slices(volume.data, n_slices=16, n_pixels=65536):
        check_finite(values, z, volume.data, volume.name, volume.slice_numbers)
        parts.append(values.ravel())
    if not parts:
        return 0.0, 0.0
    told = [p for p in parts if p.min() != p.max()]
    sample = np.concatenate(told or parts).astype(np.float64)
    low, high = (float(v) for v in np.percentile(sample, _PERCENTILES))
    if low == high:
        low, high = float(sample.min()), float(sample.max())
    return low, high


def _scale(values: NDArray[Any], limits: tuple[float, float], out: NDArray[np.uint8]) -> None:
    low, high = limits
    if low == high:
        np.multiply(values > low, np.uint8(255), out=out, casting="unsafe")
        return
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        # Few values: a table gives the same result and spares the float copy.
        info = np.iinfo(values.dtype)
        table = np.empty(int(info.max) - int(info.min) + 1, np.uint8)
        _scale(np.arange(int(info.min), int(info.max) + 1, dtype=np.float64), limits, table)
        if info.min:
            # Negative values count from the end of the table.
            table = np.roll(table, int(info.min))
        np.take(table, values, out=out, mode="wrap")
        return
    scaled = values.astype(np.float64)
    scaled -= low
    scaled *= 255.0 / (high - low)
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0.0, 255.0, out=scaled)
    out[...] = scaled
