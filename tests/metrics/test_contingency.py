"""Which labels meet which: against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helaseg._threads import limit_threads
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume
from helaseg.errors import ParameterError
from helaseg.metrics import ConfusionCounts, contingency_table
from helaseg.metrics import contingency as module


def _rows(table) -> list[tuple[int, int, int]]:
    return [tuple(row) for row in table.to_frame().to_numpy().tolist()]


def _by_numpy(a, b) -> list[tuple[int, int, int]]:
    stacked = np.stack([a.ravel().astype(np.int64), b.ravel().astype(np.int64)])
    pairs, counts = np.unique(stacked, axis=1, return_counts=True)
    return [(*p, n) for p, n in zip(pairs.T.tolist(), counts.tolist(), strict=True)]


@settings(max_examples=30, deadline=None)
@given(
    data=st.data(),
    shape=hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=6),
    dtypes=st.tuples(
        *[st.sampled_from([np.uint8, np.int16, np.int32, np.uint32, np.int64, bool])] * 2
    ),
    strided=st.booleans(),
)
def test_equals_numpy(data, shape, dtypes, strided) -> None:
    a, b = (data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))) for _ in "ab")
    a, b = a.astype(dtypes[0]), b.astype(dtypes[1])
    if strided:
        a, b = np.repeat(a, 3, axis=0)[::3], np.asfortranarray(b)
    a.flags.writeable = False
    ignore = data.draw(hnp.arrays(bool, shape))
    assert _rows(contingency_table(a, b)) == _by_numpy(a, b)
    assert _rows(contingency_table(a, b, ignore=ignore)) == _by_numpy(a[~ignore], b[~ignore])


def test_more_pairs_than_the_first_table_holds(rng) -> None:
    a = rng.integers(0, 3000, (40, 500)).astype(np.uint32)
    b = rng.integers(0, 2**32, (40, 500), dtype=np.uint64)
    table = contingency_table(a, b)
    assert _rows(table) == _by_numpy(a, b)
    assert table.n_voxels == a.size


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("shape", [(9, 20, 30), (80, 67), (1, 5000)])
def test_threads_and_pieces_change_nothing(layout, shape, rng, monkeypatch) -> None:
    a, b = rng.integers(0, 200, (2, *shape)).astype(np.uint32)
    a, b = np.asarray(a, order=layout), np.asarray(b, order=layout)
    ignore = rng.random(shape) < 0.3
    with limit_threads(1):
        want = contingency_table(a, b, ignore=ignore)
    assert _rows(want) == _by_numpy(a[~ignore], b[~ignore])
    monkeypatch.setattr(module, "_PIECE", 100)
    with limit_threads(3):
        assert _rows(contingency_table(a, b, ignore=ignore)) == _rows(want)


def test_labels_that_need_no_conversion_take_no_memory(rng) -> None:
    for dtype in (np.uint32, np.int32):
        labels = rng.integers(0, 9, (4, 5)).astype(dtype)
        assert np.shares_memory(module._as_uint32("a", labels), labels)


def test_volumes_are_read_slice_by_slice(rng) -> None:
    class Slices:
        """Refuses to be read as a whole."""

        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __getitem__(self, z):
            assert isinstance(z, int)
            return self.array[z]

    a, b = rng.integers(0, 4, (2, 3, 5, 6)).astype(np.uint8)
    grid = Grid(shape=a.shape, voxel_size_nm=(50, 10, 10))
    volumes = [LabelVolume(data=Slices(v), grid=grid) for v in (a, b)]
    assert _rows(contingency_table(*volumes)) == _by_numpy(a, b)


def test_tables_add_up_and_split_into_confusion_counts(rng) -> None:
    a, b = rng.integers(0, 4, (2, 3, 5, 6)).astype(np.uint8)
    parts = [contingency_table(x, y) for x, y in zip(a, b, strict=True)]
    total = parts[0] + parts[1] + parts[2]
    assert _rows(total) == _by_numpy(a, b)
    assert len(total) == len(_by_numpy(a, b))
    truth, prediction = np.isin(a, [1, 2]), b == 3
    assert total.confusion([1, 2], [3]) == ConfusionCounts(
        tp=int((truth & prediction).sum()),
        fp=int((~truth & prediction).sum()),
        fn=int((truth & ~prediction).sum()),
        tn=int((~truth & ~prediction).sum()),
    )


def test_refuses_what_are_no_labels() -> None:
    ones = np.ones((2, 2), int)
    with pytest.raises(ParameterError, match=r"'b' must have the shape of 'a'"):
        contingency_table(ones, np.ones((2, 3), int))
    with pytest.raises(ParameterError, match=r"'ignore' must have the shape of 'a'"):
        contingency_table(ones, ones, ignore=np.ones((3, 3)))
    with pytest.raises(ParameterError, match=r"'a' must hold integer labels, got dtype float64"):
        contingency_table(np.ones((2, 2)), ones)
    with pytest.raises(ParameterError, match=r"'b' must not hold negative labels, got -1"):
        contingency_table(ones, -ones)
    with pytest.raises(ParameterError, match=r"'a' must hold labels below 2\*\*32.*relabel_seq"):
        contingency_table(ones << 32, ones)
