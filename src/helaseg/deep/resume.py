"""The state of training, from which it goes on bit for bit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from helaseg.deep.checkpoint import read_tensors, write_tensors
from helaseg.deep.unet import UNet
from helaseg.errors import CheckpointError, DataFormatError, OutputExistsError
from helaseg.io import atomic_path
from helaseg.io.json_file import read_record

STATE = "state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """State of a training.

    Parameters
    ----------
    key : str
        Fingerprint of settings and data: another one does not go on here.
    step : int
        Steps done.
    best_loss : float
        Lowest validation loss so far.
    best_step : int
        Step at which it was.
    n_waited : int
        Validations since then.
    seconds : float
        Time of all runs together.
    energy_j : float, optional
        Energy of all runs together, in joule; None if that of one is not known.
    """

    key: str
    step: int = 0
    best_loss: float = float("inf")
    best_step: int = 0
    n_waited: int = 0
    seconds: float = 0.0
    energy_j: float | None = 0.0


def write_state(
    folder: Path, state: TrainingState, network: UNet, optimizer: torch.optim.Optimizer
) -> None:
    """Write network, optimiser and counters; the JSON file comes last and names the numbers."""
    tensors = {f"network.{k}": v.detach().cpu() for k, v in network.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value).detach().cpu()
    # The step is part of the name, so that a killed run never mixes two states.
    name = f"state_{state.step}.safetensors"
    write_tensors(folder / name, {k: v.contiguous() for k, v in tensors.items()})
    with atomic_path(folder / STATE) as part:
        part.write_text(json.dumps({**asdict(state), "numbers": name}) + "\n", "utf-8")
    for other in folder.glob("state_*.safetensors"):
        if other.name != name:
            other.unlink()


def read_state(
    folder: Path, key: str, network: UNet, optimizer: torch.optim.Optimizer
) -> TrainingState | None:
    """Set network and optimiser to where an earlier run stopped; None if there was none.

    Raises
    ------
    CheckpointError
        If what is there is damaged.
    OutputExistsError
        If it belongs to another training.
    """
    file = folder / STATE
    if not file.exists():
        return None
    try:
        content = read_record(file, advice="start again with --overwrite")
        name = content.pop("numbers")
        state = TrainingState(**content)
    except (DataFormatError, TypeError, KeyError) as error:
        msg = f"{file} is damaged ({error}); start again with --overwrite"
        raise CheckpointError(msg) from error
    if state.key != key:
        msg = (
            f"{folder} holds a training with other settings, data or number of processes; choose "
            "another folder, or start again with --overwrite"
        )
        raise OutputExistsError(msg)
    tensors = read_tensors(folder / name)
    network.load_state_dict(
        {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    )
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for label, value in tensors.items():
        kind, _, rest = label.partition(".")
        if kind == "optimizer":
            index, _, part = rest.partition(".")
            moments.setdefault(int(index), {})[part] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return state
