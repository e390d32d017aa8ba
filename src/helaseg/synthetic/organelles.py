"""Mitochondria, vesicles, dots and nucleoli of the cells, and debris in the resin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import phantom_grey as kinds
from helaseg.synthetic.capsules import COLUMNS, Table, chain, stack, unit_vectors
from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.geometry import NoiseField, depth_nm
from helaseg.synthetic.placement import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Organelles:
    """Capsules inside cells and in the resin.

    Parameters
    ----------
    capsules : ndarray of float64, shape (n, 12)
        Where they are.
    kind : ndarray of int32, shape (n,)
        What they are (`helaseg._kernels.phantom_grey`).
    home : ndarray of int32, shape (n,)
        The cell they belong to, 0 for the resin.
    number : ndarray of int32, shape (n,)
        Id of the mitochondrion, 0 for the rest.
    """

    capsules: Table
    kind: NDArray[np.int32]
    home: NDArray[np.int32]
    number: NDArray[np.int32]

    @property
    def mitochondria_dtype(self) -> type[np.unsignedinteger]:
        """uint16 unless there are too many mitochondria."""
        return np.uint16 if int(self.number.max(initial=0)) < 65536 else np.uint32


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The cytoplasm of one cell, as far as organelles need to know it.

    Parameters
    ----------
    home : int
        Id of the cell.
    volume_um3 : float
        Its volume.
    nucleus : ndarray, shape (11,)
        The nucleus as an ellipsoid, a row of `Placement.nuclei`.
    has_nucleus : bool
        False for a cell without one: it gets no nucleoli.
    sample : callable
        ``sample(n)``: at most n random points (nm), about half of them in the
        cytoplasm of a round cell.
    fits : callable
        ``fits(points_nm, radius_nm)``: which balls lie inside the cytoplasm.
    """

    home: int
    volume_um3: float
    nucleus: Table
    sample: Callable[[int], Table]
    fits: Callable[[Table, float], NDArray[np.bool_]]
    has_nucleus: bool = True


def _volume_um3(body: Table) -> float:
    return float(4 / 3 * math.pi * np.prod(body[3:6] / 1000.0))


class Collector:
    """Gathers capsules with what they are."""

    def __init__(self) -> None:
        self.tables: list[Table] = []
        self.what: list[tuple[int, int, int, int]] = []

    def add(self, table: Table, kind: int, home: int, number: int = 0) -> None:
        """Capsules of one thing; `number` counts mitochondria."""
        self.tables.append(table)
        self.what.append((len(table), kind, home, number))

    def finish(self, lz: float) -> Organelles:
        """All that reaches into a volume `lz` nm deep."""
        what = np.asarray(self.what, np.int32).reshape(-1, 4)
        full = np.repeat(what[:, 1:], what[:, 0], axis=0)
        table = stack(self.tables)
        wide = table[:, 6:8].max(axis=1, initial=0.0) / table[:, 8]
        keep = (np.minimum(table[:, 0], table[:, 3]) - wide < lz) & (
            np.maximum(table[:, 0], table[:, 3]) + wide > 0
        )
        kind, home, number = (np.ascontiguousarray(full[keep, k]) for k in range(3))
        return Organelles(
            capsules=np.ascontiguousarray(table[keep]), kind=kind, home=home, number=number
        )


def make_organelles(
    placement: Placement,
    fields: dict[str, NoiseField],
    config: PhantomConfig,
    rngs: list[np.random.Generator],
) -> Organelles:
    """Mitochondria, vesicles and dots of all cells, nucleoli, and debris in the resin.

    `rngs` holds one generator per cell and one for the debris, so that a cell
    stays the same whatever the others hold.
    """
    found = Collector()
    next_id = 1
    for i, rng in enumerate(rngs[:-1]):
        room = _ellipsoid_room(i, placement, fields, config, rng)
        next_id = fill_cell(found, room, config.mitochondria_per_um3, rng, next_id)
    cells = placement.cells

    def is_resin(point: Table, room_nm: float) -> bool:
        d = (point - cells[:, :3]) / (cells[:, [3, 4, 4]] + room_nm)
        return bool(((d**2).sum(axis=1) > 1.3).all())

    scatter_debris(found, is_resin, config.extent_nm, config.debris, rngs[-1])
    return found.finish(config.extent_nm[0])


def _ellipsoid_room(
    i: int,
    placement: Placement,
    fields: dict[str, NoiseField],
    config: PhantomConfig,
    rng: np.random.Generator,
) -> Room:
    body, nucleus = placement.cells[i], placement.nuclei[i]

    def sample(n: int) -> Table:
        ball = unit_vectors(rng, n) * rng.uniform(size=(n, 1)) ** (1 / 3)
        widest = np.array([body[3], *[max(body[4], body[5])] * 2])
        points = body[:3] + ball * widest * 1.05
        return points[(points[:, 0] > -500.0) & (points[:, 0] < config.extent_nm[0] + 500.0)]

    def fits(points: Table, radius: float) -> NDArray[np.bool_]:
        deep = depth_nm(body, points, fields) > radius + 60.0
        return deep & (depth_nm(nucleus, points, fields) < -(radius + 70.0))

    share = placement.half_height_nm(i) / body[3]
    volume = max(share * _volume_um3(body) - _volume_um3(nucleus), 0.0)
    return Room(home=i + 1, volume_um3=volume, nucleus=nucleus, sample=sample, fits=fits)


def fill_cell(
    found: Collector,
    room: Room,
    mitochondria_per_um3: float,
    rng: np.random.Generator,
    next_id: int,
) -> int:
    """Put organelles into one cell and nucleoli into its nucleus; the next free id comes back."""
    home, nucleus, volume = room.home, room.nucleus, room.volume_um3
    wanted = round(volume * mitochondria_per_um3)
    next_id = _mitochondria(found, room, wanted, rng, next_id)
    for kind, density, low, high in (
        (kinds.LYSOSOME, 0.10, 90.0, 260.0),
        (kinds.DROPLET, 0.035, 150.0, 420.0),
        (kinds.VESICLE, 0.5, 45.0, 190.0),
    ):
        for point in room.sample(rng.poisson(3 * density * volume)):
            r = low * (high / low) ** rng.uniform()
            if room.fits(point[None], r)[0]:
                other = point + r * rng.uniform(0, 0.5) * unit_vectors(rng, 1)[0]
                found.add(
                    chain(np.stack([point, other]), np.array([r, r * rng.uniform(0.8, 1)])),
                    kind,
                    home,
                )
    dots = room.sample(round(9.0 * volume))
    if len(dots):
        dots = dots[room.fits(dots, 20.0)]
        table = np.zeros((len(dots), COLUMNS))
        table[:, :3] = table[:, 3:6] = dots
        table[:, 6] = table[:, 7] = rng.uniform(14.0, 34.0, len(dots))
        table[:, 8] = 1.0
        found.add(table, kinds.DOT, home)
    for _ in range(int(rng.integers(1, 4)) if room.has_nucleus else 0):
        r = rng.uniform(0.16, 0.34) * min(nucleus[4], nucleus[5])
        at = nucleus[:3] + rng.uniform(-0.45, 0.45, 3) * nucleus[3:6]
        other = at + r * rng.uniform(0, 0.7) * unit_vectors(rng, 1)[0]
        found.add(
            chain(
                np.stack([at, other]),
                np.array([r, 0.7 * r]),
                squash=max(1.0, nucleus[4] / nucleus[3]),
            ),
            kinds.NUCLEOLUS,
            home,
        )
    return next_id


def _mitochondria(
    found: Collector, room: Room, wanted: int, rng: np.random.Generator, next_id: int
) -> int:
    """Bent sausages that run around the nucleus and keep clear of each other."""
    nucleus = room.nucleus
    nodes_so_far = np.zeros((0, 4))
    seeds = room.sample(12 * wanted + 40)
    seeds = seeds[room.fits(seeds, 130.0)][: 4 * wanted]
    placed = 0
    for seed in seeds:
        if placed == wanted:
            break
        r = rng.uniform(120.0, 270.0)
        n_nodes = int(rng.integers(2, 8))
        step = rng.uniform(180.0, 330.0)
        radial = (seed - nucleus[:3]) / nucleus[3:6]
        around = np.cross(radial / np.linalg.norm(radial), unit_vectors(rng, 1)[0])
        heading = around + 0.3 * rng.normal(size=3)
        heading *= (0.6, 1.0, 1.0)
        nodes = [seed]
        for _ in range(n_nodes - 1):
            heading = heading / np.linalg.norm(heading) + 0.35 * rng.normal(size=3)
            nodes.append(nodes[-1] + step * heading / np.linalg.norm(heading))
        path = np.asarray(nodes)
        bad = ~room.fits(path, r)
        if len(nodes_so_far):
            d = np.linalg.norm(path[:, None] - nodes_so_far[None, :, :3], axis=2)
            bad |= (d < r + nodes_so_far[:, 3] + 90.0).any(axis=1)
        n_good = int(bad.argmax()) if bad.any() else len(path)
        if n_good < 2:
            continue
        path = path[:n_good]
        radii = r * rng.uniform(0.75, 1.15, n_good)
        found.add(chain(path, radii), kinds.MITOCHONDRION, room.home, next_id)
        nodes_so_far = np.concatenate([nodes_so_far, np.column_stack([path, radii])])
        next_id += 1
        placed += 1
    return next_id


def scatter_debris(
    found: Collector,
    is_resin: Callable[[Table, float], bool],
    extent_nm: tuple[float, float, float],
    amount: float,
    rng: np.random.Generator,
) -> None:
    """Put ghosts and fragments where ``is_resin(point, room_nm)``."""
    extent = np.asarray(extent_nm)
    volume = float(np.prod(extent / 1000.0))
    for point in rng.uniform(size=(rng.poisson(0.004 * amount * volume), 3)) * extent:
        r = rng.uniform(200.0, 1000.0)
        if is_resin(point, r + 300.0):
            found.add(chain(point[None], np.array([r])), kinds.GHOST, 0)
    for point in rng.uniform(size=(rng.poisson(0.06 * amount * volume), 3)) * extent:
        r = rng.uniform(35.0, 70.0) if rng.uniform() < 0.6 else rng.uniform(80.0, 260.0)
        if is_resin(point, r + 500.0):
            length = rng.uniform(200.0, 900.0)
            tip = point + length * unit_vectors(rng, 1)[0]
            found.add(
                chain(np.stack([point, tip]), np.array([r, r * rng.uniform(0.6, 1.2)])),
                kinds.DEBRIS,
                0,
            )
