"""The search for resin in one slice, step by step; `measure_background` calls the steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from helaseg.image.blocks import enlarge

if TYPE_CHECKING:
    from helaseg.cells.background.config import BackgroundConfig

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


def find_outside(small: Floats, pixel_nm: float) -> Mask:
    """Flat pieces of the lowest grey value over 1 µm²: filled in, not recorded."""
    from helaseg.image import remove_small

    return remove_small(small == small.min(), min_area_px=1e6 / pixel_nm**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class GreySplit:
    """Grey values of a slice in two classes."""

    smooth: Floats
    threshold: float
    resin: float
    cell: float
    contrast: float


def split_greys(
    small: Floats,
    outside: Mask,
    pixel_nm: float,
    config: BackgroundConfig,
    threshold: float | None,
) -> GreySplit:
    """Resin and cells by Otsu's threshold, or by the one given."""
    from helaseg.image import gaussian, otsu_threshold

    smooth = gaussian(small, sigma_px=config.grey_sigma_nm / pixel_nm)
    inside = ~outside
    values = smooth[inside]
    cut = float(otsu_threshold(smooth, mask=inside)) if threshold is None else float(threshold)
    bright = values > cut
    n_bright = int(np.count_nonzero(bright))
    if n_bright in (0, values.size):
        # Every pixel lies on one side of a threshold that the caller gave.
        mean = float(values.mean())
        resin, cell = (mean, cut) if n_bright else (cut, mean)
        return GreySplit(smooth=smooth, threshold=cut, resin=resin, cell=cell, contrast=0.0)
    light, dark = values[bright], values[~bright]
    variance = (light.size * light.var() + dark.size * dark.var()) / values.size
    gap = float(light.mean()) - float(dark.mean())
    return GreySplit(
        smooth=smooth,
        threshold=cut,
        resin=float(light.mean()),
        cell=float(dark.mean()),
        contrast=gap / math.sqrt(variance) if variance > 0 else math.inf,
    )


def forms_regions(split: GreySplit, pixel_nm: float, config: BackgroundConfig) -> bool:
    """Return whether cells, and resin of little contrast, fill places of about 1 µm unmixed."""
    from helaseg.image import gaussian

    sigma_px = config.local_sigma_nm / 2 / pixel_nm
    step = max(1, int(sigma_px // 3))
    bright = split.smooth[::step, ::step] > split.threshold
    near = gaussian(bright.astype(np.float32), sigma_px=sigma_px / step)
    n_bright = int(np.count_nonzero(bright))
    cells = np.count_nonzero(near < 0.2) >= config.min_region_share * (bright.size - n_bright)
    resin = np.count_nonzero(near > 0.8) >= config.min_region_share * n_bright
    return bool(cells and (resin or split.contrast >= config.sure_contrast))


def find_shading(
    split: GreySplit, outside: Mask, pixel_nm: float, config: BackgroundConfig
) -> tuple[Floats, Floats] | None:
    """Factor and summand per pixel that make resin and cells equally bright all over.

    Otsu's threshold splits tiles of ``shading_nm``, each half over the next;
    the tiles that show both classes carry the correction.
    """
    import cv2

    from helaseg.image import gaussian, otsu_threshold

    side = round(config.shading_nm / pixel_nm)
    rows, cols = (max(1, round(2 * n / side) - 1) for n in split.smooth.shape)
    if rows * cols == 1:
        return None
    found = [np.zeros((rows, cols), np.float32) for _ in range(3)]
    height, width = split.smooth.shape
    for i, j in np.ndindex(rows, cols):
        top, left = (height * i) // (rows + 1), (width * j) // (cols + 1)
        box = (
            slice(top, top + 2 * height // (rows + 1)),
            slice(left, left + 2 * width // (cols + 1)),
        )
        values = split.smooth[box][~outside[box]][::4]
        if values.size < 100 or values.min() == values.max():
            continue
        bright = values > otsu_threshold(values[None])
        share = bright.mean()
        if not 0.1 <= share <= 0.9:
            continue
        light, dark = values[bright], values[~bright]
        sd = math.sqrt(share * light.var() + (1 - share) * dark.var())
        gap = light.mean() - dark.mean()
        if gap >= config.min_contrast * sd:
            found[0][i, j] = light.mean() - split.resin
            found[1][i, j] = dark.mean() - split.cell
            found[2][i, j] = 1
    found = [gaussian(f, sigma_px=1.0, mode="nearest") for f in found]
    weight = found[2] + np.float32(0.05)
    resin, cell = (
        cv2.resize(f / weight, (width, height)) + np.float32(level)
        for f, level in zip(found[:2], (split.resin, split.cell), strict=True)
    )
    factor = np.float32(split.resin - split.cell) / np.maximum(resin - cell, np.float32(1e-3))
    summand = np.float32(split.cell) - cell * factor
    return factor.astype(np.float32, copy=False), summand.astype(np.float32, copy=False)


def vote(small: Floats, split: GreySplit, pixel_nm: float, config: BackgroundConfig) -> Mask:
    """Resin by the vote of the superpixels of all edge levels."""
    from helaseg.image import binary_dilation, canny, label, region_areas, region_sums

    sigma_px = max(1.0, config.edge_sigma_nm / pixel_nm)
    # Large pixels: a gap of one pixel at least keeps superpixels from touching at corners.
    gap_px = max(1.0, config.gap_nm / pixel_nm)
    # Largest gradient of a step as high as the contrast; pixel and difference blur, too.
    full = (split.resin - split.cell) / (math.sqrt(2 * math.pi) * math.hypot(sigma_px, 0.65))
    bright = split.smooth > split.threshold
    min_px = max(1.0, config.min_superpixel_um2 * 1e6 / pixel_nm**2)
    votes = np.zeros(small.shape, np.int8)
    for level in config.edge_levels:
        high = level * full
        edges = canny(small, sigma_px=sigma_px, low=config.edge_low_ratio * high, high=high)
        pieces, n = label(~binary_dilation(edges, radius_px=gap_px), return_count=True)
        area = region_areas(pieces, n=n)
        share = region_sums(pieces, image=bright, n=n) / np.maximum(area, 1)
        # 2 = ask the pixel itself.
        verdict = np.where(area >= min_px, share >= config.min_bright_fraction, 2).astype(np.int8)
        verdict[0] = 2
        vote = verdict[pieces]
        votes += np.where(vote == 2, bright, vote).astype(np.int8)
        if level == max(config.edge_levels):
            sharp = binary_dilation(edges, radius_px=gap_px + 1)
    return _drop_shadows(2 * votes > len(config.edge_levels), sharp, config)


def _drop_shadows(mask: Mask, sharp: Mask, config: BackgroundConfig) -> Mask:
    """Turn pieces of cell into resin when too little of their border runs along edges."""
    from helaseg.image import binary_dilation, label, region_areas, region_sums

    pieces, n = label(~mask, connectivity=2, return_count=True)
    border = np.where(binary_dilation(mask, radius_px=1), pieces, 0)
    area = region_areas(border, n=n)
    share = region_sums(border, image=sharp, n=n) / np.maximum(area, 1)
    # A slice without any resin has no border at all.
    shadow = (share < config.min_sharp_border) & (area > 0)
    shadow[0] = False
    return mask | shadow[pieces]


def local_threshold(
    mask: Mask, split: GreySplit, pixel_nm: float, config: BackgroundConfig
) -> Floats:
    """Middle between the resin and the cells of the neighbourhood; nan where they are alike.

    Resin in a shadow is as dark as cells: no grey value parts the two there.
    """
    from helaseg.image import binary_erosion

    sigma_px = config.local_sigma_nm / pixel_nm
    # Bright specks of a cell that passed for resin must not vouch for each other.
    sure = binary_erosion(mask, radius_px=max(1.0, config.border_nm / pixel_nm))
    resin = _neighbourhood_mean(split.smooth, sure, sigma_px, split.resin)
    sure = binary_erosion(~mask, radius_px=1)
    cell = _neighbourhood_mean(split.smooth, sure, sigma_px, split.cell)
    local = (resin + cell) * np.float32(0.5)
    local[resin - cell < 0.4 * (split.resin - split.cell)] = np.nan
    return local.astype(np.float32, copy=False)


def decide_border(
    grey: Floats,
    mask: Mask,
    local: Floats,
    pixel_nm: float,
    config: BackgroundConfig,
    *,
    factor: int = 1,
) -> Mask:
    """Pixels near the border by the local threshold.

    `mask` and `local` have working pixels of `pixel_nm`; `grey` and the result
    have `factor` times finer ones.
    """
    from helaseg.image import binary_dilation

    shape = grey.shape
    known = ~np.isnan(local)
    # Cell may turn into resin farther from the border: pockets reach into it,
    # whereas on the other side shadows begin.
    to_resin = known & ~mask & binary_dilation(mask, radius_px=config.pocket_nm / pixel_nm)
    to_cell = known & mask & binary_dilation(~mask, radius_px=config.border_nm / pixel_nm)
    bright = grey > enlarge(np.where(known, local, np.float32(0)), factor, shape)
    decided = bright & enlarge(to_resin, factor, shape)
    decided |= enlarge(mask & ~to_cell, factor, shape)
    decided |= bright & enlarge(to_cell, factor, shape)
    return decided


def drop_specks(mask: Mask, pixel_nm: float, config: BackgroundConfig) -> Mask:
    """Remove small pieces of cell, then small pieces of resin."""
    from helaseg.image import remove_small

    um2_px = 1e6 / pixel_nm**2
    cell = remove_small(~mask, min_area_px=config.min_cell_um2 * um2_px)
    return remove_small(~cell, min_area_px=config.min_resin_um2 * um2_px)


def fill_organelles(mask: Mask, pixel_nm: float, config: BackgroundConfig) -> Mask:
    """Turn small pieces of resin that cells enclose into cell."""
    from helaseg.image import fill_holes

    return ~fill_holes(~mask, max_area_px=int(config.max_organelle_um2 * 1e6 / pixel_nm**2))


def _neighbourhood_mean(image: Floats, mask: Mask, sigma_px: float, fallback: float) -> Floats:
    """Gaussian mean of the masked pixels; `fallback` where there are few of them."""
    import cv2

    from helaseg.image import gaussian

    k = max(1, int(sigma_px // 4))
    size = (-(-mask.shape[1] // k), -(-mask.shape[0] // k))
    part = mask.astype(np.float32)
    weight = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    part *= image - np.float32(fallback)
    total = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    weight, total = (gaussian(a, sigma_px=sigma_px / k, mode="nearest") for a in (weight, total))
    mean = np.float32(fallback) + total / (weight + np.float32(0.02))
    return cv2.resize(mean, mask.shape[::-1]).astype(np.float32, copy=False)
