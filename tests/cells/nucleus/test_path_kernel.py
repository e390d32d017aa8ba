"""The kernel of the cheapest path: compiled, as Python, and against a graph search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from helaseg._kernels import paths
from helaseg._kernels._jit import python_form


def find_path(function, cost, *, reach, bend, first=-1):
    rows, columns = cost.shape
    out = np.empty(rows, np.int32)
    back = np.empty(cost.shape, np.int16)
    function(cost, reach, bend, first, back, np.empty(columns), np.empty(columns), out)
    return out


def price(cost, path, *, bend, closed):
    moves = np.diff(path, append=path[:1] if closed else path[-1:])
    return cost[np.arange(len(path)), path].sum() + bend * (moves**2).sum()


def least_price(cost, *, reach, bend, first):
    """The same by Dijkstra; the path enters from a source and leaves to a sink."""
    rows, columns = cost.shape
    node = np.arange(rows * columns).reshape(rows, columns)
    source, sink = rows * columns, rows * columns + 1
    starts = range(columns) if first < 0 else [first]
    edges = [(source, node[0, j], cost[0, j] + 1e-9) for j in starts]
    for i in range(rows):
        for j in range(columns):
            for k in range(max(j - reach, 0), min(j + reach + 1, columns)):
                if i + 1 < rows:
                    edges.append((node[i, j], node[i + 1, k], cost[i + 1, k] + bend * (k - j) ** 2))
                elif first < 0 or k == first:
                    extra = bend * (k - j) ** 2 if first >= 0 else 0.0
                    edges.append((node[i, j], sink, extra + 1e-9))
    start, end, weight = map(np.array, zip(*edges, strict=True))
    # several edges may join a node to the sink; the smallest is the one that counts
    order = np.lexsort((weight, end, start))
    start, end, weight = start[order], end[order], weight[order]
    keep = np.append(True, (np.diff(start) != 0) | (np.diff(end) != 0))
    graph = coo_array((weight[keep], (start[keep], end[keep])), shape=(sink + 1, sink + 1))
    return dijkstra(graph.tocsr(), indices=source)[sink]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("first", [-1, 0, 3])
def test_cheapest_path_three_ways(seed, first):
    rng = np.random.default_rng(seed)
    cost = rng.random((12, 6)).astype(np.float32)
    reach, bend = 1 + seed % 2, (0.0, 0.1, 1.0)[seed % 3]
    path = find_path(paths.cheapest_path, cost, reach=reach, bend=bend, first=first)
    as_python = find_path(
        python_form(paths.cheapest_path), cost, reach=reach, bend=bend, first=first
    )
    np.testing.assert_array_equal(path, as_python)
    moves = np.abs(np.diff(path, append=path[:1])) if first >= 0 else np.abs(np.diff(path))
    assert moves.max() <= reach
    if first >= 0:
        assert path[0] == first
    want = least_price(cost, reach=reach, bend=bend, first=first)
    assert price(cost, path, bend=bend, closed=first >= 0) == pytest.approx(want, abs=1e-5)


def test_a_path_of_one_row_is_its_cheapest_column():
    cost = np.array([[3, 1, 2]], np.float32)
    assert find_path(paths.cheapest_path, cost, reach=1, bend=0.1).tolist() == [1]
    assert find_path(paths.cheapest_path, cost, reach=1, bend=0.1, first=2).tolist() == [2]
