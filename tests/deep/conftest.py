"""A tiny labelled volume, and settings that train on it in seconds."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.deep import AugmentConfig, Example, TrainConfig, UNetConfig, make_example
from helaseg.deep.labels import LabelPart

GRID = Grid(shape=(8, 96, 96), voxel_size_nm=(50, 50, 50))


def ball(shift: float = 0.0) -> np.ndarray:
    z, y, x = np.ogrid[tuple(slice(n) for n in GRID.shape)]
    return ((z - 4) / 6) ** 2 + ((y - 45) / 25) ** 2 + ((x - 48 - shift) / 30) ** 2 < 1


@pytest.fixture(scope="session")
def tiny() -> TrainConfig:
    """A network of some thousand parameters and few small patches."""
    return TrainConfig(
        network=UNetConfig(width=4, n_halvings=2),
        augment=AugmentConfig(elastic_px=1.0),
        patch_px=32,
        batch_size=2,
        n_steps=12,
        validate_every=4,
        warm_up=2,
        precision="float32",
    )


@pytest.fixture(scope="session")
def examples(tiny: TrainConfig) -> list[Example]:
    """Two cells: dark balls on bright ground."""
    found = []
    for k, name in enumerate("ab"):
        rng = np.random.default_rng(k)
        inside = ball(4.0 * k)
        grey = np.where(inside, 90, 170) + rng.normal(0, 12, GRID.shape)
        volume = Volume(data=np.clip(grey, 1, 255).astype(np.uint8), grid=GRID, name=name)
        part = LabelPart(inside.view(np.uint8), ())
        found.append(make_example(volume, {"nucleus": part}, config=tiny, name=name, cell=name))
    return found
