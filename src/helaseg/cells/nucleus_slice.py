"""The nucleus in one slice: from superpixels to an outline on the dark line."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive, check_range
from helaseg.cells.evidence import EvidenceConfig, SliceEvidence

Mask = NDArray[np.bool_]
Pieces = NDArray[np.int32]

#: A superpixel with more resin than this has leaked out of its cell.
MAX_RESIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleusConfig:
    """How the nucleus is found and followed.

    Parameters
    ----------
    evidence : EvidenceConfig
        How a slice is cut into superpixels.
    min_area_um2 : float
        Smallest nucleus in the seed slice; published 10,000 px = 1 µm².
    centre_fraction : float
        The seed nucleus is weighted by a Gaussian around the target whose
        sigma is this fraction of the shorter side of the crop.
    min_overlap : float
        A superpixel follows the nucleus when at least this part of it lies in
        the neighbouring slice's nucleus.
    max_growth_nm : float
        Farthest that the outline may move outwards from one slice to the next.
    min_agreement : float
        Smallest Jaccard index with the neighbouring slice; below it the slice
        counts as missed.
    min_envelope : float
        Smallest strength of the dark line on the outline, relative to the
        median over the slices so far; below it there is no envelope and the
        nucleus has ended.
    max_darkening : float
        Where the cut grazes the envelope the nucleus turns dark. It has ended
        with the first slice in which it is darker than usual by this part of
        the contrast between nucleus and envelope.
    bridge_nm : float
        Missed stretches up to this length are bridged.
    min_component_fraction : float
        Three-dimensional pieces smaller than this part of the largest one are
        dropped at the end.
    max_resin_around : float
        A seed whose surroundings are resin to more than this part is debris.
    max_resin_near_other : float
        The same, stricter, for places that count as the nucleus of another
        cell: even cytoplasm close to the resin must not.
    smooth_nm : float
        Parts of the nucleus narrower than twice this are cut off: leaks along
        membranes.
    min_hole_um2 : float
        Smaller holes are always filled; larger ones only when no envelope
        runs around them (a nucleolus, not an invagination).
    min_compactness : float
        Area of the largest inscribed circle over the area, for places that
        count as the nucleus of another cell.
    """

    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    min_area_um2: float = 1.0
    centre_fraction: float = 0.15
    min_overlap: float = 0.6
    max_growth_nm: float = 300.0
    min_agreement: float = 0.35
    min_envelope: float = 0.4
    max_darkening: float = 0.6
    bridge_nm: float = 300.0
    min_component_fraction: float = 0.1
    max_resin_around: float = 0.5
    max_resin_near_other: float = 0.2
    smooth_nm: float = 60.0
    min_hole_um2: float = 0.02
    min_compactness: float = 0.25

    def __post_init__(self) -> None:
        for name in (
            "min_area_um2",
            "centre_fraction",
            "max_growth_nm",
            "min_hole_um2",
            "smooth_nm",
        ):
            check_positive(name, getattr(self, name))
        check_positive("bridge_nm", self.bridge_nm, zero=True)
        for name in (
            "min_overlap",
            "min_agreement",
            "min_envelope",
            "max_resin_around",
            "min_component_fraction",
            "max_resin_near_other",
            "min_compactness",
        ):
            check_range(name, getattr(self, name), 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shade:
    """Grey values of a nucleus in one slice.

    Parameters
    ----------
    lightness : float
        Mean inside minus mean of the cytoplasm around, so that the brightness
        of the slice does not count.
    contrast : float
        Mean inside minus mean on the envelope.
    """

    lightness: float
    contrast: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A nucleus in one slice.

    Parameters
    ----------
    mask : ndarray of bool, shape (Y, X)
        The nucleus up to the midline of its envelope.
    agreement : float
        Median Jaccard index with what other edge levels say, 0 to 1.
    envelope : float
        Mean strength of the dark line on the outline, in units of the slice.
    """

    mask: Mask
    agreement: float
    envelope: float


def find_seeds(
    evidence: SliceEvidence, centre_px: tuple[float, float], config: NucleusConfig
) -> list[Outline]:
    """What each edge level takes for the nucleus nearest to a point (y, x) of a slice."""
    candidates = []
    weight = _weight_around(centre_px, evidence.zone.shape, config)
    for level in range(evidence.n_levels):
        pieces = evidence.superpixels(level)
        core = _central_piece(pieces, evidence, weight, config)
        if core is not None:
            candidates.append(_grow(pieces, core, evidence, config))
    return [
        _outline(mask, agreement, evidence)
        for mask, agreement in zip(candidates, _agreements(candidates), strict=True)
    ]


def follow_nucleus(evidence: SliceEvidence, prior: Mask, config: NucleusConfig) -> Outline | None:
    """The nucleus of a slice, given that of a neighbouring one; None when there is none."""
    from helaseg.image.morphology import binary_dilation

    box = _window(prior, margin_px=round(1.5 * config.max_growth_nm / evidence.pixel_nm) + 4)
    if box is None:
        return None
    part, prior_part = evidence.window(box), prior[box]
    reach = binary_dilation(prior_part, radius_px=config.max_growth_nm / evidence.pixel_nm)
    candidates, similar = [], []
    for level in range(part.n_levels):
        pieces = part.superpixels(level)
        area = np.bincount(pieces.ravel())
        inside = np.bincount(pieces[prior_part], minlength=len(area))
        fits = (inside >= config.min_overlap * area) & _large(area, part, config)
        if not fits.any():
            continue
        core = _without_folds(pieces, area, fits, part, config)
        mask = _grow(pieces, core, part, config, outside=~reach)
        if _resin_around(mask, part) > config.max_resin_around:
            # It has leaked to the plasma membrane.
            continue
        candidates.append(mask)
        similar.append(jaccard(mask, prior_part))
    if not candidates or max(similar) < config.min_agreement:
        return None
    agreement = _agreements(candidates)
    # A lobe that joins the nucleus here makes it less like its neighbour, but
    # most edge levels see it; a leak is seen by few.
    score = [
        s + a if s >= config.min_agreement else -1 for s, a in zip(similar, agreement, strict=True)
    ]
    best = int(np.argmax(score))
    mask = np.zeros(prior.shape, bool)
    mask[box] = candidates[best]
    return _outline(mask, agreement[best], evidence)


def measure_shade(
    grey: NDArray[np.float32], mask: Mask, evidence: SliceEvidence, config: NucleusConfig
) -> Shade:
    """Grey values inside a nucleus, on its outline and in the cytoplasm around it."""
    from helaseg.image.morphology import binary_dilation

    box = _window(mask, margin_px=round(config.max_growth_nm / evidence.pixel_nm) + 2)
    if box is None:
        return Shade(lightness=0.0, contrast=0.0)
    grey, mask, resin = grey[box], mask[box], evidence.resin[box]
    rim = binary_dilation(mask, radius_px=1) & ~mask
    around = binary_dilation(mask, radius_px=config.max_growth_nm / evidence.pixel_nm)
    around &= ~(mask | resin)
    inside = float(grey[mask].mean())
    return Shade(
        lightness=inside - float(grey[around].mean()) if around.any() else 0.0,
        contrast=inside - float(grey[rim].mean()) if rim.any() else 0.0,
    )


def nucleus_like(evidence: SliceEvidence, config: NucleusConfig) -> Mask:
    """Superpixels that could be the nucleus of any cell: large, compact, in cytoplasm."""
    from scipy.ndimage import find_objects

    from helaseg.image.distance import distance_transform
    from helaseg.image.morphology import fill_holes

    pieces = evidence.superpixels(evidence.n_levels // 2)
    found = np.zeros(pieces.shape, bool)
    boxes = find_objects(pieces)
    margin = round(300 / evidence.pixel_nm) + 2
    for k in _plausible(pieces, evidence, config):
        rows, cols = boxes[k - 1]
        box = (
            slice(max(rows.start - margin, 0), rows.stop + margin),
            slice(max(cols.start - margin, 0), cols.stop + margin),
        )
        core = fill_holes(pieces[box] == k)
        # Strips of even cytoplasm are long and thin, nuclei are not.
        depth = float(distance_transform(core).max())
        compact = np.pi * depth**2 >= config.min_compactness * np.count_nonzero(core)
        if compact and _resin_around(core, evidence.window(box)) <= config.max_resin_near_other:
            found[box] |= core
    return found


def centrality(mask: Mask, centre_px: tuple[float, float], config: NucleusConfig) -> float:
    """How near a mask is to a point (y, x): 1 when it covers it, else a Gaussian."""
    box = _window(mask, margin_px=0)
    if box is None:
        return 0.0
    rows, cols = (np.arange(s.start, s.stop) for s in box)
    away2 = (rows[:, None] - centre_px[0]) ** 2 + (cols - centre_px[1]) ** 2
    nearest2 = float(np.min(away2, where=mask[box], initial=np.inf))
    sigma = config.centre_fraction * min(mask.shape)
    return float(np.exp(-nearest2 / (2 * sigma**2)))


def jaccard(a: Mask, b: Mask) -> float:
    """Jaccard index of two masks; 0 when both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def between(a: Mask, b: Mask, t: float) -> Mask:
    """The outline a part `t` of the way from `a` to `b`, by signed distance."""
    from helaseg.image.distance import distance_transform

    def signed(mask: Mask) -> NDArray[np.float32]:
        if not mask.any():
            return np.full(mask.shape, -1e6, np.float32)
        return distance_transform(mask) - distance_transform(~mask)

    return (1 - t) * signed(a) + t * signed(b) > 0


def _large(area: NDArray[np.integer], evidence: SliceEvidence, config: NucleusConfig) -> Mask:
    """Which superpixels are large enough to be more than noise; never the edge zone."""
    large = area * evidence.pixel_nm**2 >= config.evidence.min_superpixel_um2 * 1e6
    large[0] = False
    return large


def _plausible(pieces: Pieces, evidence: SliceEvidence, config: NucleusConfig) -> NDArray[np.intp]:
    """Superpixels of the size of a nucleus that hold hardly any resin."""
    from helaseg.image.regions import region_areas, region_sums

    area = region_areas(pieces)
    resin = region_sums(pieces, image=evidence.resin, n=len(area) - 1)
    fits = (area * evidence.pixel_nm**2 >= config.min_area_um2 * 1e6) & (resin <= MAX_RESIN * area)
    fits[0] = False
    return np.flatnonzero(fits)


def _weight_around(
    centre_px: tuple[float, float], shape: tuple[int, ...], config: NucleusConfig
) -> NDArray[np.float64]:
    """A Gaussian around a point (y, x) of a slice."""
    rows, cols = shape
    sigma = config.centre_fraction * min(rows, cols)
    yy, xx = np.ogrid[:rows, :cols]
    y, x = centre_px
    return np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / (2 * sigma**2))


def _central_piece(
    pieces: Pieces,
    evidence: SliceEvidence,
    weight: NDArray[np.float64],
    config: NucleusConfig,
) -> Mask | None:
    """The plausible superpixel with the most weight near the centre."""
    from helaseg.image.regions import region_sums

    fits = _plausible(pieces, evidence, config)
    score = region_sums(pieces, image=weight)
    for k in fits[np.argsort(-score[fits], kind="stable")]:
        core = pieces == k
        if _resin_around(core, evidence) <= config.max_resin_around:
            return core
    return None


def _resin_around(core: Mask, evidence: SliceEvidence) -> float:
    """Part of a ring around a region that is resin; the ring is 200 to 300 nm away."""
    from helaseg.image.morphology import binary_dilation

    box = _window(core, margin_px=round(300 / evidence.pixel_nm) + 2)
    if box is None:
        return 0.0
    core, resin = core[box], evidence.resin[box]
    ring = binary_dilation(core, radius_px=300 / evidence.pixel_nm)
    ring &= ~binary_dilation(core, radius_px=200 / evidence.pixel_nm)
    n = np.count_nonzero(ring)
    return np.count_nonzero(ring & resin) / n if n else 0.0


def _without_folds(
    pieces: Pieces,
    area: NDArray[np.integer],
    fits: Mask,
    evidence: SliceEvidence,
    config: NucleusConfig,
) -> Mask:
    """The superpixels that fit, but for small ones inside the large ones.

    Those may be invaginations cut across. Left out of the core they become
    holes, and `_fill` decides by the line around them.
    """
    from helaseg.image.morphology import binary_dilation, fill_holes

    large = fits & (area >= 0.1 * area[fits].max())
    core = large[pieces]
    small = fits & ~large
    if small.any():
        # Wide enough to close the neck of an invagination.
        radius_px = 3 * config.evidence.gap_nm / evidence.pixel_nm
        inside = fill_holes(binary_dilation(core, radius_px=radius_px))
        enclosed = np.bincount(pieces[inside], minlength=len(area)) > 0.5 * area
        core |= (small & ~enclosed)[pieces]
    return core


def _grow(
    pieces: Pieces,
    core: Mask,
    evidence: SliceEvidence,
    config: NucleusConfig,
    outside: Mask | None = None,
) -> Mask:
    """Grow the core against all other superpixels until both meet on the dark line."""
    from helaseg.image.morphology import binary_opening
    from helaseg.image.regions import region_areas
    from helaseg.image.watershed import watershed

    large = _large(region_areas(pieces), evidence, config)
    markers = np.take(2 * large.astype(np.int32), pieces, mode="clip")
    if outside is not None:
        np.copyto(markers, 2, where=outside)
    np.copyto(markers, 1, where=core)
    grown = binary_opening(
        watershed(evidence.ridge, markers) == 1, radius_px=config.smooth_nm / evidence.pixel_nm
    )
    return _fill(grown, evidence, config)


def _fill(mask: Mask, evidence: SliceEvidence, config: NucleusConfig) -> Mask:
    """Fill holes, but keep those that an envelope surrounds: invaginations cut across."""
    from scipy.ndimage import find_objects

    from helaseg.image.labels import label
    from helaseg.image.morphology import binary_dilation, fill_holes
    from helaseg.image.regions import region_areas

    box = _window(mask, margin_px=2)
    if box is None:
        return mask
    part, ridge = mask[box], evidence.ridge[box]
    filled = fill_holes(part)
    pieces = label(filled & ~part, connectivity=1)
    large = region_areas(pieces) * evidence.pixel_nm**2 / 1e6 >= config.min_hole_um2
    large[0] = False
    if large.any():
        line = _line_on_outline(filled, evidence.window(box))
        boxes = find_objects(pieces)
        for k in np.flatnonzero(large):
            rows, cols = boxes[k - 1]
            # the filled mask surrounds every hole: one pixel more is still inside
            near = (slice(rows.start - 1, rows.stop + 1), slice(cols.start - 1, cols.stop + 1))
            hole = pieces[near] == k
            border = binary_dilation(hole, radius_px=1) & ~hole
            if ridge[near][border].mean() >= 0.5 * line:
                filled[near] &= ~hole
    whole = np.zeros(mask.shape, bool)
    whole[box] = filled
    return whole


def _line_on_outline(mask: Mask, evidence: SliceEvidence) -> float:
    """Mean strength of the dark line on the outer border of a mask."""
    from helaseg.image.morphology import binary_dilation

    box = _window(mask, margin_px=2)
    if box is None:
        return 0.0
    mask, ridge = mask[box], evidence.ridge[box]
    rim = binary_dilation(mask, radius_px=1) & ~mask
    return float(ridge[rim].mean()) if rim.any() else 0.0


def _outline(mask: Mask, agreement: float, evidence: SliceEvidence) -> Outline:
    return Outline(mask=mask, agreement=agreement, envelope=_line_on_outline(mask, evidence))


def _agreements(candidates: list[Mask]) -> list[float]:
    """For each candidate the median Jaccard index to the others; 0 for a lone one."""
    if len(candidates) < 2:
        return [0.0] * len(candidates)
    n = len(candidates)
    table = np.ones((n, n))
    for i in range(n):
        for j in range(i):
            table[i, j] = table[j, i] = jaccard(candidates[i], candidates[j])
    return [float(np.median(np.delete(table[k], k))) for k in range(n)]


def _window(mask: Mask, *, margin_px: int) -> tuple[slice, slice] | None:
    """The box around a mask with a margin, clipped; None for an empty mask."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return (
        slice(max(rows[0] - margin_px, 0), rows[-1] + margin_px + 1),
        slice(max(cols[0] - margin_px, 0), cols[-1] + margin_px + 1),
    )
