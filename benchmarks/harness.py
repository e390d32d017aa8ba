"""Measure helaseg and its peers in turn, in one process, and say how they compare.

Every comparison first checks the two results against each other, then warms both
up, then times ours, theirs, ours, theirs ... with the garbage collector off. What
counts is the median of the ratios of neighbours (peer's time / ours: above 1, ours
is faster): a machine that is slow for a second is slow for both.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from helaseg._threads import in_blocks, limit_threads, usable_cores

#: Time for the pairs of one peer at one number of threads, in seconds.
BUDGET_S = 6.0
FEWEST_PAIRS = 3
MOST_PAIRS = 25
#: Working sets of the roofline in MiB: a cache of the core, a shared cache, memory.
ROOFLINE_MIB = (1, 16, 256, 1024)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A library that does the same.

    Parameters
    ----------
    name : str
        Library and function.
    call : callable
        Does the work and returns its result.
    check : callable
        ``check(ours, theirs)`` returns in words what agrees and raises
        AssertionError where they differ by more than `difference` says.
    threads : callable, optional
        ``threads(n)`` sets its number of threads; without it, it has one.
    difference : str
        Where its definition differs from ours; empty if nowhere.
    bar : float, optional
        Ratio to reach on one thread.
    pairs : int, optional
        Number of pairs, where the budget would allow too few or too many.
    """

    name: str
    call: Callable[[], Any]
    check: Callable[[Any, Any], str]
    threads: Callable[[int], Any] | None = None
    difference: str = ""
    bar: float | None = None
    pairs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kernel on one input.

    Parameters
    ----------
    kernel, data : str
        What is done, and to what.
    ours : callable
        Does the work and returns its result.
    peers : sequence of Peer
    bytes_in : int
        Bytes of the input, the unit of the memory column.
    traffic : int
        Bytes that any implementation must read and write once.
    two_threads_bar : float, optional
        How many times faster two threads must be than one.
    memory_bar : float, optional
        Most extra bytes per byte of input, the result included.
    """

    kernel: str
    data: str
    ours: Callable[[], Any]
    peers: Sequence[Peer]
    bytes_in: int
    traffic: int
    two_threads_bar: float | None = None
    memory_bar: float | None = None


@dataclass
class Ratios:
    """Paired times of two calls."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Medians, and the quartiles of the ratios."""
        ratios = [b / a for a, b in zip(self.ours, self.theirs, strict=True)]
        low, high = np.percentile(ratios, [25, 75])
        return {
            "ratio": statistics.median(ratios),
            "ratio_low": float(low),
            "ratio_high": float(high),
            "pairs": len(ratios),
            "ours_ms": 1e3 * statistics.median(self.ours),
            "theirs_ms": 1e3 * statistics.median(self.theirs),
        }


def seconds(call: Callable[[], Any]) -> float:
    """Seconds of one call; its result is freed outside of them."""
    start = time.perf_counter()
    result = call()
    stop = time.perf_counter()
    del result
    return stop - start


def measure_pairs(
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    *,
    pairs: int | None = None,
    budget_s: float = BUDGET_S,
    fewest: int = FEWEST_PAIRS,
    known_s: float = 0.0,
) -> dict[str, Any]:
    """Time two calls in turn; both have been called before.

    Calls that together last less than a second are made once more before they count.
    """
    once = known_s if known_s > 1 else seconds(ours) + seconds(theirs)
    n = pairs or int(min(max(budget_s / max(once, 1e-9), fewest), MOST_PAIRS))
    found = Ratios()
    gc.collect()
    gc.disable()
    try:
        for _ in range(n):
            found.ours.append(seconds(ours))
            found.theirs.append(seconds(theirs))
    finally:
        gc.enable()
    return found.summary()


def extra_memory(call: Callable[[], Any]) -> int | None:
    """Largest growth of this process's memory during a call, its result included, in bytes.

    None where the system does not tell (it takes Linux's /proc).
    """
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not (status.exists() and reset.exists()):
        return None

    def kib(entry: str) -> int:
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(entry))

    seconds(call)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    try:
        reset.write_text("5")
    except OSError:
        return None
    before = kib("VmRSS:")
    result = call()
    peak = kib("VmHWM:")
    del result
    return max(0, peak - before) * 1024


def roofline(threads: int, mib: Sequence[int] = ROOFLINE_MIB) -> list[dict[str, float]]:
    """Bandwidth of this machine in GB/s for reading, writing and copying working sets."""
    with limit_threads(threads):
        return [_bandwidths(size) for size in mib]


def _bandwidths(mib: int) -> dict[str, float]:
    source = np.ones(mib * 2**20 // 8, np.uint64)
    target = np.zeros_like(source)
    streams: dict[str, tuple[Callable[[int, int], Any], int]] = {
        "read": (lambda a, b: np.bitwise_or.reduce(source[a:b]), 1),
        "write": (lambda a, b: target[a:b].fill(1), 1),
        "copy": (lambda a, b: np.copyto(target[a:b], source[a:b]), 2),
    }
    row: dict[str, float] = {"mib": mib}
    for name, (work, factor) in streams.items():
        in_blocks(work, source.size, least=4096)
        times = [
            seconds(lambda work=work: in_blocks(work, source.size, least=4096))
            for _ in range(max(5, 64 // mib))
        ]
        row[f"{name}_gb_s"] = factor * source.nbytes / statistics.median(times) / 1e9
    return row


def _floor_ms(traffic: int, machine: list[dict[str, float]]) -> float:
    """Time to move `traffic` bytes at the copy bandwidth of the working set nearest in size."""
    nearest = min(machine, key=lambda row: abs(np.log(row["mib"] * 2**20 / max(traffic, 1))))
    return traffic / nearest["copy_gb_s"] / 1e6


def measure(
    case: Case, machine: dict[int, list[dict[str, float]]], budget_s: float = BUDGET_S
) -> dict[str, Any]:
    """Check a case against every peer, then time it on each number of threads."""
    row: dict[str, Any] = {
        "kernel": case.kernel,
        "data": case.data,
        "bytes_in": case.bytes_in,
        "two_threads_bar": case.two_threads_bar,
        "memory_bar": case.memory_bar,
        "peers": [],
    }
    with limit_threads(1):
        ours = case.ours()
        agreed, lasted = [], []
        for peer in case.peers:
            begin = time.perf_counter()
            theirs = peer.call()
            lasted.append(time.perf_counter() - begin)
            agreed.append(peer.check(ours, theirs))
            del theirs
        del ours
        extra = extra_memory(case.ours)
    row["extra_bytes_per_byte"] = None if extra is None else extra / case.bytes_in
    row["ours_ms"] = {}
    first = min(machine)
    for peer, words, known_s in zip(case.peers, agreed, lasted, strict=True):
        entry = {
            "name": peer.name,
            "bar": peer.bar,
            "difference": peer.difference,
            "agreement": words,
            "threads": {},
        }
        for n in machine:
            if peer.threads is not None:
                peer.threads(n)
            with limit_threads(n):
                # what has no bar to reach is timed once when it is slow
                matters = n == first and peer.bar is not None
                found = measure_pairs(
                    case.ours,
                    peer.call,
                    pairs=peer.pairs if matters else None,
                    budget_s=budget_s,
                    fewest=FEWEST_PAIRS if matters else 1,
                    known_s=known_s,
                )
            entry["threads"][n] = found
        if peer.threads is not None:
            peer.threads(1)
        row["peers"].append(entry)
    for n in machine:
        times = [peer["threads"][n]["ours_ms"] for peer in row["peers"]]
        row["ours_ms"][n] = statistics.median(times)
    row["share_of_copy"] = {
        n: _floor_ms(case.traffic, machine[n]) / row["ours_ms"][n] for n in machine
    }
    if len(machine) > 1:
        most = max(machine)

        def on(n: int) -> Any:
            with limit_threads(n):
                return case.ours()

        found = measure_pairs(lambda: on(most), lambda: on(1), budget_s=budget_s)
        row["scaling"] = {"threads": most, **found}
    return row


def environment() -> dict[str, Any]:
    """Machine, versions and settings."""
    from benchmarks import inputs

    names = (
        "numpy",
        "numba",
        "scipy",
        "scikit-image",
        "opencv-python-headless",
        "edt",
        "connected-components-3d",
        "fill-voids",
        "fastremap",
        "fastmorph",
        "mahotas",
        "diplib",
        "simpleitk",
        "helaseg",
    )
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((li.split(":")[1].strip() for li in lines if li.startswith("model name")), cpu)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": usable_cores(),
        "memory_gb": round(memory / 1e9, 1),
        "system": platform.platform(),
        "versions": versions,
        "data": inputs.source(),
    }


def run(
    cases: Iterable[Case], *, threads: Sequence[int], budget_s: float, report: bool = True
) -> dict[str, Any]:
    """Measure cases one after the other."""
    machine = {n: roofline(n) for n in threads}
    rows = []
    for case in cases:
        row = measure(case, machine, budget_s)
        rows.append(row)
        if report:
            print(text_row(row), flush=True)
    return {
        "environment": environment(),
        "threads": list(threads),
        "roofline": {str(n): machine[n] for n in machine},
        "rows": json.loads(json.dumps(rows)),
    }


def as_rehearsal(case: Case) -> Case:
    """The same on a tiny input, where no bar holds."""
    return replace(
        case,
        data=f"tiny input instead of {case.data}",
        peers=[replace(peer, bar=None) for peer in case.peers],
        two_threads_bar=None,
        memory_bar=None,
    )


def text_row(row: dict[str, Any]) -> str:
    """A case in a few lines of plain text."""
    memory = row["extra_bytes_per_byte"]
    head = f"{row['kernel']} · {row['data']}: " + ", ".join(
        f"{ms:.2f} ms on {n} thread{'s' if int(n) > 1 else ''}" for n, ms in row["ours_ms"].items()
    )
    lines = [head + ("" if memory is None else f", {memory:.2f} extra bytes per input byte")]
    for peer in row["peers"]:
        ratios = ", ".join(
            f"{f['ratio']:.2f}x [{f['ratio_low']:.2f}-{f['ratio_high']:.2f}] on {n}"
            for n, f in peer["threads"].items()
        )
        first = next(iter(peer["threads"].values()))
        bar = ""
        if peer["bar"] is not None:
            bar = f"  bar {peer['bar']:g}: {'ok' if first['ratio'] >= peer['bar'] else 'MISSED'}"
        lines.append(f"    {peer['name']}: {ratios}{bar}  ({peer['agreement']})")
    if "scaling" in row:
        bar = row["two_threads_bar"]
        ratio = row["scaling"]["ratio"]
        verdict = "" if bar is None else f"  bar {bar:g}: {'ok' if ratio >= bar else 'MISSED'}"
        lines.append(f"    {row['scaling']['threads']} threads over one: {ratio:.2f}x{verdict}")
    return "\n".join(lines)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options that every script takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds per peer")
    parser.add_argument("--only", default="", help="only cases whose name holds this text")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    return parser.parse_args(argv)


def main(cases: Callable[[str], Iterator[Case]], argv: Sequence[str] | None = None) -> None:
    """Run one script: measure, print, and write JSON where asked."""
    chosen = arguments(argv)
    wanted = (
        case if chosen.size == "full" else as_rehearsal(case)
        for case in cases(chosen.size)
        if chosen.only.lower() in f"{case.kernel} {case.data}".lower()
    )
    result = run(wanted, threads=chosen.threads, budget_s=chosen.budget)
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n")
    if not result["rows"]:
        sys.exit(f"no case holds {chosen.only!r} in its name")
