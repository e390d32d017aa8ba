"""The noise fields of a phantom, and the depth of free points in cells and nuclei."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import phantom as kernels
from helaseg.core.grid import Grid
from helaseg.synthetic.placement import Placement


def extent_nm(grid: Grid) -> tuple[float, float, float]:
    """Size of a volume along z, y, x."""
    z, y, x = (float(n * s) for n, s in zip(grid.shape, grid.voxel_size_nm, strict=True))
    return (z, y, x)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseField:
    """Smooth noise in space: mean 0, standard deviation 1.

    Parameters
    ----------
    seed : int
        Which noise.
    pitch_nm : tuple of float
        Distance of the lattice points along z and in plane; structures are
        two to three pitches wide.
    """

    seed: int
    pitch_nm: tuple[float, float]

    def plane(
        self,
        z_nm: float,
        y_nm: float,
        x_nm: float,
        step_nm: tuple[float, float],
        out: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Fill a plane whose first pixel lies at y_nm, x_nm, with pixels of `step_nm` (y, x)."""
        pz, p = self.pitch_nm
        kernels.noise_plane(
            self.seed, z_nm / pz, y_nm / p, x_nm / p, step_nm[0] / p, step_nm[1] / p, out
        )
        return out

    def points(self, points_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at points, shape (n, 3), nm."""
        pz, py = self.pitch_nm
        out = np.empty(len(points_nm))
        kernels.noise_points(self.seed, np.ascontiguousarray(points_nm / (pz, py, py)), out)
        return out


def make_fields(
    radius_nm: float,
    height_nm: float,
    size_nm: tuple[float, float, float],
    seed: int,
    pixel_nm: float,
) -> dict[str, NoiseField]:
    """All noise fields of a phantom whose cells have these mean half axes, by name.

    Shapes (waves, rough) depend on space alone; textures are not finer than
    1.5 pixels, because finer noise would only alias.
    """
    r, h = radius_nm, height_nm
    wide = min(6000.0, 0.3 * max(size_nm[1:]))
    pitches: dict[str, tuple[float, float]] = {
        "wave_a": (0.55 * h, 0.55 * r),
        "wave_b": (0.5 * h, 0.5 * r),
        "rough": (450.0, 450.0),
        "sheet": (330.0, 330.0),
        "breaks": (300.0, 300.0),
        "fine": (40.0, max(24.0, 1.5 * pixel_nm)),
        "coarse": (120.0, max(110.0, 1.5 * pixel_nm)),
        "slow": (2500.0, 0.4 * wide),
        "flat": (2500.0, wide),
        "blob": (500.0, 0.17 * wide),
    }
    first = np.random.SeedSequence([seed, 2]).generate_state(len(pitches))
    return {
        name: NoiseField(seed=int(s), pitch_nm=pitch)
        for s, (name, pitch) in zip(first, pitches.items(), strict=True)
    }


def depth_nm(
    body: NDArray[np.float64], points_nm: NDArray[np.float64], fields: dict[str, NoiseField]
) -> NDArray[np.float64]:
    """Depth of points below the surface of one wavy ellipsoid, without its attachments.

    Parameters
    ----------
    body : ndarray, shape (11,)
        A row of `Placement.cells` or `Placement.nuclei`.
    points_nm : ndarray, shape (n, 3)
        Positions z, y, x.
    fields : dict
        Holds ``wave_a``, ``wave_b`` and ``rough``.

    Returns
    -------
    ndarray, shape (n,)
        nm, positive inside; a first-order distance, good near the surface.
    """
    p = points_nm - body[:3]
    cos, sin = body[6], body[7]
    local = np.stack(
        [p[:, 0], cos * p[:, 1] + sin * p[:, 2], cos * p[:, 2] - sin * p[:, 1]], axis=1
    )
    q = local / body[3:6]
    radial = np.sqrt((q**2).sum(axis=1))
    slope = np.sqrt(((q / body[3:6]) ** 2).sum(axis=1))
    scale = np.where(slope > 0, radial / np.where(slope > 0, slope, 1.0), body[3])
    f = radial + body[8] * fields["wave_a"].points(points_nm)
    f += body[9] * fields["wave_b"].points(points_nm)
    return (1.0 - f) * scale + body[10] * fields["rough"].points(points_nm)


def surface_points(
    body: NDArray[np.float64],
    directions: NDArray[np.float64],
    fields: dict[str, NoiseField],
    *,
    rounds: int = 4,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points on the surface of a wavy ellipsoid and the outward normals of the ellipsoid.

    `directions` are unit vectors in the ball that is stretched to the ellipsoid;
    each point walks along its normal until its depth is 0.
    """
    cos, sin = body[6], body[7]

    def to_space(local: NDArray[np.float64]) -> NDArray[np.float64]:
        y = cos * local[:, 1] - sin * local[:, 2]
        x = sin * local[:, 1] + cos * local[:, 2]
        return np.stack([local[:, 0], y, x], axis=1)

    points = body[:3] + to_space(directions * body[3:6])
    normals = to_space(directions / body[3:6])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for _ in range(rounds):
        points = points + normals * depth_nm(body, points, fields)[:, None]
    return points, normals


def keep_whole(
    placement: Placement,
    fields: dict[str, NoiseField],
    size_nm: tuple[float, float, float],
    rng: np.random.Generator,
    *,
    margin_nm: float = 120.0,
) -> Placement:
    """Shrink cells (and their nuclei) whose waves reach a face that their ellipsoid does not.

    Notes
    -----
    The extent of a cell is that of 1500 points on its surface. Each of at most
    eight rounds takes 6 % off the half axes that point at the face.
    """
    cells, nuclei = placement.cells.copy(), placement.nuclei.copy()
    extent = np.asarray(size_nm)
    for i in np.flatnonzero(~placement.border):
        half = np.array([cells[i, 3], *[max(cells[i, 4], cells[i, 5])] * 2])
        whole = (cells[i, :3] - half > 0) & (cells[i, :3] + half < extent)
        directions = rng.normal(size=(1500, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        for _ in range(8):
            points, _normals = surface_points(cells[i], directions, fields)
            low, high = points.min(axis=0), points.max(axis=0)
            over = whole & ((low < margin_nm) | (high > extent - margin_nm))
            if not over.any():
                break
            for body in (cells[i], nuclei[i]):
                body[3] *= 0.94 if over[0] else 1.0
                body[4:6] *= 0.94 if over[1:].any() else 1.0
    return replace(placement, cells=cells, nuclei=nuclei)
