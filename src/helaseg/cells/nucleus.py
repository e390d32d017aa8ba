"""The nucleus of the target cell, followed through z from a seed slice.

Published stages (Karabağ et al. 2021, section on the nuclear envelope): cut a
slice into superpixels, take the central one in a seed slice, follow it up and
down by overlap with the neighbouring slice, let it fall apart into islands
near the poles. Different here: the cut is made at several edge levels, of
which the slice's own agreement and the neighbour choose one; the outline ends
on the dark line of the envelope instead of being dilated by a fixed amount; a
missed slice is bridged instead of ending the propagation; and a second pass
from the largest slice brings in lobes that are separate in the seed slice.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import as_zyx
from helaseg.cells.background import BackgroundConfig
from helaseg.cells.evidence import Evidence, collect_evidence
from helaseg.cells.nucleus_slice import (
    NucleusConfig,
    Outline,
    between,
    centrality,
    find_seeds,
    follow_nucleus,
    jaccard,
    measure_shade,
    nucleus_like,
)
from helaseg.cells.pixels import enlarge, join_pixels
from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.errors import NothingFoundWarning, ParameterError
from helaseg.execution import Progress, WorkerPool, make_executor, ordered_map

__all__ = ["NucleusConfig", "NucleusResult", "segment_nucleus"]

Mask = NDArray[np.bool_]

#: The nuclei of other cells are looked for on every so many working pixels along y and x.
OTHER_STEP = 4

#: A seed as clear as this is taken without looking further.
CLEAR_SEED = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleusResult:
    """The nucleus of a crop, with what the cell step needs.

    Parameters
    ----------
    grid : Grid
        The working grid: that of the crop, joined by `factor` along y and x.
    crop_grid : Grid
        The grid of the crop.
    factor : int
        Pixels joined along y and x.
    nuclei : ndarray of uint8 or uint16, shape of `grid`
        1 is the nucleus of the target cell up to the midline of its envelope,
        2, 3, ... are those of other cells; 0 is no nucleus.
    resin : ndarray of bool, shape of `grid`
        The resin of every slice.
    ridge : ndarray of uint8, shape of `grid`
        Strength of dark lines, 200 for the strongest of each slice.
    confidence : tuple of float
        Agreement among the edge levels per slice, 0 to 1.
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
    """

    grid: Grid
    crop_grid: Grid
    factor: int
    nuclei: NDArray[np.unsignedinteger]
    resin: Mask
    ridge: NDArray[np.uint8]
    confidence: tuple[float, ...]
    events: tuple[str, ...]
    seed_slice: int
    resin_threshold: float | None
    target_vx: tuple[float, float, float]

    @property
    def found(self) -> bool:
        """Whether there is a nucleus."""
        return self.seed_slice >= 0

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
        How resin is told from cells.
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
        If `seed_slice` lies outside the crop.

    Notes
    -----
    1. Seed: in a slice near the target, at each edge level, take the superpixel with the
       most weight near the target that is large enough and not surrounded by
       resin; keep the one that agrees best with those of the other levels and
       with what follows from it in the next slices.
    2. Follow: in the next slice the superpixels that lie mostly in the
       neighbour's nucleus are markers of the nucleus, all others and everything
       farther than ``max_growth_nm`` are markers of the outside; a watershed on
       the dark-line image puts the outline on the envelope. Islands arise by
       themselves, as several superpixels qualify. The nucleus has ended where no
       level agrees with the neighbour or the outline has no dark line.
    3. Missed slices are skipped up to ``bridge_nm`` and then filled by
       interpolation between their neighbours.
    4. The same again from the slice with the largest nucleus, so that lobes that
       join it there reach the slices where they are separate.
    5. Three-dimensional components that never join the nucleus are dropped.

    References
    ----------
    Karabağ, C., Jones, M. L. & Reyes-Aldasoro, C. C. Volumetric semantic
    instance segmentation of the plasma membrane of HeLa cells. J. Imaging 7,
    93 (2021). doi:10.3390/jimaging7060093
    """
    config = config or NucleusConfig()
    n = crop.shape[0]
    if seed_slice is not None and not 0 <= seed_slice < n:
        msg = f"'seed_slice' must lie between 0 and {n - 1}, got {seed_slice}"
        raise ParameterError(msg)
    if target_vx is None:
        target_vx = tuple((size - 1) / 2 for size in crop.shape)  # type: ignore[assignment]
    target = as_zyx("target_vx", target_vx)
    executor = executor or make_executor("serial")
    evidence = collect_evidence(
        crop,
        config=config.evidence,
        background=background or BackgroundConfig(),
        executor=executor,
        progress=progress,
    )
    # Markers need no fine outline: every fourth pixel along y and x is enough.
    rows, cols = (-(-size // OTHER_STEP) for size in evidence.grid.shape[1:])
    other = np.zeros((n, rows, cols), bool)

    def look(z: int) -> Mask:
        return nucleus_like(evidence[z], config)[::OTHER_STEP, ::OTHER_STEP]

    for z, mask in enumerate(ordered_map(executor, look, range(n))):
        if not evidence.blank[z]:
            other[z] = mask
    factor = evidence.factor
    goal = (target[0], (target[1] + 0.5) / factor - 0.5, (target[2] + 0.5) / factor - 0.5)
    path = _Propagation(crop, evidence, config, progress)
    path.start(goal, seed_slice)
    if not path.found:
        warnings.warn(
            f"no nucleus found in {crop.name!r}; check that the cell is in the middle of the "
            "crop, or give 'seed_slice' or 'target_vx'",
            NothingFoundWarning,
            stacklevel=2,
        )
    return NucleusResult(
        grid=evidence.grid,
        crop_grid=crop.grid,
        factor=factor,
        nuclei=_number_nuclei(path.nucleus, other),
        resin=evidence.resin,
        ridge=evidence.ridge,
        confidence=tuple(path.confidence),
        events=tuple(path.events),
        seed_slice=path.seed,
        resin_threshold=evidence.resin_threshold,
        target_vx=goal,
    )


class _Propagation:
    """The nucleus as it grows slice by slice."""

    def __init__(
        self,
        crop: Volume,
        evidence: Evidence,
        config: NucleusConfig,
        progress: Progress | None,
    ) -> None:
        n = evidence.grid.shape[0]
        self.crop = crop
        self.evidence = evidence
        self.config = config
        self.progress = progress
        self.nucleus = np.zeros(evidence.grid.shape, bool)
        self.confidence = [0.0] * n
        # Of the slices seen so far, nan elsewhere.
        self.envelope = np.full(n, np.nan)
        self.lightness = np.full(n, np.nan)
        self.contrast = np.full(n, np.nan)
        self.events = ["blank" if blank else "absent" for blank in evidence.blank]
        self.seed = -1
        self.done = 0

    @property
    def found(self) -> bool:
        """Whether there is a seed."""
        return self.seed >= 0

    def start(self, target: tuple[float, float, float], seed_slice: int | None) -> None:
        """Find a seed near the target (working voxels) and follow it both ways, twice."""
        order = _seed_order(len(self.events), round(target[0]))
        best, seed = 0.0, None
        for z in order if seed_slice is None else [seed_slice]:
            if self.evidence.blank[z]:
                continue
            for outline in find_seeds(self.evidence[z], target[1:], self.config):
                clarity = self._clarity(z, outline)
                clarity *= centrality(outline.mask, target[1:], self.config)
                # The first in the order wins among equals.
                if seed is None or clarity > best:
                    best, self.seed, seed = clarity, z, outline
            if best >= CLEAR_SEED:
                break
        if seed is None:
            return
        self._accept(self.seed, seed, "seed")
        self._both_ways(self.seed)
        self._both_ways(int(np.argmax(self.nucleus.sum(axis=(1, 2)))))
        keep_large_components(self.nucleus, self.config.min_component_fraction)

    def _clarity(self, z: int, outline: Outline) -> float:
        """How sure a seed is: other edge levels and the next slices show it too, 0 to 1."""
        beside = [k for k in (z - 1, z + 1) if 0 <= k < len(self.events)]
        beside = [k for k in beside if not self.evidence.blank[k]]
        if not beside:
            return outline.agreement
        followed = [follow_nucleus(self.evidence[k], outline.mask, self.config) for k in beside]
        likeness = [jaccard(f.mask, outline.mask) if f else 0.0 for f in followed]
        # Being followable counts most: at a low contrast one edge level may be alone in the right.
        return sum(likeness) / len(likeness) * (1 + outline.agreement) / 2

    def _both_ways(self, origin: int) -> None:
        self._follow(range(origin + 1, len(self.events)), origin)
        self._follow(range(origin - 1, -1, -1), origin)

    def _follow(self, order: range, origin: int) -> None:
        """Follow the nucleus in one direction, over gaps no longer than ``bridge_nm``."""
        reach = round(self.config.bridge_nm / self.evidence.grid.slice_nm)
        last, ended = origin, False
        for z in order:
            self._count()
            if ended or abs(z - last) > reach + 1 or self.evidence.blank[z]:
                continue
            # On the second pass the first one's result counts as well.
            prior = self.nucleus[last] | self.nucleus[z]
            outline = follow_nucleus(self.evidence[z], prior, self.config)
            if outline is None or self._has_no_envelope(outline):
                continue
            self._accept(z, outline, "followed")
            ended = self._is_cap(z)
            for gap in range(min(last, z) + 1, max(last, z)):
                t = abs(gap - last) / abs(z - last)
                self._bridge(gap, between(self.nucleus[last], self.nucleus[z], t))
            last = z
        if ended:
            # Beyond the cap there is none, whatever an earlier pass thought.
            self._erase(range(last + order.step, order.stop, order.step))

    def _accept(self, z: int, outline: Outline, event: str) -> None:
        grey = join_pixels(self.crop.slice(z), self.evidence.factor)
        shade = measure_shade(grey, outline.mask, self.evidence[z], self.config)
        self.nucleus[z] = outline.mask
        self.confidence[z] = outline.agreement
        self.envelope[z] = outline.envelope
        self.lightness[z], self.contrast[z] = shade.lightness, shade.contrast
        if self.events[z] != "seed":
            self.events[z] = event

    def _bridge(self, z: int, mask: Mask) -> None:
        self.nucleus[z] = mask
        self.confidence[z] = 0.0
        if self.events[z] != "blank":
            self.events[z] = "bridged"

    def _erase(self, order: range) -> None:
        for z in order:
            self.nucleus[z] = False
            self.confidence[z] = 0.0
            for seen in (self.envelope, self.lightness, self.contrast):
                seen[z] = np.nan
            if self.events[z] != "blank":
                self.events[z] = "absent"

    def _has_no_envelope(self, outline: Outline) -> bool:
        usual = float(np.nanmedian(self.envelope))
        return outline.envelope < self.config.min_envelope * usual

    def _is_cap(self, z: int) -> bool:
        usual = float(np.nanmedian(self.lightness))
        contrast = float(np.nanmedian(self.contrast))
        return self.lightness[z] < usual - self.config.max_darkening * contrast

    def _count(self) -> None:
        self.done += 1
        if self.progress:
            # Two passes, each from its origin to both ends.
            self.progress("nucleus", self.done, 2 * (len(self.events) - 1))


def _number_nuclei(own: Mask, other: Mask) -> NDArray[np.unsignedinteger]:
    """1 for the target's nucleus, further numbers for what else looks like one in 3-D."""
    from helaseg.image.labels import label

    pieces = label(other, connectivity=1)
    n = int(pieces.max())
    slices_of = np.zeros(n + 1, np.int64)
    keep = np.ones(n + 1, bool)
    for z, plane in enumerate(pieces):
        slices_of[np.unique(plane)] += 1
        # A place that the target's own nucleus covers is not another nucleus.
        keep[plane[own[z, ::OTHER_STEP, ::OTHER_STEP]]] = False
    # One slice is not evidence enough, unless there is no more.
    keep &= slices_of >= min(3, len(other))
    keep[0] = False
    number = np.zeros(n + 1, np.uint8 if np.count_nonzero(keep) < 254 else np.uint16)
    number[keep] = np.arange(2, 2 + np.count_nonzero(keep))
    nuclei = np.empty(own.shape, number.dtype)
    for z, mask in enumerate(own):
        nuclei[z] = enlarge(number[pieces[z]], OTHER_STEP, own.shape[1:])
        nuclei[z][mask] = 1
    return nuclei


def keep_large_components(mask: Mask, fraction: float) -> None:
    """Drop, in place, 3-D components smaller than a fraction of the largest one.

    Islands of a nucleus join it in some slice; what never does is a piece of
    cytoplasm or a mitochondrion.
    """
    from helaseg.image.labels import label

    where = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not len(where[0]):
        return
    # Labels of the whole crop would be four times its size; blocks of 2 x 2 pixels
    # tell the same.
    part = mask[tuple(slice(w[0], w[-1] + 1) for w in where)]
    rows, cols = part.shape[1:]
    blocks = np.zeros((len(part), -(-rows // 2), -(-cols // 2)), bool)
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corner = part[:, y::2, x::2]
        blocks[:, : corner.shape[1], : corner.shape[2]] |= corner
    pieces = label(blocks, connectivity=1)
    size = np.bincount(pieces.ravel())
    size[0] = 0
    keep = size >= fraction * size.max()
    for z, plane in enumerate(part):
        kept = keep[pieces[z]].repeat(2, axis=0).repeat(2, axis=1)
        plane &= kept[:rows, :cols]


def _seed_order(n: int, start: int) -> list[int]:
    """Slices to try as a seed: that of the target, then outwards in steps of a tenth."""
    middle, step = min(max(start, 0), n - 1), max(1, n // 10)
    order = [middle] if n else []
    for k in range(1, n // step + 1):
        order += [z for z in (middle + k * step, middle - k * step) if 0 <= z < n]
    return order
