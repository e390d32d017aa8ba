"""The physical scene of a phantom: everything that does not depend on the slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.geometry import NoiseField, keep_whole, make_fields
from helaseg.synthetic.organelles import Organelles, make_organelles
from helaseg.synthetic.placement import Placement, place_cells
from helaseg.synthetic.protrusions import make_folds, make_protrusions


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is needed to draw any slice.

    Parameters
    ----------
    config : PhantomConfig
        The settings.
    placement : Placement
        Cells and nuclei as ellipsoids.
    protrusions, folds : tuple of ndarray
        Capsules of the blebs and filopodia, and of the invaginations, per cell.
    organelles : Organelles
        Capsules inside the cells and in the resin.
    fields : dict of str to NoiseField
        Noise by name.
    jitter_nm : ndarray, shape (Z, 2)
        Shift of each slice along y and x.
    damaged : tuple of int
        Damaged slices, sorted.
    """

    config: PhantomConfig
    placement: Placement
    protrusions: tuple[NDArray[np.float64], ...]
    folds: tuple[NDArray[np.float64], ...]
    organelles: Organelles
    fields: dict[str, NoiseField]
    jitter_nm: NDArray[np.float64]
    damaged: tuple[int, ...]


def make_scene(config: PhantomConfig) -> Scene:
    """Build the scene: cells first, then what hangs on each of them.

    Notes
    -----
    The seed sequence is split by purpose and by cell, so that, say, another
    number of damaged slices leaves the cells as they are.
    """
    n = config.n_cells
    rng_place, rng_slices = (np.random.default_rng([config.seed, k]) for k in (0, 1))
    placement = place_cells(config, rng_place)
    radius, height = placement.radius_nm, placement.height_nm
    fields = make_fields(radius, height, config.extent_nm, config.seed, config.grid.pixel_nm)
    rng_whole = np.random.default_rng([config.seed, 7])
    placement = keep_whole(placement, fields, config.extent_nm, rng_whole)
    protrusions = []
    folds = []
    for i in range(n):
        rng = np.random.default_rng([config.seed, 3, i])
        protrusions.append(make_protrusions(i, placement, fields, config, rng))
        folds.append(make_folds(placement.nuclei[i], np.random.default_rng([config.seed, 4, i])))
    rngs = [np.random.default_rng([config.seed, 5, i]) for i in range(n + 1)]
    n_z = config.shape[0]
    jitter = rng_slices.uniform(-1, 1, (n_z, 2)) * config.jitter_px
    # Slices in the middle of the volume first: there they hurt.
    order = rng_slices.permutation(n_z)
    middle = (order >= n_z // 8) & (order < n_z - n_z // 8)
    damaged = np.concatenate([order[middle], order[~middle]])[: config.damaged_slices]
    return Scene(
        config=config,
        placement=placement,
        protrusions=tuple(protrusions),
        folds=tuple(folds),
        organelles=make_organelles(placement, fields, config, rngs),
        fields=fields,
        jitter_nm=jitter * np.asarray(config.voxel_size_nm[1:]),
        damaged=tuple(sorted(int(z) for z in damaged)),
    )
