"""Pieces, handles and cavities of a mask."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._validate import as_mask, check_positive
from helaseg.cells.shape.coarse_mask import CoarseMask
from helaseg.image.components import find_components


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Topology of a mask.

    Parameters
    ----------
    n_components : int
        Pieces; voxels hang together across faces, edges and corners.
    n_handles : int
        Holes that go through, as in a ring.
    n_cavities : int
        Hollows inside; outside voxels hang together across faces only.
    """

    n_components: int
    n_handles: int
    n_cavities: int

    @property
    def euler_number(self) -> int:
        """Pieces minus handles plus cavities."""
        return self.n_components - self.n_handles + self.n_cavities


def measure_topology(mask: ArrayLike) -> Topology:
    """Count the pieces, handles and cavities of a mask.

    Parameters
    ----------
    mask : (Z, Y, X) array of bools or numbers
        The object, in the 26/6 convention: its voxels touch across faces, edges
        and corners, those of the outside across faces. Beyond the array is
        outside.

    Returns
    -------
    Topology

    Raises
    ------
    ParameterError
        If the mask has not three axes.

    Notes
    -----
    1. Count the components of the object, and those of the outside that do not
       reach the border.
    2. Euler number of the union of the closed voxels, slice by slice: that of
       each two neighbouring slices laid on each other, minus that of each slice.
    3. The handles are what is missing between the two.

    The counts are those of the voxels as they are; one voxel is enough for a
    handle. Join voxels first to count what is larger.

    References
    ----------
    Ohser, J., Nagel, W. & Schladitz, K. The Euler number of discretised sets:
    surprising results in three dimensions. Image Anal. Stereol. 22, 11-19 (2003).
    doi:10.5566/ias.v22.p11-19
    """
    solid = as_mask("mask", mask, ndim=3)
    rows = solid.view(np.uint8)
    n_components = int(find_components(rows, 3).n) if solid.size else 0
    n_cavities = int(find_components(rows, 1, holes=True).n) if solid.size else 0
    return Topology(
        n_components=n_components,
        n_handles=n_components + n_cavities - euler_number(solid),
        n_cavities=n_cavities,
    )


def smooth_topology(coarse: CoarseMask, *, smoothing_nm: float) -> Topology:
    """Count what is larger than the noise of a segmentation.

    Parameters
    ----------
    coarse : CoarseMask
        The object, from `helaseg.cells.shape.coarse_mask.join_voxels`. Where it is cut
        it goes on straight beyond the border.
    smoothing_nm : float
        Standard deviation of a Gaussian blur; the object is what stays above
        one half. Details narrower than about three of it are gone.

    Returns
    -------
    Topology
        Of the voxels as they are if the whole object is gone.
    """
    from scipy import ndimage

    check_positive("smoothing_nm", smoothing_nm, zero=True)
    sigmas = [smoothing_nm / s for s in coarse.grid.voxel_size_nm]
    around = tuple(math.ceil(4 * s) + 1 for s in sigmas)
    field = ndimage.gaussian_filter(
        coarse.padded(around),  # type: ignore[arg-type]
        sigmas,
        mode="nearest",
        output=np.float32,
    )
    smooth = field >= 127.5
    return measure_topology(smooth if smooth.any() else coarse.share > 0)


def euler_number(mask: NDArray[np.bool_]) -> int:
    """Euler number of a (Z, Y, X) mask whose voxels touch across faces, edges and corners."""
    # A slice of the union is its flat image; between two slices lie the faces, edges and
    # corners of either.
    above = np.zeros(mask.shape[1:], bool)
    total = 0
    for plane in mask:
        total += _flat_euler_number(above | plane) - _flat_euler_number(plane)
        above = plane
    return total + _flat_euler_number(above)


def _flat_euler_number(plane: NDArray[np.bool_]) -> int:
    """Corners minus edges plus faces of the union of the closed pixels."""
    wide = np.pad(plane, 1)
    across = wide[1:] | wide[:-1]
    edges = np.count_nonzero(across) + np.count_nonzero(wide[:, 1:] | wide[:, :-1])
    corners = np.count_nonzero(across[:, 1:] | across[:, :-1])
    return int(corners - edges + np.count_nonzero(wide))
