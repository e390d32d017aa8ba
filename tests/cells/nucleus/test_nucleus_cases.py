"""Named difficult cases: each must come out as what it is."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from helaseg.cells.nucleus.confidence import UNCERTAIN
from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.segment import NucleusResult, segment_nucleus
from helaseg.core.grid import Roi
from helaseg.errors import NothingFoundWarning
from helaseg.synthetic import make_case


@cache
def found(name: str) -> tuple[np.ndarray, NucleusResult]:
    """Truth (0, 1, 2, ...) and result of a case, without the resin around."""
    made = make_case(name)
    cell = made.truth["cell"].read() > 0
    where = [np.flatnonzero(cell.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    roi = Roi(
        start=tuple(int(w[0]) - m for w, m in zip(where, (2, 15, 15), strict=True)),
        stop=tuple(int(w[-1]) + 1 + m for w, m in zip(where, (2, 15, 15), strict=True)),
    ).clip(cell.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NothingFoundWarning)
        result = segment_nucleus(made.image.crop(roi))
    return made.truth["nucleus"].crop(roi).read(), result


def per_slice(truth, mask):
    return np.array([jaccard(a, b) for a, b in zip(truth, mask, strict=True)])


def holes(plane):
    return ndimage.label(ndimage.binary_fill_holes(plane) & ~plane)[1]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("plain", 0.96),
        ("pole_islands", 0.94),
        ("invagination_in_plane", 0.93),
        ("invagination_z", 0.94),
        ("through_hole", 0.96),
        ("through_hole_in_plane", 0.95),
        ("damaged_slices", 0.95),
    ],
)
def test_one_nucleus_is_found(name, least):
    truth, result = found(name)
    assert jaccard(truth == 1, result.nucleus) > least
    assert result.nuclei.max() == 1, "nothing else looks like a nucleus"


def test_islands_are_found_at_both_poles():
    truth, result = found("pole_islands")
    there = np.flatnonzero(truth.any(axis=(1, 2)))
    n = [ndimage.label(plane)[1] for plane in result.nucleus]
    assert max(n[z] for z in there[:5]) >= 3
    assert max(n[z] for z in there[-5:]) >= 3


def test_a_channel_along_z_stays_open_in_every_slice_that_shows_it():
    truth, result = found("through_hole")
    ringed = [z for z, plane in enumerate(truth) if holes(plane)]
    kept = [z for z in ringed if holes(result.nucleus[z])]
    assert len(kept) >= 0.85 * len(ringed)


def test_an_invagination_along_z_is_a_hole_in_slices():
    truth, result = found("invagination_z")
    ringed = [z for z, plane in enumerate(truth) if holes(plane)]
    kept = [z for z in ringed if holes(result.nucleus[z])]
    assert len(kept) >= 0.7 * len(ringed)


def test_a_channel_in_the_plane_parts_the_slices_that_it_crosses():
    truth, result = found("through_hole_in_plane")
    parted = [z for z, plane in enumerate(truth) if ndimage.label(plane)[1] == 2]
    # The outermost two graze the wall of the channel: nothing there shows it.
    clear = parted[1:-1]
    assert len(clear) >= 5
    assert all(ndimage.label(result.nucleus[z])[1] >= 2 for z in clear)


@pytest.mark.parametrize("name", ["two_cells", "binucleate"])
def test_two_nuclei_are_two_instances(name):
    truth, result = found(name)
    parts = ndimage.label(truth > 0)[0]
    assert parts.max() == result.nuclei.max() == 2
    names = set()
    for k in (1, 2):
        inside = np.bincount(result.nuclei[parts == k], minlength=3)
        inside[0] = 0
        names.add(int(inside.argmax()))
        assert jaccard(parts == k, result.nuclei == inside.argmax()) > 0.93
    assert names == {1, 2}


def test_a_mitotic_cell_has_no_nucleus():
    truth, result = found("mitotic")
    assert not truth.any()
    assert not result.found
    assert not result.nuclei.any()
    assert set(result.confidence) == {0.0}


def test_damaged_slices_are_bridged_or_followed():
    truth, result = found("damaged_slices")
    held = truth.any(axis=(1, 2))
    likeness = per_slice(truth == 1, result.nucleus)
    assert likeness[held][3:-3].min() > 0.85
    for z, event in enumerate(result.events):
        if held[z] and event in {"bridged", "blank"}:
            assert result.confidence[z] == 0.0


def test_an_unclear_picture_is_told_as_such():
    _, result = found("low_contrast")
    assert result.mean_confidence < UNCERTAIN
    assert found("plain")[1].mean_confidence > UNCERTAIN
