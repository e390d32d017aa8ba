"""The whole cell: everything that is not resin, shared among the cells of the crop.

Published stages (Karabağ et al. 2021, section on the plasma membrane):
distance to the resin, watershed of the distance, the catchment under the
nucleus, protrusions re-attached. See `helaseg.cells.competition` for what is
decided differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive, check_range
from helaseg.cells.competition import find_basins, find_saddles, join_basins, pool_all
from helaseg.cells.nucleus import NucleusResult
from helaseg.cells.pixels import enlarge
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.errors import ParameterError
from helaseg.execution import Progress, WorkerPool, make_executor, ordered_map

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

#: Events of slices in which the nucleus was seen, not guessed.
SEEN = frozenset({"seed", "followed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CellConfig:
    """How the cells of a crop are told apart.

    Parameters
    ----------
    coarse_pixel_nm : float
        The cells compete on voxels joined to about this size in a slice.
    coarse_slice_nm : float
        The same across slices.
    height_step_nm : float
        Height resolution of the distance map.
    neck_ratio : float
        A neck at least this part of the smaller piece's radius joins it to the
        larger one; published 0.70 of the maximum of the whole slice.
    bleb_radius_nm : float
        A piece with a smaller radius belongs to what it touches.
    vacuole_depth_nm : float
        Bright pockets enclosed in a cell and deeper than this are organelles,
        shallower ones are resin between protrusions.
    open_resin_um2 : float
        Resin at least this large in a slice is never an enclosed pocket.
    min_cell_um3 : float
        Smaller pieces get no number of their own.
    detached_reach_nm : float
        A piece that does not touch the cell in its own slice (the cross-section
        of a bleb or filopodium) belongs to it when it lies on the cell in a
        slice no farther away; 0 keeps to each slice, as drawings made slice by
        slice do. On slices 100 nm apart the default has no effect.
    min_lobe_fraction : float
        A detached piece of at least this part of the main one is the cell
        itself falling into lobes, and always belongs to it.
    """

    coarse_pixel_nm: float = 60.0
    coarse_slice_nm: float = 80.0
    height_step_nm: float = 10.0
    neck_ratio: float = 0.5
    bleb_radius_nm: float = 600.0
    vacuole_depth_nm: float = 600.0
    open_resin_um2: float = 25.0
    min_cell_um3: float = 0.05
    detached_reach_nm: float = 50.0
    min_lobe_fraction: float = 0.15

    def __post_init__(self) -> None:
        for name in ("coarse_pixel_nm", "coarse_slice_nm", "height_step_nm", "open_resin_um2"):
            check_positive(name, getattr(self, name))
        for name in ("bleb_radius_nm", "vacuole_depth_nm", "min_cell_um3", "detached_reach_nm"):
            check_positive(name, getattr(self, name), zero=True)
        for name in ("neck_ratio", "min_lobe_fraction"):
            check_range(name, getattr(self, name), 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """The cells of a crop at the working pixel size.

    Parameters
    ----------
    grid : Grid
        The working grid.
    cells : ndarray of uint8 or uint16, shape of `grid`
        Instances: 1 is the target cell, others follow; 0 is resin and pieces
        too small for a number.
    solid : ndarray of bool, shape of `grid`
        Everything that is not resin.
    flags : CellFlag
        What is special about the target cell.
    """

    grid: Grid
    cells: NDArray[np.unsignedinteger]
    solid: Mask
    flags: CellFlag


def label_cells(
    nucleus: NucleusResult,
    *,
    config: CellConfig | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> CellResult:
    """Share everything that is not resin among the cells of a crop.

    Parameters
    ----------
    nucleus : NucleusResult
        From `helaseg.segment_nucleus`: nucleus and resin at the working pixel size.
    config : CellConfig, optional
        Settings.
    executor : WorkerPool, optional
        Where the slices are refined.
    progress : callable, optional
        Called as ``progress("cell", done, total)``.

    Returns
    -------
    CellResult
        Instances of all cells; 1 is the one in the middle.

    Raises
    ------
    ParameterError
        If the crop holds no voxels.

    Notes
    -----
    1. Bright pockets deep inside cells are filled (vacuoles).
    2. On a coarse grid whose voxels are solid only where all of the fine ones
       are, the anisotropic distance to the resin is cut into basins, with the
       nuclei as markers, and the basins are joined into cells.
    3. In each slice the fine pixels are flooded from the coarse labels along
       the fine distance map. What cannot be reached stays without a number.
    4. Of the target cell, pieces detached from the main one in a slice are
       dropped unless they are lobes (``min_lobe_fraction``) or lie on the cell
       in a close slice (``detached_reach_nm``).

    References
    ----------
    Karabağ, C., Jones, M. L. & Reyes-Aldasoro, C. C. Volumetric semantic
    instance segmentation of the plasma membrane of HeLa cells. J. Imaging 7,
    93 (2021). doi:10.3390/jimaging7060093
    """
    config = config or CellConfig()
    grid = nucleus.grid
    if grid.n_voxels == 0:
        msg = f"the crop must hold voxels, got shape {grid.shape}"
        raise ParameterError(msg)
    executor = executor or make_executor("serial")
    n = grid.shape[0]

    def solid_slice(z: int) -> Mask:
        return _solid(nucleus.resin[z], nucleus.nuclei[z] == 1, grid.pixel_nm, config)

    solid = np.empty(grid.shape, bool)
    for z, mask in enumerate(ordered_map(executor, solid_slice, range(n))):
        solid[z] = mask
    coarse, factors = _compete(solid, nucleus, config)

    aside = int(coarse.max()) + 1

    def fine_slice(z: int) -> Labels:
        rough = coarse[z // factors[0]]
        labels = _flood(enlarge(rough, factors[1], grid.shape[1:]), solid[z])
        own = nucleus.nuclei[z] == 1
        _set_aside(labels, own, aside, config)
        labels[own] = 1
        return labels

    cells = np.zeros(grid.shape, np.uint8 if aside < 255 else np.uint16)
    for z, labels in enumerate(ordered_map(executor, fine_slice, range(n))):
        cells[z] = labels
        if progress:
            progress("cell", z + 1, n)
    _settle(cells, aside, reach=int(config.detached_reach_nm / grid.slice_nm + 1e-6))
    return CellResult(grid=grid, cells=cells, solid=solid, flags=flag_cell(cells, solid, nucleus))


def _solid(resin: Mask, nucleus: Mask, pixel_nm: float, config: CellConfig) -> Mask:
    """Everything that is not resin, with vacuoles filled."""
    from helaseg.image.distance import distance_transform
    from helaseg.image.labels import label
    from helaseg.image.regions import region_areas

    resin = resin & ~nucleus
    pockets = label(resin, connectivity=2)
    n = int(pockets.max())
    if n == 0:
        return ~resin
    area_um2 = region_areas(pockets, n=n) * pixel_nm**2 / 1e6
    open_ = area_um2 >= config.open_resin_um2
    for side in (pockets[0], pockets[-1], pockets[:, 0], pockets[:, -1]):
        open_[side] = True
    open_[0] = False
    if not open_.any():
        # Nothing tells the outside from a vacuole; keep what was seen.
        return ~resin
    depth = distance_transform(~open_[pockets], spacing=pixel_nm)
    nearest = np.full(n + 1, np.inf, np.float32)
    np.minimum.at(nearest, pockets.ravel(), depth.ravel())
    vacuole = nearest > config.vacuole_depth_nm
    vacuole[0] = False
    return ~resin | vacuole[pockets]


def _compete(
    solid: Mask, nucleus: NucleusResult, config: CellConfig
) -> tuple[Labels, tuple[int, int, int]]:
    """Cells on the coarse grid, 1 is the target; voxels joined along each axis."""
    from helaseg.image.distance import distance_transform

    grid = nucleus.grid
    in_plane = max(1, round(config.coarse_pixel_nm / grid.pixel_nm))
    factors = (max(1, round(config.coarse_slice_nm / grid.slice_nm)), in_plane, in_plane)
    coarse = pool_all(solid, factors)
    spacing = grid.downsample(factors).voxel_size_nm
    distance = distance_transform(coarse, spacing=spacing)
    # A crop without any resin has no distance: its basins come from the nuclei alone.
    distance[~np.isfinite(distance)] = 0.0
    nuclei = _nuclei(nucleus, factors)
    n_nuclei = int(nuclei.max())
    basins, count = find_basins(coarse, distance, nuclei, step_nm=config.height_step_nm)
    peak = np.zeros(count + 1, np.float32)
    np.maximum.at(peak, basins.ravel(), distance.ravel())
    cell_of = join_basins(
        find_saddles(basins, distance),
        peak,
        n_nuclei=n_nuclei,
        neck_ratio=config.neck_ratio,
        bleb_radius_nm=config.bleb_radius_nm,
    )
    volume_um3 = np.bincount(cell_of[basins.ravel()], minlength=count + 1).astype(float)
    volume_um3 *= np.prod(spacing) / 1e9
    volume_um3[0] = 0
    target = _target(cell_of, basins, nucleus, distance)
    kept = [k for k in np.argsort(-volume_um3, kind="stable") if volume_um3[k] > 0]
    kept = [k for k in kept if volume_um3[k] >= config.min_cell_um3 and k != target]
    number = np.zeros(count + 1, np.int32)
    if target:
        number[target] = 1
    number[kept] = np.arange(2, len(kept) + 2)
    return number[cell_of][basins], factors


def _nuclei(nucleus: NucleusResult, factors: tuple[int, int, int]) -> Labels:
    """Nuclei as markers on the coarse grid, numbered from 1 on, the target's first."""
    own = pool_all(nucleus.nucleus, factors)
    # The nuclei of other cells may touch the pixels beside them: any voxel will do.
    labels = nucleus.nuclei[tuple(slice(0, None, f) for f in factors)].astype(np.int32)
    labels[labels == 1] = 0
    labels[own] = 1
    present = np.flatnonzero(np.bincount(labels.ravel()))
    number = np.zeros(int(labels.max()) + 1, np.int32)
    number[present] = np.arange(len(present)) if present[0] == 0 else np.arange(len(present)) + 1
    return number[labels]


def _target(
    cell_of: Labels, basins: Labels, nucleus: NucleusResult, distance: NDArray[np.float32]
) -> int:
    """The cell of the target: that of its nucleus, else the one around where it should be."""
    if nucleus.found:
        return int(cell_of[1])
    share = [n / m for n, m in zip(basins.shape, nucleus.grid.shape, strict=True)]
    y, x = (round(float(t * s)) for t, s in zip(nucleus.target_vx[1:], share[1:], strict=True))
    ry, rx = basins.shape[1] // 8 + 1, basins.shape[2] // 8 + 1
    box = (slice(None), slice(max(y - ry, 0), y + ry + 1), slice(max(x - rx, 0), x + rx + 1))
    near = basins[box]
    weight = np.bincount(cell_of[near.ravel()], distance[box].ravel(), minlength=len(cell_of))
    weight[0] = 0
    return int(np.argmax(weight)) if weight.any() else 0


def _flood(rough: Labels, solid: Mask) -> Labels:
    """Give each solid pixel the coarse label that reaches it first along the distance map."""
    from helaseg.image.distance import distance_transform
    from helaseg.image.watershed import watershed

    if not rough.any():
        return np.zeros(solid.shape, np.int32)
    depth = distance_transform(solid)
    depth[~np.isfinite(depth)] = 0.0
    priority = -np.minimum(depth * 8, 32000).astype(np.int16)
    return watershed(priority, rough, mask=solid, connectivity=1)


def _set_aside(labels: Labels, nucleus: Mask, aside: int, config: CellConfig) -> None:
    """Renumber pieces of the target that its main pieces do not touch in this slice."""
    from helaseg.image.labels import label

    pieces = label(labels == 1, connectivity=2)
    n = int(pieces.max())
    if n < 2:
        return
    area = np.bincount(pieces.ravel(), minlength=n + 1)
    area[0] = 0
    attached = area >= config.min_lobe_fraction * area.max()
    attached[pieces[nucleus]] = True
    labels[(pieces > 0) & ~attached[pieces]] = aside


def _settle(cells: NDArray[np.unsignedinteger], aside: int, *, reach: int) -> None:
    """Give pieces set aside to the target where they lie on it in a close slice, drop the rest."""
    from helaseg.image.labels import label

    accepted = aside + 1
    for z in range(cells.shape[0]):
        pieces = label(cells[z] == aside, connectivity=2)
        n = int(pieces.max())
        if n == 0:
            continue
        area = np.bincount(pieces.ravel(), minlength=n + 1)
        lies_on = np.zeros(n + 1, bool)
        for other in range(max(z - reach, 0), min(z + reach + 1, cells.shape[0])):
            if other != z:
                over = np.bincount(pieces[cells[other] == 1], minlength=n + 1)
                lies_on |= 2 * over >= area
        # Marked, not set to 1: whether a piece belongs must not depend on the
        # order in which the slices are visited.
        cells[z] = np.where(pieces == 0, cells[z], np.where(lies_on[pieces], accepted, 0))
    cells[cells == accepted] = 1


def flag_cell(cells: NDArray[np.unsignedinteger], solid: Mask, nucleus: NucleusResult) -> CellFlag:
    """What the working volumes say about the target cell."""
    flags = CellFlag.NONE
    own = cells == 1
    if not nucleus.found:
        flags |= CellFlag.NO_NUCLEUS
    area = np.array([np.count_nonzero(part) for part in own])
    # A speck of a protrusion in the outermost slice does not cut the cell.
    enough = 0.05 * area.max(initial=0)
    if area[0] > enough:
        flags |= CellFlag.CUT_AT_FIRST_SLICE
    if area[-1] > enough:
        flags |= CellFlag.CUT_AT_LAST_SLICE
    if any(side.any() for side in (own[:, 0], own[:, -1], own[:, :, 0], own[:, :, -1])):
        flags |= CellFlag.LEAVES_ROI
    if any(event in {"bridged", "blank"} for event in nucleus.events):
        flags |= CellFlag.BRIDGED_SLICES
    seen = [c for c, event in zip(nucleus.confidence, nucleus.events, strict=True) if event in SEEN]
    if seen and np.median(seen) < 0.8:
        flags |= CellFlag.LOW_CONFIDENCE
    if solid.mean() > 0.97:
        flags |= CellFlag.LITTLE_RESIN
    return flags
