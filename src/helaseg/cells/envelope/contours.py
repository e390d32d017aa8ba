"""Closed curves in a slice: from masks, along their normals, and back to pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPixels:
    """Pixels near the curves of a slice, each once.

    Parameters
    ----------
    rows, cols : ndarray of int, shape (n,)
        Where they are.
    edge : ndarray of int, shape (n,)
        The nearest edge: the number of the vertex that it starts from, counted over
        all curves.
    along : ndarray of float32, shape (n,)
        How far along that edge the nearest point lies, 0 to 1.
    """

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    edge: NDArray[np.intp]
    along: NDArray[np.float32]


def trace_contours(
    mask: Mask, *, factor: int, step_px: float, smooth_px: float
) -> list[NDArray[np.float64]]:
    """Smooth outlines of a mask, of its islands and of its holes.

    Parameters
    ----------
    mask : ndarray of bool, shape (Y, X)
        Mask on joined pixels. Where it touches the border it goes on beyond it.
    factor : int
        Pixels joined along y and x.
    step_px : float
        Distance of neighbouring vertices, in pixels that are not joined.
    smooth_px : float
        Sigma of the smoothing along the curve, in the same unit; it removes the
        stairs of the joined pixels.

    Returns
    -------
    list of ndarray, shape (n, 2)
        Vertices y, x, in pixels that are not joined; the last one is followed by the
        first. The mask lies on the same side of every curve, see `inward_normals`.

    Notes
    -----
    1. Marching squares along the borders of the pixels.
    2. Vertices at equal distances, at least eight.
    3. Circular smoothing by ``2g - g**2`` (g: Gaussian, in frequencies): unlike the
       Gaussian alone it hardly shrinks small islands.

    References
    ----------
    Taubin, G. A signal processing approach to fair surface design. SIGGRAPH 95,
    351-358 (1995). doi:10.1145/218380.218473
    """
    from skimage.measure import find_contours

    # Beyond the border as far as any smoothing or band reaches, then closed.
    beyond = 2 + round(3 * smooth_px / factor)
    framed = np.pad(np.pad(mask, beyond, mode="edge"), 1)
    curves = []
    for outline in find_contours(framed.astype(np.float32), 0.5):
        corners = (outline - beyond - 1 + 0.5) * factor - 0.5
        curves.append(_smooth(_resample(corners, step_px), smooth_px))
    return curves


def _resample(corners: NDArray[np.float64], step_px: float) -> NDArray[np.float64]:
    """Points at equal distances on a closed curve whose last corner repeats the first."""
    at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    n = max(8, round(at[-1] / step_px))
    wanted = np.arange(n) * (at[-1] / n)
    return np.column_stack([np.interp(wanted, at, corners[:, k]) for k in (0, 1)])


def _smooth(curve: NDArray[np.float64], sigma_px: float) -> NDArray[np.float64]:
    length_px = np.hypot(*(np.roll(curve, -1, axis=0) - curve).T).sum()
    # Of the smallest islands only as much as keeps their size.
    sigma_px = min(sigma_px, length_px / 16)
    return blur_along(curve, sigma_px * len(curve) / length_px, keep_size=True)


def blur_along(values: Floats, sigma: float, *, keep_size: bool = False) -> NDArray[np.float64]:
    """Circular Gaussian along the first axis, `sigma` in vertices.

    With `keep_size` the filter is ``2g - g**2``, which keeps what is as large as
    the curve itself.
    """
    n = len(values)
    g = np.exp(-2 * (np.pi * sigma * np.fft.rfftfreq(n)) ** 2)
    if keep_size:
        g = g * (2 - g)
    spectrum = np.fft.rfft(values, axis=0)
    spectrum *= g.reshape(-1, *[1] * (spectrum.ndim - 1))
    return np.fft.irfft(spectrum, n, axis=0)


def inward_normals(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors y, x across a curve of `trace_contours`, into the mask."""
    along = np.roll(curve, -1, axis=0) - np.roll(curve, 1, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-12)[:, None]
    return np.column_stack([along[:, 1], -along[:, 0]])


def _edges(curves: Sequence[Floats]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Starts and ends of all edges, in the order of the vertices."""
    starts = np.concatenate([np.asarray(c, np.float64) for c in curves])
    ends = np.concatenate([np.roll(np.asarray(c, np.float64), -1, axis=0) for c in curves])
    return starts, ends


def fill_contours(curves: Sequence[Floats], shape: tuple[int, int]) -> Mask:
    """Pixels whose centre lies inside an odd number of closed curves.

    Parameters
    ----------
    curves : sequence of ndarray, shape (n, 2)
        Vertices y, x in pixels; they may lie beyond the image.
    shape : tuple of int
        Rows and columns of the image.

    Returns
    -------
    ndarray of bool, shape `shape`
        Islands and holes come out by themselves.

    Notes
    -----
    1. Every edge crosses the centre lines of some rows; an edge owns the rows from
       its upper end up to, not including, its lower end.
    2. A crossing at x toggles the row from the first pixel centre at or beyond x on.
    """
    out = np.zeros(shape, bool)
    if not curves:
        return out
    (y0, x0), (y1, x1) = (ends.T for ends in _edges(curves))
    height, width = shape
    top = np.clip(np.ceil(np.minimum(y0, y1)), 0, height).astype(np.intp)
    bottom = np.clip(np.ceil(np.maximum(y0, y1)), 0, height).astype(np.intp)
    n = bottom - top
    edge = np.repeat(np.arange(len(n)), n)
    if not len(edge):
        return out
    row = np.arange(len(edge)) - np.repeat(np.cumsum(n) - n, n) + top[edge]
    slope = (x1 - x0)[edge] / (y1 - y0)[edge]
    x = x0[edge] + (row - y0[edge]) * slope
    col = np.clip(np.ceil(x), 0, width).astype(np.intp)
    above, left = row.min(), col.min()
    rows, cols = row.max() + 1 - above, col.max() + 1 - left
    flips = np.bincount((row - above) * cols + col - left, minlength=rows * cols)
    inside = np.add.accumulate(flips.reshape(rows, cols).astype(np.uint8), axis=1, dtype=np.uint8)
    part = out[above : above + rows, left : left + cols]
    part |= (inside[:, : part.shape[1]] & 1).view(bool)
    return out


def near_contours(
    curves: Sequence[Floats], shape: tuple[int, int], *, reach_px: float
) -> NearPixels:
    """Pixels whose centre is no farther than `reach_px` from a curve.

    Notes
    -----
    1. For every edge the distances of all pixel centres in a square around it that
       is large enough.
    2. Of each pixel the nearest edge; of equally near ones the last.
    """
    if not curves:
        none = np.zeros(0, np.intp)
        return NearPixels(rows=none, cols=none, edge=none, along=np.zeros(0, np.float32))
    a, b = _edges(curves)
    vector = b - a
    length2 = np.maximum((vector**2).sum(axis=1), 1e-24)
    k = int(np.ceil(reach_px + np.sqrt(length2.max()) / 2 + 0.5))
    middle = np.rint((a + b) / 2)
    around = np.arange(-k, k + 1.0)
    ry = (middle[:, 0] - a[:, 0])[:, None, None] + around[:, None]
    rx = (middle[:, 1] - a[:, 1])[:, None, None] + around
    vy, vx = vector[:, 0, None, None], vector[:, 1, None, None]
    t = np.clip((ry * vy + rx * vx) / length2[:, None, None], 0, 1)
    distance2 = (ry - t * vy) ** 2 + (rx - t * vx) ** 2
    edge, i, j = np.nonzero(distance2 <= reach_px**2)
    row = middle[edge, 0].astype(np.intp) + i - k
    col = middle[edge, 1].astype(np.intp) + j - k
    seen = (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])
    edge, i, j, row, col = (v[seen] for v in (edge, i, j, row, col))
    pixels, number = np.unique(row * shape[1] + col, return_inverse=True)
    near2 = distance2[edge, i, j]
    least = np.full(len(pixels), np.inf)
    np.minimum.at(least, number, near2)
    # Later ones overwrite earlier ones: the last of equals stays.
    wins = np.flatnonzero(near2 == least[number])
    chosen = np.empty(len(pixels), np.intp)
    chosen[number[wins]] = wins
    return NearPixels(
        rows=row[chosen],
        cols=col[chosen],
        edge=edge[chosen],
        along=t[edge, i, j][chosen].astype(np.float32),
    )
