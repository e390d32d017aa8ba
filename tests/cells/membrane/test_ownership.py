"""Which supervoxels are one cell."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helaseg.cells.membrane.agglomeration import CROSS_SECTION, share_supervoxels
from helaseg.cells.membrane.config import CompetitionConfig
from helaseg.cells.membrane.supervoxels import Contacts, Lines

LINES = Lines(noise=20.0, membrane=100.0)


def share(
    volumes: dict[int, float],
    faces: dict[tuple[int, int], tuple[float, float]],
    *,
    n_nuclei: int,
    cut: tuple[int, ...] = (),
    beside: tuple[int, ...] = (),
    **settings,
):
    """Owners by number, from volumes, and the area and mean line of each contact."""
    config = CompetitionConfig(**settings)
    pairs = np.array(sorted(faces), np.int32).reshape(-1, 2)
    area = np.array([faces[k][0] for k in sorted(faces)])
    line = np.array([faces[k][1] for k in sorted(faces)])
    open_ = area * LINES.open_share(line, line_share=config.line_share, leak=config.leak)
    contacts = Contacts(
        pairs=pairs,
        area_um2=area,
        envelope_um2=np.zeros_like(area),
        line_um2=area * line,
        open_um2=open_,
    )
    volume = np.zeros(max(volumes) + 1)
    for number, value in volumes.items():
        volume[number] = value
    at_end, at_side = np.zeros((2, len(volume)), bool)
    at_side[list(beside)] = True
    at_end[[*cut, *beside]] = True
    return share_supervoxels(
        contacts, volume, LINES, config, n_nuclei=n_nuclei, cut=at_end, beside=at_side
    )


def cross_section(volume: float) -> float:
    return CROSS_SECTION * volume ** (2 / 3)


def test_cross_section_is_that_of_a_ball():
    assert cross_section(4 / 3 * np.pi * 1.5**3) == pytest.approx(np.pi * 1.5**2)


def test_a_piece_goes_where_the_way_is_open_not_where_the_contact_is_large():
    found = share({1: 50, 2: 50, 3: 5}, {(1, 3): (1.0, 0.0), (2, 3): (4.0, 100.0)}, n_nuclei=2)
    assert found.owner[3] == 1
    assert found.second[3] == 2
    assert 0.3 < found.confidence[3] < 0.95


def test_equal_claims_have_no_confidence_and_no_rival_is_full_confidence():
    found = share(
        {1: 50, 2: 50, 3: 5, 4: 4},
        {(1, 3): (1.0, 0.0), (2, 3): (1.0, 0.0), (2, 4): (0.2, 90.0)},
        n_nuclei=2,
    )
    assert found.owner[3] in (1, 2)
    assert found.second[3] == 3 - found.owner[3]
    assert found.confidence[3] == 0
    assert (found.owner[4], found.second[4], found.confidence[4]) == (2, 0, 1)


def test_one_gap_in_a_membrane_does_not_join_two_cells():
    # Chains of pieces on both sides of a membrane; two of them meet in a hole of it.
    chain_a, chain_b = range(3, 9), range(9, 15)
    faces = {(1, 3): (2.0, 0.0), (2, 9): (2.0, 0.0)}
    for chain in (chain_a, chain_b):
        faces |= {(k, k + 1): (2.0, 20.0) for k in chain[:-1]}
    faces |= {(a, b): (2.0, 110.0) for a, b in zip(chain_a, chain_b, strict=True)}
    faces[5, 11] = (2.0, 40.0)
    found = share({k: (40 if k < 3 else 3) for k in range(1, 15)}, faces, n_nuclei=2)
    assert set(found.owner[list(chain_a)]) == {1}
    assert set(found.owner[list(chain_b)]) == {2}


@pytest.mark.parametrize(("neck", "joined"), [(0.3, True), (0.1, False)])
def test_a_neck_without_membrane_joins_by_its_width(neck, joined):
    area = neck * cross_section(8.0)
    found = share({1: 60, 2: 8}, {(1, 2): (area, 0.0)}, n_nuclei=1)
    assert (found.owner[2] == 1) == joined
    if not joined:
        assert found.owner[2] == 2
        assert found.second[2] == 1
        assert found.confidence[2] == pytest.approx(1 - neck / 0.2)


def test_small_pieces_join_whatever_the_contact_unless_a_side_cuts_them():
    faces = {(1, 2): (0.1, 110.0)}
    assert share({1: 60, 2: 1.0}, faces, n_nuclei=1).owner[2] == 1
    assert share({1: 60, 2: 1.0}, faces, n_nuclei=1, cut=(2,)).owner[2] == 2
    assert share({1: 60, 2: 0.15}, faces, n_nuclei=1, cut=(2,)).owner[2] == 1


def test_a_large_contact_of_large_pieces_is_judged_by_its_mean():
    # Two pieces that could be cells: 60 % of a membrane's strength all over the contact.
    faces = {(1, 2): (12.0, 70.0)}
    assert share({1: 60, 2: 40}, faces, n_nuclei=1).owner[2] == 2
    assert share({1: 60, 2: 8}, faces, n_nuclei=1).owner[2] == 1
    # Beside the crop its nucleus may lie, and a smaller piece is a cell.
    assert share({1: 60, 2: 8}, faces, n_nuclei=1, beside=(2,)).owner[2] == 2
    assert share({1: 60, 2: 40}, {(1, 2): (12.0, 30.0)}, n_nuclei=1).owner[2] == 1


def test_two_nuclei_without_a_membrane_between_them_are_one_cell():
    apart = share({1: 60, 2: 40, 3: 2}, {(1, 2): (15, 90.0), (1, 3): (1, 0.0)}, n_nuclei=2)
    assert apart.owner.tolist() == [0, 1, 2, 1]
    one = share(
        {1: 60, 2: 40, 3: 2, 4: 9},
        {(1, 2): (20, 20.0), (1, 3): (1, 0.0), (2, 3): (1, 0.0), (2, 4): (5, 0.0)},
        n_nuclei=2,
    )
    assert one.owner.tolist() == [0, 1, 1, 1, 1]
    assert not one.second.any()
    assert (one.confidence[1:] == 1).all()


def test_pieces_in_the_resin_need_the_size_of_a_cell():
    found = share({1: 60, 2: 1.0, 3: 3.0}, {}, n_nuclei=1)
    assert found.owner.tolist() == [0, 1, 0, 2]


def test_owners_do_not_depend_on_the_numbers_of_the_pieces(rng):
    n, faces = 60, {}
    for _ in range(220):
        a, b = sorted(rng.choice(np.arange(1, n), 2, replace=False).tolist())
        faces[a, b] = (float(rng.random() + 0.05), float(rng.random() * 130))
    volumes = {k: float(rng.random() * 4 + 0.5) for k in range(1, n)}
    first = share(volumes, faces, n_nuclei=3)
    shuffled = np.concatenate([np.arange(4), 4 + rng.permutation(n - 4)])
    moved = share(
        {int(shuffled[k]): v for k, v in volumes.items()},
        {tuple(sorted((int(shuffled[a]), int(shuffled[b])))): v for (a, b), v in faces.items()},
        n_nuclei=3,
    )
    own = first.owner
    again = moved.owner[shuffled]
    for name in (1, 2, 3):
        np.testing.assert_array_equal(own == name, again == name)


def test_settings_are_checked_by_name():
    from helaseg.errors import ParameterError

    for name, value, message in (
        ("coarse_pixel_nm", 0.0, "'coarse_pixel_nm' must be positive"),
        ("leak", 1.5, "'leak' must lie between"),
        ("bleb_um3", -1.0, "'bleb_um3' must be zero or positive"),
    ):
        with pytest.raises(ParameterError, match=message):
            CompetitionConfig(**{name: value})
    assert dataclasses.is_dataclass(CompetitionConfig())
