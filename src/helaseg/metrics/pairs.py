"""A truth and a prediction on one grid, read slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg._validate import as_array, as_labels, as_mask, as_zyx
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume, Sliceable, Volume
from helaseg.errors import ParameterError

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePairs:
    """Both sides and what to ignore, read slice by slice.

    Parameters
    ----------
    truth, prediction : sliceable of integers or bools, shape (Z, Y, X)
        The labels.
    ignore : sliceable of the same shape, optional
        Non-zero voxels are left out.
    grid : Grid
        Of both sides.
    names : mapping of int to str
        Names of labels; the truth's come first.
    """

    truth: Sliceable
    prediction: Sliceable
    ignore: Sliceable | None
    grid: Grid
    names: Mapping[int, str]

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any], Mask | None]]:
        for z in range(self.grid.shape[0]):
            ignored = None if self.ignore is None else as_mask("ignore", self.ignore[z])
            yield (
                as_labels("truth", self.truth[z]),
                as_labels("prediction", self.prediction[z]),
                ignored,
            )


def open_pairs(truth: Any, prediction: Any, ignore: Any, voxel_size_nm: Any) -> SlicePairs:
    """Bring volumes and arrays onto one grid.

    Parameters
    ----------
    truth, prediction, ignore, voxel_size_nm
        As in `helaseg.metrics.evaluate`.

    Raises
    ------
    GridMismatchError
        If the sides differ in shape, voxel size or offset.
    ParameterError
        A voxel size beside a volume, or none beside arrays alone.
    """
    sides = {"truth": truth, "prediction": prediction, "ignore": ignore}
    sides = {name: side for name, side in sides.items() if side is not None}
    known = [name for name, side in sides.items() if isinstance(side, Volume | LabelVolume)]
    arrays = {name: _as_stack(name, sides[name]) for name in sides if name not in known}
    if known and voxel_size_nm is not None:
        msg = (
            f"'voxel_size_nm' must be left out because '{known[0]}' has a grid of "
            f"{sides[known[0]].grid}; give arrays on all sides to set it"
        )
        raise ParameterError(msg)
    if not known and voxel_size_nm is None:
        msg = (
            "'voxel_size_nm' must be given for arrays, which have no grid, got None; "
            "pass voxel_size_nm=(z, y, x)"
        )
        raise ParameterError(msg)
    size = sides[known[0]].grid.voxel_size_nm if known else as_zyx("voxel_size_nm", voxel_size_nm)
    offset = sides[known[0]].grid.offset_nm if known else (0.0, 0.0, 0.0)
    volumes = {}
    for name, side in sides.items():
        if name in arrays:
            grid = Grid(shape=arrays[name].shape, voxel_size_nm=size, offset_nm=offset)
            data: Sliceable = arrays[name] != 0 if name == "ignore" else arrays[name]
        else:
            grid, data = side.grid, side.data
        volumes[name] = side if isinstance(side, LabelVolume) else LabelVolume(data=data, grid=grid)
        volumes["truth"].grid.check_agrees(volumes[name].grid, names=("truth", name))
    names = {**volumes["prediction"].names, **volumes["truth"].names}
    return SlicePairs(
        truth=volumes["truth"].data,
        prediction=volumes["prediction"].data,
        ignore=volumes["ignore"].data if "ignore" in volumes else None,
        grid=volumes["truth"].grid,
        names=names,
    )


def _as_stack(name: str, value: Any) -> NDArray[Any]:
    array = as_array(name, value)
    return array[None] if array.ndim == 2 else array
