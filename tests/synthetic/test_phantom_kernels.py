"""The phantom's kernels: compiled, as Python, and against numpy, scipy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from helaseg._kernels import phantom as kernels
from helaseg._kernels import phantom_grey
from helaseg._kernels._jit import python_form
from helaseg._kernels.phantom_grey import Content, Depths, Look, Noise, Truth
from helaseg.synthetic.geometry import NoiseField, depth_nm, surface_points

FORMS = [lambda k: k, python_form]
both_forms = pytest.mark.parametrize("form", FORMS, ids=["compiled", "python"])


def lattice(seed, shape, first):
    """The noise lattice from a vectorised uint64 hash."""
    low = np.uint64(0xFFFFFFFF)

    def mix(h):
        h = h & low
        h ^= h >> np.uint64(16)
        h = (h * np.uint64(0x21F0AAAD)) & low
        h ^= h >> np.uint64(15)
        h = (h * np.uint64(0x735A2D97)) & low
        return h ^ (h >> np.uint64(15))

    k, j, i = (
        (np.arange(n) + f).astype(np.uint64).reshape([-1 if a == b else 1 for b in range(3)])
        for a, (n, f) in enumerate(zip(shape, first, strict=True))
    )
    h = mix(k * np.uint64(0x1B56C4E9) + np.uint64(seed))
    h = mix(j * np.uint64(0x297A2D39) + h)
    h = mix(i * np.uint64(0x2C1B3C6D) + h)
    return (h / 2.0**32 - 0.5) * np.sqrt(12.0)


@both_forms
@pytest.mark.parametrize("shape", [(7, 12), (1, 9), (9, 1)])
def test_noise_is_a_cubic_spline_over_white_noise(form, shape):
    out = np.empty(shape, np.float32)
    z, y0, x0, step_y, step_x = 3.3, 2.25, 5.5, 0.31, 0.47
    form(kernels.noise_plane)(99, z, y0, x0, step_y, step_x, out)
    white = lattice(99, (8, 12, 18), (0, 0, 0))
    rows, cols = np.meshgrid(
        y0 + step_y * np.arange(shape[0]), x0 + step_x * np.arange(shape[1]), indexing="ij"
    )
    where = [np.full(shape, z), rows, cols]
    want = ndimage.map_coordinates(white, where, order=3, prefilter=False)
    np.testing.assert_allclose(out, want * (315 / 151) ** 1.5, atol=2e-5)


@both_forms
def test_noise_at_points_is_the_noise_of_planes(form):
    plane = np.empty((6, 8), np.float32)
    kernels.noise_plane(5, -1.7, -3.2, 0.4, 0.5, 0.25, plane)
    points = np.array([[-1.7, -3.2 + 0.5 * r, 0.4 + 0.25 * c] for r in range(6) for c in range(8)])
    out = np.empty(48)
    form(kernels.noise_points)(5, points, out)
    np.testing.assert_allclose(out.reshape(6, 8), plane, atol=2e-5)


def test_noise_has_mean_zero_and_variance_one_and_differs_by_seed():
    planes = []
    for seed in (1, 2):
        field = NoiseField(seed=seed, pitch_nm=(50.0, 20.0))
        planes.append(field.plane(30.0, 0.0, 0.0, (30.0, 30.0), np.empty((300, 300), np.float32)))
    assert abs(np.mean(planes)) < 0.05
    assert 0.85 < np.std(planes) < 1.15
    assert abs(np.corrcoef(planes[0].ravel(), planes[1].ravel())[0, 1]) < 0.05


def capsule(start, end, r0, r1, squash=1.0, shear=(0.0, 0.0), along=0.0):
    return np.array([[*start, *end, r0, r1, squash, *shear, along]])


def capsule_depth(row, z, rows, cols):
    """Depth below the surface by the formula for one capsule, without boxes."""
    a, b = row[:3].copy(), row[3:6].copy()
    middle = 0.5 * (a[0] + b[0])
    shift = row[9:11] * (z - middle)
    a[1:] += shift
    b[1:] += shift
    a[0], b[0], h = (a[0] - middle) * row[8], (b[0] - middle) * row[8], (z - middle) * row[8]
    p = np.stack([np.full(rows.shape, h), rows, cols], axis=-1)
    d = b - a
    t = np.clip(((p - a) @ d) / max(d @ d, 1e-300), 0, 1)
    distance = np.linalg.norm(p - a - t[..., None] * d, axis=-1)
    return row[6] + t * (row[7] - row[6]) - distance


@both_forms
@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(st.floats(-60, 60), min_size=6, max_size=6),
    radii=st.tuples(st.floats(1, 40), st.floats(1, 40)),
    squash=st.floats(0.1, 2.0),
    shape=st.sampled_from([(13, 9), (1, 20), (20, 1), (0, 5)]),
)
def test_a_capsule_is_drawn_where_the_formula_says(form, numbers, radii, squash, shape):
    table = capsule(numbers[:3], numbers[3:], *radii, squash, (0.2, -0.1), 7.0)
    best = np.full(shape, -1e6, np.float32)
    index = np.full(shape, -1, np.int32)
    along = np.zeros(shape, np.float32)
    form(kernels.draw_capsules)(table, 5.0, -50.0, -40.0, 8.0, 6.0, 0.0, best, index, along)
    rows, cols = np.meshgrid(
        -50.0 + 8.0 * np.arange(shape[0]), -40.0 + 6.0 * np.arange(shape[1]), indexing="ij"
    )
    want = capsule_depth(table[0], 5.0, rows, cols)
    inside = want > 1e-3
    np.testing.assert_array_equal(index[inside], 0)
    np.testing.assert_allclose(best[inside], want[inside], atol=1e-2)
    assert (index[want < -1e-3] == -1).all()
    assert (along[inside] >= 7.0 - 1e-3).all()


def test_of_two_capsules_a_pixel_takes_the_deeper():
    table = np.concatenate(
        [capsule((0, 0, 0), (0, 0, 0), 30, 30), capsule((0, 0, 40), (0, 0, 40), 30, 30)]
    )
    best = np.full((1, 5), -1e6, np.float32)
    index = np.full((1, 5), -1, np.int32)
    along = np.zeros((1, 5), np.float32)
    kernels.draw_capsules(table, 0.0, 0.0, 0.0, 10.0, 10.0, 0.0, best, index, along)
    assert index[0].tolist() == [0, 0, 0, 1, 1]


def wavy_body(rng):
    return np.array([300.0, 900, 1000, 400, 800, 650, np.cos(0.4), np.sin(0.4), 0.06, -0.05, 40])


@pytest.fixture
def waves():
    pitches = {"wave_a": (300.0, 500.0), "wave_b": (250.0, 400.0), "rough": (200.0, 200.0)}
    return {
        name: NoiseField(seed=k, pitch_nm=pitch) for k, (name, pitch) in enumerate(pitches.items())
    }


def plane_inputs(waves, shape, z, step):
    planes = [
        waves[k].plane(z, 0.0, 0.0, (step, step), np.empty(shape, np.float32))
        for k in ("wave_a", "wave_b", "rough")
    ]
    rows, cols = np.indices(shape) * step
    points = np.stack([np.full(rows.size, z), rows.ravel(), cols.ravel()], axis=1)
    return planes, points


@both_forms
def test_cell_and_nucleus_depths_match_numpy(form, waves, rng):
    body, shape, z, step = wavy_body(rng), (40, 44), 420.0, 45.0
    planes, points = plane_inputs(waves, shape, z, step)
    want = depth_nm(body, points, waves).reshape(shape)
    s1, s2, bare, depth = (np.full(shape, -1e6, np.float32) for _ in range(4))
    owner = np.zeros(shape, np.uint16)
    nothing = np.full(shape, -1e6, np.float32)
    at = (z, 0.0, 0.0, step, step)
    form(kernels.add_cell)(body, 3, *at, 0, 0, nothing, 2.0, *planes, s1, s2, bare, owner)
    np.testing.assert_allclose(s1, want, atol=0.02)
    np.testing.assert_allclose(bare, want, atol=0.02)
    assert (owner == 3).all()
    nucleus = body.copy()
    nucleus[3:6] *= 0.6
    form(kernels.add_nucleus)(
        nucleus, 3, *at, 0, 0, nothing, *planes, s1, s2, bare, owner, 0.0, 130.0, depth
    )
    inner = depth_nm(nucleus, points, waves).reshape(shape)
    np.testing.assert_allclose(depth, np.minimum(inner, want - 130.0), atol=0.05)


def test_the_second_cell_is_remembered_and_blebs_join_softly(waves, rng):
    body, shape, z, step = wavy_body(rng), (40, 44), 300.0, 45.0
    planes, points = plane_inputs(waves, shape, z, step)
    other = body.copy()
    other[2] += 500.0
    s1, s2, bare = (np.full(shape, -1e6, np.float32) for _ in range(3))
    owner = np.zeros(shape, np.uint16)
    nothing = np.full(shape, -1e6, np.float32)
    for ident, cell in ((1, body), (2, other)):
        kernels.add_cell(
            cell, ident, z, 0.0, 0.0, step, step, 0, 0, nothing, 2.0, *planes, s1, s2, bare, owner
        )
    depths = np.stack([depth_nm(c, points, waves).reshape(shape) for c in (body, other)])
    np.testing.assert_allclose(s1, depths.max(axis=0), atol=0.05)
    np.testing.assert_allclose(s2, depths.min(axis=0), atol=0.05)
    np.testing.assert_array_equal(owner, depths.argmax(axis=0) + 1)
    level = np.full(shape, -1e6, np.float32)
    kernels.add_cell(
        body, 1, z, 0.0, 0.0, step, step, 0, 0, depths[0].astype(np.float32), 1.0, *planes,
        level, s2, bare, owner,
    )  # fmt: skip
    np.testing.assert_allclose(level, depths[0] + 15.0, atol=0.05)


def test_surface_points_have_depth_zero(waves, rng):
    body = wavy_body(rng)
    directions = rng.normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points, normals = surface_points(body, directions, waves, rounds=8)
    assert np.abs(depth_nm(body, points, waves)).max() < 15.0
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)
    assert (depth_nm(body, points + 60.0 * normals, waves) < 0).mean() > 0.9


@both_forms
def test_film_without_noise_is_a_gaussian_blur(form, rng):
    grey = rng.uniform(60, 220, (15, 11)).astype(np.float32)
    out = np.empty((13, 9), np.uint8)
    form(kernels.film)(1, 2, 0, grey, 0.0, 0.0, 0.9, 5.0, 0.0, out)
    blurred = cv2.GaussianBlur(grey, (3, 3), 1.0)[1:-1, 1:-1] * 0.9 + 5.0
    assert np.abs(out - blurred).max() <= 0.51


@both_forms
def test_film_gives_the_same_grain_whatever_the_band(form):
    grey = np.full((20, 12), 150.0, np.float32)
    whole = np.empty((18, 10), np.uint8)
    form(kernels.film)(7, 3, 0, grey, 15.0, 0.05, 1.0, 0.0, 1.0, whole)
    lower = np.empty((8, 10), np.uint8)
    form(kernels.film)(7, 3, 10, np.ascontiguousarray(grey[10:]), 15.0, 0.05, 1.0, 0.0, 1.0, lower)
    np.testing.assert_array_equal(whole[10:], lower)
    assert len(np.unique(whole)) > 10


def test_film_grain_is_normal_correlated_over_one_pixel():
    grey = np.full((402, 402), 200.0, np.float32)
    out = np.empty((400, 400), np.uint8)
    kernels.film(7, 3, 0, grey, 12.0, 0.0, 1.0, -50.0, 0.0, out)
    noise = out - out.mean()
    # Sum of squares of the 3 x 3 Gaussian of sigma 1: 0.3545.
    assert noise.std() == pytest.approx(12.0 * 0.3545, rel=0.03)
    lag = [(noise[:, k:] * noise[:, :-k]).mean() / noise.var() for k in (1, 3)]
    assert lag[0] == pytest.approx(0.70, abs=0.03)
    assert abs(lag[1]) < 0.03
    assert abs((noise**4).mean() / noise.var() ** 2 - 3) < 0.2


def shade_arguments(shape, rng):
    planes = [rng.normal(0, 200, shape).astype(np.float32) for _ in range(3)]
    s1 = np.maximum(planes[0], planes[1])
    owner = rng.integers(0, 3, shape).astype(np.uint16)
    owner[owner == 0] = 1
    graze = [rng.uniform(0, 20, shape).astype(np.float32) for _ in range(2)]
    depths = Depths(
        s1=s1,
        s2=np.minimum(planes[0], planes[1]),
        bare=s1.copy(),
        owner=owner,
        nucleus=np.minimum(planes[2], s1 - 130).astype(np.float32),
        graze_cell=graze[0],
        graze_nucleus=graze[1],
    )
    content = Content(
        depth=rng.normal(0, 50, shape).astype(np.float32),
        along=rng.uniform(0, 500, shape).astype(np.float32),
        index=rng.integers(0, 9, shape).astype(np.int32),
        kind=np.arange(9, dtype=np.int32),
        home=np.array([1, 1, 2, 2, 1, 1, 0, 0, 1], np.int32),
        number=np.array([9, 0, 0, 0, 0, 0, 0, 0, 0], np.int32),
    )
    noise = Noise(*(rng.normal(size=shape).astype(np.float32) for _ in Noise._fields))
    look = Look(10.0, 40.0, 35.0, 600.0, 201.5, 1.0)
    grey, truth = np.empty(shape, np.float32), Truth(*(np.empty(shape, np.uint16) for _ in "cnem"))
    return depths, content, noise, look, grey, truth


@pytest.mark.parametrize("shape", [(25, 31), (1, 40), (40, 1), (0, 4)])
def test_shade_is_the_same_compiled_and_as_python(shape):
    *_, grey, truth = arguments = shade_arguments(shape, np.random.default_rng(3))
    phantom_grey.shade(*arguments)
    *_, plain_grey, plain_truth = arguments = shade_arguments(shape, np.random.default_rng(3))
    python_form(phantom_grey.shade)(*arguments)
    np.testing.assert_allclose(grey, plain_grey, atol=1e-2)
    for a, b in zip(truth, plain_truth, strict=True):
        np.testing.assert_array_equal(a, b)


def test_shade_gives_truth_by_the_depths_alone(rng):
    depths, content, noise, look, grey, truth = arguments = shade_arguments((60, 60), rng)
    phantom_grey.shade(*arguments)
    between = 40.0 * (1 + np.clip(noise.rough, -0.5, 1.0))
    room = np.minimum(depths.s1, 0.5 * (depths.s1 - depths.s2 - between))
    owner, depth = depths.owner, depths.nucleus
    np.testing.assert_array_equal(truth.cell, np.where(room > 0, owner, 0))
    np.testing.assert_array_equal(truth.nucleus, np.where((room > 0) & (depth > 0), owner, 0))
    band = (room > 0) & (abs(depth) <= 35)
    np.testing.assert_array_equal(truth.envelope, np.where(band, owner, 0))
    mitochondria = (content.depth > 0) & (content.index == 0)
    mitochondria &= (owner == 1) & (room > 40) & (depth < -60)
    np.testing.assert_array_equal(truth.mitochondria, np.where(mitochondria, 9, 0))
    assert np.isfinite(grey).all()


@both_forms
def test_tally_counts_like_bincount(form, rng):
    cell = rng.integers(0, 4, (17, 23)).astype(np.uint16)
    nucleus = np.where(rng.uniform(size=cell.shape) < 0.5, cell, 0).astype(np.uint16)
    counts, in_nucleus, sum_y, sum_x = (np.zeros(4) for _ in range(4))
    form(kernels.tally_slice)(cell, nucleus, counts, in_nucleus, sum_y, sum_x)
    want = np.bincount(cell.ravel(), minlength=4)
    np.testing.assert_array_equal(counts[1:], want[1:])
    np.testing.assert_array_equal(in_nucleus[1:], np.bincount(nucleus.ravel(), minlength=4)[1:])
    centres = ndimage.center_of_mass(np.ones(cell.shape), cell, [1, 2, 3])
    np.testing.assert_allclose(np.stack([sum_y, sum_x], 1)[1:] / want[1:, None], centres)
