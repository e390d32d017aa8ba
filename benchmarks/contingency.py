"""Contingency table of two label volumes: against numpy, fastremap and scikit-image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fastremap
import numpy as np
from skimage.metrics import contingency_table as skimage_table

from benchmarks.harness import Case, Peer, main
from helaseg.metrics import contingency_table

SHAPES = {"tiny": (6, 50, 60), "full": (300, 1000, 1000)}
#: Slices that scikit-image is given: with all of them its table takes more than 10 GB.
FEWER = 75


def few_labels(size: str) -> np.ndarray:
    """Five overlapping ellipsoids in background, uint32."""
    shape = SHAPES[size]
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    labels = np.zeros(shape, np.uint32)
    rng = np.random.default_rng(0)
    for value in range(1, 6):
        middle = rng.uniform(0.2, 0.8, 3) * shape
        radii = rng.uniform(0.2, 0.4, 3) * shape
        parts = [((i - m) / r) ** 2 for i, m, r in zip((z, y, x), middle, radii, strict=True)]
        labels[parts[0] + parts[1] + parts[2] < 1] = value
    return labels


def many_labels(size: str) -> np.ndarray:
    """Bent boxes of some 30 voxels, uint32: about 10,000 labels at full size."""
    shape, side = SHAPES[size], 31 if size == "full" else 9
    z, y, x = np.indices(shape, dtype=np.int32, sparse=True)
    bends = (
        (6 * np.sin(y / 17) + 5 * np.sin(x / 23)).astype(np.int32),
        (7 * np.sin(z / 13) + 5 * np.sin(x / 19)).astype(np.int32),
        (7 * np.sin(z / 11) + 6 * np.sin(y / 21)).astype(np.int32),
    )
    labels = np.zeros(shape, np.uint32)
    for place, bend, n in zip((z, y, x), bends, shape, strict=True):
        labels *= np.uint32((n + 24) // side + 1)
        labels += ((place + bend + 12) // side).astype(np.uint32)
    return labels


def _joined(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, int]:
    """One number per pair, in 32 bits where they do: that is fastest for the peers."""
    n = int(b.max()) + 1
    kind = np.uint32 if (int(a.max()) + 1) * n < 2**32 else np.uint64
    joined = a.astype(kind)
    joined *= kind(n)
    joined += b
    return joined.reshape(-1), n


def _by_unique(unique: Callable[..., Any], a: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
    def call() -> Any:
        joined, n = _joined(a, b)
        pairs, counts = unique(joined, return_counts=True)
        return *np.divmod(pairs, n), counts

    return call


def _by_bincount(a: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
    def call() -> Any:
        joined, n = _joined(a, b)
        counts = np.bincount(joined)
        pairs = np.flatnonzero(counts)
        return *np.divmod(pairs, n), counts[pairs]

    return call


def _by_skimage(a: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
    def call() -> Any:
        table = skimage_table(a, b).tocoo()
        order = np.lexsort((table.col, table.row))
        return table.row[order], table.col[order], table.data[order]

    return call


def _check(ours: Any, theirs: Any) -> str:
    for mine, other in zip(
        (ours.truth_labels, ours.prediction_labels, ours.counts), theirs, strict=True
    ):
        np.testing.assert_array_equal(mine, other)
    return f"identical, {len(ours)} pairs"


def cases(size: str) -> Iterator[Case]:
    """Few labels and many, each against a moved copy of itself."""
    for name, make in (("few labels", few_labels), ("10,000 labels", many_labels)):
        truth = make(size)
        prediction = np.roll(truth, (1, 4, 3), (0, 1, 2))
        for n_slices in (truth.shape[0], min(FEWER, truth.shape[0] - 1)):
            a, b = truth[:n_slices], prediction[:n_slices]
            shape = " x ".join(map(str, a.shape))
            whole = n_slices == truth.shape[0]
            fastest = (
                Peer(name="np.bincount", call=_by_bincount(a, b), check=_check, bar=2.0),
                Peer(name="np.unique", call=_by_unique(np.unique, a, b), check=_check, bar=2.0),
                Peer(
                    name="fastremap.unique",
                    call=_by_unique(fastremap.unique, a, b),
                    check=_check,
                    bar=2.0,
                ),
            )
            sparse = Peer(
                name="scikit-image contingency_table",
                call=_by_skimage(a, b),
                check=_check,
                bar=12.0,
            )
            yield Case(
                kernel="Contingency table",
                data=f"two uint32 volumes {shape}, {name}",
                bytes_in=2 * a.nbytes,
                traffic=2 * a.nbytes,
                ours=lambda a=a, b=b: contingency_table(a, b),
                peers=fastest if whole else (sparse,),
            )


if __name__ == "__main__":
    main(cases)
