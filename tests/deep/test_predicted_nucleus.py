"""From probabilities to one nucleus, whatever the network knows."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.core.grid import Grid
from helaseg.deep.images import PredictedImage
from helaseg.deep.nucleus import keep_components, nucleus_probability
from helaseg.errors import ParameterError

GRID = Grid(shape=(20, 60, 60), voxel_size_nm=(50, 50, 50))


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    axes = np.ogrid[tuple(slice(n) for n in GRID.shape)]
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < radius**2


def test_half_of_the_envelope_belongs_to_the_nucleus() -> None:
    # Along x: cytoplasm, envelope, nucleus; certain but in the voxels between.
    nucleus = np.array([0, 0, 0, 0.1, 0.5, 1, 1])
    envelope = np.array([0, 0.5, 1, 0.8, 0.5, 0, 0])
    rest = 1 - nucleus - envelope
    channels = np.rint(np.stack([rest, nucleus, envelope]) * 255).astype(np.uint8)
    found = nucleus_probability(
        channels[:, None, None], ("background", "nucleus", "nuclear envelope"), head="classes"
    )[0, 0]
    np.testing.assert_allclose(found / 255, np.minimum(nucleus + envelope / 2, 1), atol=0.01)


def test_sigmoids_say_the_nucleus_themselves() -> None:
    channels = np.arange(2 * 8, dtype=np.uint8).reshape(2, 2, 2, 2)
    names = ("nuclear envelope", "nucleus")
    np.testing.assert_array_equal(nucleus_probability(channels, names, head="binary"), channels[1])


def test_an_envelope_alone_is_filled_to_its_middle() -> None:
    y, x = np.ogrid[:60, :60]
    away = np.hypot(y - 30, x - 30)
    ring = (away >= 16) & (away < 24)
    band = np.where(ring, 255, 0).astype(np.uint8)[None, None].repeat(3, axis=1)
    found = nucleus_probability(band, ("nuclear envelope",), head="binary") >= 128
    assert found[1][away < 19].all()
    assert not found[1][away > 21].any()
    with pytest.raises(ParameterError, match="needs the class 'nucleus' or 'nuclear envelope'"):
        nucleus_probability(band, ("mitochondria",), head="binary")


def test_the_component_of_the_target_is_kept() -> None:
    left, right, speck = ball((10, 20, 15), 8), ball((10, 40, 45), 9), ball((10, 5, 55), 3)
    mask = left | right | speck

    def kept(**more: object) -> np.ndarray:
        return keep_components(mask, GRID, min_volume_um3=0.1, **more)

    np.testing.assert_array_equal(kept(target_vx=(10, 20, 15)), left)
    np.testing.assert_array_equal(kept(target_vx=(10, 50, 58)), right)
    np.testing.assert_array_equal(kept(target_vx=(0, 0, 45)), left)  # the speck is too small
    np.testing.assert_array_equal(kept(keep="largest"), right)
    np.testing.assert_array_equal(kept(keep="all"), left | right)
    assert not keep_components(mask, GRID, min_volume_um3=1e3).any()
    assert not keep_components(np.zeros(GRID.shape, bool), GRID).any()


def test_a_slice_of_a_nucleus_is_no_small_component() -> None:
    grid = Grid(shape=(1, 60, 60), voxel_size_nm=(50, 50, 50))
    section = ball((10, 30, 30), 20)[10:11]
    # 0.16 µm³ in one slice, but a ball of this section has 4.2.
    np.testing.assert_array_equal(keep_components(section, grid), section)
    speck = ball((10, 30, 30), 3)[10:11]
    assert not keep_components(speck, grid).any()


def test_images_of_a_prediction_agree_with_each_other() -> None:
    small = np.where(ball((10, 30, 30), 15), 255, 0).astype(np.uint8)
    body = np.where(ball((10, 30, 30), 22), 255, 0).astype(np.uint8)
    shape = (20, 300, 300)

    def image(kind: str, **more: object) -> np.ndarray:
        return PredictedImage(kind, shape, nucleus=small, cell=body, **more)[:, :, :]  # type: ignore[arg-type]

    nucleus, cell, labels = (image(k) for k in ("nucleus", "cell", "labels"))
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(cell | (labels == 3), labels != 0)
    assert (labels[nucleus > 0] >= 2).all()
    # A band of 7 pixels, half of it inside.
    row = labels[10, 150]
    band = np.flatnonzero(row == 3)
    assert len(band) == 2 * 7 or len(band) == 2 * 8
    inside = np.count_nonzero(nucleus[10, 150][band])
    assert abs(2 * inside - len(band)) <= 2
    np.testing.assert_array_equal(
        PredictedImage("labels", shape, nucleus=small, cell=body)[3, 50:90, 100:],
        labels[3, 50:90, 100:],
    )


def test_without_cytoplasm_nothing_is_said_of_the_cell() -> None:
    small = np.where(ball((10, 30, 30), 15), 255, 0).astype(np.uint8)
    assert not PredictedImage("cell", GRID.shape, nucleus=small)[:, :, :].any()
    labels = PredictedImage("labels", GRID.shape, nucleus=small, envelope=small)[:, :, :]
    assert set(np.unique(labels)) == {0, 3}
