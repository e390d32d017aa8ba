"""Blebs and filopodia, counted and measured on shapes of known size."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.shape.protrusions import ProtrusionConfig, label_protrusions
from helaseg.core.grid import Grid
from helaseg.errors import ParameterError


def cell_with_protrusions(size_nm: tuple[float, float, float]) -> tuple[np.ndarray, Grid]:
    """A ball of 1.8 µm with a bleb of 400 nm, a filopodium of 1.5 µm and another cell."""
    shape = tuple(round(5200 / s) for s in size_nm)
    grid = Grid(shape=shape, voxel_size_nm=size_nm, offset_nm=(100.0, 200.0, 300.0))
    z, y, x = np.ix_(
        *[(np.arange(n) + 0.5) * s - 2600 for n, s in zip(shape, size_nm, strict=True)]
    )
    cells = np.zeros(shape, np.uint8)
    cells[z**2 + y**2 + x**2 < 1800**2] = 1
    cells[z**2 + (y + 1900) ** 2 + x**2 < 400**2] = 1
    filopodium = (np.abs(x - 2050) < 1350) & ((y - 100) ** 2 + (z - 50) ** 2 < 130**2)
    cells[filopodium & (x < 2500)] = 1
    cells[(y > 2300) & (cells == 0)] = 2
    return cells, grid


@pytest.mark.parametrize("size_nm", [(50.0, 20.0, 20.0), (40.0, 40.0, 40.0), (50.0, 56.0, 56.0)])
def test_protrusions_are_counted_and_measured(size_nm):
    cells, grid = cell_with_protrusions(size_nm)
    found = label_protrusions(cells, grid)
    assert len(found.rows) == 2
    bleb, filopodium = found.rows
    assert bleb.volume_um3 > filopodium.volume_um3
    # The tip of the bleb lies 500 nm above the ball, of which the body that reaches into its
    # neck takes 100; that of the filopodium lies 700 nm above.
    assert bleb.length_nm == pytest.approx(400, abs=70)
    assert filopodium.length_nm == pytest.approx(700, abs=70)
    assert filopodium.volume_um3 == pytest.approx(np.pi * 0.13**2 * 0.7, rel=0.25)
    assert bleb.y_nm == pytest.approx(200 + 2600 - size_nm[1] / 2 - 2050, abs=120)
    assert filopodium.x_nm == pytest.approx(300 + 2600 - size_nm[2] / 2 + 2150, abs=120)
    assert {row.owner for row in found.rows} == {1}
    assert found.labels.shape == found.grid.shape
    for row in found.rows:
        n = np.count_nonzero(found.labels == row.id)
        assert row.volume_um3 == pytest.approx(n * found.grid.voxel_volume_nm3 / 1e9)


def test_a_smooth_cell_has_none_wherever_it_is_cut():
    cells, grid = cell_with_protrusions((50.0, 50.0, 50.0))
    z, y, x = np.ix_(*[(np.arange(n) + 0.5) * 50.0 - 2600 for n in cells.shape])
    ball = (z**2 + y**2 + x**2 < 1800**2).astype(np.uint8)
    assert label_protrusions(ball, grid).rows == ()
    part = ball[len(ball) // 2 :]
    cut = Grid(shape=part.shape, voxel_size_nm=grid.voxel_size_nm)
    assert label_protrusions(part, cut).rows == ()


def test_nothing_to_measure():
    grid = Grid(shape=(3, 10, 10), voxel_size_nm=(50, 20, 20))
    assert label_protrusions(np.zeros(grid.shape, np.uint8), grid).rows == ()
    thin = np.zeros(grid.shape, np.uint8)
    thin[:, 4] = 1
    assert label_protrusions(thin, grid).rows == ()


def test_settings_are_checked_by_name():
    with pytest.raises(ParameterError, match="'radius_nm' must be positive"):
        ProtrusionConfig(radius_nm=0.0)
    with pytest.raises(ParameterError, match="'min_length_nm' must be zero or positive"):
        ProtrusionConfig(min_length_nm=-1.0)
