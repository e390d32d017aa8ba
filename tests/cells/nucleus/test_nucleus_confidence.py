"""Confidence: what it counts, and that it is low where the nucleus is wrong."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from helaseg.cells.nucleus.confidence import BESIDE, UNCERTAIN, nucleus_confidence
from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.segment import segment_nucleus
from helaseg.synthetic import make_phantom


def outline(**changes):
    usual = {"line": 1.0, "texture": 0.0, "lightness": 5.0, "contrast": 40.0}
    return SimpleNamespace(**(usual | changes))


def path(outlines, blank=()):
    """A nucleus of equal disks in slices that have an outline."""
    mask = np.zeros((20, 20), bool)
    mask[4:14, 4:14] = True
    usual = {"line": 1.0, "contrast": 40.0, "lightness": 5.0}
    return SimpleNamespace(
        outlines=outlines,
        mask=lambda z: mask & (outlines[z] is not None),
        usual=usual.__getitem__,
        config=NucleusConfig(),
        evidence=SimpleNamespace(blank=[z in blank for z in range(len(outlines))]),
    )


def test_a_clear_nucleus_is_sure_and_what_is_far_from_it_too():
    found = nucleus_confidence(path([None, None, *[outline()] * 3, None, None]))
    assert found[3] == 1.0
    assert found[0] == found[6] == 1.0
    assert found[1] == found[5] == BESIDE
    # Its last slice is like its neighbour on one side only.
    assert found[2] == found[4] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"line": 0.8}, 1.1 * 0.2),
        ({"texture": 0.1}, 0.5 * 0.1),
        ({"lightness": -15.0}, 0.1 * 20 / 40),
        ({"lightness": 20.0}, 0.0),
    ],
)
def test_each_doubt_takes_its_part(change, lost):
    found = nucleus_confidence(path([outline(), outline(**change), outline()]))
    assert found[1] == pytest.approx(1 - lost)


def test_what_was_not_seen_has_no_confidence():
    seen = path([outline(), outline(), outline()])
    seen.outlines[1] = None
    seen.mask = lambda z: np.ones((5, 5), bool)
    assert nucleus_confidence(seen)[1] == 0.0
    assert nucleus_confidence(path([None] * 4)) == (0.0,) * 4
    assert nucleus_confidence(path([outline()] * 3, blank=[1]))[1] == 0.0


def test_uncertain_slices_hold_most_of_the_errors(phantom):
    """On a noisy phantom of another seed than those the weights are from."""
    made = make_phantom(
        shape=(32, 460, 460), voxel_size_nm=(50, 20, 20), n_cells=2, n_border_cells=0, seed=77
    )
    wrong = flagged = both = n = 0
    for cell in made.cells:
        truth = made.truth["nucleus"].read() == cell.id
        result = segment_nucleus(made.image, target_vx=cell.centroid_vx)
        for z, confidence in enumerate(result.confidence):
            if truth[z].any() or result.nucleus[z].any():
                bad = jaccard(truth[z], result.nucleus[z]) < 0.9
                low = confidence < UNCERTAIN
                n, wrong, flagged, both = n + 1, wrong + bad, flagged + low, both + (bad and low)
    assert wrong >= 4
    assert both > 0.6 * wrong
    assert flagged - both < 0.2 * n
