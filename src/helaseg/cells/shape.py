"""Size and shape of a segmented cell, in physical units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.nucleus import NucleusResult
from helaseg.core.grid import Grid
from helaseg.core.results import SliceRecord


def surface_area_um2(mask: NDArray[np.bool_], grid: Grid) -> float:
    """Area of the surface of a mask, in square micrometres.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        The object. Where it touches the border of the array it is cut, and the
        cut face does not count.
    grid : Grid
        Voxel size.

    Returns
    -------
    float
        Area; 0 for an empty mask.

    Notes
    -----
    1. Join voxels in the plane until they are about as wide as a slice is thick.
    2. Blur by one voxel, so that stairs become slopes.
    3. Area of the triangles of the marching-cubes surface at one half.

    References
    ----------
    Lewiner, T. et al. Efficient implementation of marching cubes' cases with
    topological guarantees. J. Graphics Tools 8, 1-15 (2003).
    doi:10.1080/10867651.2003.10487582
    """
    from scipy import ndimage
    from skimage.measure import marching_cubes, mesh_surface_area

    where = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not len(where[0]):
        return 0.0
    box = tuple(
        slice(max(w[0] - 4, 0), min(w[-1] + 5, n)) for w, n in zip(where, mask.shape, strict=True)
    )
    part = mask[box]
    factor = max(1, round(grid.slice_nm / grid.pixel_nm))
    pads = [(0, 0)] + [(0, -n % factor) for n in part.shape[1:]]
    if any(p[1] for p in pads):
        part = np.pad(part, pads, mode="edge")
    z, y, x = part.shape
    share = part.reshape(z, y // factor, factor, x // factor, factor).mean(
        axis=(2, 4), dtype=np.float32
    )
    share = ndimage.gaussian_filter(share, 1.0, mode="nearest")
    if min(share.shape) < 2 or not share.min() < 0.5 < share.max():
        return 0.0
    size = (grid.voxel_size_nm[0], *(s * factor for s in grid.voxel_size_nm[1:]))
    vertices, faces, *_ = marching_cubes(share, 0.5, spacing=size)
    return float(mesh_surface_area(vertices, faces)) / 1e6


def measure_cell(
    nucleus: NDArray[np.bool_], cell: NDArray[np.bool_] | None, grid: Grid
) -> dict[str, float]:
    """Volumes, surface areas, ratio and centroid of one cell.

    Parameters
    ----------
    nucleus : ndarray of bool, shape of `grid`
        The nucleus up to the midline of its envelope.
    cell : ndarray of bool, shape of `grid`, or None
        The whole cell including the nucleus; None when it was not segmented.
    grid : Grid
        Voxel size and offset.

    Returns
    -------
    dict
        Every name ends in its unit (``_um3``, ``_um2``, ``_nm``), or is a ratio
        or a count. The centroid is that of the cell (of the nucleus without
        one), in the big volume. What was not measured is nan.
    """
    voxel_um3 = grid.voxel_volume_nm3 / 1e9
    nan = float("nan")
    nucleus_um3 = float(np.count_nonzero(nucleus)) * voxel_um3
    cell_um3 = nan if cell is None else float(np.count_nonzero(cell)) * voxel_um3
    centre = centroid_nm(nucleus if cell is None else cell, grid)
    measures = {
        "nucleus_volume_um3": nucleus_um3,
        "cell_volume_um3": cell_um3,
        "cytoplasm_volume_um3": cell_um3 - nucleus_um3,
        "nucleus_surface_um2": surface_area_um2(nucleus, grid),
        "cell_surface_um2": nan if cell is None else surface_area_um2(cell, grid),
        "nucleus_to_cell_ratio": nucleus_um3 / cell_um3 if cell_um3 else nan,
        "centroid_z_nm": centre[0],
        "centroid_y_nm": centre[1],
        "centroid_x_nm": centre[2],
        "n_nucleus_slices": int(nucleus.any(axis=(1, 2)).sum()),
        "n_cell_slices": 0 if cell is None else int(cell.any(axis=(1, 2)).sum()),
    }
    # Nothing is known to a millionth; the digits beyond are noise of the addition.
    return {name: round(value, 6) for name, value in measures.items()}


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


def slice_records(
    nucleus: NucleusResult, cell: NDArray[np.bool_] | None
) -> tuple[SliceRecord, ...]:
    """Areas, confidence and event of each slice; areas in pixels of the crop."""
    area_um2 = nucleus.crop_grid.face_areas_nm2[0] / 1e6
    records = []
    for z in range(nucleus.grid.shape[0]):
        nucleus_px = _full_px(nucleus.nuclei[z] == 1, nucleus)
        cell_px = 0 if cell is None else _full_px(cell[z], nucleus)
        records.append(
            SliceRecord(
                z=z,
                nucleus_px=nucleus_px,
                cell_px=cell_px,
                nucleus_um2=round(nucleus_px * area_um2, 6),
                cell_um2=round(cell_px * area_um2, 6),
                confidence=round(nucleus.confidence[z], 4),
                event=nucleus.events[z],
            )
        )
    return tuple(records)


def _full_px(mask: NDArray[Any], nucleus: NucleusResult) -> int:
    """Pixels of the crop under a working mask; the last row and column may be partial."""
    rows, cols = (_weights(n, nucleus.factor) for n in nucleus.crop_grid.shape[1:])
    return int(rows @ mask.astype(np.int64) @ cols)


def _weights(n: int, factor: int) -> NDArray[np.int64]:
    """How many pixels of the crop each working pixel stands for."""
    weights = np.full(-(-n // factor), factor, np.int64)
    if n % factor:
        weights[-1] = n % factor
    return weights
