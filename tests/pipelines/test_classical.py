"""One crop, whatever executor is given."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg import make_phantom, segment
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
