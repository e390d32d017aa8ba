"""Threads inside one kernel call: how many, and who may use them.

Kernels release the GIL and work on blocks of rows, slices or voxels; `in_blocks`
shares the blocks among threads. One setting rules: ``NUMBA_NUM_THREADS``, by default
every core this process may use. Workers of an executor divide it among themselves
(`share_of_threads`), so that slices that already run side by side never start more
threads than there are cores. Results never depend on the number of threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from numbers import Integral
from typing import TypeVar

from helaseg.errors import ParameterError

Result = TypeVar("Result")

#: Blocks per thread: a thread that is held up leaves its later blocks to the others.
BLOCKS_PER_THREAD = 4

_of_thread = threading.local()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_pool_lock = threading.Lock()


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_setting() -> int:
    """``NUMBA_NUM_THREADS`` where it is set, else the number of usable cores.

    Raises
    ------
    ParameterError
        If the variable is no whole number of at least 1.
    """
    text = os.environ.get("NUMBA_NUM_THREADS", "").strip()
    if not text:
        return usable_cores()
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        msg = (
            f"the variable NUMBA_NUM_THREADS must be a whole number of at least 1, got {text!r}; "
            "set it to the number of threads you want, or unset it to use every core"
        )
        raise ParameterError(msg)
    return int(text)


def n_threads() -> int:
    """Return how many threads a kernel called here may use."""
    limit: int | None = getattr(_of_thread, "limit", None)
    return thread_setting() if limit is None else limit


def share_of_threads(n_workers: int) -> int:
    """Return how many threads each of `n_workers` side by side may use, of those allowed here."""
    return max(1, n_threads() // n_workers)


def begin_worker(limit: int) -> None:
    """Let kernels called by this thread, a worker that begins, use at most `limit` threads."""
    _of_thread.limit = limit


@contextmanager
def limit_threads(n: int) -> Iterator[None]:
    """Let kernels called in this ``with`` block, by this thread, use at most `n` threads.

    Parameters
    ----------
    n : int
        At least 1. It may exceed ``NUMBA_NUM_THREADS``.

    Raises
    ------
    ParameterError
        If `n` is no whole number of at least 1.
    """
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        msg = f"'n' must be a whole number of at least 1 thread, got {n!r}"
        raise ParameterError(msg)
    before = getattr(_of_thread, "limit", None)
    _of_thread.limit = int(n)
    try:
        yield
    finally:
        _of_thread.limit = before


def in_blocks(
    work: Callable[[int, int], Result], n_items: int, *, least: int, multiple: int = 1
) -> list[Result]:
    """Call ``work(start, stop)`` on blocks that cover ``0 <= item < n_items``.

    Parameters
    ----------
    work : callable
        Calls kernels that release the GIL. Blocks may run at the same time and
        in any order, so no two may write to the same place.
    n_items : int
        Rows, slices or voxels.
    least : int
        Items per block below which another thread does not pay.
    multiple : int
        Blocks begin at a multiple of this many items.

    Returns
    -------
    list
        What `work` returned, in the order of the blocks: one block, with
        everything, on one thread or where there is too little to share.
    """
    threads = n_threads()
    n_blocks = min(threads * BLOCKS_PER_THREAD, n_items // max(least, 1))
    if threads == 1 or n_blocks < 2:
        return [work(0, n_items)]
    size = -(-n_items // n_blocks)
    size = -(-size // multiple) * multiple
    starts = range(0, n_items, size)
    results: list[Result | None] = [None] * len(starts)
    waiting = iter(enumerate(starts))
    lock = threading.Lock()

    def take_blocks() -> None:
        while True:
            with lock:
                number, start = next(waiting, (-1, 0))
            if number < 0:
                return
            results[number] = work(start, min(start + size, n_items))

    pool = _thread_pool(threads - 1)
    helpers = [pool.submit(take_blocks) for _ in range(min(threads, len(starts)) - 1)]
    try:
        take_blocks()
    finally:
        errors = [helper.exception() for helper in helpers]
    for error in errors:
        if error is not None:
            raise error
    return results  # type: ignore[return-value]


def _thread_pool(size: int) -> ThreadPoolExecutor:
    """Threads of this process that wait for blocks; more are started when more are allowed."""
    global _pool, _pool_size
    with _pool_lock:
        if _pool is None or _pool_size < size:
            # the smaller pool may be in use; its threads end when nobody holds it any more
            _pool = ThreadPoolExecutor(
                size, "helaseg-kernel", initializer=begin_worker, initargs=(1,)
            )
            _pool_size = size
        return _pool


def _forget_pool() -> None:
    """Threads do not survive a fork: the child starts its own."""
    global _pool, _pool_lock
    _pool = None
    _pool_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
