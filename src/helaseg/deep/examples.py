"""Labelled volumes on the voxels of a network: `Example`. Nothing here needs torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.deep.grey import GreyScale, grey_scale
from helaseg.deep.resample import ResampledArray, working_grid
from helaseg.deep.train_config import TrainConfig
from helaseg.errors import DataFormatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A volume with labels, on the voxels on which a network works.

    Parameters
    ----------
    name : str
        For messages.
    cell : str
        Cell it shows: examples of one cell are never on both sides of the split.
    grid : Grid
        Of the arrays.
    image : ndarray of uint8, shape (Z, Y, X)
        Grey values.
    target : ndarray of uint8, shape (C, Z, Y, X)
        Part of the voxel that belongs to each class, 0 to 255; for a distance head 128 is
        the border.
    weight : ndarray of uint8, shape (Z, Y, X)
        How much a voxel counts, 0 to 255; 0 where nothing is known.
    scale : GreyScale
        Of the image.
    note : str
        How its labels were understood.
    """

    name: str
    cell: str
    grid: Grid
    image: NDArray[np.uint8]
    target: NDArray[np.uint8]
    weight: NDArray[np.uint8]
    scale: GreyScale
    note: str = ""

    @property
    def n_known(self) -> int:
        """Voxels that count."""
        return int(np.count_nonzero(self.weight))

    def digest(self) -> str:
        """A short name of cell, grid and all voxels: equal examples have equal ones."""
        content = hashlib.blake2b(digest_size=16)
        for array in (self.image, self.target, self.weight):
            content.update(np.ascontiguousarray(array).data)
        return f"{self.cell} {self.grid} {content.hexdigest()}"


def make_example(
    image: Volume,
    parts: Mapping[str, Any],
    *,
    config: TrainConfig,
    name: str,
    cell: str,
    known: Any = None,
    slice_weights: Sequence[float] | None = None,
    note: str = "",
) -> Example:
    """Resample a volume and what is known of it.

    Parameters
    ----------
    image : Volume
        Grey values of uint8.
    parts : mapping of str to sliceable, shape (Z, Y, X)
        For each class of the network (but the background of a softmax) the part of each voxel
        that belongs to it, 0 to 255: masks, or shares of votes.
    config : TrainConfig
        Voxels, classes and head.
    name, cell : str
        As in `Example`.
    known : sliceable of uint8, optional
        0 to 255: how much a voxel counts.
    slice_weights : sequence of float, optional
        How much each slice counts, 0 to 1; 0 for slices that nobody labelled.
    note : str
        How the labels were understood.

    Returns
    -------
    Example

    Raises
    ------
    DataFormatError
        If nothing is known of the volume, or a class is missing.
    """
    network = config.network
    wanted = network.classes[1:] if network.head == "classes" else network.classes
    missing = [c for c in wanted if c not in parts]
    if missing:
        msg = (
            f"{name} has labels of {', '.join(parts) or 'nothing'}, the network wants "
            f"{', '.join(missing)} too; choose other classes, or give the labels' values"
        )
        raise DataFormatError(msg)
    grid = working_grid(image.grid, config.working_voxel_nm, along_z=config.along_z)
    n = image.shape[0]
    weights = np.ones(n) if slice_weights is None else np.asarray(slice_weights, float)
    source = _WeightedSlices(known, weights, image.shape)
    weight = _resampled(source, grid)
    if not weight.any():
        msg = f"{name} has no labelled voxel; check its slices, or leave it out"
        raise DataFormatError(msg)
    target = np.stack([_resampled(parts[c], grid) for c in wanted])
    if network.head == "classes":
        rest = 255 - np.minimum(target.sum(axis=0, dtype=np.int32), 255)
        target = np.concatenate([rest[None].astype(np.uint8), target])
    elif network.head == "distance":
        target = np.stack([_distances(t, grid, config.distance_nm) for t in target])
    grey = _resampled(image.data, grid)
    return Example(
        name=name,
        cell=cell,
        grid=grid,
        image=grey,
        target=target,
        weight=weight,
        scale=grey_scale(grey),
        note=note,
    )


class _WeightedSlices:
    """Weight of each voxel: that of its annotation times that of its slice."""

    def __init__(self, known: Any, weights: NDArray[np.float64], shape: tuple[int, ...]) -> None:
        self.known = known
        self.weights = weights
        self.shape = shape
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        z = int(index[0])
        weight = np.float32(self.weights[z])
        if self.known is None:
            return np.full(self.shape[1:], 255 * weight, np.float32)
        return np.asarray(self.known[z, :, :], np.float32) * weight


def _resampled(source: Any, grid: Grid) -> NDArray[np.uint8]:
    return ResampledArray(source, shape=grid.shape, dtype=np.uint8)[:, :, :]


def _distances(part: NDArray[np.uint8], grid: Grid, scale_nm: float) -> NDArray[np.uint8]:
    """Signed distance to the border, squeezed by tanh, moved to 0 to 255."""
    from helaseg.image import distance_transform

    inside = part >= 128
    spacing = grid.voxel_size_nm
    # Half a voxel: the border lies between the centres.
    half = min(spacing) / 2
    signed = np.full(part.shape, -np.inf, np.float32)
    if inside.any():
        signed = -np.maximum(distance_transform(~inside, spacing=spacing) - half, 0)
    if inside.all():
        signed = np.full(part.shape, np.inf, np.float32)
    elif inside.any():
        deep = np.maximum(distance_transform(inside, spacing=spacing) - half, 0)
        signed = np.where(inside, deep, signed)
    return np.rint((np.tanh(signed / scale_nm) + 1) * 127.5).astype(np.uint8)
