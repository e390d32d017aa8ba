"""Seeds of nuclei: superpixels of a slice that are large, wide and away from resin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.evidence import SliceEvidence
from helaseg.cells.nucleus.masks import Mask, window
from helaseg.cells.nucleus.outline import MAX_RESIN, Outline, judge_outlines
from helaseg.cells.nucleus.pieces import Pieces, grow, large_enough


def find_seeds(
    evidence: SliceEvidence, centre_px: tuple[float, float], config: NucleusConfig
) -> list[Outline]:
    """Propose at each line level the nucleus nearest to a point (y, x) of a slice."""
    masks = []
    weight = _weight_around(centre_px, evidence.ridge.shape, config)
    for level in evidence.levels:
        pieces = evidence.superpixels(level)
        number = _central_piece(pieces, evidence, weight, config)
        if number:
            masks.append(_grow_piece(pieces, number, evidence, config))
    return judge_outlines(masks, evidence, evidence.ridge, None, config)


def outline_of_piece(
    evidence: SliceEvidence, pieces: Pieces, number: int, config: NucleusConfig
) -> Outline:
    """A superpixel grown until it meets all others on the dark lines."""
    mask = _grow_piece(pieces, number, evidence, config)
    box = window(mask, margin_px=round(config.max_growth_nm / evidence.pixel_nm) + 4)
    if box is None:
        box = (slice(0, 2), slice(0, 2))
    part = evidence.window(box)
    return replace(judge_outlines([mask[box]], part, part.ridge, None, config)[0], mask=mask)


def nucleus_like_pieces(
    pieces: Pieces, evidence: SliceEvidence, config: NucleusConfig
) -> list[int]:
    """Numbers of the superpixels as large and as far from resin as the nucleus of any cell."""
    from scipy.ndimage import find_objects

    from helaseg.image.morphology import fill_holes

    boxes = find_objects(pieces)
    margin = round(300 / evidence.pixel_nm) + 2
    found = []
    for k in _plausible(pieces, evidence, config):
        box = _even_box(boxes[k - 1], margin)
        core = fill_holes(pieces[box] == k)
        around = _resin_around(core, evidence.resin[box], evidence.pixel_nm)
        if around <= config.max_resin_around:
            found.append(int(k))
    return found


def centrality(mask: Mask, centre_px: tuple[float, float], config: NucleusConfig) -> float:
    """Rate the distance of a mask to a point (y, x): 1 if it covers it, else a Gaussian."""
    box = window(mask, margin_px=0)
    if box is None:
        return 0.0
    rows, cols = (np.arange(s.start, s.stop) for s in box)
    away2 = (rows[:, None] - centre_px[0]) ** 2 + (cols - centre_px[1]) ** 2
    nearest2 = float(np.min(away2, where=mask[box], initial=np.inf))
    sigma = config.centre_fraction * min(mask.shape)
    return float(np.exp(-nearest2 / (2 * sigma**2)))


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
) -> int:
    """The plausible superpixel with the most weight near the centre; 0 when there is none."""
    from helaseg.image.regions import region_sums

    fits = _plausible(pieces, evidence, config)
    score = region_sums(pieces, image=weight)
    for k in fits[np.argsort(-score[fits], kind="stable")]:
        core = pieces == k
        box = window(core, margin_px=round(300 / evidence.pixel_nm) + 2)
        if box is None:
            continue
        around = _resin_around(core[box], evidence.resin[box], evidence.pixel_nm)
        if around <= config.max_resin_around:
            return int(k)
    return 0


def _grow_piece(
    pieces: Pieces, number: int, evidence: SliceEvidence, config: NucleusConfig
) -> Mask:
    """A superpixel grown against all others that are more than noise."""
    whole = pieces == number
    box = window(whole, margin_px=round(config.max_growth_nm / evidence.pixel_nm) + 4)
    if box is None:
        return whole
    large = large_enough(np.bincount(pieces.ravel()), evidence, config)
    large[number] = False
    part = evidence.window(box)
    whole[box] = grow(part.ridge, whole[box], large[pieces[box]], part, config)
    return whole


def _even_box(box: tuple[slice, ...], margin_px: int) -> tuple[slice, slice]:
    """A box with a margin; its first row and column even, its end may lie outside."""
    rows, cols = (slice(max(s.start - margin_px, 0) // 2 * 2, s.stop + margin_px) for s in box)
    return rows, cols


def _resin_around(core: Mask, resin: Mask, pixel_nm: float) -> float:
    """Part of a ring around a region that is resin; the ring is 200 to 300 nm away."""
    from helaseg.image.morphology import binary_dilation

    ring = binary_dilation(core, radius_px=300 / pixel_nm)
    ring &= ~binary_dilation(core, radius_px=200 / pixel_nm)
    n = np.count_nonzero(ring)
    return np.count_nonzero(ring & resin) / n if n else 0.0
