"""What one slice shows: superpixels at several edge strengths, resin, dark lines.

The published method cuts each slice with one Canny setting; a faint piece of
nuclear envelope then joins the nucleus to the cytoplasm. Here the same cut is
made at several edge strengths, each a multiple of the noise of that slice, and
the propagation of the nucleus chooses among them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive
from helaseg.cells.background import BackgroundConfig, BackgroundResult, measure_background
from helaseg.cells.pixels import join_pixels, joined_pixels
from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.errors import ParameterError
from helaseg.execution import Progress, WorkerPool, ordered_map


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceConfig:
    """How a slice is cut into superpixels.

    Parameters
    ----------
    working_pixel_nm : float
        Slices are joined to pixels of about this size (never split). Half the
        width of the nuclear envelope (about 40 nm) is still resolved.
    edge_sigma_nm : float
        Gaussian scale of the Canny edges; 40 nm is the published 4 px.
    edge_levels : tuple of float
        High Canny thresholds as multiples of the gradient noise of the slice.
        On real slices the envelope holds from 4 to 8, the noise inside the
        nucleus shows below 4.
    edge_low_ratio : float
        Low threshold as a fraction of the high one (published 0.4).
    gap_nm : float
        Edges closer than twice this are linked; published 5 px.
    min_superpixel_um2 : float
        Smaller superpixels are left to their surroundings.
    ridge_sigma_nm : float
        Scale of the dark-line filter; 36 to 60 nm gave the same on real slices.
    """

    working_pixel_nm: float = 20.0
    edge_sigma_nm: float = 40.0
    edge_levels: tuple[float, ...] = (4.0, 5.0, 6.0, 8.0, 11.0)
    edge_low_ratio: float = 0.5
    gap_nm: float = 50.0
    min_superpixel_um2: float = 0.01
    ridge_sigma_nm: float = 45.0

    def __post_init__(self) -> None:
        for name in (
            "working_pixel_nm",
            "edge_sigma_nm",
            "edge_low_ratio",
            "gap_nm",
            "min_superpixel_um2",
            "ridge_sigma_nm",
        ):
            check_positive(name, getattr(self, name))
        object.__setattr__(self, "edge_levels", tuple(float(v) for v in self.edge_levels))
        if not self.edge_levels or min(self.edge_levels) <= 0:
            msg = f"'edge_levels' must hold positive numbers, got {self.edge_levels}"
            raise ParameterError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEvidence:
    """What one slice shows, at the working pixel size.

    Parameters
    ----------
    zone : ndarray of uint8, shape (Y, X)
        At how many edge levels a pixel lies in the edge zone. As the edges of a
        higher level are among those of a lower one, level ``k`` (from 0, the
        lowest) has its superpixels where ``zone <= k``.
    ridge : ndarray of uint8, shape (Y, X)
        Strength of dark lines, 200 for the strongest of the slice.
    resin : ndarray of bool, shape (Y, X)
        Resin.
    n_levels : int
        How many edge levels there are.
    pixel_nm : float
        Size of a working pixel.
    """

    zone: NDArray[np.uint8]
    ridge: NDArray[np.uint8]
    resin: NDArray[np.bool_]
    n_levels: int
    pixel_nm: float

    def superpixels(self, level: int) -> NDArray[np.int32]:
        """Connected pieces between the edges of one level; 0 is edge zone."""
        from helaseg.image.labels import label

        return label(self.zone <= level, connectivity=1)

    def window(self, box: tuple[slice, slice]) -> SliceEvidence:
        """The same of a part of the slice."""
        return replace(self, zone=self.zone[box], ridge=self.ridge[box], resin=self.resin[box])


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What all slices of a crop show; index it by slice.

    Parameters
    ----------
    zone, ridge, resin : ndarray, shape (Z, Y, X)
        As in `SliceEvidence`, of all slices.
    blank : ndarray of bool, shape (Z,)
        Slices without any structure; they hold the resin of their neighbours.
    grid : Grid
        The working grid.
    factor : int
        Pixels of the crop per working pixel along y and x.
    n_levels : int
        How many edge levels there are.
    resin_threshold : float or None
        Grey value between cells and resin; None for a blank crop.
    """

    zone: NDArray[np.uint8]
    ridge: NDArray[np.uint8]
    resin: NDArray[np.bool_]
    blank: NDArray[np.bool_]
    grid: Grid
    factor: int
    n_levels: int
    resin_threshold: float | None

    def __getitem__(self, z: int) -> SliceEvidence:
        return SliceEvidence(
            zone=self.zone[z],
            ridge=self.ridge[z],
            resin=self.resin[z],
            n_levels=self.n_levels,
            pixel_nm=self.grid.pixel_nm,
        )


def collect_evidence(
    crop: Volume,
    *,
    config: EvidenceConfig,
    background: BackgroundConfig,
    executor: WorkerPool,
    progress: Progress | None = None,
) -> Evidence:
    """Evidence of all slices of a crop, at the working pixel size.

    Parameters
    ----------
    crop : Volume
        Image of one cell, read slice by slice.
    config : EvidenceConfig
        How slices are cut.
    background : BackgroundConfig
        How resin is told from cells.
    executor : WorkerPool
        Where slices are worked on.
    progress : Progress, optional
        Called as ``progress("evidence", done, total)``.

    Notes
    -----
    A 300 x 2000 x 2000 crop at 10 nm has 300 x 1000 x 1000 working voxels of
    three bytes each.
    """
    factor = joined_pixels(crop.grid.pixel_nm, config.working_pixel_nm)
    grid = crop.grid.downsample((1, factor, factor))
    threshold = crop_threshold(crop, config)
    n = crop.shape[0]

    def one(z: int) -> SliceEvidence | None:
        return slice_evidence(
            crop.slice(z),
            pixel_nm=crop.grid.pixel_nm,
            config=config,
            background=background,
            resin_threshold=threshold,
        )

    zone = np.zeros(grid.shape, np.uint8)
    ridge = np.zeros(grid.shape, np.uint8)
    resin = np.zeros(grid.shape, bool)
    blank = np.zeros(n, bool)
    for z, seen in enumerate(ordered_map(executor, one, range(n))):
        if seen is None:
            blank[z] = True
        else:
            zone[z], ridge[z], resin[z] = seen.zone, seen.ridge, seen.resin
        if progress:
            progress("evidence", z + 1, n)
    seen_slices = np.flatnonzero(~blank)
    for missing in np.flatnonzero(blank):
        if len(seen_slices):
            resin[missing] = resin[seen_slices[np.argmin(np.abs(seen_slices - missing))]]
    return Evidence(
        zone=zone,
        ridge=ridge,
        resin=resin,
        blank=blank,
        grid=grid,
        factor=factor,
        n_levels=len(config.edge_levels),
        resin_threshold=threshold,
    )


def crop_threshold(crop: Volume, config: EvidenceConfig) -> float | None:
    """Otsu's threshold, median over nine slices so that one odd slice cannot move it."""
    from helaseg.image.thresholds import otsu_threshold

    n = crop.shape[0]
    factor = joined_pixels(crop.grid.pixel_nm, config.working_pixel_nm)
    values = []
    for z in sorted({round(k * (n - 1) / 8) for k in range(9)}) if n else ():
        small = join_pixels(crop.slice(z), factor)[::2, ::2]
        recorded = small > small.min() if small.size else small.astype(bool)
        if recorded.any():
            # Padding is flat and the darkest of all.
            values.append(float(otsu_threshold(small, mask=recorded)))
    return float(np.median(values)) if values else None


def gradient_noise(magnitude: NDArray[np.float32]) -> float:
    """Gradient magnitude of featureless parts: the mode of its histogram.

    Noise gives Rayleigh-distributed magnitudes whose mode is the noise of one
    component; edges only add a long tail.
    """
    # Where nothing was recorded (padding) the gradient is exactly zero.
    magnitude = magnitude[magnitude > 0]
    if not magnitude.size:
        return 0.0
    top = float(np.quantile(magnitude, 0.99))
    counts, edges = np.histogram(magnitude, bins=400, range=(0.0, top))
    kernel = np.hanning(15)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    peak = int(np.argmax(smooth))
    return float((edges[peak] + edges[peak + 1]) / 2)


def slice_evidence(
    image: NDArray[Any],
    *,
    pixel_nm: float,
    config: EvidenceConfig,
    background: BackgroundConfig,
    resin_threshold: float | None = None,
) -> SliceEvidence | None:
    """Superpixels, resin and dark lines of one slice; None for a blank slice.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        One slice.
    pixel_nm : float
        Pixel size of `image`.
    config : EvidenceConfig
        How the slice is cut.
    background : BackgroundConfig
        How resin is told from cells.
    resin_threshold : float, optional
        Grey value between cells and resin, for a slice that does not show it.

    Notes
    -----
    1. Join pixels to the working size.
    2. Measure the gradient noise; cut by Canny edges at each edge level and
       keep what lies farther than ``gap_nm`` from every edge as superpixels.
    3. Find the resin, see `helaseg.cells.background.measure_background`; in a
       slice that shows resin alone or cells alone, by `resin_threshold`.

    References
    ----------
    Karabağ, C., Jones, M. L. & Reyes-Aldasoro, C. C. Volumetric semantic
    instance segmentation of the plasma membrane of HeLa cells. J. Imaging 7,
    93 (2021). doi:10.3390/jimaging7060093
    """
    from helaseg.image.edges import canny, gradient_magnitude
    from helaseg.image.morphology import binary_dilation
    from helaseg.image.ridges import dark_ridges

    factor = joined_pixels(pixel_nm, config.working_pixel_nm)
    small = join_pixels(image, factor)
    pixel = pixel_nm * factor
    sigma_px = config.edge_sigma_nm / pixel
    noise = gradient_noise(gradient_magnitude(small, sigma_px=sigma_px))
    if noise <= 0:
        return None
    # closer than the gap, not at it
    gap_px = np.nextafter(config.gap_nm / pixel, 0)
    zone = np.zeros(small.shape, np.uint8)
    for multiple in sorted(config.edge_levels):
        high = multiple * noise
        edges = canny(small, sigma_px=sigma_px, low=config.edge_low_ratio * high, high=high)
        zone += binary_dilation(edges, radius_px=gap_px)
    resin = measure_background(small, pixel_nm=pixel, config=background)
    if resin_threshold is not None and _splits_one_kind(resin, resin_threshold):
        resin = measure_background(
            small, pixel_nm=pixel, config=background, threshold=resin_threshold
        )
    ridge = dark_ridges(small, sigma_px=config.ridge_sigma_nm / pixel)
    # Relative to a high quantile, not the maximum: one speck of dirt must not
    # flatten the envelope.
    ridge *= 200 / max(float(np.quantile(ridge, 0.999)), 1e-6)
    return SliceEvidence(
        zone=zone,
        ridge=np.minimum(ridge, 255).astype(np.uint8),
        resin=resin.mask,
        n_levels=len(config.edge_levels),
        pixel_nm=pixel,
    )


def _splits_one_kind(resin: BackgroundResult, threshold: float) -> bool:
    """Whether a slice was split within its resin, or within its cells.

    The usual threshold then lies outside of what were taken for resin and
    cells, or the two hardly differ. Slices with both are far above a contrast
    of 3.5 (phantoms from 5.1), resin alone reaches 3.0.
    """
    between = resin.cell_grey < threshold < resin.resin_grey
    return not resin.reliable or (resin.contrast < 3.5 and not between)
