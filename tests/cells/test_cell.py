"""The whole cell and what is made of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helaseg.cells.assemble import segment_cell
from helaseg.cells.cell import CellConfig, label_cells
from helaseg.cells.nucleus import segment_nucleus
from helaseg.cells.nucleus_slice import jaccard
from helaseg.cells.shape import centroid_nm, measure_cell, surface_area_um2
from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag
from helaseg.errors import GridMismatchError, ParameterError
from helaseg.execution import make_executor


@pytest.fixture(scope="module")
def found(crop_of):
    crop, cell, nucleus = crop_of(1)
    kernel = segment_nucleus(crop)
    return crop, cell, nucleus, kernel, segment_cell(crop, kernel)


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


def test_workers_do_not_matter(found):
    _, _, _, kernel, result = found
    with make_executor("threads:3") as executor:
        again = label_cells(kernel, executor=executor)
    np.testing.assert_array_equal(again.cells, label_cells(kernel).cells)
    cell = (again.cells == 1) | (result.nucleus.read() != 0)
    np.testing.assert_array_equal(cell, result.cell.read() != 0)


def test_lazy_images_index_like_arrays(found):
    _, _, _, _, result = found
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


def test_crop_cuts_are_flagged(found):
    _, _, _, kernel, result = found
    assert CellFlag.CUT_AT_LAST_SLICE not in result.flags
    n = kernel.grid.shape[0]
    keep = slice(n // 2, n)
    half = dataclasses.replace(
        kernel,
        nuclei=kernel.nuclei[keep],
        resin=kernel.resin[keep],
        ridge=kernel.ridge[keep],
        grid=dataclasses.replace(kernel.grid, shape=(n - n // 2, *kernel.grid.shape[1:])),
    )
    assert CellFlag.CUT_AT_FIRST_SLICE in label_cells(half).flags


def test_nothing_found_gives_empty_images_and_a_flag(found):
    _, _, _, kernel, _ = found
    lost = dataclasses.replace(
        kernel,
        nuclei=np.zeros_like(kernel.nuclei),
        resin=np.ones_like(kernel.resin),
        seed_slice=-1,
    )
    cells = label_cells(lost)
    assert not cells.cells.any()
    assert CellFlag.NO_NUCLEUS in cells.flags


def test_crop_without_resin_is_flagged(found):
    _, _, _, kernel, _ = found
    full = dataclasses.replace(kernel, resin=np.zeros_like(kernel.resin))
    assert CellFlag.LITTLE_RESIN in label_cells(full).flags


def test_vacuoles_belong_to_the_cell_but_pockets_at_its_rim_do_not(found):
    _, _, _, kernel, _ = found
    resin = np.ones((1, 200, 200), bool)
    resin[0, 20:180, 20:180] = False  # a square cell of 3.2 µm
    resin[0, 95:105, 60:70] = True  # 800 nm from the outside
    resin[0, 95:105, 22:26] = True  # 40 nm from the outside
    grid = Grid(shape=resin.shape, voxel_size_nm=(100, 20, 20))
    nucleus = np.zeros(resin.shape, np.uint8)
    nucleus[0, 90:110, 90:130] = 1
    square = dataclasses.replace(
        kernel,
        grid=grid,
        crop_grid=grid,
        nuclei=nucleus,
        resin=resin,
        ridge=np.zeros_like(nucleus),
    )
    cell = label_cells(square).cells[0] == 1
    assert cell[100, 65]
    assert not cell[100, 24]


def test_detached_pieces_follow_the_reach(found):
    _, _, _, kernel, _ = found
    # A filopodium leaves the cell in slice 1 and is seen alone in slices 0 and 2.
    resin = np.ones((4, 120, 120), bool)
    resin[:, 20:80, 20:80] = False
    resin[1, 48:53, 80:110] = False
    resin[0, 48:53, 95:100] = False
    resin[2, 48:53, 95:100] = False
    resin[3, 48:53, 95:100] = False
    nucleus = np.zeros(resin.shape, np.uint8)
    nucleus[:, 40:60, 40:60] = 1

    def at(reach_nm: float) -> list[bool]:
        grid = Grid(shape=resin.shape, voxel_size_nm=(50, 20, 20))
        square = dataclasses.replace(
            kernel,
            grid=grid,
            crop_grid=grid,
            nuclei=nucleus,
            resin=resin,
            ridge=np.zeros_like(nucleus),
        )
        config = CellConfig(detached_reach_nm=reach_nm, coarse_slice_nm=50)
        return [bool(c) for c in label_cells(square, config=config).cells[:, 50, 97] == 1]

    assert at(0.0) == [False, True, False, False]
    assert at(50.0) == [True, True, True, False]
    assert at(100.0) == [True, True, True, True]


def test_nucleus_of_another_crop_is_refused(found, crop_of):
    _, _, _, kernel, _ = found
    other, _, _ = crop_of(2)
    with pytest.raises(GridMismatchError, match="'crop' and 'nucleus' must share one grid"):
        segment_cell(other, kernel)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("neck_ratio", -0.1, "'neck_ratio' must lie between"),
        ("coarse_pixel_nm", 0.0, "'coarse_pixel_nm' must be positive"),
        ("detached_reach_nm", -5.0, "'detached_reach_nm' must be zero or positive"),
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
    measures = measure_cell(kernel, mask, grid)
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
    measures = measure_cell(mask, None, grid)
    assert np.isnan(measures["cell_volume_um3"])
    assert np.isnan(measures["nucleus_to_cell_ratio"])
    assert measures["nucleus_volume_um3"] > 0
