"""Size and shape of a segmented cell and its nucleus, in physical units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import check_positive, check_shape_match
from helaseg.cells.shape.coarse_mask import join_voxels
from helaseg.cells.shape.cut import cut_flags
from helaseg.cells.shape.ellipsoid import Ellipsoid, fit_ellipsoid, jaccard_with
from helaseg.cells.shape.invaginations import Invagination, InvaginationConfig, find_invaginations
from helaseg.cells.shape.sphere_map import SphereMap, map_to_sphere
from helaseg.cells.shape.surface_area import (
    RULER_NM,
    bounding_box,
    surface_area_um2,
)
from helaseg.cells.shape.topology import Topology, smooth_topology
from helaseg.core.grid import ZYX, Grid
from helaseg.core.objects import CellFlag

_NAN = float("nan")
_TOPOLOGY = {
    "nucleus_euler_number": "euler_number",
    "n_nucleus_components": "n_components",
    "n_nucleus_handles": "n_handles",
    "n_nucleus_cavities": "n_cavities",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeConfig:
    """Settings for the measures of a cell.

    Parameters
    ----------
    ruler_nm : float
        Scale of the surface areas, see `surface_area_um2`.
    voxel_nm : float
        Voxels are joined to about this size for the sphere map, the
        invaginations and the topology: the distance of slices, which is as fine
        as the surface is known along z.
    smoothing_nm : float
        Standard deviation of the blur before pieces, handles and cavities are
        counted; what is narrower than about three of it does not count. Without
        it a nucleus drawn slice by slice has a hundred handles of one voxel.
    """

    ruler_nm: float = RULER_NM
    voxel_nm: float = 50.0
    smoothing_nm: float = 75.0

    def __post_init__(self) -> None:
        check_positive("ruler_nm", self.ruler_nm)
        check_positive("voxel_nm", self.voxel_nm)
        check_positive("smoothing_nm", self.smoothing_nm, zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellShape:
    """Size and shape of a cell and its nucleus.

    Parameters
    ----------
    measurements : mapping
        Numbers by name, with the unit in each name.
    ellipsoid : Ellipsoid or None
        Fits the nucleus; None without a nucleus.
    sphere_map : SphereMap or None
        Distance of the nuclear envelope to the ellipsoid.
    invaginations : tuple of Invagination
        Of the nucleus, by falling volume.
    """

    measurements: Mapping[str, float]
    ellipsoid: Ellipsoid | None
    sphere_map: SphereMap | None
    invaginations: tuple[Invagination, ...]


def describe_cell(
    nucleus: NDArray[np.bool_],
    cell: NDArray[np.bool_] | None,
    grid: Grid,
    *,
    config: ShapeConfig | None = None,
    invaginations: InvaginationConfig | None = None,
) -> CellShape:
    """Size and shape of one cell and its nucleus.

    Parameters
    ----------
    nucleus : ndarray of bool, shape of `grid`
        The nucleus up to the midline of its envelope.
    cell : ndarray of bool, shape of `grid`, or None
        The whole cell including the nucleus; None when it was not segmented.
    grid : Grid
        Voxel size and offset.
    config : ShapeConfig, optional
        Settings.
    invaginations : InvaginationConfig, optional
        What counts as an invagination.

    Returns
    -------
    CellShape
        Each measurement ends in its unit (``_um3``, ``_um2``, ``_nm``), or is a
        ratio, a number of a unit vector, or a count (``n_``). Positions are in
        the big volume; the centroid is that of the cell (of the nucleus without
        one). What was not measured is nan. ``nucleus_is_cut`` and
        ``cell_is_cut`` are 1 if a border of the arrays cuts the object (`cut_flags`): its
        numbers are then those of the part within, sphericity and polarity are nan.

    Raises
    ------
    ParameterError
        If an array has not the shape of the grid.

    Notes
    -----
    1. Volumes are counts of voxels; areas, see `surface_area_um2`. Sphericity is
       the area of a ball of equal volume over the area.
    2. Polarity is the way from the centroid of the cell to that of the nucleus;
       its ratio is to the radius of a ball of the volume of the cell.
    3. Ellipsoid, sphere map, topology and invaginations of the nucleus, each in
       a file of its own.

    One bit per voxel is needed beside the masks, and some twenty bytes per joined
    voxel of the box around the nucleus: 300 MB for a nucleus of 12 µm, at most
    600 MB for any.
    """
    config = config or ShapeConfig()
    for name, mask in (("nucleus", nucleus), ("cell", cell)):
        if mask is not None:
            check_shape_match(name, mask.shape, "grid", grid.shape)
    own = _sizes(nucleus, grid, config.ruler_nm)
    whole = _Sizes() if cell is None else _sizes(cell, grid, config.ruler_nm)
    centre = own.centroid_nm if cell is None else whole.centroid_nm
    way = np.subtract(own.centroid_nm, whole.centroid_nm)
    if whole.is_cut or own.is_cut:
        way = np.full(3, _NAN)  # the middle of a part says nothing of the whole
    radius_nm = 1000 * (whole.volume_um3 * 3 / (4 * math.pi)) ** (1 / 3)
    ellipsoid = fit_ellipsoid(nucleus, grid)
    coarse = join_voxels(nucleus, grid, voxel_nm=config.voxel_nm)
    sphere_map, topology = None, None
    found: tuple[Invagination, ...] = ()
    if ellipsoid is not None and coarse is not None:
        sphere_map = map_to_sphere(coarse, ellipsoid)
        found = find_invaginations(coarse, config=invaginations)
        topology = smooth_topology(coarse, smoothing_nm=config.smoothing_nm)
    measures: dict[str, float] = {
        "nucleus_volume_um3": own.volume_um3,
        "cell_volume_um3": whole.volume_um3,
        "cytoplasm_volume_um3": whole.volume_um3 - own.volume_um3,
        "nucleus_surface_um2": own.surface_um2,
        "cell_surface_um2": whole.surface_um2,
        "nucleus_to_cell_ratio": own.volume_um3 / whole.volume_um3 if whole.volume_um3 else _NAN,
        **_by_axis("centroid_{}_nm", centre),
        "n_nucleus_slices": own.n_slices,
        "n_cell_slices": whole.n_slices,
        "nucleus_is_cut": own.is_cut,
        "cell_is_cut": whole.is_cut,
        "nucleus_sphericity": own.sphericity,
        "cell_sphericity": whole.sphericity,
        "cell_radius_nm": radius_nm,
        "polarity_nm": float(np.linalg.norm(way)),
        **_by_axis("polarity_{}_nm", way),
        "polarity_ratio": float(np.linalg.norm(way)) / radius_nm if radius_nm else _NAN,
        **_ellipsoid_measures(ellipsoid, sphere_map, nucleus, grid),
        **_fold_measures(topology, found),
    }
    # Nothing is known to a millionth; the digits beyond are noise of the addition.
    return CellShape(
        measurements={
            name: value if isinstance(value, int) else round(float(value), 6)
            for name, value in measures.items()
        },
        ellipsoid=ellipsoid,
        sphere_map=sphere_map,
        invaginations=found,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    """Measures that nucleus and cell have in common."""

    volume_um3: float = _NAN
    surface_um2: float = _NAN
    centroid_nm: ZYX = (_NAN, _NAN, _NAN)
    n_slices: int = 0
    is_cut: float = _NAN

    @property
    def sphericity(self) -> float:
        """Area of a ball of equal volume over the area; nan if cut, for a face is missing."""
        if self.is_cut or not self.surface_um2 > 0:
            return _NAN
        return math.pi ** (1 / 3) * (6 * self.volume_um3) ** (2 / 3) / self.surface_um2


def _sizes(mask: NDArray[np.bool_], grid: Grid, ruler_nm: float) -> _Sizes:
    box = bounding_box(mask)
    return _Sizes(
        volume_um3=np.count_nonzero(mask) * grid.voxel_volume_nm3 / 1e9,
        surface_um2=surface_area_um2(mask, grid, ruler_nm=ruler_nm),
        centroid_nm=centroid_nm(mask, grid),
        n_slices=int(mask.any(axis=(1, 2)).sum()),
        is_cut=_NAN if box is None else int(cut_flags(mask, grid) != CellFlag.NONE),
    )


def _ellipsoid_measures(
    ellipsoid: Ellipsoid | None,
    sphere_map: SphereMap | None,
    nucleus: NDArray[np.bool_],
    grid: Grid,
) -> dict[str, float]:
    """Form of the ellipsoid, and how far the nucleus is from it."""
    nowhere = (_NAN, _NAN, _NAN)
    half, axes = nowhere, (nowhere, nowhere, nowhere)
    elongation = flatness = jaccard = sd_nm = low_nm = high_nm = folded = _NAN
    if ellipsoid is not None and sphere_map is not None:
        half, axes = ellipsoid.half_axes_nm, ellipsoid.axes
        elongation, flatness = ellipsoid.elongation, ellipsoid.flatness
        jaccard = jaccard_with(ellipsoid, nucleus, grid)
        sd_nm, (low_nm, high_nm) = sphere_map.sd_nm, sphere_map.range_nm
        folded = sphere_map.folded_fraction
    return {
        "nucleus_long_half_axis_nm": half[0],
        "nucleus_middle_half_axis_nm": half[1],
        "nucleus_short_half_axis_nm": half[2],
        **_by_axis("nucleus_long_axis_{}", axes[0]),
        **_by_axis("nucleus_short_axis_{}", axes[2]),
        "nucleus_elongation_ratio": elongation,
        "nucleus_flatness_ratio": flatness,
        "nucleus_ellipsoid_jaccard": jaccard,
        "nucleus_ellipsoid_sd_nm": sd_nm,
        "nucleus_ellipsoid_lowest_nm": low_nm,
        "nucleus_ellipsoid_highest_nm": high_nm,
        "nucleus_folded_fraction": folded,
    }


def _fold_measures(topology: Topology | None, found: tuple[Invagination, ...]) -> dict[str, float]:
    """Pieces, handles and invaginations; nan without a nucleus."""
    if topology is None:
        names = (*_TOPOLOGY, "n_invaginations", "n_tunnels", "invaginated_volume_um3")
        return dict.fromkeys((*names, "deepest_invagination_nm"), _NAN)
    depths = [i.depth_nm for i in found if i.kind == "invagination"]
    return {
        **{name: getattr(topology, field) for name, field in _TOPOLOGY.items()},
        "n_invaginations": sum(i.kind == "invagination" for i in found),
        "n_tunnels": sum(i.kind == "tunnel" for i in found),
        "invaginated_volume_um3": sum((i.volume_um3 for i in found), 0.0),
        "deepest_invagination_nm": max(depths, default=0.0),
    }


def _by_axis(name: str, values: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """Three numbers under a name with a gap for the axis."""
    # Adding 0 turns -0.0 into 0.0.
    return {name.format(axis): float(v) + 0.0 for axis, v in zip("zyx", values, strict=True)}


def centroid_nm(mask: NDArray[np.bool_], grid: Grid) -> tuple[float, float, float]:
    """Mean position of the True voxels, z, y, x in nm; nan for an empty mask."""
    counts = [np.zeros(n) for n in mask.shape]
    for k, part in enumerate(mask):
        counts[0][k] = np.count_nonzero(part)
        counts[1] += part.sum(axis=1)
        counts[2] += part.sum(axis=0)
    total = counts[0].sum()
    if not total:
        return (float("nan"),) * 3
    mean = [float(np.arange(len(c)) @ c / total) for c in counts]
    z, y, x = (float(v) for v in grid.to_nm(mean))
    return (z, y, x)
