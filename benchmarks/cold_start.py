"""How long a fresh installation takes to its first result, and where the time goes.

    python -m benchmarks.cold_start               # prints; --docs also writes docs/performance.md

Every line is a process of its own. "cold" starts with an empty kernel cache,
"warm" with the cache that the cold one left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.tables import DOCS_PAGE, table, write_docs

#: What is run, and the Python statement that does it.
RUNS = (
    ("import helaseg", "import helaseg"),
    ("first kernel: Otsu's threshold", "from helaseg.image import otsu_threshold as f; f(grey)"),
    ("segment one slice, 700 x 700", "segment_slice()"),
    ("every kernel (helaseg doctor --warm)", "warm_kernels()"),
)

_CHILD = """
import json, sys, time

def segment_slice():
    from helaseg import make_phantom, segment
    segment(made.image)

def warm_kernels():
    from helaseg.pipelines.warm import warm_kernels
    warm_kernels()

statement = sys.argv[1]
if "grey" in statement:
    import numpy as np
    grey = np.random.default_rng(0).integers(0, 255, (256, 256), np.uint8)
if "segment" in statement:
    from helaseg import make_phantom
    made = make_phantom(shape=(1, 700, 700), n_cells=1, seed=0)
if statement.startswith("import"):
    begin = time.perf_counter()
    exec(statement)
    took, made_now, kernels = time.perf_counter() - begin, 0, {}
else:
    from helaseg.execution import watch_compilation
    begin = time.perf_counter()
    with watch_compilation() as compiled:
        exec(statement)
    took, made_now, kernels = time.perf_counter() - begin, compiled.n_compiled, compiled.seconds
print(json.dumps({"seconds": took, "compiled": made_now, "kernels": kernels}))
"""


def child(statement: str, cache: str) -> dict:
    """Run a statement in a fresh process; seconds, and what it compiled."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, statement],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure() -> tuple[list[list[str]], list[list[str]]]:
    """Rows for the runs, and for the files of kernels."""
    rows = []
    for name, statement in RUNS:
        with tempfile.TemporaryDirectory() as cache:
            cold = child(statement, cache)
            warm = child(statement, cache)
            kept = [f for f in Path(cache).rglob("*") if f.suffix == ".nbc"]
            size = sum(f.stat().st_size for f in kept) / 1e6
        rows.append(
            [
                name,
                f"{cold['seconds']:.2f}",
                f"{warm['seconds']:.2f}",
                str(cold["compiled"]),
                str(warm["compiled"]),
                f"{size:.1f}",
            ]
        )
    per_file: dict[str, list[float]] = {}
    for kernel, seconds in cold["kernels"].items():
        per_file.setdefault(kernel.split(".")[0], []).append(seconds)
    files = sorted(per_file.items(), key=lambda item: -sum(item[1]))
    return rows, [[name, str(len(times)), f"{sum(times):.1f}"] for name, times in files]


def main() -> None:
    """Measure and print; write the page where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", action="store_true", help="also write docs/performance.md")
    chosen = parser.parse_args()
    rows, files = measure()
    head = ["first call in a process", "s, cold", "s, warm", "compiled cold", "compiled warm"]
    text = table([*head, "cache MB"], rows)
    text += "\n" + table(["file of kernels", "kernels called from outside", "s to compile"], files)
    print(text)
    if chosen.docs:
        write_docs(DOCS_PAGE, "cold_start", text)


if __name__ == "__main__":
    main()
