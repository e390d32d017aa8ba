"""The table of all scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

import helaseg
import helaseg.metrics as m
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import GridMismatchError, ParameterError
from helaseg.metrics.boundary import BOUNDARY_METRICS
from helaseg.metrics.meter import DISTANCE_METRICS
from helaseg.metrics.overlap import OVERLAP_METRICS

SIZE = (50.0, 10.0, 10.0)


def _volume(data, **kwargs) -> LabelVolume:
    return LabelVolume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=SIZE), **kwargs)


def _blobs(rng, shape=(6, 30, 25)):
    return ndimage.gaussian_filter(rng.random(shape), 2) > 0.5


class Slices:
    """Data that can only be read one slice at a time."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, z):
        assert isinstance(z, int)
        return self.array[z]


def test_the_package_offers_it() -> None:
    assert helaseg.evaluate is m.evaluate
    assert callable(m.evaluate)


def test_volume_rows_equal_the_functions(rng) -> None:
    truth, prediction, ignore = _blobs(rng), _blobs(rng), _blobs(rng)
    table = m.evaluate(truth, prediction, ignore, voxel_size_nm=SIZE)
    for metric in OVERLAP_METRICS:
        assert table.value(metric) == getattr(m, metric)(truth, prediction, ignore=ignore)
    for mode in ("truth_to_prediction", "surface", "voxel"):
        want = m.average_hausdorff_distance(
            truth, prediction, spacing=SIZE, mode=mode, ignore=ignore
        )
        assert table.value(f"average_hausdorff_distance_{mode}") == want
    kwargs = {"spacing": SIZE, "ignore": ignore}
    assert table.value("mean_surface_distance") == m.mean_surface_distance(
        truth, prediction, **kwargs
    )
    assert table.value("hausdorff_distance") == m.hausdorff_distance(truth, prediction, **kwargs)
    assert table.value("hausdorff_distance_95") == m.hausdorff_distance(
        truth, prediction, percentile=95, **kwargs
    )


@pytest.mark.parametrize("size", [SIZE, (50.0, 10.0, 7.0)])
def test_slice_rows_are_those_of_the_planes_in_nm_and_px(size, rng) -> None:
    truth, prediction = _blobs(rng), _blobs(rng)
    table = m.evaluate(truth, prediction, voxel_size_nm=size)
    for z in (0, 5):
        assert table.value("dice_coefficient", z=z) == m.dice_coefficient(truth[z], prediction[z])
        for name, steps in (("_px", 1), ("", size[1:])):
            want = m.average_hausdorff_distance(
                truth[z], prediction[z], spacing=steps, mode="surface"
            )
            got = table.value(f"average_hausdorff_distance_surface{name}", z=z)
            assert got == pytest.approx(want, rel=1e-12)
            want = m.average_hausdorff_distance(
                truth[z], prediction[z], spacing=steps, mode="voxel"
            )
            got = table.value(f"average_hausdorff_distance_voxel{name}", z=z)
            assert got == pytest.approx(want, rel=1e-12)


def test_rows_say_what_they_are(rng) -> None:
    truth, prediction = _blobs(rng), _blobs(rng)
    table = m.evaluate(truth, prediction, voxel_size_nm=SIZE)
    assert len(table.select(per_slice=False)) == len(m.METRICS)
    per_slice = len(OVERLAP_METRICS) + 2 * len(DISTANCE_METRICS) + len(BOUNDARY_METRICS)
    assert len(table) == len(m.METRICS) + 6 * per_slice
    (whole,) = table.select(metric="average_hausdorff_distance_voxel", per_slice=False)
    assert (whole.unit, whole.n_voxels) == ("nm", truth.size)
    assert whole.params["mode"] == "voxel"
    assert whole.params["spacing_nm"] == list(SIZE)
    in_px = next(iter(table.select(metric="hausdorff_distance_95_px")))
    assert (in_px.unit, in_px.z, in_px.n_voxels) == ("px", 0, truth[0].size)
    assert in_px.params["percentile"] == 95
    assert in_px.params["spacing_px"] == [1.0, 1.0]
    keys = [(s.metric, s.label, s.z) for s in table]
    assert len(set(keys)) == len(keys)
    assert len(json.loads(table.to_json())) == len(table)


def test_missed_slices_count_and_are_not_averaged_away() -> None:
    truth, prediction = np.zeros((2, 4, 6, 6), np.uint8)
    truth[:, 1:4, 1:4] = 255
    prediction[1:3, 1:4, 1:4] = 255
    prediction[0, 0, 0] = 0
    table = m.evaluate(truth, prediction, voxel_size_nm=SIZE)
    assert [table.value("jaccard_index", z=z) for z in range(4)] == [0.0, 1.0, 1.0, 0.0]
    assert table.value("jaccard_index") == 0.5
    assert table.value("n_missing_slices") == 2
    assert table.value("n_spurious_slices") == 0
    for metric in DISTANCE_METRICS:
        (row,) = [s for s in table.select(metric=metric) if s.z == 0]
        assert row.undefined == "the prediction is empty"
        assert table.value(metric, z=1) == 0.0
        assert table.value(metric) >= 0.0
    # all nine voxels of both end slices are 50 nm away
    assert table.value("average_hausdorff_distance_voxel") == (50 + 0) / 2 / 2
    swapped = m.evaluate(prediction, truth, voxel_size_nm=SIZE)
    assert swapped.value("n_spurious_slices") == 2


def test_volumes_are_read_slice_by_slice(rng) -> None:
    truth, prediction = _blobs(rng), _blobs(rng)
    lazy = m.evaluate(_volume(Slices(truth)), _volume(Slices(prediction)))
    assert lazy.to_json() == m.evaluate(truth, prediction, voxel_size_nm=SIZE).to_json()


@pytest.mark.parametrize("values", [(1, 255), (255, 255), (255, 1)])
def test_masks_may_differ_in_their_value(values, rng) -> None:
    truth, prediction = _blobs(rng), _blobs(rng)
    want = m.jaccard_index(truth, prediction)
    table = m.evaluate(
        truth * np.uint8(values[0]), prediction * np.uint8(values[1]), voxel_size_nm=SIZE
    )
    assert table.value("jaccard_index", label="foreground") == want


def test_classes_are_scored_one_by_one(rng) -> None:
    truth, prediction = rng.integers(0, 4, (2, 3, 8, 8)).astype(np.uint8)
    table = m.evaluate(_volume(truth, names={2: "nucleus"}), _volume(prediction), per_slice=False)
    assert {s.label for s in table} == {"label 1", "nucleus", "label 3"}
    for name, value in (("label 1", 1), ("nucleus", 2)):
        want = m.jaccard_index(truth == value, prediction == value)
        assert table.value("jaccard_index", label=name) == want


def test_labels_choose_and_join(rng) -> None:
    truth, prediction = rng.integers(0, 6, (2, 3, 8, 8)).astype(np.uint8)
    choice = {"nucleus": 2, "cell": [1, 2, 3], "other": (5, {4, 5}), "pair": ([1, 2], 3)}
    table = m.evaluate(
        truth, prediction, labels=choice, voxel_size_nm=SIZE, metrics=["recall"], per_slice=False
    )
    assert [s.label for s in table] == list(choice)
    want = {
        "nucleus": m.recall(truth == 2, prediction == 2),
        "cell": m.recall(np.isin(truth, [1, 2, 3]), np.isin(prediction, [1, 2, 3])),
        "other": m.recall(truth == 5, prediction >= 4),
        "pair": m.recall(np.isin(truth, [1, 2]), prediction == 3),
    }
    assert {s.label: s.value for s in table} == want
    listed = m.evaluate(truth, prediction, labels=[2, 5], voxel_size_nm=SIZE, per_slice=False)
    assert {s.label for s in listed} == {"label 2", "label 5"}


def test_metrics_choose_the_rows(rng) -> None:
    truth, prediction = _blobs(rng), _blobs(rng)
    table = m.evaluate(
        truth, prediction, voxel_size_nm=SIZE, metrics=["hausdorff_distance", "jaccard_index"]
    )
    assert {s.metric for s in table} == {
        "jaccard_index",
        "hausdorff_distance",
        "hausdorff_distance_px",
    }
    with pytest.raises(ParameterError, match=r"'metrics' must be one of 'jaccard_index'.*'iou'"):
        m.evaluate(truth, prediction, voxel_size_nm=SIZE, metrics=["iou"])


def test_a_plane_is_a_volume_of_one_slice(rng) -> None:
    truth, prediction = _blobs(rng, (30, 25)), _blobs(rng, (30, 25))
    table = m.evaluate(truth, prediction, voxel_size_nm=SIZE)
    name = "average_hausdorff_distance_surface"
    assert table.value(name) == table.value(name, z=0)
    (row,) = table.select(metric=name, per_slice=False)
    assert row.params["spacing_nm"] == [10.0, 10.0]


def test_grids_must_agree(rng) -> None:
    data = _blobs(rng)
    moved = LabelVolume(
        data=data, grid=Grid(shape=data.shape, voxel_size_nm=SIZE, offset_nm=(0, 0, 500))
    )
    with pytest.raises(GridMismatchError, match=r"'truth' and 'prediction' must share one grid"):
        m.evaluate(_volume(data), moved)
    with pytest.raises(GridMismatchError, match=r"'truth' and 'prediction' must share one grid"):
        m.evaluate(_volume(data), data[:, :5])
    with pytest.raises(GridMismatchError, match=r"'truth' and 'ignore' must share one grid"):
        m.evaluate(data, data, np.zeros((2, 2)), voxel_size_nm=SIZE)


def test_an_array_takes_the_grid_of_the_volume_beside_it(rng) -> None:
    truth, prediction, ignore = _blobs(rng), _blobs(rng), _blobs(rng)
    want = m.evaluate(truth, prediction, ignore, voxel_size_nm=SIZE).to_json()
    assert m.evaluate(truth, _volume(prediction), ignore.astype(float)).to_json() == want
    grid = Grid(shape=truth.shape, voxel_size_nm=SIZE)
    image = Volume(data=truth.astype(np.uint8), grid=grid)
    assert m.evaluate(image, prediction, _volume(ignore)).to_json() == want


def test_the_voxel_size_is_given_once(rng) -> None:
    data = _blobs(rng)
    with pytest.raises(ParameterError, match=r"'voxel_size_nm' must be given for arrays.*z, y, x"):
        m.evaluate(data, data)
    with pytest.raises(ParameterError, match=r"must be left out because 'prediction' has a grid"):
        m.evaluate(data, _volume(data), voxel_size_nm=SIZE)
    with pytest.raises(ParameterError, match=r"'voxel_size_nm' must be positive"):
        m.evaluate(data, data, voxel_size_nm=(50, 0, 10))


def test_refuses_what_cannot_be_compared() -> None:
    mask = np.zeros((1, 4, 9), np.uint8)
    mask[0, :2] = 255
    classes = np.arange(36, dtype=np.int16).reshape(1, 4, 9)
    with pytest.raises(ParameterError, match=r"expected two masks or two class images.*labels=\{"):
        m.evaluate(mask, classes % 4, voxel_size_nm=SIZE)
    with pytest.raises(ParameterError, match=r"expected two masks or two class images"):
        m.evaluate(classes % 4, mask, voxel_size_nm=SIZE)
    with pytest.raises(ParameterError, match=r"at most 32 classes, got 35 labels.*match_instances"):
        m.evaluate(classes, classes, voxel_size_nm=SIZE)
    with pytest.raises(ParameterError, match=r"'prediction' must not hold negative labels"):
        m.evaluate(classes, -classes, voxel_size_nm=SIZE)
    with pytest.raises(ParameterError, match=r"must be integers, got dtype float64"):
        m.evaluate(classes, classes * 1.0, voxel_size_nm=SIZE)
    with pytest.raises(ParameterError, match=r"'truth' must have 2 or 3 axes"):
        m.evaluate(classes[None], classes, voxel_size_nm=SIZE)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], r"'labels' must be a label, a list of labels, or a pair"),
        ({}, r"'labels' must name at least one label, got none"),
        ({"cell": "1"}, r"'labels\['cell'\]' must be a label, a list of labels, or a pair"),
        ({"cell": [-1]}, r"'labels\['cell'\]' must be"),
        ({"cell": ([1], [])}, r"'labels\['cell'\]' must be"),
        ({"cell": (1, 2, 3)}, r"'labels\['cell'\]' must be a pair .*join labels with a list"),
        ([1.5], r"'labels' must be"),
        (True, r"'labels' must be"),
    ],
)
def test_labels_are_checked(labels, message) -> None:
    data = np.ones((1, 2, 2), np.uint8)
    with pytest.raises(ParameterError, match=message):
        m.evaluate(data, data, labels=labels, voxel_size_nm=SIZE)


@pytest.mark.real
def test_a_real_nucleus_against_itself_one_slice_on(real_data) -> None:
    import tifffile

    with tifffile.TiffFile(real_data / "c001_labels" / "classes5.tif") as tif:
        two = [tif.pages[z].asarray() for z in (150, 151)]
    table = m.evaluate(two[0], two[1], labels={"nucleus": 2}, voxel_size_nm=SIZE, per_slice=False)
    truth, prediction = (x == 2 for x in two)
    far = ndimage.distance_transform_edt(~prediction, sampling=SIZE[1:])[truth].mean()
    back = ndimage.distance_transform_edt(~truth, sampling=SIZE[1:])[prediction].mean()
    assert table.value("average_hausdorff_distance_voxel") == pytest.approx((far + back) / 2)
    assert table.value("jaccard_index") == (truth & prediction).sum() / (truth | prediction).sum()
    assert table.value("jaccard_index") > 0.95
