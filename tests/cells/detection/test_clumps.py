import numpy as np
import pytest
from scipy import ndimage as ndi

from helaseg.cells.detection.clumps import measure_necks, split_hills
from helaseg.cells.detection.nuclei_volume import Marker
from helaseg.cells.detection.peaks import HillConfig, find_peaks

PIXEL_NM = 80.0
SHAPE = (160, 240)
CONFIG = HillConfig()


def ellipse(centre, radii, shape=SHAPE):
    rows, cols = np.indices(shape)
    return np.hypot((rows - centre[0]) / radii[0], (cols - centre[1]) / radii[1]) <= 1


def marker(number, *circles, seen=True, limit_nm=9e3):
    return Marker(nucleus=number, circles=circles, limit_nm=limit_nm, seen=seen)


def split(cells, markers):
    hills = find_peaks(~cells, pixel_nm=PIXEL_NM)
    return hills, split_hills(~cells, hills, markers, pixel_nm=PIXEL_NM, config=CONFIG)


def test_without_nuclei_or_with_one_each_hills_stay_what_they_are():
    cells = ellipse((80, 70), (40, 40)) | ellipse((80, 170), (45, 45))
    hills, found = split(cells, [])
    assert found == [(h, 0) for h in hills]
    markers = [marker(7, (80.0, 70.0, 1500.0)), marker(3, (85.0, 170.0, 1500.0))]
    hills, found = split(cells, markers)
    assert [f[0] for f in found] == hills
    assert [f[1] for f in found] == [3, 7]


def test_three_cells_in_a_clump_are_three():
    # Three circles that touch, and the resin between them filled.
    centres = [(50, 85), (50, 155), (109, 120)]
    cells = np.zeros(SHAPE, bool)
    for centre in centres:
        cells |= ellipse(centre, (40, 40))
    cells = ndi.binary_closing(cells, iterations=12)
    hills = find_peaks(~cells, pixel_nm=PIXEL_NM)
    assert len(hills) < 3
    markers = [marker(k, (float(y), float(x), 1600.0)) for k, (y, x) in enumerate(centres, 1)]
    _, found = split(cells, markers)
    assert sorted(n for _, n in found) == [1, 2, 3]
    for (y, x, radius), n in found:
        assert np.hypot(y - centres[n - 1][0], x - centres[n - 1][1]) < 20
        assert radius == pytest.approx(40 * PIXEL_NM, rel=0.15)


def test_scale_and_transposition_do_not_matter():
    cells = ellipse((80, 120), (40, 100))
    markers = [marker(1, (80.0, 70.0, 1600.0)), marker(2, (80.0, 170.0, 1600.0))]
    _, found = split(cells, markers)
    turned = [marker(m.nucleus, *((x, y, r) for y, x, r in m.circles)) for m in markers]
    _, other = split(cells.T, turned)
    assert sorted(n for _, n in found) == sorted(n for _, n in other) == [1, 2]
    for n in (1, 2):
        (a,) = [f[0] for f in found if f[1] == n]
        (b,) = [f[0] for f in other if f[1] == n]
        assert np.hypot(a[0] - b[1], a[1] - b[0]) <= 2
        assert a[2] == pytest.approx(b[2], rel=0.02)


def test_a_share_too_small_for_a_cell_is_none():
    cells = ellipse((80, 120), (60, 60))
    markers = [marker(1, (80.0, 110.0, 2500.0)), marker(2, (80.0, 172.0, 300.0))]
    _, found = split(cells, markers)
    assert [n for _, n in found] == [1]
    # Where all are too small, the hill is left as it is.
    tiny = ellipse((80, 120), (20, 20))
    markers = [marker(1, (80.0, 112.0, 500.0)), marker(2, (80.0, 128.0, 500.0))]
    hills, found = split(tiny, markers)
    assert found == [(hills[0], 0)]


def test_without_resin_the_size_is_bounded_by_the_nucleus():
    cells = np.ones(SHAPE, bool)
    markers = [
        marker(1, (80.0, 60.0, 1600.0), limit_nm=4000.0),
        marker(2, (80.0, 180.0, 1600.0), limit_nm=4000.0),
    ]
    hills, found = split(cells, markers)
    assert hills == []
    assert sorted((n, round(x / 60), r) for (_, x, r), n in found) == [
        (1, 1, 4000.0),
        (2, 3, 4000.0),
    ]
    unseen = [marker(1, (80.0, 60.0, 1600.0), seen=False)]
    assert split(cells, unseen)[1] == []


def test_a_nucleus_in_resin_is_ignored():
    cells = ellipse((80, 70), (40, 40))
    hills, found = split(cells, [marker(1, (80.0, 200.0, 1000.0))])
    assert found == [(hills[0], 0)]


@pytest.mark.parametrize("share", [0.5, 0.35, 0.2])
def test_lobes_in_a_round_cell_meet_at_twice_the_smaller_one(share):
    """The chord at the share of the diameter is as far from the border as that end is deep."""
    cells = ellipse((80, 120), (70, 70))
    chord = 50 + 140 * share
    markers = [
        marker(1, (80.0, chord - 12, 300.0)),
        marker(2, (80.0, chord + 12, 300.0)),
    ]
    hills = find_peaks(~cells, pixel_nm=PIXEL_NM)
    (neck,) = measure_necks(~cells, hills, markers, pixel_nm=PIXEL_NM, config=CONFIG)
    assert (neck.first, neck.second) == (1, 2)
    assert neck.width == pytest.approx(2.0, rel=0.12)


def test_cells_side_by_side_have_narrow_necks():
    def width(cells):
        markers = [marker(1, (80.0, 70.0, 900.0)), marker(2, (80.0, 150.0, 900.0))]
        hills = find_peaks(~cells, pixel_nm=PIXEL_NM)[:1]
        (neck,) = measure_necks(~cells, hills, markers, pixel_nm=PIXEL_NM, config=CONFIG)
        return neck.width

    touching = ellipse((80, 70), (44, 44)) | ellipse((80, 150), (44, 44))
    assert width(touching) < 0.6
    squares = np.zeros(SHAPE, bool)
    squares[40:121, 30:191] = True
    assert width(squares) == pytest.approx(1.0, rel=0.1)
