"""A mask on nearly cubic voxels, for what needs no finer ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import as_mask, check_positive, check_shape_match
from helaseg.cells.shape.surface_area import bounding_box
from helaseg.core.grid import Grid, IntZYX, Roi
from helaseg.image.blocks import join_pixels, joined_pixels

#: No more joined voxels than this, whatever the size of the object: what is made from them
#: needs some twenty bytes per voxel.
_MOST_VOXELS = 24_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseMask:
    """The box around an object on joined voxels.

    Parameters
    ----------
    share : ndarray of uint8, shape of `grid`
        How much of each voxel belongs to the object, 255 is all of it.
    grid : Grid
        Size of the joined voxels and place of the box.
    cut : tuple of three pairs of bool
        Whether the object goes on beyond the first and the last voxel along z,
        y and x.
    """

    share: NDArray[np.uint8]
    grid: Grid
    cut: tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]

    @property
    def solid(self) -> NDArray[np.bool_]:
        """Voxels of which at least half belongs to the object, a new array."""
        return self.share >= 128

    def padded(self, by_vx: IntZYX) -> NDArray[np.uint8]:
        """The shares with more voxels around, on `padded_grid`.

        Nothing is added where the object is free; where it is cut it goes on
        straight.
        """
        share = self.share
        for axis, (n, sides) in enumerate(zip(by_vx, self.cut, strict=True)):
            for widths, goes_on in zip(((n, 0), (0, n)), sides, strict=True):
                pad = [(0, 0)] * 3
                pad[axis] = widths
                share = np.pad(share, pad, mode="edge" if goes_on else "constant")
        return share

    def padded_grid(self, by_vx: IntZYX) -> Grid:
        """The grid with more voxels around."""
        return self.grid.crop(self.grid.roi.pad(by_vx))


def join_voxels(mask: NDArray[np.bool_], grid: Grid, *, voxel_nm: float) -> CoarseMask | None:
    """Join the voxels around an object to nearly cubic ones.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        The object.
    grid : Grid
        Voxel size and offset, of the shape of the mask.
    voxel_nm : float
        Side of the joined voxels, nearly: whole numbers of voxels are joined,
        and more of them if the object is very large.

    Returns
    -------
    CoarseMask or None
        None for an empty mask.

    Raises
    ------
    ParameterError
        If the mask has not the shape of the grid, or the size is not positive.
    """
    solid = as_mask("mask", mask, ndim=3)
    check_shape_match("mask", solid.shape, "grid", grid.shape)
    check_positive("voxel_nm", voxel_nm)
    box = bounding_box(solid)
    if box is None:
        return None
    cut = tuple((a == 0, b == n) for a, b, n in zip(box.start, box.stop, solid.shape, strict=True))
    while True:
        flat = joined_pixels(grid.pixel_nm, voxel_nm)
        factors = (joined_pixels(grid.slice_nm, voxel_nm), flat, flat)
        shape = [-(-n // f) for n, f in zip(box.shape, factors, strict=True)]
        if np.prod(shape) <= _MOST_VOXELS:
            break
        voxel_nm *= 1.1
    # Whole blocks: what lies beyond the object is empty, beyond the array it is repeated.
    whole = Roi(
        start=box.start,
        stop=[a + n * f for a, n, f in zip(box.start, shape, factors, strict=True)],  # type: ignore[arg-type]
    )
    share = np.empty(shape, np.uint8)
    inside = whole.clip(solid.shape)
    for k, plane in enumerate(share):
        first = whole.start[0] + k * factors[0]
        zs = [min(z, solid.shape[0] - 1) for z in range(first, first + factors[0])]
        joined = sum(join_pixels(solid[z][inside.slices[1:]].view(np.uint8), flat) for z in zs)
        np.rint(joined * (255 / factors[0]), out=plane, casting="unsafe")
    return CoarseMask(share=share, grid=grid.crop(whole).downsample(factors), cut=cut)  # type: ignore[arg-type]
