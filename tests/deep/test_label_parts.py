"""What label images say of the classes of a network."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.deep.labels import NucleusPart, VotePart, parts_of
from helaseg.errors import DataFormatError


def rings() -> np.ndarray:
    """A class image: nucleus of radius 20, envelope of 8 pixels, cytoplasm, another cell."""
    y, x = np.ogrid[:100, :100]
    away = np.hypot(y - 45, x - 45)
    plane = np.where(away < 40, 1, 0)
    plane[away < 28] = 3
    plane[away < 20] = 2
    plane[:, 92:] = 4
    return plane[None].astype(np.uint8)


def test_a_mask_is_the_one_class() -> None:
    mask = (rings() == 2) * np.uint8(255)
    parts, known, _ = parts_of(mask, ("nucleus",), name="m")
    np.testing.assert_array_equal(parts["nucleus"][:, :, :], mask)
    assert known is None


def test_an_empty_mask_says_that_there_is_nothing() -> None:
    parts, *_ = parts_of(np.zeros((2, 4, 4), np.uint8), ("nucleus",), name="m")
    assert not parts["nucleus"][:, :, :].any()


def test_instances_are_one_class() -> None:
    cells = np.zeros((1, 4, 4), np.uint16)
    cells[0, 0, 0], cells[0, 3, 3] = 7, 900
    parts, *_ = parts_of(cells, ("nucleus",), name="m")
    np.testing.assert_array_equal(parts["nucleus"][:, :, :] > 0, cells > 0)


def test_few_labels_that_lie_apart_are_not_guessed() -> None:
    """Three nuclei numbered 1 to 3 are no class image, in which 2 is the nucleus."""
    nuclei = np.zeros((2, 20, 20), np.uint8)
    nuclei[:, 2:6, 2:6], nuclei[:, 10:15, 2:6], nuclei[:, 3:9, 12:18] = 1, 2, 3
    with pytest.raises(DataFormatError, match="holds the labels 1, 2, 3, which may be objects or"):
        parts_of(nuclei, ("nucleus",), name="m")
    parts, _, note = parts_of(nuclei, ("nucleus",), name="m", holds="objects")
    np.testing.assert_array_equal(parts["nucleus"][:, :, :] > 0, nuclei > 0)
    assert note == "objects: every label is nucleus"
    parts, _, note = parts_of(nuclei, ("nucleus",), name="m", holds="classes")
    assert note == "classes of labels.tif: nucleus = 2 and the inner half of 3"
    assert (parts["nucleus"][:, :, :] > 0)[:, 10:15, 2:6].all()
    parts, _, note = parts_of(nuclei, ("nucleus",), name="m", values={"nucleus": (1, 3)})
    assert note == "nucleus = 1, 3"
    # classes lie against each other
    assert parts_of(rings(), ("nucleus",), name="m")[2].startswith("classes of labels.tif")
    with pytest.raises(DataFormatError, match="says nothing of nucleus, cytoplasm"):
        parts_of(nuclei, ("nucleus", "cytoplasm"), name="m", holds="objects")


def test_a_nucleus_reaches_to_the_middle_of_its_envelope() -> None:
    found = NucleusPart(rings())[0] > 0
    y, x = np.ogrid[:100, :100]
    away = np.hypot(y - 45, x - 45)
    assert found[away < 23].all()
    assert not found[away > 25].any()


def test_classes_of_the_contract_and_what_is_unknown() -> None:
    labels = rings()
    wanted = ("cytoplasm", "nucleus", "nuclear envelope")
    parts, known, _ = parts_of(labels, wanted, name="m")
    for value, one in enumerate(wanted, start=1):
        np.testing.assert_array_equal(parts[one][:, :, :] > 0, labels == value)
    assert known is not None
    np.testing.assert_array_equal(known[:, :, :] > 0, labels != 4)
    parts, known, _ = parts_of(labels, ("cell", "other cells"), name="m")
    np.testing.assert_array_equal(parts["cell"][:, :, :] > 0, np.isin(labels, (1, 2, 3)))
    assert known is None


def test_other_numbers_can_be_given() -> None:
    labels = rings() * np.uint8(10)
    parts, *_ = parts_of(labels, ("nucleus",), name="m", values={"nucleus": (20, 30)})
    np.testing.assert_array_equal(parts["nucleus"][:, :, :] > 0, np.isin(labels, (20, 30)))
    with pytest.raises(DataFormatError, match=r"m has no label of \[7\] for 'nucleus'"):
        parts_of(labels, ("nucleus",), name="m", values={"nucleus": (7,)})


def test_votes_of_both_kinds() -> None:
    votes = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4)
    np.testing.assert_array_equal(VotePart(votes)[0], np.rint(votes[0] * 255))
    whole = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    np.testing.assert_array_equal(VotePart(whole)[:, :, :], whole)
    with pytest.raises(DataFormatError, match="votes must lie between 0 and 1, slice 0 has 0 to 2"):
        VotePart(votes * 2)[0]
    with pytest.raises(DataFormatError, match="floats between 0 and 1 or uint8, got uint16"):
        VotePart(whole.astype(np.uint16))[0]


def test_what_says_nothing_is_refused() -> None:
    mask = (rings() == 2).astype(np.uint8)
    with pytest.raises(DataFormatError, match="says nothing of nucleus, cytoplasm; train on one"):
        parts_of(mask, ("nucleus", "cytoplasm"), name="m")
    with pytest.raises(DataFormatError, match="labels must be integers, m holds float32"):
        parts_of(mask.astype(np.float32), ("nucleus",), name="m")
    with pytest.raises(DataFormatError, match="must not be negative, slice 0 of m has -1"):
        parts_of(mask.astype(np.int16) - 1, ("nucleus",), name="m")
