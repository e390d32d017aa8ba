"""Nuclei of a probed slice: wide regions without any edge inside.

Not in the published detection, which knows the resin alone. At the coarse
pixels of the probe the cytoplasm is full of edges, and nuclei are the only
wide parts of a cell without them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_array, as_mask, check_positive, check_range, check_shape_match
from helaseg.cells.detection.peaks import persistent_peaks
from helaseg.image.blocks import enlarge
from helaseg.image.noise import gradient_noise

Mask = NDArray[np.bool_]
#: Centre in pixels and radius in nm: y, x, radius.
Circle = tuple[float, float, float]

#: The noise is measured on one in this many rows and columns.
NOISE_STEP = 3
#: Most of the surroundings of a nucleus that may be resin; they begin and end here.
MAX_RESIN_AROUND, RING_NM = 0.2, (200.0, 400.0)
#: Radius of a nucleus over the distance from its centre to the resin, at most.
MAX_FILLED = 0.85
#: What is wide and clear is measured on pixels of about this size.
CORE_PIXEL_NM = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleiConfig:
    """Settings for the nuclei of a probed slice.

    Where no reason is given, a default was read off a whole real slice (28 nm
    pixels) and phantoms (10 nm); all are far from where they matter.

    Parameters
    ----------
    edge_sigma_nm : float
        Gaussian scale of the Canny edges; the envelope is about 40 nm wide and
        one or two probed pixels.
    edge_level : float
        High Canny threshold as a multiple of the gradient noise: the texture
        of nuclei is above it from 4 down, envelopes begin to be lost at 8.
    leak_edge_level : float
        The same for parts that fill their whole cell at `edge_level`: there the
        envelope is too faint or the pixels too noisy (20 and 28 nm phantoms).
    edge_low_ratio : float
        Low Canny threshold over the high one (published 0.4).
    gap_nm : float
        Edges closer than twice this are linked; published 5 px of 10 nm.
    max_speck_um2 : float
        Smaller groups of edges, drawn as wide as `gap_nm`, do not count: nucleoli.
    min_radius_nm : float
        Parts narrower than twice this are no nucleus: they are cytoplasm into
        which a nucleus leaks through a gap of its envelope.
    max_fold_nm : float
        Edges up to this width between two parts do not part them: folds of the
        envelope.
    min_persistence : float
        Smallest narrowing between two nuclei, as a fraction of the smaller one.
    """

    edge_sigma_nm: float = 60.0
    edge_level: float = 5.0
    leak_edge_level: float = 4.0
    edge_low_ratio: float = 0.5
    gap_nm: float = 60.0
    max_speck_um2: float = 0.6
    min_radius_nm: float = 500.0
    max_fold_nm: float = 400.0
    min_persistence: float = 0.5

    def __post_init__(self) -> None:
        for name in (
            "edge_sigma_nm",
            "edge_level",
            "leak_edge_level",
            "gap_nm",
            "min_radius_nm",
        ):
            check_positive(name, getattr(self, name))
        for name in ("max_speck_um2", "max_fold_nm"):
            check_positive(name, getattr(self, name), zero=True)
        for name in ("edge_low_ratio", "min_persistence"):
            check_range(name, getattr(self, name), 0.0, 1.0)


def find_nuclei(
    image: ArrayLike,
    background: ArrayLike,
    *,
    pixel_nm: float,
    config: NucleiConfig | None = None,
) -> tuple[NDArray[np.int32], list[Circle]]:
    """Places of one slice that look like the nucleus of a cell.

    Parameters
    ----------
    image : array of finite numbers, shape (Y, X)
        One slice, best with pixels of about 40 nm.
    background : array of bools, shape (Y, X)
        True = resin; may be all False.
    pixel_nm : float
        Pixel size.
    config : NucleiConfig, optional
        What counts as a nucleus.

    Returns
    -------
    labels : ndarray of int32, shape (Y, X)
        1, 2, ... inside of them. Some are mere patches of cytoplasm, which only
        other slices can tell from nuclei; one whose envelope is faint is missing.
    circles : list of (y, x, radius_nm)
        For each the largest circle in it, centre in pixels; largest first.

    Raises
    ------
    ParameterError
        If the image or the background is not 2-D, if they differ in shape, or
        if the pixel size is not positive.

    Notes
    -----
    1. Canny edges at a multiple of the gradient noise, drawn ``gap_nm`` wide;
       small groups of them are left out.
    2. What is neither edge nor resin is opened by a disk of ``min_radius_nm``
       and closed over folds.
    3. Pieces that fill their cell are done again with fainter edges.
    4. Peaks of the distance to the rest that stand out, each with the part
       around it. Those with much resin around are left out: blebs are as smooth
       as nuclei.
    """
    from helaseg.image import distance_transform, gradient_magnitude, watershed

    array = as_array("image", image, ndim=2, finite=True)
    resin = as_mask("background", background, ndim=2)
    check_shape_match("background", resin.shape, "image", array.shape)
    check_positive("pixel_nm", pixel_nm)
    config = config or NucleiConfig()
    labels = np.zeros(resin.shape, np.int32)
    if not array.size:
        return labels, []
    magnitude = gradient_magnitude(array, sigma_px=max(1.0, config.edge_sigma_nm / pixel_nm))
    noise = gradient_noise(magnitude[::NOISE_STEP, ::NOISE_STEP])
    core = _clear_core(array, resin, config.edge_level * noise, pixel_nm, config)
    if resin.any() and core.any():
        leak = _leaks(core, resin, pixel_nm)
        if leak.any():
            core &= ~leak
            low = config.leak_edge_level * noise
            core |= leak & _clear_core(array, resin, low, pixel_nm, config)
    if core.all() or not core.any():
        # Without any edge there is nothing to recognise.
        return labels, []
    step = max(1, round(CORE_PIXEL_NM / pixel_nm))
    core, pixel_nm = core[::step, ::step], pixel_nm * step
    depth = distance_transform(core, spacing=pixel_nm)
    heights, places = persistent_peaks(
        depth, min_height=config.min_radius_nm, min_persistence=config.min_persistence
    )
    markers = np.zeros(core.shape, np.int32)
    circles: list[Circle] = []
    for i in np.lexsort((places, -heights)):
        y, x = divmod(int(places[i]), core.shape[1])
        around = _resin_around(resin[::step, ::step], y, x, float(heights[i]), pixel_nm)
        # What is left out keeps its ground from its neighbours.
        markers[y, x] = -1 if around > MAX_RESIN_AROUND else len(circles) + 1
        if around <= MAX_RESIN_AROUND:
            circles.append((float(y * step), float(x * step), float(heights[i])))
    if not circles:
        return labels, []
    markers[markers < 0] = len(circles) + 1
    found = watershed(-depth, markers, mask=core, connectivity=2)
    found[found > len(circles)] = 0
    return enlarge(found, step, labels.shape), circles


def _clear_core(
    image: NDArray[np.generic], resin: Mask, high: float, pixel_nm: float, config: NucleiConfig
) -> Mask:
    """Wide parts without edges, folds closed."""
    from helaseg.image import binary_closing, binary_dilation, binary_opening, canny, remove_small

    if high <= 0:
        return np.zeros(resin.shape, np.bool_)
    sigma_px = max(1.0, config.edge_sigma_nm / pixel_nm)
    edges = canny(image, sigma_px=sigma_px, low=config.edge_low_ratio * high, high=high)
    wide = binary_dilation(edges, radius_px=max(1.0, config.gap_nm / pixel_nm))
    wide = remove_small(wide, min_area_px=config.max_speck_um2 * 1e6 / pixel_nm**2)
    core = binary_opening(~(wide | resin), radius_px=config.min_radius_nm / pixel_nm)
    if config.max_fold_nm and core.any() and not core.all():
        core = binary_closing(core, radius_px=config.max_fold_nm / 2 / pixel_nm) & ~resin
    return core


def _leaks(core: Mask, resin: Mask, pixel_nm: float) -> Mask:
    """Pieces that fill their cell: no nucleus does, so they have leaked out of theirs."""
    from helaseg.image import distance_transform, label, peak_local_maxima

    step = max(1, round(CORE_PIXEL_NM / pixel_nm))
    small = core[::step, ::step]
    pieces = label(small, connectivity=1)
    depth = distance_transform(small)
    room = distance_transform(~resin[::step, ::step])
    # Highest first, so the first one in each piece is its deepest place.
    rows, cols = peak_local_maxima(depth, threshold=0.0).T
    number, first = np.unique(pieces[rows, cols], return_index=True)
    rows, cols = rows[first], cols[first]
    leaks = number[depth[rows, cols] > MAX_FILLED * room[rows, cols]]
    return enlarge(np.isin(pieces, leaks), step, core.shape) & core


def _resin_around(resin: Mask, y: int, x: int, radius_nm: float, pixel_nm: float) -> float:
    """Part of a ring around a circle that is resin."""
    inner, outer = ((radius_nm + r) / pixel_nm for r in RING_NM)
    reach = int(outer) + 1
    rows = np.arange(max(y - reach, 0), min(y + reach + 1, resin.shape[0]))
    cols = np.arange(max(x - reach, 0), min(x + reach + 1, resin.shape[1]))
    away = np.hypot(rows[:, None] - y, cols - x)
    ring = (away > inner) & (away <= outer)
    part = resin[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return float(part[ring].mean()) if ring.any() else 0.0
