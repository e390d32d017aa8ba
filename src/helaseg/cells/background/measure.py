"""Resin around the cells of one slice, from what the slice itself shows.

Published stages (Karabağ et al. 2021): Otsu's threshold, superpixels between
Canny edges, the bright superpixels are background. Different here: no grey
level is fixed, the superpixels are cut at several edge strengths that vote (a
charging shadow in the resin has only weak edges, a cell a strong one all
round), the border is placed by a local threshold at full resolution instead of
by large disks, and holes of the background stay what they are, so that a cell
ringed by resin is not swallowed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_array, check_choice, check_positive, check_range
from helaseg.cells.background.blank import slice_greys
from helaseg.cells.background.steps import (
    decide_border,
    drop_specks,
    fill_organelles,
    find_outside,
    find_shading,
    forms_regions,
    local_threshold,
    split_greys,
    vote,
)
from helaseg.errors import ParameterError
from helaseg.image.blocks import enlarge, join_pixels, joined_pixels

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
#: Which class of grey values is resin.
ResinClass = Literal["bright", "dark", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundConfig:
    """How resin is told from cells.

    Where no paper is named, a default was measured on real slices of HeLa
    cells (10 and 28 nm pixels) with charging shadows in the resin.

    Parameters
    ----------
    resin : {"auto", "bright", "dark", "none"}
        Whether resin is brighter or darker than the cells, or there is none.
        ``"auto"`` decides by what the volume shows, see
        `helaseg.cells.background.appearance.decide_appearance`; published: bright. A crop in
        which resin stands out nowhere has none whatever is said here.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundResult:
    """The resin of one slice and how far to trust it.

    Parameters
    ----------
    mask : ndarray of bool, shape (Y, X)
        True = resin, or outside the recorded image.
    pixel_nm : float
        Pixel size of `mask`.
    threshold : float
        Grey value between cells and resin; nan for a blank slice.
    cell_grey, resin_grey : float
        Mean grey values of the two classes; nan for a blank slice.
    contrast : float
        Distance between the mean grey values of resin and cells, in standard
        deviations within the two; 0 for a blank slice.
    resin_fraction : float
        Part of the slice that is resin.
    reliable : bool
        False for a blank slice, for one with too little contrast or resin (see
        `BackgroundConfig`), and where there is no resin to be told from cells.
    blank : bool
        Whether the slice shows nothing.
    """

    mask: Mask
    pixel_nm: float
    threshold: float
    cell_grey: float
    resin_grey: float
    contrast: float
    resin_fraction: float
    reliable: bool
    blank: bool = False


def detect_background(
    image: ArrayLike,
    *,
    pixel_nm: float,
    config: BackgroundConfig | None = None,
    threshold: float | None = None,
    resin: ResinClass | None = None,
) -> Mask:
    """Resin of one slice.

    Parameters
    ----------
    image : array of finite numbers, shape (Y, X)
        One slice.
    pixel_nm : float
        Pixel size.
    config : BackgroundConfig, optional
        Settings.
    threshold : float, optional
        Grey value between cells and resin where it is known, e.g. from other
        slices; Otsu's of this slice by default.
    resin : {"bright", "dark", "none"}, optional
        Which class of grey values is resin, see `helaseg.cells.background.appearance`; by
        default that of the settings, and bright if these leave it open. With
        ``"none"`` all that was recorded is cell.

    Returns
    -------
    ndarray of bool, shape (Y, X)
        True = resin. All False for a blank slice.

    Raises
    ------
    ParameterError
        If the image is not 2-D, not numeric or not finite, or if the pixel
        size is not positive.

    See Also
    --------
    measure_background : the same mask with its reliability.
    """
    return measure_background(
        image, pixel_nm=pixel_nm, config=config, threshold=threshold, resin=resin
    ).mask


def measure_background(
    image: ArrayLike,
    *,
    pixel_nm: float,
    config: BackgroundConfig | None = None,
    threshold: float | None = None,
    resin: ResinClass | None = None,
    coarse: bool = False,
) -> BackgroundResult:
    """Resin of one slice, and how far to trust it.

    Parameters
    ----------
    image, pixel_nm, config, threshold, resin
        As in `detect_background`.
    coarse : bool
        Stop at the working pixel size: the mask then has one pixel per block
        of ``joined_pixels(pixel_nm, config.working_pixel_nm)`` squared.

    Returns
    -------
    BackgroundResult
        Mask, threshold, contrast, resin fraction, reliability.

    Raises
    ------
    ParameterError
        As in `detect_background`.

    Notes
    -----
    1. Join pixels to about ``working_pixel_nm``. Set aside what lies outside
       the recorded image: flat pieces of the lowest grey value over 1 µm². Where
       resin is dark, go on with the negative.
    2. Split the smoothed grey values by Otsu's threshold. Where the slice
       spans several tiles of ``shading_nm``, level it first: split each tile
       by itself and bring its resin and its cells to the common grey values.
    3. For each edge level cut the slice into superpixels between Canny edges.
       A superpixel votes resin when enough of it is brighter than the
       threshold; pixels near edges vote by their own grey value. More than
       half of the votes decide.
    4. Average resin and cells in the neighbourhood; where the two differ by at
       least 40 % of the contrast of the slice, the middle between them is the
       local threshold, which decides pixels near edges and near the border.
    5. Repeat that near the border with the pixels of `image`, then remove
       small pieces of resin and of cell; where resin is dark, organelles, too.

    References
    ----------
    Karabağ, C., Jones, M. L. & Reyes-Aldasoro, C. C. Volumetric semantic
    instance segmentation of the plasma membrane of HeLa cells. J. Imaging 7,
    93 (2021). doi:10.3390/jimaging7060093
    """
    from helaseg.image import gaussian

    array = as_array("image", image, ndim=2, finite=True)
    check_positive("pixel_nm", pixel_nm)
    config = config or BackgroundConfig()
    if resin is None:
        resin = "bright" if config.resin == "auto" else config.resin
    check_choice("resin", resin, ("bright", "dark", "none"))
    factor = 1 if not array.size else joined_pixels(pixel_nm, config.working_pixel_nm)
    shape = tuple(-(-n // factor) for n in array.shape) if coarse else array.shape
    out_pixel = pixel_nm * factor if coarse else pixel_nm
    if not array.size or slice_greys(array)[1] <= 0:
        return _nothing_seen(np.zeros(shape, bool), out_pixel, blank=True)
    small = join_pixels(array, factor)
    pixel = pixel_nm * factor
    outside = find_outside(small, pixel)
    if resin == "none":
        mask = outside if coarse else enlarge(outside, factor, array.shape)
        return _nothing_seen(mask, out_pixel)
    sign = -1.0 if resin == "dark" else 1.0
    if resin == "dark":
        small = -small
        threshold = None if threshold is None else -threshold
    split = split_greys(small, outside, pixel, config, threshold)
    shading = None
    if threshold is None:
        shading = find_shading(split, outside, pixel, config)
        if shading is not None:
            small = small * shading[0] + shading[1]
            split = split_greys(small, outside, pixel, config, None)
    distinct = split.contrast >= config.min_contrast and forms_regions(split, pixel, config)
    mask = vote(small, split, pixel, config)
    local = local_threshold(mask, split, pixel, config)
    mask = decide_border(split.smooth, mask, local, pixel, config)
    if factor > 1 and not coarse:
        # The fine scale, in pixels of the image as it is recorded.
        fine = gaussian(array, sigma_px=config.fine_sigma_nm / pixel_nm)
        if resin == "dark":
            fine = -fine
        if shading is not None:
            local = (local - shading[1]) / shading[0]
        mask = decide_border(fine, mask, local, pixel, config, factor=factor)
        outside = enlarge(outside, factor, array.shape)
        pixel = pixel_nm
    mask = drop_specks(mask, pixel, config)
    if resin == "dark":
        mask = fill_organelles(mask, pixel, config)
    mask &= ~outside
    n_inside = max(1, mask.size - int(np.count_nonzero(outside)))
    fraction = int(np.count_nonzero(mask)) / n_inside
    return BackgroundResult(
        mask=mask | outside,
        pixel_nm=pixel,
        threshold=sign * split.threshold,
        cell_grey=sign * split.cell,
        resin_grey=sign * split.resin,
        contrast=split.contrast,
        resin_fraction=fraction,
        reliable=distinct and fraction >= config.min_resin_fraction,
    )


def resin_contrast(
    image: ArrayLike, *, pixel_nm: float, config: BackgroundConfig | None = None
) -> float:
    """How clearly resin stands out: up to 2.65 without resin, 3.5 and more for real slices.

    Parameters and errors are those of `detect_background`; see
    `BackgroundResult.contrast`.
    """
    result = measure_background(image, pixel_nm=pixel_nm, config=config, coarse=True)
    return result.contrast


def _nothing_seen(mask: Mask, pixel_nm: float, *, blank: bool = False) -> BackgroundResult:
    """A slice in which no resin is told from cells."""
    return BackgroundResult(
        mask=mask,
        pixel_nm=pixel_nm,
        threshold=math.nan,
        cell_grey=math.nan,
        resin_grey=math.nan,
        contrast=0.0,
        resin_fraction=0.0,
        reliable=False,
        blank=blank,
    )
