"""From the coarse grid to the working pixels, slice by slice.

The coarse cells are right up to a voxel of 60 nm. Here the border between two
cells is drawn again on the dark line between them, and what the coarse grid
was too coarse for (rims, thin gaps, thin protrusions) is filled in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]


def refine_slice(
    rough: NDArray[np.unsignedinteger],
    solid: Mask,
    ridge: NDArray[np.uint8],
    *,
    border_px: float,
) -> Labels:
    """Cells of one slice at its own pixels.

    Parameters
    ----------
    rough : ndarray of unsigned integers, shape (Y, X)
        Coarse cells, enlarged to the pixels of the slice.
    solid : ndarray of bool, shape (Y, X)
        Everything that is not resin.
    ridge : ndarray of uint8, shape (Y, X)
        Strength of dark lines.
    border_px : float
        How far the border between two cells may move.

    Returns
    -------
    ndarray of int32, shape (Y, X)
        Cells; 0 is resin and what is not connected with a cell in this slice.

    Notes
    -----
    1. Free the pixels close to where two cells touch, but no piece as a whole:
       a filopodium along another cell keeps its place.
    2. Flood all free solid pixels from the others, along the weakest dark lines
       first: the borders meet on the strongest.
    """
    from helaseg.image.flooding import watershed

    markers = np.where(solid, rough, 0).astype(np.int32)
    if not markers.any():
        return markers
    meet = _meetings(markers)
    if meet.any():
        markers[_freed(markers, meet, border_px)] = 0
    return watershed(ridge, markers, mask=solid, connectivity=1)


def _meetings(labels: Labels) -> Mask:
    """Pixels with another label beside them."""
    meet = np.zeros(labels.shape, bool)
    for a, b, at_a, at_b in (
        (labels[:-1], labels[1:], meet[:-1], meet[1:]),
        (labels[:, :-1], labels[:, 1:], meet[:, :-1], meet[:, 1:]),
    ):
        differ = (a != b) & (a > 0) & (b > 0)
        for at in (at_a, at_b):
            np.logical_or(at, differ, out=at)
    return meet


def _freed(labels: Labels, meet: Mask, border_px: float) -> Mask:
    """Pixels near the meetings, without those of pieces that lie near them as a whole."""
    from helaseg.image.labels import label
    from helaseg.image.morphology import binary_dilation

    near = binary_dilation(meet, radius_px=border_px) & (labels > 0)
    pieces = label((labels > 0) & ~meet, connectivity=1)
    far = np.bincount(pieces[~near].ravel(), minlength=int(pieces.max()) + 1) > 0
    # What the meetings themselves cover belongs to no piece and is free.
    far[0] = True
    return near & far[pieces]
