"""Masks, classes, objects and probabilities become one foreground."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparisons import GRID, TRUTH, labels

from helaseg.core.results import CLASS_NAMES
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import DataFormatError, ParameterError
from helaseg.pipelines.foreground import Choice, Foreground, as_foreground, only_slices

ALL = {z: z for z in range(GRID.shape[0])}


def foreground(data: Any, choice: Choice | None = None, **names: Any) -> Foreground:
    volume = labels(data, **names) if isinstance(data, np.ndarray) else data
    return as_foreground("unet", volume, choice or Choice(), grid=GRID, places=ALL)


def classes() -> np.ndarray:
    data = np.zeros(GRID.shape, np.uint8)
    data[2:20, 5:35, 5:45] = 1
    data[4:18, 10:30, 10:40] = 3
    data[5:17, 12:28, 12:38] = 2
    data[:, :3] = 4
    return data


@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_is_foreground_whatever_its_value(value) -> None:
    side = foreground(TRUTH * np.uint8(value), Choice(part="nucleus", labels=(7,)))
    np.testing.assert_array_equal(side.mask.read(), TRUTH)
    assert side.mask.read().dtype == np.uint8
    assert side.present == frozenset(range(2, 23))
    assert side.note == f"unet: a mask of 0 and {value}"
    assert side.objects is None


def test_an_empty_image_is_empty() -> None:
    side = foreground(np.zeros(GRID.shape, np.uint8))
    assert not side.mask.read().any()
    assert (side.present, side.note) == (frozenset(), "unet: empty")


@pytest.mark.parametrize(
    ("part", "values"),
    [("envelope", (3,)), ("cytoplasm", (1,)), ("cell", (1, 2, 3))],
)
def test_a_part_of_a_class_image(part, values) -> None:
    side = foreground(classes(), Choice(part=part), names=CLASS_NAMES)
    np.testing.assert_array_equal(side.mask.read(), np.isin(classes(), values))
    assert side.note == f"unet: a class image, label {', '.join(map(str, values))}"


def test_the_nucleus_of_a_class_image_has_the_inner_half_of_its_envelope() -> None:
    plane = np.zeros(GRID.shape[1:], np.uint8)
    plane[:, 10:] = 2
    plane[:, 4:10] = 3
    side = foreground(np.stack([plane] * GRID.shape[0]), Choice(part="nucleus"), names=CLASS_NAMES)
    inside = np.flatnonzero(side.mask.read()[0, 0])
    assert inside[0] in (6, 7)
    assert side.note == "unet: a class image, label 2, 3 up to its midline"


def test_a_class_image_that_holds_cytoplasm_alone_has_no_nucleus() -> None:
    side = foreground(TRUTH.astype(np.uint8), Choice(part="nucleus"), names=CLASS_NAMES)
    assert not side.mask.read().any()
    assert side.present == frozenset()


def test_signed_bytes_are_a_mask() -> None:
    data = np.full(GRID.shape, -128, np.int8)
    data[1, 1:3] = -127
    found = foreground(data)
    assert np.array_equal(found.mask.read(), data == -127)
    assert found.present == {1}
    assert "-127 is foreground" in found.note


def test_labels_choose() -> None:
    side = foreground(classes(), Choice(part="nucleus", labels=(2, 4)))
    np.testing.assert_array_equal(side.mask.read(), np.isin(classes(), (2, 4)))
    assert side.note == "unet: label 2, 4"


def test_objects_are_all_foreground_and_keep_their_labels() -> None:
    data = classes().astype(np.int32) * 1000
    side = foreground(data, Choice(instances=True))
    np.testing.assert_array_equal(side.mask.read(), data > 0)
    assert side.objects is not None
    np.testing.assert_array_equal(side.objects.read(), data)
    assert side.note == "unet: 4 objects"


def test_probabilities_are_cut_at_the_threshold() -> None:
    data = np.linspace(0, 1, TRUTH.size, dtype=np.float32).reshape(GRID.shape)
    volume = Volume(data=data, grid=GRID)
    for threshold in (0.5, 0.8):
        side = foreground(volume, Choice(threshold=threshold))
        np.testing.assert_array_equal(side.mask.read(), data >= threshold)
        assert side.note == f"unet: probabilities, foreground from {threshold:g} on"


@pytest.mark.parametrize("wrong", [-0.1, 255.0, np.nan])
def test_floats_that_are_no_probabilities_are_refused(wrong) -> None:
    data = np.zeros(GRID.shape, np.float32)
    data[3, 4, 5] = wrong
    side = foreground(Volume(data=data, grid=GRID))
    with pytest.raises(DataFormatError, match=r"'unet' must hold probabilities between 0 and 1"):
        side.mask.read()


def test_float_objects_are_refused() -> None:
    volume = Volume(data=np.zeros(GRID.shape, np.float32), grid=GRID)
    with pytest.raises(DataFormatError, match=r"'unet' must hold objects, it holds float32"):
        foreground(volume, Choice(instances=True))


@pytest.mark.parametrize(
    ("choice", "what"),
    [(Choice(), "are meant"), (Choice(part="nucleus"), "are the nucleus")],
)
def test_labels_that_nothing_explains_are_refused(choice, what) -> None:
    with pytest.raises(
        ParameterError, match=rf"holds the labels 1, 2, 3, 4; say which of them {what} .*--labels"
    ):
        foreground(classes(), choice)
    many = np.arange(TRUTH.size, dtype=np.uint32).reshape(GRID.shape)
    with pytest.raises(ParameterError, match=r"1, 2, 3, 4, 5, 6, 7, 8 \.\.\.; say"):
        foreground(many, choice)


def test_slices_stand_at_their_places() -> None:
    two = labels(TRUTH).data[[5, 20]]
    volume = LabelVolume(data=two, grid=GRID.__class__(shape=two.shape, voxel_size_nm=(1, 10, 10)))
    side = as_foreground("truth", volume, Choice(), grid=GRID, places={5: 0, 20: 1})
    want = np.zeros(GRID.shape, bool)
    want[[5, 20]] = TRUTH[[5, 20]]
    np.testing.assert_array_equal(side.mask.read(), want)
    np.testing.assert_array_equal(side.mask.data[5, 3:9, ::2], want[5, 3:9, ::2])
    assert side.present == {5, 20}


def test_other_slices_are_not_read() -> None:
    class Bare:
        shape, dtype = GRID.shape, np.dtype(np.uint8)

        def __getitem__(self, index: Any) -> Any:
            assert index[0] == 7
            return TRUTH[index]

    volume = LabelVolume(data=Bare(), grid=GRID)
    chosen = only_slices(volume, [7], elsewhere=1).read()
    np.testing.assert_array_equal(chosen[7], TRUTH[7])
    assert (np.delete(chosen, 7, axis=0) == 1).all()


def test_the_subject_says_what_is_compared() -> None:
    assert Choice(part="envelope", labels=(3,)).subject == "nuclear envelope"
    assert Choice(part="cell").subject == "cell"
    assert Choice(labels=(2, 5)).subject == "label 2 and 5"
    assert Choice(instances=True).subject == "objects"
    assert Choice().subject == "foreground"
