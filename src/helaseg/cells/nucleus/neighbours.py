"""The nuclei of the other cells of a crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.evidence import WIDE_STEP, Evidence, SliceEvidence
from helaseg.cells.nucleus.masks import Mask
from helaseg.cells.nucleus.outline import radius_nm
from helaseg.cells.nucleus.propagation import (
    Nuclei,
    NucleusPath,
    Seed,
    keep_large_components,
    seed_clarity,
    seed_overlap,
)
from helaseg.cells.nucleus.seeds import nucleus_like_pieces, outline_of_piece
from helaseg.execution import Progress, WorkerPool, ordered_map

#: Most of a seed that may lie in a nucleus found before.
MAX_OVERLAP = 0.2
#: ... and in what was followed from another seed and refused.
MAX_REFUSED = 0.5
#: How much texture inside counts beside a weak line and a weak contrast.
TEXTURE = 3.0
#: Numbers are bytes.
MOST = 254
#: Nuclei seen in fewer slices do not count.
MIN_SLICES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """Typical measures of a nucleus of these cells.

    Parameters
    ----------
    contrast : float
        Mean grey value inside minus that on the envelope.
    radius_nm : float
        Radius of the largest circle in any slice.
    """

    contrast: float
    radius_nm: float

    @classmethod
    def of_path(cls, path: NucleusPath) -> Usual:
        """Measured on a nucleus that was followed."""
        return cls(contrast=path.usual("contrast"), radius_nm=widest_nm(path))

    @classmethod
    def of_seeds(cls, seeds: list[Seed], pixel_nm: float) -> Usual:
        """Measured on the clearest of some seeds; without any, everything is usual."""
        if not seeds:
            return cls(contrast=0.0, radius_nm=0.0)
        clearest = seeds[0].outline
        return cls(contrast=clearest.contrast, radius_nm=radius_nm(clearest.mask, pixel_nm))


def add_other_nuclei(
    evidence: Evidence,
    nuclei: Nuclei,
    config: NucleusConfig,
    executor: WorkerPool,
    *,
    usual: Usual | None = None,
    progress: Progress | None = None,
) -> None:
    """Find and follow, in place, all nuclei that are not there yet.

    Parameters
    ----------
    evidence : Evidence
        What the slices of the crop show.
    nuclei : ndarray of uint8, shape (Z, Y, X)
        The target's nucleus is 1; the others get 2, 3, ...
    config : NucleusConfig
        Settings.
    executor : WorkerPool
        Where slices are searched for seeds; the nuclei are followed one by one.
    usual : Usual, optional
        What the target's nucleus is like; without it the clearest seed.
    progress : Progress, optional
        Called as ``progress("other nuclei", done, total)`` with seeds.

    Notes
    -----
    1. In slices ``seed_step_nm`` apart, at the middle line levels: superpixels as
       large, wide, smooth and far from resin as a nucleus.
    2. The clearest is followed through z, then the next that does not lie in what
       was followed before, and so on.
    3. What was followed over fewer than three slices, has too weak a line or
       contrast and too many lines inside, is small though no side of the crop cuts
       it, or reaches from side to side, is refused.
    """
    seeds = _find_seeds(evidence, nuclei, config, executor)
    usual = usual or Usual.of_seeds(seeds, evidence.grid.pixel_nm)
    # What was followed and is not a nucleus, at half the resolution, in the slices of the seeds.
    refused: dict[int, Mask] = {}
    number = 2
    for done, seed in enumerate(seeds):
        if progress:
            progress("other nuclei", done + 1, len(seeds))
        if _is_known(seed, nuclei, refused) or number > MOST:
            continue
        if seed.outline.contrast < config.min_likeness_of_contrast * usual.contrast:
            continue
        if seed_clarity(evidence, seed.z, seed.outline, config) < config.min_clarity:
            continue
        path = NucleusPath(evidence, nuclei, number, config)
        path.follow(seed)
        if _is_nucleus(path, usual, config):
            path.join_lobes()
            keep_large_components(nuclei, number, config.min_component_fraction)
            number += 1
        else:
            for z in {other.z for other in seeds}:
                wrong = path.mask(z)[::WIDE_STEP, ::WIDE_STEP]
                refused[z] = refused[z] | wrong if z in refused else wrong
            path.erase()


def _find_seeds(
    evidence: Evidence, nuclei: Nuclei, config: NucleusConfig, executor: WorkerPool
) -> list[Seed]:
    """Seeds of other nuclei, the clearest first."""
    n = len(evidence.blank)
    step = max(1, round(config.seed_step_nm / evidence.grid.slice_nm))
    places = [z for z in range(step // 2 if n > step else n // 2, n, step) if not evidence.blank[z]]

    def look(z: int) -> list[Seed]:
        return _seeds_of_slice(evidence[z], z, nuclei[z], config)

    seeds = [seed for found in ordered_map(executor, look, places) for seed in found]
    return sorted(seeds, key=lambda seed: -seed.clarity)


def _seeds_of_slice(
    part: SliceEvidence, z: int, nuclei: Nuclei, config: NucleusConfig
) -> list[Seed]:
    seeds = []
    # The lowest level breaks nuclei up, the highest joins them with the cytoplasm.
    for level in part.levels[1:-1] or part.levels:
        pieces = part.superpixels(level)
        for number in nucleus_like_pieces(pieces, part, config):
            if seed_overlap(pieces == number, nuclei) > MAX_OVERLAP:
                continue
            outline = outline_of_piece(part, pieces, number, config)
            if (
                outline.clear >= config.min_clarity
                and outline.texture <= config.max_texture
                and _is_compact(outline.mask, part.pixel_nm, config)
            ):
                seeds.append(Seed(z=z, outline=outline, clarity=outline.clear))
    return seeds


def _is_known(seed: Seed, nuclei: Nuclei, refused: dict[int, Mask]) -> bool:
    """Return whether a seed lies in a nucleus found before, or mostly in what was refused."""
    if seed_overlap(seed.outline.mask, nuclei[seed.z]) > MAX_OVERLAP:
        return True
    if seed.z not in refused:
        return False
    mask = seed.outline.mask[::WIDE_STEP, ::WIDE_STEP]
    return bool((mask & refused[seed.z]).sum() > MAX_REFUSED * mask.sum())


def _is_nucleus(path: NucleusPath, usual: Usual, config: NucleusConfig) -> bool:
    held = [z for z, outline in enumerate(path.outlines) if outline is not None]
    # One slice is not evidence enough, unless there is no more.
    if len(held) < min(MIN_SLICES, len(path.outlines)):
        return False
    contrast = path.usual("contrast") / max(usual.contrast, 1e-9)
    doubt = 1 - path.usual("line") + max(1 - contrast, 0.0) + TEXTURE * path.usual("texture")
    if doubt > config.max_doubt:
        return False
    if any(_spans(path.mask(z)) for z in held):
        return False
    return _is_cut(path) or widest_nm(path) >= config.min_size_fraction * usual.radius_nm


def _spans(mask: Mask) -> bool:
    """Return whether a mask reaches two opposite sides of the crop: the cytoplasm around nuclei."""
    along_y = mask[0].any() and mask[-1].any()
    return bool(along_y or (mask[:, 0].any() and mask[:, -1].any()))


def _is_compact(mask: Mask, pixel_nm: float, config: NucleusConfig) -> bool:
    """Return whether a large enough circle fits in, and fills enough: not what is around nuclei."""
    radius = radius_nm(mask, pixel_nm)
    least_nm2 = config.min_compactness * np.count_nonzero(mask) * pixel_nm**2
    return radius >= config.min_radius_nm and bool(np.pi * radius**2 >= least_nm2)


def _is_cut(path: NucleusPath) -> bool:
    """Return whether a side of the crop cuts the nucleus."""
    masks = (path.mask(z) for z in range(len(path.outlines)))
    return any(m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any() for m in masks)


def widest_nm(path: NucleusPath) -> float:
    """Radius of the largest circle in any slice of a nucleus."""
    pixel_nm = path.evidence.grid.pixel_nm
    return max(radius_nm(path.mask(z), pixel_nm) for z in range(len(path.outlines)))
