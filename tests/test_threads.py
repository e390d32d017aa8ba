"""Blocks shared among threads: complete, in order, never more threads than allowed."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

import pytest

from helaseg import limit_threads
from helaseg._threads import in_blocks, n_threads, share_of_threads, thread_setting, usable_cores
from helaseg.cli.app import main
from helaseg.errors import ParameterError
from helaseg.execution import make_executor


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n_items", [0, 1, 7, 64, 1001])
@pytest.mark.parametrize("multiple", [1, 8])
def test_blocks_cover_every_item_once_and_in_order(threads, n_items, multiple):
    with limit_threads(threads):
        blocks = in_blocks(lambda a, b: (a, b), n_items, least=4, multiple=multiple)
    assert [x for a, b in blocks for x in range(a, b)] == list(range(n_items))
    assert all(a % multiple == 0 for a, _ in blocks)
    if threads == 1:
        assert blocks == [(0, n_items)]


def test_too_little_work_stays_one_block():
    with limit_threads(4):
        assert in_blocks(lambda a, b: (a, b), 100, least=51) == [(0, 100)]


def test_blocks_really_run_side_by_side_and_on_no_more_threads_than_allowed():
    seen, running, most = set(), [0], [0]
    lock = threading.Lock()

    def work(start, stop):
        with lock:
            seen.add(threading.get_ident())
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return n_threads()

    with limit_threads(3):
        inside = in_blocks(work, 60, least=1)
    assert 2 <= most[0] <= 3
    assert len(seen) <= 3
    # a kernel that calls another one does not start threads of its own in the helpers
    assert set(inside) <= {1, 3}


@pytest.mark.parametrize("failing", [0, 5, 11])
def test_an_error_in_a_block_comes_out_after_all_threads_stopped(failing):
    def work(start, stop):
        if start <= failing < stop:
            raise ValueError("block")
        return start

    with limit_threads(3), pytest.raises(ValueError, match="block"):
        in_blocks(work, 12, least=1)
    with limit_threads(3):
        assert len(in_blocks(lambda a, b: a, 12, least=1)) == 12


def test_the_setting_is_the_variable_or_the_cores(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert thread_setting() == usable_cores()
    monkeypatch.setenv("NUMBA_NUM_THREADS", "5")
    assert thread_setting() == 5
    assert n_threads() == 5
    with limit_threads(2):
        assert n_threads() == 2
        with limit_threads(7):
            assert n_threads() == 7
        assert n_threads() == 2
    assert n_threads() == 5


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5"])
def test_a_bad_setting_is_named(monkeypatch, text):
    monkeypatch.setenv("NUMBA_NUM_THREADS", text)
    with pytest.raises(ParameterError, match="NUMBA_NUM_THREADS must be a whole number"):
        thread_setting()


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", None, True])
def test_a_limit_that_is_no_number_of_threads_is_refused(n):
    with pytest.raises(ParameterError, match="'n' must be a whole number of at least 1 thread"):
        limit_threads(n).__enter__()


@pytest.mark.parametrize(
    ("spec", "setting", "each"),
    [
        ("threads:2", 2, 1),
        ("threads:2", 4, 2),
        ("threads:4", 2, 1),
        ("processes:2", 4, 2),
        ("serial", 3, 3),
    ],
)
def test_workers_divide_the_setting(monkeypatch, spec, setting, each):
    monkeypatch.setenv("NUMBA_NUM_THREADS", str(setting))
    with make_executor(spec) as pool:
        assert {pool.submit(n_threads).result() for _ in range(4)} == {each}
    assert n_threads() == setting


def test_a_limit_holds_for_its_own_thread_only():
    found = []
    with limit_threads(2):
        other = threading.Thread(target=lambda: found.append(n_threads()))
        other.start()
        other.join()
    assert found == [thread_setting()]


def test_a_share_is_never_below_one_and_divides_what_is_allowed_here(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "8")
    assert share_of_threads(64) == 1
    assert share_of_threads(2) == 4
    with limit_threads(2):
        assert share_of_threads(2) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_blocks_still_run_in_a_forked_child():
    with limit_threads(2):
        in_blocks(lambda a, b: a, 16, least=1)  # the parent's threads exist now
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()

    def child():
        with limit_threads(2):
            answer.put(len(in_blocks(lambda a, b: a, 16, least=1)))

    process = context.Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    assert answer.get() == 8


def test_every_command_refuses_a_bad_setting_first(monkeypatch, capsys):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "abc")
    assert main(["doctor"]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "NUMBA_NUM_THREADS must be a whole number of at least 1, got 'abc'" in seen.err
    assert "unset it" in seen.err
