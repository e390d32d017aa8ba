"""Evidence of one slice: dark lines, the pieces between them, resin.

The published method cuts each slice with one Canny setting; a faint piece of
nuclear envelope then joins the nucleus to the cytoplasm. Here dark lines are
looked for along their own direction, and the slice is cut where they are
stronger than a multiple of the noise of that slice. All multiples together
are a tree of components: pieces grow and join as the multiple rises. The
propagation of the nucleus chooses among them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.background.appearance import Appearance, survey_resin
from helaseg.cells.background.config import BackgroundConfig
from helaseg.cells.background.measure import BackgroundResult, measure_background
from helaseg.cells.background.steady import keep_dark_cells, steady_resin
from helaseg.cells.nucleus.crop_grey import CropGrey, find_damaged, measure_crop
from helaseg.cells.nucleus.evidence_config import EvidenceConfig
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.results import ENVELOPE_NM
from helaseg.core.volume import Volume
from helaseg.execution import Progress, WorkerPool, make_executor, ordered_map
from helaseg.image.blocks import join_pixels, joined_pixels
from helaseg.image.noise import line_noise

Box = tuple[slice, slice]

#: Ridge strength of the noise of a slice, in the units of `SliceEvidence.ridge`; the
#: strongest membranes of real slices reach 16 times the noise.
NOISE_RIDGE = 12
#: Grey values and wide lines are kept on one in this many working pixels along y and x.
WIDE_STEP = 2
#: The line filter needs no finer pixels than for this sigma; finer ones take three times
#: as long and move the Jaccard index of real nuclei by less than 0.001.
MIN_LINE_SIGMA_PX = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEvidence:
    """Evidence of one slice, at the working pixel size.

    Parameters
    ----------
    ridge : ndarray of uint8, shape (Y, X)
        Strength of dark lines; 12 is the noise of the slice.
    oblique : ndarray of uint8, shape (Y / 2, X / 2)
        Strength of wide dark lines on every second pixel, as strong as `ridge`
        where a line is narrow.
    grey : ndarray of uint8, shape (Y / 2, X / 2)
        Grey values on every second pixel, scaled alike in all slices of a crop.
    resin : ndarray of bool, shape (Y, X)
        Resin.
    levels : tuple of float
        The line levels, lowest first.
    pixel_nm, slice_nm : float
        Size of a working pixel, distance of slices.
    """

    ridge: NDArray[np.uint8]
    oblique: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    resin: NDArray[np.bool_]
    levels: tuple[float, ...]
    pixel_nm: float
    slice_nm: float

    def superpixels(self, level: float) -> NDArray[np.int32]:
        """Connected pieces between the lines above a multiple of the noise; 0 is line."""
        from helaseg.image.labels import label

        return label(self.ridge <= level * NOISE_RIDGE, connectivity=1)

    def window(self, box: Box) -> SliceEvidence:
        """The same of a part of the slice; its first row and column must be even."""
        rows, cols = box
        wide = tuple(slice(s.start // WIDE_STEP, -(-s.stop // WIDE_STEP)) for s in (rows, cols))
        return replace(
            self,
            ridge=self.ridge[box],
            oblique=self.oblique[wide],
            grey=self.grey[wide],
            resin=self.resin[box],
        )

    def lines_at(self, away_nm: NDArray[np.float32], config: EvidenceConfig) -> NDArray[np.uint8]:
        """Strength of dark lines, each place at the width expected there.

        Parameters
        ----------
        away_nm : ndarray of float, shape (Y, X)
            How far the outline would have come there from the next slice: the
            farther, the more slanted is the envelope, and the wider its line.
        config : EvidenceConfig
            Scales of the two filters.
        """
        import cv2

        slant = np.sqrt(1 + (away_nm / self.slice_nm) ** 2)
        # Of a band that stands upright half the width is `ENVELOPE_NM / 2`.
        sigma_nm = np.clip(ENVELOPE_NM / 2 * slant, config.line_sigma_nm, config.oblique_sigma_nm)
        span = np.log(config.oblique_sigma_nm / config.line_sigma_nm)
        if span <= 0:
            return self.ridge
        share = np.log(sigma_nm / config.line_sigma_nm) / span
        rows, cols = self.oblique.shape
        wide = cv2.resize(self.oblique, (cols * WIDE_STEP, rows * WIDE_STEP))
        wide = wide[: self.ridge.shape[0], : self.ridge.shape[1]]
        return ((1 - share) * self.ridge + share * wide).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class MembraneEvidence:
    """Evidence that separates cells from resin and from each other.

    Parameters
    ----------
    grid : Grid
        The working grid.
    ridge : ndarray of uint8, shape of `grid`
        Strength of dark lines; 12 is the noise of the slice, and envelopes have
        40 to 100.
    resin : ndarray of bool, shape of `grid`
        The resin of every slice.
    """

    grid: Grid
    ridge: NDArray[np.uint8]
    resin: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Evidence of all slices of a crop; index it by slice.

    Parameters
    ----------
    ridge, oblique, grey, resin : ndarray, shape (Z, ...)
        As in `SliceEvidence`, of all slices.
    blank : ndarray of bool, shape (Z,)
        Slices without any structure; they hold the resin and the lines of their neighbours.
    damaged : ndarray of bool, shape (Z,)
        Slices whose grey values differ suddenly from those around, by charging
        or a lost focus; what they show is not compared with others.
    grid : Grid
        The working grid.
    factor : int
        Pixels of the crop per working pixel along y and x.
    levels : tuple of float
        The line levels, lowest first.
    resin_threshold : float or None
        Grey value between cells and resin; None for a blank crop or one without resin.
    flags : CellFlag
        Whether resin is dark, absent or unsure.
    crop_grid : Grid
        The grid of the crop.
    name : str
        Name of the crop, for messages.
    config, background : EvidenceConfig, BackgroundConfig
        Settings with which it was collected.
    """

    ridge: NDArray[np.uint8]
    oblique: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    resin: NDArray[np.bool_]
    blank: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    grid: Grid
    factor: int
    levels: tuple[float, ...]
    resin_threshold: float | None
    flags: CellFlag
    crop_grid: Grid
    name: str
    config: EvidenceConfig
    background: BackgroundConfig

    @property
    def membranes(self) -> MembraneEvidence:
        """The part that separates cells; the rest may go from memory with this object."""
        return MembraneEvidence(grid=self.grid, ridge=self.ridge, resin=self.resin)

    def __getitem__(self, z: int) -> SliceEvidence:
        return SliceEvidence(
            ridge=self.ridge[z],
            oblique=self.oblique[z],
            grey=self.grey[z],
            resin=self.resin[z],
            levels=self.levels,
            pixel_nm=self.grid.pixel_nm,
            slice_nm=self.grid.slice_nm,
        )


def collect_evidence(
    crop: Volume,
    *,
    config: EvidenceConfig | None = None,
    background: BackgroundConfig | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> Evidence:
    """Evidence of all slices of a crop, at the working pixel size.

    Parameters
    ----------
    crop : Volume
        Image of one cell, read slice by slice.
    config : EvidenceConfig, optional
        How slices are cut.
    background : BackgroundConfig, optional
        How resin is separated from cells.
    executor : WorkerPool, optional
        Where slices are worked on; one after the other by default.
    progress : Progress, optional
        Called as ``progress("evidence", done, total)``.

    Notes
    -----
    A 300 x 2000 x 2000 crop at 10 nm has 300 x 1000 x 1000 working voxels of
    two and a half bytes each.
    """
    config, background = config or EvidenceConfig(), background or BackgroundConfig()
    executor = executor or make_executor("serial")
    factor = joined_pixels(crop.grid.pixel_nm, config.working_pixel_nm)
    grid = crop.grid.downsample((1, factor, factor))
    scale = measure_crop(crop, factor)
    look = survey_resin(crop, config=background)
    n = crop.shape[0]

    def one(z: int) -> SliceEvidence | None:
        return slice_evidence(
            crop.slice(z),
            grid=crop.grid,
            config=config,
            background=background,
            scale=scale,
            look=look,
        )

    half = (n, *(-(-size // WIDE_STEP) for size in grid.shape[1:]))
    ridge = np.zeros(grid.shape, np.uint8)
    oblique = np.zeros(half, np.uint8)
    grey = np.zeros(half, np.uint8)
    resin = np.zeros(grid.shape, bool)
    blank = np.zeros(n, bool)
    for z, seen in enumerate(ordered_map(executor, one, range(n))):
        if seen is None:
            blank[z] = True
        else:
            ridge[z], oblique[z], grey[z] = seen.ridge, seen.oblique, seen.grey
            resin[z] = seen.resin
        if progress:
            progress("evidence", z + 1, n)
    seen_slices = np.flatnonzero(~blank)
    for missing in np.flatnonzero(blank):
        if len(seen_slices):
            # Without lines the cells of the slices beside would run into each other there.
            nearest = seen_slices[np.argmin(np.abs(seen_slices - missing))]
            resin[missing], ridge[missing] = resin[nearest], ridge[nearest]
    steady_resin(resin, grid)
    if look.resin == "bright" and look.threshold is not None:
        level = (look.threshold - scale.low) * 255 / (scale.high - scale.low)
        keep_dark_cells(resin, grey, level, grid)
    return Evidence(
        ridge=ridge,
        oblique=oblique,
        grey=grey,
        resin=resin,
        blank=blank,
        damaged=find_damaged(grey, ~blank),
        grid=grid,
        factor=factor,
        levels=tuple(sorted(config.line_levels)),
        resin_threshold=look.threshold,
        flags=look.flags,
        crop_grid=crop.grid,
        name=crop.name,
        config=config,
        background=background,
    )


def slice_evidence(
    image: NDArray[Any],
    *,
    grid: Grid,
    config: EvidenceConfig,
    background: BackgroundConfig,
    scale: CropGrey,
    look: Appearance,
) -> SliceEvidence | None:
    """Dark lines and resin of one slice; None for a blank slice.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        One slice.
    grid : Grid
        Voxel size of the crop that the slice is from.
    config : EvidenceConfig
        How lines are found.
    background : BackgroundConfig
        Settings for the separation of resin from cells.
    scale : CropGrey
        Grey values of the crop.
    look : Appearance
        Whether resin is bright, dark or absent, and lines dark or bright; its
        threshold is for slices that do not show both cells and resin.

    Notes
    -----
    1. Join pixels to the working size.
    2. If the image is a negative, turn it. Look for dark lines along twelve
       directions. Their strength in what has no lines, the median over the slice, is
       the noise; strengths are multiples of it.
    3. The same with a wider filter that looks in no direction.
    4. Find the resin, see `helaseg.cells.background.measure.measure_background`; in a
       slice that shows resin alone or cells alone, by the threshold of the crop.

    References
    ----------
    Karabağ, C., Jones, M. L. & Reyes-Aldasoro, C. C. Volumetric semantic
    instance segmentation of the plasma membrane of HeLa cells. J. Imaging 7,
    93 (2021). doi:10.3390/jimaging7060093
    """
    from helaseg.image.ridges import dark_ridges

    factor = joined_pixels(grid.pixel_nm, config.working_pixel_nm)
    small = join_pixels(image, factor)
    pixel = grid.pixel_nm * factor
    positive = -small if look.negative else small
    ridge = _lines_along(positive, pixel, config)
    noise = line_noise(ridge[::WIDE_STEP, ::WIDE_STEP])
    if noise <= 0:
        return None
    half = join_pixels(positive, WIDE_STEP)
    oblique = dark_ridges(half, sigma_px=config.oblique_sigma_nm / (pixel * WIDE_STEP))
    resin = measure_background(small, pixel_nm=pixel, config=background, resin=look.resin)
    if look.threshold is not None and _splits_one_kind(resin, look.threshold):
        resin = measure_background(
            small,
            pixel_nm=pixel,
            config=background,
            threshold=look.threshold,
            resin=look.resin,
        )
    darkest = -scale.high if look.negative else scale.low
    grey = (half - darkest) * (255 / (scale.high - scale.low))
    return SliceEvidence(
        ridge=_as_bytes(ridge * (NOISE_RIDGE / noise)),
        oblique=_as_bytes(oblique * (NOISE_RIDGE / noise)),
        grey=_as_bytes(grey),
        resin=resin.mask,
        levels=tuple(sorted(config.line_levels)),
        pixel_nm=pixel,
        slice_nm=grid.slice_nm,
    )


def _lines_along(
    image: NDArray[np.float32], pixel_nm: float, config: EvidenceConfig
) -> NDArray[np.float32]:
    """Dark lines along twelve directions, on pixels just fine enough for the filter."""
    import cv2

    from helaseg.image.ridges import oriented_dark_ridges

    step = max(1, int(config.line_sigma_nm / (MIN_LINE_SIGMA_PX * pixel_nm)))
    ridge = oriented_dark_ridges(
        join_pixels(image, step),
        sigma_px=config.line_sigma_nm / (pixel_nm * step),
        length_px=config.line_length_nm / (pixel_nm * step),
        n_orientations=config.n_orientations,
    )
    if step == 1:
        return ridge
    rows, cols = image.shape
    size = (ridge.shape[1] * step, ridge.shape[0] * step)
    enlarged = cv2.resize(ridge, size, interpolation=cv2.INTER_CUBIC)[:rows, :cols]
    return np.maximum(enlarged, 0).astype(np.float32, copy=False)


def _as_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _splits_one_kind(resin: BackgroundResult, threshold: float) -> bool:
    """Return whether a slice was split within its resin, or within its cells.

    The usual threshold then lies outside of what were taken for resin and
    cells, or the two hardly differ. Slices with both are far above a contrast
    of 3.5 (phantoms from 5.1), resin alone reaches 3.0.
    """
    darker, brighter = sorted((resin.cell_grey, resin.resin_grey))
    between = darker < threshold < brighter
    return not resin.reliable or (resin.contrast < 3.5 and not between)
