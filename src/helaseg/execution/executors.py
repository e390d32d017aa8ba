"""Serial, threads, processes or a cluster in the shape of `concurrent.futures.Executor`."""

from __future__ import annotations

import logging
import multiprocessing
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from itertools import islice
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from helaseg._threads import begin_worker, share_of_threads, usable_cores
from helaseg.errors import JobError, ParameterError
from helaseg.execution.lost_workers import WORKER_DIED, LostWorkers

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://[^\s:/]+:\d+")
_KINDS = "'serial', 'threads', 'threads:N', 'processes', 'processes:N' or 'tcp://HOST:PORT'"


class Progress(Protocol):
    """Callback of long functions after each piece of work."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """`done` of `total` pieces of `step` are finished; a total of 0 is unknown."""
        ...


class WorkerPool(Protocol):
    """An executor with a known number of workers; a context manager."""

    @property
    def n_workers(self) -> int:
        """Return how many pieces of work run at the same time."""
        ...

    @property
    def shares_memory(self) -> bool:
        """Return whether the workers see the objects of this process."""
        ...

    @property
    def lost(self) -> LostWorkers:
        """Errors of a future that no function raised, with what happened and what to do."""
        ...

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start one call; its future holds the result."""
        ...

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers."""
        ...

    def __enter__(self) -> WorkerPool: ...

    def __exit__(self, *exception: Any) -> bool | None: ...


class _CancelOnError(Executor):
    """After an error in the ``with`` block, work that has not started is dropped."""

    lost: LostWorkers = MappingProxyType({BrokenExecutor: WORKER_DIED})
    shares_memory = True

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> bool | None:
        if kind is KeyboardInterrupt:
            _log.warning("stopping after what is under way; Ctrl-C again stops at once")
        self.shutdown(wait=True, cancel_futures=kind is not None)
        return None


class SerialPool(_CancelOnError):
    """Runs each call at once, in the thread that submits it."""

    n_workers = 1

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function; its future is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # handed over by the future, as a pool does
            future.set_exception(error)
        return future


class ThreadPool(_CancelOnError, ThreadPoolExecutor):
    """Threads of this process; kernels release the GIL."""

    def __init__(self, n_workers: int) -> None:
        super().__init__(
            max_workers=n_workers,
            thread_name_prefix="helaseg",
            initializer=begin_worker,
            initargs=(share_of_threads(n_workers),),
        )
        self.n_workers = n_workers


class ProcessPool(_CancelOnError, ProcessPoolExecutor):
    """Fresh worker processes, never forks of this one.

    A fork after numba or OpenCV started threads may hang.
    """

    shares_memory = False

    def __init__(self, n_workers: int) -> None:
        methods = multiprocessing.get_all_start_methods()
        method = "forkserver" if "forkserver" in methods else "spawn"
        super().__init__(
            max_workers=n_workers,
            mp_context=multiprocessing.get_context(method),
            initializer=begin_worker,
            initargs=(share_of_threads(n_workers),),
        )
        self.n_workers = n_workers


def parse_executor(spec: str) -> tuple[str, int]:
    """Kind and number of workers of an executor, checked.

    Parameters
    ----------
    spec : str
        ``"serial"``, ``"threads[:N]"`` or ``"processes[:N]"``; without N, one
        worker per usable core. ``"tcp://HOST:PORT"`` is a dask scheduler.

    Returns
    -------
    kind : str
        ``"serial"``, ``"threads"``, ``"processes"`` or the address.
    n_workers : int
        Number of workers, at least 1; 1 for an address, which is not asked.

    Raises
    ------
    ParameterError
        For anything else.
    """
    if _ADDRESS.fullmatch(str(spec)):
        return str(spec), 1
    kind, colon, number = str(spec).partition(":")
    if kind not in ("serial", "threads", "processes") or (kind == "serial" and colon):
        msg = f"'executor' must be {_KINDS}, got {spec!r}"
        raise ParameterError(msg)
    if colon and not (number.isascii() and number.isdigit() and int(number) >= 1):
        msg = f"'executor' must be {_KINDS} with N of at least 1, got {spec!r}"
        raise ParameterError(msg)
    if kind == "serial":
        return kind, 1
    return kind, int(number) if colon else usable_cores()


def make_executor(spec: str) -> WorkerPool:
    """The executor that a text names.

    Parameters
    ----------
    spec : str
        As in `parse_executor`. ``"serial"`` runs each call where it is
        submitted; ``"processes"`` starts fresh processes and an address means
        those of other machines, so functions and arguments must be picklable.

    Returns
    -------
    WorkerPool
        Use it in a ``with`` statement.

    Raises
    ------
    ParameterError
        As in `parse_executor`.
    MissingExtraError, JobError
        For an address: as in `helaseg.execution.cluster.ClusterPool`.
    """
    kind, n_workers = parse_executor(spec)
    if "://" in kind:
        from helaseg.execution.cluster import ClusterPool

        return ClusterPool(kind)
    if kind == "threads":
        return ThreadPool(n_workers)
    return ProcessPool(n_workers) if kind == "processes" else SerialPool()


@contextmanager
def local_pool(pool: WorkerPool) -> Iterator[WorkerPool]:
    """A pool whose workers share the memory of this process.

    That is the given one if it does, else threads, as many as it has workers and
    there are cores.
    """
    if pool.shares_memory:
        yield pool
        return
    n_workers = min(pool.n_workers, usable_cores())
    with ThreadPool(n_workers) if n_workers > 1 else SerialPool() as threads:
        yield threads


def ordered_map(
    executor: WorkerPool,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    window: int | None = None,
    progress: Progress | None = None,
    step: str | None = None,
) -> Iterator[Result]:
    """Apply a function to each item; results come in the order of the items.

    Parameters
    ----------
    executor : WorkerPool
        From `make_executor`.
    function : callable
        Takes one item.
    items : iterable
        Read no further than the window reaches, so it may be a generator.
    window : int, optional
        How many items may be under way or finished but not taken: the bound of
        memory. Default: one for a serial executor, else twice the workers.
    progress : Progress, optional
        Called in this thread after each item, in order.
    step : str, optional
        Name for `progress`; default is the name of the function.

    Yields
    ------
    object
        What the function returned.

    Raises
    ------
    ParameterError
        If the window is below 1.
    JobError
        If a worker process died. An error of the function itself comes out as
        it is. In both cases items that have not started are dropped.
    """
    if window is not None and window < 1:
        msg = f"'window' must be at least 1, got {window!r}"
        raise ParameterError(msg)
    ahead = window or (1 if executor.n_workers == 1 else 2 * executor.n_workers)
    name = step or str(getattr(function, "__name__", "work"))
    total = len(items) if isinstance(items, Sized) else 0
    return _ordered_results(executor, function, iter(items), ahead, progress, name, total)


def finished_map(
    executor: WorkerPool,
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    step: str | None = None,
) -> Iterator[tuple[int, Result]]:
    """Apply a function to each item; results come as they are finished.

    For work that leaves its results on disk: each can be noted at once, though an earlier
    item takes longer, and all is handed out at once, so that workers who join later
    find some.

    Parameters
    ----------
    executor, function, step
        As in `ordered_map`.
    items : sequence
        All of them are submitted at once, unless the executor is serial.

    Yields
    ------
    int, object
        The place of an item, and what the function returned.

    Raises
    ------
    JobError
        As in `ordered_map`.
    """
    name = step or str(getattr(function, "__name__", "work"))
    serial = executor.shares_memory and executor.n_workers == 1
    waiting = iter(enumerate(items))
    pending: dict[Future[Any], int] = {}
    done = 0
    try:
        while True:
            for place, item in islice(waiting, (1 if serial else len(items)) - len(pending)):
                pending[executor.submit(function, item)] = place
            if not pending:
                return
            ready = wait(pending, return_when=FIRST_COMPLETED).done
            # What was finished before an error is not lost with it.
            for future in sorted(ready, key=lambda f: f.exception() is not None):
                result = future.result()
                done += 1
                yield pending.pop(future), result
    except tuple(executor.lost) as error:
        raise _loss(executor, name, done, error) from error
    finally:
        for future in pending:
            future.cancel()


def _loss(executor: WorkerPool, step: str, done: int, error: BaseException) -> JobError:
    what, advice = next(said for kind, said in executor.lost.items() if isinstance(error, kind))
    return JobError(f"{what} in step '{step}' after {done} finished pieces{advice}")


def _ordered_results(
    executor: WorkerPool,
    function: Callable[[Any], Any],
    source: Iterator[Any],
    ahead: int,
    progress: Progress | None,
    step: str,
    total: int,
) -> Iterator[Any]:
    pending: deque[Future[Any]] = deque()
    done = 0
    try:
        while True:
            for item in islice(source, ahead - len(pending)):
                pending.append(executor.submit(function, item))
            if not pending:
                return
            result = pending.popleft().result()
            done += 1
            if progress is not None:
                progress(step, done, total)
            yield result
    except tuple(executor.lost) as error:
        raise _loss(executor, step, done, error) from error
    finally:
        for future in pending:
            future.cancel()
