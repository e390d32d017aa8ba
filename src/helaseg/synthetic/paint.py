"""Grey values and truth out of depths: the same for every kind of phantom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import phantom as kernels
from helaseg._kernels import phantom_grey
from helaseg.synthetic.organelles import Organelles
from helaseg.synthetic.textures import TextureConfig

#: Rows drawn at a time: bounds the memory for a slice of any size.
BAND_ROWS = 512
#: Frame around a band: one pixel for the blur, one for the slopes of the ER.
FRAME = 2
#: Standard deviation of the noise before the blur in resin, and its rise per grey
#: value below 200 (measured on the real slices: 4.3 in resin, 5.5 in nuclei after it).
GRAIN, GRAIN_SLOPE = 17.6, 0.075
#: Mean distance of ER sheets (nm).
SHEET_NM = 600.0
#: Largest factor on the gap between cells, see `phantom_grey.shade`.
GAP_MOST = 2.0
_FAR = np.float32(-1e6)

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedSlice:
    """Grey values and truth of one slice, each of shape (Y, X).

    Parameters
    ----------
    image : ndarray of uint8
        Grey values.
    cell, nucleus, envelope : ndarray of uint16
        Id of the cell.
    mitochondria : ndarray of uint16 or uint32
        Id of the mitochondrion.
    """

    image: NDArray[np.uint8]
    cell: NDArray[np.uint16]
    nucleus: NDArray[np.uint16]
    envelope: NDArray[np.uint16]
    mitochondria: NDArray[Any]

    @classmethod
    def empty(cls, shape: tuple[int, int], organelles: Organelles) -> RenderedSlice:
        """Arrays for a slice of this shape."""
        return cls(
            image=np.empty(shape, np.uint8),
            cell=np.empty(shape, np.uint16),
            nucleus=np.empty(shape, np.uint16),
            envelope=np.empty(shape, np.uint16),
            mitochondria=np.empty(shape, organelles.mitochondria_dtype),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """Depths in cells and nuclei on a band of rows: float32 planes in nm, with a frame.

    Parameters
    ----------
    s1, s2 : ndarray
        Depth below the surface of the nearest and of the second nearest cell.
    bare : ndarray
        Depth in the cells without their thin protrusions.
    owner : ndarray of uint16
        Id of the nearest cell.
    nucleus : ndarray
        Depth below the midline of the nuclear envelope of that cell.
    graze_cell, graze_nucleus : ndarray
        How much wider the membranes look where they run along the cut.
    """

    s1: Plane
    s2: Plane
    bare: Plane
    owner: NDArray[np.uint16]
    nucleus: Plane
    graze_cell: Plane
    graze_nucleus: Plane


def paint_band(
    depths: Depths,
    noise: dict[str, Plane],
    organelles: Organelles,
    textures: TextureConfig,
    gap_nm: float,
    z: int,
    start: int,
    at: tuple[float, float, float, float, float],
    out: RenderedSlice,
) -> None:
    """Draw a band of slice `z` from row `start` on into `out`.

    Parameters
    ----------
    depths : Depths
        Its geometry, with a frame of `FRAME` pixels.
    noise : dict of str to ndarray
        Planes of the noise fields, of the same shape.
    organelles : Organelles
        What lies in cells and resin.
    textures : TextureConfig
        What it looks like.
    gap_nm : float
        Mean resin between near cells.
    at : tuple of float
        z, y and x of the first pixel of the frame, height and width of a pixel (nm).
    """
    shape = depths.s1.shape
    organ = np.full(shape, _FAR, np.float32)
    along = np.zeros(shape, np.float32)
    index = np.full(shape, -1, np.int32)
    kernels.draw_capsules(organelles.capsules, *at, 0.0, organ, index, along)
    grey = np.empty(shape, np.float32)
    truth = [np.empty(shape, np.uint16) for _ in range(3)]
    mitochondria = np.empty(shape, out.mitochondria.dtype)
    names = ("rough", "sheet", "breaks", "fine", "coarse", "slow", "flat", "blob")
    arguments: list[Any] = [depths.s1, depths.s2, depths.bare, depths.owner, depths.nucleus]
    arguments += [depths.graze_cell, depths.graze_nucleus, organ, index, along]
    arguments += [organelles.kind, organelles.home, organelles.number]
    arguments += [noise[name] for name in names]
    pixel_nm = float(np.sqrt(at[3] * at[4]))
    arguments += [pixel_nm, gap_nm, 0.5 * textures.envelope_nm, SHEET_NM]
    arguments += [float(textures.resin_grey), float(textures.contrast), grey, *truth, mitochondria]
    phantom_grey.shade(*arguments)
    stop = start + shape[0] - 2 * FRAME
    core = (slice(FRAME, -FRAME), slice(FRAME, -FRAME))
    for target, plane in zip((out.cell, out.nucleus, out.envelope), truth, strict=True):
        target[start:stop] = plane[core]
    out.mitochondria[start:stop] = mitochondria[core]
    grain, slope, gain, offset, lines = _exposure(textures, z)
    inner = np.ascontiguousarray(grey[1:-1, 1:-1])
    kernels.film(
        textures.seed, z, start, inner, grain, slope, gain, offset, lines, out.image[start:stop]
    )


def _exposure(textures: TextureConfig, z: int) -> tuple[float, float, float, float, float]:
    """Noise, its slope, gain, offset and row noise of a slice."""
    rng = np.random.default_rng([textures.seed, 6, z])
    f = textures.noise
    gain, offset = 1 + f * rng.normal(0, 0.006), f * rng.normal(0, 0.8)
    if z in textures.blank_slices:
        return 0.0, 0.0, 0.0, 165.0, 0.0
    if z in textures.damaged_slices:
        return 2.5 * f * GRAIN, f * GRAIN_SLOPE, 0.45 * gain, 40.0 + offset, 14.0
    # The gain turns about the mean grey value, so that it changes contrast alone.
    return f * GRAIN, f * GRAIN_SLOPE, gain, 165.0 * (1 - gain) + offset, 0.9 * f
