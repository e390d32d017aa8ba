"""Measurements of regions against scikit-image, numpy and relations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import regionprops_table

from helaseg._kernels import regions as kernels
from helaseg._kernels._jit import python_form
from helaseg.errors import ParameterError
from helaseg.image import label, region_areas, region_sums, region_table
from helaseg.image.regions import label_with_table

BOTH_FORMS = pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])
DTYPES = st.sampled_from(["?", "u1", "i2", "u4", "i4", ">i4", "i8", "u8"])


def draw_labels(data, min_dims=2):
    dtype = data.draw(DTYPES)
    shape = data.draw(hnp.array_shapes(min_dims=min_dims, max_dims=3, max_side=7))
    elements = None if dtype == "?" else st.integers(0, 5)
    labels = data.draw(hnp.arrays(dtype, shape, elements=elements))
    labels.setflags(write=False)
    return labels[..., ::-1].T


def table_of_peer(labels, image, spacing):
    properties = ("label", "num_pixels", "area", "centroid", "bbox")
    intensity = ("intensity_mean", "intensity_min", "intensity_max")
    table = regionprops_table(labels, image, properties=(*properties, *intensity), spacing=spacing)
    axes = "zyx"[3 - labels.ndim :]
    n = labels.ndim
    names = {"num_pixels": "n_px", "area": "size"}
    names |= {f"centroid-{k}": f"centroid_{a}" for k, a in enumerate(axes)}
    names |= {f"bbox-{k}": f"start_{a}" for k, a in enumerate(axes)}
    names |= {f"bbox-{k + n}": f"stop_{a}" for k, a in enumerate(axes)}
    names |= {f"intensity_{k}": k for k in ("mean", "min", "max")}
    return pd.DataFrame(table).rename(columns=names)


@BOTH_FORMS
@pytest.mark.parametrize("longest", [5, 60])
def test_kernels_count_and_sum(rng, monkeypatch, form, longest):
    monkeypatch.setattr(kernels, "_run_stop", form(kernels._run_stop))
    flat = np.repeat(rng.integers(-1, 6, 300), rng.integers(1, longest, 300)).astype(np.int32)
    values = rng.integers(0, 100, flat.size).astype(float)
    good = (flat >= 0) & (flat < 5)
    counts, sums = np.zeros(5, np.int64), np.zeros(5)
    assert form(kernels.count_labels)(flat, counts) == (~good).sum()
    assert form(kernels.sum_labels)(flat, values, sums) == (~good).sum()
    np.testing.assert_array_equal(counts, np.bincount(flat[good], minlength=5))
    np.testing.assert_array_equal(sums, np.bincount(flat[good], values[good], minlength=5))


@BOTH_FORMS
@pytest.mark.parametrize("repeat", [1, 9])
def test_kernels_fill_the_table(rng, monkeypatch, form, repeat):
    monkeypatch.setattr(kernels, "_run_stop", form(kernels._run_stop))
    labels = rng.integers(0, 4, (3, 9, 11)).astype(np.int32).repeat(repeat, axis=2)
    values = rng.random(labels.shape)
    counts, moments = np.zeros(4, np.int64), np.zeros((4, 3), np.int64)
    bounds = np.repeat([[99, 0]], 3, axis=1).repeat(4, axis=0)
    sums, lows, highs = np.zeros(4), np.full(4, np.inf), np.full(4, -np.inf)
    for z, plane in enumerate(labels):
        form(kernels.add_plane)(plane, z, counts, moments, bounds)
        form(kernels.add_intensity)(plane.ravel(), values[z].ravel(), sums, lows, highs)
    assert counts[0] == 0
    for k in (1, 2, 3):
        places = np.argwhere(labels == k)
        assert counts[k] == len(places)
        np.testing.assert_array_equal(moments[k], places.sum(axis=0))
        np.testing.assert_array_equal(bounds[k, :3], places.min(axis=0))
        np.testing.assert_array_equal(bounds[k, 3:], places.max(axis=0) + 1)
        chosen = values[labels == k]
        assert sums[k] == pytest.approx(chosen.sum())
        assert (lows[k], highs[k]) == (chosen.min(), chosen.max())


@BOTH_FORMS
def test_kernels_note_and_replace(rng, form):
    flat = rng.choice(np.array([0, 2, 5], np.int32), 40)
    present = np.zeros(7, np.uint8)
    form(kernels.note_labels)(flat, present)
    np.testing.assert_array_equal(np.flatnonzero(present), np.unique(flat))
    table = rng.integers(0, 99, 7).astype(np.int32)
    want = table[flat]
    form(kernels.replace_labels)(flat, table, flat)
    np.testing.assert_array_equal(flat, want)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_areas_and_sums_are_those_of_bincount(data):
    labels = draw_labels(data, min_dims=1)
    image = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape) % 251
    flat = labels.ravel().astype(int)
    areas = region_areas(labels)
    np.testing.assert_array_equal(areas, np.bincount(flat))
    assert areas.dtype == np.int64
    sums = region_sums(labels, image=image)
    np.testing.assert_array_equal(sums, np.bincount(flat, image.ravel()))
    np.testing.assert_array_equal(region_areas(labels, n=9), np.bincount(flat, minlength=10))
    np.testing.assert_array_equal(
        region_sums(labels, image=image, n=9), np.bincount(flat, image.ravel(), minlength=10)
    )


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_table_is_that_of_scikit_image(data):
    labels = draw_labels(data)
    image = (np.arange(labels.size).reshape(labels.shape) * 37 % 101).astype(np.float32)
    spacing = (50.0, 10.0, 7.0)[-labels.ndim :]
    found = region_table(labels, image=image, spacing=spacing)
    names = np.unique(labels[labels > 0])
    np.testing.assert_array_equal(found["label"], names)
    if names.size == 0:
        return
    want = table_of_peer(labels.astype(np.int64), image, spacing)
    pd.testing.assert_frame_equal(
        found.drop(columns="touches_border"),
        want[found.columns.drop("touches_border")],
        check_dtype=False,
    )
    inner = labels[(slice(1, -1),) * labels.ndim]
    for name, touches in zip(found["label"], found["touches_border"], strict=True):
        assert touches == ((inner == name).sum() < (labels == name).sum())


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9)),
    st.integers(1, 3),
    st.sampled_from([None, 3.0, (50.0, 10.0, 7.0)]),
)
def test_labelling_with_a_table_is_labelling_then_the_table(mask, connectivity, spacing):
    connectivity = min(connectivity, mask.ndim)
    if isinstance(spacing, tuple):
        spacing = spacing[-mask.ndim :]
    labels, table = label_with_table(mask, connectivity=connectivity, spacing=spacing)
    want = label(mask, connectivity=connectivity)
    np.testing.assert_array_equal(labels, want)
    pd.testing.assert_frame_equal(table, region_table(want, spacing=spacing))


def test_labelling_with_a_table_writes_into_out(rng):
    mask = ndimage.gaussian_filter(rng.random((200, 333)), 2) > 0.5
    out = np.empty(mask.shape, np.int32)
    labels, table = label_with_table(mask, connectivity=2, out=out)
    assert labels is out
    pd.testing.assert_frame_equal(table, region_table(out))
    assert len(table) > 20


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64])
def test_sparse_labels_keep_their_names(rng, dtype):
    dense = rng.integers(0, 4, (20, 30))
    names = np.array([0, 5, 70_000, 2_000_000_000])
    found = region_table(names[dense].astype(dtype), image=dense)
    want = region_table(dense, image=dense)
    np.testing.assert_array_equal(found["label"], names[1:])
    pd.testing.assert_frame_equal(found.drop(columns="label"), want.drop(columns="label"))
    full = region_table(names[dense + (dense == 0)].astype(dtype))
    np.testing.assert_array_equal(full["label"], names[1:])


def test_relations_of_the_table(rng):
    labels = rng.integers(0, 3, (6, 12, 9))
    plain = region_table(labels)
    near = region_table(labels, spacing=(50, 10, 10))
    far = region_table(labels, spacing=(100, 20, 20))
    assert "size" not in plain
    for axis, step in zip("zyx", (50, 10, 10), strict=True):
        np.testing.assert_allclose(near[f"centroid_{axis}"], step * plain[f"centroid_{axis}"])
        np.testing.assert_allclose(far[f"centroid_{axis}"], 2 * near[f"centroid_{axis}"])
        np.testing.assert_array_equal(far[f"start_{axis}"], plain[f"start_{axis}"])
    np.testing.assert_allclose(near["size"], 5000 * plain["n_px"])
    np.testing.assert_allclose(far["size"], 8 * near["size"])
    turned = region_table(labels.T)
    np.testing.assert_array_equal(turned["centroid_x"], plain["centroid_z"])
    np.testing.assert_array_equal(turned["stop_y"], plain["stop_y"])
    flat = region_table(labels[2])
    assert "centroid_z" not in flat
    assert flat["n_px"].sum() == (labels[2] > 0).sum()


@pytest.mark.parametrize("shape", [(0, 0), (4, 0), (3, 5), (0, 2, 2)])
def test_no_region_gives_an_empty_table(shape):
    table = region_table(np.zeros(shape, int), image=np.zeros(shape))
    assert len(table) == 0
    assert {"label", "n_px", "centroid_x", "stop_y", "touches_border", "mean"} <= set(table)
    np.testing.assert_array_equal(region_areas(np.zeros(shape, int)), [np.prod(shape)])


def test_nan_in_the_image_shows_in_its_region_alone():
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2]])
    image = np.array([[1.0, np.nan, 3, 4], [1, 2, 3, 4]])
    table = region_table(labels, image=image)
    assert table.loc[0, ["mean", "min", "max"]].isna().all()
    assert tuple(table.loc[1, ["mean", "min", "max"]]) == (3.5, 3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: region_areas(a / 2), "'labels' must hold integer labels, got dtype float64"),
        (lambda a: region_areas(a - 1), "'labels' must lie between 0 and 2, 1 pixels do not"),
        (lambda a: region_areas(a, n=2), "'labels' must lie between 0 and 2, 1 pixels do not"),
        (
            lambda a: region_areas(a * 2**32, n=4),
            "'labels' must lie between 0 and 4, 3 pixels do not",
        ),
        (lambda a: region_areas(a, n=-1), "'n' must be zero or positive, got -1"),
        (lambda a: region_areas(a * 2**31), "the largest label must fit in 32 bits"),
        (
            lambda a: region_sums(a, image=a, n=1),
            "'labels' must lie between 0 and 1, 2 pixels do not",
        ),
        (lambda a: region_sums(a, image=a[:1]), "'image' must have the shape of 'labels'"),
        (lambda a: region_table(a, image=a[0]), "'image' must have 2 or 3 axes"),
        (lambda a: region_table(a, image=a[:, :1]), "'image' must have the shape of 'labels'"),
        (lambda a: region_table(a - 1), "'labels' must not hold negative labels, got -1"),
        (lambda a: label_with_table(a, spacing=(1, 2, 3)), "'spacing' must be one positive number"),
        (
            lambda a: label_with_table(a, connectivity=3),
            "'connectivity' must be one of 1, 2, got 3",
        ),
        (lambda a: region_table(a, spacing=(1, 2, 3)), "'spacing' must be one positive number"),
    ],
)
def test_wrong_use_is_refused(call, message):
    with pytest.raises(ParameterError, match=message):
        call(np.array([[0, 1], [2, 3]]))
