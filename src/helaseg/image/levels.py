"""Integer levels in the order of an image's values, for the queues of the watershed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import ranks, watershed
from helaseg._threads import in_blocks
from helaseg._validate import for_kernel
from helaseg.errors import ParameterError

#: Voxels that are converted at a time, so that temporaries stay small.
PART_VX = 1 << 16
#: Numbers from which a table of all possible ones pays for ranking them.
_TABLE_FROM_VX = 1 << 16
#: Numbers below which another thread does not pay.
_LEAST_VX = 1 << 19


def write_levels(
    values: NDArray[Any], inside: NDArray[np.bool_] | None, levels: NDArray[np.int32]
) -> int:
    """Write integers in the order of the values, and return how many levels there are.

    Parameters
    ----------
    values : array of bools, integers or floats
    inside : bool array of the same shape, optional
        C-contiguous; voxels where it is False get level -1.
    levels : (N,) int32, out
        The value less the smallest where integers span few values, else the rank
        among the distinct values inside. N is the number of values.

    Raises
    ------
    ParameterError
        NaN inside the mask.
    """
    flat = values.reshape(-1)
    if flat.dtype == bool:
        flat = flat.view(np.uint8)
    where = None if inside is None else for_kernel(inside.reshape(-1).view(np.uint8))
    if flat.dtype.kind in "ui":
        low = flat.min()
        span = int(flat.max()) - int(low)
        if span < max(65_536, flat.size):
            # modular arithmetic: the true difference fits, whatever the values are
            np.copyto(levels, flat, casting="unsafe")
            np.subtract(levels, low.astype(np.int32), out=levels)
            if where is not None:
                watershed.leave_out(levels, where)
            return span + 1
    if flat.size >= _TABLE_FROM_VX:
        n_levels = _rank_by_table(flat, where, levels)
        if n_levels is not None:
            return n_levels
    return _rank_by_sorting(flat, where, levels)


def _parts(start: int, stop: int) -> list[slice]:
    return [slice(first, min(first + PART_VX, stop)) for first in range(start, stop, PART_VX)]


def _rank_by_table(
    values: NDArray[Any], inside: NDArray[np.uint8] | None, levels: NDArray[np.int32]
) -> int | None:
    """Write ranks found in a table with a bit for each float32.

    None where the table would be large or float32 cannot tell two values apart.
    """
    keys = levels.view(np.uint32)
    everywhere = for_kernel(np.ones(PART_VX, dtype=np.uint8))

    def make_keys(start: int, stop: int) -> int:
        n_nan = 0
        for part in _parts(start, stop):
            with np.errstate(over="ignore"):
                numbers = np.ascontiguousarray(values[part], dtype=np.float32)
            where = everywhere[: numbers.size] if inside is None else inside[part]
            n_nan += ranks.float_keys(for_kernel(numbers.view(np.uint32)), where, keys[part])
        return n_nan

    if sum(in_blocks(make_keys, values.size, least=_LEAST_VX)):
        raise _nan_error()
    pages = np.full(1 << (32 - ranks.PAGE_BITS), -1, dtype=np.int32)
    words_per_page = ranks.WORDS_PER_PAGE
    bits = np.zeros(values.size // words_per_page * words_per_page, dtype=np.uint64)
    n_pages = ranks.mark_keys(keys, pages, bits)
    if n_pages < 0:
        return None
    before = np.empty(n_pages * words_per_page, dtype=np.int32)
    n_levels = int(ranks.count_keys(pages, bits, before))

    def look_up(start: int, stop: int) -> None:
        ranks.look_up(keys[start:stop], pages, bits, before, levels[start:stop])

    in_blocks(look_up, values.size, least=_LEAST_VX)
    if values.dtype.kind == "f" and values.dtype.itemsize <= 4:
        return n_levels
    seen = np.zeros(n_levels, dtype=np.uint8)
    first = np.empty(n_levels, dtype=np.uint64)
    for part in _parts(0, values.size):
        if not ranks.keys_agree(_ordered_keys(values[part]), levels[part], seen, first):
            return None
    return n_levels


def _rank_by_sorting(
    values: NDArray[Any], inside: NDArray[np.uint8] | None, levels: NDArray[np.int32]
) -> int:
    """Write ranks found by sorting."""
    used = values if inside is None else values[inside.view(bool)]
    if used.dtype.kind == "f" and np.isnan(used).any():
        raise _nan_error()
    keys = np.empty(used.size, dtype=np.uint64)
    for part in _parts(0, used.size):
        keys[part] = _ordered_keys(used[part])
    del used
    order = np.empty(keys.size, dtype=np.int32)
    if inside is None:
        return int(ranks.sort_ranks(keys, order, levels))
    found = np.empty(keys.size, dtype=np.int32)
    n_levels = int(ranks.sort_ranks(keys, order, found))
    levels.fill(-1)
    levels[inside.view(bool)] = found
    return n_levels


def _nan_error() -> ParameterError:
    msg = "'priority' must not hold NaN inside the mask; exclude those voxels with 'mask'"
    return ParameterError(msg)


def _ordered_keys(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Unsigned integers in the order of the values."""
    sign = np.uint64(1 << 63)
    if values.dtype.kind == "u":
        return values.astype(np.uint64)
    if values.dtype.kind == "i":
        return values.astype(np.int64).view(np.uint64) ^ sign
    # + 0 makes -0 and 0 the same; then the bits of positive floats are in order,
    # those of negative ones in reverse
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    return np.where(bits & sign, ~bits, bits | sign)
