"""Phantoms in memory, and the table of their cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from helaseg._kernels.phantom import tally_slice
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import ParameterError
from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.render import RenderedSlice, empty_slice, render_slice
from helaseg.synthetic.scene import Scene, make_scene

#: The truths of a phantom.
TRUTHS = ("cell", "nucleus", "envelope", "mitochondria")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDescription:
    """One cell of a phantom, measured on the truth.

    Parameters
    ----------
    id : int
        Its label in the truth.
    centroid_vx, centroid_nm : tuple of float
        Centre of mass z, y, x of its voxels; NaN if none lies in the volume.
    radius_nm : float
        Half its mean in-plane diameter as designed.
    height_nm : float
        Half its height along z as designed.
    n_voxels, n_nucleus_voxels : int
        Voxels of the cell (with nucleus) and of the nucleus.
    first_slice, last_slice : int
        Slices that hold it; -1 if none does.
    complete : bool
        It has voxels and none of them lies on a face of the volume.
    has_nucleus : bool
        Part of its nucleus lies in the volume.
    """

    id: int
    centroid_vx: tuple[float, float, float]
    centroid_nm: tuple[float, float, float]
    radius_nm: float
    height_nm: float
    n_voxels: int
    n_nucleus_voxels: int
    first_slice: int
    last_slice: int
    complete: bool
    has_nucleus: bool


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
    config : PhantomConfig
        The settings.
    cells : tuple of CellDescription
        In order of their ids 1, 2, ...
    damaged : tuple of int
        Damaged slices.
    """

    image: Volume
    truth: Mapping[str, LabelVolume]
    config: PhantomConfig
    cells: tuple[CellDescription, ...]
    damaged: tuple[int, ...]


class CellTally:
    """Sums over the slices of a truth, from which the cells are described."""

    def __init__(self, scene: Scene) -> None:
        n = scene.config.n_cells
        self._scene = scene
        self._voxels = np.zeros(n + 1)
        self._nucleus = np.zeros(n + 1)
        self._moments = np.zeros((3, n + 1))
        self._first = np.full(n + 1, -1)
        self._last = np.full(n + 1, -1)
        self._cut = np.zeros(n + 1, bool)

    def add(self, z: int, rendered: RenderedSlice) -> None:
        """Count one slice; slices come in rising order."""
        n = len(self._voxels)
        cell = rendered.cell
        counts = np.zeros(n)
        tally_slice(
            cell, rendered.nucleus, counts, self._nucleus, self._moments[1], self._moments[2]
        )
        self._voxels += counts
        self._moments[0] += z * counts
        here = counts > 0
        self._first[here & (self._first < 0)] = z
        self._last[here] = z
        if z in (0, self._scene.config.shape[0] - 1):
            self._cut |= here
        for edge in (cell[0], cell[-1], cell[:, 0], cell[:, -1]):
            self._cut[np.unique(edge)] = True

    def describe(self) -> tuple[CellDescription, ...]:
        """The table of cells."""
        scene = self._scene
        grid = scene.config.grid
        found = []
        for ident in range(1, len(self._voxels)):
            body = scene.placement.cells[ident - 1]
            voxels = int(self._voxels[ident])
            nothing = (math.nan,) * 3
            centre = self._moments[:, ident] / voxels if voxels else np.asarray(nothing)
            found.append(
                CellDescription(
                    id=ident,
                    centroid_vx=tuple(float(v) for v in centre),  # type: ignore[arg-type]
                    centroid_nm=tuple(float(v) for v in grid.to_nm(centre)),  # type: ignore[arg-type]
                    radius_nm=float(math.sqrt(body[4] * body[5])),
                    height_nm=float(body[3]),
                    n_voxels=voxels,
                    n_nucleus_voxels=int(self._nucleus[ident]),
                    first_slice=int(self._first[ident]),
                    last_slice=int(self._last[ident]),
                    complete=bool(voxels and not self._cut[ident]),
                    has_nucleus=bool(self._nucleus[ident]),
                )
            )
        return tuple(found)


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
    config = changed_config(config, changes)
    scene = make_scene(config)
    plane = empty_slice(scene)
    arrays = {
        name: np.empty(config.shape, getattr(plane, name).dtype) for name in ("image", *TRUTHS)
    }
    tally = CellTally(scene)
    for z in range(config.shape[0]):
        target = RenderedSlice(**{name: array[z] for name, array in arrays.items()})
        tally.add(z, render_slice(scene, z, out=target))
    grid = config.grid
    return Phantom(
        image=Volume(data=arrays["image"], grid=grid, name="phantom"),
        truth={name: LabelVolume(data=arrays[name], grid=grid) for name in TRUTHS},
        config=config,
        cells=tally.describe(),
        damaged=scene.damaged,
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
