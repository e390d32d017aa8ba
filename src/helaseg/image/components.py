"""Connected components of a mask before they become an image, shared by labels and measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import labeling
from helaseg._threads import in_blocks, n_threads
from helaseg._validate import as_array, as_mask, check_choice, for_kernel
from helaseg.errors import ParameterError

_INT32_MAX = np.iinfo(np.int32).max
#: Pixels below which another thread does not pay.
_LEAST_PX = 1 << 19


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The components of a mask, numbered, as runs of bits.

    Parameters
    ----------
    shape : (depth, height, width)
    bits : (depth * height, K) uint64
        The mask, a bit per voxel.
    offsets : (depth * height + 1,) int64
        Runs before each row, and one.
    numbers : (R + 1,) uint32
        Component of each run; the first entry stands for the outside.
    n : int
        Number of components.
    """

    shape: tuple[int, int, int]
    bits: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    numbers: NDArray[np.uint32]
    n: int

    def paint(self, labels: NDArray[np.int32]) -> None:
        """Write the number of each voxel's component."""
        rows = self._rows(labels)

        def work(first: int, last: int) -> None:
            labeling.paint_runs(self.bits, self.offsets, self.numbers, first, last, rows)

        in_blocks(work, len(rows), least=_least_rows(self.shape))

    def mark(
        self,
        chosen: NDArray[np.bool_],
        out: NDArray[np.bool_],
        *,
        onto: NDArray[np.uint8] | None = None,
    ) -> None:
        """Make `out` True in the components ``chosen[number]``, and where `onto` is not 0."""
        rows = self._rows(out.view(np.uint8))
        below = None if onto is None else self._rows(onto)
        flags = chosen.view(np.uint8)

        def work(first: int, last: int) -> None:
            block = rows[first:last]
            if below is None:
                block.fill(0)
            else:
                np.not_equal(below[first:last], 0, out=block.view(bool))
            labeling.mark_runs(self.bits, self.offsets, self.numbers, flags, first, last, rows)

        in_blocks(work, len(rows), least=_least_rows(self.shape))

    def sizes(self) -> NDArray[np.int64]:
        """Voxels of each component, at the place of its number."""
        sizes = np.zeros(self.n + 1, np.int64)
        labeling.size_runs(self.bits, self.offsets, self.numbers, self.shape[2], sizes)
        return sizes

    def measure(self, counts: Any, moments: Any, bounds: Any) -> None:
        """Add the components to the table of regions (see `labeling.measure_runs`)."""
        _, height, width = self.shape
        labeling.measure_runs(
            self.bits, self.offsets, self.numbers, width, height, counts, moments, bounds
        )

    def _rows(self, array: NDArray[Any]) -> NDArray[Any]:
        depth, height, width = self.shape
        return array.reshape(depth * height, width)


def as_solid(name: str, mask: ArrayLike) -> NDArray[np.uint8]:
    """A C-contiguous 2-D or 3-D array of bytes, not 0 where the mask is True."""
    array = as_array(name, mask)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return as_mask(name, array).view(np.uint8)


def find_components(
    solid: NDArray[np.uint8], connectivity: int, *, holes: bool = False
) -> Components:
    """Number the components of a mask, or its holes.

    Parameters
    ----------
    solid : (H, W) or (D, H, W) uint8
        From `as_solid`.
    connectivity : int
        Largest number of axes in which two touching voxels differ by one.
    holes : bool
        Number those components of the background that do not touch the border.

    Notes
    -----
    Needs 1/8 byte per voxel and 4 bytes per run. Blocks of rows are packed and
    joined side by side, then the rows where they meet. Numbers follow the raster
    order whatever the blocks.
    """
    check_choice("connectivity", connectivity, range(1, solid.ndim + 1))
    depth, height, width = (1, *solid.shape)[-3:]
    shape = (depth, height, width)
    rows = for_kernel(solid.reshape(depth * height, width))
    least = _least_rows(shape)
    bits = np.empty((len(rows), width // 64 + 1), np.uint64)
    packed = bits.view(np.uint8)
    offsets = np.ones(len(rows) + 1, np.int64)

    def pack(first: int, last: int) -> None:
        labeling.pack_rows(rows, np.uint8(holes), first, last, packed, bits, offsets[1:])

    in_blocks(pack, len(rows), least=least)
    np.cumsum(offsets, out=offsets)
    parents = np.zeros(_check_run_count(int(offsets[-1]) - 1) + 1, np.uint32)
    border = _border_rows(shape, solid.ndim) if holes else np.zeros(len(rows), np.uint8)

    def join(first: int, last: int) -> tuple[int, int]:
        labeling.begin_runs(bits, offsets, width, border, first, last, parents)
        labeling.join_rows(
            bits, offsets, height, int(connectivity), first, last, first, last, parents
        )
        return first, last

    # Large blocks: what lies between them is joined by one thread.
    large = max(least, -(-len(rows) // n_threads()))
    for first, last in in_blocks(join, len(rows), least=large)[1:]:
        # Rows reach back one plane and one row at most.
        last = min(last, first + height + 1)
        labeling.join_rows(bits, offsets, height, int(connectivity), first, last, 0, first, parents)
    return Components(shape, bits, offsets, parents, int(labeling.number_runs(parents)))


def _border_rows(shape: tuple[int, int, int], ndim: int) -> NDArray[np.uint8]:
    """2 for the rows that lie on the border as a whole, 1 for those that only end there."""
    depth, height, _ = shape
    border = np.ones((depth, height), np.uint8)
    border[:, :1] = border[:, -1:] = 2
    if ndim == 3:
        border[:1] = border[-1:] = 2
    return border.reshape(-1)


def _least_rows(shape: tuple[int, int, int]) -> int:
    return max(1, _LEAST_PX // max(shape[2], 1))


def _check_run_count(n_runs: int) -> int:
    if n_runs >= _INT32_MAX:
        msg = (
            f"'mask' must have fewer than {_INT32_MAX} runs of foreground, got {n_runs}; "
            "label it in blocks"
        )
        raise ParameterError(msg)
    return n_runs
