"""The benchmark scripts still run, on tiny inputs: what they compare agrees."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _from_the_repository(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def kernels() -> tuple[str, ...]:
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("benchmarks.__main__").KERNELS
    finally:
        sys.path.remove(str(ROOT))


@pytest.mark.parametrize("name", kernels())
# the peers' own warnings are not ours
@pytest.mark.filterwarnings("ignore")
def test_each_script_checks_and_times_every_peer(name):
    harness = importlib.import_module("benchmarks.harness")
    script = importlib.import_module(f"benchmarks.{name}")
    machine = {n: harness.roofline(n, mib=(1,)) for n in (1, 2)}
    rows = [harness.measure(case, machine, budget_s=0.0) for case in script.cases("tiny")]
    assert rows
    for row in rows:
        assert row["peers"], f"{row['kernel']} is compared with nobody"
        for peer in row["peers"]:
            assert peer["agreement"]
            assert all(found["ratio"] > 0 for found in peer["threads"].values())


def test_pairs_are_timed_in_turn():
    harness = importlib.import_module("benchmarks.harness")
    order = []
    found = harness.measure_pairs(
        lambda: order.append("ours"), lambda: order.append("theirs"), pairs=3
    )
    assert order == ["ours", "theirs"] * 4
    assert found["pairs"] == 3


def test_extra_memory_counts_what_a_call_touches():
    harness = importlib.import_module("benchmarks.harness")
    numpy = importlib.import_module("numpy")
    grown = harness.extra_memory(lambda: numpy.ones(40_000_000, numpy.uint8))
    if grown is None:
        pytest.skip("this system does not tell the peak memory of a process")
    assert 38e6 < grown < 60e6


def test_the_page_shows_what_was_measured():
    tables = importlib.import_module("benchmarks.tables")
    results = json.loads((ROOT / "benchmarks" / "results" / "results.json").read_text())
    text = tables.render(results)
    assert text in tables.DOCS_PAGE.read_text()
    assert text == (ROOT / "benchmarks" / "results" / "results.md").read_text()
