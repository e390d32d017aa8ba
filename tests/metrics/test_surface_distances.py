"""Distances between masks: against k-d trees, scipy, scikit-image and SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.distance import directed_hausdorff
from skimage.metrics import hausdorff_distance as skimage_hausdorff

import helaseg.metrics as m
from helaseg._threads import limit_threads
from helaseg.errors import ParameterError, UndefinedScoreWarning
from helaseg.metrics import meter


def _surface(mask):
    return mask & ~ndimage.binary_erosion(mask)


def _blobs(rng, shape):
    return ndimage.gaussian_filter(rng.random(shape), 2) > 0.5


def _directed(a, b, spacing):
    return cKDTree(np.argwhere(b) * spacing).query(np.argwhere(a) * spacing)[0]


def _all_scores(truth, prediction, **kwargs) -> list[float]:
    return [
        *(m.average_hausdorff_distance(truth, prediction, mode=mode, **kwargs) for mode in MODES),
        m.mean_surface_distance(truth, prediction, **kwargs),
        m.hausdorff_distance(truth, prediction, **kwargs),
        m.hausdorff_distance(truth, prediction, percentile=95, **kwargs),
    ]


MODES = ("truth_to_prediction", "surface", "voxel")


def _by_trees(truth, prediction, spacing) -> list[float]:
    spacing = np.array(spacing)
    there = _directed(_surface(truth), _surface(prediction), spacing)
    back = _directed(_surface(prediction), _surface(truth), spacing)
    all_there, all_back = (
        _directed(truth, prediction, spacing),
        _directed(prediction, truth, spacing),
    )
    return [
        there.mean(),
        (there.mean() + back.mean()) / 2,
        (all_there.mean() + all_back.mean()) / 2,
        np.concatenate([there, back]).mean(),
        max(there.max(), back.max()),
        max(np.percentile(there, 95), np.percentile(back, 95)),
    ]


@settings(max_examples=30, deadline=None)
@given(
    masks=hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=8).flatmap(
        lambda s: st.tuples(hnp.arrays(bool, s), hnp.arrays(np.uint8, s))
    ),
    spacing=st.tuples(*[st.sampled_from([1.0, 7.0, 10.0, 50.0])] * 3),
)
def test_any_masks_equal_k_d_trees(masks, spacing) -> None:
    truth, prediction = masks[0], masks[1] != 0
    assume(truth.any() and prediction.any())
    steps = spacing[: truth.ndim]
    got = _all_scores(truth, masks[1], spacing=steps)
    np.testing.assert_allclose(got, _by_trees(truth, prediction, steps), rtol=1e-12)


@pytest.mark.parametrize("shape", [(60, 90), (1, 70), (25, 30, 40)])
def test_blobs_equal_k_d_trees(shape, rng) -> None:
    truth, prediction = _blobs(rng, shape), _blobs(rng, shape)
    steps = (50.0, 10.0, 7.0)[: len(shape)]
    got = _all_scores(truth, prediction, spacing=steps)
    np.testing.assert_allclose(got, _by_trees(truth, prediction, steps), rtol=1e-12)


def test_hausdorff_distance_equals_scipy_and_scikit_image(rng) -> None:
    a, b = _blobs(rng, (20, 30, 25)), _blobs(rng, (20, 30, 25))
    steps = np.array([5.0, 1.0, 1.0])
    points = [np.argwhere(_surface(x)) * steps for x in (a, b)]
    want = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
    assert m.hausdorff_distance(a, b, spacing=steps) == pytest.approx(want)
    flat = [_surface(x[9]) for x in (a, b)]
    want = skimage_hausdorff(*flat)
    assert m.hausdorff_distance(a[9], b[9], spacing=1) == pytest.approx(want)


def test_voxel_mode_equals_simpleitk(rng) -> None:
    sitk = pytest.importorskip("SimpleITK")
    a, b = _blobs(rng, (20, 30, 25)), _blobs(rng, (20, 30, 25))
    images = [sitk.GetImageFromArray(x.astype(np.uint8)) for x in (a, b)]
    for image in images:
        image.SetSpacing((10.0, 10.0, 50.0))
    measure = sitk.HausdorffDistanceImageFilter()
    measure.Execute(*images)
    got = m.average_hausdorff_distance(a, b, spacing=(50, 10, 10), mode="voxel")
    assert got == pytest.approx(measure.GetAverageHausdorffDistance(), rel=1e-5)


def test_two_flat_walls_have_the_distance_between_them() -> None:
    truth, prediction = np.zeros((2, 9, 30, 9), bool)
    truth[:, 5], prediction[:, 12] = True, True
    assert _all_scores(truth, prediction, spacing=(50, 10, 10)) == [70.0] * 6


def test_far_parts_do_not_break_the_search() -> None:
    truth = np.zeros((40, 400), bool)
    prediction = truth.copy()
    truth[:, 0], truth[20, 399], prediction[3, 1] = True, True, True
    want = _by_trees(truth, prediction, (1, 1))
    np.testing.assert_allclose(_all_scores(truth, prediction, spacing=1), want, rtol=1e-12)


@pytest.mark.parametrize("factor", [2.0, 0.1])
def test_distances_scale_with_the_spacing(factor, rng) -> None:
    truth, prediction = _blobs(rng, (10, 30, 20)), _blobs(rng, (10, 30, 20))
    spacing = np.array([50.0, 10.0, 10.0])
    once = _all_scores(truth, prediction, spacing=spacing)
    scaled = _all_scores(truth, prediction, spacing=factor * spacing)
    np.testing.assert_allclose(scaled, np.multiply(once, factor))


@pytest.mark.parametrize("ignoring", [False, True])
def test_threads_change_nothing(ignoring, rng, monkeypatch) -> None:
    for name in ("_LEAST_VOXELS", "_LEAST_POINTS", "_LIST_LENGTH"):
        monkeypatch.setattr(meter, name, 50)
    truth, prediction = _blobs(rng, (10, 30, 20)), _blobs(rng, (10, 30, 20))
    ignore = rng.random(truth.shape) < 0.2 if ignoring else None
    with limit_threads(1):
        once = _all_scores(truth, prediction, spacing=(50, 10, 7), ignore=ignore)
    with limit_threads(3):
        again = _all_scores(truth, prediction, spacing=(50, 10, 7), ignore=ignore)
    assert once == again


def test_transposing_changes_nothing(rng) -> None:
    truth, prediction = _blobs(rng, (10, 30, 20)), _blobs(rng, (10, 30, 20))
    once = _all_scores(truth, prediction, spacing=(50, 10, 7))
    turned = _all_scores(
        truth.transpose(2, 0, 1), prediction.transpose(2, 0, 1), spacing=(7, 50, 10)
    )
    np.testing.assert_allclose(turned, once)


def test_background_around_changes_nothing(rng) -> None:
    truth, prediction = np.zeros((2, 12, 32, 22), bool)
    truth[1:-1, 1:-1, 1:-1] = _blobs(rng, (10, 30, 20))
    prediction[1:-1, 1:-1, 1:-1] = _blobs(rng, (10, 30, 20))
    once = _all_scores(truth, prediction, spacing=10)
    padded = [np.pad(x, 9) for x in (truth, prediction)]
    np.testing.assert_allclose(_all_scores(*padded, spacing=10), once)


def test_symmetric_scores_do_not_depend_on_the_order(rng) -> None:
    truth, prediction = _blobs(rng, (30, 20)), _blobs(rng, (30, 20))
    there, back = (
        _all_scores(truth, prediction, spacing=1),
        _all_scores(prediction, truth, spacing=1),
    )
    np.testing.assert_allclose(there[1:], back[1:])
    assert there[0] != back[0]


def test_a_volume_of_one_slice_is_a_plane(rng) -> None:
    truth, prediction = _blobs(rng, (30, 20)), _blobs(rng, (30, 20))
    flat = _all_scores(truth, prediction, spacing=(10, 7))
    assert _all_scores(truth[None], prediction[None], spacing=(50, 10, 7)) == flat


def test_ignored_voxels_make_no_surface() -> None:
    truth = np.zeros((9, 9), bool)
    truth[2:7, 2:9] = True
    prediction = truth.copy()
    prediction[2:7, 7:] = False
    ignore = np.zeros_like(truth)
    ignore[:, 6:] = True
    # all that differs is hidden; without the mask the prediction's right face would count
    assert _all_scores(truth, prediction, spacing=1, ignore=ignore) == [0.0] * 6
    assert m.hausdorff_distance(truth, prediction, spacing=1) == 2.0
    # a hole beside the hidden columns makes a surface there, on its own side alone
    prediction[4, 5] = False
    surfaces = [x & ~ignore & ~ndimage.binary_erosion(x | ignore) for x in (prediction, truth)]
    got = m.average_hausdorff_distance(prediction, truth, spacing=1, ignore=ignore)
    assert surfaces[0].sum() > surfaces[1].sum()
    assert got == pytest.approx(_directed(*surfaces, np.ones(2)).mean())


@settings(max_examples=20, deadline=None)
@given(masks=hnp.arrays(bool, (3, 4, 5, 6)))
def test_voxel_mode_with_ignored_voxels_is_that_of_the_voxels_left(masks) -> None:
    truth, prediction, ignore = masks
    left = truth & ~ignore, prediction & ~ignore
    assume(left[0].any() and left[1].any())
    got = m.average_hausdorff_distance(truth, prediction, spacing=1, mode="voxel", ignore=ignore)
    there, back = _directed(*left, np.ones(3)), _directed(*left[::-1], np.ones(3))
    assert got == pytest.approx((there.mean() + back.mean()) / 2)


def test_a_mask_that_ends_only_under_the_ignore_mask_has_no_surface() -> None:
    truth = np.ones((5, 5), bool)
    prediction = np.zeros((5, 5), bool)
    prediction[2, 2] = True
    ignore = np.ones((5, 5), bool)
    ignore[2, 1:4] = False
    truth[2, 3] = True
    with pytest.warns(UndefinedScoreWarning, match="the truth touches no background outside"):
        value = m.hausdorff_distance(truth, prediction, spacing=1, ignore=ignore)
    assert np.isnan(value)
    # over all voxels there is a value: 1, 0, 1 from the truth, 0 from the prediction
    got = m.average_hausdorff_distance(truth, prediction, spacing=1, mode="voxel", ignore=ignore)
    assert got == pytest.approx(1 / 3)


@pytest.mark.parametrize("shape", [(0, 4), (0, 0), (0, 3, 3), (2, 0, 3)])
def test_an_image_without_voxels_has_no_distance(shape) -> None:
    nothing = np.zeros(shape, bool)
    with pytest.warns(UndefinedScoreWarning, match="truth and prediction are empty"):
        value = m.average_hausdorff_distance(nothing, nothing, spacing=1, mode="voxel")
    assert np.isnan(value)


def test_refuses_wrong_parameters() -> None:
    one = np.ones((2, 2))
    with pytest.raises(ParameterError, match=r"'mode' must be one of 'truth_to_prediction'"):
        m.average_hausdorff_distance(one, one, spacing=1, mode="mean")
    with pytest.raises(ParameterError, match=r"'spacing' must be one positive number or 2 of"):
        m.average_hausdorff_distance(one, one, spacing=(50, 10, 10))
    with pytest.raises(ParameterError, match=r"'spacing' must be one positive number"):
        m.mean_surface_distance(one, one, spacing=0)
    with pytest.raises(ParameterError, match=r"'percentile' must lie between 0 and 100, got 101"):
        m.hausdorff_distance(one, one, spacing=1, percentile=101)
    with pytest.raises(ParameterError, match=r"'prediction' must have the shape of 'truth'"):
        m.mean_surface_distance(one, np.ones((3, 2)), spacing=1)
