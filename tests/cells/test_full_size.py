"""Label images at the pixels of the crop, drawn from the curves of the envelope."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.envelope.measure import EnvelopeCurve, EnvelopeResult
from helaseg.cells.full_size import (
    Parts,
    draw_cell,
    draw_classes,
    draw_envelope_confidence,
    draw_instances,
    draw_nucleus,
)
from helaseg.core.grid import Grid
from helaseg.core.lazy import SliceBySlice


def circle(centre, radius, *, confidence=1.0):
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    points = np.column_stack(
        [centre[0] + radius * np.sin(angle), centre[1] + radius * np.cos(angle)]
    )
    even = np.ones(len(angle), np.float32)
    return EnvelopeCurve(
        points=points.astype(np.float32),
        thickness_nm=50 * even,
        depth=20 * even,
        confidence=(confidence * even).astype(np.float32),
    )


@pytest.fixture
def crop():
    """A nucleus of 30 px radius with a hole, in a cell larger by 20 px; slice 2 has none."""
    grid = Grid(shape=(3, 121, 133), voxel_size_nm=(50, 10, 10))
    whole = circle((60.2, 66.4), 30.3)
    hole = circle((60.2, 66.4), 9.0, confidence=0.25)
    envelope = EnvelopeResult(grid=grid, curves=((whole,), (whole, hole), ()), confident=0.5)
    y, x = np.ogrid[:61, :67]
    # working pixels of 20 nm; the last row and column are partial
    away = np.hypot(2 * y + 0.5 - 60.2, 2 * x + 0.5 - 66.4)
    cells = np.repeat((away < 50).astype(np.uint8)[None], 3, axis=0)
    cells[:, :, 60:] = 2
    solid = (cells > 0) | (y < 3)
    return envelope, cells, solid


DRAWN = {
    "nucleus": draw_nucleus,
    "cell": draw_cell,
    "cells": draw_instances,
    "labels": draw_classes,
    "envelope_confidence": draw_envelope_confidence,
}


def view(kind, crop, factor=2):
    envelope, cells, solid = crop
    parts = Parts(envelope=envelope, cells=cells, solid=solid, factor=factor)
    dtype = parts.instance_dtype if kind == "cells" else np.dtype(np.uint8)
    return SliceBySlice(
        shape=envelope.grid.shape, dtype=dtype, draw=lambda z: DRAWN[kind](parts, z)
    )


def distance(shape, centre=(60.2, 66.4)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(y - centre[0], x - centre[1])


def test_nucleus_is_drawn_at_the_pixels_of_the_crop(crop):
    nucleus = view("nucleus", crop)
    away = distance(nucleus.shape[1:])
    np.testing.assert_array_equal(nucleus[0] != 0, away < 30.3)
    np.testing.assert_array_equal(nucleus[1] != 0, (away < 30.3) & (away > 9.0))
    assert not nucleus[2].any()


def test_band_is_70_nm_wide(crop):
    labels = view("labels", crop)[0]
    away = distance(labels.shape)
    np.testing.assert_array_equal(labels == 3, np.abs(away - 30.3) <= 3.5)
    row = labels[60]
    assert (row == 3).sum() == 14


def test_classes_and_masks_agree(crop):
    labels, nucleus, cell, cells = (
        view(kind, crop)[:] for kind in ("labels", "nucleus", "cell", "cells")
    )
    assert labels.shape == crop[0].grid.shape
    np.testing.assert_array_equal(cells == 1, cell != 0)
    assert not ((nucleus != 0) & (cell == 0)).any()
    np.testing.assert_array_equal(labels == 2, (nucleus != 0) & (labels != 3))
    assert set(np.unique(labels[cells == 2])) <= {3, 4}
    assert (labels[2] != 3).all()
    assert (labels[2][cells[2] == 1] == 1).all()
    assert (labels[0, :6, :][cells[0, :6] == 0] == 4).all()


def test_a_nucleus_beyond_its_cell_takes_the_cell_along(crop):
    envelope, cells, solid = crop
    cells[:] = 2
    images = {k: view(k, crop)[0] for k in ("cell", "cells")}
    nucleus = view("nucleus", crop)[0] != 0
    np.testing.assert_array_equal(images["cell"] != 0, nucleus)
    np.testing.assert_array_equal(images["cells"] == 1, nucleus)
    assert (cells == 2).all()


def test_confidence_is_percent_on_the_band(crop):
    percent, labels = view("envelope_confidence", crop)[:], view("labels", crop)[:]
    assert percent.dtype == np.uint8
    np.testing.assert_array_equal(percent > 0, labels == 3)
    assert set(np.unique(percent)) == {0, 25, 100}
    away = distance(percent.shape[1:])
    assert set(np.unique(percent[1][(percent[1] > 0) & (away < 15)])) == {25}


def test_what_is_not_sure_at_all_is_1_percent_not_0(crop):
    envelope, cells, solid = crop
    unsure = circle((60.2, 66.4), 30.3, confidence=0.0)
    result = EnvelopeResult(grid=envelope.grid, curves=((unsure,), (), ()), confident=0.5)
    percent = view("envelope_confidence", (result, cells, solid))[0]
    assert set(np.unique(percent)) == {0, 1}


@pytest.mark.parametrize("kind", ["nucleus", "cell", "cells", "labels", "envelope_confidence"])
def test_indexing_is_that_of_an_array(crop, kind):
    lazy = view(kind, crop)
    whole = np.stack([lazy[z] for z in range(3)])
    assert whole.shape == lazy.shape
    assert whole.dtype == lazy.dtype
    for index in (-1, (1, slice(10, 90), slice(None, None, 3)), slice(0, 0), np.s_[::2, 5, 4:9]):
        np.testing.assert_array_equal(lazy[index], whole[index])
    with pytest.raises(IndexError):
        lazy[3]


def test_slices_given_out_are_copies_also_without_joined_pixels(crop):
    envelope, cells, solid = crop
    shape = envelope.grid.shape
    large = np.ones(shape, np.uint8)
    lazy = view("cells", (envelope, large, np.ones(shape, bool)), factor=1)
    lazy[0][:] = 9
    assert (large == 1).all()


def test_without_cells_the_nucleus_stands_for_the_cell(crop):
    alone = (crop[0], None, None)
    nucleus, cell, cells, labels = (
        view(k, alone)[:] for k in ("nucleus", "cell", "cells", "labels")
    )
    np.testing.assert_array_equal(cell, nucleus)
    np.testing.assert_array_equal(cells, nucleus)
    assert set(np.unique(labels)) == {0, 2, 3}
