"""A phantom before it is drawn, whatever its shapes come from, and the table of its cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from helaseg._kernels.phantom import tally_slice
from helaseg._threads import n_threads
from helaseg.core.grid import Grid
from helaseg.execution import make_executor, ordered_map
from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.organelles import Organelles
from helaseg.synthetic.paint import BAND_ROWS, RenderedSlice
from helaseg.synthetic.textures import TextureConfig

#: The truths of a phantom.
TRUTHS = ("cell", "nucleus", "envelope", "mitochondria")
#: Memory of the slices that are drawn at the same time.
_MOST_BYTES = 1e9
#: Memory of drawing per pixel of a band: its depths and noise fields.
_DRAWING_BYTES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """All that is needed to draw a phantom slice by slice.

    Parameters
    ----------
    grid : Grid
        Its voxels.
    config : PhantomConfig or TextureConfig
        The settings.
    damaged : tuple of int
        Damaged and blank slices.
    n_cells : int
        Largest id of a cell.
    designs : mapping of int to (float, float)
        Half the in-plane diameter and half the height (nm) of each cell as
        designed; a cell that is not in it is measured.
    organelles : Organelles
        Its organelles.
    draw : callable
        ``draw(z, out)`` fills the arrays of `out` with slice `z`.
    in_order : bool
        Whether `draw` keeps what it needs for the next slice, so that slices must be drawn
        one after the other. Else any slice may be drawn at any time, by several threads.
    """

    grid: Grid
    config: PhantomConfig | TextureConfig
    damaged: tuple[int, ...]
    n_cells: int
    organelles: Organelles
    draw: Callable[[int, RenderedSlice], object]
    designs: dict[int, tuple[float, float]] = field(default_factory=dict)
    in_order: bool = False

    def empty_slice(self) -> RenderedSlice:
        """Arrays for one slice."""
        return RenderedSlice.empty(self.grid.shape[1:], self.organelles)


def draw_slices(
    drawing: Drawing, arrays_for: Callable[[int], RenderedSlice]
) -> Iterator[RenderedSlice]:
    """Draw all slices, several at the same time where their memory and the drawing allow it.

    Parameters
    ----------
    drawing : Drawing
        The phantom.
    arrays_for : callable
        ``arrays_for(z)`` gives the arrays that slice `z` is drawn into.

    Yields
    ------
    RenderedSlice
        In the order of z.
    """

    def draw(z: int) -> RenderedSlice:
        out = arrays_for(z)
        drawing.draw(z, out)
        return out

    n_workers = 1 if drawing.in_order else min(n_threads(), most_workers(drawing))
    with make_executor(f"threads:{n_workers}" if n_workers > 1 else "serial") as pool:
        yield from ordered_map(pool, draw, range(drawing.grid.shape[0]), window=n_workers)


def most_workers(drawing: Drawing) -> int:
    """Bound the number of slices in memory, with the memory that drawing takes."""
    _, n_y, n_x = drawing.grid.shape
    voxel = 7 + np.dtype(drawing.organelles.mitochondria_dtype).itemsize
    return max(1, int(_MOST_BYTES // (n_x * (n_y * voxel + BAND_ROWS * _DRAWING_BYTES))))


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDescription:
    """One cell of a phantom, measured on the truth.

    Parameters
    ----------
    id : int
        Its label in the truth.
    centroid_vx, centroid_nm : tuple of float
        Centre of mass z, y, x of its voxels; NaN if none lies in the volume.
    radius_nm : float
        Half its mean in-plane diameter as designed (from its largest slice where
        the shapes were given as labels).
    height_nm : float
        Half its height along z as designed (as found, for given labels).
    n_voxels, n_nucleus_voxels : int
        Voxels of the cell (with nucleus) and of the nucleus.
    first_slice, last_slice : int
        Slices that hold it; -1 if none does.
    complete : bool
        It has voxels and none of them lies on a face of the volume.
    has_nucleus : bool
        Part of its nucleus lies in the volume.
    """

    id: int
    centroid_vx: tuple[float, float, float]
    centroid_nm: tuple[float, float, float]
    radius_nm: float
    height_nm: float
    n_voxels: int
    n_nucleus_voxels: int
    first_slice: int
    last_slice: int
    complete: bool
    has_nucleus: bool


class CellTally:
    """Sums over the slices of a truth, from which the cells are described."""

    def __init__(self, drawing: Drawing) -> None:
        n = drawing.n_cells
        self._drawing = drawing
        self._voxels = np.zeros(n + 1)
        self._nucleus = np.zeros(n + 1)
        self._moments = np.zeros((3, n + 1))
        self._largest = np.zeros(n + 1)
        self._first = np.full(n + 1, -1)
        self._last = np.full(n + 1, -1)
        self._cut = np.zeros(n + 1, bool)

    def add(self, z: int, rendered: RenderedSlice) -> None:
        """Count one slice; slices come in rising order."""
        n = len(self._voxels)
        cell = rendered.cell
        counts = np.zeros(n)
        tally_slice(
            cell, rendered.nucleus, counts, self._nucleus, self._moments[1], self._moments[2]
        )
        self._voxels += counts
        self._moments[0] += z * counts
        np.maximum(self._largest, counts, out=self._largest)
        here = counts > 0
        self._first[here & (self._first < 0)] = z
        self._last[here] = z
        if z in (0, self._drawing.grid.shape[0] - 1):
            self._cut |= here
        for edge in (cell[0], cell[-1], cell[:, 0], cell[:, -1]):
            self._cut[np.unique(edge)] = True

    def describe(self) -> tuple[CellDescription, ...]:
        """The table of cells."""
        grid = self._drawing.grid
        found = []
        for ident in range(1, len(self._voxels)):
            voxels = int(self._voxels[ident])
            nothing = (math.nan,) * 3
            centre = self._moments[:, ident] / voxels if voxels else np.asarray(nothing)
            radius, height = self._drawing.designs.get(ident) or self._size_nm(ident)
            found.append(
                CellDescription(
                    id=ident,
                    centroid_vx=tuple(float(v) for v in centre),  # type: ignore[arg-type]
                    centroid_nm=tuple(float(v) for v in grid.to_nm(centre)),  # type: ignore[arg-type]
                    radius_nm=radius,
                    height_nm=height,
                    n_voxels=voxels,
                    n_nucleus_voxels=int(self._nucleus[ident]),
                    first_slice=int(self._first[ident]),
                    last_slice=int(self._last[ident]),
                    complete=bool(voxels and not self._cut[ident]),
                    has_nucleus=bool(self._nucleus[ident]),
                )
            )
        return tuple(found)

    def _size_nm(self, ident: int) -> tuple[float, float]:
        """Radius of the largest slice and half the height, as drawn."""
        grid = self._drawing.grid
        radius = math.sqrt(self._largest[ident] / math.pi) * grid.pixel_nm
        there = self._first[ident] >= 0
        n_slices = int(self._last[ident] - self._first[ident] + 1) if there else 0
        return radius, 0.5 * n_slices * grid.slice_nm
