"""Phantoms in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import ParameterError
from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.drawing import TRUTHS, CellDescription, CellTally, Drawing, draw_slices
from helaseg.synthetic.paint import RenderedSlice
from helaseg.synthetic.render import scene_drawing
from helaseg.synthetic.scene import make_scene
from helaseg.synthetic.textures import TextureConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """A synthetic volume with exact truth.

    Parameters
    ----------
    image : Volume
        Grey values, uint8.
    truth : mapping of str to LabelVolume
        ``cell`` (whole cell with nucleus), ``nucleus`` (up to the midline of the
        envelope) and ``envelope`` share their ids (uint16); ``mitochondria``
        have ids of their own.
    config : PhantomConfig or TextureConfig
        The settings.
    cells : tuple of CellDescription
        In order of their ids 1, 2, ...
    damaged : tuple of int
        Damaged and blank slices.
    """

    image: Volume
    truth: Mapping[str, LabelVolume]
    config: PhantomConfig | TextureConfig
    cells: tuple[CellDescription, ...]
    damaged: tuple[int, ...]


def make_phantom(config: PhantomConfig | None = None, **changes: Any) -> Phantom:
    """Make a phantom in memory.

    Parameters
    ----------
    config : PhantomConfig, optional
        Settings; by default 64 x 1536 x 1536 voxels of 50 x 10 x 10 nm with 8 cells.
    **changes
        Settings that differ from `config`, by name.

    Returns
    -------
    Phantom
        Image (uint8) and truth (cell, nucleus, envelope: uint16; mitochondria:
        uint16 or uint32), 8 to 11 bytes per voxel in all.

    Raises
    ------
    ParameterError
        If a setting is unknown or out of range.

    See Also
    --------
    write_phantom : the same voxels, written to disk slice by slice.
    """
    return draw_phantom(scene_drawing(make_scene(changed_config(config, changes))))


def draw_phantom(drawing: Drawing) -> Phantom:
    """Draw all slices into memory."""
    grid = drawing.grid
    plane = drawing.empty_slice()
    arrays = {name: np.empty(grid.shape, getattr(plane, name).dtype) for name in ("image", *TRUTHS)}
    tally = CellTally(drawing)

    def arrays_for(z: int) -> RenderedSlice:
        return RenderedSlice(**{name: array[z] for name, array in arrays.items()})

    for z, drawn in enumerate(draw_slices(drawing, arrays_for)):
        tally.add(z, drawn)
    return Phantom(
        image=Volume(data=arrays["image"], grid=grid, name="phantom"),
        truth={name: LabelVolume(data=arrays[name], grid=grid) for name in TRUTHS},
        config=drawing.config,
        cells=tally.describe(),
        damaged=drawing.damaged,
    )


def changed_config(config: PhantomConfig | None, changes: Mapping[str, Any]) -> PhantomConfig:
    """The settings with some of them changed; an unknown name is refused."""
    known = PhantomConfig.__dataclass_fields__
    for name in changes:
        if name not in known:
            msg = f"a phantom has no setting {name!r}; the settings are {', '.join(known)}"
            raise ParameterError(msg)
    if config is None:
        return PhantomConfig(**changes)
    if not isinstance(config, PhantomConfig):
        msg = f"'config' must be a PhantomConfig, got {type(config).__name__}"
        raise ParameterError(msg)
    return replace(config, **changes)
