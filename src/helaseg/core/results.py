"""Results of a job: `Provenance`, `SliceRecord`, `Invagination`, `SegmentationResult`."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from helaseg._threads import usable_cores
from helaseg._version import __version__
from helaseg.core.objects import CellFlag
from helaseg.core.volume import LabelVolume
from helaseg.core.words import counted

#: Class labels of `labels.tif` (the contract of the command line).
CLASS_NAMES = {
    0: "background",
    1: "cytoplasm",
    2: "nucleus",
    3: "nuclear envelope",
    4: "other cells",
}
#: File in every output folder that lists the finished pieces of work.
JOURNAL_NAME = "journal.jsonl"
#: Thickness of the band of class 3 (Spiers et al. 2021, doi:10.1111/tra.12789).
ENVELOPE_NM = 70.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """Time, memory and energy of one step.

    Parameters
    ----------
    step : str
        Name of the step.
    seconds : float
        Wall-clock time, without that of compiling kernels.
    peak_memory_mb : float
        Highest memory of the process so far, in MB (1e6 bytes).
    energy_j : float, optional
        Energy of the machine meanwhile, in joule; None where that is not known.
    """

    step: str
    seconds: float
    peak_memory_mb: float
    energy_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Origin of a result.

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
    machine : str
        What it ran on.
    steps : tuple of StepCost
        Time, memory and energy per step.
    job : mapping
        Path of the input, date (ISO 8601, UTC) and command line: what differs between two
        runs that are otherwise the same.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, Any]
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=lambda: installed_versions())
    machine: str = field(default_factory=lambda: machine_name())
    steps: tuple[StepCost, ...] = ()
    job: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Everything as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, default=plain_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRecord:
    """Record of one slice of an ROI.

    Parameters
    ----------
    z : int
        Slice index in the crop.
    nucleus_px, cell_px : int
        Areas in pixels.
    nucleus_um2, cell_um2 : float
        The same in square micrometres.
    confidence : float
        Between 0 (guess) and 1 (clear), for the nucleus outline; in slices without a
        nucleus, for its absence: 1, less beside a slice with one, and 0 where the slice is
        blank or no nucleus was found at all.
    event : str
        What the propagation did: ``"seed"``, ``"followed"``, ``"bridged"``,
        ``"absent"``; ``"blank"`` for a slice without structure.
    envelope_thickness_nm : float
        Median thickness of the nuclear envelope where it is confident; nan where it
        is nowhere.
    envelope_confidence : float
        Mean over the envelope of the slice, 0 to 1; nan without a nucleus.
    slice_number : int, optional
        Number in the name of its image file; None where the image is not a folder of
        numbered slices.
    """

    z: int
    nucleus_px: int
    cell_px: int
    nucleus_um2: float
    cell_um2: float
    confidence: float
    event: str
    envelope_thickness_nm: float = math.nan
    envelope_confidence: float = math.nan
    slice_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invagination:
    """One place where the outside reaches into a nucleus.

    Parameters
    ----------
    id : int
        From 1, by falling volume.
    kind : {"invagination", "tunnel", "pocket"}
        With one opening, with several, with none.
    volume_um3 : float
        Volume up to the ball that rolls over the opening.
    depth_nm : float
        Longest way from the opening to its end, inside; the length of a
        tunnel; nan for a pocket.
    opening_um2 : float
        Area of the opening, as a flat surface; of all openings together.
    opening_width_nm : float
        Diameter of a circle of that area (of each opening, in the mean).
    n_openings : int
        How many openings it has.
    centroid_z_nm, centroid_y_nm, centroid_x_nm : float
        Mean position, in the coordinates of the grid.
    direction_z, direction_y, direction_x : float
        Unit vector in which it enters: inwards at right angles to the opening;
        from the larger to the next opening of a tunnel; nan for a pocket.
    """

    id: int
    kind: Literal["invagination", "tunnel", "pocket"]
    volume_um3: float
    depth_nm: float
    opening_um2: float
    opening_width_nm: float
    n_openings: int
    centroid_z_nm: float
    centroid_y_nm: float
    centroid_x_nm: float
    direction_z: float
    direction_y: float
    direction_x: float


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
    second : LabelVolume, optional
        On coarser voxels: the instance that a voxel would belong to next, or first if
        it has none; 0 where no other was in question.
    cell_confidence : LabelVolume, optional
        On the voxels of `second`: how sure the instance is, in percent; 0 where
        another has the same claim, and in resin.
    envelope_confidence : LabelVolume, optional
        How sure the place of the nuclear envelope is, in percent: 1 to 100 on the
        band of class 3, 0 elsewhere.
    slices : tuple of SliceRecord
        One per slice.
    invaginations : tuple of Invagination
        Of the nucleus, by falling volume.
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
    second: LabelVolume | None = None
    cell_confidence: LabelVolume | None = None
    envelope_confidence: LabelVolume | None = None
    slices: tuple[SliceRecord, ...] = field(default=(), repr=False)
    invaginations: tuple[Invagination, ...] = field(default=(), repr=False)
    measurements: Mapping[str, Any] = field(default_factory=dict)
    flags: CellFlag = CellFlag.NONE
    provenance: Provenance | None = field(default=None, repr=False)

    def with_slice_numbers(self, numbers: Sequence[int]) -> SegmentationResult:
        """The same result, whose slices know the numbers of their image files.

        Parameters
        ----------
        numbers : sequence of int
            One per slice of the crop (`Volume.slice_numbers`); none if the image has none.
        """
        if not numbers:
            return self
        slices = [dataclasses.replace(s, slice_number=numbers[s.z]) for s in self.slices]
        return dataclasses.replace(self, slices=tuple(slices))


def machine_name() -> str:
    """System, architecture and cores of this machine."""
    return f"{platform.system()} {platform.machine()}, {counted(usable_cores(), 'core')}"


def installed_versions() -> dict[str, str]:
    """Versions of Python, helaseg and the libraries it computes with."""
    return dict(_versions())


@functools.cache
def _versions() -> Mapping[str, str]:
    # looking through the installed packages takes as long as a kernel
    versions = {"python": platform.python_version(), "helaseg": __version__}
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
