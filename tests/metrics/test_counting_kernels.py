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
@settings(max_examples=20, deadline=None)
@given(data=st.data(), n=st.integers(0, 60))
def test_count_pairs(form, data, n) -> None:
    labels = st.sampled_from([0, 1, 2, 300, 2**32 - 1])
    a, b = (data.draw(hnp.arrays(np.uint32, n, elements=labels)) for _ in range(2))
    keys, counts = np.zeros(64, np.uint64), np.zeros(64, np.int64)
    done, used = form(counting.count_pairs)(a, b, 0, keys, counts, 0)
    want, sizes = np.unique(a.astype(np.uint64) << np.uint64(32) | b, return_counts=True)
    got = sorted(zip(keys[counts > 0].tolist(), counts[counts > 0].tolist(), strict=True))
    assert (done, used) == (n, len(want))
    assert got == list(zip(want.tolist(), sizes.tolist(), strict=True))


@FORMS
def test_count_pairs_stops_when_the_table_fills_and_goes_on_from_there(form) -> None:
    a = np.arange(10, dtype=np.uint32)
    keys, counts = np.zeros(8, np.uint64), np.zeros(8, np.int64)
    done, used = form(counting.count_pairs)(a, a, 0, keys, counts, 0)
    assert (done, used) == (6, 6)
    keys, counts = np.zeros(8, np.uint64), np.zeros(8, np.int64)
    done, used = form(counting.count_pairs)(a, a, done, keys, counts, 0)
    assert (done, used) == (10, 4)
