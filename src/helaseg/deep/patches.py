"""Windows of a volume and their blending. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import as_int_zyx
from helaseg.errors import ParameterError

IntZYX = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisWindows:
    """Windows along one axis.

    Parameters
    ----------
    starts : tuple of int
        First voxel of each window's output; ascending.
    size : int
        Voxels of the output.
    halo : int
        Voxels that the input has more on either side.
    n : int
        Voxels of the axis. A window may end beyond it.
    weights : ndarray of float32, shape (windows, size)
        What each voxel of a window counts. Over all windows they sum to 1 at every voxel of
        the axis; beyond it they are 0.
    """

    starts: tuple[int, ...]
    size: int
    halo: int
    n: int
    weights: NDArray[np.float32]

    @property
    def is_tiling(self) -> bool:
        """Return whether no voxel lies in two windows."""
        return self.starts == tuple(range(0, self.n, self.size))

    def source(self, k: int) -> NDArray[np.int64]:
        """Voxels that window `k` reads, mirrored at the ends of the axis."""
        start = self.starts[k]
        return mirrored(np.arange(start - self.halo, start + self.size + self.halo), self.n)

    def target(self, k: int) -> slice:
        """Voxels of the axis that window `k` gives."""
        return slice(self.starts[k], min(self.starts[k] + self.size, self.n))


def axis_windows(
    n: int, *, size: int, overlap: int = 0, halo: int = 0, step: int = 1
) -> AxisWindows:
    """Windows that cover an axis, spread evenly.

    Parameters
    ----------
    n : int
        Voxels of the axis.
    size : int
        Voxels of the output of a window.
    overlap : int
        Least number of voxels that neighbouring outputs share.
    halo : int
        Voxels that the input of a window has more on either side.
    step : int
        Windows start at multiples of this. A network that halves its input sees it on a
        grid of this many voxels: on one grid, windows give what the whole volume gives.

    Returns
    -------
    AxisWindows
        One window if it holds the axis.

    Raises
    ------
    ParameterError
        If the axis is empty, or the overlap leaves no step between windows.

    Notes
    -----
    1. As few windows as cover the axis with this overlap, the first at its start, the last at
       its end or up to a step beyond, the others evenly between.
    2. Weights rise linearly from the ends of a window over `overlap` voxels, and are divided
       by their sum over all windows. Windows of a volume lie on a grid, so that the weight of a
       voxel is the product of those along z, y and x: no map of sums is needed.
    """
    if n < 1:
        msg = f"an axis to predict must have voxels, got {n}"
        raise ParameterError(msg)
    if overlap < 0 or (n > size and size - overlap < step) or overlap >= size:
        msg = (
            f"'overlap' must be at least 0 and leave {step} of the {size} voxels of a window, "
            f"got {overlap}"
        )
        raise ParameterError(msg)
    starts: tuple[int, ...] = (0,)
    if n > size:
        # All in steps: from window to window at most, to the last window, and of each.
        most, last = (size - overlap) // step, -(-(n - size) // step)
        count = -(-last // most)
        starts = tuple(step * round(last * k / count) for k in range(count + 1))
    ramp = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1))
    shape = np.minimum(ramp, overlap + 1).astype(np.float64)
    weights = np.zeros((len(starts), size))
    total = np.zeros(max(n, starts[-1] + size))
    for start in starts:
        total[start : start + size] += shape
    for k, start in enumerate(starts):
        weights[k] = shape / total[start : start + size]
        weights[k, max(0, n - start) :] = 0
    return AxisWindows(starts=starts, size=size, halo=halo, n=n, weights=weights.astype(np.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchPlan:
    """Windows of a volume: all combinations of those along z, y and x."""

    z: AxisWindows
    y: AxisWindows
    x: AxisWindows


def plan_patches(
    shape: Sequence[int],
    *,
    size: Sequence[int],
    overlap: Sequence[int] = (0, 0, 0),
    halo: Sequence[int] = (0, 0, 0),
    step: Sequence[int] = (1, 1, 1),
) -> PatchPlan:
    """Windows that cover a volume.

    Parameters
    ----------
    shape, size, overlap, halo, step : three int
        Of the volume, of the output of a window, shared by neighbours, what the input has
        more on either side, and what starts are multiples of; in voxels along z, y, x.

    Returns
    -------
    PatchPlan
        See `axis_windows`.
    """
    columns = zip(
        as_int_zyx("shape", shape),
        as_int_zyx("size", size),
        as_int_zyx("overlap", overlap),
        as_int_zyx("halo", halo),
        as_int_zyx("step", step),
        strict=True,
    )
    z, y, x = (axis_windows(n, size=s, overlap=o, halo=h, step=g) for n, s, o, h, g in columns)
    return PatchPlan(z=z, y=y, x=x)


def mirrored(index: NDArray[np.integer], n: int) -> NDArray[np.int64]:
    """Indices mirrored at the first and the last voxel, as often as it takes."""
    if n == 1:
        return np.zeros(index.shape, np.int64)
    place = np.mod(index, 2 * (n - 1))
    return np.where(place < n, place, 2 * (n - 1) - place).astype(np.int64)
