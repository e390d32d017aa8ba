"""Workers of a dask scheduler: the same results, lost workers, clear errors."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from helaseg._threads import n_threads
from helaseg.errors import JobError, MissingExtraError, ParameterError
from helaseg.execution import make_executor, ordered_map, parse_executor

# The cluster logs and warns of its own shutdown.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit="2GB"
    ) as cluster:
        yield cluster.scheduler_address


def square(x: int) -> int:
    return x * x


def fail_at_three(x: int) -> int:
    if x == 3:
        raise ParameterError("three is not a number")
    return x


def threads_of(_: int) -> int:
    return n_threads()


def die_once(mark: Path) -> int:
    """Kills its worker the first time."""
    if not mark.exists():
        mark.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die_always(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_address_is_an_executor(address: str) -> None:
    assert parse_executor(address) == (address, 1)
    with make_executor(address) as pool:
        assert pool.n_workers == 2
        assert not pool.shares_memory
        assert list(ordered_map(pool, square, range(20))) == [x * x for x in range(20)]


def test_tasks_share_the_cores_among_them(address: str) -> None:
    from helaseg._threads import usable_cores

    with make_executor(address) as pool:
        (n,) = ordered_map(pool, threads_of, [0])
    # Each worker is a process with one task at a time.
    assert 1 <= n <= usable_cores()


def test_an_error_of_the_function_comes_out_as_it_is(address: str) -> None:
    with make_executor(address) as pool, pytest.raises(ParameterError, match="three is not"):
        list(ordered_map(pool, fail_at_three, range(9)))


def test_a_killed_worker_does_not_end_the_job(address: str, tmp_path: Path) -> None:
    marks = [tmp_path / str(k) for k in range(4)]
    for mark in marks[1:]:
        mark.write_text("alive")
    with make_executor(address) as pool:
        pids = list(ordered_map(pool, die_once, marks))
    assert len(pids) == 4
    assert marks[0].read_text() == "died"


def test_work_that_kills_every_worker_is_one_line(address: str) -> None:
    with make_executor(address) as pool, pytest.raises(JobError, match="worker process died"):
        list(ordered_map(pool, die_always, [1]))
    # The workers are started again by their nannies.
    time.sleep(1)


def test_nobody_at_the_address_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helaseg.execution.cluster.TIMEOUT_S", 1)
    with pytest.raises(JobError, match=r"no dask scheduler answers at tcp://127.0.0.1:9; check"):
        make_executor("tcp://127.0.0.1:9")


def test_a_scheduler_without_workers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helaseg.execution.cluster.TIMEOUT_S", 1)
    with (
        LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(JobError, match="has no workers; start some with 'dask worker"),
    ):
        make_executor(empty.scheduler_address)


def test_another_version_on_a_worker_is_one_line(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helaseg.execution.cluster.__version__", "9.9")
    with pytest.raises(JobError, match=r"must have helaseg 9\.9, it has 0\."):
        make_executor(address)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'helaseg\[cluster\]'"):
        make_executor("tcp://node1:8786")


@pytest.mark.parametrize("spec", ["tcp://", "tcp://node", "tcp:node:1", "http://node:1"])
def test_a_wrong_address_is_refused(spec: Any) -> None:
    with pytest.raises(ParameterError, match="'executor' must be"):
        make_executor(spec)
