"""A small nucleus and what three methods make of it, for tests of comparisons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume, Volume

GRID = Grid(shape=(24, 40, 50), voxel_size_nm=(50, 10, 10), offset_nm=(500, 1000, 2000))


def ball(radii: tuple[float, float, float], *, shift: float = 0.0) -> NDArray[np.bool_]:
    z, y, x = np.ogrid[tuple(slice(n) for n in GRID.shape)]
    return ((z - 12) / radii[0]) ** 2 + ((y - 20) / radii[1]) ** 2 + (
        (x - 25 - shift) / radii[2]
    ) ** 2 < 1


#: 21 slices, 2 to 22.
TRUTH = ball((11, 15, 20))
#: A pixel off everywhere; too short, so that it misses the poles.
SHIFTED, SHORT = ball((11, 15, 20), shift=1), ball((8, 15, 20))


def labels(data: NDArray[np.generic], **more: object) -> LabelVolume:
    array = data.astype(np.uint8) * 255 if data.dtype == bool else data
    return LabelVolume(data=array, grid=GRID, **more)  # type: ignore[arg-type]


def image() -> Volume:
    grey = np.random.default_rng(0).integers(0, 255, GRID.shape).astype(np.uint8)
    return Volume(data=grey, grid=GRID, name="roi")
