"""The network: one U-Net in 2-D, 2.5-D or 3-D. Shapes stand in the comments.

Ronneberger, O., Fischer, P. & Brox, T. U-Net: convolutional networks for biomedical
image segmentation. MICCAI (2015). doi:10.1007/978-3-319-24574-4_28
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helaseg.deep.unet_config import UNetConfig


class UNet(nn.Module):
    """A U-Net that takes grey values and gives logits.

    Parameters
    ----------
    config : UNetConfig
        Its shape.

    Notes
    -----
    The input is (B, Z, Y, X) for all kinds, the output (B, C, Z', Y', X'):

    1. 2-D and 2.5-D: Z = ``slices_in`` slices are channels, Z' = ``slices_out``.
    2. 3-D: Z is an axis like the others.
    3. Down: a block, then halving by the maximum. Up: doubling by a transposed
       convolution, the features of the same level (cut to size with valid
       convolutions) beside it, a block.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        conv, up = _OPERATIONS[config.n_axes]
        towers = config.layout == "towers"
        widths = [config.width * 2**k for k in range(config.n_halvings + 1)]
        n_in = config.slices_in if config.n_axes == 2 else 1
        self.down, self.up, self.join = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.pool = nn.MaxPool2d(2) if config.n_axes == 2 else nn.MaxPool3d(2)

        def block(n: int, f: int) -> tuple[nn.Module, int]:
            return (Towers(n, f), n + 3 * f) if towers else (_double(conv, n, f, config), f)

        skips = []
        n = n_in
        for f in widths[:-1]:
            made, n = block(n, f)
            self.down.append(made)
            skips.append(n)
        if towers:
            self.bottom: nn.Module = Towers(n, widths[-1], dropout=config.dropout, norm=True)
            n += 3 * widths[-1]
        else:
            made, n = block(n, widths[-1])
            self.bottom = nn.Sequential(made, nn.Dropout(config.dropout))
        for f, skip in zip(reversed(widths[:-1]), reversed(skips), strict=True):
            if towers:
                # 3 x 3, stride 2; one row and column are cut off in `forward`.
                self.up.append(nn.Sequential(up(n, f, 3, 2), nn.LeakyReLU(0.1)))
            else:
                self.up.append(up(n, f, 2, 2))
            made, n = block(skip + f, f)
            self.join.append(made)
        n_out = len(config.classes) * (config.slices_out if config.n_axes == 2 else 1)
        self.head = conv(n, n_out, 1)
        self._set_weights()

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each class; apply `probabilities` to them."""
        # (B, Z, Y, X); three axes: (B, 1, Z, Y, X)
        if self.config.n_axes == 3:
            x = x[:, None]
        skips = []
        for down in self.down:
            x = down(x)  # (B, f, ..., Y / 2^k, X / 2^k)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)  # (B, f 2^n, ..., Y / 2^n, X / 2^n)
        for up, join in zip(self.up, self.join, strict=True):
            skip = skips.pop()
            x = up(x)
            if self.config.layout == "towers":
                x = x[..., : skip.shape[-2], : skip.shape[-1]]
            x = join(torch.cat([_middle(skip, x.shape[2:]), x], dim=1))
        x = self.head(x)  # (B, C Z', Y', X') or (B, C, Z', Y', X')
        if self.config.n_axes == 2:
            x = x.unflatten(1, (len(self.config.classes), self.config.slices_out))
        return x

    def probabilities(self, logits: Tensor) -> Tensor:
        """Sigmoid, softmax over the classes, or tanh moved to 0 to 1."""
        if self.config.head == "classes":
            return logits.softmax(dim=1)
        if self.config.head == "distance":
            return (logits.tanh() + 1) / 2
        return logits.sigmoid()

    @property
    def n_parameters(self) -> int:
        """Trained and kept numbers, as they are counted in papers (with those of normalisation)."""
        kept = (b.numel() for n, b in self.named_buffers() if not n.endswith("batches_tracked"))
        return sum(p.numel() for p in self.parameters()) + sum(kept)

    def _set_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
                if self.config.layout == "towers":
                    nn.init.xavier_uniform_(module.weight)
                else:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


_OPERATIONS = {2: (nn.Conv2d, nn.ConvTranspose2d), 3: (nn.Conv3d, nn.ConvTranspose3d)}


def _double(conv: type[nn.Module], n: int, f: int, config: UNetConfig) -> nn.Module:
    """Two convolutions of three pixels, each with batch normalisation and ReLU."""
    norm = nn.BatchNorm2d if config.n_axes == 2 else nn.BatchNorm3d
    padding = 1 if config.padding == "same" else 0
    layers: list[nn.Module] = []
    for n_in in (n, f):
        # The shift of the normalisation stands in for the bias.
        layers += [conv(n_in, f, 3, padding=padding, bias=False), norm(f), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Towers(nn.Module):
    """The block of 2020: input, 1x1-3x3, 1x1-5x5 and maximum-1x1 side by side.

    (B, n, Y, X) -> (B, n + 3 f, Y, X)
    """

    def __init__(self, n: int, f: int, *, dropout: float = 0.0, norm: bool = False) -> None:
        super().__init__()
        # Keras' momentum and epsilon.
        self.before = nn.Sequential(
            *([nn.BatchNorm2d(n, eps=1e-3, momentum=0.01)] if norm else []),
            *([nn.Dropout(dropout)] if dropout else []),
        )
        self.small = nn.Sequential(
            nn.Conv2d(n, f, 1), nn.LeakyReLU(0.1), nn.Conv2d(f, f, 3, padding=1), nn.LeakyReLU(0.1)
        )
        self.large = nn.Sequential(
            nn.Conv2d(n, f, 1), nn.LeakyReLU(0.1), nn.Conv2d(f, f, 5, padding=2), nn.LeakyReLU(0.1)
        )
        self.top = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(n, f, 1),
            nn.LeakyReLU(0.1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the input and the three towers."""
        n = self.before(x)
        return torch.cat([x, self.small(n), self.large(n), self.top(n)], dim=1)


def _middle(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The middle of the last axes of `x`, of the given shape."""
    cut = [(n - m) // 2 for n, m in zip(x.shape[2:], shape, strict=True)]
    if not any(cut):
        return x
    pads = [p for c, n, m in zip(cut, x.shape[2:], shape, strict=True) for p in (-c, -(n - m - c))]
    # Pads are given from the last axis on.
    pairs = list(zip(pads[::2], pads[1::2], strict=True))[::-1]
    return F.pad(x, [p for pair in pairs for p in pair])
