"""The nuclei of all cells of a crop, each once."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.segment import segment_nucleus
from helaseg.core.grid import Roi


@pytest.fixture(scope="module")
def whole(phantom):
    """The phantom as the crop of its first cell."""
    target = phantom.cells[0]
    return target, segment_nucleus(phantom.image, target_vx=target.centroid_vx)


def matched(truth, nuclei):
    inside = np.bincount(nuclei[truth], minlength=2)
    inside[0] = 0
    return int(inside.argmax())


def test_every_nucleus_has_one_number(phantom, whole):
    target, result = whole
    truth = phantom.truth["nucleus"].read()
    numbers = {cell.id: matched(truth == cell.id, result.nuclei) for cell in phantom.cells}
    assert numbers[target.id] == 1
    assert sorted(numbers.values()) == list(range(1, len(phantom.cells) + 1))
    assert result.nuclei.max() == len(phantom.cells)
    # The second nucleus is flat: seven slices, most of them with slanted envelopes.
    for cell, least in zip(phantom.cells, (0.93, 0.75), strict=True):
        assert jaccard(truth == cell.id, result.nuclei == numbers[cell.id]) > least


def test_a_nucleus_that_the_crop_cuts_is_found(phantom):
    truth = phantom.truth["nucleus"].read()
    target, other = phantom.cells
    columns = np.flatnonzero((truth == other.id).any(axis=(0, 1)))
    middle = int(columns.mean())
    right = other.centroid_vx[2] > target.centroid_vx[2]
    start, stop = (0, middle) if right else (middle, truth.shape[2])
    roi = Roi(start=(0, 0, start), stop=(*truth.shape[:2], stop))
    goal = (*target.centroid_vx[:2], target.centroid_vx[2] - start)
    result = segment_nucleus(phantom.image.crop(roi), target_vx=goal)
    half = truth[roi.slices] == other.id
    number = matched(half, result.nuclei)
    assert number > 1
    assert jaccard(half, result.nuclei == number) > 0.8


def test_the_target_is_the_same_whoever_else_is_there(phantom, whole):
    target, result = whole
    other = segment_nucleus(phantom.image, target_vx=phantom.cells[1].centroid_vx)
    number = matched(result.nucleus, other.nuclei)
    assert number == 2
    assert jaccard(other.nuclei == number, result.nucleus) > 0.95
