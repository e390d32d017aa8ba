"""Places where crops do not fit together: each kind alone, ranked, whatever the slabs."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.seams import SeamTally
from helaseg.core.grid import Grid, Roi

GRID = Grid(shape=(30, 60, 80), voxel_size_nm=(50, 10, 20))


def ball(centre, radius):
    """A ball in voxels."""
    return (
        sum((g - c) ** 2 for g, c in zip(np.indices(GRID.shape), centre, strict=True)) <= radius**2
    )


def tally(labels, rois, centroids, contested=None, *, depth=30):
    found = SeamTally(rois, centroids, GRID)
    for z in range(0, GRID.shape[0], depth):
        slab = Roi(start=(z, 0, 0), stop=(min(z + depth, GRID.shape[0]), *GRID.shape[1:]))
        found.add(
            slab, labels[slab.slices].astype(np.uint16), contested if z == 0 and contested else {}
        )
    return found.seams()


def box(*start_stop):
    return Roi(start=start_stop[:3], stop=start_stop[3:])


def test_a_round_cell_in_a_wide_crop_has_no_seam():
    labels = ball((15, 30, 40), 10).astype(int)
    assert tally(labels, {1: box(2, 10, 20, 28, 50, 60)}, {1: (15.0, 30.0, 40.0)}) == []


@pytest.mark.parametrize("depth", [30, 8, 1])
def test_a_cell_cut_by_its_crop_is_told_with_place_and_area(depth):
    labels = ball((15, 30, 40), 10).astype(int)
    labels[:, :, 44:] = 0
    roi = box(2, 10, 20, 28, 50, 44)
    (seam,) = tally(labels, {1: roi}, {1: (15.0, 30.0, 40.0)}, depth=depth)
    assert (seam.kind, seam.cell, seam.other) == ("border_cut", 1, 0)
    assert seam.position_vx == pytest.approx((15.0, 30.0, 43.0))
    n = np.count_nonzero(labels[:, :, 43])
    assert f"last column of its crop on {n * 50 * 10 / 1e6:.2f} µm²" in seam.text
    widest = np.count_nonzero(labels == 1, axis=(1, 2)).max()
    assert seam.severity == pytest.approx(min(1.0, n * 50 * 10 / (widest * 10 * 20)))


def test_the_faces_of_the_volume_are_no_seams():
    labels = ball((0, 30, 79), 12).astype(int)
    roi = box(0, 10, 60, 20, 50, 80)
    assert tally(labels, {1: roi}, {1: (3.0, 30.0, 75.0)}) == []


def test_cells_that_claim_the_same_and_cells_that_are_gone():
    labels = ball((15, 30, 40), 10).astype(int)
    whole = box(0, 0, 0, 30, 60, 80)
    n = labels.sum()
    contested = {(1, 2): (int(n // 2), np.array([15.0, 30.0, 40.0]) * (n // 2))}
    seams = tally(
        labels, {1: whole, 2: whole}, {1: (15.0, 30.0, 40.0), 2: (14.0, 28.0, 40.0)}, contested
    )
    # The second has no voxel at all: all of it is shared, and where it was found is the first.
    assert [(s.kind, s.cell, s.other) for s in seams] == [("duplicate", 1, 2), ("merge", 2, 1)]
    assert seams[0].severity == 1.0
    assert seams[0].position_vx == pytest.approx((15.0, 30.0, 40.0))
    um3 = (n // 2) * 50 * 10 * 20 / 1e9
    assert f"{um3:.2f} µm³" in seams[0].text


def test_a_section_that_comes_and_goes_is_flicker_a_pole_is_none():
    labels = ball((15, 30, 40), 10).astype(int)
    labels[17, :, 41:] = 0
    labels[17, 30:] = 0
    (seam,) = tally(labels, {1: box(0, 0, 0, 30, 60, 80)}, {1: (15.0, 30.0, 40.0)})
    assert seam.kind == "z_flicker"
    assert seam.position_vx[0] == 17.0
    assert 0.3 < seam.severity <= 1.0
    assert "between sections of" in seam.text


def test_the_worst_come_first():
    labels = ball((15, 30, 20), 8).astype(int) + 2 * ball((15, 30, 60), 8)
    labels[16] *= labels[16] == 2
    labels[:, :, 64:] = 0
    rois = {1: box(0, 0, 0, 30, 60, 40), 2: box(0, 0, 40, 30, 60, 64)}
    seams = tally(labels, rois, {1: (15.0, 30.0, 20.0), 2: (15.0, 30.0, 60.0)})
    severities = [s.severity for s in seams]
    assert severities == sorted(severities, reverse=True)
    assert {s.kind for s in seams} == {"z_flicker", "border_cut"}
    assert tally(np.zeros(GRID.shape, int), {}, {}) == []
