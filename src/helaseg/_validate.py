"""Checks at the public door: each takes the parameter's name and says what came.

Below the door nothing is checked again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.errors import ParameterError


def as_zyx(name: str, value: Any, *, positive: bool = False) -> tuple[float, float, float]:
    """Three finite floats in the order z, y, x."""
    numbers = _as_floats(value)
    if len(numbers) != 3 or not all(math.isfinite(v) for v in numbers):
        msg = f"'{name}' must be three finite numbers (z, y, x), got {value!r}"
        raise ParameterError(msg)
    if positive and min(numbers) <= 0:
        msg = f"'{name}' must be positive in z, y and x, got {value!r}"
        raise ParameterError(msg)
    return numbers  # type: ignore[return-value]


def _as_floats(value: Any) -> tuple[float, ...]:
    """The numbers of a sequence; empty if one of them is not a number."""
    try:
        items = tuple(value)
        if isinstance(value, str) or any(isinstance(v, str | bytes) for v in items):
            return ()
        return tuple(float(v) for v in items)
    except (TypeError, ValueError, OverflowError):
        return ()


def as_int_zyx(name: str, value: Any) -> tuple[int, int, int]:
    """Three integers in the order z, y, x."""
    try:
        numbers = tuple(value)
        integers = tuple(int(v) for v in numbers)
    except (TypeError, ValueError, OverflowError):
        numbers, integers = (), ()
    if len(integers) != 3 or any(i != v for i, v in zip(integers, numbers, strict=True)):
        msg = f"'{name}' must be three integers (z, y, x), got {value!r}"
        raise ParameterError(msg)
    return integers  # type: ignore[return-value]


def as_array(
    name: str,
    value: Any,
    *,
    ndim: int | Iterable[int] = (2, 3),
    finite: bool = False,
) -> NDArray[Any]:
    """An ndarray of numbers or bools with one of the stated numbers of axes."""
    array = np.asarray(value)
    allowed = (ndim,) if isinstance(ndim, int) else tuple(ndim)
    if array.ndim not in allowed:
        axes = " or ".join(str(n) for n in allowed)
        msg = f"'{name}' must have {axes} axes, got shape {array.shape}"
        raise ParameterError(msg)
    if array.dtype.kind not in "buif":
        msg = f"'{name}' must hold bools, integers or floats, got dtype {array.dtype}"
        raise ParameterError(msg)
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        msg = f"'{name}' must be finite, it holds NaN or infinity"
        raise ParameterError(msg)
    return array


def as_mask(name: str, value: Any, *, ndim: int | Iterable[int] = (2, 3)) -> NDArray[np.bool_]:
    """A C-contiguous bool array; any non-zero value counts as True."""
    array = as_array(name, value, ndim=ndim)
    return np.ascontiguousarray(array if array.dtype == bool else array != 0)


def as_labels(name: str, value: Any, *, ndim: int | Iterable[int] = (2, 3)) -> NDArray[Any]:
    """An array of non-negative integers (bool counts as 0 and 1)."""
    array = as_array(name, value, ndim=ndim)
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype.kind not in "ui":
        msg = f"'{name}' must hold integer labels, got dtype {array.dtype}"
        raise ParameterError(msg)
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        msg = f"'{name}' must not hold negative labels, got {array.min()}"
        raise ParameterError(msg)
    return array


def check_shape_match(name: str, shape: tuple[int, ...], of: str, want: tuple[int, ...]) -> None:
    """Refuse an array whose shape differs from that of another one."""
    if tuple(shape) != tuple(want):
        msg = f"'{name}' must have the shape of '{of}' {tuple(want)}, got {tuple(shape)}"
        raise ParameterError(msg)


def check_positive(name: str, value: float, *, zero: bool = False) -> float:
    """A finite number above zero (or not below, with ``zero=True``)."""
    number = _as_floats((value,))
    if not number or not math.isfinite(number[0]) or value < 0 or (value == 0 and not zero):
        demand = "zero or positive" if zero else "positive"
        msg = f"'{name}' must be {demand}, got {value!r}"
        raise ParameterError(msg)
    return float(value)


def check_range(name: str, value: float, low: float, high: float) -> float:
    """A number between two bounds, both included."""
    number = _as_floats((value,))
    if not number or not low <= value <= high:
        msg = f"'{name}' must lie between {low} and {high}, got {value!r}"
        raise ParameterError(msg)
    return value


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """One of the listed values."""
    options = tuple(choices)
    if value not in options:
        listed = ", ".join(repr(c) for c in options)
        msg = f"'{name}' must be one of {listed}, got {value!r}"
        raise ParameterError(msg)
    return value


def as_spacing(name: str, value: Any, ndim: int) -> tuple[float, ...]:
    """Positive spacing per axis; None is 1 everywhere, one number serves all axes."""
    if value is None:
        return (1.0,) * ndim
    is_single = isinstance(value, int | float | np.number)
    numbers = _as_floats((value,)) * ndim if is_single else _as_floats(value)
    if len(numbers) != ndim or not all(math.isfinite(v) and v > 0 for v in numbers):
        msg = f"'{name}' must be one positive number or {ndim} of them, got {value!r}"
        raise ParameterError(msg)
    return numbers


def for_kernel(array: Any, dtype: Any = None) -> NDArray[Any]:
    """An aligned, C-contiguous view that nobody writes to, converted where it must be.

    A writable and a read-only array would each compile a kernel of their own.
    """
    view = np.require(array, dtype, ["C", "A"]).view()
    view.flags.writeable = False
    return view


def as_output(
    name: str, out: Any, shape: tuple[int, ...], dtype: Any, *, contiguous: bool = True
) -> NDArray[Any]:
    """A new array, or the caller's own if a kernel can write to it."""
    want = np.dtype(dtype)
    if out is None:
        return np.empty(shape, want)
    fits = (
        isinstance(out, np.ndarray)
        and out.shape == tuple(shape)
        and out.dtype == want
        and (out.flags.c_contiguous or not contiguous)
        and out.flags.writeable
    )
    if not fits:
        came = _described(out) if isinstance(out, np.ndarray) else type(out).__name__
        layout = "C-contiguous " if contiguous else ""
        msg = (
            f"'{name}' must be a writable {layout}{want} array of shape {tuple(shape)}, "
            f"got {came}; omit it to get a new array"
        )
        raise ParameterError(msg)
    return out


def _described(array: NDArray[Any]) -> str:
    """Dtype, shape and what keeps a kernel from writing to an array."""
    layout = "" if array.flags.c_contiguous else "not C-contiguous "
    access = "" if array.flags.writeable else "read-only "
    return f"{access}{layout}{array.dtype} {array.shape}"
