"""The counting kernels: compiled, as Python, and against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helaseg._kernels import counting
from helaseg._kernels._jit import python_form

FORMS = pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])


@FORMS
@settings(max_examples=20, deadline=None)
@given(data=st.data(), n=st.integers(0, 300))
def test_count_overlap(form, data, n) -> None:
    masks = [data.draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 1))) for _ in range(2)]
    out = np.array([5, 6, 7], np.int64)
    form(counting.count_overlap)(masks[0], masks[1], out)
    wide = [m.astype(int) for m in masks]
    assert out.tolist() == [5 + wide[0].sum(), 6 + wide[1].sum(), 7 + (wide[0] * wide[1]).sum()]


@FORMS
def test_count_overlap_of_full_masks_does_not_overflow_a_byte(form) -> None:
    full = np.ones(1000, np.uint8)
    out = np.zeros(3, np.int64)
    form(counting.count_overlap)(full, full, out)
    assert out.tolist() == [1000, 1000, 1000]


@FORMS
@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(0, 300), repeat=st.sampled_from([1, 1, 7, 100]))
def test_count_pairs(form, data, n, repeat) -> None:
    labels = st.sampled_from([0, 1, 2, 300, 2**32 - 1])
    a, b = (
        data.draw(hnp.arrays(np.uint32, n // repeat, elements=labels)).repeat(repeat)
        for _ in range(2)
    )
    # one of the two moves on alone
    b = np.roll(b, data.draw(st.integers(0, 3)))
    table = np.zeros((64, 2), np.uint64)
    done, used = form(counting.count_pairs)(a, b, 0, table, 0)
    want, sizes = np.unique(a.astype(np.uint64) << np.uint64(32) | b, return_counts=True)
    got = sorted(table[table[:, 1] > 0].tolist())
    assert (done, used) == (a.size, len(want))
    assert got == [list(row) for row in zip(want.tolist(), sizes.tolist(), strict=True)]


@FORMS
@pytest.mark.parametrize("repeat", [1, 3, 200])
def test_count_pairs_stops_when_the_table_fills_and_goes_on_from_there(form, repeat) -> None:
    a = np.arange(10, dtype=np.uint32).repeat(repeat)
    table = np.zeros((8, 2), np.uint64)
    done, used = form(counting.count_pairs)(a, a, 0, table, 0)
    assert (done, used) == (6 * repeat, 6)
    table = np.zeros((8, 2), np.uint64)
    done, used = form(counting.count_pairs)(a, a, done, table, 0)
    assert (done, used) == (10 * repeat, 4)
    assert table[:, 1].sum() == 4 * repeat
    # a full table that knows the pairs to come goes on
    assert form(counting.count_pairs)(a[-2 * repeat :], a[-2 * repeat :], 0, table, 6)[1] == 6
