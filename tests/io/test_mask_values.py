"""Which values of a mask are foreground."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.ndimage

from helaseg.errors import DataFormatError
from helaseg.io.mask_values import AboveArray, is_soft_mask, read_mask_values

DISC = np.hypot(*np.mgrid[-30:30, -30:30])[None] < 18


def foreground(data):
    return np.asarray(AboveArray(data, above=read_mask_values(data, name="m").above)) > 0


def values_of(data):
    return {int(v) for v in np.unique(data)}


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 1, "u1"),
        (0, 255, "u1"),
        (-128, -127, "i1"),
        (-128, 127, "i1"),
        (1, 2, "u1"),
        (0, 7, "u2"),
    ],
)
def test_of_two_values_the_larger_one_is_foreground(low, high, dtype):
    data = np.where(DISC, high, low).astype(dtype)
    assert np.array_equal(foreground(data), DISC)
    assert bool(read_mask_values(data, name="m").note) == (low != 0)


@pytest.mark.parametrize("values", [(-1, 0), (3, 4, 5), (7,), (-5,), (-1, 0, 1)])
def test_values_without_a_clear_background_are_refused(values):
    data = np.resize(np.array(values, np.int16), (1, 6, 6))
    with pytest.raises(DataFormatError, match=r"m holds the values .* mask of 0 and 255"):
        read_mask_values(data, name="m")


def test_one_value_is_nothing_or_all():
    assert not foreground(np.zeros((1, 4, 4), np.uint8)).any()
    assert foreground(np.full((1, 4, 4), 255, np.uint8)).all()
    assert "everywhere" in read_mask_values(np.ones((1, 4, 4), np.uint8), name="m").note


def _soft_masks():
    byte = (DISC[0] * 255).astype(np.uint8)
    for high, dtype in ((255, "u1"), (100, "u1"), (60_000, "u2")):
        blurred = scipy.ndimage.gaussian_filter(DISC[0].astype(float), 1.2)
        yield np.round(blurred * high).astype(dtype)
    for factor in (0.5, 0.4, 1.7):
        for how in (cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC):
            yield cv2.resize(byte, None, fx=factor, fy=factor, interpolation=how)
    for quality in (40, 95):
        coded = cv2.imencode(".jpg", byte, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        yield cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)


def test_masks_with_soft_edges_keep_their_size():
    n = 0
    for plane in _soft_masks():
        assert is_soft_mask(plane[None], values_of(plane))
        share = foreground(plane[None]).mean()
        assert share == pytest.approx(DISC.mean(), rel=0.06)
        n += 1
    assert n == 14


def test_objects_and_classes_are_no_soft_masks(rng):
    points = np.zeros((1, 60, 60), np.uint16)
    points.ravel()[rng.choice(3600, 200, replace=False)] = np.arange(1, 201)  # one voxel each
    squares = np.kron(np.arange(1, 37).reshape(6, 6), np.ones((10, 10), int))[None]
    squares[:, ::10] = squares[:, :, ::10] = 0
    rings = np.digitize(np.hypot(*np.mgrid[-30:30, -30:30]), (8, 14, 20))[None] * 85
    for labels in (points, squares, rings):
        assert not is_soft_mask(labels, values_of(labels))
        assert np.array_equal(foreground(labels), labels > 0)
