"""Coarser copies against scikit-image and against counting."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import block_reduce

from helaseg.core.grid import Grid
from helaseg.errors import ParameterError
from helaseg.io import downsample
from helaseg.io.pyramid import pyramid_factors

DTYPES = st.sampled_from(["?", "u1", "i1", "u2", "i4", "u8", "i8", "f4"])


@st.composite
def arrays_and_factors(draw):
    dtype = draw(DTYPES)
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9))
    few = st.integers(0, 3) if dtype[0] == "u" else st.integers(-2, 2)
    elements = {"?": st.booleans(), "f4": st.floats(-9, 9, width=16)}.get(dtype, few)
    array = draw(hnp.arrays(dtype, shape, elements=elements))
    factors = tuple(draw(st.integers(1, 4)) for _ in shape)
    if draw(st.booleans()):
        array = np.asfortranarray(array)
    array.setflags(write=False)
    return array, factors


def blocks_of(array, factors):
    shape = [-(-n // f) for n, f in zip(array.shape, factors, strict=True)]
    for place in itertools.product(*(range(n) for n in shape)):
        box = tuple(slice(p * f, (p + 1) * f) for p, f in zip(place, factors, strict=True))
        yield place, array[box].ravel().tolist()


@settings(max_examples=40, deadline=None)
@given(arrays_and_factors())
def test_mode_counts(case):
    array, factors = case
    got = downsample(array, factors, kind="mode")
    assert got.dtype == array.dtype
    for place, values in blocks_of(array, factors):
        counts = collections.Counter(values)
        most = max(counts.values())
        assert got[place] == min(v for v, n in counts.items() if n == most)


@settings(max_examples=40, deadline=None)
@given(arrays_and_factors())
def test_mean_is_the_mean_of_what_is_there(case):
    array, factors = case
    got = downsample(array, factors)
    assert got.dtype == array.dtype
    for place, values in blocks_of(array, factors):
        mean = sum(map(float, values)) / len(values)
        if array.dtype.kind == "f":
            assert got[place] == pytest.approx(mean, abs=1e-5)
        else:
            assert got[place] == np.floor(mean + 0.5)


def test_mean_as_scikit_image(rng):
    image = rng.normal(size=(6, 8, 10))
    want = block_reduce(image, (2, 4, 5), np.mean)
    np.testing.assert_allclose(downsample(image, (2, 4, 5)), want)


def test_large_values_do_not_overflow():
    for dtype in ("u1", "u2", "u4", "i4"):
        top = np.iinfo(dtype).max
        assert downsample(np.full((2, 4, 4), top, dtype), (2, 2, 2)).min() == top
    top = np.iinfo("u8").max
    assert downsample(np.full((4, 4), top, "u8"), (2, 2), kind="mode").min() == top


def test_empty_arrays_stay_empty():
    assert downsample(np.zeros((0, 5), np.uint8), (2, 2)).shape == (0, 3)


@pytest.mark.parametrize("factors", [(2,), (2, 0, 2), (2, 1.5, 2), (2, 2, 2, 2)])
def test_bad_factors_are_refused(factors):
    with pytest.raises(ParameterError, match="'factors' must be 3 integers of at least 1"):
        downsample(np.zeros((4, 4, 4)), factors)


def test_a_bad_kind_is_refused():
    with pytest.raises(ParameterError, match="'kind' must be one of 'mean', 'mode'"):
        downsample(np.zeros((4, 4)), (2, 2), kind="median")


def test_voxels_become_cubes():
    grid = Grid(shape=(500, 8192, 8192), voxel_size_nm=(50, 10, 10))
    factors = pyramid_factors(grid)
    assert factors == [(1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)]
    for step in factors:
        grid = grid.downsample(step)
    assert max(grid.shape[1:]) == 256
    assert pyramid_factors(grid) == []
    assert len(pyramid_factors(grid, n_levels=3)) == 2
    assert pyramid_factors(Grid(shape=(1, 1, 1), voxel_size_nm=(1, 1, 1)), n_levels=5) == []
    with pytest.raises(ParameterError, match="'n_levels' must be at least 1"):
        pyramid_factors(grid, n_levels=0)
