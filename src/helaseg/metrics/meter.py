"""Surface distances of masks that come slice by slice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import surface as kernels
from helaseg._threads import in_blocks
from helaseg._validate import for_kernel
from helaseg.metrics.overlap import describe_empty

Mask = NDArray[np.bool_]
Points = NDArray[np.int32]
Distances = NDArray[np.float64]

#: Voxels and surface voxels below which a second thread does not pay.
_LEAST_VOXELS = 1 << 20
_LEAST_POINTS = 1 << 14
#: Surface voxels that are listed at once, before they are copied to their place.
_LIST_LENGTH = 1 << 16

VOXEL_METRIC = "average_hausdorff_distance_voxel"

#: What each metric makes of the distances of the truth's surface voxels to the
#: prediction's surface, and of those the other way round.
_FORMULAS: dict[str, Callable[[Distances, Distances], float]] = {
    "average_hausdorff_distance_truth_to_prediction": lambda there, back: float(there.mean()),
    "average_hausdorff_distance_surface": lambda there, back: float(
        (there.mean() + back.mean()) / 2
    ),
    "mean_surface_distance": lambda there, back: float(
        (there.sum() + back.sum()) / (there.size + back.size)
    ),
    "hausdorff_distance": lambda there, back: float(max(there.max(), back.max())),
    "hausdorff_distance_95": lambda there, back: percentile_distance(there, back, 95),
}

#: Every distance by its full name: what is averaged is part of the name.
DISTANCE_METRICS = (*_FORMULAS, VOXEL_METRIC)

#: What the value of each depends on beside the spacing.
DISTANCE_PARAMS: dict[str, dict[str, Any]] = {
    "average_hausdorff_distance_truth_to_prediction": {"mode": "truth_to_prediction"},
    "average_hausdorff_distance_surface": {"mode": "surface"},
    VOXEL_METRIC: {"mode": "voxel"},
    "mean_surface_distance": {},
    "hausdorff_distance": {"percentile": 100},
    "hausdorff_distance_95": {"percentile": 95},
}


#: What each boundary score makes of the shares of the prediction's and of the truth's
#: surface that lie close to the other one.
_BOUNDARY_FORMULAS: dict[str, Callable[[float, float], float]] = {
    "boundary_f": lambda precision, recall: (
        2 * precision * recall / (precision + recall) if precision + recall else 0.0
    ),
    "boundary_precision": lambda precision, recall: precision,
    "boundary_recall": lambda precision, recall: recall,
}

#: The side without which a boundary score means nothing; `boundary_f` needs one of the two.
_NEEDED = {"boundary_precision": "the prediction is empty", "boundary_recall": "the truth is empty"}


def percentile_distance(there: Distances, back: Distances, percentile: float) -> float:
    """The larger of the percentiles of both directions (linear between ranks)."""
    return float(max(np.percentile(there, percentile), np.percentile(back, percentile)))


class DistanceMeter:
    """Distances between two masks of which one slice after the other comes.

    Parameters
    ----------
    n_slices : int
        Slices to come; with one slice the masks are planes.
    spacing : (3,) tuple of float
        Distance between neighbouring voxels, z, y, x.
    has_ignore : bool
        Whether some voxels are left out.
    voxel : bool
        Whether the metric over all voxels is asked for; it takes a second
        round through the slices (`add_voxels`).

    Notes
    -----
    Call `measure`, or `add` for each slice in order, `finish`, then (with
    ``voxel=True``) `add_voxels` for each slice; then `score`. Beyond three slices of each mask
    only surface voxels are kept, some 40 bytes for each.
    """

    def __init__(
        self, *, n_slices: int, spacing: tuple[float, ...], has_ignore: bool, voxel: bool
    ) -> None:
        self._spacing = np.asarray(spacing, np.float64)
        self._is_plane = n_slices == 1
        self._open = (_Surface(n_slices), _Surface(n_slices))
        # The nearest voxel of a whole mask lies where the mask ends, be it at ignored voxels.
        self._closed = (_Surface(n_slices), _Surface(n_slices)) if voxel and has_ignore else None
        self._voxel = voxel
        self._trees: tuple[_Tree, _Tree] | None = None
        self._distances: tuple[Distances, Distances] | None = None
        self._sums = [0.0, 0.0]

    def add(self, truth: Mask, prediction: Mask, ignored: Mask | None) -> None:
        """Take in the next slice, C-contiguous arrays of shape (Y, X)."""
        for side, mask in enumerate((truth, prediction)):
            self._add_side(side, mask, ignored)

    def finish(self) -> None:
        """Close the surfaces and measure from each surface to the other."""
        trees = self._grow(self._open)
        if trees is not None:
            self._distances = (
                trees[1].distances(trees[0].points),
                trees[0].distances(trees[1].points),
            )
        if self._voxel and self._closed is not None:
            del trees  # large ones need not lie beside the next two
            trees = self._grow(self._closed)
        if self._voxel:
            self._trees = trees

    def add_voxels(self, z: int, truth: Mask, prediction: Mask, ignored: Mask | None) -> None:
        """Take in slice `z` once more, for the distances of all its voxels."""
        if self._trees is None:
            return
        for side, only in enumerate((truth & ~prediction, prediction & ~truth)):
            if ignored is not None:
                only &= ~ignored
            sources = _along_curve(_as_points(only, z), self._spacing)
            self._sums[side] += float(self._trees[1 - side].distances(sources).sum())

    @property
    def spacing(self) -> list[float]:
        """Distance between neighbouring voxels; of a plane y and x alone."""
        return [float(v) for v in self._spacing[1 if self._is_plane else 0 :]]

    def rescaled(self, factor: float) -> DistanceMeter:
        """The same finished measurement in another unit of length."""
        other = copy.copy(self)
        other._spacing = self._spacing * factor
        other._sums = [v * factor for v in self._sums]
        if self._distances is not None:
            there, back = self._distances
            other._distances = there * factor, back * factor
        return other

    def measure(self, slices: Sequence[tuple[Mask, Mask, Mask | None]]) -> None:
        """All steps at once, for slices that are at hand."""

        def add(start: int, stop: int) -> None:
            for side in range(start, stop):
                for truth, prediction, ignored in slices:
                    self._add_side(side, prediction if side else truth, ignored)

        n_voxels = sum(masks[0].size for masks in slices)
        in_blocks(add, 2, least=1 if n_voxels >= _LEAST_VOXELS else 2)
        self.finish()
        if self._voxel:
            for z, masks in enumerate(slices):
                self.add_voxels(z, *masks)

    def score(self, metric: str, *, percentile: float | None = None) -> tuple[float, str | None]:
        """The value of one of `DISTANCE_METRICS`, and why it has none.

        Parameters
        ----------
        metric : str
            Its name.
        percentile : float, optional
            In place of the maximum of ``"hausdorff_distance"``.

        Returns
        -------
        value : float
            In the unit of the spacing; nan when undefined.
        reason : str or None
            Why the value is nan.
        """
        n_truth, n_prediction = (side.n_inside for side in self._open)
        reason = describe_empty(n_truth == 0, n_prediction == 0)
        if reason is not None:
            return float("nan"), reason
        if metric == VOXEL_METRIC:
            return (self._sums[0] / n_truth + self._sums[1] / n_prediction) / 2, None
        if self._distances is None:
            return float("nan"), self._describe_bare()
        if percentile is not None:
            return percentile_distance(*self._distances, percentile), None
        return _FORMULAS[metric](*self._distances), None

    def boundary_score(self, kind: str, *, tolerance: float) -> tuple[float, str | None]:
        """A boundary score, and why it has none.

        Parameters
        ----------
        kind : str
            ``"boundary_f"``, ``"boundary_precision"`` or ``"boundary_recall"``.
        tolerance : float
            In the unit of the spacing.

        Returns
        -------
        value : float
            Between 0 and 1; 0 where all of a surface has no counterpart because the other
            side is empty, nan when undefined.
        reason : str or None
            Why the value is nan.
        """
        n_truth, n_prediction = (side.n_inside for side in self._open)
        empty = describe_empty(n_truth == 0, n_prediction == 0)
        if empty is not None:
            # One empty side is a total miss, which must not drop out of a mean as a nan would.
            undefined = n_truth == n_prediction or empty == _NEEDED.get(kind)
            return (float("nan"), empty) if undefined else (0.0, None)
        if self._distances is None:
            return float("nan"), self._describe_bare()
        # Distances are sums of squares under a root: a surface at the tolerance counts.
        limit = tolerance * (1 + 1e-9)
        recall, precision = (float((d <= limit).mean()) for d in self._distances)
        return _BOUNDARY_FORMULAS[kind](precision, recall), None

    def _describe_bare(self) -> str:
        bare = "truth" if self._open[0].n_surface == 0 else "prediction"
        return f"the {bare} touches no background outside the ignored voxels"

    def _add_side(self, side: int, mask: Mask, ignored: Mask | None) -> None:
        self._open[side].add(_as_state(mask, ignored, unknown=2))
        if self._closed is not None:
            self._closed[side].add(_as_state(mask, ignored, unknown=0))

    def _grow(self, sides: tuple[_Surface, _Surface]) -> tuple[_Tree, _Tree] | None:
        points = [side.finish() for side in sides]
        if not all(len(p) for p in points):
            return None

        def grow(start: int, stop: int) -> list[_Tree]:
            return [_Tree(p, self._spacing) for p in points[start:stop]]

        n_points = sum(len(p) for p in points)
        grown = in_blocks(grow, 2, least=1 if n_points >= _LEAST_POINTS else 2)
        truth, prediction = (tree for trees in grown for tree in trees)
        return truth, prediction


class _Surface:
    """Collects the surface voxels of a mask from its slices."""

    def __init__(self, n_slices: int) -> None:
        self._is_plane = n_slices == 1
        self._points: list[Points] = []
        self._above: NDArray[np.uint8] | None = None
        self._here: NDArray[np.uint8] | None = None
        self._z = 0
        self.n_inside = 0
        self.n_surface = 0

    def add(self, state: NDArray[np.uint8]) -> None:
        if self._here is not None:
            self._mark(below=state)
        self._above, self._here = self._here, state

    def finish(self) -> Points:
        if self._here is not None:
            self._mark(below=None)
        self._above = self._here = None
        if not self._points:
            return np.empty((0, 3), np.int32)
        points = np.concatenate(self._points)
        self._points = []
        return points

    def _mark(self, *, below: NDArray[np.uint8] | None) -> None:
        here = self._here
        assert here is not None
        above = self._beyond(here) if self._above is None else self._above
        below = self._beyond(here) if below is None else below
        height, width = here.shape
        listed = np.empty((max(width, min(here.size, _LIST_LENGTH)), 3), np.int32)
        row = 0
        while row < height:
            row, n_points, n_inside = kernels.list_surface(above, here, below, self._z, row, listed)
            self._points.append(listed[:n_points].copy())
            self.n_surface += n_points
            self.n_inside += n_inside
        self._z += 1

    def _beyond(self, here: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Background before the first and after the last slice, unless there is but one slice."""
        return here if self._is_plane else for_kernel(np.zeros_like(here))


class _Tree:
    """Points in Morton order, and boxes over them in levels of `FAN` children each."""

    def __init__(self, points: Points, spacing: Distances) -> None:
        self.points = _along_curve(points, spacing)
        n = -(-len(points) // kernels.FAN)
        self._leaves = np.empty((n, 3, kernels.FAN), np.int32)
        starts = [0]
        while n > 1 or len(starts) == 1:
            n = -(-n // kernels.FAN)
            starts.append(starts[-1] + n)
        self._starts = np.array(starts, np.int64)
        self._boxes = np.empty((starts[-1], 6, kernels.FAN), np.int32)
        kernels.build_tree(self.points, self._starts, self._leaves, self._boxes)
        self._spacing = spacing

    def distances(self, sources: Points) -> Distances:
        out = np.empty(len(sources), np.float64)

        def search(start: int, stop: int) -> None:
            kernels.nearest_distances(
                sources[start:stop],
                self._leaves,
                self._starts,
                self._boxes,
                self._spacing,
                out[start:stop],
            )

        in_blocks(search, len(sources), least=_LEAST_POINTS)
        return out


def _along_curve(points: Points, spacing: Distances) -> Points:
    """Points in Morton order: neighbours in the list are neighbours in space."""
    if not len(points):
        return points
    extent = float((points.max(axis=0) * spacing).max())
    # the coordinates of the curve have 21 bits
    unit = max(float(spacing.min()), extent / (2**21 - 1))
    keys = np.empty(len(points), np.uint64)
    kernels.order_keys(points, spacing / unit, keys)
    return np.ascontiguousarray(points[np.argsort(keys)])


def _as_state(mask: Mask, ignored: Mask | None, *, unknown: int) -> NDArray[np.uint8]:
    if ignored is None:
        return for_kernel(mask.view(np.uint8))
    state = mask.astype(np.uint8)
    state[ignored] = unknown
    return for_kernel(state)


def _as_points(mask: Mask, z: int) -> Points:
    flat = np.flatnonzero(mask)
    points = np.empty((flat.size, 3), np.int32)
    points[:, 0] = z
    points[:, 1] = flat // mask.shape[1] if flat.size else 0
    points[:, 2] = flat % mask.shape[1] if flat.size else 0
    return points
