from __future__ import annotations

import heapq
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi
from skimage.segmentation import watershed as skimage_watershed

from helaseg._kernels import watershed as kernels
from helaseg._kernels._jit import python_form
from helaseg.errors import ParameterError
from helaseg.image.watershed import watershed

SHAPES = [(37, 53), (1, 40), (40, 1), (1, 1), (9, 17, 23), (1, 15, 16), (7, 1, 9), (5, 1, 1)]
CASES = [(shape, c) for shape in SHAPES for c in range(1, len(shape) + 1)]
KINDS = ["distinct", "float32", "float64", "int8", "uint64", "smooth", "constant", "infinite"]


def image_of(kind, rng, shape):
    n = int(np.prod(shape))
    match kind:
        case "distinct":
            return rng.permutation(n).reshape(shape)
        case "float32" | "float64":
            return rng.normal(size=shape).astype(kind)
        case "int8":
            return rng.integers(-4, 4, shape).astype(np.int8)
        case "uint64":
            return rng.integers(0, 2**64 - 1, shape, dtype=np.uint64)
        case "smooth":
            return ndi.gaussian_filter(rng.normal(size=shape), 1.0)
        case "constant":
            return np.full(shape, 3, dtype=np.uint8)
        case "infinite":
            return rng.choice([-np.inf, -0.0, 0.0, 1.0, np.inf], size=shape)
    raise AssertionError(kind)


def some_markers(rng, shape, count):
    markers = np.zeros(shape, dtype=np.int32)
    count = min(count, markers.size)
    markers.flat[rng.choice(markers.size, count, replace=False)] = np.arange(1, count + 1)
    return markers


def far_markers(rng, shape, gap):
    """Markers with at least `gap` voxels between any two of them."""
    markers = np.zeros(shape, dtype=np.int32)
    places = []
    for voxel in rng.permutation(markers.size)[:60]:
        place = np.array(np.unravel_index(voxel, shape))
        if all(np.abs(place - other).max() > gap for other in places):
            places.append(place)
            markers.flat[voxel] = len(places)
    return markers


def flood_by_heap(priority, markers, mask, connectivity, lines):
    """The definition, voxel by voxel: lowest (level, age) first, markers in raster order."""
    moves = [
        m for m in product((-1, 0, 1), repeat=priority.ndim) if 0 < np.abs(m).sum() <= connectivity
    ]
    moves.sort(key=lambda move: np.abs(move).sum())

    def neighbours(place):
        for move in moves:
            other = tuple(np.add(place, move))
            if all(0 <= o < n for o, n in zip(other, priority.shape, strict=True)) and mask[other]:
                yield other

    labels = np.where(mask, markers, 0)
    heap, seen, age = [], labels > 0, 0
    for place in np.argwhere(labels):
        heap.append((priority[tuple(place)], age, tuple(place), labels[tuple(place)]))
        age += 1
    heapq.heapify(heap)
    while heap:
        level, _, place, name = heapq.heappop(heap)
        if labels[place] == 0:
            rival = any(labels[other] not in (0, name) for other in neighbours(place))
            labels[place] = 0 if lines and rival else name
        for other in neighbours(place):
            if not seen[other]:
                seen[other] = True
                if not lines:
                    labels[other] = name
                heapq.heappush(heap, (max(level, priority[other]), age, other, name))
                age += 1
    return labels


@pytest.mark.parametrize(("shape", "connectivity"), CASES)
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_labels_follow_the_definition_also_on_plateaus(rng, shape, connectivity, lines, kind):
    shape = tuple(min(n, 12) for n in shape)
    priority = image_of(kind, rng, shape)
    markers = some_markers(rng, shape, 5)
    mask = rng.random(shape) < 0.85
    got = watershed(priority, markers, mask=mask, connectivity=connectivity, lines=lines)
    assert got.dtype == np.int32
    want = flood_by_heap(priority, markers, mask, connectivity, lines)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("shape", "connectivity"), CASES)
@pytest.mark.parametrize("kind", ["distinct", "float32", "int8", "uint16", "smooth"])
@pytest.mark.parametrize("masked", [False, True])
def test_labels_are_those_of_skimage(rng, shape, connectivity, kind, masked):
    """Markers lie apart and below all else, each at its own value.

    Releases of scikit-image differ in where they queue markers and leave the order of
    equal ones to their heap; here these choices cannot show, plateaus can.
    """
    image = image_of("int8" if kind == "uint16" else kind, rng, shape).astype(np.float64)
    markers = far_markers(rng, shape, gap=3)
    priority = np.where(markers > 0, image.min() - 1 - markers, image)
    if kind == "uint16":
        priority = (priority - priority.min()).astype(np.uint16)
    mask = ((rng.random(shape) < 0.85) | (markers > 0)) if masked else None
    got = watershed(priority, markers, mask=mask, connectivity=connectivity)
    want = skimage_watershed(priority, markers, mask=mask, connectivity=connectivity)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("shape", "connectivity"), [((37, 53), 1), ((30, 21), 2), ((6, 9, 7), 1)])
@pytest.mark.parametrize("kind", ["distinct", "float32", "smooth"])
def test_lines_are_those_of_skimage(rng, shape, connectivity, kind):
    """Small and without 26 neighbours: scikit-image queues line voxels again and again.

    With 26 neighbours that takes it seconds for a few thousand voxels.
    """
    image = image_of(kind, rng, shape).astype(np.float64)
    markers = far_markers(rng, shape, gap=5)
    markers[markers > 5] = 0
    priority = np.where(markers > 0, image.min() - 1 - markers, image)
    got = watershed(priority, markers, connectivity=connectivity, lines=True)
    want = skimage_watershed(priority, markers, connectivity=connectivity, watershed_line=True)
    np.testing.assert_array_equal(got, want)


def test_touching_disks_are_split_where_they_touch():
    y, x = np.indices((40, 61))
    disks = ((y - 20) ** 2 + (x - 18) ** 2 < 196) | ((y - 20) ** 2 + (x - 42) ** 2 < 196)
    distance = ndi.distance_transform_edt(disks)
    markers = np.zeros(disks.shape, dtype=np.uint8)
    markers[20, 18], markers[20, 42] = 1, 2
    labels = watershed(-distance, markers, mask=disks)
    np.testing.assert_array_equal(labels > 0, disks)
    assert (labels[disks & (x < 30)] == 1).all()
    assert (labels[disks & (x > 30)] == 2).all()


@pytest.mark.parametrize("connectivity", [1, 2])
def test_lines_are_one_pixel_wide_and_part_the_labels(rng, connectivity):
    priority = ndi.gaussian_filter(rng.normal(size=(60, 70)), 3.0)
    markers = far_markers(rng, priority.shape, gap=15)
    labels = watershed(priority, markers, connectivity=connectivity, lines=True)
    line = labels == 0
    structure = ndi.generate_binary_structure(2, connectivity)
    highest = ndi.grey_dilation(labels, footprint=structure)
    lowest = ndi.grey_erosion(np.where(line, 2**30, labels), footprint=structure)
    assert 0 < line.sum() < line.size / 4
    # no label touches another one; line pixels touch two, save where lines join
    np.testing.assert_array_equal(highest[~line], labels[~line])
    assert (highest[line] > lowest[line]).mean() > 0.9


def test_touching_markers_keep_their_labels():
    got = watershed(np.zeros((1, 6)), [[0, 1, 1, 2, 2, 0]], lines=True)
    np.testing.assert_array_equal(got, [[1, 1, 1, 2, 2, 2]])


def test_equal_markers_take_turns_in_raster_order():
    np.testing.assert_array_equal(watershed([[0, 0, 0]], [[5, 0, 3]]), [[5, 5, 3]])
    np.testing.assert_array_equal(watershed([[1, 0, 0]], [[5, 0, 3]]), [[5, 3, 3]])


def test_what_no_marker_reaches_stays_zero():
    mask = [[1, 1, 0, 1, 1]]
    got = watershed(np.zeros((1, 5)), [[1, 0, 2, 0, 0]], mask=mask)
    np.testing.assert_array_equal(got, [[1, 1, 0, 0, 0]])
    assert not watershed(np.zeros((3, 4)), np.zeros((3, 4), dtype=int)).any()


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (2, 0, 3)])
@pytest.mark.parametrize("lines", [False, True])
def test_an_empty_image_gives_empty_labels(shape, lines):
    got = watershed(np.zeros(shape), np.zeros(shape, dtype=np.uint8), lines=lines)
    assert got.shape == shape


@pytest.mark.parametrize("lines", [False, True])
def test_an_empty_mask_gives_zeros(lines):
    blank = np.zeros((3, 4), dtype=bool)
    got = watershed(np.full((3, 4), np.nan), np.ones((3, 4), dtype=int), mask=blank, lines=lines)
    assert not got.any()


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.bool_, np.uint8, np.int8, np.int32, np.uint64, np.float16, ">i2"]),
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=8),
        elements=st.sampled_from([0, 1]),
    ),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_dtype_and_layout_gives_the_same(priority, lines, seed):
    markers = some_markers(np.random.default_rng(seed), priority.shape, 3)
    mask = np.ones(priority.shape, dtype=bool)
    want = flood_by_heap(priority.astype(int), markers, mask, 1, lines)
    frozen = priority.copy()
    frozen.flags.writeable = False
    markers.flags.writeable = False
    spread = np.repeat(priority, 2, axis=-1)[..., ::2]
    for version in (priority, frozen, np.asfortranarray(priority), spread):
        np.testing.assert_array_equal(watershed(version, markers, lines=lines), want)


@settings(max_examples=20, deadline=None)
@given(
    hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=8)),
    st.sampled_from([np.int16, np.int32, np.int64, np.float32, np.float64]),
)
def test_only_the_order_of_the_values_counts(values, dtype):
    markers = some_markers(np.random.default_rng(0), values.shape, 4)
    want = watershed(values, markers)
    np.testing.assert_array_equal(watershed(values.astype(dtype), markers), want)
    np.testing.assert_array_equal(watershed(values.astype(np.float64) ** 3, markers), want)
    np.testing.assert_array_equal(watershed(values.astype(np.int64) * 2**47, markers), want)


def test_labels_grow_connected_from_their_markers(rng):
    priority = rng.integers(0, 20, (30, 31, 8))
    markers = some_markers(rng, priority.shape, 12)
    labels = watershed(priority, markers, connectivity=2)
    np.testing.assert_array_equal(labels[markers > 0], markers[markers > 0])
    structure = ndi.generate_binary_structure(3, 2)
    assert [ndi.label(labels == k, structure)[1] for k in range(1, 13)] == [1] * 12


def test_watershed_writes_into_out():
    out = np.full((2, 5), 9, dtype=np.int32)[:, ::2]
    assert watershed(np.zeros((2, 3)), [[4, 0, 0], [0, 0, 0]], out=out) is out
    np.testing.assert_array_equal(out, 4)


@pytest.mark.parametrize("lines", [False, True])
def test_flood_kernels_agree_with_their_python_form(rng, lines):
    priority = rng.integers(0, 6, (9, 11))
    markers = some_markers(rng, priority.shape, 5)
    mask = rng.random(priority.shape) < 0.9
    steps = np.array([-13, -1, 1, 13], dtype=np.int64)
    kernel = kernels.flood_with_lines if lines else kernels.flood
    results = []
    for form in (lambda k: k, python_form):
        cells = np.zeros((11, 13, 2), dtype=np.int32)
        cells[..., 0] = kernels.OUTSIDE
        cells[1:-1, 1:-1, 0] = np.where(mask, markers, kernels.OUTSIDE)
        cells[1:-1, 1:-1, 1] = priority
        flat = cells.reshape(-1, 2)
        tails = np.full(6, -1, dtype=np.int32)
        form(kernels.queue_markers)(flat, tails)
        form(kernel)(flat, tails, steps)
        assert (tails == -1).all()
        results.append(np.maximum(cells[1:-1, 1:-1, 0], 0))
    want = flood_by_heap(priority, markers, mask, 1, lines)
    for got in results:
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("form", [lambda k: k, python_form])
def test_append_makes_a_ring(form):
    cells = np.zeros((5, 2), dtype=np.int32)
    tails = np.array([-1], dtype=np.int32)
    for voxel in (3, 0, 4):
        form(kernels._append)(cells, tails, 0, voxel)
    assert tails[0] == 4
    assert [cells[4, 1], cells[3, 1], cells[0, 1]] == [3, 0, 4]


@pytest.mark.parametrize("form", [lambda k: k, python_form])
@pytest.mark.parametrize("top", [1, 50, 2**40, 2**64 - 1])
def test_rank_numbers_the_distinct_keys(rng, form, top):
    keys = rng.integers(0, top, 60, dtype=np.uint64, endpoint=True)
    keys[5] = keys[50]
    order = np.empty(60, dtype=np.int32)
    ranks = np.empty(60, dtype=np.int32)
    distinct, want = np.unique(keys, return_inverse=True)
    assert form(kernels.rank)(keys, order, ranks) == distinct.size
    np.testing.assert_array_equal(ranks, want)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))


def test_wrong_arguments_are_refused():
    flat, marker = np.zeros((2, 3)), np.ones((2, 3), dtype=int)
    with pytest.raises(ParameterError, match="'priority' must not hold NaN inside the mask; excl"):
        watershed(np.full((2, 3), np.nan), marker)
    with pytest.raises(ParameterError, match="'priority' must have 2 or 3 axes"):
        watershed(np.zeros(3), np.ones(3, dtype=int))
    with pytest.raises(ParameterError, match=r"'markers' must have the shape of 'priority' \(2, 3"):
        watershed(flat, np.ones((3, 2), dtype=int))
    with pytest.raises(ParameterError, match="'markers' must hold integer labels"):
        watershed(flat, np.ones((2, 3)))
    with pytest.raises(ParameterError, match="'markers' must not hold negative labels, got -1"):
        watershed(flat, -marker)
    with pytest.raises(
        ParameterError, match="'markers' must not exceed 2147483645, got label 2147"
    ):
        watershed(flat, np.full((2, 3), 2**31 - 2))
    with pytest.raises(ParameterError, match=r"'mask' must have the shape of 'priority' \(2, 3\)"):
        watershed(flat, marker, mask=np.ones((2, 2)))
    with pytest.raises(ParameterError, match="'connectivity' must be one of 1, 2, got 3"):
        watershed(flat, marker, connectivity=3)


def test_the_largest_label_survives_lines():
    top = 2**31 - 3
    got = watershed(np.zeros((1, 4)), [[top, 0, 0, 0]], lines=True)
    np.testing.assert_array_equal(got, top)


def test_a_volume_beyond_int32_is_refused_before_it_costs_memory():
    huge = np.broadcast_to(np.uint8(0), (2000, 2000, 2000))
    with pytest.raises(ParameterError, match=r"'priority' must have fewer than 2\*\*31 voxels"):
        watershed(huge, huge)


@pytest.mark.parametrize(
    ("out", "came"),
    [
        (np.empty((2, 3), dtype=np.int64), r"int64 \(2, 3\)"),
        (np.empty((3, 2), dtype=np.int32), r"int32 \(3, 2\)"),
        ("labels", "str"),
    ],
)
def test_an_out_that_does_not_fit_is_refused(out, came):
    with pytest.raises(ParameterError, match=rf"'out' must be a writable .* got {came}; leave"):
        watershed(np.zeros((2, 3)), np.ones((2, 3), dtype=int), out=out)
