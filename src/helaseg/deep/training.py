"""Training: one flat loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from helaseg.deep.augment import NO_CHANGE
from helaseg.deep.checkpoint import Checkpoint, write_costs, write_description, write_weights
from helaseg.deep.device import (
    PRECISIONS,
    DeviceEnergy,
    device_name,
    fast_precision,
    find_device,
    versions,
)
from helaseg.deep.examples import Example
from helaseg.deep.history import HistoryRow, read_history, write_history
from helaseg.deep.losses import loss_of, weighted_counts
from helaseg.deep.resume import TrainingState, read_state, write_state
from helaseg.deep.sampler import Patch, Sampler
from helaseg.deep.train_config import TrainConfig
from helaseg.deep.unet import UNet
from helaseg.deep.world import World
from helaseg.errors import CheckpointError, JobError
from helaseg.execution import Progress, add_energy, fingerprint_of

#: Patches on which every validation is made.
N_VALIDATION = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """Result of a training.

    Parameters
    ----------
    history : tuple of HistoryRow
        One per validation.
    best_step : int
        Step of the weights in ``best.safetensors``.
    stopped_early : bool
        Whether the validation loss stood still for `TrainConfig.patience` validations.
    seconds : float
        Time of all runs together.
    device : str
        Where it was trained.
    """

    history: tuple[HistoryRow, ...]
    best_step: int
    stopped_early: bool
    seconds: float
    device: str


def train(
    examples: Sequence[Example],
    out: Path,
    *,
    config: TrainConfig,
    validation: Sequence[Example] = (),
    device: str = "auto",
    start: Checkpoint | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    kept: Callable[[], None] | None = None,
) -> TrainingResult:
    """Train a network, or go on with training.

    Parameters
    ----------
    examples : sequence of Example
        To learn from.
    out : Path
        Gets ``best.safetensors``, ``last.safetensors``, ``model.json``, ``history.csv``, and
        the state from which a killed run goes on.
    config : TrainConfig
        Network, patches, learning rate, seed.
    validation : sequence of Example
        Of other cells; decides which state is best and when to stop.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
    start : Checkpoint, optional
        Trained network to go on from (fine-tuning).
    provenance : mapping, optional
        Goes into ``model.json``.
    progress : callable, optional
        Told the steps done.
    kept : callable, optional
        Called whenever the state is on disk.

    Returns
    -------
    TrainingResult

    Raises
    ------
    CheckpointError
        If `start` is a network of another shape.
    DataFormatError
        If there is no example, or no voxel of a class in them.
    JobError
        If the loss is no number any more.

    Notes
    -----
    1. Patches of a step are drawn from a generator that is seeded by seed, step and place in
       the batch: a resumed run draws what an uninterrupted one would have.
    2. Dice and cross-entropy (`loss_of`), gradients cut to a norm, AdamW, learning rate
       by warm-up and half a cosine.
    3. Every ``validate_every`` steps the loss on fixed, unchanged patches of other cells; the
       lowest one is kept as best. Without such cells the last state is the best.
    4. Started by ``torchrun``, every process takes a batch of its own and gradients are
       averaged; the first one writes.
    """
    world = World.join(device)
    where = world.device or find_device(device)
    torch.manual_seed(config.seed)
    network = UNet(config.network)
    if start is not None:
        if start.config.network != config.network:
            msg = "the network to start from has another shape; take its settings, or train anew"
            raise CheckpointError(msg)
        network.load_state_dict(start.network.state_dict())
    layout = torch.channels_last if config.network.n_axes == 2 else torch.channels_last_3d
    network = network.to(where).to(memory_format=layout)  # type: ignore[call-overload]
    if config.freeze == "encoder":
        network.down.requires_grad_(False)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=config.learning_rate, weight_decay=config.weight_decay
    )
    sampler = Sampler(examples, config)
    sampler.check_labelled()
    fixed = _fixed_batches(validation, config)
    out.mkdir(parents=True, exist_ok=True)
    key = fingerprint_of(
        config, *(e.digest() for e in (*examples, *validation)), provenance, world.size
    )
    state = read_state(out, key, network, optimizer) or TrainingState(key=key)
    history = [r for r in read_history(out / "history.csv") if r.step <= state.step]
    auto = config.precision == "auto"
    number = fast_precision(where) if auto else PRECISIONS[config.precision]
    begun, losses = time.perf_counter() - state.seconds, []
    energy, spent = DeviceEnergy(where), state.energy_j
    stopped = 0 < config.patience <= state.n_waited
    with _ahead(sampler, range(state.step, config.n_steps), part=world.rank) as batches:
        for step, patches in batches:
            if stopped:
                break
            _set_training(network, config)
            torch.manual_seed(config.seed * 1_000_003 + step)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config)
            image, target, weight = (t.to(where) for t in _stack(patches))
            with torch.autocast(where.type, number, enabled=number != torch.float32):
                logits = network(image)
            loss = loss_of(logits.float(), target, weight, head=config.network.head)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            world.average(network)
            torch.nn.utils.clip_grad_norm_(trained, config.max_gradient)
            optimizer.step()
            losses.append(float(loss.detach()))
            done = step + 1
            if not math.isfinite(losses[-1]):
                msg = f"the loss is {losses[-1]} at step {done}; lower --learning-rate"
                raise JobError(msg)
            if progress is not None:
                progress("train", done, config.n_steps)
            if done % config.validate_every and done != config.n_steps:
                continue
            judged, dice = world.agree(*_validate(network, fixed, config, where))
            better = math.isnan(judged) or judged < state.best_loss
            seconds = time.perf_counter() - begun
            state = replace(
                state,
                step=done,
                best_loss=judged if better and not math.isnan(judged) else state.best_loss,
                best_step=done if better else state.best_step,
                n_waited=0 if better else state.n_waited + 1,
                seconds=seconds,
                energy_j=add_energy(spent, energy.joules()),
            )
            stopped = 0 < config.patience <= state.n_waited
            history.append(
                HistoryRow(
                    step=done,
                    train_loss=float(np.mean(losses)),
                    validation_loss=judged,
                    validation_dice=dice,
                    learning_rate=learning_rate(step, config),
                    seconds=seconds,
                )
            )
            losses = []
            if world.writes:
                if better:
                    write_weights(out, network, which="best")
                write_weights(out, network, which="last")
                write_history(out / "history.csv", history)
                noted = {
                    **(provenance or {}),
                    "step": state.best_step,
                    "device": device_name(where),
                    "versions": versions(),
                }
                write_description(out, config, noted)
                write_state(out, state, network, optimizer)
                if kept is not None:
                    kept()
    if world.writes:
        write_costs(out, seconds=state.seconds, energy_j=state.energy_j, device=device_name(where))
    world.leave()
    return TrainingResult(
        history=tuple(history),
        best_step=state.best_step,
        stopped_early=stopped,
        seconds=state.seconds,
        device=str(where),
    )


def seconds_per_step(config: TrainConfig, *, device: str = "auto") -> float:
    """Measure for about a second how long a step of training takes on this machine.

    Parameters
    ----------
    config : TrainConfig
        Network, patches and numbers.
    device : str
        As in `train`.

    Returns
    -------
    float
        Median of the steps of a second, at least two, after one that is not counted.
    """
    where = find_device(device)
    layout = torch.channels_last if config.network.n_axes == 2 else torch.channels_last_3d
    network = UNet(config.network).to(where).to(memory_format=layout)  # type: ignore[call-overload]
    number = fast_precision(where) if config.precision == "auto" else PRECISIONS[config.precision]
    image = torch.zeros((config.batch_size, *config.patch_in), device=where)
    times: list[float] = []
    while len(times) < 3 or sum(times) < 1.0:
        begun = time.perf_counter()
        with torch.autocast(where.type, number, enabled=number != torch.float32):
            logits = network(image)
        logits.float().square().mean().backward()
        network.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - begun)
    return float(np.median(times[1:]))


def learning_rate(step: int, config: TrainConfig) -> float:
    """A straight line up over the warm-up, then half a cosine down to 0."""
    warm = min(config.warm_up, config.n_steps // 4)
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    part = (step - warm) / max(1, config.n_steps - warm)
    return config.learning_rate * (1 + math.cos(math.pi * part)) / 2


def _set_training(network: UNet, config: TrainConfig) -> None:
    network.train()
    if config.freeze == "encoder":
        # Frozen also in what its normalisation remembers.
        network.down.eval()


def _fixed_batches(validation: Sequence[Example], config: TrainConfig) -> list[list[Patch]]:
    """Patches of all cells kept for validation, unchanged and the same at every validation."""
    if not validation:
        return []
    plain = Sampler(validation, replace(config, augment=NO_CHANGE))
    n = -(-N_VALIDATION // config.batch_size)
    return [plain.batch(k, part=0) for k in range(n)]


@torch.inference_mode()
def _validate(
    network: UNet, batches: Sequence[Sequence[Patch]], config: TrainConfig, device: torch.device
) -> tuple[float, float]:
    """Loss and Dice coefficient (mean over the classes); nan without cells for it."""
    if not batches:
        return math.nan, math.nan
    network.eval()
    head = config.network.head
    losses, counts = [], torch.zeros(len(config.network.classes), 3, dtype=torch.float64)
    for patches in batches:
        image, target, weight = (t.to(device) for t in _stack(patches))
        logits = network(image)
        losses.append(float(loss_of(logits, target, weight, head=head)))
        counts += weighted_counts(network.probabilities(logits), target, weight).cpu()
    first = 1 if head == "classes" else 0  # the background is no class to find
    hit, false, missed = counts[first:].T.numpy()
    every = 2 * hit + false + missed
    dice = 2 * hit[every > 0] / every[every > 0]
    return float(np.mean(losses)), float(dice.mean()) if dice.size else math.nan


def _stack(patches: Sequence[Patch]) -> tuple[Tensor, Tensor, Tensor]:
    """(B, Z, Y, X), (B, C, Z', Y', X'), (B, 1, Z', Y', X')."""
    columns = zip(*((p.image, p.target, p.weight) for p in patches), strict=True)
    image, target, weight = (torch.from_numpy(np.stack(c)) for c in columns)
    return image, target, weight


class _ahead:
    """Batches drawn by another thread while the network works on the one before."""

    def __init__(self, sampler: Sampler, steps: range, *, part: int) -> None:
        self._sampler, self._steps, self._part = sampler, steps, part

    def __enter__(self) -> Iterator[tuple[int, list[Patch]]]:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="patches")
        return self._batches()

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _batches(self) -> Iterator[tuple[int, list[Patch]]]:
        waiting = None
        for step in self._steps:
            drawn = waiting or self._draw(step)
            waiting = self._draw(step + 1) if step + 1 in self._steps else None
            yield step, drawn.result()

    def _draw(self, step: int) -> Any:
        return self._pool.submit(self._sampler.batch, step, part=self._part)
