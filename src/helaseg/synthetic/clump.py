"""Cells packed to a clump: they meet membrane to membrane, with resin around the clump alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

#: Length over which the hollows between neighbours are filled, as a fraction of the radius.
FILL = 0.15
#: Half the thickness of a clump of one layer, as a fraction of the depth of the volume.
HALF_THICK = 0.42
#: How much thinner such a clump is at its rim.
DOME = 0.2
#: Distance of the centres of neighbours in a clump, in sums of their radii: circles
#: (0.866 in a hexagonal packing) still cover the points between three of them.
TIGHT = 0.84
#: Centres nearer than this many wanted distances are those of neighbours.
NEIGHBOUR = 1.25

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clump:
    """The body of a clump.

    Parameters
    ----------
    faces : ndarray, shape (n, 4)
        Convex hull of the centres of the cells: depth below face i is
        ``-(faces[i, :3] @ point + faces[i, 3])`` nm. Nothing in the hull is resin.
    fill_nm : float
        Length over which hollows between neighbours on its surface are filled.
    middle_nm : tuple of float
        Mean of the centres.
    half_nm, reach_nm : float
        Half thickness along z and radius in plane of a clump of one layer, whose
        sides are domes; infinite for clumps of several layers.
    """

    faces: NDArray[np.float64]
    fill_nm: float
    middle_nm: tuple[float, float, float]
    half_nm: float
    reach_nm: float

    def depth(
        self,
        s1: Plane,
        s2: Plane,
        at: tuple[float, float, float, float, float],
    ) -> Plane:
        """Depth of a plane below the surface of the clump (nm).

        Parameters
        ----------
        s1, s2 : ndarray
            Depth in the nearest and in the second nearest cell.
        at : tuple of float
            z, y and x of the first pixel, height and width of a pixel (nm).
        """
        lead = (s1 - s2) / np.float32(self.fill_nm)
        depth = s1 + np.float32(self.fill_nm) * np.log1p(np.exp(-lead))
        z, y0, x0, step_y, step_x = at
        y = (y0 + step_y * np.arange(s1.shape[0]))[:, None]
        x = (x0 + step_x * np.arange(s1.shape[1]))[None, :]
        if len(self.faces):
            hull = np.full(s1.shape, np.inf)
            for a, b, c, d in self.faces:
                np.minimum(hull, -(a * z + d) - (b * y + c * x), out=hull)
            np.maximum(depth, hull.astype(np.float32), out=depth)
        if math.isfinite(self.half_nm):
            middle_z, middle_y, middle_x = self.middle_nm
            off = ((y - middle_y) ** 2 + (x - middle_x) ** 2) / self.reach_nm**2
            side = self.half_nm * (1 - DOME * off) - abs(z - middle_z)
            depth = _round_off(depth, side.astype(np.float32), 0.5 * self.half_nm)
        return depth


def _round_off(a: Plane, b: Plane, radius: float) -> Plane:
    """The smaller of two depths, with the edge between their faces rounded."""
    near = np.maximum(np.float32(radius) - np.abs(a - b), 0)
    return np.minimum(a, b) - near * near / np.float32(4 * radius)


def make_clump(
    centre: NDArray[np.float64], radius_nm: float, depth_nm: float, *, flat: bool
) -> Clump:
    """The body around cells with these centres in a volume `depth_nm` deep; `flat`: one layer."""
    points = centre[:, 1:] if flat else centre
    faces = np.zeros((0, 4))
    middle = centre.mean(axis=0)
    off = np.linalg.norm((centre - middle)[:, 1:], axis=1)
    if len(points) > points.shape[1]:
        try:
            found = ConvexHull(points).equations
        except QhullError:  # centres on one line or in one plane enclose nothing
            found = np.zeros((0, points.shape[1] + 1))
        faces = np.zeros((len(found), 4))
        faces[:, -found.shape[1] :] = found
    return Clump(
        faces=faces,
        fill_nm=FILL * radius_nm,
        middle_nm=(0.5 * depth_nm, float(middle[1]), float(middle[2])),
        half_nm=HALF_THICK * depth_nm if flat else math.inf,
        reach_nm=float(off.max()) + radius_nm,
    )


def gather(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    radii_nm: NDArray[np.float64],
    metric: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Centres of cells that are pulled together around the middle of the volume.

    Parameters
    ----------
    low, high : ndarray, shape (n, 3)
        Bounds of each centre.
    radii_nm : ndarray, shape (n,)
        Radii of the cells.
    metric : ndarray, shape (3,)
        Factors on distances along z, y, x: above 1 along z for flat cells.

    Notes
    -----
    Centres start at random; each round pulls them all to the middle and pushes apart
    what is too near; the last rounds only push. Of at most 12 starts the first is taken
    after which each cell has three neighbours, or the one in which the most have.
    """
    n = len(radii_nm)
    middle = 0.5 * (low.min(axis=0) + high.max(axis=0))
    wanted = TIGHT * (radii_nm[:, None] + radii_nm[None, :])
    np.fill_diagonal(wanted, 0.0)
    best, most = np.clip(np.tile(middle, (n, 1)), low, high), -1
    for _ in range(12):
        centre = rng.uniform(low, high)
        for step in range(400):
            between = (centre[:, None] - centre[None, :]) * metric
            distance = np.sqrt((between**2).sum(axis=2)) + 1e-6
            push = np.maximum(wanted - distance, 0.0) / distance
            move = 0.3 * (push[:, :, None] * between).sum(axis=1) / metric
            if step < 320:
                move -= 0.02 * (centre - middle)
            centre = np.clip(centre + move, low, high)
        distance = np.sqrt((((centre[:, None] - centre[None, :]) * metric) ** 2).sum(axis=2))
        np.fill_diagonal(distance, np.inf)
        enough = int(((distance < NEIGHBOUR * wanted).sum(axis=1) >= min(3, n - 1)).sum())
        if enough > most:
            best, most = centre, enough
        if enough == n:
            break
    return best
