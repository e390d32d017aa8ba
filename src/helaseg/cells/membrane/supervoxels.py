"""Supervoxels between the dark lines of a crop, and how open the way is between them.

A supervoxel is the catchment of a place without dark lines. Its border runs
along plasma membranes where there are any, along organelles or nothing else
elsewhere. Which of them are one cell is decided in `helaseg.cells.membrane.agglomeration`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg.cells.membrane.config import CompetitionConfig

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """Pairs of supervoxels that touch.

    Parameters
    ----------
    pairs : ndarray of int32, shape (n, 2)
        Numbers of the two, the lower one first; no pair twice.
    area_um2 : ndarray of float64, shape (n,)
        Area of the faces they share.
    envelope_um2 : ndarray of float64, shape (n,)
        The part of it that is the border of a nucleus.
    line_um2 : ndarray of float64, shape (n,)
        The same, each face times the strength of the dark line on it.
    open_um2 : ndarray of float64, shape (n,)
        The same, each face times the part of it that its line leaves open.
    """

    pairs: NDArray[np.int32]
    area_um2: NDArray[np.float64]
    envelope_um2: NDArray[np.float64]
    line_um2: NDArray[np.float64]
    open_um2: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Strength of the dark lines of a crop.

    Parameters
    ----------
    noise : float
        What is reached where there are none.
    membrane : float
        The strength of a membrane.
    """

    noise: float
    membrane: float

    def open_share(self, strength: ArrayLike, *, line_share: float, leak: float) -> Floats:
        """Return the open share of a line: 1 below the noise, falling as a Gaussian to `leak`."""
        scale = (self.membrane - self.noise) * line_share
        above = np.maximum(np.asarray(strength, float) - self.noise, 0.0) / scale
        return leak + (1.0 - leak) * np.exp(-(above**2))


def measure_lines(ridge: NDArray[np.uint8], solid: Mask, nuclei: Labels) -> Lines:
    """Strength of dark lines where there are none, and of the membranes of the crop.

    Parameters
    ----------
    ridge : ndarray of uint8, shape (Z, Y, X)
        Strongest dark line of each coarse voxel.
    solid : ndarray of bool, shape (Z, Y, X)
        Everything that is not resin.
    nuclei : ndarray of int32, shape (Z, Y, X)
        Nuclei, 0 elsewhere.

    Returns
    -------
    Lines
        What noise alone reaches, and the strength of a membrane.

    Notes
    -----
    1. Nuclei hold no membranes: the 90th percentile inside of them is noise.
    2. Their envelope is two membranes side by side, as is the contact of two
       cells: the median of what lies around them is the strength of a line.
    3. Without nuclei the median and the 98th percentile of all that is not resin
       stand for the two.
    """
    from scipy import ndimage

    inside = nuclei > 0
    if inside.any():
        # In the slice: the envelope below and above a nucleus is cut flat and faint.
        cross = np.zeros((3, 3, 3), bool)
        cross[1, 1, :] = cross[1, :, 1] = True
        rim = ndimage.binary_dilation(inside, cross, iterations=2) & ~inside
        # The envelope is one of the two voxels beside the nucleus.
        strongest = ndimage.maximum_filter(ridge, footprint=cross)
        floor, line = np.quantile(ridge[inside], 0.9), np.median(strongest[rim & solid])
    elif solid.any():
        floor, line = np.quantile(ridge[solid], (0.5, 0.98))
    else:
        return Lines(noise=0.0, membrane=1.0)
    return Lines(noise=float(floor), membrane=float(max(line, floor + 1.0)))


def find_supervoxels(
    ridge: NDArray[np.uint8],
    solid: Mask,
    nuclei: Labels,
    *,
    spacing_nm: tuple[float, float, float],
    smooth_nm: float,
) -> tuple[Labels, int]:
    """Catchments of places without dark lines.

    Parameters
    ----------
    ridge : ndarray of uint8, shape (Z, Y, X)
        Strength of dark lines.
    solid : ndarray of bool, shape (Z, Y, X)
        Everything that is not resin.
    nuclei : ndarray of int32, shape (Z, Y, X)
        1 to n; each is one supervoxel, whatever the lines inside.
    spacing_nm : tuple of float
        Voxel size.
    smooth_nm : float
        Standard deviation of the blur in the slice that closes short gaps.

    Returns
    -------
    supervoxels : ndarray of int32, shape (Z, Y, X)
        1 to n are those of the nuclei; 0 is resin.
    count : int
        The largest number.
    """
    from scipy import ndimage

    from helaseg.image.filters import gaussian
    from helaseg.image.flooding import watershed
    from helaseg.image.labels import label

    smooth = gaussian(ridge, sigma_px=(0.0, smooth_nm / spacing_nm[1], smooth_nm / spacing_nm[2]))
    # Eighths of a level: fine enough that plateaus are flat places, not steps.
    smooth *= 8
    levels = smooth.astype(np.int16)
    del smooth
    lowest = ndimage.minimum_filter(levels, size=(3, 5, 5)) == levels
    markers = label(lowest & solid & (nuclei == 0), connectivity=3)
    del lowest
    n = int(nuclei.max(initial=0))
    markers[markers > 0] += n
    inside = (nuclei > 0) & solid
    markers[inside] = nuclei[inside]
    supervoxels = watershed(levels, markers, mask=solid, connectivity=1)
    return supervoxels, max(n, int(markers.max(initial=0)))


def find_contacts(
    supervoxels: Labels,
    ridge: NDArray[np.uint8],
    lines: Lines,
    config: CompetitionConfig,
    *,
    n_nuclei: int,
    spacing_nm: tuple[float, float, float],
) -> Contacts:
    """Faces between supervoxels.

    Parameters
    ----------
    supervoxels : ndarray of int32, shape (Z, Y, X)
        From `find_supervoxels`.
    ridge : ndarray of uint8, shape (Z, Y, X)
        Strength of dark lines.
    lines : Lines
        Strength of noise and of membranes.
    config : CompetitionConfig
        Settings.
    n_nuclei : int
        The border of supervoxels 1 to `n_nuclei` is a nuclear envelope, no plasma
        membrane: no line is counted.
    spacing_nm : tuple of float
        Voxel size.
    """
    z_nm, y_nm, x_nm = spacing_nm
    face_um2 = (y_nm * x_nm / 1e6, z_nm * x_nm / 1e6, z_nm * y_nm / 1e6)
    width = int(supervoxels.max(initial=0)) + 1
    opening = lines.open_share(np.arange(256), line_share=config.line_share, leak=config.leak)
    keys: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    sums: list[Floats] = [np.empty((4, 0))]
    # Two slices at a time: the lists of faces of a whole crop would be as large as its images.
    for z in range(supervoxels.shape[0]):
        here, line = supervoxels[z], ridge[z]
        beside = [
            (here[:, :-1], here[:, 1:], line[:, :-1], line[:, 1:], face_um2[2]),
            (here[:-1], here[1:], line[:-1], line[1:], face_um2[1]),
        ]
        if z + 1 < supervoxels.shape[0]:
            beside.append((here, supervoxels[z + 1], line, ridge[z + 1], face_um2[0]))
        pairs, values = [], []
        for a, b, line_a, line_b, face in beside:
            border = (a != b) & (a > 0) & (b > 0)
            low, high = np.minimum(a[border], b[border]), np.maximum(a[border], b[border])
            strength = np.maximum(line_a[border], line_b[border])
            envelope = low <= n_nuclei
            strength[envelope] = 0
            pairs.append(low.astype(np.int64) * width + high)
            sums_of = [np.ones(len(low)), envelope, strength, opening[strength]]
            values.append(face * np.stack(sums_of))
        key, total = _summed(np.concatenate(pairs), np.concatenate(values, axis=1))
        keys.append(key)
        sums.append(total)
    key, totals = _summed(np.concatenate(keys), np.concatenate(sums, axis=1))
    area, envelope_sum, line_sum, open_sum = totals
    return Contacts(
        pairs=np.stack(np.divmod(key, width), axis=1).astype(np.int32),
        area_um2=area,
        envelope_um2=envelope_sum,
        line_um2=line_sum,
        open_um2=open_sum,
    )


def _summed(keys: NDArray[np.int64], values: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Each key once, and the sums of its values."""
    key, index = np.unique(keys, return_inverse=True)
    sums = [np.bincount(index, row, minlength=len(key)).astype(np.float64) for row in values]
    return key, np.stack(sums)
