"""Dark lines across a curve: middle, width and depth against drawn lines of known width."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from helaseg.cells.envelope.line_profiles import (
    Profiles,
    blur_across,
    measure_lines,
    sample_profiles,
    unblurred_width,
)

OFFSETS = np.arange(-160, 165, 5.0)


def band(middle, width, sigma):
    """Grey values across an even dark band after a Gaussian blur; depth 1 without blur."""
    u = (OFFSETS - np.asarray(middle)[..., None]) / sigma
    half = width / 2 / sigma
    return 1 - (ndtr(u + half) - ndtr(u - half))


@pytest.mark.parametrize("width", [20.0, 40.0, 60.0, 90.0])
@pytest.mark.parametrize("sigma", [8.0, 12.0, 17.0])
def test_width_and_middle_of_a_blurred_band(width, sigma):
    middle = np.linspace(-9, 9, 19)
    lines = measure_lines(
        Profiles(values=band(middle, width, sigma), offsets_nm=OFFSETS),
        np.zeros(19),
        shoulder_nm=80.0,
    )
    np.testing.assert_allclose(lines.middle_nm, middle, atol=0.6)
    # The blur of a hairline hides its width; wide lines end near the farthest shoulder.
    tolerance = max(1.5, 0.035 * width) if width > 2 * sigma else 5.0
    np.testing.assert_allclose(unblurred_width(lines.width_nm, sigma), width, atol=tolerance)


def test_a_step_beside_the_line_does_not_move_its_middle():
    plain = band([0.0], 50.0, 10.0)
    stepped = plain + 0.8 * ndtr((OFFSETS - 60) / 10)
    found = [
        measure_lines(Profiles(values=v, offsets_nm=OFFSETS), np.zeros(1), shoulder_nm=80.0)
        for v in (plain, stepped)
    ]
    assert found[1].middle_nm[0] == pytest.approx(found[0].middle_nm[0], abs=1.0)
    assert found[1].depth[0] == pytest.approx(found[0].depth[0], abs=0.02)


def test_two_resolved_membranes_count_as_one_line():
    two = band([-14.0], 10.0, 9.0) + band([14.0], 10.0, 9.0) - 1
    assert two[0, 32] > two[0].min() + 0.05
    lines = measure_lines(
        Profiles(values=two, offsets_nm=OFFSETS), np.array([-15.0]), shoulder_nm=80.0
    )
    # Half the depth lies above the brighter gap between them.
    assert lines.middle_nm[0] == pytest.approx(0, abs=1.0)
    assert 40 < lines.width_nm[0] < 56


def test_unblurred_width_of_the_limits():
    np.testing.assert_allclose(unblurred_width(np.array([0.0, 20.0, 23.0]), 10.0), 0, atol=3.0)
    np.testing.assert_allclose(unblurred_width(np.array([80.0, 150.0]), 10.0), [80, 150], rtol=1e-3)
    same = np.array([1.0, 50.0])
    np.testing.assert_array_equal(unblurred_width(same, 0.0), same)


def test_flat_profiles_have_no_depth():
    lines = measure_lines(
        Profiles(values=np.full((3, 65), 7.0), offsets_nm=OFFSETS), np.zeros(3), shoulder_nm=80.0
    )
    np.testing.assert_array_equal(lines.depth, 0)
    assert np.isfinite(lines.middle_nm).all()
    assert np.isfinite(lines.width_nm).all()


def test_profiles_run_along_the_normals_in_nm():
    y, x = np.mgrid[:60, :80].astype(np.float32)
    ramp = 3 * y + 2 * x
    curve = np.array([[30.0, 40.0], [20.0, 33.0], [41.5, 30.5]])
    normals = np.array([[1.0, 0], [0, 1.0], [0.6, 0.8]])
    profiles = sample_profiles(ramp, curve, normals, pixel_nm=10.0, reach_nm=100.0, step_nm=5.0)
    assert profiles.step_nm == 5.0
    want = 3 * curve[:, :1] + 2 * curve[:, 1:]
    slope = (3 * normals[:, :1] + 2 * normals[:, 1:]) / 10
    # OpenCV rounds positions to a 32nd of a pixel
    np.testing.assert_allclose(profiles.values, want + slope * profiles.offsets_nm, atol=0.1)


def test_more_vertices_than_a_table_of_opencv_holds():
    curve = np.full((40000, 2), 5.0)
    curve[-1] = 2.0
    normals = np.tile([0.0, 1.0], (40000, 1))
    image = np.arange(121, dtype=np.float32).reshape(11, 11)
    profiles = sample_profiles(image, curve, normals, pixel_nm=10.0, reach_nm=10.0, step_nm=10.0)
    assert profiles.values.shape == (40000, 3)
    np.testing.assert_allclose(profiles.values[0], [59, 60, 61])
    np.testing.assert_allclose(profiles.values[-1], [23, 24, 25])


def test_blur_across_is_a_gaussian_of_each_row(rng):
    values = rng.random((4, 40))
    want = np.stack([gaussian_filter1d(row, 2.0, mode="nearest") for row in values])
    np.testing.assert_allclose(blur_across(values, 2.0), want)
