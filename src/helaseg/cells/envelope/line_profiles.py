"""Grey values across a curve: where its dark line lies, how wide and how sure it is."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Widest line that the table of `unblurred_width` holds, in sigmas of the blur.
_WIDEST = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """Grey values along the normals of a curve.

    Parameters
    ----------
    values : ndarray of float64, shape (n, k)
        One row per vertex, from outside to inside.
    offsets_nm : ndarray of float64, shape (k,)
        Distance from the vertex, positive inside; 0 is in the middle.
    """

    values: Floats
    offsets_nm: Floats

    @property
    def step_nm(self) -> float:
        """Distance between neighbouring samples."""
        return float(self.offsets_nm[1] - self.offsets_nm[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The dark line that crosses each profile.

    Parameters
    ----------
    middle_nm : ndarray of float64, shape (n,)
        Offset of the middle between both flanks at half depth.
    width_nm : ndarray of float64, shape (n,)
        Distance of the flanks at half depth.
    depth : ndarray of float64, shape (n,)
        Grey levels from the bottom to the lower one of both shoulders.
    """

    middle_nm: Floats
    width_nm: Floats
    depth: Floats


def sample_profiles(
    image: NDArray[Any],
    curve: Floats,
    normals: Floats,
    *,
    pixel_nm: float,
    reach_nm: float,
    step_nm: float,
) -> Profiles:
    """Grey values along normals, by bilinear interpolation; beyond the image its border.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        A slice, or the part of it around the curve.
    curve, normals : ndarray of float64, shape (n, 2)
        Vertices y, x in pixels of `image` and unit vectors.
    pixel_nm, reach_nm, step_nm : float
        Pixel size, how far to either side, distance of samples.
    """
    import cv2

    k = round(reach_nm / step_nm)
    offsets_nm = np.arange(-k, k + 1, dtype=np.float64) * step_nm
    points = curve[:, None] + (offsets_nm / pixel_nm)[:, None] * normals[:, None]
    values = np.empty(points.shape[:2])
    # remap takes no table of 32768 rows or more
    for start in range(0, len(curve), 16384):
        part = np.ascontiguousarray(points[start : start + 16384], np.float32)
        values[start : start + 16384] = cv2.remap(
            image.astype(np.float32, copy=False),
            part[..., 1],
            part[..., 0],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return Profiles(values=values, offsets_nm=offsets_nm)


def blur_across(values: Floats, sigma: float) -> Floats:
    """Gaussian along the profiles, `sigma` in samples."""
    from scipy.ndimage import gaussian_filter1d

    blurred: Floats = gaussian_filter1d(values, sigma, axis=1, mode="nearest")
    return blurred


def measure_lines(profiles: Profiles, at_nm: Floats, *, shoulder_nm: float) -> Lines:
    """Middle, width and depth of the dark line near a given offset of each profile.

    Parameters
    ----------
    profiles : Profiles
        Smooth enough that noise makes no false shoulders.
    at_nm : ndarray of float64, shape (n,)
        About where the line is.
    shoulder_nm : float
        The shoulders lie no farther than this from there.

    Notes
    -----
    1. The bottom is the least value within a quarter of `shoulder_nm`.
    2. The shoulders are the greatest values on either side; the lower one of both
       sets the half level, so that a bright nucleus beside dark cytoplasm does not
       move the middle.
    3. From `at_nm` outwards on either side the first sample at or above the half
       level, the crossing by linear interpolation.
    """
    step = profiles.step_nm
    k = profiles.values.shape[1]
    reach = max(2, round(shoulder_nm / step))
    near = max(1, reach // 4)
    start = np.rint((at_nm - profiles.offsets_nm[0]) / step).astype(np.intp)
    index = np.clip(start[:, None] + np.arange(-reach, reach + 1), 0, k - 1)
    part = np.take_along_axis(profiles.values, index, axis=1)
    bottom = part[:, reach - near : reach + near + 1].min(axis=1)
    outside, inside = part[:, reach::-1], part[:, reach:]
    depth = np.minimum(outside.max(axis=1), inside.max(axis=1)) - bottom
    level = bottom + depth / 2
    out, in_ = (_first_crossing(side, level) * step for side in (outside, inside))
    return Lines(
        middle_nm=profiles.offsets_nm[np.clip(start, 0, k - 1)] + (in_ - out) / 2,
        width_nm=in_ + out,
        depth=depth,
    )


def _first_crossing(side: Floats, level: Floats) -> Floats:
    """Find where each row first rises to its level, in samples from its start."""
    high = side >= level[:, None]
    after = np.maximum(high.argmax(axis=1), 1)
    row = np.arange(len(side))
    low, up = side[row, after - 1], side[row, after]
    rise = np.where(up > low, up - low, 1.0)
    crossing: Floats = after - 1 + np.clip((level - low) / rise, 0.0, 1.0)
    return crossing


def unblurred_width(width: Floats, sigma: float) -> Floats:
    """Width of an even dark band whose width at half depth is `width` after a blur.

    Parameters
    ----------
    width : ndarray of float64
        Measured widths, in the unit of `sigma`.
    sigma : float
        Of the Gaussian blur; 0 leaves the widths as they are.

    Returns
    -------
    ndarray of float64
        0 for what is no wider than a blurred hairline (2.355 sigma).
    """
    if sigma <= 0:
        return width
    band, seen = _widths()
    wide = width / sigma
    return np.where(wide < seen[-1], np.interp(wide, seen, band), wide) * sigma


@functools.cache
def _widths() -> tuple[Floats, Floats]:
    """Widths of bands and their widths at half depth after a blur of sigma 1."""
    from scipy.special import ndtr

    band = np.linspace(0, _WIDEST, 241)
    # A hairline is a Gaussian; a band is the difference of two error functions.
    low, high = np.zeros_like(band), np.full_like(band, _WIDEST)
    thin = np.maximum(band, 1e-6)
    half = (ndtr(thin / 2) - ndtr(-thin / 2)) / 2
    for _ in range(60):
        middle = (low + high) / 2
        above = ndtr(middle + thin / 2) - ndtr(middle - thin / 2) > half
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return band, 2 * low
