"""The nucleus, slice by slice and through z."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helaseg.cells.nucleus.evidence import collect_evidence
from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.segment import NucleusConfig, follow_nuclei, segment_nucleus
from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.errors import NothingFoundWarning, ParameterError
from helaseg.execution import make_executor


def with_slices(volume: Volume, data: np.ndarray) -> Volume:
    return dataclasses.replace(volume, data=data)


@pytest.fixture(scope="module")
def found(crop_of):
    crop, _, truth = crop_of(1)
    return crop, truth, segment_nucleus(crop)


def test_nucleus_agrees_with_the_truth_of_the_phantom(found):
    _, truth, result = found
    assert jaccard(result.nucleus, truth) > 0.9
    middle = result.seed_slice
    assert result.events[middle] == "seed"
    assert jaccard(result.nucleus[middle], truth[middle]) > 0.95
    # It ends at the poles instead of going on into the cytoplasm.
    outside = ~truth.any(axis=(1, 2))
    assert result.nucleus[outside].sum() < 0.05 * truth.sum()


def test_working_grid_joins_small_pixels(found):
    crop, _, result = found
    assert result.factor == 1
    assert result.grid.shape == crop.shape
    fine = Volume(
        data=np.repeat(np.repeat(crop.read(), 2, axis=1), 2, axis=2),
        grid=Grid(
            shape=(crop.shape[0], 2 * crop.shape[1], 2 * crop.shape[2]), voxel_size_nm=(100, 10, 10)
        ),
    )
    doubled = segment_nucleus(fine)
    assert doubled.factor == 2
    # Joined again they are the same pixels, so the answer is the same.
    np.testing.assert_array_equal(doubled.nucleus, result.nucleus)


def test_transposed_slices_give_the_transposed_nucleus(crop_of, found):
    crop, _, result = found
    grid = Grid(shape=(crop.shape[0], crop.shape[2], crop.shape[1]), voxel_size_nm=(100, 20, 20))
    turned = segment_nucleus(Volume(data=crop.read().transpose(0, 2, 1), grid=grid))
    assert jaccard(turned.nucleus.transpose(0, 2, 1), result.nucleus) > 0.99


@pytest.mark.parametrize("spec", ["serial", "threads:2", "threads:3"])
def test_result_does_not_depend_on_the_workers(found, spec):
    crop, _, result = found
    with make_executor(spec) as executor:
        again = segment_nucleus(crop, executor=executor)
        evidence = collect_evidence(crop, executor=executor)
    np.testing.assert_array_equal(again.nucleus, result.nucleus)
    np.testing.assert_array_equal(evidence.resin, collect_evidence(crop).resin)
    assert again.confidence == result.confidence


def test_grey_scale_does_not_matter(found):
    crop, _, result = found
    other = Volume(data=crop.read().astype(np.uint16) * 100 + 5000, grid=crop.grid)
    assert jaccard(segment_nucleus(other).nucleus, result.nucleus) > 0.97


def test_blank_slice_is_bridged_and_flagged(found):
    crop, truth, result = found
    data = crop.read().copy()
    lost = result.seed_slice + 3
    data[lost] = 120
    evidence = collect_evidence(with_slices(crop, data))
    bridged = follow_nuclei(evidence)
    assert bridged.events[lost] == "blank"
    assert bridged.confidence[lost] == 0.0
    assert jaccard(bridged.nucleus[lost], result.nucleus[lost]) > 0.75
    np.testing.assert_array_equal(evidence.resin[lost], evidence.resin[lost - 1])


def test_seed_slice_can_be_chosen(found):
    crop, truth, result = found
    chosen = segment_nucleus(crop, seed_slice=result.seed_slice + 2)
    assert chosen.seed_slice == result.seed_slice + 2
    assert jaccard(chosen.nucleus, truth) > 0.85


def test_seed_slice_outside_is_refused(found):
    with pytest.raises(ParameterError, match="'seed_slice' must lie between 0 and"):
        segment_nucleus(found[0], seed_slice=1000)


def test_target_finds_a_cell_that_is_not_in_the_middle(phantom):
    # The whole phantom as one crop: its middle lies between the two cells.
    for cell in phantom.cells:
        truth = phantom.truth["nucleus"].read() == cell.id
        result = segment_nucleus(phantom.image, target_vx=cell.centroid_vx)
        assert jaccard(result.nucleus, truth) > 0.7


def test_resin_alone_gives_an_empty_flagged_result(rng):
    data = rng.normal(200, 5, (4, 60, 80)).clip(0, 255).astype(np.uint8)
    volume = Volume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=(50, 20, 20)))
    with pytest.warns(NothingFoundWarning, match="no nucleus found"):
        result = segment_nucleus(volume)
    assert not result.found
    assert not result.nucleus.any()
    assert set(result.events) == {"absent"}


def test_blank_crop_gives_an_empty_result():
    data = np.full((3, 40, 40), 90, np.uint8)
    volume = Volume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=(50, 20, 20)))
    with pytest.warns(NothingFoundWarning, match="give 'seed_slice' or 'target_vx'"):
        result = segment_nucleus(volume)
    assert set(result.events) == {"blank"}
    assert result.resin_threshold is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("min_area_um2", 0.0, "'min_area_um2' must be positive"),
        ("min_overlap", 1.5, "'min_overlap' must lie between 0.0 and 1.0"),
        ("bridge_nm", -1.0, "'bridge_nm' must be zero or positive"),
    ],
)
def test_settings_are_checked_by_name(name, value, message):
    with pytest.raises(ParameterError, match=message):
        NucleusConfig(**{name: value})


def test_a_target_outside_of_the_crop_and_an_array_are_refused(crop_of, phantom):
    image = phantom.image
    with pytest.raises(ParameterError, match="must lie in the crop of"):
        segment_nucleus(image, target_vx=(99, 10, 10))
    with pytest.raises(ParameterError, match="'crop' must be a Volume, got ndarray; make one"):
        segment_nucleus(np.zeros((5, 50, 50), np.uint8))
