"""Area of the surface of a mask by counting where lines in many directions cross it."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import as_mask, check_positive, check_shape_match
from helaseg.core.grid import ZYX, Grid, Roi

#: Distance of the two ends of a pair. Longer pairs overlook what is smaller, shorter ones
#: have too few directions to choose from on slices 100 nm apart (docs/algorithms.md).
RULER_NM = 150.0
#: A pair may be this much shorter or longer, so that slices far apart have slanted pairs too.
_TOLERANCE = 0.6
_N_DIRECTIONS = 100
#: Steps along an axis are multiples of this part of the ruler where voxels are smaller.
_FINEST = 15
#: Normals on which the weights of the directions are fitted; more change the area by < 0.01 %.
_N_NORMALS = 2000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pairs:
    """Steps between the two ends of a pair, (n, 3) voxels, and the area one crossing stands for."""

    steps_vx: NDArray[np.int64]
    areas_nm2: NDArray[np.float64]


def surface_area_um2(mask: NDArray[np.bool_], grid: Grid, *, ruler_nm: float = RULER_NM) -> float:
    """Area of the surface of a mask, in square micrometres.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        The object. Where it touches the border of the array it is cut, and the
        cut face does not count.
    grid : Grid
        Voxel size, of the shape of the mask.
    ruler_nm : float
        Distance at which crossings are counted; no finer than one and a half
        times the longest side of a voxel. Details smaller than this do not
        count in full, so areas compare between voxel sizes at equal rulers.

    Returns
    -------
    float
        Area; 0 for an empty mask.

    Raises
    ------
    ParameterError
        If the mask has not the shape of the grid, or the ruler is not positive.

    Notes
    -----
    1. Choose about 100 steps between voxels, of about the length of the ruler
       and evenly spread over the directions, and fit weights so that a plane of
       any orientation has the same area (Crofton's formula as a quadrature).
    2. For each step count the pairs of voxels with one end in the object: this
       times the volume of a voxel, over the length of the step, is the area
       projected along it.
    3. Add the projected areas with their weights. Beyond a border that cuts the
       object it is taken to go on straight, and pairs across count half.

    Memory: one bit per voxel of the box around the object.

    References
    ----------
    Legland, D., Kiêu, K. & Devaux, M.-F. Computation of Minkowski measures on 2D
    and 3D binary images. Image Anal. Stereol. 26, 83-92 (2007).
    doi:10.5566/ias.v26.p83-92
    """
    solid = as_mask("mask", mask, ndim=3)
    check_shape_match("mask", solid.shape, "grid", grid.shape)
    check_positive("ruler_nm", ruler_nm)
    box = bounding_box(solid)
    if box is None:
        return 0.0
    pairs = _choose_pairs(grid.voxel_size_nm, max(ruler_nm, 1.5 * max(grid.voxel_size_nm)))
    reach = np.abs(pairs.steps_vx).max(axis=0)
    window = _window(box, reach, solid.shape)
    words = _pack(solid, window, reach)
    width = window.shape[2]
    crossings = _count_crossings(words, reach, width, pairs.steps_vx).astype(float)
    if touches_border(box, solid.shape):
        # A pair across the border is met from one of its ends only, and counts half.
        crossings += _count_crossings(words, reach, width, -pairs.steps_vx)
        crossings /= 2
    return float(crossings @ pairs.areas_nm2) / 1e6


def _window(box: Roi, reach: NDArray[np.int64], shape: tuple[int, ...]) -> Roi:
    """Find where pairs start: up to a reach away, but not beyond a border that cuts the object."""
    start = [a - r if a else 0 for a, r in zip(box.start, reach.tolist(), strict=True)]
    stop = [b + r if b < n else n for b, n, r in zip(box.stop, shape, reach.tolist(), strict=True)]
    return Roi(start=tuple(start), stop=tuple(stop))  # type: ignore[arg-type]


def touches_border(box: Roi, shape: tuple[int, ...]) -> bool:
    """Return whether a box reaches a side of the array: what it holds may be cut."""
    return min(box.start) == 0 or any(b == n for b, n in zip(box.stop, shape, strict=True))


def bounding_box(mask: NDArray[np.bool_]) -> Roi | None:
    """The smallest box that holds every True voxel; None for an empty mask."""
    # Along z first: the other axes then need one image only.
    flat = np.zeros(mask.shape[1:], bool)
    zs = [z for z, plane in enumerate(mask) if plane.any()]
    for z in zs:
        np.logical_or(flat, mask[z], out=flat)
    if not zs:
        return None
    ys, xs = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    return Roi(
        start=(zs[0], int(ys[0]), int(xs[0])), stop=(zs[-1] + 1, int(ys[-1]) + 1, int(xs[-1]) + 1)
    )


def even_directions(n: int) -> NDArray[np.float64]:
    """`n` unit vectors z, y, x spread evenly over the half of the sphere with z > 0."""
    k = np.arange(n)
    z = (k + 0.5) / n
    # the golden angle between neighbours
    turn = k * np.pi * (3 - 5**0.5)
    flat = np.sqrt(1 - z * z)
    return np.stack([z, flat * np.sin(turn), flat * np.cos(turn)], axis=1)


@functools.lru_cache(maxsize=32)
def _choose_pairs(voxel_size_nm: ZYX, ruler_nm: float) -> _Pairs:
    from scipy.optimize import nnls

    size = np.asarray(voxel_size_nm)
    longest = (1 + _TOLERANCE) * ruler_nm
    # Fine voxels give more steps to choose from than are needed.
    strides = [max(1, int(ruler_nm / _FINEST / s)) for s in size]
    tops = [int(longest / s) // k * k for s, k in zip(size, strides, strict=True)]
    # One of each two opposite steps: `product` yields them in mirrored order.
    every = itertools.product(*(range(-n, n + 1, k) for n, k in zip(tops, strides, strict=True)))
    steps = np.array([*every], np.int64)
    steps = steps[len(steps) // 2 + 1 :]
    lengths = np.linalg.norm(steps * size, axis=1)
    usable = (lengths >= (1 - _TOLERANCE) * ruler_nm) & (lengths <= longest)
    steps, lengths = steps[usable], lengths[usable]
    units = steps * size / lengths[:, None]
    wanted = even_directions(_N_DIRECTIONS)
    # An angle of 0.1 weighs as much as a length that is off by 60 %.
    off = 20 * (1 - np.abs(wanted @ units.T)) + 0.2 * np.log(lengths / ruler_nm) ** 2
    chosen = np.unique(off.argmin(axis=1))
    steps, lengths, units = steps[chosen], lengths[chosen], units[chosen]
    seen = np.abs(even_directions(_N_NORMALS) @ units.T)
    weights, _ = nnls(seen, np.ones(len(seen)))
    used = weights > 0
    volume = float(np.prod(size))
    return _Pairs(steps_vx=steps[used], areas_nm2=weights[used] * volume / lengths[used])


def _pack(mask: NDArray[np.bool_], window: Roi, reach: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The window and `reach` voxels around it, a bit per voxel along x.

    Beyond the array its border voxels are repeated: nothing where the object is free.
    """
    around = window.pad(reach.tolist())
    within = around.clip(mask.shape)
    pads = [
        (a - first, last - b)
        for first, last, a, b in zip(
            around.start, around.stop, within.start, within.stop, strict=True
        )
    ]
    depth, height, width = around.shape
    words = np.zeros((depth, height, -(-width // 64)), np.uint64)
    zs = np.clip(np.arange(around.start[0], around.stop[0]), 0, mask.shape[0] - 1)
    for plane, z in zip(words.view(np.uint8), zs, strict=True):
        full = np.pad(mask[z][within.slices[1:]], pads[1:], mode="edge")
        bits = np.packbits(full, axis=1, bitorder="little")
        plane[:, : bits.shape[1]] = bits
    return words


def _count_crossings(
    words: NDArray[np.uint64], reach: NDArray[np.int64], width: int, steps_vx: NDArray[np.int64]
) -> NDArray[np.int64]:
    """For each step, how many pairs that start in the window have one end in the object."""
    rz, ry, rx = reach.tolist()
    counted = np.zeros(words.shape[2] * 64, bool)
    counted[rx : rx + width] = True
    starts = np.packbits(counted, bitorder="little").view(np.uint64)
    crossings = np.zeros(len(steps_vx), np.int64)
    depth, height = words.shape[0] - 2 * rz, words.shape[1] - 2 * ry
    # Steps of equal dx share the plane that is moved along x.
    by_x: dict[int, list[tuple[int, int, int]]] = {}
    for k, (dz, dy, dx) in enumerate(steps_vx.tolist()):
        by_x.setdefault(dx, []).append((k, dz, dy))
    apart = np.empty((height, words.shape[2]), np.uint64)
    for z, plane in enumerate(words):
        for dx, group in by_x.items():
            moved = _moved(plane, dx)
            for k, dz, dy in group:
                if 0 <= z - dz - rz < depth:
                    here = words[z - dz, ry : ry + height]
                    np.bitwise_xor(here, moved[ry + dy : ry + dy + height], out=apart)
                    np.bitwise_and(apart, starts, out=apart)
                    crossings[k] += int(np.bitwise_count(apart).sum(dtype=np.int64))
    return crossings


def _moved(plane: NDArray[np.uint64], by: int) -> NDArray[np.uint64]:
    """The plane with voxel x + `by` at the place of x; zeros come in."""
    if by == 0:
        return plane
    whole, rest = divmod(by, 64)
    n, before = plane.shape[1], max(-whole, 0)
    wide = np.pad(plane, ((0, 0), (before, max(whole + 1, 0))))
    low, high = (wide[:, k : k + n] for k in (whole + before, whole + before + 1))
    return low if rest == 0 else (low >> np.uint64(rest)) | (high << np.uint64(64 - rest))
