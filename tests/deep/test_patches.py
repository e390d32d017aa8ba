"""Windows cover every voxel, and their weights sum to one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helaseg.deep.patches import axis_windows, mirrored, plan_patches
from helaseg.errors import ParameterError


@given(
    n=st.integers(1, 300),
    size=st.integers(1, 80),
    share=st.floats(0, 0.99),
    halo=st.integers(0, 20),
)
def test_every_voxel_has_weight_one(n: int, size: int, share: float, halo: int) -> None:
    overlap = int(size * share)
    windows = axis_windows(n, size=size, overlap=overlap, halo=halo)
    total, count = np.zeros(n), np.zeros(n, int)
    for k, start in enumerate(windows.starts):
        target = windows.target(k)
        assert target.start == start
        part = windows.weights[k, : target.stop - target.start]
        assert (part > 0).all()
        assert not windows.weights[k, target.stop - target.start :].any()
        total[target] += part
        count[target] += 1
        source = windows.source(k)
        assert len(source) == size + 2 * halo
        assert 0 <= source.min() <= source.max() < n
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert windows.is_tiling == bool((count == 1).all())
    steps = np.diff(windows.starts)
    assert (steps >= 1).all()
    assert (steps <= size - overlap).all()


def test_as_few_windows_as_cover_the_axis() -> None:
    assert axis_windows(100, size=40, overlap=10).starts == (0, 30, 60)
    assert axis_windows(101, size=40, overlap=10).starts == (0, 20, 41, 61)
    assert axis_windows(40, size=40, overlap=10).starts == (0,)
    assert axis_windows(7, size=40, overlap=10).starts == (0,)


@pytest.mark.parametrize("n", [17, 40, 41, 59, 100, 333])
@pytest.mark.parametrize(("size", "overlap", "step"), [(16, 3, 4), (14, 5, 8), (16, 0, 16)])
def test_windows_start_on_the_grid_of_the_halvings(n: int, size: int, overlap: int, step: int):
    windows = axis_windows(n, size=size, overlap=overlap, step=step)
    assert all(start % step == 0 for start in windows.starts)
    assert np.diff(windows.starts).max() <= size - overlap
    assert windows.starts[-1] < n <= windows.starts[-1] + size


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_mirrored_is_what_numpy_pads(n: int) -> None:
    pad = 3 * n + 2
    index = np.arange(-pad, n + pad)
    mode = "edge" if n == 1 else "reflect"
    expected = np.pad(np.arange(n), pad, mode=mode)
    np.testing.assert_array_equal(mirrored(index, n), expected)


def test_a_volume_has_all_combinations() -> None:
    plan = plan_patches((10, 100, 50), size=(4, 40, 60), overlap=(1, 10, 0))
    assert [len(axis.starts) for axis in (plan.z, plan.y, plan.x)].count(3) == 2


def test_windows_that_cannot_move_are_refused() -> None:
    with pytest.raises(ParameterError, match="'overlap' must be at least 0 and leave 1 of the 4"):
        axis_windows(10, size=4, overlap=4)
    with pytest.raises(ParameterError, match="must have voxels, got 0"):
        axis_windows(0, size=4)
