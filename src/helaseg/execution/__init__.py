"""Execution of work: workers, the journal of finished work, time and memory.

- `make_executor`, `ordered_map`: serial, threads or processes behind one shape.
- `Journal`, `claim_output`: what is finished in an output folder, so that an
  interrupted job goes on where it stopped.
- `StepTimer`, `peak_memory_mb`, `EnergyMeter`: what each step cost.
- `watch_compilation`, `cached_kernels`: when kernels are compiled, and where they are kept.
"""

from helaseg.execution.compiling import (
    NOTICE,
    Compilation,
    cached_kernels,
    kernel_cache_places,
    watch_compilation,
)
from helaseg.execution.costs import StepTimer, peak_memory_mb
from helaseg.execution.energy import EnergyMeter, add_energy
from helaseg.execution.executors import (
    ProcessPool,
    Progress,
    WorkerPool,
    finished_map,
    local_pool,
    make_executor,
    ordered_map,
    parse_executor,
    usable_cores,
)
from helaseg.execution.journal import (
    JOURNAL_NAME,
    Journal,
    check_output,
    claim_output,
    fingerprint_of,
    hold_output,
)

__all__ = [
    "JOURNAL_NAME",
    "NOTICE",
    "Compilation",
    "EnergyMeter",
    "Journal",
    "ProcessPool",
    "Progress",
    "StepTimer",
    "WorkerPool",
    "add_energy",
    "cached_kernels",
    "check_output",
    "claim_output",
    "fingerprint_of",
    "finished_map",
    "hold_output",
    "kernel_cache_places",
    "local_pool",
    "make_executor",
    "ordered_map",
    "parse_executor",
    "peak_memory_mb",
    "usable_cores",
    "watch_compilation",
]
