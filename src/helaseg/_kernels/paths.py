"""Kernel of the cheapest path through a table of costs, one column per row.

Notes
-----
Preconditions: `cost` is C-contiguous float32 of at least one row and one column,
`back` int16 of the shape of `cost`, `total` and `fresh` float64 as long as a row,
`out` int32 as long as a column; ``reach >= 1``; ``first`` is a column or -1.
"""

from __future__ import annotations

import numpy as np

from helaseg._kernels._jit import kernel


@kernel
def _cheapest_before(total, j, reach, bend):
    """Column of the row above from which column j is reached at the least cost."""
    best, at = np.inf, j
    for k in range(max(j - reach, 0), min(j + reach + 1, len(total))):
        price = total[k] + bend * (k - j) * (k - j)
        if price < best:
            best, at = price, k
    return best, at


@kernel
def cheapest_path(cost, reach, bend, first, back, total, fresh, out):
    """Column of every row such that the sum of costs and bends is least.

    From row to row the path moves by at most `reach` columns, each move of d
    columns costs ``bend * d**2``. With ``first >= 0`` the path starts in that
    column and ends where one more move leads back to it: a closed path.
    """
    rows, columns = cost.shape
    for j in range(columns):
        total[j] = cost[0, j] if first < 0 or j == first else np.inf
    for i in range(1, rows):
        for j in range(columns):
            best, at = _cheapest_before(total, j, reach, bend)
            fresh[j] = best + cost[i, j]
            back[i, j] = at
        for j in range(columns):
            total[j] = fresh[j]
    if first >= 0:
        _, j = _cheapest_before(total, first, reach, bend)
    else:
        j = np.argmin(total)
    for i in range(rows - 1, 0, -1):
        out[i] = j
        j = back[i, j]
    out[0] = j
