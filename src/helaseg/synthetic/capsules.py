"""Tapered capsules, of which protrusions, folds and organelles are made.

A capsule is a row of 12 numbers, see `helaseg._kernels.phantom.draw_capsules`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
COLUMNS = 12


def chain(
    nodes: Table,
    radii: NDArray[np.float64],
    *,
    squash: float = 1.0,
    shear: tuple[float, float] = (0.0, 0.0),
) -> Table:
    """Capsules along a polyline, shape (m, 3), with a radius at each node."""
    rows = np.zeros((max(len(nodes) - 1, 1), COLUMNS))
    ends = nodes[1:] if len(nodes) > 1 else nodes
    starts = nodes[:-1] if len(nodes) > 1 else nodes
    rows[:, :3], rows[:, 3:6] = starts, ends
    rows[:, 6] = radii[:-1] if len(nodes) > 1 else radii
    rows[:, 7] = radii[1:] if len(nodes) > 1 else radii
    rows[:, 8] = squash
    rows[:, 9], rows[:, 10] = shear
    steps = np.linalg.norm(ends - starts, axis=1)
    rows[:, 11] = np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    return rows


def stack(tables: list[Table]) -> Table:
    """One table out of many, possibly none."""
    return np.concatenate(tables) if tables else np.zeros((0, COLUMNS))


def unit_vectors(rng: np.random.Generator, n: int) -> Table:
    """Random directions, even on the sphere, shape (n, 3)."""
    v = rng.normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)
