"""``--dry-run`` and ``--memory-limit``: what a job will take, from rates per voxel."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helaseg.cli.options import CommonOptions, parse_bytes
from helaseg.core.grid import Grid
from helaseg.errors import ParameterError
from helaseg.execution import parse_executor

#: Volume per cell in a pellet, for the number of ROIs before detection: about 26
#: cells in 82 x 82 x 26 µm of the HeLa stack EMPIAR-10094.
UM3_PER_CELL = 6700.0
#: Box of one cell in nm, as published: 300 x 2000 x 2000 voxels of 50 x 10 x 10 nm.
ROI_SIZE_NM = (15000.0, 20000.0, 20000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Costs of a step per voxel on one core of a desktop computer.

    Parameters
    ----------
    seconds_per_mvx : float
        Seconds per million voxels.
    disk_per_vx : float
        Bytes written per voxel.
    memory_per_vx : float
        Bytes in memory per voxel of a piece (a slice or an ROI).
    """

    seconds_per_mvx: float
    disk_per_vx: float
    memory_per_vx: float


#: Rough figures, good to a factor of two or three; pieces are slices or ROIs.
RATES = {
    "detect": Rates(seconds_per_mvx=0.03, disk_per_vx=0.01, memory_per_vx=10.0),
    "crop": Rates(seconds_per_mvx=0.02, disk_per_vx=1.0, memory_per_vx=0.1),
    "segment": Rates(seconds_per_mvx=0.4, disk_per_vx=0.1, memory_per_vx=3.0),
    "paste": Rates(seconds_per_mvx=0.02, disk_per_vx=0.03, memory_per_vx=2.0),
    "evaluate": Rates(seconds_per_mvx=0.05, disk_per_vx=0.0, memory_per_vx=8.0),
    "compare": Rates(seconds_per_mvx=0.1, disk_per_vx=0.0, memory_per_vx=400.0),
    "phantom": Rates(seconds_per_mvx=0.2, disk_per_vx=1.3, memory_per_vx=30.0),
}
_BASE_MEMORY = 3e8


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One step of a plan.

    Parameters
    ----------
    step : str
        A key of `RATES`.
    n_pieces : int
        Number of slices or ROIs.
    unit : str
        What a piece is.
    piece_vx : int
        Voxels of one piece in the mean.
    largest_vx : int
        Voxels of the largest one, if it is larger.
    """

    step: str
    n_pieces: int
    unit: str
    piece_vx: int
    largest_vx: int = 0

    @property
    def seconds(self) -> float:
        """Time on one core."""
        return RATES[self.step].seconds_per_mvx * self.n_pieces * self.piece_vx / 1e6

    @property
    def disk_bytes(self) -> float:
        """Return the bytes that are written."""
        return RATES[self.step].disk_per_vx * self.n_pieces * self.piece_vx

    def memory_bytes(self, n_workers: int) -> float:
        """Peak memory with this many workers."""
        at_once = max(1, min(n_workers, self.n_pieces))
        largest = max(self.piece_vx, self.largest_vx)
        return _BASE_MEMORY + RATES[self.step].memory_per_vx * largest * at_once


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps of a job and what they take.

    Parameters
    ----------
    job : str
        The command.
    subject : str
        What it works on.
    steps : sequence of PlanStep
        In order.
    notes : tuple of str
        What the estimate rests on.
    smaller : str
        How to make the job smaller.
    """

    job: str
    subject: str
    steps: Sequence[PlanStep] = field(default_factory=tuple)
    notes: tuple[str, ...] = ()
    smaller: str = "or a smaller input"

    @property
    def disk_bytes(self) -> float:
        """Return the bytes that are written in all."""
        return sum(s.disk_bytes for s in self.steps)

    def check_disk(self, out: Path) -> None:
        """Refuse a job whose output does not fit on its disk.

        Raises
        ------
        ParameterError
            With what is needed, what is free, and what to do.
        """
        there = next(
            folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists()
        )
        free = shutil.disk_usage(there).free
        # What an earlier run has written counts, because the job goes on with it.
        written = (
            sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) if out.is_dir() else 0
        )
        if self.disk_bytes > free + written:
            msg = (
                f"'{self.job}' writes about {as_bytes(self.disk_bytes)}, {there} has "
                f"{as_bytes(free)} free; choose another disk, {self.smaller}"
            )
            raise ParameterError(msg)

    def memory_bytes(self, n_workers: int) -> float:
        """Peak memory of the hungriest step."""
        return max((s.memory_bytes(n_workers) for s in self.steps), default=_BASE_MEMORY)

    def executor(self, common: CommonOptions) -> str:
        """The executor, with no more workers than the memory limit allows.

        Without a limit that is what the machine has free.

        Raises
        ------
        ParameterError
            If one worker alone needs more than the limit.
        """
        kind, n_workers = parse_executor(common.executor)
        if common.memory_limit is not None:
            limit, whose = (
                parse_bytes(common.memory_limit),
                f"--memory-limit of {common.memory_limit}",
            )
        else:
            limit = free_memory()
            whose = f"{as_bytes(limit)} that this machine has free"
        while n_workers > 1 and self.memory_bytes(n_workers) > limit:
            n_workers -= 1
        if self.memory_bytes(n_workers) > limit:
            need = as_bytes(self.memory_bytes(1))
            msg = (
                f"'{self.job}' needs about {need} of memory with one worker, over the {whose}; "
                "raise it or use smaller boxes (roi_start_*, roi_stop_* in cells.csv, or "
                "--rois.margin-nm)"
            )
            raise ParameterError(msg)
        return f"{kind}:{n_workers}" if kind in ("threads", "processes") else kind

    def text(self, common: CommonOptions, *, slowness: float = 1.0) -> str:
        """The plan as lines for a person; `slowness` is that of the machine."""
        executor = self.executor(common)
        n_workers = parse_executor(executor)[1]
        lines = [
            f"plan of 'helaseg {self.job}' with executor {executor}; nothing was written",
            f"input: {self.subject}",
            f"{'step':<10}{'pieces':>14}{'time':>10}{'disk':>10}{'memory':>10}",
        ]
        for s in self.steps:
            seconds = slowness * s.seconds / max(1, min(n_workers, s.n_pieces))
            memory = as_bytes(s.memory_bytes(n_workers))
            lines.append(
                f"{s.step:<10}{f'{s.n_pieces} {s.unit}':>14}{as_time(seconds):>10}"
                f"{as_bytes(s.disk_bytes):>10}{memory:>10}"
            )
        shared = (s.seconds / max(1, min(n_workers, s.n_pieces)) for s in self.steps)
        seconds = slowness * sum(shared)
        disk = as_bytes(self.disk_bytes)
        peak = as_bytes(self.memory_bytes(n_workers))
        lines.append(f"{'total':<10}{'':>14}{as_time(seconds):>10}{disk:>10}{peak:>10}")
        lines.append("time, disk and memory are estimates from rates per voxel, good to a factor 3")
        return "\n".join([*lines, *self.notes])


def plan_run(
    grid: Grid,
    *,
    slice_step_nm: float,
    boxes: Sequence[tuple[int, int, int]] | None = None,
) -> Plan:
    """Plan of `helaseg run`; `boxes` are the shapes of the ROIs where they are known."""
    if boxes is None:
        n_cells, roi_vx = _expected_rois(grid)
        largest_vx = roi_vx
        note = (
            f"the number of ROIs assumes one cell per {UM3_PER_CELL:g} µm³; 'helaseg detect' "
            "finds the real number"
        )
    else:
        n_cells = len(boxes)
        sizes = [math.prod(box) for box in boxes]
        roi_vx, largest_vx = round(sum(sizes) / max(1, n_cells)), max(sizes, default=0)
        note = "the ROIs are those of the cells.csv in the output folder"
    return Plan(
        job="run",
        subject=str(grid),
        steps=(
            _probe(grid, slice_step_nm),
            PlanStep(step="crop", n_pieces=n_cells, unit="ROIs", piece_vx=roi_vx),
            PlanStep(
                step="segment",
                n_pieces=n_cells,
                unit="ROIs",
                piece_vx=roi_vx,
                largest_vx=largest_vx,
            ),
            PlanStep(
                step="paste",
                n_pieces=grid.shape[0],
                unit="slices",
                piece_vx=grid.shape[1] * grid.shape[2],
            ),
        ),
        notes=(note,),
        smaller="drop cells ('keep' in cells.csv), or cut smaller boxes (--rois.margin-nm)",
    )


def plan_detect(grid: Grid, *, slice_step_nm: float) -> Plan:
    """Plan of `helaseg detect`."""
    return Plan(job="detect", subject=str(grid), steps=(_probe(grid, slice_step_nm),))


def plan_crop(grid: Grid, shapes: Sequence[tuple[int, int, int]]) -> Plan:
    """Plan of `helaseg crop` for boxes of these shapes."""
    piece = max((math.prod(shape) for shape in shapes), default=0)
    step = PlanStep(step="crop", n_pieces=len(shapes), unit="ROIs", piece_vx=piece)
    return Plan(
        job="crop",
        subject=str(grid),
        steps=(step,),
        smaller="cut fewer boxes (--ids), or smaller ones (roi_start_*, roi_stop_* in cells.csv)",
    )


def plan_compare(grid: Grid, n_scored: int) -> Plan:
    """Plan of `helaseg compare`: each method is scored with voxels in doubt and without."""
    step = PlanStep(
        step="compare",
        n_pieces=grid.shape[0] * n_scored,
        unit="slices",
        piece_vx=math.prod(grid.shape[1:]),
    )
    return Plan(
        job="compare", subject=str(grid), steps=(step,), smaller="or compare fewer --slices"
    )


def plan_whole(job: str, grid: Any, *, by_slice: bool) -> Plan:
    """Plan of a job that works on a whole volume, at once or slice by slice."""
    n = grid.shape[0] if by_slice else 1
    piece = math.prod(grid.shape[1:]) if by_slice else grid.n_voxels
    step = PlanStep(step=job, n_pieces=n, unit="slices" if by_slice else "ROIs", piece_vx=piece)
    return Plan(job=job, subject=str(grid), steps=(step,))


def _probe(grid: Grid, slice_step_nm: float) -> PlanStep:
    from helaseg.cells.detection.detect import probed_indices

    return PlanStep(
        step="detect",
        n_pieces=len(probed_indices(grid, slice_step_nm=slice_step_nm)),
        unit="slices",
        piece_vx=grid.shape[1] * grid.shape[2],
    )


def _expected_rois(grid: Grid) -> tuple[int, int]:
    volume_um3 = grid.n_voxels * grid.voxel_volume_nm3 / 1e9
    box = [
        min(n, max(1, round(size / vx)))
        for n, size, vx in zip(grid.shape, ROI_SIZE_NM, grid.voxel_size_nm, strict=True)
    ]
    return max(1, round(volume_um3 / UM3_PER_CELL)), math.prod(box)


def free_memory() -> int:
    """Memory in bytes that processes of this machine can still get."""
    import psutil

    return int(psutil.virtual_memory().available)


def as_bytes(n: float) -> str:
    """A size for a person, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 999.5:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"


def as_time(seconds: float) -> str:
    """A duration for a person."""
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
