"""Named difficult cases: small phantoms of one idea each, with exact truth.

All are 40 x 400 x 400 voxels of 50 x 20 x 20 nm: cells 4 to 7 µm wide, as in small phantoms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import phantom_grey as kinds
from helaseg._validate import check_choice
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume
from helaseg.synthetic.capsules import chain, unit_vectors
from helaseg.synthetic.drawing import Drawing
from helaseg.synthetic.from_labels import label_drawing
from helaseg.synthetic.geometry import NoiseField
from helaseg.synthetic.label_rooms import label_organelles
from helaseg.synthetic.organelles import Collector, Organelles
from helaseg.synthetic.phantom import Phantom, draw_phantom
from helaseg.synthetic.textures import TextureConfig

#: Voxels of every case.
CASE_GRID = Grid(shape=(40, 400, 400), voxel_size_nm=(50.0, 20.0, 20.0))
#: Its middle (nm from the corner).
MIDDLE = (1000.0, 4000.0, 4000.0)
#: How uneven cells and nuclei are, as a fraction of their half axes.
WAVE = 0.05

Array = NDArray[Any]
Point = tuple[float, float, float]


class _Space:
    """Coordinates of the voxels (nm) and solids in them."""

    def __init__(self, seed: int) -> None:
        self.z, self.y, self.x = (
            ((np.arange(n, dtype=np.float32) + 0.5) * np.float32(s)).reshape(
                [-1 if axis == k else 1 for k in range(3)]
            )
            for axis, (n, s) in enumerate(
                zip(CASE_GRID.shape, CASE_GRID.voxel_size_nm, strict=True)
            )
        )
        step = CASE_GRID.voxel_size_nm[1:]
        waves: list[Array] = []
        for k in range(2):
            noise = NoiseField(seed=2 * seed + k, pitch_nm=(700.0, 900.0))
            plane = np.empty(CASE_GRID.shape[1:], np.float32)
            waves.append(
                np.stack([noise.plane(float(z), 0, 0, step, plane).copy() for z in self.z.ravel()])
            )
        self._waves = waves

    def ball(self, centre: Point, half: Point, *, wave: int | None = None) -> Array:
        """1 in the centre of an ellipsoid, 0 on its surface; `wave` makes it uneven."""
        f = ((self.z - centre[0]) / half[0]) ** 2 + ((self.y - centre[1]) / half[1]) ** 2
        f = 1 - np.sqrt(f + ((self.x - centre[2]) / half[2]) ** 2)
        return f if wave is None else f + WAVE * self._waves[wave]

    def mixed_wave(self, k: int) -> Array:
        """One unevenness for each k, so that the borders between neighbours are uneven, too."""
        return np.cos(k) * self._waves[0] + np.sin(k) * self._waves[1]

    def cell(self, centre: Point = MIDDLE, half: Point = (930.0, 3300.0, 3300.0)) -> Array:
        """A cell, uneven."""
        return self.ball(centre, half, wave=0)

    def nucleus(self, centre: Point = MIDDLE, half: Point = (650.0, 2000.0, 2000.0)) -> Array:
        """A nucleus, uneven."""
        return self.ball(centre, half, wave=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shapes:
    """Labels of a case, and what differs in its textures."""

    cells: Array
    nuclei: Array
    textures: dict[str, Any] = field(default_factory=dict)
    organelles: Callable[[TextureConfig], Organelles] | None = None


def make_case(name: str, *, seed: int = 0) -> Phantom:
    """Make one of the named cases.

    Parameters
    ----------
    name : str
        ===================== ==========================================================
        plain                 one round cell with its nucleus
        pole_islands          both poles of the nucleus show as several islands
        invagination_in_plane a slit of cytoplasm enters the nucleus from its side
        invagination_z        a channel enters along z: a hole in slices, open above
        through_hole          a channel runs through along z: a ring in every slice
        through_hole_in_plane a channel runs through along y: two pieces in some slices
        two_cells             two touching cells, each with its nucleus
        binucleate            one cell with two nuclei
        mitotic               condensed chromosomes, no envelope: the nucleus is empty
        damaged_slices        one damaged and two blank slices inside the nucleus
        low_contrast          three cells in resin, contrast 0.4
        inverted_resin        three cells in resin that is darker than they are
        no_resin              seven cells fill the frame
        only_resin            no cell at all
        ===================== ==========================================================
    seed : int
        Seed of the unevenness and of the textures.

    Returns
    -------
    Phantom
        40 x 400 x 400 voxels of 50 x 20 x 20 nm. The cell in the middle is number 1.

    Raises
    ------
    ParameterError
        If no case has this name.
    """
    return draw_phantom(case_drawing(name, seed=seed))


def case_drawing(name: str, *, seed: int = 0) -> Drawing:
    """The drawing of a case, see `make_case`."""
    check_choice("name", name, CASES)
    shapes = _SHAPES[name](_Space(seed))
    cells = LabelVolume(data=shapes.cells.astype(np.uint8), grid=CASE_GRID)
    nuclei = LabelVolume(data=shapes.nuclei.astype(np.uint8), grid=CASE_GRID)
    textures = TextureConfig(seed=seed, **shapes.textures)
    organelles = None if shapes.organelles is None else shapes.organelles(textures)
    return label_drawing(cells, nuclei, textures, organelles=organelles)


def _plain(space: _Space) -> _Shapes:
    return _Shapes(cells=space.cell() > 0, nuclei=space.nucleus() > 0)


def _pole_islands(space: _Space) -> _Shapes:
    nucleus = space.nucleus(half=(430.0, 2000.0, 2000.0)) > 0
    for side in (-1, 1):
        for y, x, wide in ((-700, -600, 420), (300, 800, 350), (800, -500, 300), (-500, 500, 260)):
            centre = (MIDDLE[0] + 330.0 * side, MIDDLE[1] + side * y, MIDDLE[2] + x)
            nucleus |= space.ball(centre, (370.0, wide, wide), wave=1) > 0
    return _Shapes(cells=space.cell() > 0, nuclei=nucleus)


def _invagination_in_plane(space: _Space) -> _Shapes:
    # A blade, 0.3 µm wide and 0.9 µm high, that ends in the middle of the nucleus.
    slit = np.abs(space.y - MIDDLE[1] - 0.2 * (space.x - MIDDLE[2])) < 150
    slit = slit & (np.abs(space.z - MIDDLE[0]) < 450) & (space.x > MIDDLE[2] + 100)
    return _Shapes(cells=space.cell() > 0, nuclei=(space.nucleus() > 0) & ~slit)


def _column(space: _Space, radius_nm: float) -> Array:
    return np.hypot(space.y - MIDDLE[1] - 300, space.x - MIDDLE[2] + 500) < radius_nm


def _invagination_z(space: _Space) -> _Shapes:
    channel = _column(space, 380.0) & (space.z > MIDDLE[0] - 150)
    return _Shapes(cells=space.cell() > 0, nuclei=(space.nucleus() > 0) & ~channel)


def _through_hole(space: _Space) -> _Shapes:
    return _Shapes(cells=space.cell() > 0, nuclei=(space.nucleus() > 0) & ~_column(space, 420.0))


def _through_hole_in_plane(space: _Space) -> _Shapes:
    tunnel = np.hypot(space.z - MIDDLE[0], space.x - MIDDLE[2] - 200) < 280
    return _Shapes(cells=space.cell() > 0, nuclei=(space.nucleus() > 0) & ~tunnel)


def _compete(bodies: list[Array]) -> Array:
    """Labels 1, 2, ...: every voxel that is in a body goes to the one in which it is deepest."""
    best = np.stack(bodies)
    return np.where(best.max(axis=0) > 0, best.argmax(axis=0) + 1, 0)


def _two_cells(space: _Space) -> _Shapes:
    cells, nuclei = [], []
    for x in (2900.0, 6400.0):
        centre = (MIDDLE[0], MIDDLE[1], x)
        cells.append(space.cell(centre, (930.0, 2600.0, 2000.0)))
        nuclei.append(space.nucleus(centre, (650.0, 1500.0, 1150.0)) > 0)
    return _Shapes(cells=_compete(cells), nuclei=nuclei[0] | nuclei[1])


def _binucleate(space: _Space) -> _Shapes:
    nuclei = np.zeros(CASE_GRID.shape, bool)
    for x in (2500.0, 5500.0):
        nuclei |= space.nucleus((MIDDLE[0], MIDDLE[1], x), (600.0, 1350.0, 1200.0)) > 0
    return _Shapes(cells=space.cell(half=(930.0, 2600.0, 3500.0)) > 0, nuclei=nuclei)


def _mitotic(space: _Space) -> _Shapes:
    cells = space.cell() > 0
    # The spindle keeps organelles out.
    spindle = space.ball(MIDDLE, (700.0, 1900.0, 1300.0)) > 0

    def organelles(textures: TextureConfig) -> Organelles:
        others = label_organelles(
            LabelVolume(data=cells.astype(np.uint8), grid=CASE_GRID),
            LabelVolume(data=spindle.astype(np.uint8), grid=CASE_GRID),
            textures,
        )
        rng = np.random.default_rng([textures.seed, 9])
        found = Collector()
        for start in MIDDLE + rng.uniform(-1, 1, (34, 3)) * (420.0, 1250.0, 260.0):
            heading = unit_vectors(rng, 1)[0] * (0.5, 1.0, 1.0)
            nodes = start + np.outer(np.linspace(0, rng.uniform(350.0, 800.0), 3), heading)
            nodes[1:] += rng.normal(0, 60.0, (2, 3))
            found.add(chain(nodes, rng.uniform(190.0, 300.0, 3)), kinds.CHROMOSOME, 1)
        plate = found.finish(CASE_GRID.shape[0] * CASE_GRID.slice_nm)
        keep = others.kind != kinds.NUCLEOLUS
        return Organelles(
            capsules=np.concatenate([others.capsules[keep], plate.capsules]),
            kind=np.concatenate([others.kind[keep], plate.kind]),
            home=np.concatenate([others.home[keep], plate.home]),
            number=np.concatenate([others.number[keep], plate.number]),
        )

    nothing = np.zeros(CASE_GRID.shape, bool)
    return _Shapes(cells=cells, nuclei=nothing, organelles=organelles)


def _damaged_slices(space: _Space) -> _Shapes:
    textures = {"damaged_slices": (17,), "blank_slices": (18, 19)}
    return _Shapes(cells=space.cell() > 0, nuclei=space.nucleus() > 0, textures=textures)


def _three(space: _Space, **textures: Any) -> _Shapes:
    cells, nuclei = [], []
    for y, x, r in ((3300.0, 4300.0, 2100.0), (6600.0, 2500.0, 1700.0), (6200.0, 6600.0, 1700.0)):
        cells.append(space.cell((MIDDLE[0], y, x), (900.0, r, 1.1 * r)))
        nuclei.append(space.nucleus((MIDDLE[0], y, x), (620.0, 0.6 * r, 0.65 * r)) > 0)
    return _Shapes(cells=_compete(cells), nuclei=np.any(nuclei, axis=0), textures=textures)


def _low_contrast(space: _Space) -> _Shapes:
    return _three(space, contrast=0.4)


def _inverted_resin(space: _Space) -> _Shapes:
    return _three(space, resin_grey=95.0)


def _no_resin(space: _Space) -> _Shapes:
    spots = [(4000.0, 4000.0), (1400.0, 2600.0), (1200.0, 5500.0), (3800.0, 6900.0)]
    spots += [(6800.0, 5300.0), (6500.0, 2400.0), (4200.0, 900.0)]
    cells: list[Array] = []
    nuclei: list[Array] = []
    for y, x in spots:
        # Much is added everywhere: far outside an ellipsoid there is a nearest one, too.
        body = space.ball((MIDDLE[0], y, x), (4000.0, 1500.0, 1500.0))
        cells.append(body + 20.0 + 2 * WAVE * space.mixed_wave(len(cells)))
        nuclei.append(space.nucleus((MIDDLE[0], y, x), (700.0, 900.0, 950.0)) > 0)
    return _Shapes(cells=_compete(cells), nuclei=np.any(nuclei, axis=0))


def _only_resin(space: _Space) -> _Shapes:
    nothing = np.zeros(CASE_GRID.shape, bool)
    return _Shapes(cells=nothing, nuclei=nothing)


_SHAPES: dict[str, Callable[[_Space], _Shapes]] = {
    "plain": _plain,
    "pole_islands": _pole_islands,
    "invagination_in_plane": _invagination_in_plane,
    "invagination_z": _invagination_z,
    "through_hole": _through_hole,
    "through_hole_in_plane": _through_hole_in_plane,
    "two_cells": _two_cells,
    "binucleate": _binucleate,
    "mitotic": _mitotic,
    "damaged_slices": _damaged_slices,
    "low_contrast": _low_contrast,
    "inverted_resin": _inverted_resin,
    "no_resin": _no_resin,
    "only_resin": _only_resin,
}
#: Names of the cases.
CASES = tuple(_SHAPES)
