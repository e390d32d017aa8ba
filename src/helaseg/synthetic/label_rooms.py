"""Room for organelles in labelled cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from helaseg.core.volume import LabelVolume
from helaseg.image.distance import distance_transform
from helaseg.synthetic.capsules import Table
from helaseg.synthetic.geometry import extent_nm
from helaseg.synthetic.organelles import Collector, Organelles, Room, fill_cell, scatter_debris
from helaseg.synthetic.textures import TextureConfig

#: Voxels of the map of rooms are about this wide (nm): finer than any organelle is long.
MAP_NM = 100.0


class RoomMap:
    """A coarse map of who owns what: resin, cytoplasm or nucleus, and how far the next border is.

    Parameters
    ----------
    cells, nuclei : LabelVolume
        Ids of the cells (0: resin) and nuclei (0: none), on one grid.
    """

    def __init__(self, cells: LabelVolume, nuclei: LabelVolume) -> None:
        size = np.asarray(cells.grid.voxel_size_nm)
        step = np.maximum(np.round(MAP_NM / size), 1).astype(int)
        # Every step-th voxel stands for its block, the one in the middle of it.
        first = [min(s // 2, n - 1) for s, n in zip(step, cells.shape, strict=True)]
        planes = []
        for z in range(first[0], cells.shape[0], step[0]):
            here = (slice(first[1], None, step[1]), slice(first[2], None, step[2]))
            cell = cells.slice(z)[here].astype(np.int32)
            planes.append(2 * cell + ((nuclei.slice(z)[here] > 0) & (cell > 0)))
        self._kind = np.stack(planes)
        self._pitch_nm = step * size
        self._first_nm = (np.asarray(first) + 0.5) * size
        border = np.zeros(self._kind.shape, bool)
        for axis in range(3):
            a, b = np.moveaxis(self._kind, axis, 0), np.moveaxis(border, axis, 0)
            differ = a[1:] != a[:-1]
            b[1:] |= differ
            b[:-1] |= differ
        self._free_nm = distance_transform(~border, spacing=tuple(self._pitch_nm))

    def idents(self) -> NDArray[np.int32]:
        """Ids of the cells that have cytoplasm here."""
        kinds = np.unique(self._kind)
        return kinds[(kinds > 1) & (kinds % 2 == 0)] // 2

    def fits(self, kind: int, points: Table, radius: float) -> NDArray[np.bool_]:
        """Find which points have `radius` nm of one kind around them."""
        at = np.round((points - self._first_nm) / self._pitch_nm).astype(int)
        z, y, x = np.clip(at, 0, np.asarray(self._kind.shape) - 1).T
        return (self._kind[z, y, x] == kind) & (self._free_nm[z, y, x] > radius)

    def room(self, ident: int, rng: np.random.Generator) -> Room:
        """The room of one cell; its random points come from `rng`."""
        plasm = np.flatnonzero(self._kind == 2 * ident)
        core = np.flatnonzero(self._kind == 2 * ident + 1)
        centre = self._points(core if core.size else plasm)
        nucleus = np.zeros(11)
        nucleus[:3] = centre.mean(axis=0)
        # The half axes of an ellipsoid are sqrt(5) standard deviations.
        nucleus[3:6] = np.maximum(np.sqrt(5.0) * centre.std(axis=0), self._pitch_nm)
        nucleus[6] = 1.0

        def sample(n: int) -> Table:
            # Half: as many as lie in the cytoplasm of a round cell.
            chosen = plasm[rng.integers(0, plasm.size, n // 2)]
            return self._points(chosen) + rng.uniform(-0.5, 0.5, (n // 2, 3)) * self._pitch_nm

        def fits(points: Table, radius: float) -> NDArray[np.bool_]:
            return self.fits(2 * ident, points, radius + 20.0)

        volume = plasm.size * float(np.prod(self._pitch_nm / 1000.0))
        return Room(
            home=ident, volume_um3=volume, nucleus=nucleus, sample=sample, fits=fits,
            has_nucleus=bool(core.size),
        )  # fmt: skip

    def _points(self, index: NDArray[np.int64]) -> Table:
        at = np.stack(np.unravel_index(index, self._kind.shape), axis=1)
        return self._first_nm + at * self._pitch_nm


def label_organelles(
    cells: LabelVolume, nuclei: LabelVolume, textures: TextureConfig
) -> Organelles:
    """Organelles in labelled cells and debris in the resin between them.

    Every cell has its own generator, so that it stays the same whatever the
    others hold.
    """
    space = RoomMap(cells, nuclei)
    found = Collector()
    next_id = 1
    for ident in space.idents():
        rng = np.random.default_rng([textures.seed, 5, int(ident)])
        room = space.room(int(ident), rng)
        next_id = fill_cell(found, room, textures.mitochondria_per_um3, rng, next_id)

    def is_resin(point: Table, room_nm: float) -> bool:
        return bool(space.fits(0, point[None], room_nm)[0])

    rng = np.random.default_rng([textures.seed, 8])
    extent = extent_nm(cells.grid)
    scatter_debris(found, is_resin, extent, textures.debris, rng)
    return found.finish(extent[0])
