"""Bring images of other tools to the place of an ROI: most tools drop where an image lies."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from helaseg.core.grid import Grid, Roi
from helaseg.core.volume import LabelVolume, Volume

AnyVolume = TypeVar("AnyVolume", Volume, LabelVolume)


def placed_on(volume: AnyVolume, grid: Grid, *, n_slices: int | None = None) -> AnyVolume:
    """Cut the ROI out of a larger image, or put an image of its size at its place.

    Parameters
    ----------
    volume : Volume or LabelVolume
        Image of the ROI, of the volume that it was cut from, or of some of its slices.
    grid : Grid
        Of the ROI.
    n_slices : int, optional
        Number of annotated slices, where the image holds those alone.

    Returns
    -------
    Volume or LabelVolume
        The same image if it lies elsewhere: whoever combines the two then says so.
    """
    own = volume.grid
    start = [round(float(v)) for v in own.to_vx(grid.offset_nm)]
    if own.shape[0] == n_slices and own.shape[0] != grid.shape[0]:
        # Annotated slices alone: they have no place along z, but may be whole planes.
        n_z, (y, x) = own.shape[0], start[1:]
        plane = Roi(start=(0, y, x), stop=(n_z, y + grid.shape[1], x + grid.shape[2]))
        if own.shape[1:] != grid.shape[1:] and plane.clip(own.shape) == plane:
            return volume.crop(plane)
    stop = [a + n for a, n in zip(start, grid.shape, strict=True)]
    box = Roi(start=tuple(start), stop=tuple(stop))  # type: ignore[arg-type]
    larger = own.shape != grid.shape and box.clip(own.shape) == box
    if larger and own.crop(box).agrees_with(grid):
        return volume.crop(box)
    if any(own.offset_nm) or own.shape[1:] != grid.shape[1:]:
        return volume
    return replace(volume, grid=replace(own, offset_nm=grid.offset_nm))
