"""Average Hausdorff distance of two shells: against k-d trees and distance transforms.

Ours starts from the masks. The peers are given the surface voxels for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import edt
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmarks.harness import Case, Peer, main
from helaseg.metrics import average_hausdorff_distance

SHAPES = {"tiny": (12, 40, 44), "full": (300, 1000, 1000)}


def shell(size: str, *, scale: float, seed: int) -> np.ndarray:
    """An ellipsoid with a rough surface, bool: about a million surface voxels at full size."""
    shape = SHAPES[size]
    rng = np.random.default_rng(seed)
    coarse = ndimage.gaussian_filter(rng.standard_normal([n // 8 + 2 for n in shape]), 2)
    coarse = (coarse / coarse.std()).astype(np.float32)
    z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    in_plane = (y[:, None] / 0.8) ** 2 + (x / 0.8) ** 2
    inside = np.empty(shape, bool)
    for k in range(shape[0]):
        below, part = divmod(k / 8, 1)
        rough = (1 - part) * coarse[int(below)] + part * coarse[int(below) + 1]
        rough = cv2.resize(rough.astype(np.float32), shape[:0:-1])
        inside[k] = np.sqrt(in_plane + (z[k] / 0.85) ** 2) + 0.008 * rough < scale
    return inside


def surface(mask: np.ndarray) -> np.ndarray:
    """Voxels with a neighbour outside, bool."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1, 1:-1] = (
        (mask[:-2, 1:-1, 1:-1] & mask[2:, 1:-1, 1:-1])
        & (mask[1:-1, :-2, 1:-1] & mask[1:-1, 2:, 1:-1])
        & (mask[1:-1, 1:-1, :-2] & mask[1:-1, 1:-1, 2:])
    )
    return mask & ~inner


class _Threads:
    """How many threads the k-d trees and the distance transforms use."""

    n = 1

    @classmethod
    def set(cls, n: int) -> None:
        cls.n = n


def _by_trees(points: list[np.ndarray], *, balanced: bool) -> Callable[[], float]:
    def call() -> float:
        trees = [cKDTree(p, balanced_tree=balanced, compact_nodes=balanced) for p in points]
        there = trees[1].query(points[0], workers=_Threads.n)[0]
        back = trees[0].query(points[1], workers=_Threads.n)[0]
        return float(there.mean() + back.mean()) / 2

    return call


def _by_transforms(surfaces: list[np.ndarray], spacing: tuple[float, ...]) -> Callable[[], float]:
    outside = [~s for s in surfaces]

    def mean(of: int, to: int) -> float:
        distance = edt.edt(outside[to], anisotropy=spacing, parallel=_Threads.n)
        return float(distance[surfaces[of]].mean(dtype=np.float64))

    return lambda: (mean(0, 1) + mean(1, 0)) / 2


def _check(ours: Any, theirs: Any) -> str:
    off = abs(ours - theirs) / ours
    assert off < 1e-6, (ours, theirs)
    return f"relative difference {off:.0e}"


def cases(size: str) -> Iterator[Case]:
    """Two shells, isotropic and with the spacing of the real slices."""
    masks = [shell(size, scale=1.0, seed=1), shell(size, scale=0.985, seed=2)]
    surfaces = [surface(mask) for mask in masks]
    voxels = [np.argwhere(s) for s in surfaces]
    n_bytes = 2 * masks[0].nbytes
    shape = " x ".join(map(str, SHAPES[size]))
    for spacing in ((1.0, 1.0, 1.0), (50.0, 10.0, 10.0)):
        points = [v * np.array(spacing) for v in voxels]
        given = "surface voxels given"
        yield Case(
            kernel="Average Hausdorff distance",
            data=f"two shells in {shape}, {len(points[0])} and {len(points[1])} surface voxels, "
            f"spacing {', '.join(f'{s:g}' for s in spacing)}",
            bytes_in=n_bytes,
            traffic=n_bytes,
            memory_bar=6.0,
            ours=lambda spacing=spacing: average_hausdorff_distance(
                *masks, spacing=spacing, mode="surface"
            ),
            peers=(
                Peer(
                    name="scipy cKDTree, unbalanced",
                    call=_by_trees(points, balanced=False),
                    threads=_Threads.set,
                    check=_check,
                    difference=given,
                    bar=2.0,
                ),
                Peer(
                    name="scipy cKDTree, balanced",
                    call=_by_trees(points, balanced=True),
                    threads=_Threads.set,
                    check=_check,
                    difference=given,
                    bar=2.0,
                ),
                Peer(
                    name="edt, two distance transforms",
                    call=_by_transforms(surfaces, spacing),
                    threads=_Threads.set,
                    check=_check,
                    difference=f"{given}; single precision",
                    bar=10.0,
                    pairs=3,
                ),
            ),
        )


if __name__ == "__main__":
    main(cases)
