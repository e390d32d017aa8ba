"""Runs of bits: kernels compiled and as Python, blocks of rows, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from helaseg._kernels import labeling
from helaseg._kernels._jit import python_form
from helaseg.errors import ParameterError
from helaseg.image import components
from helaseg.image.components import as_solid, find_components

FORMS = pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])
INNER = [
    "_as_ones",
    "_count_bits",
    "_count_starts",
    "_find_edges",
    "_join_pair",
    "_pack",
    "_paint",
    "_unite",
]


@pytest.fixture
def kernels(form, monkeypatch):
    """The kernels in one form, with all that they call."""
    for name in INNER:
        monkeypatch.setattr(labeling, name, form(getattr(labeling, name)))
    # bits that leave a word are meant to be lost
    with np.errstate(over="ignore"):
        yield form


def pack(form, mask, background=0):
    rows = mask.reshape(-1, mask.shape[-1]).view(np.uint8)
    rows.flags.writeable = False
    bits = np.empty((len(rows), mask.shape[-1] // 64 + 1), np.uint64)
    offsets = np.ones(len(rows) + 1, np.int64)
    form(labeling.pack_rows)(
        rows, np.uint8(background), 0, len(rows), bits.view(np.uint8), bits, offsets[1:]
    )
    return rows, bits, np.cumsum(offsets)


def number(form, mask, connectivity, background=0, border=None, blocks=None):
    """Labels, sizes and table, by the kernels alone; `blocks` are where blocks of rows begin."""
    rows, bits, offsets = pack(form, mask, background)
    n_rows, width = rows.shape
    height = mask.shape[-2]
    border = np.zeros(n_rows, np.uint8) if border is None else border
    parents = np.zeros(offsets[-1], np.uint32)
    starts = [0] if blocks is None else blocks
    pairs = list(zip(starts, [*starts[1:], n_rows], strict=True))
    for first, last in pairs:
        form(labeling.begin_runs)(bits, offsets, width, border, first, last, parents)
        form(labeling.join_rows)(
            bits, offsets, height, connectivity, first, last, first, last, parents
        )
    for first, last in pairs[1:]:
        form(labeling.join_rows)(
            bits, offsets, height, connectivity, first, last, 0, first, parents
        )
    count = form(labeling.number_runs)(parents)
    labels = np.empty(rows.shape, np.int32)
    form(labeling.paint_runs)(bits, offsets, parents, 0, n_rows, labels)
    return bits, offsets, parents, count, labels.reshape(mask.shape)


def test_ones_of_a_word_are_counted(rng):
    words = [0, 1, 2**63, 2**64 - 1, *rng.integers(0, 2**64, 200, dtype=np.uint64)]
    with np.errstate(over="ignore"):
        for word in map(np.uint64, words):
            want = int(word).bit_count()
            assert labeling._count_bits(word) == want
            assert python_form(labeling._count_bits)(word) == want


@FORMS
@pytest.mark.parametrize("width", [1, 7, 63, 64, 65, 130])
@pytest.mark.parametrize("background", [0, 1])
def test_rows_become_bits(rng, kernels, width, background):
    mask = rng.random((5, width)) < 0.6
    _, bits, offsets = pack(kernels, mask, background)
    found = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")
    np.testing.assert_array_equal(found[:, :width], mask != background)
    assert not found[:, width:].any()
    edges = np.diff(found, axis=1, prepend=0).view(np.int8)
    np.testing.assert_array_equal(np.diff(offsets), (edges == 1).sum(axis=1))


@FORMS
@pytest.mark.parametrize("shape", [(3, 6, 11), (1, 9, 67), (4, 1, 64), (3, 5, 130)])
@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_kernels_number_paint_and_measure(rng, kernels, shape, share, connectivity):
    mask = rng.random(shape) < share
    want, n_want = ndi.label(mask, ndi.generate_binary_structure(3, connectivity))
    bits, offsets, numbers, count, labels = number(kernels, mask, connectivity)
    assert count == n_want
    np.testing.assert_array_equal(labels, want)

    sizes = np.zeros(count + 1, np.int64)
    kernels(labeling.size_runs)(bits, offsets, numbers, shape[2], sizes)
    np.testing.assert_array_equal(sizes[1:], np.bincount(want.ravel(), minlength=count + 1)[1:])

    chosen = (np.arange(count + 1) % 2).astype(np.uint8)
    out = np.where(mask, 0, 7).astype(np.uint8).reshape(-1, shape[2])
    kernels(labeling.mark_runs)(bits, offsets, numbers, chosen, 0, len(out), out)
    np.testing.assert_array_equal(out.reshape(shape), np.where(mask, chosen[want], 7))

    counts, moments = np.zeros(count + 1, np.int64), np.zeros((count + 1, 3), np.int64)
    bounds = np.tile(np.array([999] * 3 + [0] * 3), (count + 1, 1))
    kernels(labeling.measure_runs)(
        bits, offsets, numbers, shape[2], shape[1], counts, moments, bounds
    )
    for k in range(1, count + 1):
        places = np.argwhere(want == k)
        assert counts[k] == len(places)
        np.testing.assert_array_equal(moments[k], places.sum(axis=0))
        np.testing.assert_array_equal(bounds[k, :3], places.min(axis=0))
        np.testing.assert_array_equal(bounds[k, 3:], places.max(axis=0) + 1)


@FORMS
@pytest.mark.parametrize("shape", [(1, 7, 20), (1, 8, 64), (4, 6, 9)])
@pytest.mark.parametrize("share", [0.2, 0.6])
def test_runs_at_the_border_are_the_outside(rng, kernels, shape, share):
    mask = rng.random(shape) < share
    flat = shape[0] == 1
    border = components._border_rows(shape, 2 if flat else 3)
    *_, count, labels = number(kernels, mask, 1, background=1, border=border)
    holes = ndi.binary_fill_holes(mask[0] if flat else mask).reshape(shape) & ~mask
    want, n_want = ndi.label(holes)
    assert count == n_want
    np.testing.assert_array_equal(labels, want)


@pytest.mark.parametrize("shape", [(1, 40, 90), (7, 8, 70), (20, 1, 65)])
@pytest.mark.parametrize("connectivity", [1, 2, 3])
@pytest.mark.parametrize("form", [lambda k: k], ids=["compiled"])
def test_blocks_of_rows_join_to_the_same(rng, kernels, shape, connectivity):
    n_rows = shape[0] * shape[1]
    for share in (0.3, 0.5, 0.8):
        mask = rng.random(shape) < share
        *_, labels = number(kernels, mask, connectivity)
        for size in (1, 3, n_rows // 2):
            blocks = list(range(0, n_rows, size))
            *_, shared = number(kernels, mask, connectivity, blocks=blocks)
            np.testing.assert_array_equal(shared, labels)


@FORMS
def test_the_smaller_root_stays(kernels):
    for a, b in ((3, 4), (4, 3)):
        parents = np.array([0, 1, 1, 2, 4], dtype=np.uint32)
        kernels(labeling._unite)(parents, np.uint32(a), np.uint32(b))
        assert (parents <= np.arange(5)).all()
        assert parents[parents[4]] == 1
        before = parents.copy()
        kernels(labeling._unite)(parents, np.uint32(4), np.uint32(4))
        np.testing.assert_array_equal(parents, before)


def test_a_mask_of_bytes_is_not_copied():
    mask = np.full((3, 4), 2, dtype=np.uint8)
    assert np.shares_memory(as_solid("mask", mask), mask)
    flags = mask > 0
    assert np.shares_memory(as_solid("mask", flags), flags)
    find_components(as_solid("mask", mask), 1)
    assert mask.flags.writeable


def test_more_runs_than_int32_counts_are_refused():
    assert components._check_run_count(2**31 - 2) == 2**31 - 2
    with pytest.raises(ParameterError, match=r"fewer than 2147483647 runs .* got 2147483647; lab"):
        components._check_run_count(2**31 - 1)
