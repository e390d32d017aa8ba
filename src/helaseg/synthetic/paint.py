"""Grey values and truth out of depths: the same for every kind of phantom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helaseg._kernels import phantom as kernels
from helaseg._kernels.phantom_grey import Content, Depths, Look, Noise, Truth, shade
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


class Band(NamedTuple):
    """The place of a band of rows.

    Parameters
    ----------
    z, start : int
        Its slice and its first row.
    at : tuple of float
        z, y and x of the first pixel of the frame, height and width of a pixel (nm).
    """

    z: int
    start: int
    at: tuple[float, float, float, float, float]


def paint_band(
    band: Band,
    depths: Depths,
    noise: dict[str, NDArray[np.float32]],
    organelles: Organelles,
    textures: TextureConfig,
    gap_nm: float,
    out: RenderedSlice,
) -> None:
    """Draw a band of rows into `out`.

    Parameters
    ----------
    band : Band
        Its place.
    depths : Depths
        Its geometry, with a frame of `FRAME` pixels.
    noise : dict of str to ndarray
        Planes of the noise fields, of the same shape.
    organelles : Organelles
        Capsules in cells and resin.
    textures : TextureConfig
        Their appearance.
    gap_nm : float
        Mean resin between near cells.
    """
    shape = depths.s1.shape
    content = Content(
        depth=np.full(shape, _FAR, np.float32),
        along=np.zeros(shape, np.float32),
        index=np.full(shape, -1, np.int32),
        kind=organelles.kind,
        home=organelles.home,
        number=organelles.number,
    )
    kernels.draw_capsules(
        organelles.capsules, *band.at, 0.0, content.depth, content.index, content.along
    )
    look = Look(
        step=float(np.sqrt(band.at[3] * band.at[4])),
        gap=gap_nm,
        half_band=0.5 * textures.envelope_nm,
        sheet_nm=SHEET_NM,
        resin=float(textures.resin_grey),
        contrast=float(textures.contrast),
    )
    grey = np.empty(shape, np.float32)
    truth = Truth(
        cell=np.empty(shape, np.uint16),
        nucleus=np.empty(shape, np.uint16),
        envelope=np.empty(shape, np.uint16),
        mitochondria=np.empty(shape, out.mitochondria.dtype),
    )
    planes = Noise(**{name: noise[name] for name in Noise._fields})
    shade(depths, content, planes, look, grey, truth)
    rows = slice(band.start, band.start + shape[0] - 2 * FRAME)
    for name, plane in truth._asdict().items():
        getattr(out, name)[rows] = plane[FRAME:-FRAME, FRAME:-FRAME]
    grain, slope, gain, offset, lines = _exposure(textures, band.z)
    inner = np.ascontiguousarray(grey[1:-1, 1:-1])
    seed, image = textures.seed, out.image[rows]
    kernels.film(seed, band.z, band.start, inner, grain, slope, gain, offset, lines, image)


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
