"""Pictures for the benchmarks: real slices where they are, the phantom elsewhere.

``size`` is "full" (the sizes in the names) or "tiny" (for the tests).
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import tifffile

from helaseg.image import gaussian, otsu_threshold
from helaseg.synthetic import PhantomConfig, make_phantom

FOLDER = Path(os.environ.get("HELASEG_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
SLICES = FOLDER / "roi_6005_4739" / "raw"
TINY = {"2k": (150, 170), "8k": (300, 301), "volume": (6, 150, 170)}


def source() -> str:
    """Where the grey values come from, in words."""
    return "real slices (EMPIAR-10094)" if SLICES.is_dir() else "phantom"


@functools.cache
def _stack(n: int) -> np.ndarray:
    """The first `n` slices, 2000 x 2000 uint8."""
    if SLICES.is_dir():
        # from the middle of the cell outwards, so that one slice is a rich one
        names = sorted(SLICES.glob("*.tif"), key=lambda p: (abs(int(p.stem[1:]) - 60), p.name))
        return np.stack([tifffile.imread(p) for p in sorted(names[:n])])
    made = make_phantom(PhantomConfig(shape=(n, 2000, 2000), n_cells=6, seed=0))
    return np.ascontiguousarray(made.image.read())


def slice_2k(size: str = "full") -> np.ndarray:
    """One slice, (2000, 2000) uint8."""
    image = _stack(1)[0]
    height, width = TINY["2k"] if size == "tiny" else image.shape
    return np.ascontiguousarray(
        image[600 : 600 + height, 700 : 700 + width] if size == "tiny" else image
    )


def slice_8k(size: str = "full", width: int = 8192) -> np.ndarray:
    """The slice mirrored to (8192, `width`) uint8.

    Widths that are a power of two slow down libraries that walk along columns
    several times; measure 8200 too and quote the fairer one.
    """
    image = _stack(1)[0]
    if size == "tiny":
        return slice_2k(size).repeat(2, axis=0)[: TINY["8k"][0], :].copy()
    return np.pad(image, ((0, 8192 - 2000), (0, width - 2000)), mode="symmetric")


def volume_24(size: str = "full") -> np.ndarray:
    """Slices as a volume, (24, 2000, 2000) uint8; voxels 50 x 10 x 10 nm are assumed."""
    if size == "tiny":
        depth, height, width = TINY["volume"]
        return np.ascontiguousarray(_stack(depth)[:, 600 : 600 + height, 700 : 700 + width])
    return _stack(24)


def volume_300(size: str = "full") -> np.ndarray:
    """The middle of the slices mirrored along z, (300, 1000, 1000) uint8."""
    if size == "tiny":
        return volume_24(size)
    middle = _stack(24)[:, 500:1500, 500:1500]
    return np.pad(middle, ((0, 300 - 24), (0, 0), (0, 0)), mode="symmetric")


def cell_mask(image: np.ndarray) -> np.ndarray:
    """Cells against resin, bool: darker than Otsu's threshold of the blurred picture.

    A volume is thresholded slice by slice.
    """
    if image.ndim == 3:
        return np.stack([cell_mask(plane) for plane in image])
    blurred = np.rint(gaussian(image, sigma_px=2, radius_px=6)).astype(np.uint8)
    return blurred < otsu_threshold(blurred)


def noisy_mask(image: np.ndarray) -> np.ndarray:
    """The same without the blur, bool: thousands of specks and holes."""
    return image < otsu_threshold(image)
