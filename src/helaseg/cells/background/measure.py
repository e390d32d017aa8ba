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

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_array, check_choice, check_positive
from helaseg.cells.background.blank import slice_greys
from helaseg.cells.background.config import BackgroundConfig, ResinClass
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
from helaseg.image.blocks import enlarge, join_pixels, joined_pixels

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


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
        `BackgroundConfig`), and where there is no resin to distinguish from cells.
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
        If the image is not 2-D, not numeric or not finite, or if the pixel
        size is not positive.

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


def _nothing_seen(mask: Mask, pixel_nm: float, *, blank: bool = False) -> BackgroundResult:
    """A slice in which no resin is found."""
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
