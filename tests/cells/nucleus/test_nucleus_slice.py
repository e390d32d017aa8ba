"""The nucleus in one slice: gaps, holes, islands, folds, on drawn slices with exact truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.evidence import NOISE_RIDGE, SliceEvidence
from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.outline import (
    MAX_RESIN,
    find_cap,
    follow_nucleus,
    radius_nm,
)
from helaseg.cells.nucleus.pieces import fill_but_folds
from helaseg.cells.nucleus.seeds import centrality, find_seeds, nucleus_like_pieces
from helaseg.image.noise import line_noise
from helaseg.image.ridges import oriented_dark_ridges

SIDE = 240
CONFIG = NucleusConfig()


def disk(radius, centre=(SIDE / 2, SIDE / 2)):
    yy, xx = np.ogrid[:SIDE, :SIDE]
    return (yy - centre[0]) ** 2 + (xx - centre[1]) ** 2 <= radius**2


def outline_of(mask):
    return mask ^ ndimage.binary_erosion(mask)


def drawn(*masks, gap_deg=0.0, texture=0.0, resin=None, seed=0) -> SliceEvidence:
    """Evidence of a slice with an envelope around every mask, pixels of 20 nm."""
    rng = np.random.default_rng(seed)
    lines = np.zeros((SIDE, SIDE), bool)
    for mask in masks:
        lines |= outline_of(mask)
    yy, xx = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    lines &= np.abs(np.rad2deg(np.arctan2(yy, xx))) >= gap_deg / 2
    inside = np.zeros_like(lines)
    for mask in masks:
        inside |= mask
    if texture:
        lines |= (rng.random(lines.shape) < texture) & ~inside
    # An envelope is two to three pixels wide.
    grey = 150 - 200 * ndimage.gaussian_filter(lines.astype(float), 1.2)
    grey += rng.normal(0, 12, grey.shape)
    ridge = oriented_dark_ridges(grey, sigma_px=45 / 20, length_px=120 / 20)
    ridge *= NOISE_RIDGE / line_noise(ridge)
    half = (slice(None, None, 2),) * 2
    ridge = ridge.clip(0, 255).astype(np.uint8)
    return SliceEvidence(
        ridge=ridge,
        oblique=ridge[half],
        grey=ndimage.gaussian_filter(grey, 1)[half].clip(0, 255).astype(np.uint8),
        resin=np.zeros(ridge.shape, bool) if resin is None else resin,
        levels=(1.25, 1.75, 2.5, 4.0),
        pixel_nm=20.0,
        slice_nm=50.0,
    )


def test_the_outline_ends_on_the_line():
    nucleus = disk(60)
    found = follow_nucleus(drawn(nucleus), disk(57), CONFIG)
    assert jaccard(found.mask, nucleus) > 0.97
    assert found.line > 0.95
    assert found.texture < 0.01
    assert found.contrast > 5
    assert not found.islands


@pytest.mark.parametrize("gap_deg", [10, 25, 40])
def test_nothing_leaks_through_a_gap_of_the_envelope(gap_deg):
    nucleus = disk(60)
    found = follow_nucleus(drawn(nucleus, gap_deg=gap_deg), disk(58), CONFIG)
    assert jaccard(found.mask, nucleus) > 0.93
    beyond = found.mask & ~disk(60 + CONFIG.max_leak_nm / 20 + 1)
    assert not beyond.any()


def test_a_slice_without_a_nucleus_gives_none():
    everywhere = np.ones((SIDE, SIDE), bool)
    assert follow_nucleus(drawn(resin=everywhere), disk(50), CONFIG) is None
    assert follow_nucleus(drawn(disk(60)), disk(50) & False, CONFIG) is None


def test_other_nuclei_are_not_taken():
    nucleus, other = disk(40, (120, 75)), disk(40, (120, 165))
    found = follow_nucleus(drawn(nucleus, other), disk(70), CONFIG, taken=other)
    assert not (found.mask & other).any()
    assert jaccard(found.mask, nucleus) > 0.9


def test_a_hole_with_an_envelope_stays_and_one_without_is_filled():
    nucleus, channel = disk(70), disk(14, (130, 110))
    ring = nucleus & ~channel
    for evidence, truth in ((drawn(nucleus, channel), ring), (drawn(nucleus), nucleus)):
        lines = evidence.ridge
        filled = fill_but_folds(ring, lines, 20.0, CONFIG)
        assert jaccard(filled, truth) > 0.97
    tiny = nucleus & ~disk(2, (130, 110))
    assert fill_but_folds(tiny, drawn(nucleus).ridge, 20.0, CONFIG)[130, 110]


def test_islands_leave_the_cytoplasm_between_them():
    islands = [disk(16, c) for c in ((85, 85), (85, 155), (155, 85), (155, 155))]
    truth = np.logical_or.reduce(islands)
    found = follow_nucleus(drawn(*islands, texture=0.02), disk(75), CONFIG)
    assert found.islands
    assert jaccard(found.mask, truth) > 0.75
    assert ndimage.label(found.mask)[1] == 4


def test_the_seed_is_the_nucleus_nearest_to_a_point():
    left, right = disk(40, (120, 70)), disk(40, (120, 175))
    evidence = drawn(left, right, texture=0.05)
    for truth, x in ((left, 75.0), (right, 170.0)):
        seeds = find_seeds(evidence, (120.0, x), CONFIG)
        best = max(seeds, key=lambda o: o.clear * centrality(o.mask, (120.0, x), CONFIG))
        assert jaccard(best.mask, truth) > 0.9
        assert best.likeness == 1.0


def test_places_like_a_nucleus_are_large_and_not_in_resin():
    wide, narrow = disk(45, (120, 70)), disk(20, (120, 180))

    def like(evidence):
        pieces = evidence.superpixels(1.75)
        return np.isin(pieces, nucleus_like_pieces(pieces, evidence, CONFIG))

    found = like(drawn(wide, narrow, texture=0.05))
    assert found[120, 70]
    assert not found[120, 180], "less than 1 µm²"
    in_resin = like(drawn(wide, texture=0.05, resin=~disk(50, (120, 70))))
    assert not in_resin[120, 70]


def test_resin_inside_is_no_nucleus():
    nucleus = disk(60)
    resin = disk(30)
    assert resin.sum() > MAX_RESIN * nucleus.sum()
    assert follow_nucleus(drawn(nucleus, resin=resin), disk(58), CONFIG) is None


def test_a_cap_is_dark_and_lies_behind_the_last_outline():
    prior = disk(40)
    part = drawn()
    smear = disk(25)[::2, ::2]
    dark = dataclasses.replace(part, grey=np.where(smear, part.grey - 25, part.grey))
    cap = find_cap(dark, prior, 40.0, CONFIG)
    assert jaccard(cap.mask, disk(25)) > 0.8
    assert find_cap(part, prior, 40.0, CONFIG) is None
    assert find_cap(dark, prior & False, 40.0, CONFIG) is None


def test_radius_is_that_of_the_largest_circle():
    assert radius_nm(disk(30), 20.0) == pytest.approx(600, rel=0.05)
    assert radius_nm(disk(30) & False, 20.0) == 0.0
    half = disk(30, (0, 120))
    assert radius_nm(half, 20.0) == pytest.approx(600, rel=0.1), "the frame bounds nothing"


def test_centrality_is_one_on_the_mask_and_falls_outside():
    mask = disk(20)
    assert centrality(mask, (120.0, 120.0), CONFIG) == 1.0
    away = [centrality(mask, (120.0, 120.0 + d), CONFIG) for d in (30, 60, 90)]
    assert away == sorted(away, reverse=True)
    sigma = CONFIG.centre_fraction * SIDE
    assert away[1] == pytest.approx(np.exp(-(40**2) / (2 * sigma**2)), rel=0.05)
    assert centrality(mask & False, (1.0, 1.0), CONFIG) == 0.0
