"""Peaks of an image: against scikit-image, OpenCV and a search through every window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.feature import peak_local_max

from helaseg._kernels import peaks as kernels
from helaseg._kernels._jit import python_form
from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.image import distance_transform, peak_local_maxima
from helaseg.image import peaks as door

FORMS = pytest.mark.parametrize("form", [lambda k: k, python_form], ids=["compiled", "python"])


def _by_skimage(image, *, min_distance=1, threshold=None):
    return peak_local_max(
        image, min_distance=min_distance, threshold_abs=threshold, exclude_border=False
    )


def _smooth(rng, shape, dtype=np.float32):
    image = ndimage.gaussian_filter(rng.random(shape), 3)
    return ((image - image.min()) / np.ptp(image) * 250).astype(dtype)


@settings(max_examples=150, deadline=None)
@given(
    image=hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.int64, np.float32, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
        elements=st.integers(0, 4),
    ),
    min_distance=st.integers(1, 9),
    threshold=st.sampled_from([None, 0, 1.5, 3]),
)
def test_plateaus_equal_scikit_image(image, min_distance, threshold) -> None:
    # scikit-image reads a threshold for integers of its own type, and has a rule for one pixel
    want = _by_skimage(image.astype(float), min_distance=min_distance, threshold=threshold)
    if image.size == 1:
        want = np.empty((0, 2), int)
    got = peak_local_maxima(image, min_distance_px=min_distance, threshold=threshold)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (15, 17), (64, 80), (301, 263)])
@pytest.mark.parametrize("min_distance", [1, 2, 7, 15, 16, 40, 400])
def test_pictures_equal_scikit_image(dtype, shape, min_distance, rng) -> None:
    image = _smooth(rng, shape, dtype)
    want = _by_skimage(image, min_distance=min_distance)
    np.testing.assert_array_equal(peak_local_maxima(image, min_distance_px=min_distance), want)


@pytest.mark.parametrize("min_distance", [3, 20, 55])
def test_noise_equals_every_window(min_distance, rng) -> None:
    # 530 rows: more than two blocks of tiles
    image = rng.random((530, 300), dtype=np.float32)
    highest = ndimage.maximum_filter(image, size=2 * min_distance + 1, mode="constant")
    want = np.argwhere(image == highest)
    got = peak_local_maxima(image, min_distance_px=min_distance)
    assert sorted(map(tuple, got)) == list(map(tuple, want))
    assert (np.diff(image[tuple(got.T)]) <= 0).all()


def test_distances_to_the_background_equal_scikit_image(rng) -> None:
    mask = _smooth(rng, (400, 500)) > 100
    distance = distance_transform(mask)
    for min_distance in (1, 10, 30):
        want = _by_skimage(distance, min_distance=min_distance, threshold=4)
        got = peak_local_maxima(distance, min_distance_px=min_distance, threshold=4)
        np.testing.assert_array_equal(got, want)


def test_ties_and_borders() -> None:
    image = np.zeros((6, 9))
    image[0, 0] = image[0, 4] = image[3, 7] = 5
    image[5, 2:5] = 7
    assert peak_local_maxima(image).tolist() == [[5, 2], [5, 3], [5, 4], [0, 0], [0, 4], [3, 7]]
    assert peak_local_maxima(image, min_distance_px=2).tolist() == [
        [5, 2],
        [5, 4],
        [0, 0],
        [0, 4],
        [3, 7],
    ]
    # four columns apart is not less than four
    got = peak_local_maxima(image, min_distance_px=4, threshold=4)
    assert got.tolist() == [[5, 2], [0, 0], [0, 4]]
    assert peak_local_maxima(image, threshold=5).tolist() == [[5, 2], [5, 3], [5, 4]]
    assert peak_local_maxima(image, threshold=7).tolist() == []


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 1), (5, 40)])
@pytest.mark.parametrize("threshold", [None, -1.0])
def test_one_value_or_none_has_no_peak(shape, threshold) -> None:
    got = peak_local_maxima(np.full(shape, 3.0), min_distance_px=2, threshold=threshold)
    assert got.shape == (0, 2)


def test_the_threshold_is_not_rounded_up() -> None:
    image = np.zeros((3, 9), np.float32)
    image[1, 2], image[1, 6] = np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(0))
    # 0.1 in single precision lies above 0.1, the number below it does not
    assert peak_local_maxima(image, threshold=0.1).tolist() == [[1, 2]]
    assert peak_local_maxima(image, threshold=1e300).size == 0
    assert len(peak_local_maxima(image, threshold=-1e300)) > 2
    assert peak_local_maxima(image, threshold=np.inf).size == 0
    # what differs only in double precision is not made equal
    fine = np.zeros((1, 9))
    fine[0, 2], fine[0, 4] = 1.0, 1.0 + 1e-12
    assert peak_local_maxima(fine, min_distance_px=3).tolist()[0] == [0, 4]


def test_infinite_pixels_and_bools() -> None:
    image = np.full((4, 9), -np.inf)
    image[2, 2], image[0, 8] = np.inf, 0
    assert peak_local_maxima(image, min_distance_px=3).tolist() == [[2, 2], [0, 8]]
    mask = np.zeros((4, 9), bool)
    mask[2, 5] = True
    assert peak_local_maxima(mask).tolist() == [[2, 5]]


@pytest.mark.parametrize("shape", [(70, 50), (33, 16), (129, 17)])
def test_layout_and_writability_change_nothing(shape, rng) -> None:
    image = _smooth(rng, shape)
    want = peak_local_maxima(image, min_distance_px=4)
    frozen = np.asfortranarray(image)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(peak_local_maxima(frozen, min_distance_px=4), want)
    wide = np.repeat(image, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(peak_local_maxima(wide, min_distance_px=4), want)


@pytest.mark.parametrize("min_distance", [1, 6, 60])
def test_threads_change_nothing(min_distance, rng, monkeypatch) -> None:
    monkeypatch.setattr(door, "_LEAST_PIXELS", 1)
    monkeypatch.setattr(door, "_LEAST_CANDIDATES", 16)
    image = np.floor(_smooth(rng, (333, 210)) / 4)
    with limit_threads(1):
        want = peak_local_maxima(image, min_distance_px=min_distance)
    with limit_threads(3):
        got = peak_local_maxima(image, min_distance_px=min_distance)
    np.testing.assert_array_equal(got, want)


@FORMS
@pytest.mark.parametrize("shape", [(1, 1), (3, 20), (40, 33)])
def test_list_candidates(form, shape, rng) -> None:
    image = np.floor(5 * rng.random(shape, dtype=np.float32))
    side = kernels.TILE
    tiles = np.empty([-(-n // side) for n in shape], np.float32)
    places = np.empty(side * shape[1] + 8, np.int64)
    found, row = [], 0
    while row < shape[0]:
        row, n = form(kernels.list_candidates)(image, np.float32(1), row, shape[0], places, tiles)
        found += places[:n].tolist()
    highest = ndimage.maximum_filter(image, size=3, mode="nearest")
    assert found == np.flatnonzero((image == highest) & (image > 1)).tolist()
    for (r, c), value in np.ndenumerate(tiles):
        window = image[r * side : (r + 1) * side, c * side : (c + 1) * side]
        assert value == window.max()


@FORMS
@pytest.mark.parametrize("radius", [1, 5, 15, 20, 90])
def test_mark_unexceeded(form, radius, rng) -> None:
    image = np.floor(40 * rng.random((50, 270), dtype=np.float32))
    tiles = np.empty((4, 17), np.float32)
    for (r, c), _ in np.ndenumerate(tiles):
        tiles[r, c] = image[16 * r : 16 * r + 16, 16 * c : 16 * c + 16].max()
    blocks = np.empty((1, 2), np.float32)
    form(kernels.join_tiles)(tiles, blocks)
    assert blocks.tolist() == [[image[:, :256].max(), image[:, 256:].max()]]
    places = np.flatnonzero(image >= 37)
    out = np.empty(places.size, np.bool_)
    form(kernels.mark_unexceeded)(image, tiles, blocks, radius, places, out)
    highest = ndimage.maximum_filter(image, size=2 * radius + 1, mode="nearest")
    np.testing.assert_array_equal(out, (image == highest).ravel()[places])


@FORMS
def test_mark_spaced(form, rng) -> None:
    rows, columns = rng.integers(0, 30, (2, 80))
    cells = np.full((8, 8), -1, np.int64)
    out = np.empty(80, np.bool_)
    form(kernels.mark_spaced)(rows, columns, 4, cells, out)
    kept: list[int] = []
    for i in range(80):
        if all(max(abs(rows[i] - rows[k]), abs(columns[i] - columns[k])) >= 4 for k in kept):
            kept.append(i)
    assert np.flatnonzero(out).tolist() == kept


def test_refuses_wrong_parameters() -> None:
    with pytest.raises(ParameterError, match=r"'image' must have 2 axes, got shape \(3,\)"):
        peak_local_maxima(np.zeros(3))
    with pytest.raises(ParameterError, match=r"'image' must not hold NaN; set those pixels"):
        peak_local_maxima(np.full((2, 2), np.nan))
    with pytest.raises(ParameterError, match=r"'threshold' must be a number, got NaN"):
        peak_local_maxima(np.eye(2), threshold=float("nan"))
    for value in (0, -3, 1.5):
        with pytest.raises(ParameterError, match=r"'min_distance_px' must be a whole number of at"):
            peak_local_maxima(np.eye(2), min_distance_px=value)
