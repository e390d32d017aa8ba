"""A trained network made ready to predict: the same numbers with fewer passes over memory."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from helaseg.deep.unet import UNet


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
