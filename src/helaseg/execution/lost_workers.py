"""Messages for workers and schedulers that were lost."""

from __future__ import annotations

from collections.abc import Mapping

#: Exceptions that mean a worker was lost, with what happened and what to do.
LostWorkers = Mapping[type[BaseException], tuple[str, str]]
WORKER_DIED = (
    "a worker process died",
    ", most often for lack of memory; start again with fewer workers or a smaller memory limit",
)
SCHEDULER_LOST = (
    "the scheduler was lost",
    "; start it and its workers, then the same command again",
)
