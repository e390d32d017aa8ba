"""Executors, the ordered map, time and memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helaseg.core.results import StepCost
from helaseg.errors import JobError, ParameterError
from helaseg.execution import (
    Compilation,
    StepTimer,
    costs,
    finished_map,
    make_executor,
    ordered_map,
    parse_executor,
    peak_memory_mb,
    usable_cores,
)


def square(x: int) -> int:
    return x * x


def die_at_three(x: int) -> int:
    if x == 3:
        os._exit(1)
    return x


def fail_at_three(x: int) -> int:
    if x == 3:
        raise ParameterError("three is not a number")
    return x


@pytest.mark.parametrize(
    ("spec", "kind", "n"),
    [
        ("serial", "serial", 1),
        ("threads:3", "threads", 3),
        ("processes:2", "processes", 2),
        ("threads", "threads", usable_cores()),
        ("processes", "processes", usable_cores()),
    ],
)
def test_a_text_names_kind_and_workers(spec: str, kind: str, n: int) -> None:
    assert parse_executor(spec) == (kind, n)


@pytest.mark.parametrize("spec", ["", "thread", "serial:2", "gpu", "Threads", "threads 2"])
def test_an_unknown_executor_is_refused(spec: str) -> None:
    with pytest.raises(ParameterError, match=r"'executor' must be 'serial', 'threads'"):
        make_executor(spec)


@pytest.mark.parametrize("spec", ["threads:0", "threads:-1", "processes:", "threads:two"])
def test_a_wrong_number_of_workers_is_refused(spec: str) -> None:
    with pytest.raises(ParameterError, match="with N of at least 1, got"):
        make_executor(spec)


@pytest.mark.parametrize("spec", ["serial", "threads:3", "processes:2"])
def test_results_come_in_the_order_of_the_items(spec: str) -> None:
    with make_executor(spec) as executor:
        assert list(ordered_map(executor, square, range(20))) == [x * x for x in range(20)]


@settings(max_examples=25, deadline=None)
@given(
    items=st.lists(st.integers(), max_size=30),
    window=st.none() | st.integers(1, 40),
    spec=st.sampled_from(["serial", "threads:1", "threads:4"]),
)
def test_the_map_equals_the_builtin_one(items: list[int], window: int | None, spec: str) -> None:
    with make_executor(spec) as executor:
        assert list(ordered_map(executor, square, items, window=window)) == list(map(square, items))


@pytest.mark.parametrize("spec", ["serial", "threads:2"])
def test_no_more_items_are_read_than_the_window_holds(spec: str) -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for i in range(50):
            read.append(i)
            yield i

    with make_executor(spec) as executor:
        for taken, _ in enumerate(ordered_map(executor, square, source(), window=3), start=1):
            assert len(read) <= taken + 2
    assert len(read) == 50


def test_a_serial_map_works_only_when_asked() -> None:
    done: list[int] = []
    with make_executor("serial") as executor:
        results = ordered_map(executor, done.append, range(5))
        assert done == []
        next(results)
        assert done == [0]


def test_progress_counts_in_the_calling_thread() -> None:
    calls: list[tuple[str, int, int]] = []
    threads = set()

    def progress(step: str, done: int, total: int) -> None:
        calls.append((step, done, total))
        threads.add(threading.get_ident())

    with make_executor("threads:2") as executor:
        list(ordered_map(executor, square, [1, 2, 3], progress=progress, step="squares"))
        list(ordered_map(executor, square, iter([1]), progress=progress))
    assert calls == [("squares", 1, 3), ("squares", 2, 3), ("squares", 3, 3), ("square", 1, 0)]
    assert threads == {threading.get_ident()}


def test_a_window_below_one_is_refused_at_once() -> None:
    with (
        make_executor("serial") as executor,
        pytest.raises(ParameterError, match="'window' must be at least 1, got 0"),
    ):
        ordered_map(executor, square, [1], window=0)


@pytest.mark.parametrize("spec", ["serial", "threads:2", "processes:1"])
def test_an_error_of_the_function_comes_out_as_it_is(spec: str) -> None:
    with make_executor(spec) as executor:
        results = ordered_map(executor, fail_at_three, range(10))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ParameterError, match="three is not a number"):
            next(results)


def test_a_dead_worker_is_one_line() -> None:
    with (
        make_executor("processes:1") as executor,
        pytest.raises(JobError, match=r"a worker process died in step 'die_at_three'") as caught,
    ):
        list(ordered_map(executor, die_at_three, range(6), window=1))
    assert "after 3 finished pieces" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_work_that_has_not_started_is_dropped_after_an_error() -> None:
    started: list[int] = []
    gate = threading.Event()

    def work(x: int) -> int:
        started.append(x)
        if x == 0:
            raise ParameterError("first")
        gate.wait(10)
        return x

    def run() -> None:
        with make_executor("threads:1") as executor:
            try:
                list(ordered_map(executor, work, range(100), window=50))
            finally:
                gate.set()

    with pytest.raises(ParameterError, match="first"):
        run()
    assert len(started) <= 3


@pytest.mark.parametrize("spec", ["serial", "threads:3", "processes:2"])
def test_what_is_finished_comes_once_with_its_place(spec: str) -> None:
    with make_executor(spec) as pool:
        found = list(finished_map(pool, square, range(9)))
        assert sorted(found) == [(k, k * k) for k in range(9)]
        assert list(finished_map(pool, square, [])) == []
    if spec == "serial":
        assert found == sorted(found)


def test_what_is_finished_does_not_wait_for_what_came_earlier() -> None:
    first_may_end = threading.Event()

    def work(k: int) -> int:
        if k == 0:
            assert first_may_end.wait(30)
        return k

    with make_executor("threads:2") as pool:
        found = finished_map(pool, work, range(4))
        early = [next(found)[0] for _ in range(3)]
        assert sorted(early) == [1, 2, 3]
        first_may_end.set()
        assert list(found) == [(0, 0)]


def test_an_error_ends_finished_work_as_it_ends_ordered_work() -> None:
    with (
        make_executor("threads:2") as pool,
        pytest.raises(ParameterError, match="three is not a number"),
    ):
        list(finished_map(pool, fail_at_three, range(9)))
    with (
        make_executor("processes:1") as pool,
        pytest.raises(JobError, match="a worker process died in step 'cells' after 3 finished"),
    ):
        list(finished_map(pool, die_at_three, range(9), step="cells"))


def test_a_serial_pool_has_the_shape_of_an_executor() -> None:
    with make_executor("serial") as executor:
        future = executor.submit(square, 4)
        assert future.done()
        assert future.result() == 16
        assert list(executor.map(square, [1, 2])) == [1, 4]
        assert isinstance(executor.submit(fail_at_three, 3).exception(), ParameterError)


def test_peak_memory_covers_a_large_array() -> None:
    block = np.ones(30_000_000, np.uint8)
    before = peak_memory_mb()
    assert before > block.nbytes / 1e6
    more = np.ones(60_000_000, np.uint8)
    assert peak_memory_mb() >= before
    assert more.nbytes < peak_memory_mb() * 1e6


def test_the_timer_adds_up_a_repeated_step_and_keeps_the_order() -> None:
    timer = StepTimer()
    timer.add(StepCost(step="crop", seconds=1.0, peak_memory_mb=50.0))
    timer.add(StepCost(step="segment", seconds=2.0, peak_memory_mb=70.0))
    timer.add(StepCost(step="crop", seconds=0.5, peak_memory_mb=60.0))
    assert timer.steps == (
        StepCost(step="crop", seconds=1.5, peak_memory_mb=60.0),
        StepCost(step="segment", seconds=2.0, peak_memory_mb=70.0),
    )


def test_compiling_kernels_is_no_part_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Compilation(n_compiled=1, seconds={"otsu.histogram": 0.25})
    monkeypatch.setattr(costs, "watch_compilation", lambda: nullcontext(made))
    monkeypatch.setattr(costs.time, "perf_counter", iter([10.0, 11.0]).__next__)
    timer = StepTimer()
    with timer.measured("cell"):
        pass
    assert timer.steps[0].seconds == pytest.approx(0.75)


def test_a_step_that_fails_is_measured_too() -> None:
    timer = StepTimer()
    with pytest.raises(ParameterError), timer.measured("detect"):
        raise ParameterError("no")
    (cost,) = timer.steps
    assert cost.step == "detect"
    assert cost.seconds >= 0
    assert cost.peak_memory_mb == pytest.approx(peak_memory_mb(), rel=0.5)


def test_threads_may_share_a_timer() -> None:
    timer = StepTimer()
    with make_executor("threads:4") as executor:
        costs = [StepCost(step="s", seconds=1.0, peak_memory_mb=1.0)] * 200
        list(ordered_map(executor, timer.add, costs))
    assert timer.steps[0].seconds == 200.0
