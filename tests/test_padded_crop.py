"""Crops that stick out of their volume."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.core.grid import Grid, Roi
from helaseg.core.volume import Volume


@pytest.fixture
def volume(rng):
    data = rng.integers(1, 255, (4, 6, 7), dtype=np.uint8)
    return Volume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=(50, 10, 10)))


def test_what_lies_outside_is_zero(volume):
    roi = Roi(start=(-1, -2, 3), stop=(3, 4, 10))
    padded = volume.crop_padded(roi)
    expected = np.zeros(roi.shape, np.uint8)
    expected[1:, 2:, :4] = volume.data[:3, :4, 3:]
    np.testing.assert_array_equal(padded.read(), expected)
    assert padded.grid.offset_nm == (-50.0, -20.0, 30.0)
    for index in (0, -1, slice(1, 3), (slice(0, 4, 2), 3, slice(1, 5)), (2, 3, 1), slice(0, 0)):
        np.testing.assert_array_equal(padded.data[index], expected[index])


def test_a_box_inside_is_an_ordinary_crop(volume):
    roi = Roi(start=(1, 1, 1), stop=(3, 4, 5))
    assert volume.crop_padded(roi).data is not volume.data
    np.testing.assert_array_equal(volume.crop_padded(roi).read(), volume.crop(roi).read())


def test_a_box_beside_the_volume_is_empty(volume):
    roi = Roi(start=(10, 0, 0), stop=(12, 3, 3))
    assert not volume.crop_padded(roi).read().any()
