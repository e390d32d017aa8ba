"""A trained network made ready to predict: the same numbers with fewer passes over memory."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from helaseg.deep.unet import UNet
from helaseg.errors import ParameterError

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
    """Whether this CPU multiplies matrices of bfloat16."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def inference_copy(network: UNet, *, device: torch.device, precision: torch.dtype) -> UNet:
    """A copy that only predicts.

    Notes
    -----
    1. Batch normalisation is folded into the convolution before it: two passes over the
       features less per layer.
    2. Channels come last in memory, as the convolutions want them.
    """
    ready = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(ready.modules()):
        if isinstance(module, nn.Sequential):
            _fold(module)
    layout = torch.channels_last if network.config.n_axes == 2 else torch.channels_last_3d
    return ready.to(device=device, dtype=precision).to(memory_format=layout)  # type: ignore[call-overload]


def _fold(layers: nn.Sequential) -> None:
    for k in range(len(layers) - 1):
        conv, norm = layers[k], layers[k + 1]
        flat = isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        if flat or (isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d)):
            layers[k] = fuse_conv_bn_eval(conv, norm)  # type: ignore[type-var, arg-type]
            layers[k + 1] = nn.Identity()
