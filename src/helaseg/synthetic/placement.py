"""Places and sizes of the cells of a phantom and of their nuclei."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg.synthetic.clump import HALF_THICK, Clump, gather, make_clump
from helaseg.synthetic.config import PhantomConfig

#: Mean radius of a real HeLa cell in this specimen, the most that is chosen without being asked.
LARGEST_RADIUS_NM = 7000.0
#: How far the slow waves move a surface, as a fraction of the radius (standard deviation).
CELL_WAVE, NUCLEUS_WAVE = 0.085, 0.06
#: How far the short waves move it, in nm (standard deviation), and at most in heights.
CELL_ROUGH_NM, NUCLEUS_ROUGH_NM, MOST_ROUGH = 75.0, 60.0, 0.05

#: A volume shallower than this many radii holds one layer of cells.
LAYER_RADII = 2.8
#: Half axis along z of the cells in a clump of one layer, over that of the clump: its
#: sides stand nearly upright where the clump ends.
COLUMN = 3.0

FloatTable = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Ellipsoids of cells and nuclei.

    Parameters
    ----------
    cells, nuclei : ndarray of float64, shape (n, 11)
        z, y, x (nm), half axes along z, u, v (nm), cos and sin of the angle
        between u and y, weights of the two slow waves (fractions of the radius)
        and of the short wave (nm).
    border : ndarray of bool, shape (n,)
        Cells that were put on a side face of the volume.
    radius_nm, height_nm : float
        Mean half axis in plane and along z.
    clump : Clump, optional
        What fills the hollows between packed cells.
    """

    cells: FloatTable
    nuclei: FloatTable
    border: NDArray[np.bool_]
    radius_nm: float
    height_nm: float
    clump: Clump | None = None

    def half_height_nm(self, i: int) -> float:
        """Half the height of cell `i`, which a clump of one layer cuts off."""
        most = math.inf if self.clump is None else self.clump.half_nm
        return float(min(self.cells[i, 3], most))


def mean_radius_nm(config: PhantomConfig) -> tuple[float, float]:
    """Mean half axes in plane and along z that let `n_cells` fit the volume.

    Notes
    -----
    1. A volume deep enough for whole round cells gets cells that fill about a
       third of it; a shallow one gets cells that fill its area, flattened to
       fit between its first and last slice.
    2. A volume too shallow even for that (below 0.3 radii) is a slab out of a
       deeper specimen: its cells keep a natural height and stick out along z.
    """
    lz, ly, lx = config.extent_nm
    n = max(config.n_cells, 1)
    if config.cell_radius_nm is not None:
        radius = config.cell_radius_nm
    else:
        fill = 0.26 + 0.12 * config.packing
        radius = (fill * lz * ly * lx / (n * 4.18879)) ** (1 / 3)
        if lz < LAYER_RADII * radius:
            spacing = math.sqrt(2 / math.sqrt(3) * ly * lx / n)
            radius = 0.5 * spacing * (0.78 + 0.14 * config.packing)
        radius = min(radius, LARGEST_RADIUS_NM, 0.36 * ly, 0.36 * lx)
    height = 0.34 * lz
    height = min(height, 0.85 * radius) if height >= 0.3 * radius else 0.6 * radius
    return radius, height


def place_cells(config: PhantomConfig, rng: np.random.Generator) -> Placement:
    """Choose sizes and spread the cells over the volume.

    Notes
    -----
    1. Border cells get a point on a side face, the others a point inside.
    2. Rounds of small moves push apart cells nearer than their wanted distance
       and, the more the packing, pull each cell to its nearest neighbour;
       border cells slide along their face.
    3. The wanted distance falls from 1.3 to 0.86 of the sum of the radii with
       the packing: near 1 the ellipsoids overlap and neighbours share a face.
    4. At packing 1 the cells are gathered to a clump instead. In a volume that is
       shallow for whole round cells they stand side by side, as columns from the
       lower to the upper side of the clump.
    """
    n = config.n_cells
    packed = config.packing == 1 and n > 1
    radius, height = mean_radius_nm(config)
    lz, ly, lx = config.extent_nm
    n_border = config.n_border_cells
    if n_border is None:
        n_border = 0 if packed else n // 4
    border = np.arange(n) >= n - n_border
    radii = radius * rng.uniform(0.92, 1.08, n)
    heights = np.minimum(
        height * rng.uniform(0.92, 1.04, n), 0.35 * lz if lz > 0.8 * radius else np.inf
    )
    inside = np.flatnonzero(~border)
    flat = inside[max(len(inside) - config.n_flat_cells, 0) :]
    heights[flat] *= 0.5
    room_z = np.maximum(lz - 2.5 * heights, 0.0)
    if lz >= 2 * height:
        z = 0.5 * lz + room_z * rng.uniform(-0.5, 0.5, n)
    else:
        z = rng.uniform(-0.4 * height, lz + 0.4 * height, n)
    side = rng.integers(0, 4, n) if n_border == 0 else (np.arange(n) + rng.integers(0, 4)) % 4
    margin = np.minimum(1.2 * radii + 250.0, 0.5 * min(ly, lx))
    low = np.stack([np.zeros(n), margin, margin], axis=1)
    high = np.stack([np.full(n, lz), ly - margin, lx - margin], axis=1)
    low[:, 0] = high[:, 0] = z
    offset = rng.uniform(-0.25, 0.25, n) * radii
    for axis, length in ((1, ly), (2, lx)):
        on_face = border & (side // 2 == axis - 1)
        face = np.where(side % 2 == 0, 0.0, length) + offset
        low[on_face, axis] = high[on_face, axis] = face[on_face]
    clump = None
    if packed:
        centre = gather(low, high, radii, np.array([radius / height, 1.0, 1.0]), rng)
        flat_clump = lz < LAYER_RADII * radius
        clump = make_clump(centre, radius, lz, flat=flat_clump)
    else:
        first = rng.uniform(low, high)
        centre = _spread(first, low, high, radii, radius / height, config.packing)
    stretch = rng.uniform(0.92, 1.1, n)
    angle = rng.uniform(0, math.pi, n)
    cells = np.empty((n, 11))
    cells[:, :3] = centre
    cells[:, 3] = heights
    cells[:, 4] = radii * stretch
    cells[:, 5] = radii / stretch
    cells[:, 6], cells[:, 7] = np.cos(angle), np.sin(angle)
    phase = rng.uniform(0, 2 * math.pi, (2, n))
    cells[:, 8], cells[:, 9] = CELL_WAVE * np.cos(phase[0]), CELL_WAVE * np.sin(phase[0])
    # Either sign, so that the border between two cells is wavy too.
    cells[:, 10] = min(CELL_ROUGH_NM, MOST_ROUGH * height) * rng.choice([-1.0, 1.0], n)
    nuclei = cells.copy()
    f = config.nucleus_fraction
    nuclei[:, 3:6] *= f
    shift = rng.uniform(-1, 1, (n, 3)) * (1 - f) * np.array([0.15, 0.4, 0.4])
    nuclei[:, :3] += shift * cells[:, 3:6]
    angle = angle + rng.uniform(-0.6, 0.6, n)
    nuclei[:, 6], nuclei[:, 7] = np.cos(angle), np.sin(angle)
    nuclei[:, 8], nuclei[:, 9] = NUCLEUS_WAVE * np.cos(phase[1]), NUCLEUS_WAVE * np.sin(phase[1])
    nuclei[:, 10] = min(NUCLEUS_ROUGH_NM, MOST_ROUGH * height)
    if clump is not None and flat_clump:
        cells[:, 3] = COLUMN * HALF_THICK * lz
    return Placement(
        cells=cells, nuclei=nuclei, border=border, radius_nm=radius, height_nm=height, clump=clump
    )


def _spread(
    centre: FloatTable,
    low: FloatTable,
    high: FloatTable,
    radii: FloatTable,
    flatness: float,
    packing: float,
) -> FloatTable:
    n = len(centre)
    if n < 2:
        return centre
    wanted = (radii[:, None] + radii[None, :]) * (1.3 - 0.44 * packing)
    np.fill_diagonal(wanted, 0.0)
    metric = np.array([flatness, 1.0, 1.0])
    for step in range(400):
        between = (centre[:, None] - centre[None, :]) * metric
        distance = np.sqrt((between**2).sum(axis=2)) + 1e-6
        push = np.maximum(wanted - distance, 0.0) / distance
        move = 0.3 * (push[:, :, None] * between).sum(axis=1)
        # Attraction ends before the push does, so that the last rounds only part cells.
        if packing > 0 and step < 300:
            np.fill_diagonal(distance, np.inf)
            nearest = distance.argmin(axis=1)
            rows = np.arange(n)
            excess = np.maximum(distance - wanted, 0.0)[rows, nearest] / distance[rows, nearest]
            move -= 0.1 * packing * excess[:, None] * between[rows, nearest]
        centre = np.clip(centre + move / metric, low, high)
    return centre
