"""Cells that touch: their membranes part them, with or without resin around them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from helaseg.cells.membrane.competition import compete
from helaseg.cells.membrane.config import CompetitionConfig
from helaseg.cells.membrane.segment import label_cells
from helaseg.cells.nucleus.evidence import NOISE_RIDGE, MembraneEvidence
from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.segment import NucleusResult
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.image.noise import line_noise
from helaseg.image.ridges import oriented_dark_ridges

SHAPE, SIZE = (24, 200, 300), (50.0, 20.0, 20.0)


@dataclasses.dataclass(frozen=True)
class Contact:
    """Two cells in contact, and what they look like."""

    cells: np.ndarray
    nuclei: np.ndarray
    grey: np.ndarray


def make_contact(*, depth: float = 34.0, two_lines: bool = False, resin: bool = True) -> Contact:
    """Two cells, 5.5 x 3.5 x 1.2 µm in all, pressed together along a wavy wall."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    wall = 150 + 14 * np.sin(y / 18 + z / 6) - x  # positive in cell 1
    cells = np.where(wall > 0, 1, 2).astype(np.uint8)
    inside = ((y - 100) / 88) ** 2 + ((x - 150) / 138) ** 2 < 1
    if resin:
        cells[~np.broadcast_to(inside, SHAPE)] = 0
    # Nuclei far from the middle of their cells: distance alone would part them wrongly.
    nuclei = np.zeros(SHAPE, np.uint8)
    for number, centre, radius in ((1, (12, 100, 62), 36), (2, (12, 90, 206), 32)):
        ball = sum(((a - c) * s / 20) ** 2 for a, c, s in zip((z, y, x), centre, SIZE, strict=True))
        nuclei[ball < radius**2] = number
    tangle, there = (
        ndimage.zoom(rng.standard_normal(n), [a / b for a, b in zip(SHAPE, n, strict=True)])
        for n in ((10, 20, 30), (6, 10, 15))
    )
    grey = np.empty(SHAPE, np.float32)
    for k in range(SHAPE[0]):
        plane = np.full(SHAPE[1:], 147.0)
        slope = np.hypot(*np.gradient(tangle[k])) + 1e-3
        # Endoplasmic reticulum as dark as a membrane, in pieces.
        sheet = np.exp(-0.5 * (tangle[k] / slope) ** 2) * (nuclei[k] == 0)
        plane -= 36 * sheet * (there[k] > 0)
        edges = ndimage.distance_transform_edt(cells[k] == 1) + ndimage.distance_transform_edt(
            cells[k] != 1
        )
        near = (cells[k] > 0) & ndimage.binary_dilation(cells[k] == 2, iterations=4)
        offset = 1.0 if two_lines else 0.0
        plane -= depth * np.exp(-0.5 * ((edges - 0.5 - offset) / 0.8) ** 2) * near
        for number in (1, 2):
            border = nuclei[k] == number
            rim = ndimage.binary_dilation(border) & ~ndimage.binary_erosion(border)
            plane[rim] = 113
        plane[cells[k] == 0] = 201
        grey[k] = ndimage.gaussian_filter(plane + rng.normal(0, 6, plane.shape), 0.6)
    return Contact(cells=cells, nuclei=nuclei, grey=grey)


def evidence_of(
    contact: Contact, *, nuclei: np.ndarray | None = None
) -> tuple[MembraneEvidence, NucleusResult]:
    """What the steps before would hand over, with the true nuclei and resin."""
    ridge = np.empty(SHAPE, np.uint8)
    for k, plane in enumerate(contact.grey):
        line = oriented_dark_ridges(plane, sigma_px=45 / 20, length_px=120 / 20)
        ridge[k] = np.minimum(line * (NOISE_RIDGE / line_noise(line)), 255)
    grid = Grid(shape=SHAPE, voxel_size_nm=SIZE)
    evidence = MembraneEvidence(grid=grid, ridge=ridge, resin=contact.cells == 0)
    return evidence, NucleusResult(
        grid=grid,
        crop_grid=grid,
        factor=1,
        nuclei=contact.nuclei if nuclei is None else nuclei,
        confidence=(1.0,) * SHAPE[0],
        events=("followed",) * SHAPE[0],
        seed_slice=12,
        resin_threshold=175.0,
        target_vx=(12.0, 100.0, 62.0),
    )


@pytest.mark.parametrize(
    "look",
    [{}, {"depth": 28.0}, {"depth": 50.0}, {"two_lines": True}, {"resin": False}],
    ids=["plain", "faint", "dark", "two lines", "no resin"],
)
def test_membranes_part_touching_cells(look):
    contact = make_contact(**look)
    result = label_cells(*evidence_of(contact))
    for number in (1, 2):
        assert jaccard(result.cells == number, contact.cells == number) > 0.97
    assert not (result.cells[contact.cells == 0]).any()
    assert (CellFlag.LITTLE_RESIN in result.flags) == (look == {"resin": False})


def test_distance_alone_would_not():
    contact = make_contact()
    nuclei, cells = contact.nuclei, contact.cells
    far = [ndimage.distance_transform_edt(nuclei != k, sampling=SIZE) for k in (1, 2)]
    nearest = np.where(far[0] < far[1], 1, 2)
    assert jaccard((nearest == 1) & (cells > 0), cells == 1) < 0.9


def test_a_cell_without_nucleus_is_still_a_cell():
    contact = make_contact()
    lost = np.where(contact.nuclei == 2, 0, contact.nuclei)
    # Twice as large, so that either piece could be a cell by its volume.
    grid = Grid(shape=SHAPE, voxel_size_nm=(100.0, 40.0, 40.0))
    evidence, nuclei = evidence_of(contact, nuclei=lost)
    nuclei = dataclasses.replace(nuclei, grid=grid)
    found = compete(contact.cells > 0, evidence.ridge, nuclei, CompetitionConfig())
    factors = found.factors
    truth = contact.cells[tuple(slice(f // 2, None, f) for f in factors)]
    own = found.cells[tuple(slice(0, n) for n in truth.shape)]
    inside = own > 0
    assert jaccard((own == 1) & inside, (truth == 1) & inside) > 0.9
    assert (own[truth == 2] == 2).mean() > 0.9


def test_numbers_of_the_other_nuclei_do_not_matter():
    contact = make_contact()
    evidence, nuclei = evidence_of(contact)
    renumbered = np.where(contact.nuclei == 2, 7, contact.nuclei).astype(np.uint8)
    config = CompetitionConfig()
    first = compete(contact.cells > 0, evidence.ridge, nuclei, config)
    _, others = evidence_of(contact, nuclei=renumbered)
    again = compete(contact.cells > 0, evidence.ridge, others, config)
    np.testing.assert_array_equal(first.cells, again.cells)
    assert first.of_nucleus.tolist() == [0, 1, 2]
    assert again.of_nucleus.tolist() == [0, 1, 0, 0, 0, 0, 0, 2]


def test_mirrored_cells_mirror():
    contact = make_contact()
    evidence, nuclei = evidence_of(contact)
    flipped = (
        dataclasses.replace(
            evidence,
            resin=evidence.resin[:, ::-1].copy(),
            ridge=evidence.ridge[:, ::-1].copy(),
        ),
        dataclasses.replace(nuclei, nuclei=nuclei.nuclei[:, ::-1].copy()),
    )
    one, other = label_cells(evidence, nuclei).cells, label_cells(*flipped).cells[:, ::-1]
    assert (one == other).mean() > 0.995


def test_doubt_lies_at_the_contact():
    contact = make_contact(depth=28.0)
    result = label_cells(*evidence_of(contact))
    wrong = total = doubted = sure = 0
    for z in range(SHAPE[0]):
        second, confidence = result.doubt(z)
        own, truth = result.cells[z], contact.cells[z]
        assert (second[own == 0] == 0).all()
        assert not (second == own)[own > 0].any()
        assert set(np.unique(second)) <= {0, 1, 2}
        assert (confidence[truth == 0] == 0).all()
        missed = (own != truth) & (own > 0)
        wrong += np.count_nonzero(missed)
        total += np.count_nonzero(own)
        doubted += np.count_nonzero(missed & (second == truth))
        sure += np.count_nonzero((confidence == 100) & ~missed & (own > 0))
    assert doubted > 0.6 * wrong
    assert sure > 0.7 * total
    assert 0.8 < result.confidence_of(1) <= 1.0
    assert np.isnan(result.confidence_of(9))


def test_sampled_doubt_is_the_doubt_of_the_middle_of_each_voxel():
    result = label_cells(*evidence_of(make_contact()))
    second, confidence, grid = result.sampled_doubt()
    assert grid.shape == second.shape == confidence.shape == (12, 67, 100)
    assert grid.voxel_size_nm == (100.0, 60.0, 60.0)
    fine_second, fine_confidence = result.doubt(2 * 5 + 1)
    np.testing.assert_array_equal(second[5, :66], fine_second[1::3, 1::3][:66])
    np.testing.assert_array_equal(confidence[5, :66], fine_confidence[1::3, 1::3][:66])
