"""Settings of training: `TrainConfig`. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from helaseg._validate import as_zyx, check_choice, check_positive, check_range
from helaseg.deep.augment import AugmentConfig
from helaseg.deep.unet_config import UNetConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Settings for training a network.

    Parameters
    ----------
    network : UNetConfig
        Its shape.
    augment : AugmentConfig
        Random changes of the patches.
    working_voxel_nm : tuple of float
        Voxels on which the network works, z, y, x: 50 nm each as in Spiers et al. 2021. A
        network that sees one slice at a time takes the slices as they are.
    axes : {"z", "zyx"}
        Planes at right angles to z alone, or to all three axes, which needs volumes on
        voxels as high as wide.
    patch_px : int
        Side of a patch in the plane.
    depth_vx : int
        Depth of a patch of a network with three axes.
    batch_size : int
        Patches per step (and per device).
    n_steps : int
        Steps; the learning rate falls to 0 over all of them.
    learning_rate : float
        Highest learning rate (AdamW), reached after the warm-up.
    warm_up : int
        Steps over which the learning rate rises; at most a quarter of all.
    weight_decay : float
        Of AdamW.
    max_gradient : float
        Longer gradients are shortened to this norm.
    foreground_share : float
        Part of the patches with a voxel of a class (not of the background) in the middle;
        the classes take turns at random.
    validation_share : float
        Part of the cells that is kept for validation where the data set does not say;
        at least one if there are two.
    validate_every : int
        Steps between validations; each keeps the state from which training resumes.
    patience : int
        Training stops when the validation loss has not fallen for this many validations;
        0 never stops early.
    distance_nm : float
        A distance head has tanh(distance / this).
    freeze : {"none", "encoder"}
        What a network that was trained before keeps as it is.
    precision : {"auto", "float32", "bfloat16"}
        Numbers of the forward pass; ``auto`` is bfloat16 where the device multiplies it
        faster (CUDA, CPUs with AMX), else float32.
    seed : int
        Of all chance: same seed, same machine, same network.
    """

    network: UNetConfig = field(default_factory=UNetConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    working_voxel_nm: tuple[float, float, float] = (50.0, 50.0, 50.0)
    axes: Literal["z", "zyx"] = "z"
    patch_px: int = 192
    depth_vx: int = 48
    batch_size: int = 4
    n_steps: int = 800
    learning_rate: float = 4e-3
    warm_up: int = 50
    weight_decay: float = 1e-2
    max_gradient: float = 1.0
    foreground_share: float = 0.5
    validation_share: float = 0.2
    validate_every: int = 50
    patience: int = 0
    distance_nm: float = 200.0
    freeze: Literal["none", "encoder"] = "none"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        size = as_zyx("working_voxel_nm", self.working_voxel_nm, positive=True)
        object.__setattr__(self, "working_voxel_nm", size)
        check_choice("axes", self.axes, ("z", "zyx"))
        check_choice("freeze", self.freeze, ("none", "encoder"))
        check_choice("precision", self.precision, ("auto", "float32", "bfloat16"))
        for name in ("learning_rate", "max_gradient", "distance_nm"):
            check_positive(name, getattr(self, name))
        for name in ("weight_decay", "patience", "warm_up"):
            check_positive(name, getattr(self, name), zero=True)
        for name in ("batch_size", "n_steps", "validate_every"):
            check_range(name, getattr(self, name), 1, 10**9)
        for name in ("foreground_share", "validation_share"):
            check_range(name, getattr(self, name), 0.0, 1.0)
        # An odd length is a typing error that the network would meet much later.
        self.network.output_length(self.patch_px)
        if self.network.n_axes == 3:
            self.network.output_length(self.depth_vx)

    @property
    def along_z(self) -> bool:
        """Return whether volumes are resampled along z as well."""
        return self.network.n_axes == 3 or self.network.slices_in > 1 or self.axes == "zyx"

    @property
    def patch_in(self) -> tuple[int, int, int]:
        """Voxels of a patch that the network sees, z, y, x."""
        deep = self.depth_vx if self.network.n_axes == 3 else self.network.slices_in
        return deep, self.patch_px, self.patch_px

    @property
    def patch_out(self) -> tuple[int, int, int]:
        """Voxels of it that the network predicts, the middle ones."""
        network = self.network
        side = network.output_length(self.patch_px)
        if network.n_axes == 3:
            return network.output_length(self.depth_vx), side, side
        return network.slices_out, side, side
