"""The whole cell: everything that is not resin, shared among the cells of the crop.

Published stages (Karabağ et al. 2021, section on the plasma membrane):
distance to the resin, watershed of the distance, the catchment under the
nucleus, protrusions re-attached. Here all cells compete at once, and for the
membranes: see `helaseg.cells.membrane.competition`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive, check_range
from helaseg.cells.membrane.competition import CoarseCells, compete
from helaseg.cells.membrane.config import CompetitionConfig
from helaseg.cells.membrane.loose_pieces import connect_pieces, drop_detached
from helaseg.cells.membrane.refinement import refine_slice
from helaseg.cells.membrane.vacuoles import fill_vacuoles, find_vacuoles
from helaseg.cells.nucleus.evidence import MembraneEvidence
from helaseg.cells.nucleus.segment import NucleusResult
from helaseg.cells.shape.cut import cut_flags
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.errors import ParameterError
from helaseg.execution import Progress, WorkerPool, make_executor, ordered_map
from helaseg.image.blocks import enlarge

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellConfig:
    """Settings for the separation of cells from resin and from each other.

    Parameters
    ----------
    competition : CompetitionConfig
        Settings for the separation of touching cells.
    border_nm : float
        How far the border between two cells may move from the coarse grid to the
        dark line: one and a half of its voxels.
    vacuole_depth_nm : float
        Bright pockets enclosed in a cell and deeper than this are organelles,
        shallower ones are resin between protrusions.
    open_resin_um2 : float
        Resin at least this large in a slice is never an enclosed pocket.
    max_link_nm : float
        Pieces that are seen apart in a slice belong to the cell they are connected
        with through slices no farther apart than this. A filopodium is 100 to
        200 nm thick: on slices 100 nm apart, pieces that overlap need not be one,
        and the target is what hangs together in each slice.
    min_lobe_fraction : float
        On such slices, a piece of at least this part of the main one is the cell
        itself falling into lobes.
    """

    competition: CompetitionConfig = field(default_factory=CompetitionConfig)
    border_nm: float = 90.0
    vacuole_depth_nm: float = 600.0
    open_resin_um2: float = 25.0
    max_link_nm: float = 75.0
    min_lobe_fraction: float = 0.15

    def __post_init__(self) -> None:
        check_positive("open_resin_um2", self.open_resin_um2)
        for name in ("border_nm", "vacuole_depth_nm", "max_link_nm"):
            check_positive(name, getattr(self, name), zero=True)
        check_range("min_lobe_fraction", self.min_lobe_fraction, 0.0, 1.0)


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
    coarse : CoarseCells, optional
        Owner, second owner and confidence on the coarse grid; None if there are no
        cells. Read the two slice by slice with `doubt`.
    """

    grid: Grid
    cells: NDArray[np.unsignedinteger]
    solid: Mask
    flags: CellFlag
    coarse: CoarseCells | None = None

    def doubt(self, z: int) -> tuple[NDArray[np.unsignedinteger], NDArray[np.uint8]]:
        """Second owner and confidence of the pixels of a slice.

        Parameters
        ----------
        z : int
            Slice of `grid`.

        Returns
        -------
        second : ndarray of unsigned integers, shape (Y, X)
            The cell a pixel would belong to next; for a pixel without a cell, the one
            it would belong to first; 0 where no other is in question.
        confidence : ndarray of uint8, shape (Y, X)
            Percent: 0 where another cell has the same claim, 100 where none has any.
            0 for resin.

        Notes
        -----
        Where the cell of a pixel is not that of its coarse voxel (a border drawn
        again, a piece dropped), that one is the second owner at confidence 0.
        """
        own, solid = self.cells[z], self.solid[z]
        if self.coarse is None:
            return np.zeros_like(own), np.zeros(own.shape, np.uint8)
        where = z // self.coarse.factors[0]
        near, second, confidence = (
            enlarge(part[where], self.coarse.factors[1], own.shape)
            for part in (self.coarse.near, self.coarse.second, self.coarse.confidence)
        )
        moved = solid & (own != near) & (near > 0)
        second = np.where(moved, near, np.where(solid & (near > 0), second, 0))
        confidence = np.where(near > 0, confidence, np.where(own > 0, 100, 0))
        return second.astype(own.dtype), np.where(solid & ~moved, confidence, 0).astype(np.uint8)

    def sampled_doubt(
        self,
    ) -> tuple[NDArray[np.unsignedinteger], NDArray[np.uint8], Grid]:
        """Sample `doubt` in the middle of each coarse voxel; return the coarse grid as well."""
        if self.coarse is None:
            return np.zeros_like(self.cells), np.zeros(self.cells.shape, np.uint8), self.grid
        factors = self.coarse.factors
        second = np.empty_like(self.coarse.second)
        confidence = np.empty_like(self.coarse.confidence)
        places = [
            np.minimum(np.arange(m) * f + f // 2, n - 1)
            for m, f, n in zip(second.shape, factors, self.grid.shape, strict=True)
        ]
        here = np.ix_(*places[1:])
        for k, z in enumerate(places[0]):
            fine_second, fine_confidence = self.doubt(int(z))
            second[k], confidence[k] = fine_second[here], fine_confidence[here]
        return second, confidence, self.grid.downsample(factors)

    def confidence_of(self, number: int) -> float:
        """Mean confidence of a cell over its voxels, 0 to 1; nan if it has none."""
        if self.coarse is None:
            return float("nan")
        own = self.coarse.confidence[self.coarse.cells == number]
        return float(own.mean()) / 100 if own.size else float("nan")


def label_cells(
    evidence: MembraneEvidence,
    nucleus: NucleusResult,
    *,
    config: CellConfig | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> CellResult:
    """Share everything that is not resin among the cells of a crop.

    Parameters
    ----------
    evidence : MembraneEvidence
        Dark lines and resin at the working pixel size, from `collect_evidence`.
    nucleus : NucleusResult
        The nuclei of the same crop, from `follow_nuclei`.
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
    GridMismatchError
        If the nuclei are those of another crop.

    Notes
    -----
    1. On a coarse grid all cells compete, from their nuclei, for everything that is
       not resin: `helaseg.cells.membrane.competition.compete`. Resin plays no part in it; a
       crop without any is shared by its membranes alone.
    2. In each slice the borders between cells are drawn again on the dark line
       between them, rims and thin gaps are filled, and every nucleus goes to its
       cell: `helaseg.cells.membrane.refinement.refine_slice`.
    3. Bright pockets deep inside one cell are filled (vacuoles).
    4. Pieces that no cell reaches in their slice go to the cell they are connected
       with through other slices. On slices farther apart than ``max_link_nm`` pieces
       of the target that lie apart are dropped instead, with the target as their
       second owner.

    References
    ----------
    Karabağ, C., Jones, M. L. & Reyes-Aldasoro, C. C. Volumetric semantic
    instance segmentation of the plasma membrane of HeLa cells. J. Imaging 7,
    93 (2021). doi:10.3390/jimaging7060093
    """
    config = config or CellConfig()
    grid = evidence.grid
    grid.check_agrees(nucleus.grid, names=("evidence", "nucleus"))
    if grid.n_voxels == 0:
        msg = f"the crop must hold voxels, got shape {grid.shape}"
        raise ParameterError(msg)
    executor = executor or make_executor("serial")
    n = grid.shape[0]
    solid = ~evidence.resin
    solid |= nucleus.nuclei > 0
    coarse = compete(solid, evidence.ridge, nucleus, config.competition)

    def fine_slice(z: int) -> Labels:
        rough = enlarge(coarse.cells[z // coarse.factors[0]], coarse.factors[1], grid.shape[1:])
        labels = refine_slice(
            rough, solid[z], evidence.ridge[z], border_px=config.border_nm / grid.pixel_nm
        )
        # A nucleus is of one cell, whatever the lines inside.
        of_nucleus = coarse.of_nucleus[nucleus.nuclei[z]]
        labels = np.where(of_nucleus > 0, of_nucleus, labels)
        vacuoles = find_vacuoles(
            ~solid[z],
            pixel_nm=grid.pixel_nm,
            min_depth_nm=config.vacuole_depth_nm,
            open_resin_um2=config.open_resin_um2,
        )
        fill_vacuoles(labels, vacuoles)
        return labels

    cells = np.zeros(grid.shape, coarse.cells.dtype)
    for z, labels in enumerate(ordered_map(executor, fine_slice, range(n))):
        cells[z] = labels
        solid[z] |= labels > 0
        if progress:
            progress("cell", z + 1, n)
    if grid.slice_nm <= config.max_link_nm:
        connect_pieces(cells, solid, voxel_size_nm=grid.voxel_size_nm)
    else:
        for z in range(n):
            drop_detached(cells[z], nucleus.nuclei[z] == 1, config.min_lobe_fraction)
    flags = flag_cell(cells, solid, nucleus)
    if np.count_nonzero(coarse.of_nucleus == 1) > 1:
        flags |= CellFlag.SEVERAL_NUCLEI
    return CellResult(grid=grid, cells=cells, solid=solid, flags=flags, coarse=coarse)


def flag_cell(cells: NDArray[np.unsignedinteger], solid: Mask, nucleus: NucleusResult) -> CellFlag:
    """Flag the target cell by what its working volume shows."""
    flags = nucleus.all_flags | cut_flags(cells, nucleus.grid)
    if solid.mean() > 0.97:
        flags |= CellFlag.LITTLE_RESIN
    return flags
