"""Options that several commands share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from helaseg._validate import as_zyx
from helaseg.cli.help import TieredSettings
from helaseg.errors import ParameterError

INPUT = Group("Input", sort_key=1)
SETTINGS = Group("Settings", sort_key=2, help_formatter=TieredSettings())
COMMON = Group("Every command", sort_key=3)

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def parse_bytes(text: str) -> int:
    """Bytes of a text such as ``4GB``, ``500 MB`` or ``2e9``.

    Raises
    ------
    ParameterError
        If it is no positive size.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?b)?\s*", text, re.IGNORECASE)
    try:
        size = float(match[1]) * _UNITS[(match[2] or "").upper()] if match else 0.0
    except ValueError:
        size = 0.0
    if size < 1:
        msg = f"'--memory-limit' must be a size such as 4GB or 500MB, got {text!r}"
        raise ParameterError(msg)
    return int(size)


@Parameter(name="*", group=COMMON)
@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """Options of every command.

    Parameters
    ----------
    config : Path, optional
        TOML file with the same keys as the options; the command line wins.
    executor : str
        serial, threads[:N], processes[:N] or tcp://HOST:PORT of a dask scheduler.
    memory_limit : str, optional
        Memory to plan for, such as 4GB: takes fewer workers, or refuses a plan
        that cannot fit. An estimate, not a hard limit.
    dry_run : bool
        Show the plan (steps, time, disk, memory) and write nothing.
    overwrite : bool
        Replace what an earlier job wrote to the output; --resume (the default)
        goes on with it.
    quiet : bool
        No progress bars and no summary.
    log_level : str
        Least level of log messages on stderr.
    debug : bool
        Show the traceback of an error.
    """

    config: Path | None = None
    executor: str = "serial"
    memory_limit: str | None = None
    dry_run: Annotated[bool, Parameter(negative=())] = False
    overwrite: Annotated[bool, Parameter(negative="--resume")] = False
    quiet: Annotated[bool, Parameter(negative=())] = False
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    debug: Annotated[bool, Parameter(negative=())] = False


@Parameter(name="*", group=COMMON)
@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions(CommonOptions):
    """Options of every command; two cells at a time unless told otherwise.

    Parameters
    ----------
    executor : str
        serial, threads[:N], processes[:N] or tcp://HOST:PORT of a dask scheduler.
    """

    executor: str = "threads:2"


#: Pixels whose sides differ by this factor or more are those of another axis.
_UNEQUAL = 1.5
#: No slices are thicker than this many pixels.
_FLATTEST = 200


def check_plausible(path: Path, voxel_size_nm: tuple[float, float, float]) -> None:
    """Refuse voxel sizes that no electron microscopy of cells has: a wrong unit or order, mostly.

    Raises
    ------
    ParameterError
        If a side is out of range, or if y and x differ as only slices and pixels do.
    """
    z, y, x = voxel_size_nm
    if max(y, x) >= _UNEQUAL * min(y, x):
        likely = ",".join(f"{v:g}" for v in (max(y, x), min(y, x, z), min(y, x, z)))
        msg = (
            f"{path}: pixels of {y:g} x {x:g} nm (y, x) are not square, as those of microscopes "
            f"are; the order is Z,Y,X: --voxel-size-nm {likely}?"
        )
        raise ParameterError(msg)
    in_range = all(low <= s <= 1000 for s, low in zip(voxel_size_nm, (1, 0.5, 0.5), strict=True))
    if not in_range or max(voxel_size_nm) > _FLATTEST * min(voxel_size_nm):
        msg = (
            f"{path}: a voxel of {z:g} x {y:g} x {x:g} nm (z, y, x) is not plausible for cells, "
            f"expected 0.5 to 1000 nm and at most a factor {_FLATTEST} between sides; give the "
            "right one with --voxel-size-nm Z,Y,X"
        )
        raise ParameterError(msg)


@Parameter(name="*", group=INPUT)
@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """Options for reading the input volume.

    Parameters
    ----------
    voxel_size_nm : tuple of float, optional
        Voxel size as Z,Y,X in nm; wins over the metadata of the file.
    level : int
        Resolution level of an OME-Zarr image, 0 is the full one.
    allow_gaps : bool
        Accept missing slice numbers in a folder of slices.
    """

    voxel_size_nm: tuple[float, float, float] | None = None
    level: int = 0
    allow_gaps: Annotated[bool, Parameter(negative=())] = False

    def __post_init__(self) -> None:
        if self.voxel_size_nm is not None:
            as_zyx("voxel_size_nm", self.voxel_size_nm, positive=True)

    def open(self, path: Path) -> Any:
        """The volume at a path, as `helaseg.io.open_volume` gives it; of a cut ROI too."""
        from helaseg.io import find_image, open_volume

        path = find_image(path)
        volume = open_volume(path, self.voxel_size_nm, level=self.level, allow_gaps=self.allow_gaps)
        check_plausible(path, volume.grid.voxel_size_nm)
        return volume
