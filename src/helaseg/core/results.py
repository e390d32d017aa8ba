"""What a job leaves behind: `Provenance`, `SliceRecord`, `SegmentationResult`."""

from __future__ import annotations

import dataclasses
import functools
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from helaseg.core.objects import CellFlag
from helaseg.core.volume import LabelVolume

#: Class labels of `labels.tif` (the contract of the command line).
CLASS_NAMES = {
    0: "background",
    1: "cytoplasm",
    2: "nucleus",
    3: "nuclear envelope",
    4: "other cells",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """Time and memory of one step.

    Parameters
    ----------
    step : str
        Name of the step.
    seconds : float
        Wall-clock time.
    peak_memory_mb : float
        Highest memory of the process so far, in MB (1e6 bytes).
    """

    step: str
    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a result comes from.

    Parameters
    ----------
    config : mapping
        All settings, as nested plain values.
    inputs : mapping
        Name, grid and fingerprint of each input.
    seed : int
        Seed of every random choice.
    versions : mapping
        Versions of helaseg and what it computes with.
    steps : tuple of StepCost
        Time and memory per step.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, Any]
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=lambda: installed_versions())
    machine: str = field(default_factory=lambda: f"{platform.system()} {platform.machine()}")
    steps: tuple[StepCost, ...] = ()

    def to_json(self) -> str:
        """Everything as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, default=plain_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRecord:
    """What happened in one slice of an ROI.

    Parameters
    ----------
    z : int
        Slice index in the crop.
    nucleus_px, cell_px : int
        Areas in pixels.
    nucleus_um2, cell_um2 : float
        The same in square micrometres.
    confidence : float
        Between 0 (guess) and 1 (clear), for the nucleus outline.
    event : str
        What the propagation did: ``"seed"``, ``"followed"``, ``"bridged"``,
        ``"absent"``; ``"blank"`` for a slice without structure.
    """

    z: int
    nucleus_px: int
    cell_px: int
    nucleus_um2: float
    cell_um2: float
    confidence: float
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationResult:
    """Segmentation of one ROI.

    Parameters
    ----------
    labels : LabelVolume
        Classes of `CLASS_NAMES`.
    nucleus : LabelVolume
        0/1, the nucleus up to the midline of the envelope.
    cell : LabelVolume
        0/1, the whole target cell with its nucleus.
    cells : LabelVolume, optional
        Instances: the target cell is 1, its neighbours follow.
    slices : tuple of SliceRecord
        One per slice.
    measurements : mapping
        Volumes, areas, ratios, with the unit in each name.
    flags : CellFlag
        What is special about the cell.
    provenance : Provenance
        Settings, versions, input, time and memory.
    """

    labels: LabelVolume
    nucleus: LabelVolume
    cell: LabelVolume
    cells: LabelVolume | None = None
    slices: tuple[SliceRecord, ...] = ()
    measurements: Mapping[str, Any] = field(default_factory=dict)
    flags: CellFlag = CellFlag.NONE
    provenance: Provenance | None = None


def installed_versions() -> dict[str, str]:
    """Versions of Python, helaseg and the libraries it computes with."""
    return dict(_versions())


@functools.cache
def _versions() -> Mapping[str, str]:
    # looking through the installed packages takes as long as a kernel
    import helaseg

    versions = {"python": platform.python_version(), "helaseg": helaseg.__version__}
    for name in ("numpy", "scipy", "numba", "scikit-image", "tifffile", "imagecodecs", "zarr"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def plain_value(value: Any) -> Any:
    """A JSON-ready form of what `json` does not know: configs, paths, numpy scalars, flags."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
