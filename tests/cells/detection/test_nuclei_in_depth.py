import numpy as np
import pytest

from helaseg.cells.detection.nuclei_volume import (
    Neck,
    Nucleus,
    SeenNuclei,
    join_lobes,
    join_stacked,
    markers_in_slice,
    true_nuclei,
)

SHAPE = (120, 160)


def seen(z, *circles):
    """Disks (y, x, radius in pixels of 40 nm) as what was seen in one slice."""
    labels = np.zeros(SHAPE, np.uint16)
    rows, cols = np.indices(SHAPE)
    for k, (y, x, radius) in enumerate(circles, start=1):
        labels[np.hypot(rows - y, cols - x) <= radius] = k
    return SeenNuclei(z=z, labels=labels, circles=tuple((y, x, 40.0 * r) for y, x, r in circles))


def test_a_nucleus_is_put_together_from_its_slices():
    (found,) = true_nuclei([seen(z, (60, 50 + z, 20)) for z in range(0, 30, 6)])
    assert sorted(found.circles) == [0, 6, 12, 18, 24]
    assert found.radius_nm == 800.0
    assert true_nuclei([]) == []
    assert true_nuclei([seen(0)]) == []


def test_neighbours_stay_apart_and_patches_go():
    slices = [seen(z, (60, 40, 25), (60, 110, 22)) for z in range(5)]
    slices[2] = seen(2, (60, 40, 25), (60, 110, 22), (15, 80, 5))
    found = true_nuclei(slices)
    assert [n.radius_nm for n in found] == [1000.0, 880.0]


def test_a_slice_in_which_a_fold_parts_the_nucleus_is_bridged():
    halves = seen(2, (45, 60, 9), (75, 60, 10))
    found = true_nuclei(
        [seen(0, (60, 60, 25)), seen(1, (60, 60, 25)), halves, seen(3, (60, 60, 25))]
    )
    largest = max(found, key=lambda n: n.radius_nm)
    assert {0, 1, 3} <= set(largest.circles)


def test_nuclei_above_each_other_are_two():
    radii = [10, 22, 24, 22, 9, 8, 20, 25, 22, 10]
    found = true_nuclei([seen(z, (60, 60, r)) for z, r in enumerate(radii)])
    assert len(found) == 2
    assert {z for n in found for z in n.circles} == set(range(10))
    # A waist that is not as narrow belongs to one.
    radii[4:6] = [16, 15]
    assert len(true_nuclei([seen(z, (60, 60, r)) for z, r in enumerate(radii)])) == 1


def test_seen_once_it_must_be_large():
    many = [seen(z, (60, 40, 20)) for z in range(4)]
    many[1] = seen(1, (60, 40, 20), (60, 110, 14))
    assert len(true_nuclei(many)) == 2
    many[1] = seen(1, (60, 40, 20), (60, 110, 9))
    assert len(true_nuclei(many)) == 1
    assert len(true_nuclei([seen(0, (60, 40, 20), (60, 110, 14))])) == 2


def nucleus(zs, y=60.0, x=60.0, radius=800.0):
    return Nucleus(circles={z: ((y, x, radius),) for z in zs}, radius_nm=radius)


def test_markers_reach_beyond_the_nucleus_and_into_gaps():
    nuclei = [nucleus([10, 40]), nucleus([80], x=100.0)]
    place = {"pixel_nm": 40.0, "slice_nm": 50.0}
    here = markers_in_slice(nuclei, 10, **place)
    assert [(m.nucleus, m.seen) for m in here] == [(1, True)]
    # 30 slices of 50 nm between two slices with it, 16 beyond the last.
    assert [m.nucleus for m in markers_in_slice(nuclei, 25, **place)] == [1]
    assert [m.nucleus for m in markers_in_slice(nuclei, 56, **place)] == [1]
    assert markers_in_slice(nuclei, 60, **place) == []
    assert not markers_in_slice(nuclei, 70, **place)[0].seen


def test_no_marker_where_another_nucleus_is_seen():
    nuclei = [nucleus([10]), nucleus([20], x=65.0)]
    markers = markers_in_slice(nuclei, 20, pixel_nm=40.0, slice_nm=50.0)
    assert [m.nucleus for m in markers] == [2]


def neck(width, first_nm=800.0, second_nm=800.0):
    return Neck(first=1, second=2, first_nm=first_nm, second_nm=second_nm, width=width)


@pytest.mark.parametrize(
    ("necks", "n"),
    [
        ([neck(1.9), neck(1.7)], 1),
        ([neck(1.9), neck(1.0)], 2),
        # One slice alone must be clearer; near a pole there is no verdict.
        ([neck(1.7)], 2),
        ([neck(1.9)], 1),
        ([neck(1.7), neck(1.9, first_nm=300.0)], 2),
        ([neck(1.9, first_nm=300.0), neck(1.9, second_nm=300.0)], 2),
        ([], 2),
    ],
)
def test_lobes_are_joined_by_their_necks(necks, n):
    pair = [nucleus([0, 10]), nucleus([0, 10], x=100.0)]
    joined = join_lobes(pair, necks)
    assert len(joined) == n
    if n == 1:
        assert [len(c) for c in joined[0].circles.values()] == [2, 2]
        assert joined[0].radius_nm == pytest.approx(800 * np.sqrt(2))


def test_a_lobe_of_one_slice_is_joined_by_that_slice():
    pair = [nucleus([0, 10]), nucleus([10], x=100.0)]
    assert len(join_lobes(pair, [neck(1.9)])) == 1


PROBES = range(0, 200, 10)


def stacked(nuclei):
    """Nuclei of eight probes beside them say how high one is."""
    whole = [nucleus(range(40, 120, 10), x=1000.0 + 300 * k) for k in range(3)]
    return len(join_stacked([*whole, *nuclei], PROBES, pixel_nm=40.0)) - 3


@pytest.mark.parametrize(
    ("zs", "more", "x", "n"),
    [
        # Hidden for two probes, or not at all.
        (range(40, 70, 10), range(90, 120, 10), 50.0, 1),
        (range(40, 70, 10), range(70, 120, 10), 55.0, 1),
        # Too far apart, too high together, beside each other, in the same slices.
        (range(40, 60, 10), range(110, 120, 10), 50.0, 2),
        (range(20, 90, 10), range(100, 170, 10), 50.0, 2),
        (range(40, 70, 10), range(90, 120, 10), 90.0, 2),
        (range(40, 80, 10), range(70, 120, 10), 50.0, 2),
    ],
)
def test_parts_above_each_other_are_one_if_that_is_no_higher_than_others(zs, more, x, n):
    assert stacked([nucleus(zs, x=50.0), nucleus(more, x=x)]) == n


def test_nothing_is_known_of_heights_where_all_are_cut():
    pair = [nucleus([0, 10]), nucleus([30, 190])]
    assert join_stacked(pair, PROBES, pixel_nm=40.0) == pair
    assert join_stacked([], PROBES, pixel_nm=40.0) == []
