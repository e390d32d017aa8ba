"""Ways to measure the area of a surface and the folds of a nucleus, side by side.

    python benchmarks/shapes.py area    # 26 ellipsoids on each of five kinds of voxels
    python benchmarks/shapes.py real    # needs HELASEG_REAL_DATA or ../shared/data

`area` prints the error against the formula, `real` how far the answers on one
real nucleus depend on the voxels. Nothing is asserted here (the tests do that).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation
from scipy.special import elliprg
from skimage.measure import marching_cubes, mesh_surface_area

from helaseg.cells.shape.coarse_mask import join_voxels
from helaseg.cells.shape.describe import describe_cell
from helaseg.cells.shape.invaginations import InvaginationConfig, find_invaginations
from helaseg.cells.shape.surface_area import surface_area_um2
from helaseg.cells.shape.topology import measure_topology, smooth_topology
from helaseg.core.grid import Grid

VOXELS = ((50, 10, 10), (100, 10, 10), (50, 20, 20), (50, 28, 28), (100, 28, 28))
HALF_AXES = (
    (1000, 1000, 1000),
    (1500, 1500, 1500),
    (2000, 1000, 1000),
    (3000, 1500, 1000),
    (2500, 2500, 1000),
    (3000, 1000, 1000),
)


def joined_marching_cubes(mask, grid):
    """Pixels joined to the slice distance, blurred by one voxel: helaseg before this comparison."""
    factor = max(1, round(grid.slice_nm / grid.pixel_nm))
    pad = [(0, 0)] + [(0, -n % factor) for n in mask.shape[1:]]
    part = np.pad(mask, pad, mode="edge")
    z, y, x = part.shape
    share = part.reshape(z, y // factor, factor, x // factor, factor).mean(axis=(2, 4))
    share = ndimage.gaussian_filter(share, 1.0, mode="nearest")
    size = (grid.voxel_size_nm[0], *(s * factor for s in grid.voxel_size_nm[1:]))
    vertices, faces, *_ = marching_cubes(share, 0.5, spacing=size)
    return mesh_surface_area(vertices, faces) / 1e6


def _blurred(mask, grid):
    sigmas = grid.slice_nm / np.array(grid.voxel_size_nm)
    return ndimage.gaussian_filter(mask.astype(np.float32), sigmas, mode="constant")


def blurred_marching_cubes(mask, grid):
    """Mask blurred by one slice distance in nm."""
    step = max(1, round(0.5 * grid.slice_nm / grid.pixel_nm))
    z, y, x = grid.voxel_size_nm
    field = _blurred(mask, grid)[:, ::step, ::step]
    vertices, faces, *_ = marching_cubes(field, 0.5, spacing=(z, y * step, x * step))
    return mesh_surface_area(vertices, faces) / 1e6


def gradient_integral(mask, grid):
    """Integral of the gradient of the same blurred mask (co-area formula)."""
    field = _blurred(mask, grid)
    squared = sum(np.gradient(field, s, axis=k) ** 2 for k, s in enumerate(grid.voxel_size_nm))
    return float(np.sqrt(squared).sum()) * grid.voxel_volume_nm3 / 1e6


def weighted_faces(mask, grid):
    """Faces of the voxels, each weighted by the normal of the blurred mask (a flux)."""
    field = _blurred(mask, grid)
    size = grid.voxel_size_nm
    slopes = [np.gradient(field, s, axis=k) for k, s in enumerate(size)]
    total = 0.0
    for axis, area in enumerate(grid.face_areas_nm2):
        low, high = (
            tuple(part if k == axis else slice(None) for k in range(3))
            for part in (slice(None, -1), slice(1, None))
        )
        step = mask[high].astype(np.int8) - mask[low]
        at = np.nonzero(step)
        normal = [(s[high][at] + s[low][at]) / 2 for s in slopes]
        normal[axis] = (field[high][at] - field[low][at]) / size[axis]
        length = np.maximum(np.sqrt(sum(n**2 for n in normal)), 1e-20)
        total += area * float((step[at] * normal[axis] / length).sum())
    return total / 1e6


def crofton(ruler_nm):
    def measure(mask, grid):
        return surface_area_um2(mask, grid, ruler_nm=ruler_nm)

    measure.__doc__ = f"Crossings of lines in about 100 directions, ruler {ruler_nm:g} nm"
    return measure


WAYS = {
    "joined, marching cubes": joined_marching_cubes,
    "blurred, marching cubes": blurred_marching_cubes,
    "gradient integral": gradient_integral,
    "faces weighted by normals": weighted_faces,
    "Crofton, ruler 100 nm": crofton(100.0),
    "Crofton, ruler 150 nm": crofton(150.0),
    "Crofton, ruler 200 nm": crofton(200.0),
}


def ellipsoid(half_nm, voxel_nm, turn, shift_vx):
    form = turn @ np.diag(1 / np.square(half_nm, dtype=float)) @ turn.T
    reach = np.sqrt(np.diag(turn @ np.diag(np.square(half_nm, dtype=float)) @ turn.T)) + 450
    shape = tuple(int(2 * r / v) + 2 for r, v in zip(reach, voxel_nm, strict=True))
    z, y, x = np.ix_(
        *(
            (np.arange(n) - (n - 1) / 2 - s) * v
            for n, s, v in zip(shape, shift_vx, voxel_nm, strict=True)
        )
    )
    mask = np.empty(shape, bool)
    for plane, h in zip(mask, z.ravel(), strict=True):
        squared = form[0, 0] * h**2 + form[1, 1] * y**2 + form[2, 2] * x**2
        mixed = form[0, 1] * h * y + form[0, 2] * h * x + form[1, 2] * y * x
        plane[:] = (squared + 2 * mixed)[0] <= 1
    return mask, Grid(shape=shape, voxel_size_nm=voxel_nm)


def area() -> None:
    rng = np.random.default_rng(0)
    cases = []
    for half in HALF_AXES:
        turns = [np.eye(3)]
        if len(set(half)) > 1:
            turns += [np.eye(3)[[1, 2, 0]], np.eye(3)[[2, 1, 0]]]
        turns += [Rotation.random(random_state=rng).as_matrix() for _ in range(2)]
        cases += [(half, turn, rng.uniform(-0.5, 0.5, 3)) for turn in turns]
    print("error of the area in %: mean, largest; seconds for all")
    for voxel_nm in VOXELS:
        errors = {name: [] for name in WAYS}
        seconds = dict.fromkeys(WAYS, 0.0)
        for half, turn, shift in cases:
            mask, grid = ellipsoid(half, voxel_nm, turn, shift)
            a, b, c = (h / 1000 for h in half)
            truth = 4 * np.pi * elliprg((a * b) ** 2, (a * c) ** 2, (b * c) ** 2)
            for name, measure in WAYS.items():
                start = time.perf_counter()
                errors[name].append(100 * (measure(mask, grid) / truth - 1))
                seconds[name] += time.perf_counter() - start
        print(f"{len(cases)} ellipsoids, voxels {voxel_nm}")
        for name, found in errors.items():
            print(
                f"  {name:27s} {np.mean(found):+6.2f} {np.abs(found).max():6.2f}"
                f" {seconds[name]:6.1f} s"
            )


def real() -> None:
    import tifffile

    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HELASEG_REAL_DATA", beside))
    file = folder / "c001_labels" / "classes5.tif"
    if not file.is_file():
        sys.exit("no real labels here: set HELASEG_REAL_DATA to the folder that holds them")
    labels = tifffile.imread(file)
    nucleus = (labels == 1) | (labels == 2)
    inside = [np.flatnonzero(nucleus.any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))]
    nucleus = nucleus[tuple(slice(max(w[0] - 40, 0), w[-1] + 41) for w in inside)]
    print("area (µm²) of one real nucleus on different voxels")
    for slices, pixels in ((1, 2), (2, 2), (1, 3), (2, 3)):
        mask = np.ascontiguousarray(nucleus[::slices, ::pixels, ::pixels])
        grid = Grid(shape=mask.shape, voxel_size_nm=(50 * slices, 10 * pixels, 10 * pixels))
        found = {name: measure(mask, grid) for name, measure in WAYS.items()}
        print(f"  {grid.voxel_size_nm}: " + ", ".join(f"{k} {v:.1f}" for k, v in found.items()))
    mask = np.ascontiguousarray(nucleus[:, ::2, ::2])
    grid = Grid(shape=mask.shape, voxel_size_nm=(50, 20, 20))
    coarse = join_voxels(mask, grid, voxel_nm=50.0)
    print(f"topology of the voxels: {measure_topology(mask)}")
    for nm in (50.0, 75.0, 100.0):
        print(f"  blurred by {nm:g} nm: {smooth_topology(coarse, smoothing_nm=nm)}")
    for radius in (300.0, 400.0, 600.0, 1000.0):
        config = InvaginationConfig(closing_radius_nm=radius)
        found = find_invaginations(coarse, config=config)
        volume = sum(f.volume_um3 for f in found)
        kinds = [f.kind for f in found]
        print(
            f"closing by {radius:g} nm: {kinds.count('invagination')} invaginations,"
            f" {kinds.count('tunnel')} tunnels, {volume:.2f} µm³"
        )
    start = time.perf_counter()
    measures = describe_cell(mask, None, grid).measurements
    print(f"all measures in {time.perf_counter() - start:.1f} s")
    for name, value in measures.items():
        print(f"  {name} {value:g}")


if __name__ == "__main__":
    parts = {"area": area, "real": real}
    if len(sys.argv) != 2 or sys.argv[1] not in parts:
        sys.exit(__doc__)
    parts[sys.argv[1]]()
