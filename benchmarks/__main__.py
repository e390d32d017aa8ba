"""All kernels beside all peers: ``python -m benchmarks`` writes the table of docs/performance.md.

    python -m benchmarks                          # about an hour on a quiet machine
    python -m benchmarks --kernels otsu canny     # measure some again, keep the other rows
    python -m benchmarks --size tiny --out tried # a rehearsal

Each script runs in a process of its own. `results.json` holds every number,
`results.md` the tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.tables import RESULTS, write_all

HERE = Path(__file__).parent
KERNELS = (
    "otsu",
    "gaussian",
    "canny",
    "distance",
    "watershed",
    "opening",
    "components",
    "fill_holes",
    "peaks",
    "hausdorff",
    "contingency",
)


def main() -> None:
    """Run the scripts, merge what they measured, write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=list(KERNELS))
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--budget", type=float, default=6.0, help="seconds per peer")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    if chosen.size == "tiny" and chosen.out == RESULTS:
        parser.error("a rehearsal must not replace the results: give --out another folder")
    merged = _measure_all(chosen)
    file = chosen.out / "results.json"
    if set(chosen.kernels) != set(KERNELS) and file.exists():
        merged = _update(json.loads(file.read_text()), merged)
    write_all(merged, chosen.out)
    missed = _missed(merged)
    print(f"tables in {chosen.out}; " + (f"missed: {missed}" if missed else "every bar reached"))


def _measure_all(chosen: argparse.Namespace) -> dict:
    """Run the scripts one after the other and put their rows together."""
    merged: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.kernels:
            print(f"== {name}", flush=True)
            file = Path(folder) / f"{name}.json"
            command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file)]
            command += ["--size", chosen.size, "--budget", str(chosen.budget)]
            command += ["--threads", *map(str, chosen.threads)]
            subprocess.run(command, cwd=HERE.parent, check=True)
            part = json.loads(file.read_text())
            if merged:
                merged["rows"] += part["rows"]
            else:
                merged = part
    return merged


def _update(stored: dict, fresh: dict) -> dict:
    """Replace the rows of some kernels; refused where the machine or a version is another one."""
    if stored["environment"] != fresh["environment"] or stored["threads"] != fresh["threads"]:
        sys.exit("machine, versions or threads differ from the stored results: measure everything")
    rows: dict[str, list] = {}
    for source in (stored, fresh):
        # a kernel keeps its place in the table
        rows |= {row["kernel"]: [] for row in source["rows"]}
        for row in source["rows"]:
            rows[row["kernel"]].append(row)
    return stored | {"rows": [row for kernel in rows.values() for row in kernel]}


def _missed(results: dict) -> list[str]:
    """Every bar that was not reached."""
    missed = []
    for row in results["rows"]:
        where = f"{row['kernel']}, {row['data']}"
        scaling = row.get("scaling")
        bar = row["two_threads_bar"]
        if bar is not None and scaling is not None and scaling["ratio"] < bar:
            missed.append(f"{where}: {scaling['threads']} threads")
        for peer in row["peers"]:
            first = peer["threads"][str(min(results["threads"]))]
            if peer["bar"] is not None and first["ratio"] < peer["bar"]:
                missed.append(f"{where}: {peer['name']}")
    return missed


if __name__ == "__main__":
    main()
