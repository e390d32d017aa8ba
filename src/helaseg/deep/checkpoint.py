"""A trained network in a folder: numbers as safetensors, everything else as JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from helaseg.core.results import plain_value
from helaseg.deep.augment import AugmentConfig
from helaseg.deep.train_config import TrainConfig
from helaseg.deep.unet import UNet
from helaseg.deep.unet_config import UNetConfig
from helaseg.errors import CheckpointError, HelasegError
from helaseg.execution import peak_memory_mb
from helaseg.io import atomic_path
from helaseg.io.json_file import read_record

#: Raised when the meaning of a folder changes.
FORMAT = 1
DESCRIPTION, COSTS = "model.json", "training.json"
Which = Literal["best", "last"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A network and what it was trained for.

    Parameters
    ----------
    network : UNet
        With its trained weights, on the CPU.
    config : TrainConfig
        How it was trained: classes, voxel size, seed.
    provenance : mapping
        Data it was trained on, versions, step, scores.
    """

    network: UNet
    config: TrainConfig
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """A short name of the trained weights: equal weights give equal names."""
        content = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.network.state_dict().items()):
            content.update(name.encode())
            content.update(tensor.cpu().contiguous().numpy())
        return content.hexdigest()


def write_weights(folder: Path, network: UNet, *, which: Which) -> Path:
    """Write the numbers of a network in one step."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    return write_tensors(folder / f"{which}.safetensors", tensors)


def write_tensors(file: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    """Write tensors in one step: the file is there as a whole or as it was before."""
    with atomic_path(file) as part:
        part.write_bytes(save(dict(tensors)))
    return file


def write_description(folder: Path, config: TrainConfig, provenance: Mapping[str, Any]) -> Path:
    """Write what the numbers mean."""
    content = {"format": FORMAT, "config": config, "provenance": provenance}
    file = folder / DESCRIPTION
    with atomic_path(file) as part:
        part.write_text(json.dumps(content, indent=1, default=plain_value) + "\n", "utf-8")
    return file


def write_costs(folder: Path, *, seconds: float, energy_j: float | None, device: str) -> Path:
    """Write what training took: time and energy of all runs together, memory of this one."""
    content = {
        "seconds": seconds,
        "peak_memory_mb": peak_memory_mb(),
        "energy_j": energy_j,
        "device": device,
    }
    file = folder / COSTS
    with atomic_path(file) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return file


def read_checkpoint(folder: str | os.PathLike[str], *, which: Which = "best") -> Checkpoint:
    """Read what training wrote.

    Parameters
    ----------
    folder : path-like
        Output of `helaseg train`.
    which : {"best", "last"}
        State with the lowest validation loss, or the newest one. Without validation the
        newest one is both.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        If the folder holds no network, one of a later version, or one that is damaged.
    """
    folder = Path(folder)
    file = folder / DESCRIPTION
    if not folder.is_dir():
        msg = f"{folder} does not exist; give the folder that 'helaseg train' wrote"
        raise CheckpointError(msg)
    if not file.is_file():
        msg = (
            f"{folder} holds no trained network ({DESCRIPTION} is missing); give the folder that "
            "'helaseg train' wrote"
        )
        raise CheckpointError(msg)
    try:
        content = read_record(file, advice="copy the folder again")
        version = content["format"]
        if version > FORMAT:
            msg = (
                f"{file} was written by a later helaseg (format {version}, known is {FORMAT}); "
                "update helaseg"
            )
            raise CheckpointError(msg)
        config = config_from(content["config"])
        provenance = content["provenance"]
    except (ValueError, TypeError, KeyError, AttributeError, HelasegError) as error:
        if isinstance(error, CheckpointError):
            raise
        msg = f"{file} does not describe a network ({error}); copy the folder again"
        raise CheckpointError(msg) from error
    network = UNet(config.network)
    load_weights(network, folder / f"{which}.safetensors")
    return Checkpoint(network=network, config=config, provenance=provenance)


def load_weights(network: UNet, file: Path) -> None:
    """Fill a network with numbers from a file.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or made for another network.
    """
    tensors = read_tensors(file)
    have, want = (
        {k: tuple(v.shape) for k, v in d.items()} for d in (tensors, network.state_dict())
    )
    if have != want:
        odd = sorted(k for k in have.keys() | want.keys() if have.get(k) != want.get(k))
        name = odd[0]
        msg = (
            f"{file} was made for another network: {name} is {have.get(name, 'missing')}, "
            f"expected {want.get(name, 'nothing')}; take the folder as 'helaseg train' wrote it"
        )
        raise CheckpointError(msg)
    network.load_state_dict(tensors)


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Tensors of a file.

    Raises
    ------
    CheckpointError
        If it is missing or damaged.
    """
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        msg = f"{file} cannot be read ({error}); copy it again, or train again"
        raise CheckpointError(msg) from error


def config_from(values: Mapping[str, Any]) -> TrainConfig:
    """The settings of a JSON file."""
    parts = {"network": UNetConfig, "augment": AugmentConfig}
    made: dict[str, Any] = dict(values)
    for name, kind in parts.items():
        made[name] = kind(**{k: _as_tuple(v) for k, v in values[name].items()})
    return TrainConfig(**{k: _as_tuple(v) for k, v in made.items()})


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
