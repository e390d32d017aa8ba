"""The unsupervised method on real slices with ground truth, defaults only."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.volume import Volume
from helaseg.execution import make_executor
from helaseg.pipelines.classical import segment

RUNS = ((1, 2, 4), range(26, 36, 2), range(56, 66, 2), range(110, 122, 2), range(146, 156, 2))


def stack(folder, numbers) -> Volume:
    data = np.stack([tifffile.imread(folder / "raw" / f"z{n:04d}.tif") for n in numbers])
    grid = Grid(shape=data.shape, voxel_size_nm=(100, 10, 10))
    return Volume(data=data, grid=grid, slice_numbers=tuple(numbers))


@pytest.fixture(scope="module")
def results(real_data):
    folder = real_data / "roi_6005_4739"
    found = {}
    for numbers in RUNS:
        with make_executor("threads:2") as executor:
            result = segment(stack(folder, numbers), executor=executor)
        for z, number in enumerate(numbers):
            found[number] = (result, z)
    return folder, found


def jaccard(truth, mask, considered=None):
    if considered is not None:
        truth, mask = truth & considered, mask & considered
    return np.count_nonzero(truth & mask) / np.count_nonzero(truth | mask)


@pytest.mark.real
@pytest.mark.parametrize("number", [60, 116])
def test_central_nucleus(results, number):
    folder, found = results
    result, z = found[number]
    truth = tifffile.imread(folder / "truth" / f"nucleus_z{number:04d}.tif") > 0
    assert jaccard(truth, result.nucleus.slice(z) != 0) >= 0.96


@pytest.mark.real
@pytest.mark.parametrize("number", [60, 116])
def test_central_cell_outside_the_doubt_mask(results, number):
    folder, found = results
    result, z = found[number]
    truth = tifffile.imread(folder / "truth" / f"cell_z{number:04d}.tif") > 0
    doubt = tifffile.imread(folder / "truth" / f"cell_doubt_z{number:04d}.tif") > 0
    assert jaccard(truth, result.cell.slice(z) != 0, ~doubt) >= 0.96


@pytest.mark.real
def test_every_slice_has_one_plausible_nucleus_and_cell(results):
    _, found = results
    assert len(found) == 24
    for number, (result, z) in found.items():
        record = result.slices[z]
        assert record.event in {"seed", "followed"}, number
        # The nucleus shrinks from 61 to 19 µm² over these slices, the cell from 150 to 90.
        assert 15 < record.nucleus_um2 < 65, number
        assert 80 < record.cell_um2 < 170, number
        assert record.confidence > 0.8, number


@pytest.mark.real
def test_close_slices_agree_as_far_as_the_cell_changes(results):
    _, found = results
    for a, b in ((26, 28), (60, 62), (114, 116), (150, 152)):
        one, two = (found[n][0].nucleus.slice(found[n][1]) != 0 for n in (a, b))
        assert jaccard(one, two) > 0.9, (a, b)


@pytest.mark.real
@pytest.mark.parametrize("number", [60, 116])
def test_one_slice_alone_is_enough_for_the_cell(real_data, number):
    folder = real_data / "roi_6005_4739"
    result = segment(stack(folder, (number,)))
    truth = tifffile.imread(folder / "truth" / f"cell_z{number:04d}.tif") > 0
    sure = tifffile.imread(folder / "truth" / f"cell_doubt_z{number:04d}.tif") == 0
    assert jaccard(truth, result.cell.slice(0) != 0, sure) >= 0.975


@pytest.mark.real
def test_a_blank_slice_costs_the_others_nothing(results, real_data):
    _, found = results
    usual, _ = found[56]
    intact = stack(real_data / "roi_6005_4739", RUNS[2])
    data = intact.read().copy()
    data[3] = 0
    result = segment(Volume(data=data, grid=intact.grid))
    for z in (0, 1, 2, 4):
        for name in ("cell", "nucleus"):
            mine, other = (getattr(r, name).slice(z) != 0 for r in (result, usual))
            assert jaccard(mine, other) > 0.97
    assert CellFlag.LOW_CONFIDENCE not in result.flags
