"""Device and number format of a network, and the energy it takes."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch

from helaseg.core.results import installed_versions, machine_name
from helaseg.errors import ParameterError
from helaseg.execution import EnergyMeter, add_energy

#: Types of numbers by the names of the settings.
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def find_device(name: str) -> torch.device:
    """The device of a name: ``auto`` takes a GPU if there is one.

    Raises
    ------
    ParameterError
        If there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    kind = device.type if device is not None else ""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}
    if kind not in there:
        msg = f"'device' must be auto, cpu, cuda or mps, got {name!r}"
        raise ParameterError(msg)
    assert device is not None
    missing = kind == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if not there[kind] or missing:
        has = ", ".join(k for k, v in there.items() if v)
        msg = f"the device {name!r} is not there; this machine has {has}: choose one of them"
        raise ParameterError(msg)
    return device


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def fast_precision(device: torch.device) -> torch.dtype:
    """Half numbers where the device multiplies them faster than whole ones."""
    if device.type == "cuda" or (device.type == "cpu" and _has_amx()):
        return torch.bfloat16
    return torch.float32


@functools.cache
def _has_amx() -> bool:
    """Return whether this CPU multiplies matrices of bfloat16."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def device_name(device: torch.device) -> str:
    """Name a device for a reader: the model of a GPU, or the processor with its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return machine_name() + (" (MPS)" if device.type == "mps" else "")


def versions() -> dict[str, str]:
    """Versions of what a network computes with."""
    return {**installed_versions(), "torch": torch.__version__}


class DeviceEnergy:
    """Energy of a device since this was made.

    Parameters
    ----------
    device : torch.device
        With a GPU its own energy counts, and that of processor and memory where it is known;
        without one, these two alone.
    """

    def __init__(self, device: torch.device) -> None:
        self._machine = EnergyMeter()
        self._device = device
        self._start = _gpu_joules(device) if device.type == "cuda" else None

    def joules(self) -> float | None:
        """Joule since this was made; None where that is not known."""
        machine = self._machine.joules()
        if self._device.type == "cpu":
            return machine
        if self._start is None:
            return None
        gpu = add_energy(_gpu_joules(self._device), -self._start)
        return gpu if machine is None else add_energy(gpu, machine)


def _gpu_joules(device: torch.device) -> float | None:
    """The counter of a GPU; read by NVIDIA's package ``nvidia-ml-py`` if it is installed."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        # The numbers of torch and of the driver differ where only some GPUs are visible.
        name: Any = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(name)
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
    except (pynvml.NVMLError, AttributeError):
        return None
