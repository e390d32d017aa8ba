"""Nuclei of the probed slices, put together through the slices.

What looks like a nucleus in one slice may be a patch of cytoplasm, a fold may
part one nucleus in two, and near its poles it is hardly seen. Over several
slices all that is settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.detection.nuclei_slice import Circle

#: Two places of different slices are one nucleus if at least this part of the
#: smaller one lies in the other.
MIN_OVERLAP = 0.5
#: Probes from one place to the next of a nucleus; a fold may part it in one slice.
MAX_STEP = 2
#: Smallest narrowing between two nuclei that lie one above the other, as a
#: fraction of the radius of the smaller one.
MIN_PERSISTENCE = 0.5
#: Smallest nucleus in parts of the typical one of the volume, both as the sum of
#: the squared radii of their slices. Patches of cytoplasm reach 0.05.
MIN_SIZE = 0.1
#: Smallest radius of a nucleus that is seen in one slice only, in parts of the
#: largest one of the typical nucleus.
MIN_ONCE = 0.5
#: Widest neck between two cells, see `join_lobes`; 2 is what two parts of one round cell
#: have. One slice alone may show two cells at up to 1.76.
MAX_NECK, MAX_NECK_ONCE = 1.5, 1.85
#: Parts of a nucleus that lie one above the other, see `join_stacked`.
MAX_HIDDEN, HIGH, MAX_HEIGHT = 3, 0.75, 1.25
#: Smallest radius, in parts of the largest one of the same nucleus, in slices that
#: decide about necks: near its poles a nucleus is easily mistaken.
WELL_SEEN = 0.6
#: A cell is at most this many times as wide as the largest circle in its nucleus,
#: which folds make small; counts where no resin ends the cell.
CELL_RADII = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNuclei:
    """Candidate nuclei of one slice.

    Parameters
    ----------
    z : int
        Slice of the volume.
    labels : ndarray of integers, shape (Y, X)
        One in this many pixels of what `find_nuclei` gives, the same in all slices.
    circles : tuple of (y, x, radius_nm)
        Largest circles in them, in pixels of the background.
    """

    z: int
    labels: NDArray[np.integer]
    circles: tuple[Circle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nucleus:
    """A nucleus through the slices.

    Parameters
    ----------
    circles : mapping of int to tuple of (y, x, radius_nm)
        By slice, its parts there, largest first.
    radius_nm : float
        Largest radius of all.
    """

    circles: Mapping[int, tuple[Circle, ...]]
    radius_nm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The nucleus of a cell in one slice.

    Parameters
    ----------
    nucleus : int
        Its number in the volume, from 1.
    circles : tuple of (y, x, radius_nm)
        Circles inside its parts, largest first, in pixels of the background.
    limit_nm : float
        Largest radius that its cell can have.
    seen : bool
        False where the nucleus lies in a slice close by and not in this one.
    """

    nucleus: int
    circles: tuple[Circle, ...]
    limit_nm: float
    seen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Neck:
    """Width of the contact of two neighbouring shares in one slice.

    Parameters
    ----------
    first, second : int
        Numbers of the two nuclei, from 1.
    first_nm, second_nm : float
        Radii of the two nuclei in this slice.
    width : float
        Largest distance from their common border to the outside of both, over
        the radius of the largest circle in the smaller share.
    """

    first: int
    second: int
    first_nm: float
    second_nm: float
    width: float


def true_nuclei(seen: Sequence[SeenNuclei]) -> list[Nucleus]:
    """Places that look like a nucleus in slice after slice.

    Parameters
    ----------
    seen : sequence of SeenNuclei
        What looks like a nucleus in the probed slices, in the order of z.

    Returns
    -------
    list of Nucleus
        Without those far smaller than the typical nucleus of the volume.

    Notes
    -----
    1. Places of neighbouring slices that overlap are linked one to one, largest
       overlap first; so are those with one slice between them, in which a
       fold may part the nucleus.
    2. From the widest link down, linked places become one nucleus, unless the
       link is much narrower than both of what it joins: two nuclei may lie one
       above the other.
    3. Small ones are dropped.
    """
    nodes = [(i, k) for i, s in enumerate(seen) for k in range(len(s.circles))]
    if not nodes:
        return []
    number = {node: n for n, node in enumerate(nodes)}
    radius = np.array([seen[i].circles[k][2] for i, k in nodes])
    links: list[tuple[int, int]] = []
    for step in range(1, MAX_STEP + 1):
        above, below = set[int](), set[int]()
        for i in range(len(seen) - step):
            pairs = _overlaps(seen[i].labels, seen[i + step].labels)
            for first, second in pairs:
                low, high = number[i, first], number[i + step, second]
                if low not in above and high not in below:
                    links.append((low, high))
                    above.add(low)
                    below.add(high)
    group = _join(radius, links)
    size = np.bincount(group, radius**2, minlength=len(nodes))
    # Half of all that was found lies in nuclei of at least this size.
    order = np.argsort(-size, kind="stable")
    middle = order[np.searchsorted(np.cumsum(size[order]), size.sum() / 2)]
    typical, usual = size[middle], radius[group == middle].max()
    found = []
    for g in np.flatnonzero(size >= MIN_SIZE * typical):
        circles: dict[int, tuple[Circle, ...]] = {}
        for n in np.flatnonzero(group == g):
            i, k = nodes[n]
            circles[seen[i].z] = (*circles.get(seen[i].z, ()), seen[i].circles[k])
        widest = float(radius[group == g].max())
        if len(circles) > 1 or widest >= MIN_ONCE * usual:
            found.append(Nucleus(circles=circles, radius_nm=widest))
    return found


def _overlaps(a: NDArray[np.integer], b: NDArray[np.integer]) -> list[tuple[int, int]]:
    """Pairs of regions (from 0) of which one lies mostly in the other, largest overlap first."""
    both = (a > 0) & (b > 0)
    if not both.any():
        return []
    n = int(b.max()) + 1
    pairs, count = np.unique(a[both].astype(np.int64) * n + b[both], return_counts=True)
    area_a, area_b = np.bincount(a.ravel()), np.bincount(b.ravel())
    first, second = np.divmod(pairs, n)
    order = np.argsort(-count, kind="stable")
    enough = order[(count >= MIN_OVERLAP * np.minimum(area_a[first], area_b[second]))[order]]
    return [(int(i) - 1, int(j) - 1) for i, j in zip(first[enough], second[enough], strict=True)]


def _join(radius: NDArray[np.float64], links: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """For each place the place that stands for its nucleus."""
    parent = np.arange(len(radius))
    peak = radius.copy()

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for a, b in sorted(links, key=lambda ab: (-min(radius[ab[0]], radius[ab[1]]), ab)):
        width = min(radius[a], radius[b])
        i, j = sorted((root(a), root(b)))
        if i != j and width >= (1 - MIN_PERSISTENCE) * min(peak[i], peak[j]):
            parent[j] = i
            peak[i] = max(peak[i], peak[j])
    return np.array([root(i) for i in range(len(radius))])


def markers_in_slice(
    nuclei: Sequence[Nucleus], z: int, *, pixel_nm: float, slice_nm: float
) -> list[Marker]:
    """Place the nuclei of a volume in one slice, also those that end close to it.

    Parameters
    ----------
    nuclei : sequence of Nucleus
        From `true_nuclei`.
    z : int
        The slice.
    pixel_nm, slice_nm : float
        Pixel size of the background, distance between slices of the volume.

    Returns
    -------
    list of Marker
        Of each nucleus in this slice, between two slices with it, or as far
        above or below it as it is wide: cells are higher than their nuclei. Not
        where another nucleus is seen in its place.
    """
    markers = []
    for number, nucleus in enumerate(nuclei, start=1):
        zs = sorted(nucleus.circles)
        nearest = min(zs, key=lambda other: (abs(other - z), other))
        if abs(nearest - z) * slice_nm > nucleus.radius_nm and not zs[0] < z < zs[-1]:
            continue
        markers.append(
            Marker(
                nucleus=number,
                circles=nucleus.circles[nearest],
                limit_nm=CELL_RADII * nucleus.radius_nm,
                seen=nearest == z,
            )
        )
    there = [m for m in markers if m.seen]
    return there + [m for m in markers if not m.seen and not _covered(m, there, pixel_nm)]


def _covered(marker: Marker, others: Sequence[Marker], pixel_nm: float) -> bool:
    y, x, _ = marker.circles[0]
    return any(
        np.hypot(y - a, x - b) * pixel_nm < radius for m in others for a, b, radius in m.circles
    )


def join_lobes(nuclei: Sequence[Nucleus], necks: Sequence[Neck]) -> list[Nucleus]:
    """The nuclei, those of one cell taken together.

    Parameters
    ----------
    nuclei : sequence of Nucleus
        From `true_nuclei`.
    necks : sequence of Neck
        From `measure_necks`, of all slices.

    Returns
    -------
    list of Nucleus
        As many or fewer.

    Notes
    -----
    Where a round cell is shared between two lobes of a nucleus, two nuclei, or a
    nucleus and a patch of cytoplasm, the shares meet at twice the radius of
    the smaller one, whatever their sizes. Two square cells meet at once the
    radius, rounder ones at less. Pairs that are wider than `MAX_NECK` in all
    slices which show both nuclei well are one cell, if there are two such slices
    or one of the nuclei is in one slice only; else than `MAX_NECK_ONCE`.
    """
    widths: dict[tuple[int, int], list[float]] = {}
    for neck in necks:
        a, b = nuclei[neck.first - 1].radius_nm, nuclei[neck.second - 1].radius_nm
        if neck.first_nm >= WELL_SEEN * a and neck.second_nm >= WELL_SEEN * b:
            widths.setdefault((neck.first, neck.second), []).append(neck.width)
    pairs = set()
    for (a, b), seen in sorted(widths.items()):
        once = min(len(nuclei[k - 1].circles) for k in (a, b)) == 1
        if min(seen) > (MAX_NECK if once or len(seen) > 1 else MAX_NECK_ONCE):
            pairs.add((a - 1, b - 1))
    return _together(nuclei, pairs)


def join_stacked(
    nuclei: Sequence[Nucleus], probed: Sequence[int], *, pixel_nm: float
) -> list[Nucleus]:
    """The nuclei, parts that lie one above the other taken together.

    Folds make the circles in a nucleus change from slice to slice, or hide it in some,
    so that it comes in parts.

    Parameters
    ----------
    nuclei : sequence of Nucleus
        From `join_lobes`.
    probed : sequence of int
        The slices that were probed.
    pixel_nm : float
        Pixel size of the background.

    Returns
    -------
    list of Nucleus
        As many or fewer.

    Notes
    -----
    Two parts are one nucleus if no slice shows both, at most `MAX_HIDDEN` probes lie
    between them, a circle of one covers the middle of one of the other on either side
    of these, and together they are hardly higher than a large nucleus of the volume
    (`HIGH` of them are lower). Of nuclei in the first or last slice the height is not
    known.
    """
    place = {z: k for k, z in enumerate(sorted(probed))}
    ends = [(place[min(n.circles)], place[max(n.circles)]) for n in nuclei]
    whole = [b - a + 1 for a, b in ends if a > 0 and b < len(place) - 1]
    if not whole:
        return list(nuclei)
    limit = MAX_HEIGHT * float(np.quantile(whole, HIGH))
    pairs = []
    for i, (_, end) in enumerate(ends):
        for j, (start, _) in enumerate(ends):
            hidden, height = start - end - 1, ends[j][1] - ends[i][0] + 1
            fits = 0 <= hidden <= MAX_HIDDEN and height <= limit
            if fits and _overlap(nuclei[i], nuclei[j], pixel_nm):
                pairs.append((i, j))
    return _together(nuclei, pairs)


def _overlap(below: Nucleus, above: Nucleus, pixel_nm: float) -> bool:
    """Return whether circles of the last slice of one and of the first of the other overlap."""
    return any(
        np.hypot(a - c, b - d) * pixel_nm < max(r, q)
        for a, b, r in below.circles[max(below.circles)]
        for c, d, q in above.circles[min(above.circles)]
    )


def _together(nuclei: Sequence[Nucleus], pairs: Iterable[tuple[int, int]]) -> list[Nucleus]:
    """The nuclei with these pairs (from 0) taken as one."""
    parent = list(range(len(nuclei)))
    for a, b in sorted(pairs):
        low, high = sorted((parent[a], parent[b]))
        parent = [low if p == high else p for p in parent]
    joined = []
    for k in sorted(set(parent)):
        group = [n for n, p in zip(nuclei, parent, strict=True) if p == k]
        circles: dict[int, tuple[Circle, ...]] = {}
        for nucleus in group:
            for z, found in nucleus.circles.items():
                circles[z] = tuple(sorted((*circles.get(z, ()), *found), key=lambda c: -c[2]))
        radius = float(np.sqrt(sum(n.radius_nm**2 for n in group)))
        joined.append(Nucleus(circles=circles, radius_nm=radius))
    return joined
