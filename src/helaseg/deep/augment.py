"""Random changes of a patch and its labels, each of which shows. Nothing here needs torch.

Shapes: the grey values of a patch are (Z, Y, X), its targets (C, Z, Y, X) between 0 and 1, its
weights (Z, Y, X). All randomness comes from the generator that is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive, check_range

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Strength of the changes of patches in training; 0 switches a step off.

    Grey values have mean 0 and standard deviation 1 over the volume they come from.

    Parameters
    ----------
    flips : bool
        Mirror along y and x, each every other time.
    quarter_turns : bool
        Turn in the plane by 0, 90, 180 or 270 degrees.
    max_turn_deg : float
        Turn further by up to this angle.
    max_scale : float
        Enlarge or reduce by up to this factor minus 1.
    elastic_px : float
        Standard deviation of a smooth displacement.
    elastic_smooth_px : float
        Distance over which the displacement changes.
    gamma : float
        Exponent of the grey values between exp(-gamma) and exp(gamma).
    contrast, brightness : float
        Factor 1 plus, and summand, of up to this size.
    blur_px : float
        Largest sigma of a Gaussian blur.
    noise : float
        Largest standard deviation of Gaussian noise.
    p_missing_slice : float
        How often one of several slices is missing (the mean of the patch stands in).
    misalignment_px : float
        Largest shift of a slice against the others, and of what follows it.
    p : float
        How often each of the steps with a size is taken.
    """

    flips: bool = True
    quarter_turns: bool = True
    max_turn_deg: float = 30.0
    max_scale: float = 0.25
    elastic_px: float = 3.0
    elastic_smooth_px: float = 24.0
    gamma: float = 0.3
    contrast: float = 0.3
    brightness: float = 0.3
    blur_px: float = 1.0
    noise: float = 0.3
    p_missing_slice: float = 0.05
    misalignment_px: float = 2.0
    p: float = 0.5

    def __post_init__(self) -> None:
        for name in (
            "elastic_px",
            "gamma",
            "contrast",
            "brightness",
            "blur_px",
            "noise",
            "misalignment_px",
        ):
            check_positive(name, getattr(self, name), zero=True)
        check_positive("elastic_smooth_px", self.elastic_smooth_px)
        check_range("max_turn_deg", self.max_turn_deg, 0.0, 180.0)
        check_range("max_scale", self.max_scale, 0.0, 0.9)
        check_range("p_missing_slice", self.p_missing_slice, 0.0, 1.0)
        check_range("p", self.p, 0.0, 1.0)


#: Changes nothing.
NO_CHANGE = AugmentConfig(
    flips=False,
    quarter_turns=False,
    max_turn_deg=0,
    max_scale=0,
    elastic_px=0,
    gamma=0,
    contrast=0,
    brightness=0,
    blur_px=0,
    noise=0,
    p_missing_slice=0,
    misalignment_px=0,
)


def sampling_map(
    shape: tuple[int, int],
    centre: tuple[float, float],
    config: AugmentConfig,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Map each pixel of a patch to its place in a plane.

    Parameters
    ----------
    shape : tuple of int
        Of the patch, y, x.
    centre : tuple of float
        Pixel of the plane in the middle of the patch, y, x.
    config : AugmentConfig
        Flips, turns, scale and elastic displacement.
    rng : Generator
        Source of chance.

    Returns
    -------
    ys, xs : ndarray of float32, shape (Y, X)
        Coordinates in the plane.
    """
    ys, xs = np.meshgrid(
        *(np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in shape), indexing="ij"
    )
    if config.elastic_px > 0 and rng.random() < config.p:
        ys = ys + _smooth_noise(shape, config, rng)
        xs = xs + _smooth_noise(shape, config, rng)
    angle = 0.0
    if config.quarter_turns:
        angle += float(rng.integers(4)) * 90.0
    if config.max_turn_deg > 0 and rng.random() < config.p:
        angle += float(rng.uniform(-config.max_turn_deg, config.max_turn_deg))
    factor = 1.0
    if config.max_scale > 0 and rng.random() < config.p:
        factor = (1 + config.max_scale) ** float(rng.uniform(-1, 1))
    cos, sin = np.cos(np.deg2rad(angle)) / factor, np.sin(np.deg2rad(angle)) / factor
    ys, xs = cos * ys - sin * xs, sin * ys + cos * xs
    if config.flips:
        ys, xs = (-v if rng.random() < 0.5 else v for v in (ys, xs))
    return (ys + centre[0]).astype(np.float32), (xs + centre[1]).astype(np.float32)


def take_patch(planes: NDArray[np.generic], ys: Floats, xs: Floats, *, outside: str) -> Floats:
    """The pixels of some planes at given places, interpolated linearly.

    Parameters
    ----------
    planes : ndarray, shape (..., Y, X)
        Read where `ys` and `xs` say.
    ys, xs : ndarray of float32, shape (y, x)
        Places.
    outside : {"mirror", "zero"}
        What lies outside of the planes.

    Returns
    -------
    ndarray of float32, shape (..., y, x)
    """
    import cv2

    # Only what the map can reach is converted to floats.
    height, width = planes.shape[-2:]
    (top, bottom), (left, right) = (
        (max(0, int(v.min()) - 2), min(n, int(v.max()) + 3)) for v, n in ((ys, height), (xs, width))
    )
    inside = 0 <= top < bottom and 0 <= left < right
    whole = not inside or ys.min() < 0 or xs.min() < 0
    whole = whole or ys.max() > height - 1 or xs.max() > width - 1
    if not whole:
        planes = planes[..., top:bottom, left:right]
        ys, xs = ys - np.float32(top), xs - np.float32(left)
    border = cv2.BORDER_REFLECT_101 if outside == "mirror" else cv2.BORDER_CONSTANT
    found = np.empty((*planes.shape[:-2], *ys.shape), np.float32)
    for index in np.ndindex(planes.shape[:-2]):
        plane = np.ascontiguousarray(planes[index], np.float32)
        found[index] = cv2.remap(plane, xs, ys, cv2.INTER_LINEAR, borderMode=border)
    return found


def change_slices(
    image: Floats, config: AugmentConfig, rng: np.random.Generator, *, kept: range
) -> Floats:
    """Faults of the microscope between slices: one is missing, one and what follows is shifted.

    Parameters
    ----------
    image : ndarray, shape (Z, Y, X)
        Grey values.
    config, rng
        As in `change_greys`.
    kept : range
        Slices that are predicted: they neither go missing nor move, so that the
        labels stay right.
    """
    import cv2

    others = [z for z in range(len(image)) if z not in kept]
    if not others:
        return image
    if config.p_missing_slice > 0 and rng.random() < config.p_missing_slice:
        image = image.copy()
        image[int(rng.choice(others))] = image.mean()
    if config.misalignment_px > 0 and rng.random() < config.p:
        image = image.copy()
        first = int(rng.choice(others))
        dy, dx = rng.uniform(-config.misalignment_px, config.misalignment_px, 2)
        # What lies beyond the shifted slice, seen from those that are predicted.
        moved = range(first, len(image)) if first >= kept.stop else range(first + 1)
        matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        for z in moved:
            image[z] = cv2.warpAffine(
                image[z], matrix, image.shape[:0:-1], borderMode=cv2.BORDER_REFLECT_101
            )
    return image


def change_greys(image: Floats, config: AugmentConfig, rng: np.random.Generator) -> Floats:
    """Gamma, contrast, brightness, blur and noise.

    Parameters
    ----------
    image : ndarray of float32, shape (Z, Y, X)
        Grey values with mean 0 and standard deviation 1 over their volume.
    config : AugmentConfig
        Sizes of the steps.
    rng : Generator
        Source of chance.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
    """
    import cv2

    if config.gamma > 0 and rng.random() < config.p:
        exponent = float(np.exp(rng.uniform(-config.gamma, config.gamma)))
        low, high = float(image.min()), float(image.max())
        if high > low:
            image = ((image - low) / (high - low)) ** np.float32(exponent) * (high - low) + low
    if config.contrast > 0 and rng.random() < config.p:
        mean = image.mean()
        image = (image - mean) * np.float32(1 + rng.uniform(-1, 1) * config.contrast) + mean
    if config.brightness > 0 and rng.random() < config.p:
        image = image + np.float32(rng.uniform(-1, 1) * config.brightness)
    if config.blur_px > 0 and rng.random() < config.p:
        # Below half a pixel a blur does not show.
        sigma = float(rng.uniform(min(0.5, config.blur_px), config.blur_px))
        image = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in image])
    if config.noise > 0 and rng.random() < config.p:
        spread = np.float32(rng.uniform(0, config.noise))
        image = image + spread * rng.standard_normal(image.shape, dtype=np.float32)
    return np.ascontiguousarray(image, np.float32)


def _smooth_noise(
    shape: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> Floats:
    """A displacement that changes over some distance, of the given standard deviation."""
    import cv2

    coarse = tuple(int(np.ceil(n / config.elastic_smooth_px)) + 3 for n in shape)
    field = rng.standard_normal(coarse, dtype=np.float32) * np.float32(config.elastic_px)
    scale = config.elastic_smooth_px
    size = (round(coarse[1] * scale), round(coarse[0] * scale))
    wide = np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_CUBIC), np.float32)
    edge = round(scale)
    return wide[edge : edge + shape[0], edge : edge + shape[1]]
