"""Settings of the competition of cells."""

from __future__ import annotations

from dataclasses import dataclass

from helaseg._validate import check_positive, check_range


@dataclass(frozen=True, slots=True, kw_only=True)
class CompetitionConfig:
    """Settings for the separation of touching cells; scores in ``docs/algorithms.md``.

    Parameters
    ----------
    coarse_pixel_nm : float
        The cells compete on voxels joined to about this size in a slice: two
        membranes in contact are 40 nm wide.
    coarse_slice_nm : float
        The same across slices.
    smooth_nm : float
        Blur before supervoxels are cut, a third of a coarse pixel: enough to part
        places of equal darkness. Wider blurs melt membranes into what is near.
    line_share : float
        A line of this share of a membrane's strength above the noise leaves 1/e of
        a face open. From 0.5 to 0.85 scores differ by less than 0.005.
    leak : float
        What the strongest line leaves open: membranes cut flat are faint.
    min_openness : float
        Pieces join down to this open area of their contact, relative to the
        cross-section of the smaller one: a neck half as wide as the piece is 0.25. At
        0.35 real cells fall apart along their endoplasmic reticulum; at 0.15 little
        changes.
    contact_line_share : float
        The same as `line_share` for the mean of a whole contact, where noise is
        averaged out: a line of half a membrane's strength closes it.
    large_um3 : float
        Two pieces of at least this volume could each be a cell; they join only if the
        mean line on their contact leaves `min_share` of it open. A ball of 10 µm³ has a
        radius of 1.3 µm; pieces of cytoplasm between membranes of the endoplasmic
        reticulum are smaller when they join.
    side_um3 : float
        The same for pieces without a nucleus that a side of the crop along y or x
        cuts: they may be cells whose nuclei lie outside. At 1 µm³ cells of crops that
        overlap agree less (0.0 to 0.5 for the worst pairs, 0.1 to 0.7 at 0.3 µm³).
    min_share : float
        See `large_um3`. Contacts of cells reach 0.2, on noisy images 0.3.
    one_cell_openness : float
        Two nuclei are in one cell if the open contact of what belongs to them is as
        large as this: 0.8 in a cell with two nuclei, ...
    one_cell_share : float
        ... and at least this share of it is open by the mean: 0.37 in that cell, up to
        0.2 between cells that touch. The border of a nucleus does not count.
    bleb_um3 : float
        A smaller piece without a nucleus, cut by a side of the crop, goes to what it
        touches, whatever the contact; a ball of 0.2 µm³ has a radius of 360 nm.
    lone_um3 : float
        The same for pieces inside the crop, where a cell has its nucleus; large
        blebs of real cells have a radius of 1 µm.
    min_cell_um3 : float
        Smaller pieces in the resin get no number of their own; a ball of 2 µm³ has a
        radius of 780 nm, a cell one of 4 µm and more.
    """

    coarse_pixel_nm: float = 60.0
    coarse_slice_nm: float = 80.0
    smooth_nm: float = 20.0
    line_share: float = 0.7
    leak: float = 0.03
    min_openness: float = 0.2
    contact_line_share: float = 0.4
    large_um3: float = 10.0
    side_um3: float = 0.3
    min_share: float = 0.3
    one_cell_openness: float = 0.5
    one_cell_share: float = 0.28
    bleb_um3: float = 0.2
    lone_um3: float = 5.0
    min_cell_um3: float = 2.0

    def __post_init__(self) -> None:
        for name in ("coarse_pixel_nm", "coarse_slice_nm", "line_share", "contact_line_share"):
            check_positive(name, getattr(self, name))
        for name in (
            "smooth_nm",
            "min_openness",
            "large_um3",
            "side_um3",
            "one_cell_openness",
            "bleb_um3",
            "lone_um3",
            "min_cell_um3",
        ):
            check_positive(name, getattr(self, name), zero=True)
        for name in ("leak", "min_share", "one_cell_share"):
            check_range(name, getattr(self, name), 0.0, 1.0)
