"""The nucleus in one slice: which of the outlines that the slice offers is best."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.evidence import NOISE_RIDGE, WIDE_STEP, SliceEvidence
from helaseg.cells.nucleus.masks import Mask, jaccard, rim_of, signed_distance, window
from helaseg.cells.nucleus.pieces import Lines, clear_islands, outlines_near
from helaseg.image.blocks import enlarge

#: A superpixel with more resin than this has leaked out of its cell.
MAX_RESIN = 0.1
#: A line of this many times the noise is as good as any; envelopes reach 3.5 to 8.
CLEAR_LINE = 3.5
#: A line inside the nucleus of this many times the noise is not noise.
TEXTURE_LINE = 2.5
#: What is nearer to the outline than this is neither texture nor apart from resin.
RIM_NM = 100.0
#: Outlines whose scores differ by this much less are still in question.
CLOSE_SCORE = 0.05
#: If no outline is clearer than this, the slice is searched for islands.
DOUBTFUL = 0.93
#: Smallest Jaccard index of islands with the nucleus of which they are the last.
MIN_ISLANDS = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A nucleus in one slice.

    Parameters
    ----------
    mask : ndarray of bool, shape (Y, X)
        The nucleus up to the midline of its envelope.
    line : float
        Mean strength of the dark line on the outline, 1 where it is clear everywhere.
    texture : float
        Part of the inside that is dark lines.
    resin : float
        Part of the outline that runs along resin.
    likeness : float
        Jaccard index with the neighbouring slice's nucleus; 1 for a seed.
    agreement : float
        Likeness with the other outlines that the slice offers, the good ones
        above all, 0 to 1.
    contrast : float
        Mean grey value inside minus that on the envelope.
    lightness : float
        Mean inside minus mean of the cytoplasm around, so that the brightness
        of the slice does not count.
    islands : bool
        Only superpixels that are clear by themselves were taken.
    """

    mask: Mask
    line: float
    texture: float
    resin: float
    likeness: float
    agreement: float
    contrast: float
    lightness: float
    islands: bool = False

    @property
    def clear(self) -> float:
        """A dark line around, smooth inside, away from resin: 0 to 1."""
        return max(self.line - self.texture - self.resin, 0.0)

    def score(self, config: NucleusConfig) -> float:
        """Score of the outline; higher is better."""
        return (
            self.line
            + config.likeness_weight * self.likeness
            - config.texture_weight * self.texture
            - config.resin_weight * self.resin
        )


def follow_nucleus(
    evidence: SliceEvidence, prior: Mask, config: NucleusConfig, *, taken: Mask | None = None
) -> Outline | None:
    """The nucleus of a slice, given that of a neighbouring one; None when there is none.

    Parameters
    ----------
    evidence : SliceEvidence
        The slice.
    prior : ndarray of bool, shape (Y, X)
        The nucleus in the neighbouring slice.
    config : NucleusConfig
        Settings.
    taken : ndarray of bool, shape (Y, X), optional
        Where other nuclei are.
    """
    box = window(prior, margin_px=round(1.5 * config.max_growth_nm / evidence.pixel_nm) + 4)
    if box is None:
        return None
    part, prior_part = evidence.window(box), prior[box]
    others = np.zeros_like(prior_part) if taken is None else taken[box]
    away_nm = signed_distance(prior_part) * np.float32(evidence.pixel_nm)
    lines = part.lines_at(away_nm, config.evidence)

    def judge(masks: Iterable[Mask], least: float) -> list[Outline]:
        kept = [
            mask
            for mask in masks
            if np.count_nonzero(mask & part.resin) <= MAX_RESIN * np.count_nonzero(mask)
            and jaccard(mask, prior_part) >= least
        ]
        return judge_outlines(kept, part, lines, prior_part, config)

    def is_clear(mask: Mask) -> bool:
        return judge_outlines([mask], part, lines, prior_part, config)[0].clear >= DOUBTFUL

    offers = judge(outlines_near(part, lines, away_nm, others, config), config.min_agreement)
    if all(offer.clear < DOUBTFUL for offer in offers):
        islands = clear_islands(part, lines, away_nm, others, is_clear, config)
        offers += [replace(offer, islands=True) for offer in judge(islands, MIN_ISLANDS)]
    if not offers:
        return None
    best = max(offers, key=lambda offer: offer.score(config))
    whole = np.zeros(prior.shape, bool)
    whole[box] = best.mask
    return replace(best, mask=whole)


def find_cap(
    evidence: SliceEvidence, prior: Mask, usual_contrast: float, config: NucleusConfig
) -> Outline | None:
    """Find the cap of a nucleus, where the cut grazes its envelope: a dark smear without a line.

    Parameters
    ----------
    evidence : SliceEvidence
        The slice behind the last one with an outline.
    prior : ndarray of bool, shape (Y, X)
        The nucleus there.
    usual_contrast : float
        Between nucleus and envelope.
    config : NucleusConfig
        Settings.

    Returns
    -------
    Outline or None
        What is darker than the cytoplasm around by ``max_darkening`` of the usual
        contrast; None if that is too small.
    """
    from helaseg.image.filters import gaussian
    from helaseg.image.morphology import binary_opening

    box = window(prior, margin_px=round(config.max_growth_nm / evidence.pixel_nm) + 4)
    if box is None or usual_contrast <= 0:
        return None
    part, prior_part = evidence.window(box), prior[box]
    pixel_nm = part.pixel_nm * WIDE_STEP
    smooth = gaussian(part.grey, sigma_px=config.smooth_nm / pixel_nm)
    around = _around(prior_part, part, config)
    if not around.any():
        return None
    dark = smooth < smooth[around].mean() - config.max_darkening * usual_contrast
    dark = enlarge(dark, WIDE_STEP, prior_part.shape) & prior_part
    cap = binary_opening(dark, radius_px=config.smooth_nm / part.pixel_nm)
    if jaccard(cap, prior_part) < MIN_ISLANDS:
        return None
    found = judge_outlines([cap], part, part.ridge, prior_part, config)[0]
    whole = np.zeros(prior.shape, bool)
    whole[box] = cap
    return replace(found, mask=whole, islands=True)


def radius_nm(mask: Mask, pixel_nm: float) -> float:
    """Radius of the largest circle in a mask; the border of the slice does not bound it."""
    from helaseg.image.distance import distance_transform

    box = window(mask, margin_px=1)
    if box is None:
        return 0.0
    depth = float(distance_transform(mask[box]).max())
    return depth * pixel_nm if np.isfinite(depth) else np.inf


def judge_outlines(
    masks: list[Mask],
    evidence: SliceEvidence,
    lines: Lines,
    prior: Mask | None,
    config: NucleusConfig,
) -> list[Outline]:
    """Measure what speaks for each outline, and how far they agree."""
    import cv2

    from helaseg.image.morphology import binary_dilation

    if not masks:
        return []
    reach_px = RIM_NM / evidence.pixel_nm
    # The outline runs beside the middle of the line as often as on it.
    strength = cv2.dilate(lines, np.ones((3, 3), np.uint8)) / np.float32(NOISE_RIDGE)
    strength = np.minimum(strength / np.float32(CLEAR_LINE), 1)
    dark = lines > TEXTURE_LINE * NOISE_RIDGE
    near_resin = binary_dilation(evidence.resin, radius_px=reach_px)
    offers = []
    for mask in masks:
        rim = rim_of(mask)
        inside = signed_distance(mask) > reach_px
        n_inside = int(np.count_nonzero(inside))
        contrast, lightness = _shade(mask, evidence, config)
        offers.append(
            Outline(
                mask=mask,
                line=float(strength[rim].mean()) if rim.any() else 0.0,
                texture=float(np.count_nonzero(dark & inside)) / n_inside if n_inside else 0.0,
                resin=float(near_resin[rim].mean()) if rim.any() else 0.0,
                likeness=1.0 if prior is None else jaccard(mask, prior),
                agreement=0.0,
                contrast=contrast,
                lightness=lightness,
            )
        )
    scores = np.array([offer.score(config) for offer in offers])
    alike = np.eye(len(masks))
    for i in range(len(masks)):
        for j in range(i):
            alike[i, j] = alike[j, i] = jaccard(masks[i], masks[j])
    agreed = []
    for i in range(len(masks)):
        weight = np.exp(np.minimum(scores - scores[i], 0) / CLOSE_SCORE)
        weight[i] = 0
        agreed.append(float(weight @ alike[i] / weight.sum()) if weight.any() else 0.0)
    return [replace(o, agreement=a) for o, a in zip(offers, agreed, strict=True)]


def _shade(mask: Mask, evidence: SliceEvidence, config: NucleusConfig) -> tuple[float, float]:
    """Contrast to the envelope, and lightness against the cytoplasm, see `Outline`."""
    from helaseg.image.morphology import binary_dilation, binary_erosion

    coarse = mask[::WIDE_STEP, ::WIDE_STEP]
    grey = evidence.grey
    if not coarse.any():
        # Between the coarse pixels.
        return 0.0, 0.0
    grown = binary_dilation(coarse, radius_px=1)
    core = binary_erosion(coarse, radius_px=1)
    envelope = grown & ~core
    around = _around(mask, evidence, config)
    inside = float(grey[core if core.any() else grown].mean())
    return (
        inside - float(grey[envelope].mean()) if envelope.any() else 0.0,
        inside - float(grey[around].mean()) if around.any() else 0.0,
    )


def _around(mask: Mask, evidence: SliceEvidence, config: NucleusConfig) -> Mask:
    """The cytoplasm around a nucleus, on every second pixel."""
    from helaseg.image.morphology import binary_dilation

    coarse = mask[::WIDE_STEP, ::WIDE_STEP]
    reach_px = config.max_growth_nm / (evidence.pixel_nm * WIDE_STEP)
    nucleus = binary_dilation(coarse, radius_px=1)
    resin = evidence.resin[::WIDE_STEP, ::WIDE_STEP]
    return binary_dilation(coarse, radius_px=reach_px) & ~(nucleus | resin)
