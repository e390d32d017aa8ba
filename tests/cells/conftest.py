"""A small phantom that the tests of the cell steps share."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.core.grid import Roi
from helaseg.synthetic import Phantom, make_phantom


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """Two touching cells, one of them flat, 32 x 420 x 420 voxels of 100 x 20 x 20 nm.

    With the noise that 10 nm pixels have after joining 2 x 2 of them.
    """
    return make_phantom(
        shape=(32, 420, 420),
        voxel_size_nm=(100, 20, 20),
        n_cells=2,
        packing=0.6,
        noise=0.5,
        seed=3,
    )


@pytest.fixture(scope="session")
def crop_of(phantom: Phantom):
    """Crop around a cell of the phantom and the truth in it: ``crop_of(id)``."""

    def make(cell_id: int, margin_px: int = 25):
        mask = phantom.truth["cell"].read() == cell_id
        where = [np.flatnonzero(mask.any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))]
        margin = (2, margin_px, margin_px)
        roi = Roi(
            start=tuple(int(w[0]) - m for w, m in zip(where, margin, strict=True)),
            stop=tuple(int(w[-1]) + 1 + m for w, m in zip(where, margin, strict=True)),
        ).clip(phantom.image.shape)
        nucleus = phantom.truth["nucleus"].crop(roi).read() == cell_id
        return phantom.image.crop(roi), mask[roi.slices], nucleus

    return make
