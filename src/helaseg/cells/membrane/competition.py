"""All cells of a crop compete, on a coarse grid, for everything that is not resin.

The published method caps the distance to the resin at 0.70 of its maximum and
cuts it by a watershed, slice by slice; where two cells touch, that line knows
nothing of their membranes. Here supervoxels between the dark lines
(`helaseg.cells.membrane.supervoxels`) are joined in three dimensions, from the nuclei of
all cells, by how open the way between them is (`helaseg.cells.membrane.agglomeration`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.membrane.agglomeration import Ownership, share_supervoxels
from helaseg.cells.membrane.config import CompetitionConfig
from helaseg.cells.membrane.supervoxels import find_contacts, find_supervoxels, measure_lines
from helaseg.cells.nucleus.segment import NucleusResult
from helaseg.image.blocks import Factors, pool_all, pool_labels, pool_max

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarseCells:
    """Who owns what on the coarse grid.

    Parameters
    ----------
    cells : ndarray of uint8 or uint16, shape (Z, Y, X)
        Instances: 1 is the target, others follow by size; 0 is resin.
    near : ndarray of uint8 or uint16, shape (Z, Y, X)
        The same, continued into the resin as far as a rim or a gap that the coarse
        grid does not show; so are `second` and `confidence`.
    second : ndarray of uint8 or uint16, shape (Z, Y, X)
        The cell a voxel would belong to next; 0 where no other was in question.
    confidence : ndarray of uint8, shape (Z, Y, X)
        Percent: 0 where the second cell has the same claim, 100 where it has none.
    factors : tuple of int
        Working voxels per coarse voxel along z, y, x.
    of_nucleus : ndarray of unsigned integers
        The cell of each nucleus of `NucleusResult.nuclei`; 0 for one too small to
        take part.
    """

    cells: NDArray[np.unsignedinteger]
    near: NDArray[np.unsignedinteger]
    second: NDArray[np.unsignedinteger]
    confidence: NDArray[np.uint8]
    factors: Factors
    of_nucleus: NDArray[np.unsignedinteger]


def compete(
    solid: Mask, ridge: NDArray[np.uint8], nucleus: NucleusResult, config: CompetitionConfig
) -> CoarseCells:
    """Share everything that is not resin among the cells of a crop.

    Parameters
    ----------
    solid : ndarray of bool, shape (Z, Y, X)
        Everything that is not resin, on the working grid.
    ridge : ndarray of uint8, shape (Z, Y, X)
        Strength of dark lines, on the working grid.
    nucleus : NucleusResult
        Nuclei of all cells, on the working grid.
    config : CompetitionConfig
        Settings.

    Returns
    -------
    CoarseCells
        On the coarse grid.

    Notes
    -----
    1. Join voxels: solid where all of a block is, the strongest dark line of
       each block, the nucleus that fills a block.
    2. Measure how strong noise and membranes are, in and around the nuclei.
    3. Cut supervoxels along the dark lines and measure their contacts.
    4. Join the supervoxels into cells; number these, the target first.

    Without resin nothing changes: its distance is not used.
    """
    from helaseg.image.distance import expand_labels

    grid = nucleus.grid
    in_plane = max(1, round(config.coarse_pixel_nm / grid.pixel_nm))
    factors = (max(1, round(config.coarse_slice_nm / grid.slice_nm)), in_plane, in_plane)
    spacing = grid.downsample(factors).voxel_size_nm
    coarse = pool_all(solid, factors)
    ridge = pool_max(ridge, factors)
    nuclei = pool_labels(nucleus.nuclei, factors)
    nuclei[~coarse] = 0
    number = _numbers(nuclei)
    nuclei, n_nuclei = number[nuclei], max(1, int(number.max()))
    lines = measure_lines(ridge, coarse, nuclei)
    supervoxels, count = find_supervoxels(
        ridge, coarse, nuclei, spacing_nm=spacing, smooth_nm=config.smooth_nm
    )
    count = max(count, n_nuclei)
    contacts = find_contacts(
        supervoxels, ridge, lines, config, n_nuclei=n_nuclei, spacing_nm=spacing
    )
    volume_um3 = np.bincount(supervoxels.ravel(), minlength=count + 1) * np.prod(spacing) / 1e9
    volume_um3[0] = 0.0
    beside = _at_sides(supervoxels, count, axes=(1, 2))
    ownership = share_supervoxels(
        contacts,
        volume_um3,
        lines,
        config,
        n_nuclei=n_nuclei,
        cut=beside | _at_sides(supervoxels, count, axes=(0,)),
        beside=beside,
        depth_um=supervoxels.shape[0] * spacing[0] / 1e3,
    )
    target = _target(ownership, supervoxels, nucleus, has_own=bool((nuclei == 1).any()))
    cell_number = _cell_numbers(ownership, volume_um3, target)
    of_nucleus = cell_number[ownership.owner[number]]
    of_nucleus[volume_um3[number] == 0] = 0
    percent = np.round(100 * ownership.confidence).astype(np.uint8)
    percent[0] = 0
    cells = cell_number[ownership.owner]
    own = cells[supervoxels]
    # Blocks that hold a little resin count as resin; twice their diagonal is far enough.
    supervoxels = expand_labels(supervoxels, max_distance=3.0)
    return CoarseCells(
        cells=own,
        near=cells[supervoxels],
        second=cell_number[ownership.second][supervoxels],
        confidence=percent[supervoxels],
        factors=factors,
        of_nucleus=of_nucleus,
    )


def _numbers(nuclei: NDArray[np.unsignedinteger]) -> NDArray[np.int32]:
    """New numbers of the nuclei, 2 to n without gaps; 1 stays that of the target."""
    present = np.bincount(nuclei.ravel(), minlength=2) > 0
    present[:2] = False
    number = np.zeros(len(present), np.int32)
    number[1] = 1
    number[present] = np.arange(2, 2 + np.count_nonzero(present))
    return number


def _at_sides(supervoxels: Labels, count: int, *, axes: tuple[int, ...]) -> Mask:
    """Find which supervoxels lie at a side of the crop across one of the axes, by number."""
    cut = np.zeros(count + 1, bool)
    for axis in axes:
        for side in (0, -1):
            cut[supervoxels.take(side, axis=axis)] = True
    return cut


def _target(
    ownership: Ownership, supervoxels: Labels, nucleus: NucleusResult, *, has_own: bool
) -> int:
    """The cell of the target: that of its nucleus, else the one around where it should be."""
    if has_own:
        return int(ownership.owner[1])
    share = [n / m for n, m in zip(supervoxels.shape, nucleus.grid.shape, strict=True)]
    y, x = (round(float(t * s)) for t, s in zip(nucleus.target_vx[1:], share[1:], strict=True))
    ry, rx = supervoxels.shape[1] // 8 + 1, supervoxels.shape[2] // 8 + 1
    box = (slice(None), slice(max(y - ry, 0), y + ry + 1), slice(max(x - rx, 0), x + rx + 1))
    near = np.bincount(ownership.owner[supervoxels[box]].ravel())
    near[0] = 0
    return int(np.argmax(near)) if near.any() else 0


def _cell_numbers(
    ownership: Ownership, volume_um3: NDArray[np.float64], target: int
) -> NDArray[np.unsignedinteger]:
    """Number of each cell: 1 for the target, then by size."""
    volume = np.bincount(ownership.owner, volume_um3)
    volume[0] = 0.0
    others = [k for k in np.argsort(-volume, kind="stable") if volume[k] > 0 and k != target]
    number = np.zeros(len(volume), np.int64)
    if target:
        number[target] = 1
    number[others] = np.arange(2, len(others) + 2)
    return number.astype(np.uint8 if len(others) < 254 else np.uint16)
