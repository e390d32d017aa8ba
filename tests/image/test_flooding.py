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

from helaseg._kernels import ranks
from helaseg._kernels import watershed as kernels
from helaseg._kernels._jit import python_form
from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.image import flooding as door
from helaseg.image import levels as level_module
from helaseg.image.flooding import watershed

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


@pytest.mark.parametrize("low", [-(2**63), -(2**31), 2**31 + 5, 2**63 - 9, 2**64 - 9])
def test_integers_far_from_zero_keep_their_order(rng, low):
    above = rng.integers(0, 8, (9, 12), dtype=np.uint64)
    dtype = np.uint64 if low > 0 else np.int64
    values = np.array([low + int(v) for v in above.flat], dtype=dtype).reshape(above.shape)
    markers = some_markers(rng, above.shape, 4)
    mask = rng.random(above.shape) < 0.8
    got = watershed(values, markers, mask=mask)
    np.testing.assert_array_equal(got, watershed(above, markers, mask=mask))


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


FORMS = pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])


@pytest.fixture
def in_pieces(monkeypatch):
    """Even small masks are flooded piece by piece."""
    monkeypatch.setattr(door, "_LARGE_VX", 1)


@pytest.fixture
def by_table(monkeypatch):
    """Even few numbers are ranked by a table."""
    monkeypatch.setattr(level_module, "_TABLE_FROM_VX", 1)


def words_of(priority, markers, mask):
    """Padded words, levels, where rows begin, and how many marker voxels rows have."""
    layout = door._Layout.of(priority.shape)
    levels = np.where(mask, priority, -1).astype(np.int32)
    words, marked = door._mix(levels, markers, layout)
    return layout, words, levels.reshape(-1, priority.shape[-1]), marked


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize(("shape", "connectivity"), CASES)
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("kind", ["int8", "float32"])
@pytest.mark.parametrize("threads", [1, 3])
def test_pieces_and_threads_change_nothing(rng, shape, connectivity, lines, kind, threads):
    priority = image_of(kind, rng, shape)
    markers = some_markers(rng, shape, 40)
    mask = rng.random(shape) < 0.6
    with limit_threads(threads):
        got = watershed(priority, markers, mask=mask, connectivity=connectivity, lines=lines)
    want = flood_by_heap(priority, markers, mask, connectivity, lines)
    np.testing.assert_array_equal(got, want)


def test_a_large_image_is_the_same_for_any_number_of_threads(rng):
    shape = (1100, 1003)
    mask = ndi.gaussian_filter(rng.normal(size=shape), 5.0) > 0
    priority = -ndi.distance_transform_edt(mask).astype(np.float32)
    markers = some_markers(rng, shape, 900)
    results = []
    for threads in (1, 2, 3):
        with limit_threads(threads):
            results.append(watershed(priority, markers, mask=mask))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    with limit_threads(3), pytest.MonkeyPatch.context() as patch:
        # at once, and ranked by sorting
        patch.setattr(door, "_LARGE_VX", mask.size + 1)
        patch.setattr(level_module, "_TABLE_FROM_VX", mask.size + 1)
        np.testing.assert_array_equal(watershed(priority, markers, mask=mask), results[0])


def test_labels_of_a_distance_map_are_those_of_skimage(rng):
    """Plateaus, ties and many pieces; each marker lies below all else, at its own value."""
    shape = (1050, 1030)
    mask = ndi.gaussian_filter(rng.normal(size=shape), 6.0) > 0
    priority = -ndi.distance_transform_edt(mask)
    markers = some_markers(rng, shape, 500) * mask
    priority = np.where(markers > 0, priority.min() - markers, priority)
    want = skimage_watershed(priority, markers, mask=mask)
    for dtype in (np.float64, np.float32):
        got = watershed(priority.astype(dtype), markers, mask=mask)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("places", [2, 4, 8, 128])
@pytest.mark.parametrize("kind", ["constant", "int8", "float32"])
def test_chunks_of_any_size_give_the_same(rng, monkeypatch, places, kind):
    shape = (23, 31)
    priority = image_of(kind, rng, shape)
    markers = some_markers(rng, shape, 6)
    monkeypatch.setattr(door, "_CHUNK_PLACES", places)
    got = watershed(priority, markers, connectivity=2)
    want = flood_by_heap(priority, markers, np.ones(shape, dtype=bool), 2, False)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("places", [2, 4, 128])
@pytest.mark.parametrize("n_levels", [1, 7, 300, 2000])
def test_the_pool_of_chunks_is_never_too_small(rng, monkeypatch, places, n_levels):
    """Every second voxel is a marker, so that all others wait at the same time."""
    shape = (40, 50)
    priority = rng.integers(0, n_levels, shape)
    markers = (np.indices(shape).sum(axis=0) % 2).astype(np.int32)
    layout, words, levels, marked = words_of(priority, markers, np.ones(shape, dtype=bool))
    steps = layout.steps(1)
    seeds, seed_levels = np.empty((2, marked.sum()), dtype=np.int32)
    n = kernels.find_seeds(words, levels, layout.begins, marked, steps, seeds, seed_levels)
    assert n == 1000
    monkeypatch.setattr(door, "_CHUNK_PLACES", places)
    tails, heads, pool, last = door._queues(n_levels, priority.size)
    nothing = np.empty(0, dtype=np.uint8)
    bounds = np.array([0, n])
    kernels.flood(words, nothing, steps, seeds, seed_levels, bounds, tails, heads, pool, last)
    assert pool[0] <= pool.size
    assert (tails == last).all()
    assert (words.reshape(layout.padded)[0, 1:-1, 1:-1] == -1).all()


@pytest.mark.parametrize("kind", ["priority", "markers", "mask"])
def test_out_may_be_the_memory_of_an_input(rng, kind):
    shape = (30, 33)
    arrays = {
        "priority": rng.integers(0, 9, shape, dtype=np.int32),
        "markers": some_markers(rng, shape, 5),
        "mask": (rng.random(shape) < 0.9).astype(np.int32),
    }
    want = watershed(**arrays)
    got = watershed(**arrays, out=arrays[kind])
    assert got is arrays[kind]
    np.testing.assert_array_equal(got, want)


def test_no_dtype_or_layout_compiles_a_kernel_again(rng):
    every = [
        k for module in (kernels, ranks) for k in vars(module).values() if hasattr(k, "signatures")
    ]

    def call_all():
        for dtype in (np.uint8, np.int64, np.float32, np.float64):
            priority = rng.integers(0, 99, (300, 301)).astype(dtype)
            markers = some_markers(rng, priority.shape, 9).astype(np.uint16)
            mask = rng.random(priority.shape) < 0.9
            for frozen in (False, True):
                for array in (priority, markers, mask):
                    array.flags.writeable = not frozen
                for where in (None, mask, mask.astype(np.float32)):
                    watershed(priority, markers, mask=where)
                    watershed(priority.T, markers.T.astype(np.int32), lines=True)

    watershed(rng.normal(size=(300, 300)), np.eye(300, dtype=int), mask=np.ones((300, 300)))
    watershed(np.zeros((3, 3)), np.eye(3, dtype=int), mask=np.eye(3), lines=True)
    watershed(np.eye(3, dtype=int), np.eye(3, dtype=int), mask=np.eye(3))
    before = [len(k.signatures) for k in every]
    call_all()
    # what no test before has called is compiled now, but once
    assert [len(k.signatures) for k in every] == [
        max(n, min(1, len(k.signatures))) for k, n in zip(every, before, strict=True)
    ]


@pytest.mark.usefixtures("by_table")
@pytest.mark.parametrize("kind", [*KINDS, "float16", "close", "wide", "huge"])
@pytest.mark.parametrize("masked", [False, True])
def test_ranks_by_table_are_those_by_sorting(rng, kind, masked):
    shape = (90, 110)
    match kind:
        case "float16":
            values = rng.normal(size=shape).astype(np.float16)
        case "close":
            values = 1.0 + rng.integers(0, 3, shape) * 2.0**-40
        case "wide":
            values = rng.integers(0, 5, shape) * 2**58 - 2**59
        case "huge":
            values = rng.choice([1.0, 1e300, 1e301, -1e300, np.inf], shape)
        case _:
            values = image_of(kind, rng, shape)
    mask = rng.random(shape) < 0.8 if masked else np.ones(shape, dtype=bool)
    if values.dtype.kind == "f" and masked:
        values[~mask] = np.nan
    levels = np.empty(shape, dtype=np.int32)
    n_levels = level_module.write_levels(values, mask if masked else None, levels.reshape(-1))
    distinct, want = np.unique(values[mask], return_inverse=True)
    if values.dtype.kind == "f" or kind in ("uint64", "wide"):
        assert n_levels == distinct.size
        np.testing.assert_array_equal(levels[mask], want)
    else:
        np.testing.assert_array_equal(
            np.argsort(levels[mask], kind="stable"), np.argsort(values[mask], kind="stable")
        )
        assert levels.max() < n_levels
    assert (levels[~mask] == -1).all()


@FORMS
def test_float_keys_are_in_the_order_of_the_floats(rng, form):
    numbers = np.array([-np.inf, -2.5, -1e-42, -0.0, 0.0, 1e-42, 1.0, 3e38, np.inf], np.float32)
    inside = np.ones(9, dtype=np.uint8)
    keys = np.empty(9, dtype=np.uint32)
    assert form(ranks.float_keys)(numbers.view(np.uint32), inside, keys) == 0
    assert keys[3] == keys[4]
    assert (np.diff(np.delete(keys, 3).astype(np.int64)) > 0).all()
    inside[[1, 5]] = 0
    numbers[[0, 1, 8]] = np.nan, np.nan, -np.float32(np.nan)
    assert form(ranks.float_keys)(numbers.view(np.uint32), inside, keys) == 2
    assert (keys[[1, 5]] == ranks.NO_KEY).all()


@FORMS
@pytest.mark.parametrize("top", [40, 2**13 + 5, 2**32 - 2])
def test_a_table_of_bits_numbers_the_distinct_keys(rng, form, top):
    keys = rng.integers(0, top, 200, dtype=np.uint32, endpoint=True)
    keys[:3] = top
    inside = rng.random(200) < 0.9
    keys[~inside] = ranks.NO_KEY
    distinct, want = np.unique(keys[inside], return_inverse=True)
    n_used = np.unique(keys[inside] >> ranks.PAGE_BITS).size
    for room in (n_used, n_used - 1):
        here = keys.copy()
        pages = np.full(2 ** (32 - ranks.PAGE_BITS), -1, dtype=np.int32)
        bits = np.zeros(room * ranks.WORDS_PER_PAGE, dtype=np.uint64)
        n_pages = form(ranks.mark_keys)(here, pages, bits)
        assert n_pages == (n_used if room == n_used else -1)
        if n_pages < 0:
            break
        before = np.empty(bits.size, dtype=np.int32)
        # without the empty pages in between, which take Python long
        short = pages[pages >= 0]
        assert form(ranks.count_keys)(short, bits, before) == distinct.size
        got = here.view(np.int32)
        form(ranks.look_up)(here, pages, bits, before, got)
        np.testing.assert_array_equal(got[inside], want)
        assert (got[~inside] == -1).all()


@FORMS
def test_keys_of_the_same_rank_are_compared(form):
    rank = np.array([0, -1, 1, 0, 1], dtype=np.int32)
    for last, agree in ((2**63, True), (2**63 + 1, False)):
        keys = np.array([0, 5, 2**63, 0, last], dtype=np.uint64)
        seen, first = np.zeros(2, dtype=np.uint8), np.empty(2, dtype=np.uint64)
        assert form(ranks.keys_agree)(keys[:3], rank[:3], seen, first)
        assert form(ranks.keys_agree)(keys[3:], rank[3:], seen, first) == agree


@FORMS
@pytest.mark.parametrize("top", [1, 50, 2**40, 2**64 - 1])
def test_sorting_numbers_the_distinct_keys(rng, form, top):
    keys = rng.integers(0, top, 60, dtype=np.uint64, endpoint=True)
    keys[5] = keys[50]
    order = np.empty(60, dtype=np.int32)
    got = np.empty(60, dtype=np.int32)
    distinct, want = np.unique(keys, return_inverse=True)
    assert form(ranks.sort_ranks)(keys, order, got) == distinct.size
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))


@FORMS
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_flood_kernels_follow_the_definition(rng, form, lines, grouped):
    shape = (9, 30)
    priority = rng.integers(0, 6, shape)
    markers = some_markers(rng, shape, 7)
    mask = rng.random(shape) < 0.9
    mask[:, 14] = False
    layout, words, levels, marked = words_of(priority, markers, mask)
    steps = layout.steps(1)
    seeds, seed_levels = np.empty((2, marked.sum()), dtype=np.int32)
    n = form(kernels.find_seeds)(words, levels, layout.begins, marked, steps, seeds, seed_levels)
    seeds, seed_levels, bounds = seeds[:n], seed_levels[:n], np.array([0, n])
    if grouped:
        right = layout.voxels(seeds) % 30 > 14
        order = np.argsort(right, kind="stable")
        seeds, seed_levels = seeds[order], seed_levels[order]
        bounds = np.array([0, (~right).sum(), n])
    settled = np.empty(0, dtype=np.uint8)
    if lines:
        settled = ((words < 0) & (words != kernels.OUTSIDE)).view(np.uint8)
    tails, heads, pool, last = door._queues(6, priority.size)
    form(kernels.flood)(words, settled, steps, seeds, seed_levels, bounds, tails, heads, pool, last)
    assert (tails == last).all()
    got = np.empty(shape, dtype=np.int32)
    form(kernels.unmix)(words, layout.begins, got)
    np.testing.assert_array_equal(got, flood_by_heap(priority, markers, mask, 1, lines))


@FORMS
def test_spreading_agrees_with_its_python_form(form):
    """One row: the first voxel takes the second, at its own level or above."""
    for lines in (False, True):
        words = np.array([kernels.OUTSIDE, -7, 2, 5, kernels.OUTSIDE], dtype=np.int32)
        settled = (words == -7).astype(np.uint8)
        tails = np.full(6, 3, dtype=np.uint32)
        heads, pool = np.zeros(6, dtype=np.uint32), np.zeros(20, dtype=np.uint32)
        pool[0], pool[4] = 8, 1
        steps = np.array([-1, 1])
        front = (tails, heads, pool, 3, 4, 4, 5)
        if lines:
            reached = form(kernels._spread_with_lines)(words, settled, steps, *front)
        else:
            reached = form(kernels._spread)(words, steps, *front)
        assert reached == 4
        assert words[2] == -7
        assert tails[4] == 9
        assert (heads[4], pool[8], pool[0]) == (8, 2, 12)


@FORMS
def test_a_chunk_that_was_given_back_is_used_again(form):
    heads = np.zeros(2, dtype=np.uint32)
    pool = np.zeros(16, dtype=np.uint32)
    pool[0], pool[1], pool[4] = 12, 4, 8
    assert form(kernels._open_chunk)(heads, pool, 3, 1, 3) == 4
    assert (heads[1], pool[0], pool[1]) == (4, 12, 8)
    assert form(kernels._open_chunk)(heads, pool, 3, 1, 7) == 8
    assert (heads[1], pool[7], pool[1]) == (4, 8, 0)
    assert form(kernels._open_chunk)(heads, pool, 3, 0, 3) == 12
    assert (heads[0], pool[0]) == (12, 16)


@FORMS
def test_seeds_are_queued_in_their_order(form):
    seeds = np.array([3, 5, 9, 11], dtype=np.int32)
    seed_levels = np.array([2, 1, 2, 2], dtype=np.int32)
    tails, heads, pool, last = np.full(4, 1, dtype=np.uint32), np.zeros(4, np.uint32), None, 1
    pool = np.zeros(12, dtype=np.uint32)
    pool[0] = 2
    assert form(kernels._queue_seeds)(seeds, seed_levels, tails, heads, pool, last) == (1, 2)
    found, place = [], int(heads[2])
    for _ in range(3):
        found.append(int(pool[place]))
        place = int(pool[place + 1])
    assert found == [3, 9, 11]
    assert (tails[0], tails[3]) == (1, 1)


@FORMS
def test_words_are_made_and_read_row_by_row(form):
    levels = np.array([[4, -1, 0], [7, 3, -1]], dtype=np.int32)
    markers = np.array([[0, 5, 2], [2**31 - 3, 0, 0]], dtype=np.int32)
    begins, marked = np.array([1, 5]), np.empty(2, dtype=np.int64)
    words = np.full(9, 77, dtype=np.int32)
    form(kernels.mix)(levels, markers, begins, words, marked)
    out = kernels.OUTSIDE
    np.testing.assert_array_equal(words, [77, 4, out, -2, 77, 3 - 2**31, 3, out, 77])
    np.testing.assert_array_equal(marked, [1, 1])
    labels = np.full((2, 3), 9, dtype=np.int32)
    form(kernels.unmix)(words, begins, labels)
    np.testing.assert_array_equal(labels, [[0, 0, 2], [2**31 - 3, 0, 0]])


@FORMS
def test_voxels_outside_the_mask_are_left_out(form):
    levels = np.arange(20, dtype=np.int32)
    inside = (levels % 3 > 0).astype(np.uint8)
    form(kernels.leave_out)(levels, inside)
    np.testing.assert_array_equal(levels, np.where(inside, np.arange(20), -1))


@FORMS
def test_only_markers_with_a_free_neighbour_are_seeds(form):
    markers = np.zeros((5, 5), dtype=np.int32)
    markers[:, 1:4] = 3
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 4] = False
    layout, words, levels, marked = words_of(np.arange(25).reshape(5, 5), markers, mask)
    seeds, seed_levels = np.empty((2, marked.sum()), dtype=np.int32)
    n = form(kernels.find_seeds)(
        words, levels, layout.begins, marked, layout.steps(1), seeds, seed_levels
    )
    np.testing.assert_array_equal(seed_levels[:n], [1, 3, 6, 8, 11, 16, 18, 21, 23])
    np.testing.assert_array_equal(layout.voxels(seeds[:n]), seed_levels[:n])


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
    with pytest.raises(ParameterError, match=rf"'out' must be a writable .* got {came}; omit"):
        watershed(np.zeros((2, 3)), np.ones((2, 3), dtype=int), out=out)
