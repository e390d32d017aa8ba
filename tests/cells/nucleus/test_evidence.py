"""What a slice shows: dark lines in units of noise, superpixels, damaged slices."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helaseg.cells.background.appearance import Appearance
from helaseg.cells.background.config import BackgroundConfig
from helaseg.cells.nucleus.crop_grey import find_damaged, measure_crop
from helaseg.cells.nucleus.evidence import (
    NOISE_RIDGE,
    EvidenceConfig,
    collect_evidence,
    slice_evidence,
)
from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.errors import ParameterError
from helaseg.execution import make_executor

RING_PX = 60


def picture(rng, *, gap_deg=0.0, noise=5.0, shape=(240, 240)):
    """A ring of 80 nm line width in noise, pixels of 20 nm; a part of it may be missing."""
    y, x = np.mgrid[: shape[0], : shape[1]] - np.array(shape).reshape(2, 1, 1) / 2
    r, turn = np.hypot(y, x), np.rad2deg(np.arctan2(y, x))
    depth = np.where(np.abs(turn) < gap_deg / 2, 0, 30) * np.exp(-((r - RING_PX) ** 2) / 8)
    return 150 - depth + rng.normal(0, noise, shape)


def volume(*planes) -> Volume:
    data = np.stack(planes).clip(0, 255).astype(np.uint8)
    return Volume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=(50, 20, 20)))


def seen(crop: Volume, **config):
    return collect_evidence(
        crop,
        config=EvidenceConfig(**config),
        background=BackgroundConfig(),
        executor=make_executor("serial"),
    )


def test_the_noise_of_a_slice_has_the_same_strength_whatever_its_grey_values(rng):
    plane = picture(rng)
    for factor, offset in ((1, 0), (0.5, 60), (1.5, -60)):
        ridge = seen(volume(plane * factor + offset)).ridge[0]
        assert np.median(ridge[ridge > 0]) == pytest.approx(NOISE_RIDGE, abs=1)
        on_ring = ridge[120, 120 + RING_PX - 1 : 120 + RING_PX + 2].max()
        assert on_ring > 4 * NOISE_RIDGE


def test_superpixels_join_as_the_level_rises(rng):
    part = seen(volume(picture(rng, gap_deg=20)))[0]
    low, high = part.superpixels(1.5), part.superpixels(4.0)
    # A piece of a lower level lies in one of a higher level.
    for k in np.unique(low)[1:]:
        assert len(np.unique(high[low == k])) == 1
    centre, outside = (120, 120), (10, 10)
    assert high[centre] == high[outside], "the gap lets the strongest level through"
    whole = seen(volume(picture(rng)))[0].superpixels(2.0)
    assert whole[centre] != whole[outside]


def test_windows_show_the_same(rng):
    part = seen(volume(picture(rng)))[0]
    box = (slice(40, 151), slice(60, 201))
    cut = part.window(box)
    np.testing.assert_array_equal(cut.ridge, part.ridge[box])
    assert cut.oblique.shape == cut.grey.shape == (56, 71)
    np.testing.assert_array_equal(cut.grey, part.grey[20:76, 30:101])


def test_wide_lines_count_where_the_outline_moves_fast(rng):
    y = np.abs(np.arange(200) - 100.0)
    band = 150 - 30 * np.exp(-(y**2) / (2 * 4.5**2))  # 90 nm
    part = seen(volume(np.tile(band[:, None], (1, 200)) + rng.normal(0, 12, (200, 200))))[0]
    config = EvidenceConfig()
    still = part.lines_at(np.zeros((200, 200), np.float32), config)
    np.testing.assert_array_equal(still, part.ridge)
    fast = part.lines_at(np.full((200, 200), 500, np.float32), config)
    assert fast[100, 20:-20].mean() > 1.3 * still[100, 20:-20].mean()
    assert fast.shape == still.shape


def test_blank_slices_keep_the_resin_and_the_lines_beside(rng):
    plane = picture(rng)
    crop = volume(plane, np.full(plane.shape, 90), plane)
    found = seen(crop)
    assert found.blank.tolist() == [False, True, False]
    np.testing.assert_array_equal(found.ridge[1], found.ridge[0])
    np.testing.assert_array_equal(found.resin[1], found.resin[0])
    scale = measure_crop(crop, 1)
    alone = slice_evidence(
        crop.slice(1),
        grid=crop.grid,
        config=EvidenceConfig(),
        background=BackgroundConfig(),
        scale=scale,
        look=Appearance(),
    )
    assert alone is None


def test_padding_does_not_count_as_noise(rng):
    plane = picture(rng)
    padded = np.zeros((240, 360))
    padded[:, :240] = plane
    inside = seen(volume(padded)).ridge[0][:, :200]
    np.testing.assert_allclose(np.median(inside[inside > 0]), NOISE_RIDGE, atol=2)


def test_sudden_slices_are_damaged_slow_changes_are_not(rng):
    planes = rng.normal(120, 30, (30, 20, 20))
    planes *= np.linspace(1, 0.4, 30).reshape(-1, 1, 1)
    grey = planes.clip(0, 255).astype(np.uint8)
    sound = np.ones(30, bool)
    assert not find_damaged(grey, sound).any()
    grey[12] = grey[12] // 4  # dark and flat
    grey[20] = np.minimum(grey[20].astype(int) + 90, 255)
    np.testing.assert_array_equal(np.flatnonzero(find_damaged(grey, sound)), [12, 20])
    sound[12] = False
    np.testing.assert_array_equal(np.flatnonzero(find_damaged(grey, sound)), [20])
    assert not find_damaged(grey[:3], sound[:3]).any()


def test_the_content_that_ends_is_no_damage(rng):
    grey = np.full((12, 30, 30), 220, np.uint8)
    grey[6:] = rng.integers(60, 220, (6, 30, 30))
    assert not find_damaged(grey, np.ones(12, bool)).any()


def test_workers_do_not_matter(rng):
    crop = volume(*(picture(rng) for _ in range(4)))
    one = seen(crop)
    with make_executor("threads:3") as executor:
        other = collect_evidence(
            crop, config=EvidenceConfig(), background=BackgroundConfig(), executor=executor
        )
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("line_sigma_nm", 0.0, "'line_sigma_nm' must be positive"),
        ("n_orientations", 0, "'n_orientations' must be positive"),
        ("line_levels", (), "'line_levels' must hold positive numbers"),
        ("line_levels", (2.0, -1.0), "'line_levels' must hold positive numbers"),
    ],
)
def test_settings_are_checked_by_name(name, value, message):
    with pytest.raises(ParameterError, match=message):
        EvidenceConfig(**{name: value})
