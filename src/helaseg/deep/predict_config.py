"""Settings of prediction: `PredictConfig`. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from helaseg._validate import check_choice, check_range
from helaseg.errors import ParameterError

#: How the predictions along three axes become one.
Fusion = Literal["union", "majority", "mean", "intersection"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictConfig:
    """Settings for applying a network to a volume.

    Parameters
    ----------
    patch_px : int
        Largest side of a window in the plane; a plane that is little larger goes in at once.
    overlap_px : int
        Pixels that neighbouring windows share, over which they are blended.
    depth_vx : int
        Depth of a window of a network with three axes.
    overlap_slices : int
        Slices that such windows share.
    batch_voxels : int
        Voxels that go through the network together, at most (one window at least); 0 is a
        million, and four on a GPU.
    flips : bool
        Mean over the plane and its mirror images: four times the work.
    precision : {"auto", "float32", "bfloat16", "float16"}
        Numbers in the network; ``auto`` is bfloat16 where the device multiplies it faster
        (CUDA, CPUs with AMX), else float32.
    output : {"uint8", "float16"}
        Numbers in which probabilities are kept and written: 0 to 255, or 0 to 1.
    compile : bool
        Let torch compile the network first, which takes a minute and pays for long work.
    """

    patch_px: int = 512
    overlap_px: int = 64
    depth_vx: int = 64
    overlap_slices: int = 16
    batch_voxels: int = 0
    flips: bool = False
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    output: Literal["uint8", "float16"] = "uint8"
    compile: bool = False

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, ("auto", "float32", "bfloat16", "float16"))
        check_choice("output", self.output, ("uint8", "float16"))
        for name, least in (("patch_px", 1), ("depth_vx", 1), ("batch_voxels", 0)):
            check_range(name, getattr(self, name), least, 1 << 31)
        for name, window in (("overlap_px", "patch_px"), ("overlap_slices", "depth_vx")):
            if not 0 <= getattr(self, name) < getattr(self, window):
                msg = f"'{name}' must be at least 0 and below '{window}', got {getattr(self, name)}"
                raise ParameterError(msg)
