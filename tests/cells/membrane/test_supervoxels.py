"""Supervoxels, and the dark lines on their contacts."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.membrane.config import CompetitionConfig
from helaseg.cells.membrane.supervoxels import (
    Lines,
    find_contacts,
    find_supervoxels,
    measure_lines,
)

SPACING = (100.0, 60.0, 60.0)
LINES = Lines(noise=20.0, membrane=100.0)


def test_a_line_parts_supervoxels_and_a_nucleus_is_one():
    ridge = np.zeros((4, 30, 40), np.uint8)
    ridge[:, :, 20] = 120
    ridge[:, 15, :20] = 80  # inside the nucleus
    solid = np.ones(ridge.shape, bool)
    solid[:, :, -3:] = False
    nuclei = np.zeros(ridge.shape, np.int32)
    nuclei[1:3, 5:25, 3:16] = 1
    found, count = find_supervoxels(ridge, solid, nuclei, spacing_nm=SPACING, smooth_nm=20.0)
    assert (found[nuclei == 1] == 1).all()
    assert not found[~solid].any()
    assert (found[solid] > 0).all()
    assert count == found.max()
    left, right = set(np.unique(found[:, :, :20])), set(np.unique(found[:, :, 21:-3]))
    assert not left & right


def test_contacts_agree_with_counting_faces(rng):
    labels = rng.integers(0, 6, (4, 9, 8)).astype(np.int32)
    ridge = rng.integers(0, 200, labels.shape).astype(np.uint8)
    config = CompetitionConfig()
    contacts = find_contacts(labels, ridge, LINES, config, n_nuclei=2, spacing_nm=SPACING)
    faces = {0: 60 * 60 / 1e6, 1: 100 * 60 / 1e6, 2: 100 * 60 / 1e6}
    expected: dict[tuple[int, int], np.ndarray] = {}
    for place in np.ndindex(*labels.shape):
        for axis in range(3):
            other = tuple(p + (k == axis) for k, p in enumerate(place))
            if other[axis] == labels.shape[axis]:
                continue
            a, b = sorted((int(labels[place]), int(labels[other])))
            if a == b or a == 0:
                continue
            line = 0.0 if a <= 2 else float(max(ridge[place], ridge[other]))
            open_ = float(LINES.open_share(line, line_share=0.7, leak=0.03))
            values = faces[axis] * np.array([1.0, a <= 2, line, open_])
            expected[a, b] = expected.get((a, b), np.zeros(4)) + values
    assert [tuple(p) for p in contacts.pairs.tolist()] == sorted(expected)
    columns = ("area_um2", "envelope_um2", "line_um2", "open_um2")
    measured = np.stack([getattr(contacts, name) for name in columns], axis=1)
    np.testing.assert_allclose(measured, [expected[k] for k in sorted(expected)], rtol=1e-12)


def test_without_any_contact_there_are_none():
    labels = np.zeros((2, 5, 5), np.int32)
    labels[:, 1, 1] = 3
    none = find_contacts(
        labels, np.zeros(labels.shape, np.uint8), LINES, CompetitionConfig(),
        n_nuclei=0, spacing_nm=SPACING,
    )  # fmt: skip
    assert none.pairs.shape == (0, 2)
    assert none.area_um2.size == none.line_um2.size == none.open_um2.size == 0


def test_what_a_line_leaves_open():
    open_ = LINES.open_share([0, 20, 20 + 0.5 * 80, 255], line_share=0.5, leak=0.1)
    np.testing.assert_allclose(open_, [1.0, 1.0, 0.1 + 0.9 / np.e, 0.1], atol=1e-3)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_strength_is_measured_on_the_envelope(rng, factor):
    # Membranes may be weaker or stronger: the measure follows.
    ridge = (20 * factor * rng.random((6, 40, 40))).astype(np.uint8)
    nuclei = np.zeros(ridge.shape, np.int32)
    nuclei[1:5, 10:30, 10:30] = 1
    ridge[1:5, 9, 9:31] = ridge[1:5, 30, 9:31] = int(100 * factor)
    ridge[1:5, 9:31, 9] = ridge[1:5, 9:31, 30] = int(100 * factor)
    lines = measure_lines(ridge, np.ones(ridge.shape, bool), nuclei)
    assert lines.membrane == pytest.approx(100 * factor, abs=1)
    assert lines.noise == pytest.approx(18 * factor, abs=1)


def test_lines_without_nuclei_or_cells():
    solid = np.ones((3, 50, 50), bool)
    ridge = np.full(solid.shape, 10, np.uint8)
    ridge[:, :, ::10] = 90
    none = np.zeros(solid.shape, np.int32)
    lines = measure_lines(ridge, solid, none)
    assert (lines.noise, lines.membrane) == (10.0, 90.0)
    empty = measure_lines(ridge, ~solid, none)
    assert empty.membrane > empty.noise
