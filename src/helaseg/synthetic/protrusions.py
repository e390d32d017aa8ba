"""Protrusions of cells and folds of nuclei: blebs, filopodia, invaginations."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from helaseg.synthetic.capsules import Table, chain, stack, unit_vectors
from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.geometry import NoiseField, surface_points
from helaseg.synthetic.placement import Placement

#: Distance that the protrusions of a whole cell keep from the faces of the volume (nm).
FACE_NM = 150.0


def _surface_um2(body: Table) -> float:
    a, b, c = body[3:6] / 1000.0
    p = 1.6075
    mean = ((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3
    return float(4 * math.pi * mean ** (1 / p))


def make_protrusions(
    i: int,
    placement: Placement,
    fields: dict[str, NoiseField],
    config: PhantomConfig,
    rng: np.random.Generator,
) -> Table:
    """Blebs and filopodia of cell `i`: rooted below its surface, clear of neighbours and faces."""
    body = placement.cells[i]
    area = _surface_um2(body)
    size = float(np.clip(body[4] / 5000.0, 0.45, 1.0))
    n_blebs = round(8.0 * config.protrusions * area / size)
    n_hairs = round(4.5 * config.protrusions * area / size)
    # Directions even on the ellipsoid, not on the ball.
    n = n_blebs + n_hairs
    directions = unit_vectors(rng, 4 * n)
    weight = np.linalg.norm(directions / body[3:6], axis=1) * np.min(body[3:6])
    directions = directions[rng.uniform(size=4 * n) < weight][:n]
    if len(directions) == 0:
        return stack([])
    # What roots this far above or below the volume, or a clump, cannot reach it.
    height = body[0] + directions[:, 0] * body[3]
    n_blebs = round(len(directions) * n_blebs / n)
    seen = (height > -4000.0) & (height < config.extent_nm[0] + 4000.0)
    if placement.clump is not None:
        seen &= np.abs(height - placement.clump.middle_nm[0]) < placement.clump.half_nm + 500.0
    n_blebs = int(seen[:n_blebs].sum())
    directions = directions[seen]
    points, normals = surface_points(body, directions, fields)
    tilt = normals + 0.5 * rng.normal(size=normals.shape)
    tilt /= np.linalg.norm(tilt, axis=1, keepdims=True)
    neighbours = _neighbours(i, placement.cells)
    # A whole cell stays whole: nothing of it may reach a face.
    extent = np.asarray(config.extent_nm)
    reach = np.array([body[3], max(body[4], body[5]), max(body[4], body[5])])
    whole = (body[:3] - reach > 0) & (body[:3] + reach < extent)
    tables = []
    for k, (point, normal, lean) in enumerate(zip(points, normals, tilt, strict=True)):
        draw = _bleb if k < n_blebs else _filopodium
        table = draw(point, normal, lean, size, rng)
        if _is_free(table, neighbours, whole, extent):
            tables.append(table)
    return stack(tables)


def _bleb(point: Table, normal: Table, lean: Table, size: float, rng: np.random.Generator) -> Table:
    """A ball on a neck; four in ten carry a second one."""
    r = min(size * 190.0 * math.exp(0.5 * rng.normal()), size * 800.0)
    height = r * rng.uniform(-0.2, 2.2)
    tip = point + height * lean
    nodes = np.stack([point - 1.2 * r * normal, point + 0.5 * max(height, 0) * normal, tip])
    table = chain(nodes, r * np.array([0.8, rng.uniform(0.3, 0.9), 1.0]))
    if rng.uniform() < 0.4:
        second = tip + r * rng.uniform(0.8, 1.8) * unit_vectors(rng, 1)[0]
        radii = r * np.array([0.5, rng.uniform(0.4, 1.0)])
        table = np.concatenate([table, chain(np.stack([tip, second]), radii)])
    return table


def _filopodium(
    point: Table, normal: Table, lean: Table, size: float, rng: np.random.Generator
) -> Table:
    """A thin finger with one bend, 60 to 120 nm wide."""
    r = rng.uniform(32.0, 60.0)
    half = 0.5 * size * rng.uniform(400.0, 2200.0)
    bend = 2.0 * lean + 0.5 * unit_vectors(rng, 1)[0]
    nodes = np.stack([point - 150.0 * normal, point + half * lean, point + half * bend])
    return chain(nodes, np.array([1.3 * r, r, 0.8 * r]))


def _is_free(
    table: Table,
    neighbours: Table,
    whole: NDArray[np.bool_],
    extent: NDArray[np.float64],
) -> bool:
    """Return whether capsules stay out of the neighbours and, along `whole` axes, off the faces."""
    tips = table[:, 3:6]
    radius = table[:, 6:8].max()
    low, high = tips.min(axis=0) - radius, tips.max(axis=0) + radius
    # In nm, so that the scene does not depend on the voxel size.
    if (whole & ((low < FACE_NM) | (high > extent - FACE_NM))).any():
        return False
    d = (tips[:, None] - neighbours[:, :3]) / neighbours[:, [3, 4, 4]]
    return not (np.einsum("ijk,ijk->ij", d, d) < 1.25).any()


def _neighbours(i: int, cells: Table) -> Table:
    """The cells that the protrusions of cell `i` can reach."""
    distance = np.linalg.norm(cells[:, :3] - cells[i, :3], axis=1)
    widest = cells[:, 3:6].max(axis=1)
    near = distance < 1.3 * (widest + widest[i]) + 5000.0
    near[i] = False
    return cells[near]


def make_folds(nucleus: Table, rng: np.random.Generator) -> Table:
    """Invaginations of one nucleus: slits of cytoplasm that wind inwards, blade-like along z."""
    tables = []
    for _ in range(int(rng.integers(1, 3 + round(nucleus[4] / 1500.0)))):
        angle = rng.uniform(0, 2 * math.pi)
        rn, hn = 0.5 * (nucleus[4] + nucleus[5]), nucleus[3]
        z = nucleus[0] + hn * rng.uniform(-0.6, 0.6)
        slit = math.sqrt(max(1 - ((z - nucleus[0]) / hn) ** 2, 0.1))
        start = np.array(
            [
                z,
                nucleus[1] + 1.15 * rn * slit * math.cos(angle),
                nucleus[2] + 1.15 * rn * slit * math.sin(angle),
            ]
        )
        inwards = angle + math.pi + rng.uniform(-0.7, 0.7)
        n_steps = 16
        step = rn * rng.uniform(0.35, 1.1) / n_steps
        nodes = [start]
        turn = 0.0
        for k in range(n_steps):
            turn = 0.8 * turn + rng.normal(0, 0.1)
            inwards += turn
            length = step if k else step + 0.15 * rn
            nodes.append(nodes[-1] + length * np.array([0.0, math.cos(inwards), math.sin(inwards)]))
        thick = (
            rng.uniform(22.0, 60.0) if rng.uniform() < 0.6 else rng.uniform(70.0, 0.05 * rn + 90.0)
        )
        radii = thick * rng.uniform(0.6, 1.2, n_steps + 1)
        # Many slits open as a notch, and end in a pocket.
        radii[:4] += np.array([1.0, 0.8, 0.5, 0.2]) * rng.uniform(0.0, 0.06) * rn
        radii[-3:] *= rng.uniform(1.0, 2.2)
        squash = min(1.0, 2.0 * thick / (hn * rng.uniform(0.35, 0.9)))
        shear = tuple(rng.normal(0, 0.3, 2))
        tables.append(chain(np.asarray(nodes), radii, squash=squash, shear=shear))
    return stack(tables)
