import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helaseg.cells.detection.peaks import (
    HillConfig,
    cell_regions,
    distance_to_resin,
    fill_vacuoles,
    find_peaks,
    persistent_peaks,
)
from helaseg.errors import ParameterError

PIXEL_NM = 100.0


def ellipse(shape, centre, radii):
    rows, cols = np.indices(shape)
    return np.hypot((rows - centre[0]) / radii[0], (cols - centre[1]) / radii[1]) <= 1


def peaks(cells, **settings):
    return find_peaks(~cells, pixel_nm=PIXEL_NM, config=HillConfig(**settings))


def test_a_disk_has_one_peak_at_its_centre():
    (peak,) = peaks(ellipse((200, 160), (90, 70), (50, 50)))
    assert peak[0] == pytest.approx(90, abs=1)
    assert peak[1] == pytest.approx(70, abs=1)
    assert peak[2] == pytest.approx(5000, abs=150)


@settings(max_examples=20, deadline=None)
@given(
    row=st.integers(40, 110),
    col=st.integers(40, 60),
    radius=st.integers(20, 35),
    scale=st.sampled_from([0.5, 2.0, 3.0]),
)
def test_peaks_follow_scale_and_transposition(row, col, radius, scale):
    cells = ellipse((150, 100), (row, col), (radius, radius))
    (a,) = find_peaks(~cells, pixel_nm=100.0)
    config = HillConfig(min_radius_nm=1300 * scale, max_hole_um2=scale**2)
    (b,) = find_peaks(~cells, pixel_nm=100.0 * scale, config=config)
    assert b == (a[0], a[1], pytest.approx(a[2] * scale))
    (c,) = find_peaks(~cells.T, pixel_nm=100.0)
    assert c[2] == a[2]
    assert math.hypot(c[0] - col, c[1] - row) <= 1.5


def test_touching_cells_are_two_and_a_long_cell_is_one():
    shape = (200, 300)
    pair = ellipse(shape, (100, 90), (50, 50)) | ellipse(shape, (100, 180), (45, 45))
    found = peaks(pair)
    assert [round(p[1] / 10) for p in found] == [9, 18]
    long = ellipse(shape, (100, 150), (25, 140))
    assert len(peaks(long)) == 1
    # Its middle is only a little wider than the ends of this dumb-bell.
    waist = ellipse(shape, (100, 80), (30, 30)) | ellipse(shape, (100, 200), (30, 30))
    waist[75:126, 80:200] = True
    assert len(peaks(waist)) == 1
    assert len(peaks(waist, min_persistence=0.05, suppression_factor=1.0)) == 2


def test_a_cell_cut_by_the_border_keeps_its_size():
    (peak,) = peaks(ellipse((200, 200), (0, 100), (60, 60)))
    assert peak[0] == 0
    assert peak[2] == pytest.approx(6000, abs=150)


def test_small_things_are_no_cells():
    cells = ellipse((200, 300), (100, 80), (50, 50)) | ellipse((200, 300), (100, 250), (12, 12))
    assert len(peaks(cells)) == 1
    found = peaks(cells, min_radius_nm=1000.0)
    assert [round(p[2] / 100) for p in found] == [50, 12]


def test_no_second_peak_within_the_suppression_radius():
    shape = (240, 320)
    cells = ellipse(shape, (120, 100), (60, 60)) | ellipse(shape, (120, 180), (16, 16))
    assert len(peaks(cells, min_persistence=0.0, suppression_factor=1.2)) == 2
    assert len(peaks(cells, min_persistence=0.0, suppression_factor=1.5)) == 1


def test_vacuoles_do_not_split_a_cell():
    cells = ellipse((240, 240), (120, 120), (80, 80))
    cells &= ~ellipse(cells.shape, (120, 120), (5, 5))
    (peak,) = peaks(cells)
    assert peak[2] == pytest.approx(8000, abs=150)
    assert peaks(cells, max_hole_um2=0.0)[0][2] < 4000


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (1, 1), (1, 50), (50, 1)])
def test_nothing_but_cell_or_nothing_but_resin(shape):
    assert find_peaks(np.zeros(shape, bool), pixel_nm=100.0) == []
    assert find_peaks(np.ones(shape, bool), pixel_nm=100.0) == []


def test_resin_in_holes_alone_is_still_measured():
    cells = np.ones((120, 100), bool)
    cells[50:53, 50:53] = False
    found = peaks(cells)
    assert found[0][2] > 6000


def test_one_row_of_pixels():
    cells = np.ones((1, 300), bool)
    cells[0, :20] = cells[0, 200:] = False
    (peak,) = peaks(cells)
    assert peak[0] == 0
    assert peak[1] == pytest.approx(109.5, abs=0.5)
    assert peak[2] == pytest.approx(9000, abs=100)


def test_regions_share_the_cells_among_the_peaks():
    shape = (200, 300)
    cells = ellipse(shape, (100, 90), (50, 50)) | ellipse(shape, (100, 180), (45, 45))
    crumb = ellipse(shape, (20, 280), (6, 6))
    regions = cell_regions(~(cells | crumb), [(100, 90), (100, 180)], pixel_nm=PIXEL_NM)
    np.testing.assert_array_equal(regions > 0, cells)
    assert regions[100, 60] == 1
    assert regions[100, 210] == 2
    assert not cell_regions(~cells, [], pixel_nm=PIXEL_NM).any()
    whole = cell_regions(np.zeros((4, 5), bool), [(0, 0)], pixel_nm=PIXEL_NM)
    assert (whole == 1).all()


def test_persistence_is_the_drop_to_the_saddle():
    height = np.zeros((5, 60), np.float32)
    height[2] = np.interp(np.arange(60), [0, 15, 30, 45, 59], [0, 10, 6, 8, 0])
    found, places = persistent_peaks(height, min_height=4.0, min_persistence=0.2)
    assert found.tolist() == [10.0, 8.0]
    assert places.tolist() == [2 * 60 + 15, 2 * 60 + 45]
    # The drop is 2 of 8.
    assert len(persistent_peaks(height, min_height=4.0, min_persistence=0.26)[0]) == 1
    assert len(persistent_peaks(height, min_height=9.0, min_persistence=0.2)[0]) == 1
    assert len(persistent_peaks(height * 0, min_height=4.0, min_persistence=0.2)[0]) == 0


def test_vacuoles_are_filled_and_gaps_are_not():
    cells = ellipse((200, 200), (100, 100), (80, 80))
    vacuole = ellipse(cells.shape, (100, 100), (4, 4))
    gap = ellipse(cells.shape, (100, 140), (12, 12))
    config = HillConfig(max_hole_um2=1.0)
    resin = ~cells | vacuole | gap
    np.testing.assert_array_equal(
        fill_vacuoles(resin, pixel_nm=PIXEL_NM, config=config), cells & ~gap
    )
    distance = distance_to_resin(resin, pixel_nm=PIXEL_NM, config=config)
    assert distance[100, 100] == pytest.approx(2800, abs=100)


def test_wrong_input_is_named():
    mask = np.zeros((5, 5), bool)
    with pytest.raises(ParameterError, match="'background' must have 2 axes"):
        find_peaks(np.zeros(3), pixel_nm=1.0)
    with pytest.raises(ParameterError, match="'pixel_nm' must be positive"):
        find_peaks(mask, pixel_nm=-1.0)
    with pytest.raises(ParameterError, match=r"'peaks' must lie in the image of \(5, 5\) pixels"):
        cell_regions(mask, [(5, 0)], pixel_nm=1.0)
    with pytest.raises(ParameterError, match="'background' must have 2 axes"):
        cell_regions(np.zeros(3), [], pixel_nm=1.0)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"min_radius_nm": -1.0}, "'min_radius_nm' must be positive"),
        ({"min_persistence": 1.5}, "'min_persistence' must lie between 0.0 and 1.0"),
        ({"suppression_factor": -0.1}, "'suppression_factor' must be zero or positive"),
        ({"max_hole_um2": -0.1}, "'max_hole_um2' must be zero or positive"),
    ],
)
def test_wrong_settings_are_named(kwargs, match):
    with pytest.raises(ParameterError, match=match):
        HillConfig(**kwargs)
