"""One crop, whatever executor is given."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg import make_phantom, segment
from helaseg.errors import NothingFoundWarning
from helaseg.execution import make_executor


@pytest.mark.filterwarnings("ignore::helaseg.HelasegWarning")
@pytest.mark.parametrize("spec", ["threads:3", "processes:2"])
def test_every_executor_segments_a_crop_alike(spec):
    crop = make_phantom(
        shape=(4, 240, 240), voxel_size_nm=(50, 20, 20), n_cells=1, n_flat_cells=0, seed=0
    ).image
    want = segment(crop, executor=make_executor("serial"))
    with make_executor(spec) as pool:
        got = segment(crop, executor=pool)
    for name in ("labels", "cells", "nucleus"):
        np.testing.assert_array_equal(getattr(got, name).read(), getattr(want, name).read())
    assert got.slices == want.slices


def test_a_target_outside_of_every_cell_is_told():
    made = make_phantom(
        shape=(12, 200, 200), voxel_size_nm=(240, 60, 60), n_cells=1, n_border_cells=0,
        n_flat_cells=0, cell_radius_nm=3000, seed=1,
    )  # fmt: skip
    with pytest.warns(NothingFoundWarning, match=r"no cell at the target \(z, y, x = 6, 100"):
        segment(made.image, target_vx=(6, 100, 25))
    segment(made.image, target_vx=made.cells[0].centroid_vx)
