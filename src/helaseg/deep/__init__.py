"""Networks: training, prediction along one axis or three. Needs the extra ``deep``.

Names are loaded on first use. Settings and data need no torch; what computes
with a network does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helaseg.deep.augment import AugmentConfig
    from helaseg.deep.checkpoint import Checkpoint, read_checkpoint
    from helaseg.deep.examples import Example, make_example
    from helaseg.deep.predict import Predictor
    from helaseg.deep.predict_config import PredictConfig
    from helaseg.deep.sampler import split_by_cell
    from helaseg.deep.train_config import TrainConfig
    from helaseg.deep.training import TrainingResult, seconds_per_step, train
    from helaseg.deep.tri_axis import predict_tri_axis
    from helaseg.deep.unet import UNet
    from helaseg.deep.unet_config import PRESETS, UNetConfig

_PUBLIC = {
    "PRESETS": "unet_config",
    "AugmentConfig": "augment",
    "Checkpoint": "checkpoint",
    "Example": "examples",
    "PredictConfig": "predict_config",
    "Predictor": "predict",
    "TrainConfig": "train_config",
    "TrainingResult": "training",
    "UNet": "unet",
    "UNetConfig": "unet_config",
    "make_example": "examples",
    "predict_tri_axis": "tri_axis",
    "read_checkpoint": "checkpoint",
    "seconds_per_step": "training",
    "split_by_cell": "sampler",
    "train": "training",
}
_NEEDS_TORCH = {"checkpoint", "predict", "training", "tri_axis", "unet"}

__all__ = [
    "PRESETS",
    "AugmentConfig",
    "Checkpoint",
    "Example",
    "PredictConfig",
    "Predictor",
    "TrainConfig",
    "TrainingResult",
    "UNet",
    "UNetConfig",
    "make_example",
    "predict_tri_axis",
    "read_checkpoint",
    "seconds_per_step",
    "split_by_cell",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        module = _PUBLIC[name]
        if module in _NEEDS_TORCH:
            from helaseg.deep.extra import require_deep

            require_deep("a network")
        value = getattr(importlib.import_module(f"helaseg.deep.{module}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'helaseg.deep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
