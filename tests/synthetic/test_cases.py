"""The named cases: each shows what its name says, in its truth and in its picture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import euler_number

from helaseg.errors import ParameterError
from helaseg.synthetic import CASE_GRID, CASES, make_case
from helaseg.synthetic import cases as module

MADE = {}


def case(name):
    if name not in MADE:
        made = make_case(name)
        MADE[name] = made, made.truth["cell"].read(), made.truth["nucleus"].read()
    return MADE[name]


def pieces(mask):
    return ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, 1))[1]


def holes(plane):
    """Pieces of the outside that a slice of the nucleus encloses."""
    return pieces(ndimage.binary_fill_holes(plane) & ~plane)


@pytest.mark.parametrize("name", CASES)
def test_every_case_has_its_grid_and_nuclei_in_cells(name):
    made, cell, nucleus = case(name)
    assert made.image.grid == CASE_GRID
    assert (cell[nucleus > 0] == nucleus[nucleus > 0]).all()
    if name != "only_resin":
        assert cell[20, 200, 200] == 1 or name == "two_cells"
        assert (cell == 1).any()


def test_plain_is_one_solid_nucleus():
    _, cell, nucleus = case("plain")
    assert euler_number(nucleus > 0, connectivity=3) == 1
    assert pieces(cell > 0) == 1
    assert not any(holes(p) for p in nucleus > 0)


def test_both_poles_are_islands():
    nucleus = case("pole_islands")[2] > 0
    there = np.flatnonzero(nucleus.any(axis=(1, 2)))
    n = [pieces(p) for p in nucleus[there]]
    assert max(n[:5]) >= 3
    assert max(n[-5:]) >= 3
    assert n[len(n) // 2] == 1
    assert pieces(nucleus) == 1


def test_the_slit_enters_in_the_plane():
    nucleus = case("invagination_in_plane")[2] > 0
    plain = case("plain")[2] > 0
    assert euler_number(nucleus, connectivity=3) == 1
    lost = plain & ~nucleus
    assert not lost[:10].any()
    assert lost[20].sum() > 800
    assert not any(holes(p) for p in nucleus)


def test_the_channel_along_z_is_a_hole_in_slices_but_no_tunnel():
    nucleus = case("invagination_z")[2] > 0
    assert euler_number(nucleus, connectivity=3) == 1
    assert [holes(nucleus[z]) for z in (14, 22, 26)] == [0, 1, 1]


def test_the_through_hole_is_a_tunnel():
    nucleus = case("through_hole")[2] > 0
    assert euler_number(nucleus, connectivity=3) == 0
    assert [holes(nucleus[z]) for z in (15, 20, 25)] == [1, 1, 1]


def test_the_through_hole_in_the_plane_cuts_slices_in_two():
    nucleus = case("through_hole_in_plane")[2] > 0
    assert euler_number(nucleus, connectivity=3) == 0
    assert pieces(nucleus[20]) == 2
    assert pieces(nucleus[10]) == pieces(nucleus[30]) == 1
    assert pieces(nucleus) == 1


def test_two_cells_touch_and_have_a_nucleus_each():
    _, cell, nucleus = case("two_cells")
    assert np.unique(nucleus).tolist() == [0, 1, 2]
    touch = (cell[:, :, 1:] == 2) & (cell[:, :, :-1] == 1)
    assert touch.sum() > 200
    assert cell[20, 200, 200] == 1


def test_a_binucleate_cell_has_two_nuclei():
    _, cell, nucleus = case("binucleate")
    assert np.unique(cell).tolist() == [0, 1]
    assert pieces(nucleus > 0) == 2


def test_a_mitotic_cell_has_chromosomes_and_no_envelope():
    made, cell, nucleus = case("mitotic")
    assert not nucleus.any()
    assert not made.truth["envelope"].read().any()
    assert not made.cells[0].has_nucleus
    image = ndimage.uniform_filter(made.image.slice(20).astype(float), 9)
    inner = ndimage.binary_erosion(cell[20] > 0, iterations=30)
    assert np.percentile(image[inner], 2) < np.median(image[inner]) - 18
    plate = np.zeros_like(inner)
    plate[130:270, 170:230] = True
    dark = inner & (image < np.median(image[inner]) - 18)
    assert dark[plate].sum() > 0.5 * dark.sum()


def test_blank_slices_lie_inside_the_nucleus_and_keep_their_truth():
    made, cell, nucleus = case("damaged_slices")
    assert made.damaged == (17, 18, 19)
    assert all(made.image.slice(z).std() == 0 for z in (18, 19))
    np.testing.assert_array_equal(cell, case("plain")[1])
    np.testing.assert_array_equal(nucleus, case("plain")[2])


def test_contrast_cases():
    means = {}
    for name in ("low_contrast", "inverted_resin"):
        made, cell, _ = case(name)
        image = made.image.slice(20)
        means[name] = image[cell[20] == 0].mean() - image[cell[20] > 0].mean()
    assert 12 < means["low_contrast"] < 25
    assert means["inverted_resin"] < -35


def test_there_is_no_resin_where_cells_fill_the_frame():
    _, cell, nucleus = case("no_resin")
    assert (cell > 0).all()
    assert np.unique(cell).tolist() == np.unique(nucleus)[1:].tolist() == list(range(1, 8))
    # 1 lies in the middle and touches all others.
    wide = ndimage.binary_dilation(cell == 1)
    assert np.unique(cell[wide]).size == 7


def test_only_resin_has_no_cell():
    made, cell, _ = case("only_resin")
    assert made.cells == ()
    assert not cell.any()


def test_the_seed_changes_the_shapes():
    assert (make_case("plain", seed=1).truth["cell"].slice(20) != case("plain")[1][20]).any()


def test_every_case_is_explained():
    for name in CASES:
        assert f"        {name} " in module.make_case.__doc__


def test_an_unknown_name_is_refused():
    with pytest.raises(ParameterError, match="'name' must be one of 'plain', 'pole_islands'"):
        make_case("tilted")
