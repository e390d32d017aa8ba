"""``--dry-run`` of train and predict: a few steps are tried, since networks differ in cost."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from helaseg.cli.plan import as_bytes, as_time
from helaseg.core.volume import Volume
from helaseg.core.words import counted
from helaseg.deep.grey import grey_scale
from helaseg.deep.predict_config import Fusion, PredictConfig
from helaseg.deep.resample import ResampledArray
from helaseg.execution import peak_memory_mb, usable_cores

if TYPE_CHECKING:
    from helaseg.deep import Checkpoint, Example, TrainConfig
    from helaseg.deep.unet_config import UNetConfig

#: Steps and slices that are tried, fewer if these seconds are over; the first step prepares what
#: later ones use.
N_TRIED, MAX_SECONDS = 6, 10.0
#: Bytes per voxel of the network that labels and measurements of a prediction took at most:
#: masks, components of 4 bytes, distances of 4 bytes, surfaces.
BYTES_PER_VX = 40


class _EnoughError(Exception):
    """Enough steps were tried."""


def plan_training(
    learned: Sequence[Example], held: Sequence[Example], settings: TrainConfig, *, device: str
) -> str:
    """Describe the training: network, cells, voxels, and time, memory and disk as tried here."""
    from helaseg.deep import UNet, train
    from helaseg.deep.device import device_name, find_device
    from helaseg.deep.training import N_VALIDATION

    network = settings.network
    n_parameters = UNet(network).n_parameters
    ends = [time.perf_counter()]

    def tried(step: str, done: int, total: int) -> None:
        ends.append(time.perf_counter())
        if len(ends) > N_TRIED or (len(ends) > 2 and ends[-1] - ends[0] > MAX_SECONDS):
            raise _EnoughError

    trial = replace(settings, n_steps=N_TRIED, validate_every=N_TRIED, warm_up=0)
    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        train(learned, Path(folder), config=trial, device=device, progress=tried)
    step = median(np.diff(ends[1:]))
    n_validations = -(-settings.n_steps // settings.validate_every)
    # Forwards alone, a third of a step.
    validation = step / 3 * N_VALIDATION / settings.batch_size if held else 0.0
    seconds = settings.n_steps * step + n_validations * validation
    # Weights twice, and the state with the two moments of the optimiser.
    disk = 5 * 4 * n_parameters
    return "\n".join(
        [
            "plan of 'helaseg train'; nothing was written",
            _network_line(network, n_parameters),
            f"voxels    {_size(settings.working_voxel_nm)}",
            _cells_line("training", learned),
            _cells_line("judging", held)
            if held
            else "judging   no other cell: the last state is taken",
            *label_notes((*learned, *held)),
            _class_line(learned, network),
            f"steps     {settings.n_steps} of {settings.batch_size} patches of "
            f"{' x '.join(map(str, settings.patch_in))} voxels"
            + (f", {n_validations} validations" if held else ""),
            f"device    {device_name(find_device(device))}",
            f"takes     about {as_time(seconds)}, {as_bytes(peak_memory_mb() * 1e6)} of memory, "
            f"{as_bytes(disk)} on the disk (tried with {len(ends) - 1} steps{_load()})",
        ]
    )


def plan_prediction(
    volume: Volume,
    model: Checkpoint,
    *,
    config: PredictConfig,
    tri_axis: Fusion | None,
    device: str,
) -> str:
    """Describe the prediction: voxels, network, and time, memory and disk as tried here."""
    from helaseg.deep import Predictor
    from helaseg.deep.device import device_name
    from helaseg.pipelines.learned import network_grid

    network = model.config.network
    grid = network_grid(volume.grid, model.config, tri_axis=tri_axis)
    predictor = Predictor(model.network, device=device, config=config)
    source = ResampledArray(volume.data, shape=grid.shape, dtype=np.uint8)
    middle = grid.shape[0] // 2
    some = source[max(0, middle - N_TRIED) : middle + N_TRIED]
    times = []
    for _ in range(2):  # the first one prepares
        start = time.perf_counter()
        for _ in predictor.blocks(some, grey_scale(some)):
            pass
        times.append((time.perf_counter() - start) / some.size)
    n_axes = 3 if tri_axis else 1
    arrays = len(network.classes) * (5 if tri_axis else 1) + 1
    memory = peak_memory_mb() * 1e6 + BYTES_PER_VX * grid.n_voxels
    return "\n".join(
        [
            "plan of 'helaseg predict'; nothing was written",
            f"volume    {volume.grid}",
            f"voxels    {grid}",
            _network_line(network, model.network.n_parameters),
            f"axes      z, y and x, {tri_axis}" if tri_axis else "axes      z",
            f"device    {device_name(predictor.device)}",
            f"takes     about {as_time(n_axes * grid.n_voxels * times[-1])} in the network "
            f"(tried on {len(some)} slices{_load()}), {as_bytes(memory)} of memory, "
            f"{as_bytes(arrays * grid.n_voxels)} on the disk while it works",
        ]
    )


def _network_line(network: UNetConfig, n_parameters: int) -> str:
    kind = "3-D" if network.n_axes == 3 else "2-D" if network.slices_in == 1 else "2.5-D"
    classes = ", ".join(network.classes)
    return f"network   {kind} U-Net, {n_parameters:,} parameters, classes {classes}"


def _cells_line(what: str, examples: Sequence[Example]) -> str:
    cells = sorted({e.cell for e in examples})
    n_slices = sum(int(np.count_nonzero(e.weight.any(axis=(1, 2)))) for e in examples)
    n_voxels = sum(e.n_known for e in examples)
    return (
        f"{what:<10}{counted(len(cells), 'cell')} ({', '.join(cells)}), "
        f"{n_slices} labelled slices, {n_voxels / 1e6:.3g} million labelled voxels"
    )


def label_notes(examples: Sequence[Example]) -> list[str]:
    """Describe how the labels were understood, a line for each way."""
    cells: dict[str, list[str]] = {}
    for e in examples:
        cells.setdefault(e.note, []).append(e.cell)
    return [f"labels    {', '.join(sorted(set(c)))}: {note}" for note, c in cells.items() if note]


def _class_line(examples: Sequence[Example], network: UNetConfig) -> str:
    """Share of each class in the labelled voxels: a class of 0 % is learned by nobody."""
    total = sum(e.n_known for e in examples)
    shares = []
    for k, name in enumerate(network.classes):
        n = sum(int(np.count_nonzero((e.target[k] >= 128) & (e.weight > 0))) for e in examples)
        shares.append(f"{name} {100 * n / total:.3g} %")
    return f"labelled  {', '.join(shares)} of the voxels of training"


def _load() -> str:
    """That other programs are at work, which makes everything slower than tried alone."""
    if not hasattr(os, "getloadavg"):
        return ""
    others = os.getloadavg()[0]
    busy = others > 0.7 * usable_cores()
    return f" while other programs kept {others:.1f} of {usable_cores()} cores busy" if busy else ""


def _size(voxel_size_nm: Sequence[float]) -> str:
    return " x ".join(f"{s:g}" for s in voxel_size_nm) + " nm (z, y, x)"
