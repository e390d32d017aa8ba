"""Crops that overlap, each segmented for itself: they agree, and pasting is exclusive."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.core.grid import Roi
from helaseg.core.objects import CellFlag
from helaseg.core.results import SegmentationResult
from helaseg.io import CellRow
from helaseg.pipelines.classical import segment
from helaseg.pipelines.paste import Piece, paste_slab
from helaseg.synthetic import Phantom, make_phantom

IDS = (1, 2, 3)


@pytest.fixture(scope="module")
def clump() -> Phantom:
    """Cells membrane to membrane, with the noise that joined 10 nm pixels have."""
    return make_phantom(
        shape=(40, 440, 440), voxel_size_nm=(50, 20, 20), n_cells=4, packing=1.0, noise=0.5, seed=4
    )


def row_of(clump: Phantom, cell: int) -> CellRow:
    """The crop of a cell: it, and 1 µm around it in the slice."""
    places = np.nonzero(clump.truth["cell"].read() == cell)
    margin = (10, 50, 50)
    start = tuple(int(p.min()) - m for p, m in zip(places, margin, strict=True))
    stop = tuple(int(p.max()) + 1 + m for p, m in zip(places, margin, strict=True))
    roi = Roi(start=start, stop=stop).clip(clump.image.shape)
    found = clump.cells[cell - 1]
    return CellRow(
        id=cell,
        centroid_vx=found.centroid_vx,
        centroid_nm=found.centroid_nm,
        radius_nm=found.radius_nm,
        first_slice=roi.start[0],
        last_slice=roi.stop[0] - 1,
        flags=CellFlag.NONE,
        roi=roi,
    )


@pytest.fixture(scope="module")
def results(clump: Phantom) -> dict[int, tuple[CellRow, SegmentationResult]]:
    found = {}
    for cell in IDS:
        row = row_of(clump, cell)
        target = tuple(c - s for c, s in zip(row.centroid_vx, row.roi.start, strict=True))
        found[cell] = (row, segment(clump.image.crop(row.roi), target_vx=target))
    return found


def names_of(clump: Phantom, row: CellRow, result: SegmentationResult) -> np.ndarray:
    """Cells of a crop under the numbers of the true cells that they mostly are."""
    truth = clump.truth["cell"].crop(row.roi).read()
    cells = result.cells.read()
    name = np.zeros(int(cells.max()) + 1, int)
    for number in range(1, len(name)):
        inside = np.bincount(truth[cells == number], minlength=1)
        inside[0] = 0
        name[number] = inside.argmax()
    return name[cells]


@pytest.mark.parametrize(("a", "b"), [(1, 2), (1, 3), (2, 3)])
def test_overlapping_crops_agree(clump, results, a, b):
    (row_a, found_a), (row_b, found_b) = results[a], results[b]
    overlap = row_a.roi.intersect(row_b.roi)
    parts = []
    for row, found in ((row_a, found_a), (row_b, found_b)):
        local = overlap.shift([-s for s in row.roi.start]).slices
        names = names_of(clump, row, found)[local]
        parts.append(np.where(np.isin(names, (a, b)), names, 0))
    called = (parts[0] > 0) | (parts[1] > 0)
    assert np.count_nonzero(called) > 50_000
    assert (parts[0] == parts[1])[called].mean() >= 0.95


def test_pasted_cells_are_exclusive_and_right(clump, results):
    pieces = [
        Piece(
            cell=row,
            roi=row.roi,
            mask=found.cell,
            nucleus=found.nucleus,
            confidence=found.cell_confidence,
        )
        for row, found in results.values()
    ]
    slab = paste_slab(pieces, clump.image.grid.roi)
    pasted, nuclei = slab.cell, slab.nucleus
    again = paste_slab(pieces[::-1], clump.image.grid.roi).cell
    np.testing.assert_array_equal(pasted, again)
    claims = np.zeros(pasted.shape, np.uint8)
    truth = clump.truth["cell"].read()
    for piece in pieces:
        mine = piece.mask.read() != 0
        claims[piece.roi.slices] += mine
        # What is pasted under a number was claimed for it.
        assert not ((pasted[piece.roi.slices] == piece.cell.id) & ~mine).any()
        both = (pasted == piece.cell.id) & (truth == piece.cell.id)
        either = (pasted == piece.cell.id) | (truth == piece.cell.id)
        assert both.sum() / either.sum() > 0.93
    np.testing.assert_array_equal(pasted > 0, claims > 0)
    # Before pasting hardly anything was claimed twice.
    assert (claims > 1).sum() < 0.02 * (claims > 0).sum()
    assert set(np.unique(nuclei)) == {0, *IDS}
