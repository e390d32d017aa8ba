"""Patches for training, drawn so that every step can be repeated. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg.deep.augment import change_greys, change_slices, sampling_map, take_patch
from helaseg.deep.examples import Example
from helaseg.deep.patches import mirrored
from helaseg.deep.train_config import TrainConfig
from helaseg.errors import DataFormatError, ParameterError

Floats = NDArray[np.float32]
#: Voxels of a class that are remembered as middles of patches.
N_PLACES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Input, target and weights of one training patch.

    Parameters
    ----------
    image : ndarray of float32, shape (Z, Y, X)
        Grey values with mean 0 and standard deviation 1 over their volume.
    target : ndarray of float32, shape (C, Z', Y', X')
        0 to 1.
    weight : ndarray of float32, shape (1, Z', Y', X')
        0 to 1.
    """

    image: Floats
    target: Floats
    weight: Floats


class Sampler:
    """Draws patches from examples.

    Parameters
    ----------
    examples : sequence of Example
        Their arrays are not copied.
    config : TrainConfig
        Size of the patches, share of foreground, random changes, seed.

    Raises
    ------
    DataFormatError
        If there is no example.
    ParameterError
        If planes along all axes are wanted of voxels that are not as high as wide.
    """

    def __init__(self, examples: Sequence[Example], config: TrainConfig) -> None:
        if not examples:
            msg = "there is nothing to train on: the data set is empty; add labelled volumes"
            raise DataFormatError(msg)
        self.examples = tuple(examples)
        self.config = config
        self.axes = (0, 1, 2) if config.axes == "zyx" else (0,)
        rng = np.random.default_rng([config.seed, 0])
        self._known = [_places(e.weight > 0, rng) for e in self.examples]
        first = 1 if config.network.head == "classes" else 0
        self._classes = [
            [_places((t >= 128) & (e.weight > 0), rng) for t in e.target[first:]]
            for e in self.examples
        ]
        # A volume counts by its labelled slices, as far as a patch sees them apart.
        depths = [np.count_nonzero(e.weight.any(axis=(1, 2))) for e in self.examples]
        self._shares = np.asarray(depths, float) / np.sum(depths)
        for e in self.examples:
            size = e.grid.voxel_size_nm
            if config.axes == "zyx" and max(size) > 1.1 * min(size):
                msg = (
                    f"'axes' must be 'z' for voxels that are not as high as wide, got 'zyx' and "
                    f"{e.name} with {size} nm"
                )
                raise ParameterError(msg)

    def check_labelled(self) -> None:
        """Refuse examples in which no voxel has a class: nothing is learned of them.

        Raises
        ------
        DataFormatError
            Naming classes and cells.
        """
        if any(len(places) for one in self._classes for places in one):
            return
        names = ", ".join(c for c in self.config.network.classes if c != "background")
        cells = ", ".join(sorted({e.cell for e in self.examples}))
        msg = f"no labelled voxel of {names} in any volume of {cells}; check the labels"
        raise DataFormatError(msg)

    def batch(self, step: int, *, part: int = 0) -> list[Patch]:
        """The patches of a step; `part` tells the devices of a step apart."""
        return [
            self.patch(np.random.default_rng([self.config.seed, 1, step, part, k]))
            for k in range(self.config.batch_size)
        ]

    def patch(self, rng: np.random.Generator) -> Patch:
        """One patch at a random place, changed at random."""
        k = int(rng.choice(len(self.examples), p=self._shares))
        places = self._known[k]
        if rng.random() < self.config.foreground_share:
            seen = [p for p in self._classes[k] if len(p)]
            if seen:
                places = seen[int(rng.integers(len(seen)))]
        example = self.examples[k]
        flat = int(places[int(rng.integers(len(places)))])
        middle = np.unravel_index(flat, example.weight.shape)
        axis = self.axes[int(rng.integers(len(self.axes)))]
        return self._cut(example, [int(m) for m in middle], axis, rng)

    def _cut(
        self, example: Example, middle: Sequence[int], axis: int, rng: np.random.Generator
    ) -> Patch:
        order = [axis, *(a for a in range(3) if a != axis)]
        image, weight = example.image.transpose(order), example.weight.transpose(order)
        target = example.target.transpose(0, *(a + 1 for a in order))
        z, y, x = (middle[a] for a in order)
        deep, height, width = self.config.patch_in
        out_deep, out_height, out_width = self.config.patch_out
        ys, xs = sampling_map((height, width), (y, x), self.config.augment, rng)
        inner = tuple(
            slice((n - m) // 2, (n - m) // 2 + m)
            for n, m in ((deep, out_deep), (height, out_height), (width, out_width))
        )
        slices = np.arange(z - deep // 2, z - deep // 2 + deep)
        picked = mirrored(slices, image.shape[0])
        grey = take_patch(image[picked], ys, xs, outside="mirror")
        grey = (grey - np.float32(example.scale.mean)) / np.float32(example.scale.std)
        augment = self.config.augment
        grey = change_slices(grey, augment, rng, kept=range(*inner[0].indices(deep)))
        grey = change_greys(grey, augment, rng)
        ys, xs = ys[inner[1:]], xs[inner[1:]]
        picked, slices = picked[inner[0]], slices[inner[0]]
        found = take_patch(target[:, picked], ys, xs, outside="mirror") / np.float32(255)
        counts = take_patch(weight[picked], ys, xs, outside="zero") / np.float32(255)
        # What is mirrored at the first and last slice was seen already.
        counts[(slices < 0) | (slices >= image.shape[0])] = 0
        return Patch(image=grey, target=found, weight=counts[None])


def split_by_cell(
    examples: Sequence[Example], config: TrainConfig, *, validation: Sequence[str] = ()
) -> tuple[list[Example], list[Example]]:
    """Examples for training and for validation; a cell is on one side only.

    Parameters
    ----------
    examples : sequence of Example
    config : TrainConfig
        Share of the cells and seed, where `validation` is empty.
    validation : sequence of str
        Cells for validation.

    Raises
    ------
    ParameterError
        If a cell of `validation` is not there, or nothing is left to train on.
    """
    cells = sorted({e.cell for e in examples})
    unknown = sorted(set(validation) - set(cells))
    if unknown:
        msg = f"'validation' names {', '.join(unknown)}; the data set has {', '.join(cells)}"
        raise ParameterError(msg)
    held = set(validation)
    if not held and len(cells) > 1 and config.validation_share > 0:
        n = min(max(1, round(len(cells) * config.validation_share)), len(cells) - 1)
        held = set(np.random.default_rng([config.seed, 2]).permutation(cells)[:n].tolist())
    train = [e for e in examples if e.cell not in held]
    if not train:
        msg = f"all cells ({', '.join(cells)}) are kept for validation; leave one to train on"
        raise ParameterError(msg)
    return train, [e for e in examples if e.cell in held]


def _places(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    found = np.flatnonzero(mask)
    return found if len(found) <= N_PLACES else np.sort(rng.choice(found, N_PLACES, replace=False))
