from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi
from skimage.segmentation import expand_labels as skimage_expand

from helaseg._kernels import distance as kernels
from helaseg._kernels import distance_across, nearest
from helaseg._kernels._jit import python_form
from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.image import distance as door
from helaseg.image.distance import distance_transform, expand_labels

# sizes that the kernels take together (8, 16, 32, 64 and 256), one less and one more, are among
# the sides
SHAPES = [
    (37, 53),
    (1, 40),
    (40, 1),
    (1, 1),
    (33, 32),
    (64, 65),
    (31, 100),
    (9, 17, 23),
    (1, 5, 6),
    (7, 1, 9),
    (70, 3, 17),
    (33, 2, 16),
    (8, 2, 65),
    (9, 3, 257),
    (300, 2, 3),
]
SPACINGS = [None, 10.0, (50.0, 10.0, 10.0), (3.7, 1.3, 0.9), (0.2, 7.3, 2.1)]
MASKS = hnp.arrays(
    st.sampled_from([np.bool_, np.uint8, np.int16, np.float64]),
    hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9),
    elements=st.sampled_from([0, 1, 1, 1]),
)


def sampling(spacing, ndim):
    return spacing[-ndim:] if isinstance(spacing, tuple) else spacing


def some_mask(rng, shape, share):
    mask = rng.random(shape) < share
    if mask.all():
        mask.flat[rng.integers(mask.size)] = False
    return mask


def lengths(indices, shape, spacing):
    """Distance of every voxel to the voxel its index names."""
    steps = np.stack(np.unravel_index(indices, shape)) - np.indices(shape)
    scale = np.broadcast_to(1.0 if spacing is None else spacing, len(shape))
    return np.sqrt(((steps * scale.reshape(-1, *[1] * len(shape))) ** 2).sum(axis=0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 0.995])
def test_distance_agrees_with_scipy(rng, shape, spacing, share):
    spacing = sampling(spacing, len(shape))
    mask = some_mask(rng, shape, share)
    want = ndi.distance_transform_edt(mask, sampling=spacing)
    got = distance_transform(mask, spacing=spacing)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=3e-7, atol=0)
    if spacing is None:
        np.testing.assert_array_equal(got, want.astype(np.float32))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("share", [0.5, 0.995])
def test_indices_name_a_nearest_false_voxel(rng, shape, spacing, share):
    spacing = sampling(spacing, len(shape))
    mask = some_mask(rng, shape, share)
    want = ndi.distance_transform_edt(mask, sampling=spacing)
    distance, indices = distance_transform(mask, spacing=spacing, return_indices=True)
    assert indices.dtype == np.int32
    assert not mask.ravel()[indices].any()
    np.testing.assert_allclose(lengths(indices, shape, spacing), want, rtol=1e-12, atol=0)
    np.testing.assert_allclose(distance, want, rtol=3e-7, atol=0)


def test_distance_agrees_with_opencv(rng):
    mask = ndi.gaussian_filter(rng.random((150, 170)), 4) > 0.48
    want = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    np.testing.assert_allclose(distance_transform(mask), want, rtol=1e-6)


def test_a_far_single_voxel_is_exact():
    mask = np.ones((1200, 900), dtype=bool)
    mask[3, 5] = False
    y, x = np.indices(mask.shape, dtype=np.float64)
    want = np.sqrt((y - 3) ** 2 + (x - 5) ** 2)
    np.testing.assert_array_equal(distance_transform(mask), want.astype(np.float32))


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_without_false_voxels_all_is_infinitely_far(shape):
    distance, indices = distance_transform(np.ones(shape), return_indices=True)
    np.testing.assert_array_equal(distance, np.inf)
    np.testing.assert_array_equal(indices, -1)
    np.testing.assert_array_equal(distance_transform(np.ones(shape)), np.inf)


def test_slices_without_false_voxels_look_at_the_others():
    mask = np.ones((5, 2, 3), dtype=bool)
    mask[1] = False
    want = np.array([1, 0, 1, 2, 3])[:, None, None] * np.ones(mask.shape)
    np.testing.assert_array_equal(distance_transform(mask), want)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (2, 0, 3)])
def test_an_empty_image_has_an_empty_distance(shape):
    distance, indices = distance_transform(np.ones(shape), return_indices=True)
    assert distance.shape == indices.shape == shape


@settings(max_examples=30, deadline=None)
@given(MASKS)
def test_any_dtype_and_layout_gives_the_same(mask):
    mask.flat[0] = 0
    want = ndi.distance_transform_edt(mask != 0).astype(np.float32)
    frozen = mask.copy()
    frozen.flags.writeable = False
    spread = np.repeat(mask, 2, axis=-1)[..., ::2]
    for version in (mask, frozen, np.asfortranarray(mask), spread):
        np.testing.assert_array_equal(distance_transform(version), want)


@settings(max_examples=30, deadline=None)
@given(MASKS, st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0.1, 50))
def test_relations_of_spacing_and_axes(mask, dz, dy, dx):
    spacing = (dz, dy, dx)[-mask.ndim :]
    distance = distance_transform(mask, spacing=spacing)
    doubled = distance_transform(mask, spacing=[2 * s for s in spacing])
    transposed = distance_transform(mask.T, spacing=spacing[::-1])
    np.testing.assert_array_equal(doubled, 2 * distance)
    np.testing.assert_allclose(transposed.T, distance, rtol=1e-6)
    assert ((distance == 0) == (mask == 0)).all()


def test_ties_go_to_the_lowest_z_then_x_then_y():
    plane = np.ones((3, 3), dtype=bool)
    plane[0, 1] = plane[1, 0] = plane[1, 2] = plane[2, 1] = False
    _, indices = distance_transform(plane, return_indices=True)
    assert indices[1, 1] == 3  # (1, 0), not (0, 1)
    column = np.array([[0], [1], [0]])
    _, indices = distance_transform(column, return_indices=True)
    assert indices[1, 0] == 0
    stack = np.array([0, 1, 0]).reshape(3, 1, 1)
    _, indices = distance_transform(stack, return_indices=True)
    assert indices[1, 0, 0] == 0


def test_distance_writes_into_out():
    out = np.full((1, 4), -1, dtype=np.float32)
    assert distance_transform([[1, 1, 1, 0]], out=out) is out
    np.testing.assert_array_equal(out, [[3, 2, 1, 0]])


def test_slices_in_threads_give_the_same(rng):
    slices = rng.random((6, 80, 90)) < 0.97
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(distance_transform, slices))
    for plane, distance in zip(slices, got, strict=True):
        np.testing.assert_array_equal(distance, distance_transform(plane))


def test_distances_beyond_4096_pixels_are_rounded_only():
    mask = np.ones((8200, 40), dtype=bool)
    mask[1, 3] = False
    y, x = np.indices(mask.shape, dtype=np.float64)
    want = np.hypot(y - 1, x - 3)
    for version, truth in ((mask, want), (mask.T, want.T)):
        np.testing.assert_allclose(distance_transform(version), truth, rtol=1.2e-7)
    stack = np.ones((5000, 2, 3), dtype=bool)
    stack[0, 0, 0] = False
    truth = np.sqrt((np.indices(stack.shape, dtype=np.float64) ** 2).sum(axis=0))
    np.testing.assert_allclose(distance_transform(stack), truth, rtol=1.2e-7)


@pytest.mark.parametrize("height", [kernels.BAND - 1, kernels.BAND, 3 * kernels.BAND + 1])
def test_false_voxels_count_across_bands(height):
    mask = np.ones((height, 3), dtype=bool)
    mask[0, 0] = mask[-1, 2] = False
    want = ndi.distance_transform_edt(mask).astype(np.float32)
    np.testing.assert_array_equal(distance_transform(mask), want)
    np.testing.assert_array_equal(distance_transform(mask[::-1]), want[::-1])


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("shape", [(300, 301), (3, 90, 71), (20, 45, 70)])
def test_the_number_of_threads_does_not_matter(rng, monkeypatch, shape, spacing):
    monkeypatch.setattr(door, "SHARE", 500)
    spacing = sampling(spacing, len(shape))
    mask = ndi.gaussian_filter(rng.random(shape), 2) > 0.49
    results = []
    for threads in (1, 2, 3):
        with limit_threads(threads):
            results.append(distance_transform(mask, spacing=spacing))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    want = ndi.distance_transform_edt(mask, sampling=spacing)
    np.testing.assert_allclose(results[0], want, rtol=2e-7)


@pytest.mark.parametrize(
    "spacing", [(2, 1, 3), (1, 1, 1), (50, 10, 10), (3, 2, 1), (0.2, 0.1, 0.3), (50, 28.08, 28.08)]
)
def test_of_equally_near_voxels_the_lowest_z_then_x_then_y_is_taken(spacing):
    whole = np.rint(np.array(spacing) * 100).astype(np.int64)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        mask = np.ones((4, 4, 4), bool)
        mask.ravel()[rng.permutation(64)[:3]] = False
        _, indices = distance_transform(mask, spacing=spacing, return_indices=True)
        sources, places = np.argwhere(~mask), np.argwhere(mask)
        squared = (((sources[None] - places[:, None]) * whole) ** 2).sum(axis=-1)
        for place, row in zip(places, squared, strict=True):
            want = min(sources[row == row.min()].tolist(), key=lambda q: (q[0], q[2], q[1]))
            got = np.unravel_index(indices[tuple(place)], mask.shape)
            assert [int(v) for v in got] == want


@pytest.mark.parametrize("unit", [1.0, 10.0])
@pytest.mark.parametrize("share", [0.6, 0.97, 1.0])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (25.0, 1.0), (2.3, 0.4)])
def test_kernels_agree_with_their_python_form(rng, share, weights, unit):
    mask = (rng.random((9, 35, 37)) < share).view(np.uint8)
    weight_z, weight_y = weights
    results = []
    for form in (lambda k: k, python_form):
        across = np.empty(mask.shape, dtype=np.float32)
        form(kernels.distances_in_slices)(mask, 0, len(mask), weight_y, 0.0, across)
        form(distance_across.distances_across_slices)(weight_z, unit, 0, mask.shape[1], across)
        within = np.empty(mask.shape, dtype=np.float32)
        form(kernels.distances_in_slices)(mask, 0, len(mask), weight_y, unit, within)
        results.append((across, within))
    for compiled, plain in zip(*results, strict=True):
        np.testing.assert_array_equal(compiled, plain)
    if share < 1:
        across, within = results[0]
        steps = np.sqrt((weight_z, weight_y, 1.0)) * unit
        want = ndi.distance_transform_edt(mask, sampling=steps)
        np.testing.assert_allclose(across, want, rtol=2e-7)
        for plane, got in zip(mask, within, strict=True):
            if not plane.all():
                want = ndi.distance_transform_edt(plane, sampling=steps[1:])
                np.testing.assert_allclose(got, want, rtol=2e-7)


@pytest.mark.parametrize("share", [0.6, 0.97, 1.0])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (25.0, 1.0), (2.3, 0.4)])
def test_kernels_of_the_nearest_agree_with_their_python_form(rng, share, weights):
    mask = (rng.random((5, 7, 40)) < share).view(np.uint8)
    weight_z, weight_y = weights
    results = []
    for form in (lambda k: k, python_form):
        squared = np.empty(mask.shape, dtype=np.float32)
        index = np.empty(mask.shape, dtype=np.int64)
        form(nearest.nearest_in_slices)(mask, weight_y, 1.0, squared, index)
        form(nearest.nearest_across_slices)(weight_z, weight_y, 1.0, squared, index)
        roots = squared.ravel().copy()
        form(kernels.roots)(roots, 10.0)
        results.append((squared, index, roots))
    for compiled, plain in zip(*results, strict=True):
        np.testing.assert_array_equal(compiled, plain)
    if share < 1:
        want = ndi.distance_transform_edt(mask, sampling=np.sqrt((*weights, 1.0)))
        np.testing.assert_allclose(results[0][2].reshape(mask.shape), 10 * want, rtol=3e-7)


@pytest.mark.parametrize("form", [lambda k: k, python_form])
@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 64, 65, 97])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_every_position_finds_its_best_site(rng, form, n, weight):
    heights, costs = some_line(rng, n, weight)
    sites = np.empty(n, dtype=np.int64)
    form(nearest._best_sites)(heights, n, weight, sites)
    np.testing.assert_array_equal(sites, costs.argmin(axis=0))


def some_line(rng, n, weight):
    """Heights of a line, and the cost of every site (rows) at every position (columns)."""
    heights = rng.integers(0, 900, n).astype(np.float64)
    heights[rng.random(n) < 0.3] = np.inf
    heights[n // 2] = 4.0
    j = np.arange(n)
    return heights, heights[:, None] + weight * (j[:, None] - j[None, :]) ** 2


@pytest.mark.parametrize("form", [lambda k: k, python_form])
@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 64, 65, 97])
def test_halving_points_of_a_row_find_their_best_site(rng, form, n):
    heights, costs = some_line(rng, n, 1.0)
    f = np.full(n + 64, np.inf, dtype=np.float32)
    f[:n] = heights
    centre = n + 64
    squares = (np.arange(-centre, centre + 64) ** 2).astype(np.float32)
    sites = np.empty(n // kernels.LEAF + 3, dtype=np.int64)
    count = form(kernels._row_sites)(f, n, squares, centre, sites)
    points = np.unique(np.minimum(np.arange(0, n - 1 + kernels.LEAF, kernels.LEAF), n - 1))
    assert count == len(points)
    np.testing.assert_array_equal(sites[:count], costs.argmin(axis=0)[points])


@pytest.mark.parametrize("form", [lambda k: k, python_form])
@pytest.mark.parametrize("n", [1, 2, 8, 9, 17, 40])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_spans_of_columns_hold_their_best_sites(rng, form, n, weight):
    lines = [some_line(rng, n, weight) for _ in range(distance_across.GROUP)]
    f = np.full((n + distance_across.PAD, distance_across.GROUP), np.inf, dtype=np.float32)
    f[:n] = np.stack([heights for heights, _ in lines], axis=1)
    f[:, 5] = np.inf
    squares = (weight * np.arange(n + distance_across.PAD) ** 2.0).astype(np.float32)
    lows = np.empty(n // distance_across.STEP + 3, dtype=np.int64)
    highs = lows.copy()
    best = np.empty(distance_across.GROUP, dtype=np.float32)
    site = np.empty(distance_across.GROUP, dtype=np.int32)
    count = form(distance_across._spans)(f, n, weight, squares, lows, highs, best, site)
    points = np.minimum(np.arange(count) * distance_across.STEP, n - 1)
    known = [costs for x, (_, costs) in enumerate(lines) if x != 5]
    where = np.stack([costs.argmin(axis=0)[points] for costs in known])
    np.testing.assert_array_equal(lows[:count], where.min(axis=0))
    np.testing.assert_array_equal(highs[:count], where.max(axis=0))
    assert form(distance_across._begin)(f, n // 2, best) == distance_across.INFINITE
    form(distance_across._lower)(f, n // 2, 0, n - 1, squares, best)
    want = [costs.min(axis=0)[n // 2] for costs in known]
    np.testing.assert_allclose(np.delete(best, 5), want, rtol=2e-7)


@pytest.mark.parametrize("form", [lambda k: k, python_form])
def test_count_on_counts_rows(form):
    count = np.array([0, 4, np.inf], dtype=np.float32)
    form(kernels._count_on)(np.array([1, 0, 1], dtype=np.uint8), count)
    np.testing.assert_array_equal(count, [1, 0, np.inf])


@pytest.mark.parametrize("shape", [(30, 41), (6, 12, 17)])
@pytest.mark.parametrize("spacing", [None, (5.0, 1.0, 1.0)])
@pytest.mark.parametrize("max_distance", [None, 3.0, 0.0])
def test_expanded_labels_are_nearest(rng, shape, spacing, max_distance):
    spacing = sampling(spacing, len(shape))
    labels = np.where(rng.random(shape) < 0.02, rng.integers(1, 200, shape), 0).astype(np.uint8)
    labels.flat[7] = 201
    mask = rng.random(shape) < 0.8
    got = expand_labels(labels, max_distance=max_distance, spacing=spacing, mask=mask)
    nearest = ndi.distance_transform_edt(labels == 0, sampling=spacing)
    filled = (labels == 0) & mask
    if max_distance is not None:
        filled &= nearest <= max_distance
    assert got.dtype == labels.dtype
    np.testing.assert_array_equal(got != 0, filled | (labels != 0))
    np.testing.assert_array_equal(got[labels != 0], labels[labels != 0])
    for name in np.unique(got[filled]):
        own = ndi.distance_transform_edt(labels != name, sampling=spacing)
        here = filled & (got == name)
        np.testing.assert_allclose(own[here], nearest[here], rtol=1e-9)


def test_expand_labels_agrees_with_skimage_away_from_ties():
    labels = np.zeros((40, 50), dtype=np.int32)
    labels[11, 7], labels[30, 41], labels[5, 38] = 3, 1, 9
    near = [
        np.hypot(*(np.indices(labels.shape) - np.reshape(p, (2, 1, 1))))
        for p in ((11, 7), (30, 41), (5, 38))
    ]
    near = np.sort(near, axis=0)
    unique = near[1] - near[0] > 1e-9
    want = skimage_expand(labels, distance=15)
    np.testing.assert_array_equal(expand_labels(labels, max_distance=15)[unique], want[unique])


def test_expand_labels_fills_exactly_up_to_the_limit():
    labels = np.array([[1, 0, 0, 0, 0, 0]])
    got = expand_labels(labels, max_distance=0.3, spacing=0.1)
    np.testing.assert_array_equal(got, [[1, 1, 1, 1, 0, 0]])


@settings(max_examples=20, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.bool_, np.uint8, np.int32, np.uint64]),
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=8),
        elements=st.sampled_from([0, 0, 0, 1]),
    )
)
def test_expand_labels_without_limit_fills_all_or_nothing(labels):
    frozen = labels.copy()
    frozen.flags.writeable = False
    got = expand_labels(frozen)
    assert got.shape == labels.shape
    assert got.flags.writeable
    assert (got == (1 if labels.any() else 0)).all()
    np.testing.assert_array_equal(frozen, labels)
    np.testing.assert_array_equal(expand_labels(np.asfortranarray(labels)), got)


def test_wrong_arguments_are_refused():
    mask = np.ones((3, 4))
    with pytest.raises(ParameterError, match="'spacing' must be one positive number or 2 of them"):
        distance_transform(mask, spacing=(1, 1, 1))
    with pytest.raises(ParameterError, match="'spacing' must be one positive number or 2 of them"):
        distance_transform(mask, spacing=0)
    with pytest.raises(ParameterError, match="'mask' must have 2 or 3 axes"):
        distance_transform(np.ones(3))
    with pytest.raises(ParameterError, match="'max_distance' must be zero or positive, got -1"):
        expand_labels(np.ones((2, 2), dtype=int), max_distance=-1)
    with pytest.raises(ParameterError, match=r"'mask' must have the shape of 'labels' \(2, 2\)"):
        expand_labels(np.ones((2, 2), dtype=int), mask=mask)
    with pytest.raises(ParameterError, match="'labels' must hold integer labels"):
        expand_labels(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("out", "came"),
    [
        (np.empty((2, 2), dtype=np.float64), r"float64 \(2, 2\)"),
        (np.empty((2, 3), dtype=np.float32), r"float32 \(2, 3\)"),
        (np.empty((2, 4), dtype=np.float32)[:, ::2], r"not C-contiguous float32 \(2, 2\)"),
        (3, "int"),
    ],
)
def test_an_out_that_does_not_fit_is_refused(out, came):
    with pytest.raises(ParameterError, match=rf"'out' must be a writable .* got {came}; omit"):
        distance_transform(np.ones((2, 2)), out=out)


def test_any_value_but_zero_counts_as_true():
    got = distance_transform([[-2.5, 0.0, 0.1, np.nan]])
    np.testing.assert_array_equal(got, [[1, 0, 1, 2]])
