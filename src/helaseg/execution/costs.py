"""Time, memory and energy of the steps of a job."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from helaseg.core.results import StepCost
from helaseg.execution.compiling import watch_compilation
from helaseg.execution.energy import EnergyMeter, Meter, add_energy


def peak_memory_mb() -> float:
    """Highest memory of this process so far, in MB (1e6 bytes).

    Returns
    -------
    float
        Peak resident memory of the whole process, all its threads together;
        worker processes count for themselves.

    Notes
    -----
    On Linux the high-water mark of ``/proc/self/status`` is read: the one of
    ``getrusage`` starts at the size of the parent process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, the others kibibytes.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


class StepTimer:
    """Collects what the steps of a job cost.

    A step that is measured several times (once per ROI, say) is one entry:
    its seconds and its energy add up. Threads may share one timer.

    Parameters
    ----------
    meter : callable
        Makes what measures the energy of a step, as `EnergyMeter` does.

    Examples
    --------
    >>> timer = StepTimer()
    >>> with timer.measured("detect"):
    ...     pass
    >>> [cost.step for cost in timer.steps]
    ['detect']
    """

    def __init__(self, meter: Callable[[], Meter] = EnergyMeter) -> None:
        self._meter = meter
        self._costs: dict[str, StepCost] = {}
        self._lock = threading.Lock()

    @property
    def steps(self) -> tuple[StepCost, ...]:
        """One entry per step, in the order in which they first ended."""
        with self._lock:
            return tuple(self._costs.values())

    @contextmanager
    def measured(self, step: str) -> Iterator[None]:
        """Measure the block of a ``with`` statement, also when it fails.

        The time to compile kernels is left out.
        """
        start, energy = time.perf_counter(), self._meter()
        try:
            with watch_compilation() as made:
                yield
        finally:
            # Kernels are compiled once per installation; a method is not slower for it.
            elapsed = time.perf_counter() - start
            cost = StepCost(
                step=step,
                seconds=max(0.0, elapsed - made.total_seconds),
                peak_memory_mb=peak_memory_mb(),
                energy_j=energy.joules(),
            )
            self.add(cost)

    def add(self, cost: StepCost) -> None:
        """Add a cost that was measured elsewhere, in a worker process for example."""
        with self._lock:
            before = self._costs.get(cost.step)
            if before is not None:
                cost = StepCost(
                    step=cost.step,
                    seconds=before.seconds + cost.seconds,
                    peak_memory_mb=max(before.peak_memory_mb, cost.peak_memory_mb),
                    energy_j=add_energy(before.energy_j, cost.energy_j),
                )
            self._costs[cost.step] = cost
