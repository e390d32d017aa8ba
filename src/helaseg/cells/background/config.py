"""Settings of the background: `BackgroundConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from helaseg._validate import check_choice, check_positive, check_range
from helaseg.errors import ParameterError

#: Which class of grey values is resin.
ResinClass = Literal["bright", "dark", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundConfig:
    """Settings for the separation of resin from cells.

    Where no paper is named, a default was measured on real slices of HeLa
    cells (10 and 28 nm pixels) with charging shadows in the resin.

    Parameters
    ----------
    resin : {"auto", "bright", "dark", "none"}
        Whether resin is brighter or darker than the cells, or there is none.
        ``"auto"`` decides by what the volume shows, see
        `helaseg.cells.background.appearance.decide_appearance`; published: bright. A crop in
        which resin stands out nowhere has none, regardless of this setting.
    working_pixel_nm : float
        Whole pixels are joined up to about this size before the search; the
        published pipeline worked on 40 nm pixels (1 in 4 of 10 nm).
    edge_sigma_nm : float
        Gaussian scale of the Canny edges. Published 9 px of 10 nm; 60 nm still
        parts protrusions that lie 0.1 µm from each other.
    edge_levels : tuple of float
        High Canny thresholds, as fractions of the gradient of a sharp border
        between resin and cell. Shadows dissolve into the resin from 0.3 on,
        the first cells leak into it from 0.6 on.
    edge_low_ratio : float
        Low Canny threshold over the high one (published 0.4).
    gap_nm : float
        Superpixels keep this distance from edges.
    min_superpixel_um2 : float
        Smaller superpixels are judged pixel by pixel (published 100 px = 0.01 µm²).
    min_bright_fraction : float
        A superpixel is resin when at least this part of it is brighter than
        the threshold: 0.75 to 1 in resin with shadows, below 0.1 in cells.
    shading_nm : float
        Slices that span more are levelled: side of the tiles in which resin
        and cells are found separately, larger than any cell.
    grey_sigma_nm : float
        Gaussian scale of the grey values that are compared with the threshold
        in the search; one working pixel.
    local_sigma_nm : float
        Neighbourhood in which the grey values of resin and cells are averaged
        for the local threshold.
    min_sharp_border : float
        A piece of cell with a smaller part of its border along edges of the
        highest edge level is a shadow.
    border_nm : float
        Within this distance from the border found in the search, pixels of
        resin are decided anew by the local threshold at full resolution.
    pocket_nm : float
        The same for pixels of cell; farther, so that narrow pockets of resin
        between protrusions are followed inwards.
    fine_sigma_nm : float
        Gaussian scale of the grey values for that decision; 12 nm follows narrower
        gaps between protrusions than the published 20 nm (two real slices: 93.4
        and 96.5 % of their pixels instead of 91.6 and 95.8 %).
    min_resin_um2 : float
        Smaller pieces of resin count as cell (vesicles).
    min_cell_um2 : float
        Smaller pieces of cell count as resin (dirt).
    min_contrast : float
        Below this distance between the mean grey values of resin and cells, in
        standard deviations within the two, the mask is not reliable. Two
        halves of one normal distribution have 2.65, real pieces without resin
        up to 2.6, real slices 3.5 and more, the darkest corner of one 3.0.
    min_region_share : float
        Least part of the cells that must lie in regions of about 1 µm where
        hardly anything is resin. Where there are only cells, what is dark or
        bright in them mingles: up to 0.1; pieces of real slices have 0.4 and more.
    sure_contrast : float
        Below this contrast the same holds for the resin; above it, resin may be
        no more than narrow gaps between cells.
    min_resin_fraction : float
        With less resin than this part of the slice the mask is not reliable.
    max_organelle_um2 : float
        Where resin is dark, smaller pieces of it inside of cells are organelles,
        which are as dark: the largest mitochondria of real cells.
    """

    resin: Literal["auto", "bright", "dark", "none"] = "auto"
    working_pixel_nm: float = 40.0
    edge_sigma_nm: float = 60.0
    edge_levels: tuple[float, ...] = (0.15, 0.22, 0.3, 0.4, 0.5)
    edge_low_ratio: float = 0.5
    gap_nm: float = 60.0
    min_superpixel_um2: float = 0.02
    min_bright_fraction: float = 0.35
    shading_nm: float = 25000.0
    grey_sigma_nm: float = 40.0
    local_sigma_nm: float = 600.0
    min_sharp_border: float = 0.6
    border_nm: float = 100.0
    pocket_nm: float = 500.0
    fine_sigma_nm: float = 12.0
    min_resin_um2: float = 0.01
    min_cell_um2: float = 0.005
    min_contrast: float = 2.75
    min_region_share: float = 0.15
    sure_contrast: float = 4.5
    min_resin_fraction: float = 0.01
    max_organelle_um2: float = 1.0

    def __post_init__(self) -> None:
        check_choice("resin", self.resin, ("auto", "bright", "dark", "none"))
        for name in (
            "working_pixel_nm",
            "edge_sigma_nm",
            "gap_nm",
            "shading_nm",
            "grey_sigma_nm",
            "local_sigma_nm",
            "fine_sigma_nm",
            "min_contrast",
            "sure_contrast",
        ):
            check_positive(name, getattr(self, name))
        for name in (
            "min_superpixel_um2",
            "border_nm",
            "pocket_nm",
            "min_resin_um2",
            "min_cell_um2",
            "max_organelle_um2",
        ):
            check_positive(name, getattr(self, name), zero=True)
        for name in (
            "edge_low_ratio",
            "min_bright_fraction",
            "min_sharp_border",
            "min_region_share",
            "min_resin_fraction",
        ):
            check_range(name, getattr(self, name), 0.0, 1.0)
        object.__setattr__(self, "edge_levels", tuple(float(v) for v in self.edge_levels))
        if not self.edge_levels or not all(0 < v <= 1 for v in self.edge_levels):
            msg = f"'edge_levels' must hold fractions above 0 and up to 1, got {self.edge_levels}"
            raise ParameterError(msg)
