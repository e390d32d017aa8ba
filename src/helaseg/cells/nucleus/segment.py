"""The nuclei of a crop, each followed through z from a seed slice.

Published stages (Karabağ et al. 2021, section on the nuclear envelope): cut a
slice into superpixels, take the central one in a seed slice, follow it up and
down by overlap with the neighbouring slice, let it fall apart into islands
near the poles. Different here: the cut is made along dark lines, at several
levels of their strength, of which the line on the outline, the smoothness
inside and the likeness with the neighbour choose one; the outline ends on the
dark line of the envelope instead of being dilated by a fixed amount; a missed
slice is bridged instead of ending the propagation; slices beside one that
reaches farther are looked at again, which brings in lobes that are separate in
the seed slice; and the nuclei of all other cells are followed in the same way.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import as_zyx
from helaseg.cells.background.config import BackgroundConfig
from helaseg.cells.nucleus.confidence import UNCERTAIN, nucleus_confidence
from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.evidence import Evidence, collect_evidence
from helaseg.cells.nucleus.evidence_config import EvidenceConfig
from helaseg.cells.nucleus.neighbours import Usual, add_other_nuclei
from helaseg.cells.nucleus.propagation import NucleusPath, best_seed, keep_large_components
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.volume import Volume, check_volume
from helaseg.errors import NothingFoundWarning, ParameterError
from helaseg.execution import Progress, WorkerPool, make_executor

__all__ = ["NucleusConfig", "NucleusResult", "check_start", "follow_nuclei", "segment_nucleus"]

Mask = NDArray[np.bool_]

#: Events of slices in which the nucleus was seen, not guessed.
SEEN = frozenset({"seed", "followed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleusResult:
    """The nuclei of a crop.

    Parameters
    ----------
    grid : Grid
        The working grid: that of the crop, joined by `factor` along y and x.
    crop_grid : Grid
        The grid of the crop.
    factor : int
        Pixels joined along y and x.
    nuclei : ndarray of uint8, shape of `grid`
        1 is the nucleus of the target cell up to the midline of its envelope,
        2, 3, ... are those of other cells; 0 is no nucleus.
    confidence : tuple of float
        Of each slice, 0 to 1: the Jaccard index that may be expected; see
        `helaseg.cells.nucleus.confidence`. Below 0.9 a slice is uncertain.
    events : tuple of str
        What the propagation did in each slice: ``"seed"``, ``"followed"``,
        ``"bridged"`` or ``"absent"``; ``"blank"`` for a slice without
        structure.
    seed_slice : int
        Where it started; -1 when no nucleus was found.
    resin_threshold : float or None
        Grey value between cells and resin; None for a blank crop.
    target_vx : tuple of float
        Where the target cell was expected, z, y, x in voxels of `grid`.
    flags : CellFlag
        Flags that describe the resin.
    evidence_config, background_config : EvidenceConfig, BackgroundConfig
        Settings of the evidence that the nuclei were followed in.
    """

    grid: Grid
    crop_grid: Grid
    factor: int
    nuclei: NDArray[np.unsignedinteger]
    confidence: tuple[float, ...]
    events: tuple[str, ...]
    seed_slice: int
    resin_threshold: float | None
    target_vx: tuple[float, float, float]
    flags: CellFlag = CellFlag.NONE
    evidence_config: EvidenceConfig = field(default_factory=EvidenceConfig)
    background_config: BackgroundConfig = field(default_factory=BackgroundConfig)

    @property
    def found(self) -> bool:
        """Return whether there is a nucleus."""
        return self.seed_slice >= 0

    @property
    def mean_confidence(self) -> float:
        """Confidence of the whole nucleus: the mean by area over slices seen; 0 without one."""
        seen = np.array([event in SEEN for event in self.events])
        area = seen * np.array([np.count_nonzero(plane == 1) for plane in self.nuclei], float)
        return float(area @ np.array(self.confidence) / area.sum()) if area.any() else 0.0

    @property
    def all_flags(self) -> CellFlag:
        """`flags`, and those that describe the nucleus."""
        flags = self.flags
        if not self.found:
            flags |= CellFlag.NO_NUCLEUS
        if any(event in {"bridged", "blank"} for event in self.events):
            flags |= CellFlag.BRIDGED_SLICES
        if self.found and self.mean_confidence < UNCERTAIN:
            flags |= CellFlag.LOW_CONFIDENCE
        return flags

    @property
    def nucleus(self) -> Mask:
        """The nucleus of the target cell, a new array of the shape of `grid`."""
        return self.nuclei == 1


def segment_nucleus(
    crop: Volume,
    *,
    config: NucleusConfig | None = None,
    background: BackgroundConfig | None = None,
    seed_slice: int | None = None,
    target_vx: tuple[float, float, float] | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> NucleusResult:
    """Segment the nucleus of the target cell of a crop.

    Parameters
    ----------
    crop : Volume
        Image of one cell, shape (Z, Y, X).
    config : NucleusConfig, optional
        Settings.
    background : BackgroundConfig, optional
        Settings for the separation of resin from cells.
    seed_slice : int, optional
        Slice of the crop to start from; by default the clearest one near the
        target.
    target_vx : tuple of float, optional
        A point in or near the target cell, z, y, x in voxels of the crop; by
        default the middle of the crop.
    executor : WorkerPool, optional
        Where slices are cut into superpixels; the propagation itself is serial.
    progress : Progress, optional
        Called as ``progress("evidence", done, total)`` and
        ``progress("nucleus", done, total)``.

    Returns
    -------
    NucleusResult
        At the working pixel size. When nothing is found its masks are empty
        and a `NothingFoundWarning` says what to try.

    Raises
    ------
    ParameterError
        If `seed_slice` or `target_vx` lies outside the crop, or `crop` is no Volume.

    See Also
    --------
    collect_evidence, follow_nuclei : the two steps, and their algorithm.
    """
    check_volume("crop", crop)
    check_start(crop.grid, seed_slice=seed_slice, target_vx=target_vx)
    config = config or NucleusConfig()
    evidence = collect_evidence(
        crop,
        config=config.evidence,
        background=background,
        executor=executor,
        progress=progress,
    )
    return follow_nuclei(
        evidence,
        config=config,
        seed_slice=seed_slice,
        target_vx=target_vx,
        executor=executor,
        progress=progress,
    )


def check_start(
    grid: Grid, *, seed_slice: int | None, target_vx: tuple[float, float, float] | None
) -> tuple[float, float, float]:
    """Raise unless the seed slice and the target lie in a crop; return the target.

    Parameters
    ----------
    grid : Grid
        Of the crop.
    seed_slice, target_vx
        As in `segment_nucleus`.

    Raises
    ------
    ParameterError
        If one of them lies outside.
    """
    n = grid.shape[0]
    if seed_slice is not None and not 0 <= seed_slice < n:
        msg = f"'seed_slice' must lie between 0 and {n - 1}, got {seed_slice}"
        raise ParameterError(msg)
    if target_vx is None:
        target_vx = tuple((size - 1) / 2 for size in grid.shape)  # type: ignore[assignment]
    target = as_zyx("target_vx", target_vx)
    if any(not -0.5 <= t <= size - 0.5 for t, size in zip(target, grid.shape, strict=True)):
        msg = f"'target_vx' (voxels, z first) must lie in the crop of {grid}, got {target}"
        raise ParameterError(msg)
    return target


def follow_nuclei(
    evidence: Evidence,
    *,
    config: NucleusConfig | None = None,
    seed_slice: int | None = None,
    target_vx: tuple[float, float, float] | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> NucleusResult:
    """Follow the outlines of the nuclei of a crop through its slices.

    Parameters
    ----------
    evidence : Evidence
        From `collect_evidence`.
    config, seed_slice, target_vx, executor
        As in `segment_nucleus`.
    progress : Progress, optional
        Called as ``progress("nucleus", done, total)``.

    Returns
    -------
    NucleusResult
        As of `segment_nucleus`.

    Raises
    ------
    ParameterError
        If `seed_slice` or `target_vx` lies outside the crop.

    Notes
    -----
    1. Seed: in a slice near the target, at each line level, take the superpixel
       with the most weight near the target that is large enough and not
       surrounded by resin; keep the one with the clearest outline that can be
       followed into the next slices.
    2. Follow: in the next slice the superpixels that lie mostly in the
       neighbour's nucleus are nucleus, all others and everything farther than
       ``max_growth_nm`` are outside; a watershed on the dark lines puts the
       outline on the envelope. Of the outlines of all levels, with and without
       what a gap of the envelope lets in, the one with the clearest line, the
       least texture inside and the most likeness with the neighbour is taken.
       Where none is clear, superpixels that are clear by themselves are taken:
       islands. The nucleus ends with its dark cap, or where there is no envelope.
    3. Missed slices are skipped up to ``bridge_nm`` and then filled by
       interpolation between their neighbours.
    4. Slices are looked at again beside one that reaches farther, up and down in
       turn, so that lobes reach the slices where they are separate.
    5. Three-dimensional components that never join the nucleus are dropped. What
       has no clear line and is uneven was no nucleus: a mitotic cell.
    6. The nuclei of other cells in the same way, see `helaseg.cells.nucleus.neighbours`.

    References
    ----------
    Karabağ, C., Jones, M. L. & Reyes-Aldasoro, C. C. Volumetric semantic
    instance segmentation of the plasma membrane of HeLa cells. J. Imaging 7,
    93 (2021). doi:10.3390/jimaging7060093
    """
    config = config or NucleusConfig()
    target = check_start(evidence.crop_grid, seed_slice=seed_slice, target_vx=target_vx)
    executor = executor or make_executor("serial")
    n = evidence.grid.shape[0]
    factor = evidence.factor
    goal = (target[0], (target[1] + 0.5) / factor - 0.5, (target[2] + 0.5) / factor - 0.5)
    nuclei = np.zeros(evidence.grid.shape, np.uint8)
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress:
            # From the seed to both ends, and from what the lobes reach.
            progress("nucleus", done, 2 * (n - 1))

    path = NucleusPath(evidence, nuclei, 1, config, count)
    seed = best_seed(evidence, goal, config, seed_slice)
    if seed is not None:
        path.follow(seed)
        path.join_lobes()
        keep_large_components(nuclei, 1, config.min_component_fraction)
        if path.has_no_envelope:
            path.erase()
            seed = None
    if seed is None:
        warnings.warn(
            f"no nucleus found in {evidence.name!r}; check that the cell is in the middle of the "
            "crop and not mitotic, or give 'seed_slice' or 'target_vx'",
            NothingFoundWarning,
            stacklevel=3,
        )
    add_other_nuclei(
        evidence,
        nuclei,
        config,
        executor,
        usual=None if seed is None else Usual.of_path(path),
        progress=progress,
    )
    return NucleusResult(
        grid=evidence.grid,
        crop_grid=evidence.crop_grid,
        factor=factor,
        nuclei=nuclei,
        confidence=nucleus_confidence(path),
        events=tuple(path.events),
        seed_slice=-1 if seed is None else seed.z,
        resin_threshold=evidence.resin_threshold,
        target_vx=goal,
        flags=evidence.flags,
        evidence_config=evidence.config,
        background_config=evidence.background,
    )
