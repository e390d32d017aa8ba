"""Every step changes the picture as it says, and labels follow."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from helaseg.deep.augment import (
    NO_CHANGE,
    AugmentConfig,
    change_greys,
    change_slices,
    sampling_map,
    take_patch,
)
from helaseg.errors import ParameterError

SHAPE = (40, 40)


def config(**values: object) -> AugmentConfig:
    return dataclasses.replace(NO_CHANGE, p=1.0, **values)


def maps(n: int, **values: object) -> list[tuple[np.ndarray, np.ndarray]]:
    centre = (50.0, 60.0)
    return [
        sampling_map(SHAPE, centre, config(**values), np.random.default_rng(k)) for k in range(n)
    ]


def plain() -> tuple[np.ndarray, np.ndarray]:
    return sampling_map(SHAPE, (50.0, 60.0), NO_CHANGE, np.random.default_rng(0))


def test_without_steps_the_patch_is_the_picture(rng: np.random.Generator) -> None:
    plane = rng.random((1, 100, 120)).astype(np.float32)
    ys, xs = sampling_map((41, 31), (50.0, 60.0), NO_CHANGE, rng)
    np.testing.assert_allclose(
        take_patch(plane, ys, xs, outside="mirror"), plane[:, 30:71, 45:76], atol=1e-6
    )
    grey = plane[:, :20, :20] - 0.5
    np.testing.assert_array_equal(change_greys(grey, NO_CHANGE, rng), grey)
    stack = rng.random((3, 8, 8)).astype(np.float32)
    assert change_slices(stack, NO_CHANGE, rng, kept=range(1, 2)) is stack


def test_flips_mirror_each_axis_about_every_other_time() -> None:
    y0, x0 = plain()
    signs = set()
    for ys, xs in maps(60, flips=True):
        y_sign = 1 if np.allclose(ys, y0) else -1
        x_sign = 1 if np.allclose(xs, x0) else -1
        np.testing.assert_allclose(ys - 50, y_sign * (y0 - 50))
        np.testing.assert_allclose(xs - 60, x_sign * (x0 - 60))
        signs.add((y_sign, x_sign))
    assert len(signs) == 4


def test_quarter_turns_are_those_of_numpy(rng: np.random.Generator) -> None:
    plane = rng.random((1, 100, 120)).astype(np.float32)
    upright = take_patch(plane, *plain(), outside="mirror")[0]
    seen = set()
    for ys, xs in maps(40, quarter_turns=True):
        found = take_patch(plane, ys, xs, outside="mirror")[0]
        turned = [k for k in range(4) if np.allclose(found, np.rot90(upright, k), atol=1e-4)]
        assert len(turned) == 1
        seen.update(turned)
    assert seen == {0, 1, 2, 3}


def test_turns_keep_distances_and_stay_within_the_angle() -> None:
    angles = []
    y0, x0 = plain()
    for ys, xs in maps(50, max_turn_deg=20.0):
        step = np.array([ys[0, 1] - ys[0, 0], xs[0, 1] - xs[0, 0]])
        assert np.hypot(*step) == pytest.approx(1, abs=1e-3)
        angles.append(np.rad2deg(np.arctan2(*step)))
        assert (ys.mean(), xs.mean()) == pytest.approx((y0.mean(), x0.mean()), abs=1e-2)
    assert max(np.abs(angles)) <= 20
    assert np.std(angles) > 5


def test_scale_lengthens_and_shortens_steps_within_the_limit() -> None:
    steps = np.array([xs[0, 1] - xs[0, 0] for _, xs in maps(60, max_scale=0.25)])
    assert (steps >= 1 / 1.25 - 1e-3).all()
    assert (steps <= 1.25 + 1e-3).all()
    assert steps.min() < 0.9
    assert steps.max() > 1.1


def test_elastic_displacements_have_the_size_and_are_smooth() -> None:
    y0, _ = plain()
    moved = [ys - y0 for ys, _ in maps(60, elastic_px=3.0, elastic_smooth_px=12.0)]
    assert 1.5 < np.std(moved) < 4
    bends = [np.abs(np.diff(m, axis=0)).max() for m in moved]
    assert max(bends) < 3  # less than the patch folds


def test_labels_follow_the_picture(rng: np.random.Generator) -> None:
    inside = np.zeros((1, 120, 120), np.float32)
    inside[:, 40:80, 50:70] = 255
    everything = AugmentConfig(p=1.0)
    ys, xs = sampling_map((64, 64), (60, 60), everything, rng)
    grey = take_patch(inside, ys, xs, outside="mirror")
    label = take_patch(inside.astype(np.uint8), ys, xs, outside="mirror")
    np.testing.assert_allclose(grey, label, atol=1e-3)
    assert 0 < (label > 127).mean() < 1


def test_outside_is_mirrored_or_zero() -> None:
    plane = np.arange(1, 26, dtype=np.float32).reshape(1, 5, 5)
    ys, xs = sampling_map((5, 5), (0.0, 2.0), NO_CHANGE, np.random.default_rng(0))
    mirrored = take_patch(plane, ys, xs, outside="mirror")[0]
    np.testing.assert_array_equal(mirrored[0], plane[0, 2])
    zero = take_patch(plane, ys, xs, outside="zero")[0]
    assert not zero[:2].any()
    np.testing.assert_array_equal(zero[2:], plane[0, :3])


def noise(n: int = 3) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((n, 32, 32)).astype(np.float32)


def many(**values: object) -> list[np.ndarray]:
    return [change_greys(noise(), config(**values), np.random.default_rng(k)) for k in range(40)]


def test_gamma_keeps_the_ends_and_the_order_and_moves_the_middle() -> None:
    before = noise()
    middles = []
    for found in many(gamma=0.4):
        assert (found.min(), found.max()) == pytest.approx((before.min(), before.max()), abs=1e-4)
        order = np.argsort(before, axis=None)
        assert (np.diff(found.ravel()[order]) >= -1e-5).all()
        middles.append(np.median(found) - np.median(before))
    assert min(middles) < -0.2
    assert max(middles) > 0.2


def test_contrast_scales_about_the_mean() -> None:
    before = noise()
    factors = np.array([found.std() / before.std() for found in many(contrast=0.3)])
    means = [found.mean() for found in many(contrast=0.3)]
    np.testing.assert_allclose(means, before.mean(), atol=1e-4)
    assert factors.min() < 0.85
    assert factors.max() > 1.15
    assert (np.abs(factors - 1) <= 0.3 + 1e-4).all()


def test_brightness_shifts_all_alike() -> None:
    before = noise()
    shifts = []
    for found in many(brightness=0.3):
        assert np.ptp(found - before) < 1e-4
        shifts.append(float((found - before).mean()))
    assert min(shifts) < -0.1
    assert max(shifts) > 0.1
    assert max(np.abs(shifts)) <= 0.3 + 1e-4


def test_blur_takes_the_fine_and_leaves_the_mean() -> None:
    before = noise()
    for found in many(blur_px=1.0):
        assert found.std() < 0.95 * before.std()
        assert found.mean() == pytest.approx(before.mean(), abs=0.02)


def test_noise_is_of_the_given_size_and_apart_from_the_picture() -> None:
    before = noise()
    sizes = []
    for found in many(noise=0.5):
        added = found - before
        sizes.append(added.std())
        assert abs(np.corrcoef(added.ravel(), before.ravel())[0, 1]) < 0.1
    assert max(sizes) <= 0.55
    assert max(sizes) > 0.3


def test_a_missing_slice_is_flat_and_never_the_predicted_one() -> None:
    stack = noise(5)
    gone = set()
    for k in range(40):
        found = change_slices(
            stack, config(p_missing_slice=1.0), np.random.default_rng(k), kept=range(2, 3)
        )
        flat = [z for z in range(5) if np.ptp(found[z]) == 0]
        assert len(flat) == 1
        gone.update(flat)
    assert gone == {0, 1, 3, 4}


def test_misalignment_moves_a_slice_and_what_lies_beyond() -> None:
    stack = np.stack([ndimage.gaussian_filter(noise(1)[0], 3)] * 5)
    seen = set()
    for k in range(40):
        found = change_slices(
            stack, config(misalignment_px=3.0), np.random.default_rng(k), kept=range(2, 3)
        )
        moved = tuple(z for z in range(5) if not np.array_equal(found[z], stack[z]))
        seen.add(moved)
        others = [found[z] for z in moved]
        for other in others[1:]:
            np.testing.assert_array_equal(other, others[0])
    assert seen == {(0,), (0, 1), (3, 4), (4,)}


def test_one_slice_alone_stays() -> None:
    everything = AugmentConfig(p=1.0, p_missing_slice=1.0)
    stack = noise(1)
    rng = np.random.default_rng(0)
    assert change_slices(stack, everything, rng, kept=range(1)) is stack


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"noise": -1.0}, "'noise' must be zero or positive"),
        ({"max_scale": 1.0}, "'max_scale' must lie between 0.0 and 0.9"),
        ({"max_turn_deg": 200.0}, "'max_turn_deg' must lie between"),
        ({"p": 2.0}, "'p' must lie between"),
        ({"elastic_smooth_px": 0.0}, "'elastic_smooth_px' must be positive"),
    ],
)
def test_steps_of_impossible_size_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        AugmentConfig(**values)
