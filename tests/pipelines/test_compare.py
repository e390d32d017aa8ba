"""Methods side by side: numbers are those of evaluate, in the right slices."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from comparisons import GRID, SHIFTED, SHORT, TRUTH, ball, image, labels

import helaseg
import helaseg.metrics as m
from helaseg.core.comparison import MethodCost, SliceSplit
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import GridMismatchError, ParameterError
from helaseg.pipelines.compare import compare, split_slices
from helaseg.pipelines.compare_config import CompareConfig

DOUBT = np.zeros(GRID.shape, bool)
DOUBT[:, :, 30:] = True
FEW = CompareConfig(metrics=("jaccard_index", "hausdorff_distance_95"), n_resamples=200)
SIZE = GRID.voxel_size_nm


def test_the_package_offers_it() -> None:
    assert helaseg.compare is compare
    assert helaseg.CompareConfig is CompareConfig


def test_scores_are_those_of_evaluate() -> None:
    found = compare(labels(TRUTH), {"a": labels(SHIFTED), "b": labels(SHORT)}, labels(DOUBT))
    assert found.methods == ("a", "b")
    assert found.doubts == ("counted", "left out")
    for name, mask in (("a", SHIFTED), ("b", SHORT)):
        for doubt, ignore in (("counted", None), ("left out", DOUBT)):
            want = m.evaluate(TRUTH, mask, ignore, voxel_size_nm=SIZE, labels={"foreground": 1})
            table = found.table(name, doubt=doubt)
            for metric in found.config["metrics"]:
                np.testing.assert_equal(table.value(metric), want.value(metric))
            assert {s.pred for s in table} == {name}
            got = found.per_slice(name, "boundary_f_50nm", doubt=doubt)
            rows = want.select(metric="boundary_f_50nm", per_slice=True)
            np.testing.assert_equal(got, [s.value for s in rows])
    assert found.main_doubt == "left out"
    assert found.table("a") is found.table("a", doubt="left out")


def test_poles_and_centre_are_bodies_of_their_slices() -> None:
    found = compare(labels(TRUTH), {"b": labels(SHORT)})
    poles, centre = [2, 3, 21, 22], list(range(4, 21))
    assert found.split == SliceSplit(centre=tuple(centre), poles=tuple(poles))
    for region, slices in (("poles", poles), ("centre", centre)):
        table = found.table("b", region=region)
        want = m.jaccard_index(TRUTH[slices], SHORT[slices])
        assert table.value("jaccard_index") == want
        assert all(s.z is None for s in table)
    # the short one misses the poles altogether: no distance, and no overlap
    poles_table = found.table("b", region="poles")
    assert poles_table.value("jaccard_index") == 0
    assert poles_table.value("boundary_f_50nm") == 0
    assert np.isnan(poles_table.value("average_hausdorff_distance_surface"))
    assert poles_table.value("n_missing_slices") == 4
    assert (
        found.table("b").value("n_missing_slices") == (TRUTH.any((1, 2)) & ~SHORT.any((1, 2))).sum()
    )


def test_the_ends_of_a_region_are_no_surface() -> None:
    # a prediction that is right inside the slices 6 to 10, and wild elsewhere
    wild = TRUTH.copy()
    wild[:6], wild[11:] = True, False
    found = compare(labels(TRUTH), {"wild": labels(wild)}, slices=range(6, 11))
    table = found.table("wild")
    assert table.value("jaccard_index") == 1
    assert table.value("hausdorff_distance_95") == 0
    assert table.value("n_missing_slices") == 0
    rows = table.select(metric="jaccard_index", per_slice=True)
    assert [s.z for s in rows] == list(found.slices) == [6, 7, 8, 9, 10]
    assert "5 of 24 slices are annotated and count" in found.notes


def test_slices_without_truth_count_unless_they_are_not_annotated() -> None:
    drawn = TRUTH.copy()
    drawn[[4, 9, 12]] = False
    whole = compare(labels(drawn), {"a": labels(TRUTH)}, config=FEW)
    assert whole.table("a").value("jaccard_index") < 1
    assert "the truth is empty in 6 of the 24 slices" in whole.notes[-1]
    only = compare(labels(drawn), {"a": labels(TRUTH)}, drawn_slices=True, config=FEW)
    assert only.table("a").value("jaccard_index") == 1
    assert only.slices == tuple(z for z in range(2, 23) if z not in (4, 9, 12))
    named = compare(labels(drawn), {"a": labels(TRUTH)}, slices=only.slices, config=FEW)
    assert named.table("a") == only.table("a")


def test_images_of_the_annotated_slices_alone() -> None:
    slices = [5, 12, 20]
    short = Grid(shape=(3, *GRID.shape[1:]), voxel_size_nm=(999, 10, 10), offset_nm=(0, 1000, 2000))

    def part(mask: np.ndarray) -> LabelVolume:
        return LabelVolume(data=mask[slices].astype(np.uint8), grid=short)

    whole = compare(labels(TRUTH), {"a": labels(SHIFTED)}, labels(DOUBT), slices=slices)
    for truth, prediction, doubt in (
        (part(TRUTH), labels(SHIFTED), labels(DOUBT)),
        (part(TRUTH), labels(SHIFTED), part(DOUBT)),
        (labels(TRUTH), part(SHIFTED), part(DOUBT)),
    ):
        found = compare(truth, {"a": prediction}, doubt, slices=slices)
        np.testing.assert_equal(
            [s.to_dict() for s in found.table("a")], [s.to_dict() for s in whole.table("a")]
        )
    alone = compare(part(TRUTH), {"a": part(SHIFTED)}, part(DOUBT), slices=slices, grid=GRID)
    assert alone.grid == GRID
    assert alone.table("a").value("jaccard_index") == whole.table("a").value("jaccard_index")
    moved = dataclasses.replace(short, offset_nm=(0, 0, 2000))
    wrong = LabelVolume(data=TRUTH[slices], grid=moved)
    with pytest.raises(GridMismatchError, match=r"'truth' and 'ROI' must share one grid"):
        compare(wrong, {"a": labels(SHIFTED)}, slices=slices)


def test_differences_are_paired_by_slice() -> None:
    predictions = {"a": labels(SHIFTED), "b": labels(SHORT), "c": labels(TRUTH)}
    found = compare(labels(TRUTH), predictions, labels(DOUBT), config=FEW)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    keys = [(d.doubt, d.metric, (d.first, d.second)) for d in found.differences]
    assert keys == [
        (doubt, metric, pair)
        for doubt in ("counted", "left out")
        for metric in FEW.metrics
        for pair in pairs
    ]
    (one,) = [
        d
        for d in found.differences
        if (d.doubt, d.metric, d.second) == ("left out", "hausdorff_distance_95", "b")
    ]
    want = m.paired_difference(
        found.per_slice("a", "hausdorff_distance_95"),
        found.per_slice("b", "hausdorff_distance_95"),
        n_resamples=200,
    )
    assert one.mean_difference == want.mean_difference
    assert (one.low, one.unit, one.n_left_out) == (want.low, "nm", want.n_left_out)
    assert "n_missing_slices" not in {
        d.metric for d in compare(labels(TRUTH), predictions).differences
    }


def test_the_worst_slices_are_apart() -> None:
    found = compare(labels(TRUTH), {"a": labels(SHIFTED), "b": labels(SHORT)}, config=FEW)
    for name in found.methods:
        worst = [w for w in found.worst if w.method == name]
        assert len(worst) == 3
        values = np.array(found.per_slice(name, "jaccard_index"))
        assert [w.value for w in worst] == [values[w.z] for w in worst]
        assert worst[0].value == np.nanmin(values)
    config = dataclasses.replace(FEW, n_worst=0)
    assert compare(labels(TRUTH), {"a": labels(SHIFTED)}, config=config).worst == ()


def test_close_neighbours_are_not_both_shown() -> None:
    depth = 60
    grid = Grid(shape=(depth, 4, 30), voxel_size_nm=(50, 10, 10))
    truth = np.zeros(grid.shape, np.uint8)
    truth[:, :, :20] = 1
    prediction = truth.copy()
    for z, n in ((30, 10), (31, 9), (32, 8), (50, 5)):
        prediction[z, :, :n] = 0
    found = compare(
        LabelVolume(data=truth, grid=grid),
        {"a": LabelVolume(data=prediction, grid=grid)},
        config=dataclasses.replace(FEW, n_worst=2),
    )
    assert [(w.z, w.value) for w in found.worst] == [(30, 0.5), (50, 0.75)]


def test_objects_get_their_own_scores() -> None:
    truth = np.zeros(GRID.shape, np.uint16)
    truth[2:10, 5:15, 5:15], truth[2:10, 20:30, 20:30], truth[12:20, 5:15, 30:40] = 7, 300, 9
    prediction = np.zeros_like(truth)
    prediction[2:10, 5:15, 6:16], prediction[12:20, 5:15, 30:40], prediction[0, 0, 0] = 1, 2, 3
    ignore = np.zeros(GRID.shape, bool)
    ignore[0] = True
    found = compare(
        labels(truth), {"a": labels(prediction)}, labels(ignore), instances=True, config=FEW
    )
    for doubt, skip in (("counted", None), ("left out", ignore)):
        want = m.panoptic_quality(truth, prediction, ignore=skip)
        table = found.table("a", doubt=doubt)
        assert table.value("panoptic_quality") == want.quality
        assert table.value("segmentation_quality") == want.segmentation_quality
        assert table.value("instance_f1") == m.instance_f1(truth, prediction, ignore=skip)
    assert found.subject == "objects"
    empty = compare(labels(truth * 0), {"a": labels(truth * 0)}, instances=True, config=FEW)
    (row,) = empty.table("a").select(metric="instance_f1")
    assert row.undefined == "truth and prediction hold no object"


def test_the_object_at_the_target_is_meant_where_there_are_several() -> None:
    truth = np.where(TRUTH, 7, 0).astype(np.uint16)
    truth[:, :4] = 3
    other = np.where(SHIFTED, 2, 0).astype(np.uint16)
    other[:, -4:] = 5
    sides = {"objects": labels(other), "mask": labels(SHIFTED)}
    found = compare(labels(truth), sides, target_vx=(12.0, 20.0, 25.0), config=FEW)
    for name in sides:
        assert found.table(name).value("jaccard_index") == m.jaccard_index(TRUTH, SHIFTED)
    assert "truth: 2 objects, label 7 is at the target" in found.notes
    # what is said counts more
    told = compare(labels(truth), sides, target_vx=(12, 20, 25), labels=(3, 5), config=FEW)
    assert told.table("objects").value("jaccard_index") == 0
    for nowhere in ((12, 10, 2), (12, 20, 90)):
        with pytest.raises(ParameterError, match="'truth' must be a mask or say what it holds"):
            compare(labels(truth), sides, target_vx=nowhere, config=FEW)
    with pytest.raises(ParameterError, match="'truth' must be a mask or say what it holds"):
        compare(labels(truth), sides, target_vx=(12, 20, 25), slices=[3], config=FEW)


def test_probabilities_and_costs() -> None:
    soft = Volume(data=np.where(SHIFTED, 0.7, 0.2).astype(np.float32), grid=GRID)
    cost = MethodCost(train_seconds=3.0)
    found = compare(
        labels(TRUTH), {"net": soft, "b": labels(SHORT)}, costs={"net": cost}, config=FEW
    )
    assert found.table("net").value("jaccard_index") == m.jaccard_index(TRUTH, SHIFTED)
    assert found.costs == {"net": cost, "b": MethodCost()}
    assert "net: probabilities, foreground from 0.5 on" in found.notes


def test_it_is_deterministic_and_tells_how_far_it_is() -> None:
    seen: list[tuple[str, int, int]] = []
    args = (labels(TRUTH), {"a": labels(SHIFTED), "b": labels(SHORT)})
    first = compare(*args, config=FEW, progress=lambda *step: seen.append(step))
    second = compare(*args, config=FEW)
    assert first.differences == second.differences
    assert [s.table.to_json() for s in first.scores] == [s.table.to_json() for s in second.scores]
    assert seen == [("compare", i, 6) for i in range(1, 7)]


@pytest.mark.parametrize(("n", "fraction", "poles"), [(10, 0.1, 2), (20, 0.1, 4), (9, 0.25, 4)])
def test_split_slices(n, fraction, poles) -> None:
    split = split_slices(list(range(5, 5 + n)), fraction, depth=40)
    assert len(split.poles) == poles
    assert sorted((*split.poles, *split.centre)) == list(range(5, 5 + n))
    assert split.poles[0] == 5
    assert split.poles[-1] == 4 + n


def test_too_few_slices_have_no_poles() -> None:
    split = split_slices(range(9), 0.1, depth=40)
    assert split == SliceSplit(reason="9 slices with truth, too few to part off poles of 10 %")
    assert split_slices([3], 0.2, depth=4).reason.startswith("1 slice with truth")
    found = compare(labels(TRUTH), {"a": labels(SHORT)}, slices=[3, 9], config=FEW)
    with pytest.raises(ParameterError, match=r"expected scores of \('a', 'counted', 'poles'\)"):
        found.table("a", region="poles")


def test_there_is_no_pole_where_the_volume_cuts_the_object() -> None:
    first = split_slices(range(20), 0.1, depth=30)
    assert first == SliceSplit(centre=tuple(range(18)), poles=(18, 19))
    last = split_slices(range(10, 30), 0.1, depth=30)
    assert last == SliceSplit(centre=tuple(range(12, 30)), poles=(10, 11))
    both = split_slices(range(20), 0.1, depth=20)
    assert both.reason == "the volume cuts the object at both ends, so it has no poles here"
    assert not both.poles


def test_refuses_wrong_input() -> None:
    truth, one = labels(TRUTH), {"a": labels(SHIFTED)}
    for more, message in (
        ({"part": "soma"}, r"'part' must be one of 'nucleus', 'envelope', 'cytoplasm', 'cell'"),
        ({"slices": [3, 24]}, r"'slices' must be indices from 0 to 23, got \[3, 24\]"),
        ({"slices": [-1]}, r"'slices' must be indices from 0 to 23"),
        ({"slices": []}, r"'slices' must be indices from 0 to 23, got \[\]"),
    ):
        with pytest.raises(ParameterError, match=message):
            compare(truth, one, **more)
    with pytest.raises(ParameterError, match=r"'predictions' must hold at least one method"):
        compare(truth, {})
    with pytest.raises(ParameterError, match=r"'truth' must be a LabelVolume of integer labels"):
        compare(image(), one)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"'drawn_slices' needs truth in a slice, all 24 are"):
        compare(labels(TRUTH & False), one, drawn_slices=True)
    small = dataclasses.replace(GRID, voxel_size_nm=(50, 10, 11))
    other = LabelVolume(data=SHIFTED.astype(np.uint8), grid=small)
    with pytest.raises(GridMismatchError, match=r"'unet' and 'ROI' must share one grid"):
        compare(truth, {"a": labels(SHIFTED), "unet": other})
    for settings, message in (
        ({"metrics": ("recall",)}, r"'metrics' must hold 'jaccard_index'"),
        ({"pole_fraction": 0.6}, r"'pole_fraction' must lie between 0 and 0.5"),
        ({"threshold": 2}, r"'threshold' must lie between 0 and 1"),
        ({"instance_iou": 2}, r"'instance_iou' must lie between 0 and 1"),
        ({"n_worst": -1}, r"'n_worst' must be zero or positive"),
        ({"n_resamples": 0}, r"'n_resamples' must be positive"),
        ({"confidence": 95}, r"'confidence' must lie between 0 and 1"),
    ):
        with pytest.raises(ParameterError, match=message):
            CompareConfig(**settings)


def test_a_truth_that_touches_nothing_is_still_a_comparison() -> None:
    nothing = labels(ball((1, 1, 1)) & False)
    found = compare(nothing, {"a": nothing}, config=FEW)
    (row,) = found.table("a").select(metric="jaccard_index", per_slice=False)
    assert row.undefined == "truth and prediction are empty"
    assert found.worst == ()
    assert found.split.reason == "0 slices with truth, too few to part off poles of 10 %"
