"""Cells of one slice that have no resin between them, separated by their nuclei.

In a clump the distance to the resin is one hill for many cells. Nuclei that
are seen through several slices say how many there are; each hill that holds
more than one nucleus is shared among them. A hill with one nucleus or none is
a cell as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.detection.nuclei_slice import Circle
from helaseg.cells.detection.nuclei_volume import Marker, Neck
from helaseg.cells.detection.peaks import HillConfig, cell_regions, fill_vacuoles

Mask = NDArray[np.bool_]

#: Clumps are taken apart on pixels of about this size.
CROWD_PIXEL_NM = 80.0


def split_hills(
    background: Mask,
    hills: Sequence[Circle],
    markers: Sequence[Marker],
    *,
    pixel_nm: float,
    config: HillConfig,
) -> list[tuple[Circle, int]]:
    """Cells of one slice: hills, and the shares of nuclei in hills with more than one.

    Parameters
    ----------
    background : ndarray of bool, shape (Y, X)
        True = resin.
    hills : sequence of (y, x, radius_nm)
        From `find_peaks`.
    markers : sequence of Marker
        From `markers_in_slice`.
    pixel_nm : float
        Pixel size.
    config : HillConfig
        What counts as a cell.

    Returns
    -------
    list of ((y, x, radius_nm), int)
        Largest first, with the number of the nucleus, 0 for none. The radius of
        a share is that of the largest circle in it.

    Notes
    -----
    1. Flood the hills; those with two nuclei or more are taken apart, as are
       pieces of cell without any hill but with a nucleus.
    2. Within them each pixel goes to the nucleus that is nearest on a way that
       does not leave the piece.
    3. The cell lies where its nucleus is farthest from all that is not its share.
    """
    from helaseg.image import distance_transform

    crowd = _find_crowd(background, hills, markers, pixel_nm, config)
    found = [(h, crowd.alone.get(k, 0)) for k, h in enumerate(hills, 1) if k not in crowd.hills]
    if crowd.markers:
        disks, shares = _share_out(crowd)
        width = distance_transform(_apart(shares), spacing=crowd.pixel_nm)
        widest = np.zeros(len(crowd.markers) + 1, np.float32)
        np.maximum.at(widest, shares.ravel(), width.ravel())
        separated = set[int]()
        for k, (marker, home) in enumerate(zip(crowd.markers, crowd.homes, strict=True), start=1):
            y, x = divmod(int(np.argmax(np.where(disks == k, width, 0))), disks.shape[1])
            radius = min(float(widest[k]), marker.limit_nm)
            if radius >= config.min_radius_nm:
                row, col = ((p + o) * crowd.step for p, o in zip((y, x), crowd.origin, strict=True))
                found.append(((float(row), float(col), radius), marker.nucleus))
                separated.add(home)
        # Parts that are all too small for a cell are no parts.
        found += [(hills[k - 1], 0) for k in crowd.hills - separated if k > 0]
    return sorted(found, key=lambda f: (-f[0][2], f[0][:2]))


def measure_necks(
    background: Mask,
    hills: Sequence[Circle],
    markers: Sequence[Marker],
    *,
    pixel_nm: float,
    config: HillConfig,
) -> list[Neck]:
    """Compare the shares of nuclei in one slice with the way from one to the next.

    Parameters
    ----------
    background, hills, markers, pixel_nm, config
        As in `split_hills`.

    Returns
    -------
    list of Neck
        For each two shares that touch.
    """
    from scipy.ndimage import find_objects

    from helaseg.image import binary_dilation, distance_transform

    crowd = _find_crowd(background, hills, [m for m in markers if m.seen], pixel_nm, config)
    if len(crowd.markers) < 2:
        return []
    _, shares = _share_out(crowd)
    width = distance_transform(_apart(shares), spacing=crowd.pixel_nm)
    n = len(crowd.markers)
    radius = np.zeros(n + 1, np.float32)
    np.maximum.at(radius, shares.ravel(), width.ravel())
    boxes = find_objects(shares, max_label=n)
    necks = []
    for a, b in _neighbours(shares):
        # One pixel more than the two: there the resin begins, or another share.
        box = tuple(
            slice(max(min(s.start, t.start) - 1, 0), max(s.stop, t.stop) + 1)
            for s, t in zip(boxes[a - 1], boxes[b - 1], strict=True)
        )
        one, other = shares[box] == a, shares[box] == b
        depth = distance_transform(one | other, spacing=crowd.pixel_nm)
        border = one & binary_dilation(other, radius_px=1)
        first, second = sorted((crowd.markers[k - 1] for k in (a, b)), key=lambda m: m.nucleus)
        necks.append(
            Neck(
                first=first.nucleus,
                second=second.nucleus,
                first_nm=first.circles[0][2],
                second_nm=second.circles[0][2],
                width=float(depth[border].max() / min(radius[a], radius[b])),
            )
        )
    return necks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crowd:
    """The part of a slice that is taken apart, on one in this many of its pixels."""

    step: int
    pixel_nm: float  # with that step
    mask: Mask  # the box around it
    origin: tuple[int, int]  # where the box begins
    hills: frozenset[int]  # those with more than one nucleus, from 1
    alone: dict[int, int]  # hills with one nucleus, and which
    markers: tuple[Marker, ...]
    homes: tuple[int, ...]  # their hills, 0 for none


def _find_crowd(
    background: Mask,
    hills: Sequence[Circle],
    markers: Sequence[Marker],
    pixel_nm: float,
    config: HillConfig,
) -> _Crowd:
    """Hills with more than one nucleus, and pieces of cell with a nucleus and no hill."""
    homes = [_hill_around(m, hills, pixel_nm) for m in markers]
    if 0 not in homes and len(set(homes)) == len(homes):
        # Each nucleus lies in the circle of a hill of its own: nothing to flood.
        return _Crowd(
            step=1,
            pixel_nm=pixel_nm,
            mask=np.zeros((0, 0), np.bool_),
            origin=(0, 0),
            hills=frozenset(),
            alone={h: m.nucleus for m, h in zip(markers, homes, strict=True)},
            markers=(),
            homes=(),
        )
    step = max(1, round(CROWD_PIXEL_NM / pixel_nm))
    pixel_nm *= step
    background = background[::step, ::step]
    tops = [(y // step, x // step) for y, x, _ in hills]
    regions = cell_regions(background, tops, pixel_nm=pixel_nm, config=config)
    cells = fill_vacuoles(background, pixel_nm=pixel_nm, config=config)
    places = [(int(m.circles[0][0]) // step, int(m.circles[0][1]) // step) for m in markers]
    inside = [(m, int(regions[p])) for m, p in zip(markers, places, strict=True) if cells[p]]
    count = np.bincount(np.array([home for _, home in inside], int), minlength=len(hills) + 1)
    crowded = count >= 2
    # A piece without a hill is a cell only if its nucleus is seen here.
    crowded[0] = any(m.seen for m, home in inside if home == 0)
    mask = cells & crowded[regions]
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = (int(rows[0]), int(cols[0])) if len(rows) else (0, 0)
    # One pixel of resin around it, but none beyond the border of the image.
    top, left = max(top - 1, 0), max(left - 1, 0)
    return _Crowd(
        step=step,
        pixel_nm=pixel_nm,
        mask=mask[top : rows[-1] + 2, left : cols[-1] + 2] if len(rows) else mask[:0, :0],
        origin=(top, left),
        hills=frozenset(int(k) for k in np.flatnonzero(crowded)),
        alone={home: m.nucleus for m, home in inside if not crowded[home]},
        markers=tuple(_shifted(m, (top, left), step) for m, home in inside if crowded[home]),
        homes=tuple(home for _, home in inside if crowded[home]),
    )


def _hill_around(marker: Marker, hills: Sequence[Circle], pixel_nm: float) -> int:
    """The hill (from 1) in whose circle a nucleus lies deepest; 0 for none."""
    y, x, _ = marker.circles[0]
    depth = [np.hypot(y - a, x - b) * pixel_nm / radius for a, b, radius in hills]
    return int(np.argmin(depth)) + 1 if depth and min(depth) < 1 else 0


def _shifted(marker: Marker, origin: tuple[int, int], step: int) -> Marker:
    top, left = origin
    circles = tuple((y / step - top, x / step - left, radius) for y, x, radius in marker.circles)
    return replace(marker, circles=circles)


def _share_out(crowd: _Crowd) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Circles of the nuclei (from 1, 0 elsewhere), and the share of each."""
    from helaseg.image import distance_transform, watershed

    disks = np.zeros(crowd.mask.shape, np.int32)
    for k, marker in enumerate(crowd.markers, start=1):
        for circle in marker.circles:
            _paint(disks, k, circle, crowd.pixel_nm)
    away = np.minimum(distance_transform(disks == 0), 32000).astype(np.int16)
    return disks, watershed(away, disks, mask=crowd.mask | (disks > 0))


def _paint(disks: NDArray[np.int32], k: int, circle: Circle, pixel_nm: float) -> None:
    """Draw a circle where there is none yet."""
    y, x, radius = circle[0], circle[1], circle[2] / pixel_nm
    reach = int(radius) + 1
    box = (
        slice(max(round(y) - reach, 0), min(round(y) + reach + 1, disks.shape[0])),
        slice(max(round(x) - reach, 0), min(round(x) + reach + 1, disks.shape[1])),
    )
    rows, cols = np.ogrid[box]
    part = disks[box]
    part[(np.hypot(rows - y, cols - x) <= radius) & (part == 0)] = k


def _apart(shares: NDArray[np.int32]) -> Mask:
    """All shares but for the pixels where two of them touch."""
    apart = shares > 0
    for axis in (0, 1):
        labels, inside = np.moveaxis(shares, axis, 0), np.moveaxis(apart, axis, 0)
        same = labels[1:] == labels[:-1]
        inside[1:] &= same
        inside[:-1] &= same
    return apart


def _neighbours(shares: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Pairs of shares that touch along rows or columns."""
    pairs: set[tuple[int, int]] = set()
    for a, b in ((shares[1:], shares[:-1]), (shares[:, 1:], shares[:, :-1])):
        touch = (a != b) & (a > 0) & (b > 0)
        pairs.update(
            zip(np.minimum(a, b)[touch].tolist(), np.maximum(a, b)[touch].tolist(), strict=True)
        )
    return sorted(pairs)
