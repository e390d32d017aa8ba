"""Settings of the nucleus step."""

from __future__ import annotations

from dataclasses import dataclass, field

from helaseg._validate import check_positive, check_range
from helaseg.cells.nucleus.evidence_config import EvidenceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleusConfig:
    """Settings for finding and following nuclei.

    Defaults without a source were chosen by ``benchmarks/nucleus_choices.py``;
    where a range is given, the scores in it are alike.

    Parameters
    ----------
    evidence : EvidenceConfig
        How a slice is cut into superpixels.
    min_area_um2 : float
        Smallest nucleus in a seed slice; published 10,000 px = 1 µm².
    centre_fraction : float
        The seed nucleus is weighted by a Gaussian around the target whose
        sigma is this fraction of the shorter side of the crop.
    min_overlap : float
        A superpixel follows the nucleus when at least this part of it lies in
        the neighbouring slice's nucleus (0.5 to 0.7).
    min_depth_fraction : float
        ... and when its inscribed circle has at least this part of the radius
        of the largest one that follows: patches between the membranes of the
        cytoplasm are narrow (0.2 to 0.5).
    clear_depth_nm : float
        A circle of this radius is always enough.
    max_growth_nm : float
        Farthest that the outline may move outwards from one slice to the next
        (300 to 400).
    max_leak_nm : float
        The same where a superpixel leads from deep inside the nucleus to the
        far outside: through a gap of the envelope (60 to 200).
    core_nm : float
        What lies at least this deep in the neighbouring slice's nucleus stays
        nucleus there.
    likeness_weight, texture_weight, resin_weight : float
        How much likeness with the neighbouring slice, dark lines inside and
        resin at the outline count beside the dark line on the outline.
    min_agreement : float
        Smallest Jaccard index with the neighbouring slice; below it the slice
        counts as missed.
    min_agreement_across_gap : float
        The same after missed slices, where islands are too small to be sure of.
    min_agreement_if_damaged : float
        The same in a damaged slice, whose contrast tells nothing.
    min_contrast : float
        Smallest contrast between nucleus and envelope, relative to the usual
        one; below it there is no envelope and the nucleus has ended, but for
        the cap.
    min_contrast_across_gap : float
        The same after missed slices: 0.8 to 1 inside a nucleus, up to 0.6 in a
        smooth patch of cytoplasm behind its pole.
    max_darkening : float
        Where the cut grazes the envelope the nucleus turns dark. A slice is the
        cap when it is darker than usual by this part of the contrast between
        nucleus and envelope.
    max_piece_darkening : float
        A superpixel darker than the largest one of the nucleus by this part of the
        contrast to the lines is a mitochondrion.
    bridge_nm : float
        Missed stretches up to this length are bridged.
    min_component_fraction : float
        Three-dimensional pieces smaller than this part of the largest one are
        dropped at the end.
    max_resin_around : float
        A seed whose surroundings are resin to more than this part is debris.
    smooth_nm : float
        Parts of the nucleus narrower than twice this are cut off: leaks along
        membranes.
    min_hole_um2 : float
        Smaller holes are always filled; larger ones only when no envelope
        runs around them (a nucleolus, not an invagination).
    seed_step_nm : float
        Other nuclei are looked for in slices so far apart.
    min_clarity : float
        A seed of another nucleus must be as clear as this.
    min_radius_nm : float
        The circle inscribed in the nucleus of another cell has at least this
        radius in some slice.
    min_compactness : float
        ... which is at least this part of its area: 0.45 to 0.6 in the largest section of
        lobed nuclei, 0.2 in the cytoplasm around several nuclei.
    min_size_fraction : float
        ... and, unless a side of the crop cuts it, at least this part of that of the
        target's nucleus: smooth patches of cytoplasm are smaller.
    min_line : float
        Mean dark line on the outline, 1 where it is clear everywhere, below
        which a nucleus is doubtful: 0.92 on the noisiest phantoms that are
        segmented well. A doubtful nucleus is dropped if the edge levels disagree
        or its inside is textured: a mitotic cell.
    max_texture : float
        Most of the inside of a seed that is dark lines (nuclei up to 0.05, cytoplasm
        between organelles from 0.05 on).
    min_likeness_of_contrast : float
        Smallest contrast to its envelope of a seed, relative to that of the target's
        nucleus.
    max_doubt : float
        How much a nucleus may lack of a clear line and of the usual contrast and have
        of lines inside, summed (nuclei of phantoms up to 0.25, cytoplasm from 0.40 on).
    """

    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    min_area_um2: float = 1.0
    centre_fraction: float = 0.15
    min_overlap: float = 0.6
    min_depth_fraction: float = 0.3
    clear_depth_nm: float = 150.0
    max_growth_nm: float = 300.0
    max_leak_nm: float = 100.0
    core_nm: float = 400.0
    likeness_weight: float = 0.25
    texture_weight: float = 0.7
    resin_weight: float = 1.0
    min_agreement: float = 0.35
    min_agreement_across_gap: float = 0.5
    min_agreement_if_damaged: float = 0.6
    min_contrast: float = 0.45
    min_contrast_across_gap: float = 0.7
    max_darkening: float = 0.4
    max_piece_darkening: float = 0.6
    bridge_nm: float = 300.0
    min_component_fraction: float = 0.1
    max_resin_around: float = 0.5
    smooth_nm: float = 60.0
    min_hole_um2: float = 0.02
    seed_step_nm: float = 300.0
    min_clarity: float = 0.6
    min_radius_nm: float = 700.0
    min_compactness: float = 0.25
    min_size_fraction: float = 0.4
    min_line: float = 0.9
    max_texture: float = 0.06
    min_likeness_of_contrast: float = 0.6
    max_doubt: float = 0.35

    def __post_init__(self) -> None:
        for name in (
            "min_area_um2",
            "centre_fraction",
            "max_growth_nm",
            "max_leak_nm",
            "core_nm",
            "clear_depth_nm",
            "min_hole_um2",
            "smooth_nm",
            "seed_step_nm",
            "min_radius_nm",
        ):
            check_positive(name, getattr(self, name))
        for name in ("bridge_nm", "max_doubt", "likeness_weight", "texture_weight", "resin_weight"):
            check_positive(name, getattr(self, name), zero=True)
        for name in (
            "min_overlap",
            "min_depth_fraction",
            "min_agreement",
            "min_agreement_across_gap",
            "min_agreement_if_damaged",
            "min_contrast",
            "min_contrast_across_gap",
            "max_resin_around",
            "min_component_fraction",
            "min_line",
            "max_texture",
            "min_likeness_of_contrast",
            "min_clarity",
            "min_compactness",
            "min_size_fraction",
        ):
            check_range(name, getattr(self, name), 0.0, 1.0)
