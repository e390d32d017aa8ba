"""The whole cell and what is made of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helaseg.cells.assemble import segment_cell
from helaseg.cells.membrane.segment import CellConfig, label_cells
from helaseg.cells.nucleus.evidence import MembraneEvidence, collect_evidence
from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.segment import segment_nucleus
from helaseg.cells.shape.cut import cut_flags
from helaseg.cells.shape.describe import centroid_nm, describe_cell, surface_area_um2
from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag
from helaseg.errors import GridMismatchError, ParameterError
from helaseg.execution import make_executor
from helaseg.pipelines.classical import segment
from helaseg.synthetic import make_case


@pytest.fixture(scope="module")
def found(crop_of):
    crop, cell, nucleus = crop_of(1)
    kernel = segment_nucleus(crop)
    return crop, cell, nucleus, kernel, segment_cell(crop, kernel)


@pytest.fixture(scope="module")
def evidence(found):
    return collect_evidence(found[0]).membranes


def test_cell_agrees_with_the_truth_of_the_phantom(found):
    _, truth, _, _, result = found
    assert jaccard(result.cell.read() != 0, truth) > 0.9


def test_label_images_agree_with_each_other(found):
    _, _, _, _, result = found
    labels, cell = result.labels.read(), result.cell.read() != 0
    nucleus, cells = result.nucleus.read() != 0, result.cells.read()
    np.testing.assert_array_equal(cells == 1, cell)
    assert not (nucleus & ~cell).any()
    np.testing.assert_array_equal(labels == 1, cell & ~nucleus & (labels != 3))
    np.testing.assert_array_equal(labels == 2, nucleus & (labels != 3))
    assert (labels[cells > 1] == 4).mean() > 0.99


def test_tables_agree_with_the_images(found):
    crop, _, _, _, result = found
    cell, nucleus = result.cell.read(), result.nucleus.read()
    assert [s.cell_px for s in result.slices] == [int(s.sum()) for s in cell]
    assert [s.nucleus_px for s in result.slices] == [int(s.sum()) for s in nucleus]
    volume = crop.grid.voxel_volume_nm3 / 1e9
    assert result.measurements["cell_volume_um3"] == pytest.approx(cell.sum() * volume)
    assert result.measurements["nucleus_volume_um3"] == pytest.approx(nucleus.sum() * volume)


def test_neighbour_has_its_own_number(found, crop_of, phantom):
    crop, _, _, _, result = found
    neighbour = phantom.truth["cell"].read()
    start = np.round(phantom.image.grid.to_vx(crop.grid.offset_nm)).astype(int)
    roi = Roi(start=tuple(start), stop=tuple(start + crop.shape))
    inside = neighbour[roi.slices] == 2
    numbers = np.bincount(result.cells.read()[inside])
    assert numbers[1] < 0.02 * inside.sum()
    assert numbers[2:].max() > 0.8 * inside.sum()


def test_workers_do_not_matter(found, evidence):
    _, _, _, kernel, result = found
    with make_executor("threads:3") as executor:
        again = label_cells(evidence, kernel, executor=executor)
    np.testing.assert_array_equal(again.cells, label_cells(evidence, kernel).cells)
    cell = (again.cells == 1) | (result.nucleus.read() != 0)
    np.testing.assert_array_equal(cell, result.cell.read() != 0)


def test_lazy_images_index_like_arrays(found):
    _, _, _, _, result = found
    assert (np.asarray(result.cell) == np.asarray(result.cell.data)).all()
    assert len(repr(result)) < 5000
    for volume in (result.labels, result.nucleus, result.cell, result.cells):
        whole = volume.read()
        assert whole.dtype == volume.data.dtype
        for index in (
            3,
            -1,
            slice(2, 9, 3),
            (slice(1, 3), slice(5, 40), 7),
            (2, 4, 6),
            slice(0, 0),
        ):
            np.testing.assert_array_equal(volume.data[index], whole[index])


def test_crop_cuts_are_flagged(found, evidence):
    _, _, _, kernel, result = found
    assert CellFlag.CUT_AT_LAST_SLICE not in result.flags
    n = kernel.grid.shape[0]
    keep = slice(n // 2, n)
    grid = dataclasses.replace(kernel.grid, shape=(n - n // 2, *kernel.grid.shape[1:]))
    lower = dataclasses.replace(
        evidence, grid=grid, resin=evidence.resin[keep], ridge=evidence.ridge[keep]
    )
    half = dataclasses.replace(
        kernel,
        nuclei=kernel.nuclei[keep],
        confidence=kernel.confidence[keep],
        events=kernel.events[keep],
        grid=grid,
    )
    assert CellFlag.CUT_AT_FIRST_SLICE in label_cells(lower, half).flags


def test_nothing_found_gives_empty_images_and_a_flag(found, evidence):
    _, _, _, kernel, _ = found
    lost = dataclasses.replace(kernel, nuclei=np.zeros_like(kernel.nuclei), seed_slice=-1)
    empty = dataclasses.replace(evidence, resin=np.ones_like(evidence.resin))
    cells = label_cells(empty, lost)
    assert not cells.cells.any()
    assert CellFlag.NO_NUCLEUS in cells.flags


def test_crop_without_resin_is_flagged(found, evidence):
    _, _, _, kernel, _ = found
    full = dataclasses.replace(evidence, resin=np.zeros_like(evidence.resin))
    assert CellFlag.LITTLE_RESIN in label_cells(full, kernel).flags


def filopodium(kernel, slice_nm: float):
    """A square cell with a filopodium that leaves it in slice 1 and is seen apart in others."""
    resin = np.ones((4, 120, 120), bool)
    resin[:, 20:80, 20:80] = False
    resin[1, 48:53, 80:110] = False
    for z in (0, 2, 3):
        resin[z, 48:53, 95:100] = False
    nucleus = np.zeros(resin.shape, np.uint8)
    nucleus[:, 40:60, 40:60] = 1
    grid = Grid(shape=resin.shape, voxel_size_nm=(slice_nm, 20, 20))
    evidence = MembraneEvidence(grid=grid, ridge=np.zeros_like(nucleus), resin=resin)
    return evidence, dataclasses.replace(
        kernel,
        grid=grid,
        crop_grid=grid,
        nuclei=nucleus,
        confidence=(1.0,) * len(resin),
        events=("followed",) * len(resin),
    )


def test_a_filopodium_belongs_to_the_cell_it_is_connected_with_in_3d(found):
    result = label_cells(*filopodium(found[3], 50))
    assert (result.cells[:, 50, 97] == 1).all()


def test_on_thick_slices_the_target_hangs_together_and_what_was_dropped_is_doubted(found):
    result = label_cells(*filopodium(found[3], 100))
    assert result.cells[1, 50, 85] == 1
    assert not result.cells[[0, 2, 3], 50, 97].any()
    # too thin for the coarse grid: nobody else is in question either
    second, confidence = result.doubt(2)
    assert (second[50, 50], confidence[50, 50]) == (0, 100)
    assert confidence[50, 97] == 0


def test_vacuoles_are_filled(found):
    evidence, nuclei = filopodium(found[3], 50)
    resin = evidence.resin.copy()
    resin[1, 62:66, 48:52] = True
    square = dataclasses.replace(evidence, resin=resin), nuclei
    deep = label_cells(*square, config=CellConfig(vacuole_depth_nm=200.0))
    assert (deep.cells[1, 62:66, 48:52] == 1).all()
    assert deep.solid[1, 62:66, 48:52].all()
    open_ = label_cells(*square, config=CellConfig(vacuole_depth_nm=2000.0))
    assert not open_.cells[1, 62:66, 48:52].any()


def test_nucleus_of_another_crop_is_refused(found, crop_of):
    _, _, _, kernel, _ = found
    other, _, _ = crop_of(2)
    with pytest.raises(GridMismatchError, match="'crop' and 'nucleus' must share one grid"):
        segment_cell(other, kernel)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("min_lobe_fraction", -0.1, "'min_lobe_fraction' must lie between"),
        ("open_resin_um2", 0.0, "'open_resin_um2' must be positive"),
        ("max_link_nm", -5.0, "'max_link_nm' must be zero or positive"),
    ],
)
def test_settings_are_checked_by_name(name, value, message):
    with pytest.raises(ParameterError, match=message):
        CellConfig(**{name: value})


def sphere(radius_nm: float, voxel_nm: tuple[float, float, float]) -> tuple[np.ndarray, Grid]:
    shape = tuple(int(2 * radius_nm / v) + 9 for v in voxel_nm)
    grid = Grid(shape=shape, voxel_size_nm=voxel_nm, offset_nm=(100.0, 200.0, 300.0))
    axes = [(np.arange(n) - n // 2) * v for n, v in zip(shape, voxel_nm, strict=True)]
    z, y, x = np.ix_(*axes)
    return z**2 + y**2 + x**2 <= radius_nm**2, grid


@pytest.mark.parametrize("voxel_nm", [(20, 20, 20), (50, 20, 20), (50, 10, 10), (100, 28, 28)])
def test_surface_of_a_sphere(voxel_nm):
    mask, grid = sphere(1500.0, voxel_nm)
    assert surface_area_um2(mask, grid) == pytest.approx(4 * np.pi * 1.5**2, rel=0.03)


def test_measures_are_physical():
    mask, grid = sphere(1000.0, (50, 20, 20))
    kernel, _ = sphere(500.0, (50, 20, 20))
    pad = [(a - b) // 2 for a, b in zip(mask.shape, kernel.shape, strict=True)]
    kernel = np.pad(
        kernel, [(p, n - m - p) for p, n, m in zip(pad, mask.shape, kernel.shape, strict=True)]
    )
    measures = describe_cell(kernel, mask, grid).measurements
    assert measures["cell_volume_um3"] == pytest.approx(4 / 3 * np.pi, rel=0.02)
    assert measures["nucleus_to_cell_ratio"] == pytest.approx(1 / 8, rel=0.03)
    centre = grid.to_nm([n // 2 for n in mask.shape])
    np.testing.assert_allclose(centroid_nm(mask, grid), centre, atol=1e-6)


def test_cut_faces_are_no_surface():
    mask, grid = sphere(1500.0, (50, 20, 20))
    half = mask[mask.shape[0] // 2 :]
    cut = dataclasses.replace(grid, shape=half.shape)
    assert surface_area_um2(half, cut) == pytest.approx(2 * np.pi * 1.5**2, rel=0.05)


def test_unmeasured_cell_is_nan_not_zero():
    mask, grid = sphere(500.0, (50, 20, 20))
    measures = describe_cell(mask, None, grid).measurements
    assert np.isnan(measures["cell_volume_um3"])
    assert np.isnan(measures["nucleus_to_cell_ratio"])
    assert measures["nucleus_volume_um3"] > 0


def test_a_cell_with_two_nuclei_is_one_cell_and_says_so():
    made = make_case("binucleate")
    result = segment(made.image)
    assert CellFlag.SEVERAL_NUCLEI in result.flags
    truth, found = made.truth["cell"].read() > 0, result.cell.read() > 0
    assert (truth & found).sum() > 0.97 * (truth | found).sum()


def test_a_speck_on_a_side_of_the_crop_does_not_cut_the_cell():
    grid = Grid(shape=(6, 40, 40), voxel_size_nm=(50, 50, 50))
    cells = np.zeros(grid.shape, np.uint8)
    cells[1:5, 5:35, 5:35] = 1
    assert cut_flags(cells, grid) == CellFlag.NONE
    cells[2, 0:5, 20] = 1  # one voxel on the side, of 900 in the widest section
    assert cut_flags(cells, grid) == CellFlag.NONE
    cells[1:5, 0:5, 10:30] = 1
    assert cut_flags(cells, grid) == CellFlag.LEAVES_ROI
    cells[0, 5:35, 5:35] = 1
    assert cut_flags(cells == 1, grid) == CellFlag.LEAVES_ROI | CellFlag.CUT_AT_FIRST_SLICE
