"""Appearance of a volume: resin brighter than the cells, darker, or absent.

The published method takes the brightest class for resin. That is decided here
from what the two classes of grey values look like: cells are full of
membranes and organelles, resin is smooth. One decision holds for all slices of
a volume, so that they agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_array, check_positive
from helaseg.cells.background.config import BackgroundConfig, ResinClass
from helaseg.cells.background.measure import measure_background
from helaseg.core.objects import CellFlag
from helaseg.core.volume import Volume
from helaseg.image.blocks import join_pixels, joined_pixels
from helaseg.image.noise import gradient_noise

#: Slices that decide for a volume: one odd one must not count.
N_SLICES = 9
#: Regions are what is of one class within about this distance to this part.
REGION_NM, REGION_PART = 300.0, 0.9
#: Pixels are joined to about this size: noise goes, organelles stay.
PIXEL_NM = 80.0
#: Gradient of an edge as a multiple of the gradient noise, and the scale of both.
EDGE_LEVEL, EDGE_SIGMA_NM = 3.5, 80.0
#: Part of featureless regions that passes for edges; 0.002 are expected.
CHANCE = 0.005
#: The busier class has cells if it has at least this many times the edges of the
#: other: 2.0 to 3.5 on real slices and quarters of them, 2.3 to 25 on phantoms
#: (noisy, with little contrast, with dark resin).
MIN_RATIO = 1.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """Statistics of the dark and the bright regions of one slice.

    Parameters
    ----------
    busyness : float
        Logarithm of the part of the dark regions that is edges over that of the
        bright ones; nan where there are not both.
    skew_bright : float
        Skewness of the fine structure in the bright ones: negative where lines are dark.
    reliable : bool
        Whether resin stands out, see `BackgroundResult`.
    """

    busyness: float = math.nan
    skew_bright: float = math.nan
    reliable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Decision about the resin of a volume.

    Parameters
    ----------
    resin : {"bright", "dark", "none"}
        Resin is brighter or darker than the cells, or cannot be distinguished from them.
    negative : bool
        Lines in the cells are bright and the resin is dark: membranes are dark in
        stained cells, so the image is a negative of what it should be.
    busyness : float
        Median of that of the slices, see `Glimpse`: above 0 where the dark
        regions look like cells; nan where no slice shows both.
    sure : bool
        False where that does not decide and bright was assumed.
    threshold : float or None
        Grey value between cells and resin; None where no slice was measured.
    """

    resin: ResinClass = "bright"
    negative: bool = False
    busyness: float = math.nan
    sure: bool = True
    threshold: float | None = None

    @property
    def flags(self) -> CellFlag:
        """Flags that describe the resin."""
        if not self.sure:
            return CellFlag.UNSURE_RESIN
        said = {"dark": CellFlag.INVERTED_RESIN, "none": CellFlag.NO_RESIN}
        return said.get(self.resin, CellFlag.NONE)


def told_resin(flags: CellFlag) -> ResinClass:
    """Read the class of the resin from the flags of `Appearance.flags`."""
    if CellFlag.NO_RESIN in flags:
        return "none"
    return "dark" if CellFlag.INVERTED_RESIN in flags else "bright"


def glimpse_slice(
    image: ArrayLike, *, pixel_nm: float, reliable: bool, config: BackgroundConfig | None = None
) -> Glimpse:
    """Measure the two classes of grey values of one slice.

    Parameters
    ----------
    image : array of finite numbers, shape (Y, X)
        One slice.
    pixel_nm : float
        Pixel size.
    reliable : bool
        What `measure_background` says of the slice.
    config : BackgroundConfig, optional
        Its scale of grey values is used.

    Returns
    -------
    Glimpse
        With nan where one class forms no regions.

    Raises
    ------
    ParameterError
        If the image is not 2-D, not numeric or not finite, or if the pixel
        size is not positive.

    Notes
    -----
    1. Split the smoothed grey values by Otsu's threshold. Regions of a class are
       where it fills most of the neighbourhood: organelles and membranes then
       count to the cell that they lie in, whatever their grey value.
    2. Compare the parts of the two with a gradient well above the noise.
    3. Skewness of the image less its neighbourhood, tails cut.
    """
    from helaseg.image import gaussian, gradient_magnitude, otsu_threshold

    array = as_array("image", image, ndim=2, finite=True)
    check_positive("pixel_nm", pixel_nm)
    config = config or BackgroundConfig()
    if not array.size or array.min() == array.max():
        return Glimpse(reliable=reliable)
    factor = joined_pixels(pixel_nm, PIXEL_NM)
    small, pixel = join_pixels(array, factor), pixel_nm * factor
    smooth = gaussian(small, sigma_px=max(0.5, config.grey_sigma_nm / pixel))
    # What was filled in is the darkest of all and of one grey value.
    recorded = small > small.min()
    if not recorded.any():  # a few pixels that were joined to one
        return Glimpse(reliable=reliable)
    bright = smooth > otsu_threshold(smooth, mask=recorded)
    share = gaussian(bright.astype(np.float32), sigma_px=REGION_NM / pixel)
    regions = [(share < 1 - REGION_PART) & recorded, (share > REGION_PART) & recorded]
    magnitude = gradient_magnitude(small, sigma_px=max(1.0, EDGE_SIGMA_NM / pixel))
    edges = magnitude > EDGE_LEVEL * gradient_noise(magnitude)
    fine = smooth - gaussian(small, sigma_px=REGION_NM / pixel)
    if min(np.count_nonzero(r) for r in regions) < config.min_resin_fraction * small.size:
        return Glimpse(reliable=reliable)
    dark, light = (float(edges[r].mean()) + CHANCE for r in regions)
    return Glimpse(
        busyness=math.log(dark / light),
        skew_bright=_skewness(fine[regions[1]]),
        reliable=reliable,
    )


def decide_appearance(
    glimpses: Sequence[Glimpse], config: BackgroundConfig | None = None
) -> Appearance:
    """One decision for all slices of a volume.

    Parameters
    ----------
    glimpses : sequence of Glimpse
        Of some slices.
    config : BackgroundConfig, optional
        With ``resin`` other than ``"auto"`` there is nothing to decide.

    Returns
    -------
    Appearance
        Resin is taken for bright unless the bright regions of the slices are
        clearly the busier ones, and for absent if it stands out in no slice.
    """
    config = config or BackgroundConfig()
    seen = [g for g in glimpses if g.reliable and math.isfinite(g.busyness)]
    busyness = float(np.median([g.busyness for g in seen])) if seen else math.nan
    resin: ResinClass = "dark" if busyness < -math.log(MIN_RATIO) else "bright"
    sure = not abs(busyness) < math.log(MIN_RATIO)
    if glimpses and not any(g.reliable for g in glimpses):
        resin = "none"
    if config.resin != "auto":
        resin, sure = config.resin, True
    lines = [g.skew_bright for g in seen] if resin == "dark" else []
    negative = bool(lines) and float(np.median(lines)) > 0
    return Appearance(resin=resin, negative=negative, busyness=busyness, sure=sure)


def survey_resin(volume: Volume, *, config: BackgroundConfig | None = None) -> Appearance:
    """Decide about the resin of a volume from a few slices.

    Parameters
    ----------
    volume : Volume
        A whole stack or a crop; `N_SLICES` of its slices are read.
    config : BackgroundConfig, optional
        Settings for the separation of resin from cells.

    Returns
    -------
    Appearance
        Its ``resin`` goes to `measure_background`. It is ``"none"``, whatever the settings
        say, where resin stands out in no slice: a crop from the middle of a clump. The
        threshold is the median of the slices in which it does, because Otsu's splits
        slices of cells alone, too.
    """
    config = config or BackgroundConfig()
    if config.resin == "none":
        return decide_appearance((), config)
    pixel_nm = volume.grid.pixel_nm
    n = volume.shape[0]
    glimpses, thresholds = [], []
    for z in sorted({round(k * (n - 1) / (N_SLICES - 1)) for k in range(N_SLICES)}) if n else ():
        image = volume.slice(z)
        result = measure_background(image, pixel_nm=pixel_nm, config=config, coarse=True)
        if not result.blank:
            glimpses.append(
                glimpse_slice(image, pixel_nm=pixel_nm, reliable=result.reliable, config=config)
            )
            if result.reliable:
                thresholds.append(result.threshold)
    if glimpses and not thresholds:
        return Appearance(resin="none")
    look = decide_appearance(glimpses, config)
    return replace(look, threshold=float(np.median(thresholds)) if thresholds else None)


def _skewness(values: NDArray[np.float32]) -> float:
    """Third moment over the cube of the deviation, the outermost 1 % moved inwards."""
    low, middle, high = np.quantile(values, (0.005, 0.5, 0.995))
    centred = np.clip(values, low, high).astype(np.float64) - middle
    spread = float(np.sqrt(np.mean(centred**2)))
    return float(np.mean(centred**3)) / spread**3 if spread > 0 else 0.0
