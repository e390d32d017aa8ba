"""Prediction in blocks is prediction at once, for every size; three axes become one answer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from helaseg.deep import PredictConfig, Predictor, UNet, UNetConfig, predict_tri_axis
from helaseg.deep.grey import GreyScale, grey_scale
from helaseg.deep.tri_axis import fuse
from helaseg.errors import ParameterError

pytestmark = pytest.mark.usefixtures("one_torch_thread")

SCALE = GreyScale(mean=120.0, std=50.0)
SMALL = PredictConfig(
    patch_px=32,
    overlap_px=8,
    depth_vx=12,
    overlap_slices=4,
    batch_voxels=20_000,
    precision="float32",
)
KINDS = {
    "2-D": UNetConfig(width=4, n_halvings=2),
    "2.5-D": UNetConfig(width=4, n_halvings=2, slices_in=3),
    "2020": UNetConfig(width=2, n_halvings=2, slices_in=12, slices_out=12, layout="towers"),
    "3-D": UNetConfig(width=4, n_halvings=2, n_axes=3),
    "valid": UNetConfig(width=4, n_halvings=2, padding="valid"),
    "valid 3-D": UNetConfig(width=2, n_halvings=1, n_axes=3, padding="valid"),
    "classes": UNetConfig(width=4, n_halvings=2, head="classes", classes=("a", "b", "c")),
}


def network(config: UNetConfig) -> UNet:
    torch.manual_seed(0)
    made = UNet(config)
    # Normalisation that has seen something.
    made.train()
    side = config.valid_length(48)
    deep = side if config.n_axes == 3 else config.slices_in
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(2, deep, side, side))
    return made.eval()


def whole(predictor: Predictor, source: object, scale: GreyScale = SCALE) -> np.ndarray:
    blocks = list(predictor.blocks(source, scale))
    starts = [start for start, _ in blocks]
    depths = [b.shape[1] for _, b in blocks]
    assert starts == [0, *np.cumsum(depths)[:-1]]
    return np.concatenate([b for _, b in blocks], axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 17, 40), (30, 33, 90), (13, 64, 64)])
def test_every_voxel_of_every_size_is_predicted(
    kind: str, shape: tuple[int, int, int], rng: np.random.Generator
) -> None:
    made = network(KINDS[kind])
    with torch.no_grad():
        # Far from 0 everywhere, so that a voxel that was left out would show.
        made.head.weight.mul_(0.01)
        made.head.bias.fill_(1.0)
    source = rng.integers(0, 255, shape).astype(np.uint8)
    found = whole(Predictor(made, device="cpu", config=SMALL), source)
    assert found.shape == (len(made.config.classes), *shape)
    if made.config.head == "classes":
        assert (np.abs(found.sum(axis=0, dtype=int) - 255) <= 2).all()
    else:
        assert found.min() > 150
        assert found.max() < 220


def test_one_window_is_the_network_itself(rng: np.random.Generator) -> None:
    made = network(KINDS["2-D"])
    source = rng.integers(0, 255, (5, 32, 48)).astype(np.uint8)
    with torch.inference_mode():
        grey = (torch.from_numpy(source).float() - SCALE.mean) / SCALE.std
        expected = made.probabilities(made(grey[:, None]))[:, 0, 0]
    config = PredictConfig(precision="float32")
    found = whole(Predictor(made, device="cpu", config=config), source)[0]
    np.testing.assert_allclose(found, 255 * expected.numpy(), atol=0.51)


@pytest.mark.parametrize(
    ("shape", "overlap"), [((2, 80, 80), 0), ((1, 35, 59), 3), ((3, 61, 47), 5)]
)
def test_windows_with_halo_are_the_network_on_the_whole_plane(
    rng: np.random.Generator, shape: tuple[int, int, int], overlap: int
) -> None:
    made = network(KINDS["valid"])
    # Windows halve the same pixels together, whatever size and overlap are.
    windows = dataclasses.replace(SMALL, overlap_px=overlap, patch_px=20, output="float16")
    source = rng.integers(0, 255, shape).astype(np.uint8)
    small, large = (
        whole(Predictor(made, device="cpu", config=c), source)
        for c in (windows, PredictConfig(precision="float32", output="float16"))
    )
    # Convolutions of other sizes round otherwise in the last bits.
    np.testing.assert_allclose(small, large, atol=1e-3)


@pytest.mark.parametrize("kind", ["2-D", "2.5-D", "3-D"])
def test_batches_of_any_size_say_the_same(kind: str, rng: np.random.Generator) -> None:
    made = network(KINDS[kind])
    source = rng.integers(0, 255, (20, 40, 70)).astype(np.uint8)
    answers = [
        whole(
            Predictor(made, device="cpu", config=dataclasses.replace(SMALL, batch_voxels=n)), source
        )
        for n in (1, 30_000, 10**7)
    ]
    for other in answers[1:]:
        assert np.abs(answers[0].astype(int) - other).max() <= 1


def test_flips_are_the_mean_of_four(rng: np.random.Generator) -> None:
    made = network(KINDS["2-D"])
    source = rng.integers(0, 255, (2, 32, 32)).astype(np.uint8)
    plain = PredictConfig(precision="float32")
    flips = dataclasses.replace(plain, flips=True)
    found = whole(Predictor(made, device="cpu", config=flips), source)
    one = Predictor(made, device="cpu", config=plain)
    parts = [
        whole(one, np.ascontiguousarray(source[:, ::a, ::b]))[:, :, ::a, ::b].astype(float)
        for a in (1, -1)
        for b in (1, -1)
    ]
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1.01)


def test_half_numbers_say_nearly_the_same(rng: np.random.Generator) -> None:
    made = network(KINDS["2-D"])
    source = rng.integers(0, 255, (2, 64, 64)).astype(np.uint8)
    exact, half = (
        whole(Predictor(made, device="cpu", config=PredictConfig(precision=p)), source)
        for p in ("float32", "bfloat16")
    )
    assert np.abs(exact.astype(int) - half).max() <= 12


def test_the_scale_leaves_out_what_was_filled_in(rng: np.random.Generator) -> None:
    source = rng.integers(1, 255, (40, 30, 30)).astype(np.uint8)
    padded = np.pad(source, ((0, 0), (10, 0), (0, 50)))
    one, two = grey_scale(source, n_slices=40), grey_scale(padded, n_slices=40)
    assert one.mean == pytest.approx(source.mean())
    assert one.std == pytest.approx(source.std())
    assert (two.mean, two.std) == pytest.approx((one.mean, one.std))
    assert grey_scale(np.zeros((3, 4, 4), np.uint8)) == GreyScale(mean=0.0, std=1.0)


def test_three_axes_are_the_network_on_the_turned_volume(rng: np.random.Generator) -> None:
    predictor = Predictor(network(KINDS["2-D"]), device="cpu", config=SMALL)
    source = rng.integers(0, 255, (20, 30, 40)).astype(np.uint8)
    found = predict_tri_axis(predictor, source, scale=SCALE, fusion="union")
    parts = []
    for axis in range(3):
        order = [axis, *(a for a in range(3) if a != axis)]
        turned = np.ascontiguousarray(source.transpose(order))
        back = np.argsort(order)
        parts.append(whole(predictor, turned)[0].transpose(back))
    np.testing.assert_array_equal(found.probability[0], np.max(parts, axis=0))
    assert found.agreement is not None
    np.testing.assert_array_equal(found.agreement[0], np.sum([p >= 128 for p in parts], axis=0))


def test_fusions_are_those_of_the_masks(rng: np.random.Generator) -> None:
    parts = [rng.integers(0, 256, (2, 3, 4, 5)).astype(np.uint8) for _ in range(3)]
    masks = np.stack(parts) >= 128
    votes = masks.sum(axis=0)
    for fusion, least in (("union", 1), ("majority", 2), ("intersection", 3)):
        found = fuse(parts, fusion=fusion)
        np.testing.assert_array_equal(found.probability >= 128, votes >= least)
        np.testing.assert_array_equal(found.agreement, votes)
        np.testing.assert_array_equal(found.n_found, masks.sum(axis=(2, 3, 4)))
    mean = fuse(parts, fusion="mean").probability
    np.testing.assert_allclose(mean, np.mean(parts, axis=0), atol=1)
    with pytest.raises(ParameterError, match="three predictions of one shape"):
        fuse(parts[:2], fusion="mean")


def test_arrays_in_files_hold_the_same(tmp_path, rng: np.random.Generator) -> None:
    predictor = Predictor(network(KINDS["2-D"]), device="cpu", config=SMALL)
    source = rng.integers(0, 255, (6, 20, 20)).astype(np.uint8)
    one = predict_tri_axis(predictor, source, scale=SCALE, fusion="mean")
    two = predict_tri_axis(predictor, source, scale=SCALE, fusion="mean", scratch=tmp_path)
    np.testing.assert_array_equal(one.probability, two.probability)
    assert isinstance(two.probability, np.memmap)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(
        ParameterError, match="'overlap_px' must be at least 0 and below 'patch_px'"
    ):
        PredictConfig(patch_px=32, overlap_px=32)
    with pytest.raises(ParameterError, match="'precision' must be one of"):
        PredictConfig(precision="int8")  # type: ignore[arg-type]
    predictor = Predictor(network(KINDS["2-D"]), device="cpu")
    with pytest.raises(ParameterError, match="'fusion' must be one of 'union', 'majority'"):
        predict_tri_axis(predictor, np.zeros((2, 4, 4), np.uint8), scale=SCALE, fusion="vote")  # type: ignore[arg-type]


def test_half_floats_say_the_same_as_bytes(rng: np.random.Generator) -> None:
    made = network(KINDS["2-D"])
    source = rng.integers(0, 255, (6, 20, 24)).astype(np.uint8)
    fine = Predictor(made, device="cpu", config=dataclasses.replace(SMALL, output="float16"))
    rough = Predictor(made, device="cpu", config=SMALL)
    assert whole(fine, source).dtype == np.float16
    np.testing.assert_allclose(whole(fine, source) * 255.0, whole(rough, source), atol=0.7)
    for fusion in ("union", "majority", "mean", "intersection"):
        one, two = (predict_tri_axis(p, source, scale=SCALE, fusion=fusion) for p in (fine, rough))
        np.testing.assert_allclose(one.probability * 255.0, two.probability, atol=1.4)
        # Bytes round 127.5 up.
        assert np.mean(one.agreement != two.agreement) < 0.02


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_same_labels_but_for_few_voxels(rng: np.random.Generator) -> None:
    made = network(KINDS["2-D"])
    source = rng.integers(0, 255, (8, 64, 64)).astype(np.uint8)
    here = whole(Predictor(made, device="cpu", config=SMALL), source) >= 128
    there = whole(Predictor(made, device="cuda", config=SMALL), source) >= 128
    assert np.mean(here != there) < 1e-3


@pytest.mark.slow
# torch's compiler imports what torch itself calls outdated.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_compiled_network_says_the_same(rng: np.random.Generator) -> None:
    made = network(KINDS["2-D"])
    source = rng.integers(0, 255, (4, 64, 64)).astype(np.uint8)
    plain, compiled = (
        whole(
            Predictor(made, device="cpu", config=PredictConfig(precision="float32", compile=c)),
            source,
        )
        for c in (False, True)
    )
    assert np.abs(plain.astype(int) - compiled).max() <= 1
