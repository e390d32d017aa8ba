"""From the superpixels of a slice to outlines that end on dark lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.evidence import WIDE_STEP, SliceEvidence
from helaseg.cells.nucleus.masks import Mask, rim_of, window

Pieces = NDArray[np.int32]
Lines = NDArray[np.uint8]
Distances = NDArray[np.float32]

#: A superpixel leads from inside to outside when both hold more than this part of it.
LEAK_SHARE = 0.05
#: A line around a hole makes it an invagination when it has this part of the strength
#: of the line on the outline.
HOLE_LINE = 0.5
#: So many superpixels, the largest, are tried as islands.
MAX_ISLANDS = 8


def outlines_near(
    evidence: SliceEvidence,
    lines: Lines,
    away_nm: Distances,
    taken: Mask,
    config: NucleusConfig,
) -> Iterator[Mask]:
    """Propose a nucleus at each line level, given that of a neighbouring slice.

    Parameters
    ----------
    evidence : SliceEvidence
        The slice.
    lines : ndarray of uint8, shape (Y, X)
        Strength of dark lines, on which the outlines end.
    away_nm : ndarray of float, shape (Y, X)
        Distance to the outline in the neighbouring slice, positive inside.
    taken : ndarray of bool, shape (Y, X)
        Other nuclei.
    config : NucleusConfig
        Settings.

    Notes
    -----
    At each level there are up to two answers.

    1. Superpixels that lie mostly in the neighbour's nucleus and are not narrow
       against the widest of them are nucleus, all others are not, and so is
       everything farther out than ``max_growth_nm``; both grow until they meet
       on the dark lines.
    2. If a superpixel leads from deep inside to the far outside, the envelope has
       a gap at this level. Of such superpixels only what lies deeper than
       ``core_nm`` is nucleus, and nothing farther out than ``max_leak_nm`` is.
    """
    from helaseg.image.distance import distance_transform

    prior = away_nm > 0
    deep = away_nm > min(config.core_nm, 0.6 * float(away_nm.max()))
    far = away_nm < -config.max_leak_nm
    too_far = (away_nm < -config.max_growth_nm) | taken
    for level in evidence.levels:
        pieces = evidence.superpixels(level)
        area = np.bincount(pieces.ravel())
        large = large_enough(area, evidence, config)

        def share_of(mask: Mask, pieces: Pieces = pieces, n: int = len(area)) -> NDArray[np.intp]:
            return np.bincount(pieces[mask], minlength=n)

        fits = large & (share_of(prior) >= config.min_overlap * area)
        if fits.any():
            depth = distance_transform(pieces > 0)
            fits &= share_of(depth >= _least_depth(depth, fits[pieces], evidence, config)) > 0
            fits &= ~_dark(pieces, fits, area, evidence, config)
            fits &= ~_enclosed(pieces, fits, area, lines, evidence, config)
            yield grow(lines, fits[pieces], (large & ~fits)[pieces] | too_far, evidence, config)
        leaks = large & (share_of(far) > LEAK_SHARE * area) & (share_of(deep) > LEAK_SHARE * area)
        if leaks.any():
            inside = (fits & ~leaks)[pieces] & ~far | deep & leaks[pieces]
            outside = (large & ~fits & ~leaks)[pieces] | far | taken
            yield grow(lines, inside & ~outside, outside, evidence, config)


def clear_islands(
    evidence: SliceEvidence,
    lines: Lines,
    away_nm: Distances,
    taken: Mask,
    is_clear: Callable[[Mask], bool],
    config: NucleusConfig,
) -> Iterator[Mask]:
    """Propose a nucleus at each line level from superpixels that are clear by themselves.

    Between islands lies cytoplasm that was nucleus in the slice before; no
    line of its own goes around it. The arguments are those of `outlines_near`
    and a test of the outline of one superpixel.
    """
    prior = away_nm > 0
    too_far = (away_nm < -config.max_growth_nm) | taken
    for level in evidence.levels:
        pieces = evidence.superpixels(level)
        area = np.bincount(pieces.ravel())
        large = large_enough(area, evidence, config)
        inside = np.bincount(pieces[prior], minlength=len(area))
        fits = np.flatnonzero(large & (inside >= config.min_overlap * area))
        tried = fits[np.argsort(-area[fits], kind="stable")][:MAX_ISLANDS]
        kept = np.zeros(len(area), bool)
        for k in tried:
            alone = np.arange(len(area)) == k
            island = grow(
                lines, alone[pieces], (large & ~alone)[pieces] | too_far, evidence, config
            )
            kept[k] = island.any() and is_clear(island)
        if kept.any():
            yield grow(lines, kept[pieces], (large & ~kept)[pieces] | too_far, evidence, config)


def _dark(
    pieces: Pieces,
    fits: Mask,
    area: NDArray[np.intp],
    evidence: SliceEvidence,
    config: NucleusConfig,
) -> Mask:
    """Find which superpixels are nearly as dark as the lines: mitochondria beside the nucleus."""
    small = pieces[::WIDE_STEP, ::WIDE_STEP].ravel()
    grey = evidence.grey.ravel()
    n = np.maximum(np.bincount(small, minlength=len(area)), 1)
    mean = np.bincount(small, grey, minlength=len(area)) / n
    main = int(np.argmax(np.where(fits, area, 0)))
    return mean < mean[main] - config.max_piece_darkening * (mean[main] - mean[0])


def _enclosed(
    pieces: Pieces,
    fits: Mask,
    area: NDArray[np.intp],
    lines: Lines,
    evidence: SliceEvidence,
    config: NucleusConfig,
) -> Mask:
    """Find which superpixels the largest one surrounds, with as clear a line as an envelope has.

    They lie in the neighbour's nucleus where a channel widens or was overlooked.
    """
    from helaseg.image.morphology import fill_holes

    enclosed = np.zeros(len(fits), bool)
    main = int(np.argmax(np.where(fits, area, 0)))
    others = fits & (area * evidence.pixel_nm**2 / 1e6 >= config.min_hole_um2)
    others[main] = False
    if others.any():
        whole = grow(
            lines, pieces == main, (others | ~fits)[pieces] & (pieces > 0), evidence, config
        )
        outside = np.bincount(pieces[~fill_holes(whole)], minlength=len(fits))
        kept = np.bincount(pieces[whole], minlength=len(fits))
        enclosed = others & (outside == 0) & (kept == 0)
    return enclosed


def _least_depth(
    depth_px: Distances, fits: Mask, evidence: SliceEvidence, config: NucleusConfig
) -> float:
    """Superpixels less deep than this are narrow against the widest that fits."""
    deepest = float(depth_px[fits].max())
    return min(config.min_depth_fraction * deepest, config.clear_depth_nm / evidence.pixel_nm)


def grow(
    lines: Lines, inside: Mask, outside: Mask, evidence: SliceEvidence, config: NucleusConfig
) -> Mask:
    """Grow inside against outside until both meet on the dark lines."""
    from helaseg.image.flooding import watershed
    from helaseg.image.morphology import binary_opening

    markers = 2 * outside.astype(np.int32)
    np.copyto(markers, 1, where=inside & ~outside)
    grown = binary_opening(
        watershed(lines, markers) == 1, radius_px=config.smooth_nm / evidence.pixel_nm
    )
    return fill_but_folds(grown, lines, evidence.pixel_nm, config)


def fill_but_folds(mask: Mask, lines: Lines, pixel_nm: float, config: NucleusConfig) -> Mask:
    """Fill holes, but keep those that an envelope surrounds: invaginations cut across."""
    from scipy.ndimage import find_objects

    from helaseg.image.labels import label
    from helaseg.image.morphology import fill_holes
    from helaseg.image.regions import region_areas

    box = window(mask, margin_px=2)
    if box is None:
        return mask
    part, line = mask[box], lines[box]
    filled = fill_holes(part)
    pieces = label(filled & ~part, connectivity=1)
    large = region_areas(pieces) * pixel_nm**2 / 1e6 >= config.min_hole_um2
    large[0] = False
    if large.any():
        rim = rim_of(filled)
        least = HOLE_LINE * float(line[rim].mean()) if rim.any() else 0.0
        boxes = find_objects(pieces)
        for k in np.flatnonzero(large):
            rows, cols = boxes[k - 1]
            # the filled mask surrounds every hole: one pixel more is still inside
            near = (slice(rows.start - 1, rows.stop + 1), slice(cols.start - 1, cols.stop + 1))
            hole = pieces[near] == k
            if line[near][rim_of(hole)].mean() >= least:
                filled[near] &= ~hole
    whole = np.zeros(mask.shape, bool)
    whole[box] = filled
    return whole


def large_enough(
    area_px: NDArray[np.integer], evidence: SliceEvidence, config: NucleusConfig
) -> Mask:
    """Find which superpixels are more than noise; never the lines, number 0."""
    large = area_px * evidence.pixel_nm**2 >= config.evidence.min_superpixel_um2 * 1e6
    large[0] = False
    return large
