"""Workers on other machines: a dask scheduler behind the shape of an executor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from typing import Any

from helaseg._optional import require
from helaseg._threads import limit_threads, usable_cores
from helaseg._version import __version__
from helaseg.errors import JobError
from helaseg.execution.lost_workers import SCHEDULER_LOST, WORKER_DIED, LostWorkers

#: How long a scheduler and its first worker may take to answer.
TIMEOUT_S = 15


class ClusterPool:
    """The workers of a dask scheduler.

    A task that was on a worker that died is given to another one, up to three times
    (``distributed.scheduler.allowed-failures``). Tasks and what they refer to must be
    picklable, and paths in them must mean the same files on every machine.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``"tcp://node1:8786"``.

    Raises
    ------
    MissingExtraError
        If dask is not installed here.
    JobError
        If no scheduler or no worker answers, or a worker lacks this version of
        helaseg.
    """

    shares_memory = False

    def __init__(self, address: str) -> None:
        distributed = require("distributed", extra="cluster", reason=f"executor {address!r}")
        # Its client writes tracebacks of lost connections, which come out as errors here.
        self._after = ExitStack()
        logger = logging.getLogger("distributed.client")
        self._after.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)
        try:
            self._client = distributed.Client(address, timeout=TIMEOUT_S, set_as_default=False)
            self._after.callback(self._client.close)
            self._wait_for_workers()
            self._check_versions()
        except (OSError, ValueError, TypeError) as error:
            # A TypeError is that of tls:// without certificates.
            self._after.close()
            msg = (
                f"no dask scheduler answers at {address}; check the address, or start one with "
                "'dask scheduler' and workers with 'dask worker' and the address that it prints; "
                "tls:// needs certificates in the settings of dask"
            )
            raise JobError(msg) from error
        except BaseException:
            self._after.close()
            raise
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self.n_workers = sum(int(worker["nthreads"]) for worker in workers)
        self._pool = self._client.get_executor(pure=False)
        self.lost: LostWorkers = {
            distributed.KilledWorker: WORKER_DIED,
            CancelledError: SCHEDULER_LOST,
            distributed.CancelledError: SCHEDULER_LOST,
            distributed.comm.CommClosedError: SCHEDULER_LOST,
        }

    def _wait_for_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=TIMEOUT_S)
        except TimeoutError as error:
            address = self._client.scheduler.address
            msg = (
                f"the dask scheduler at {address} has no workers; start some with "
                f"'dask worker {address}'"
            )
            raise JobError(msg) from error

    def _check_versions(self) -> None:
        # An error on a worker, such as a missing package, comes back as its text.
        found = self._client.run(_version, on_error="return")
        for worker, version in found.items():
            if version != __version__:
                has = version if isinstance(version, str) else f"none ({version})"
                msg = (
                    f"the dask worker {worker} must have helaseg {__version__}, it has {has}; "
                    f"install it there: pip install 'helaseg[cluster]=={__version__}'"
                )
                raise JobError(msg)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start one call on some worker."""
        return self._pool.submit(_call, function, args, kwargs)  # type: ignore[no-any-return]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the scheduler; its workers stay for others."""
        self._pool.shutdown(wait=wait and not cancel_futures)
        self._after.close()

    def __enter__(self) -> ClusterPool:
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> bool | None:
        self.shutdown(cancel_futures=kind is not None)
        return None


def _version() -> str:
    return __version__


def _call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """One call on a worker, with its share of the cores for threads inside kernels."""
    from distributed import get_worker

    n_tasks = max(1, int(get_worker().state.nthreads))
    with limit_threads(max(1, usable_cores() // n_tasks)):
        return function(*args, **kwargs)
