"""Training learns, repeats itself bit for bit, resumes, and says what is wrong."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helaseg.deep import Example, Predictor, TrainConfig, UNetConfig, read_checkpoint, train
from helaseg.deep.history import read_history
from helaseg.deep.training import learning_rate
from helaseg.errors import CheckpointError, JobError, OutputExistsError

pytestmark = pytest.mark.usefixtures("one_torch_thread")

WEIGHTS = ("best.safetensors", "last.safetensors")


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(folder / f"{name}.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_it_learns_what_another_cell_looks_like(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    config = dataclasses.replace(tiny, n_steps=100, validate_every=25, learning_rate=1e-2)
    result = train(examples[:1], tmp_path, config=config, validation=examples[1:], device="cpu")
    assert result.history[-1].validation_loss < result.history[0].validation_loss
    network = read_checkpoint(tmp_path).network
    other = examples[1]
    predictor = Predictor(network, device="cpu")
    found = np.concatenate([b for _, b in predictor.blocks(other.image, other.scale)], axis=1)
    inside, true = found[0] >= 128, other.target[0] >= 128
    assert (inside & true).sum() / (inside | true).sum() > 0.9


def test_same_seed_same_network_and_another_seed_another(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        config = dataclasses.replace(tiny, seed=seed)
        train(examples[:1], tmp_path / name, config=config, device="cpu")
    one, two, other = (weights(tmp_path / n) for n in ("one", "two", "other"))
    assert same(one, two)
    assert not same(one, other)


def test_a_run_that_stopped_goes_on_bit_for_bit(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    config = dataclasses.replace(
        tiny, network=dataclasses.replace(tiny.network, dropout=0.3), patience=5
    )

    class Stop(Exception):
        pass

    def stop(step: str, done: int, total: int) -> None:
        if done == 7:  # between two states
            raise Stop

    def go(out: Path, **more: object) -> None:
        train(examples[:1], out, config=config, validation=examples[1:], device="cpu", **more)

    go(tmp_path / "whole")
    with pytest.raises(Stop):
        go(tmp_path / "parts", progress=stop)
    assert [r.step for r in read_history(tmp_path / "parts" / "history.csv")] == [4]
    go(tmp_path / "parts")
    for name in ("best", "last"):
        assert same(weights(tmp_path / "whole", name), weights(tmp_path / "parts", name))
    whole, parts = (read_history(tmp_path / n / "history.csv") for n in ("whole", "parts"))
    for a, b in zip(whole, parts, strict=True):
        assert (a.step, a.validation_loss, a.validation_dice) == (
            b.step,
            b.validation_loss,
            b.validation_dice,
        )
    # The mean over the steps since the last state is that of the same steps.
    assert [a.train_loss for a in whole] == [b.train_loss for b in parts]


def test_a_finished_run_changes_nothing(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    first = train(examples[:1], tmp_path, config=tiny, device="cpu")
    before = weights(tmp_path)
    again = train(examples[:1], tmp_path, config=tiny, device="cpu")
    assert same(before, weights(tmp_path))
    assert again.history == first.history


def test_it_stops_when_the_validation_loss_stands_still(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    config = dataclasses.replace(
        tiny, n_steps=400, validate_every=2, patience=3, learning_rate=1e-12, warm_up=0
    )
    result = train(examples[:1], tmp_path, config=config, validation=examples[1:], device="cpu")
    assert result.stopped_early
    assert result.history[-1].step < 400
    losses = [r.validation_loss for r in result.history]
    best = int(np.argmin(losses))
    assert result.best_step == result.history[best].step
    assert len(losses) == best + 1 + 3


def test_the_best_state_is_kept_apart_from_the_last(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    result = train(examples[:1], tmp_path, config=tiny, validation=examples[1:], device="cpu")
    losses = {r.step: r.validation_loss for r in result.history}
    assert result.best_step == min(losses, key=lambda s: losses[s])
    noted = json.loads((tmp_path / "model.json").read_text())
    assert noted["provenance"]["step"] == result.best_step
    assert (result.best_step == 12) == same(weights(tmp_path), weights(tmp_path, "best"))
    costs = json.loads((tmp_path / "training.json").read_text())
    assert costs["device"].endswith(("core", "cores"))
    assert "energy_j" in costs
    assert costs["seconds"] > 0
    assert costs["peak_memory_mb"] > 0


def test_fine_tuning_starts_from_a_network_and_freezes_its_encoder(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    train(examples[:1], tmp_path / "first", config=tiny, device="cpu")
    start = read_checkpoint(tmp_path / "first")
    config = dataclasses.replace(tiny, freeze="encoder", seed=3)
    train(examples[1:], tmp_path / "second", config=config, start=start, device="cpu")
    before, after = weights(tmp_path / "first"), weights(tmp_path / "second")
    frozen = [k for k in before if k.startswith("down.")]
    assert frozen
    assert all(torch.equal(before[k], after[k]) for k in frozen)
    assert not torch.equal(before["head.weight"], after["head.weight"])
    other = dataclasses.replace(tiny, network=dataclasses.replace(tiny.network, width=6))
    with pytest.raises(CheckpointError, match="has another shape"):
        train(examples, tmp_path / "third", config=other, start=start, device="cpu")


def test_a_folder_of_another_training_is_not_touched(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    train(examples[:1], tmp_path, config=tiny, device="cpu")
    before = weights(tmp_path)
    with pytest.raises(OutputExistsError, match="other settings, data or number"):
        train(examples[1:], tmp_path, config=tiny, device="cpu")
    assert same(before, weights(tmp_path))


def test_a_loss_that_is_no_number_ends_training(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    broken = dataclasses.replace(
        examples[0], scale=dataclasses.replace(examples[0].scale, std=float("nan"))
    )
    with pytest.raises(JobError, match="the loss is nan at step 1; lower --learning-rate"):
        train([broken], tmp_path, config=tiny, device="cpu")


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainConfig(n_steps=100, warm_up=10, learning_rate=1.0)
    rates = [learning_rate(k, config) for k in range(100)]
    assert rates[:10] == pytest.approx([(k + 1) / 11 for k in range(10)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] < 1e-3


@pytest.mark.parametrize(
    "network",
    [
        UNetConfig(width=2, n_halvings=1, head="classes", classes=("background", "nucleus")),
        UNetConfig(width=2, n_halvings=1, head="distance"),
        UNetConfig(width=2, n_halvings=1, slices_in=3),
        UNetConfig(width=2, n_halvings=1, n_axes=3),
        UNetConfig(width=2, n_halvings=1, padding="valid"),
    ],
)
def test_every_kind_of_network_trains(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig, network: UNetConfig
) -> None:
    config = dataclasses.replace(tiny, network=network, n_steps=2, depth_vx=8)
    example = examples[0]
    if network.head == "classes":
        both = np.concatenate([255 - example.target, example.target])
        example = dataclasses.replace(example, target=both)
    result = train([example], tmp_path, config=config, device="cpu")
    assert np.isfinite(result.history[-1].train_loss)
    found = Predictor(read_checkpoint(tmp_path).network, device="cpu")
    shapes = [b.shape for _, b in found.blocks(example.image, example.scale)]
    assert sum(s[1] for s in shapes) == example.image.shape[0]


def test_damaged_networks_are_refused(
    tmp_path: Path, examples: Sequence[Example], tiny: TrainConfig
) -> None:
    with pytest.raises(CheckpointError, match="holds no trained network"):
        read_checkpoint(tmp_path)
    train(examples[:1], tmp_path, config=tiny, device="cpu")
    noted = json.loads((tmp_path / "model.json").read_text())
    best = tmp_path / "best.safetensors"
    content = best.read_bytes()
    best.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"best\.safetensors cannot be read"):
        read_checkpoint(tmp_path)
    best.write_bytes(content)
    noted["config"]["network"]["width"] = 8
    (tmp_path / "model.json").write_text(json.dumps(noted))
    with pytest.raises(CheckpointError, match="was made for another network"):
        read_checkpoint(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({**noted, "format": 99}))
    with pytest.raises(CheckpointError, match="written by a later helaseg"):
        read_checkpoint(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(CheckpointError, match="does not describe a network"):
        read_checkpoint(tmp_path)


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    script = tmp_path / "both.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from helaseg.core.grid import Grid\n"
        "from helaseg.deep import Example, TrainConfig, UNetConfig, train\n"
        "from helaseg.deep.grey import GreyScale\n"
        "rng = np.random.default_rng(0)\n"
        "shape = (4, 64, 64)\n"
        "target = rng.integers(0, 2, (1, *shape)).astype(np.uint8) * 255\n"
        "e = Example(name='a', cell='a', grid=Grid(shape=shape, voxel_size_nm=(50, 50, 50)),\n"
        "    image=rng.integers(1, 255, shape).astype(np.uint8), target=target,\n"
        "    weight=np.full(shape, 255, np.uint8), scale=GreyScale(mean=128.0, std=60.0))\n"
        "config = TrainConfig(network=UNetConfig(width=2, n_halvings=1), patch_px=32,\n"
        "    batch_size=1, n_steps=3, precision='float32')\n"
        "train([e], Path(sys.argv[1]), config=config, device='cpu')\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(script), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert [r.step for r in read_history(tmp_path / "out" / "history.csv")] == [3]
    assert weights(tmp_path / "out")
