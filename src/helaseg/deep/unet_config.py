"""The shape of a network: `UNetConfig` and its presets. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from helaseg._validate import check_choice, check_range
from helaseg.errors import ParameterError

#: What the numbers of a network mean.
Head = Literal["binary", "classes", "distance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetConfig:
    """Layers and heads of a U-Net.

    Parameters
    ----------
    n_axes : {2, 3}
        Axes along which it convolves.
    slices_in : int
        With two axes: neighbouring slices that it sees as channels. 1 is a 2-D network,
        more a 2.5-D one.
    slices_out : int
        With two axes: how many of them, the middle ones, it predicts.
    width : int
        Features at full resolution; doubled at each halving.
    n_halvings : int
        Levels below full resolution.
    head : {"binary", "classes", "distance"}
        One sigmoid per class, which may overlap; a softmax over the classes, of which the
        first is background; or signed distances to the border of each class, squeezed
        by tanh to -1 (outside) to 1 (inside).
    classes : tuple of str
        Names of the classes.
    padding : {"same", "valid"}
        Whether borders are padded with zeros, so that the output is as large as the
        input, or convolutions stop at the border, so that no number depends on what
        was not recorded and the output is smaller.
    layout : {"plain", "towers"}
        Two 3 x 3 convolutions with batch normalisation per level; or the three
        concatenated towers of the network of 2020.
    dropout : float
        Share of features that are dropped at the bottom in training.
    """

    n_axes: Literal[2, 3] = 2
    slices_in: int = 1
    slices_out: int = 1
    width: int = 16
    n_halvings: int = 4
    head: Head = "binary"
    classes: tuple[str, ...] = ("nucleus",)
    padding: Literal["same", "valid"] = "same"
    layout: Literal["plain", "towers"] = "plain"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_choice("n_axes", self.n_axes, (2, 3))
        check_choice("head", self.head, ("binary", "classes", "distance"))
        check_choice("padding", self.padding, ("same", "valid"))
        check_choice("layout", self.layout, ("plain", "towers"))
        check_range("dropout", self.dropout, 0.0, 0.99)
        object.__setattr__(self, "classes", tuple(self.classes))
        for name in ("slices_in", "slices_out", "width", "n_halvings"):
            check_range(name, getattr(self, name), 1, 4096)
        least = 2 if self.head == "classes" else 1
        if len(self.classes) < least or len(set(self.classes)) != len(self.classes):
            msg = f"'classes' must be {least} or more different names, got {self.classes}"
            raise ParameterError(msg)
        if self.n_axes == 3 and self.slices_in != 1:
            msg = f"'slices_in' must be 1 with three axes, got {self.slices_in}"
            raise ParameterError(msg)
        if self.slices_out > self.slices_in or (self.slices_in - self.slices_out) % 2:
            msg = (
                f"'slices_out' must be at most 'slices_in' ({self.slices_in}) and differ from it "
                f"by an even number, got {self.slices_out}"
            )
            raise ParameterError(msg)
        if self.layout == "towers" and (self.n_axes, self.padding) != (2, "same"):
            msg = "the layout 'towers' needs n_axes=2 and padding='same'"
            raise ParameterError(msg)

    @property
    def multiple(self) -> int:
        """Padded inputs are multiples of this many pixels along each convolved axis."""
        return 2**self.n_halvings

    @property
    def shrinks_by(self) -> int:
        """Pixels that valid convolutions take off the whole length of an axis; 0 if padded."""
        if self.padding == "same":
            return 0
        # Two convolutions take 4 pixels of each level, down and up; the bottom is passed once.
        down = sum(4 * 2**k for k in range(self.n_halvings))
        return 2 * down + 4 * self.multiple

    def output_length(self, n: int) -> int:
        """Pixels of the output along a convolved axis of `n` pixels.

        Raises
        ------
        ParameterError
            If no input of this length passes through the network.
        """
        if self.padding == "same":
            if n < 1 or n % self.multiple:
                msg = f"patches must be multiples of {self.multiple} pixels, got {n}"
                raise ParameterError(msg)
            return n
        inner = n
        for _ in range(self.n_halvings):
            inner -= 4
            if inner < 2 or inner % 2:
                break
            inner //= 2
        else:
            out = n - self.shrinks_by
            if inner > 4 and out > 0:
                return out
        near = self.valid_length(n)
        msg = (
            f"patches of a network with valid convolutions must have one of the lengths that pass "
            f"through its {self.n_halvings} halvings, such as {near}, got {n}"
        )
        raise ParameterError(msg)

    def valid_length(self, n: int) -> int:
        """The least length of an input that passes, not below `n` (or the smallest there is)."""
        if self.padding == "same":
            return max(self.multiple, -(-n // self.multiple) * self.multiple)
        smallest = self._length_above(5)
        return smallest + max(0, -(-(n - smallest) // self.multiple)) * self.multiple

    def _length_above(self, bottom: int) -> int:
        for _ in range(self.n_halvings):
            bottom = 2 * bottom + 4
        # The way up takes as much again as the way down.
        while bottom <= self.shrinks_by:
            bottom += self.multiple
        return bottom


#: The network that comes by default, and that of Spiers et al. 2021 (doi:10.1111/tra.12789):
#: twelve slices as channels, towers whose outputs are concatenated, 30,033,388 parameters.
PRESETS = {
    "compact": UNetConfig(),
    "unet-2020": UNetConfig(
        slices_in=12,
        slices_out=12,
        width=32,
        n_halvings=4,
        classes=("nuclear envelope",),
        layout="towers",
        dropout=0.3,
    ),
}
