"""The job on a whole stack of 8192 x 8192 pixels: probing, cropping, everything, two workers.

    python -m benchmarks.whole make F              # phantoms in F, half an hour, 10 GB
    python -m benchmarks.whole probe F             # 26 slices: time beyond reading, memory, found
    python -m benchmarks.whole crop F              # 30 boxes beside a plain copy of the same bytes
    python -m benchmarks.whole run F               # the full job on 64 slices, memory of it all
    python -m benchmarks.whole workers F           # the cell stage with one worker and with two
    python -m benchmarks.whole extrapolate F       # from the run to 518 slices and 100 stacks

Memory is that of the process with all its children, sampled every tenth of a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.tables import write_docs

SCALING_PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
#: Probed as every twentieth slice of 50 nm would be; and slices of 50 nm.
PHANTOMS = {
    "probe26": {"shape": (26, 8192, 8192), "voxel_size_nm": (1000, 10, 10), "n_cells": 44},
    "full64": {
        "shape": (64, 8192, 8192),
        "voxel_size_nm": (50, 10, 10),
        "n_cells": 60,
        "cell_radius_nm": 5000.0,
    },
}
SEED = 3


class Watch(threading.Thread):
    """Peak memory of this process and its children while a ``with`` block runs, in GB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_gb = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.1):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    # What processes share is counted once.
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.peak_gb = max(self.peak_gb, total / 1e9)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def make(folder: Path) -> None:
    from helaseg.synthetic import write_phantom

    for name, settings in PHANTOMS.items():
        if (folder / name).exists():
            continue
        begin = time.perf_counter()
        write_phantom(folder / name, seed=SEED, **settings)
        for truth in ("mitochondria", "envelope"):
            shutil.rmtree(folder / name / "truth" / truth)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)


def probe(folder: Path, executor: str) -> None:
    """Probe, link and report 26 slices; time beyond reading them, memory, what was found."""
    from helaseg import open_volume
    from helaseg.execution import make_executor
    from helaseg.pipelines import classical

    volume = open_volume(folder / "probe26" / "image")
    begin = time.perf_counter()
    for z in range(volume.shape[0]):
        volume.slice(z).sum()
    reading = time.perf_counter() - begin
    with make_executor(executor) as pool, Watch() as watch:
        begin = time.perf_counter()
        found = classical.detect(volume, executor=pool)
        seconds = time.perf_counter() - begin
    print(
        f"probing {volume.shape[0]} slices of 8192 x 8192, linking ({executor}): {seconds:.1f} s, "
        f"reading alone {reading:.1f} s; peak memory {watch.peak_gb:.2f} GB"
    )
    score_detection(folder / "probe26", found)


def score_detection(folder: Path, found) -> None:
    """Recall and precision of cells, one to one by what their detections lie in, and flags.

    A cell counts as cut if its section in the first or last slice, or at a side, is
    at least 5 % of its largest one: what a tip shows there is no cut.
    """
    from helaseg import open_volume
    from helaseg.core.objects import CellFlag

    cells = {c["id"]: c for c in json.loads((folder / "phantom.json").read_text())["cells"]}
    truth = open_volume(folder / "truth" / "cell").data
    sections = np.stack(
        [
            np.bincount(truth[z, ::4, ::4].ravel(), minlength=max(cells) + 1)
            for z in range(len(truth))
        ]
    )
    ends = np.stack([sections[0], sections[-1]]) >= 0.05 * sections.max(axis=0)
    owner = {}
    for track in found.tracks:
        votes = [int(truth[d.z, round(d.y), round(d.x)]) for d in track.detections]
        votes = [v for v in votes if v]
        owner[track.id] = statistics.mode(votes) if votes else 0
    hit = set(owner.values()) - {0}
    right = {"first slice": 0, "last slice": 0, "side": 0}
    tracks = [t for t in found.tracks if owner[t.id]]
    for track in tracks:
        cell = cells[owner[track.id]]
        inside = min(
            min(c, n - c) * 10
            for c, n in zip(cell["centroid_vx"][1:], truth.shape[1:], strict=True)
        )
        truths = (
            ("first slice", CellFlag.CUT_AT_FIRST_SLICE, ends[0, cell["id"]]),
            ("last slice", CellFlag.CUT_AT_LAST_SLICE, ends[1, cell["id"]]),
            ("side", CellFlag.CUT_BY_SIDE, inside < 0.8 * cell["radius_nm"]),
        )
        for name, flag, wanted in truths:
            right[name] += bool(track.flags & flag) == bool(wanted)
    said = ", ".join(f"{name} {n} of {len(tracks)}" for name, n in right.items())
    print(
        f"{len(cells)} cells, {len(found.tracks)} tracks: recall {len(hit) / len(cells):.3f}, "
        f"precision {len(hit) / max(1, len(found.tracks)):.3f}; flags right: cut at {said}"
    )


def crop(folder: Path, executor: str, n_rounds: int = 3) -> None:
    """30 boxes of 2000 x 2000 pixels beside a copy of as many bytes, in turn."""
    from helaseg import open_volume
    from helaseg.core.grid import Roi
    from helaseg.core.objects import CellFlag
    from helaseg.execution import make_executor
    from helaseg.io import CellRow
    from helaseg.pipelines.cropping import cut_boxes

    volume = open_volume(folder / "full64" / "image")
    rng = np.random.default_rng(SEED)
    rows = []
    for k in range(1, 31):
        y, x = (int(v) for v in rng.integers(0, 8192 - 2000, 2))
        box = Roi(start=(0, y, x), stop=(volume.shape[0], y + 2000, x + 2000))
        place = (0.0, y + 1000.0, x + 1000.0)
        rows.append(
            CellRow(
                id=k,
                centroid_vx=place,
                centroid_nm=place,
                radius_nm=7000.0,
                first_slice=0,
                last_slice=63,
                flags=CellFlag.NONE,
                roi=box,
            )
        )
    ratios, peaks, rates = [], [], []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for k in range(n_rounds):
            out, copy = Path(scratch) / f"out{k}", Path(scratch) / f"copy{k}"
            os.sync()
            with make_executor(executor) as pool, Watch() as watch:
                begin = time.perf_counter()
                list(cut_boxes(volume, rows, out, executor=pool))
                os.sync()
                cutting = time.perf_counter() - begin
            peaks.append(watch.peak_gb)
            files = sorted(out.rglob("*.tif"))
            begin = time.perf_counter()
            for file in files:
                target = copy / file.relative_to(out)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
            os.sync()
            copying = time.perf_counter() - begin
            ratios.append(copying / cutting)
            rates.append(sum(f.stat().st_size for f in files) / cutting / 1e9)
            shutil.rmtree(out)
            shutil.rmtree(copy)
    print(
        f"cropping 30 boxes of 64 x 2000 x 2000 ({executor}), with checksums: "
        f"{statistics.median(ratios):.2f} times the speed of a copy (each {np.round(ratios, 2)}), "
        f"{statistics.median(rates):.2f} GB/s, peak memory {max(peaks):.2f} GB"
    )


def run(folder: Path, executor: str) -> None:
    """The full job by the command line, memory of the whole process tree."""
    out = folder / "run64"
    command = [sys.executable, "-m", "helaseg", "run", str(folder / "full64" / "image")]
    command += [str(out), "--executor", executor, "--overwrite", "--quiet"]
    with Watch() as watch:
        begin = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - begin
    pages = sorted(f.stat().st_mtime for f in out.glob("**/report.html"))
    # From the first page to that of the run.
    (out / "wall.json").write_text(json.dumps({"all": seconds, "report": pages[-1] - pages[0]}))
    print(
        f"full job on 64 x 8192 x 8192 ({executor}): {seconds:.0f} s, peak {watch.peak_gb:.2f} GB"
    )
    for step in json.loads((out / "run.json").read_text())["steps"]:
        print(f"  {step['step']}: {step['seconds']:.0f} s over all workers")
    score_cells(folder)


def score_cells(folder: Path) -> None:
    """Jaccard index of each cell of the phantom with the cell that fits it best."""
    from helaseg import open_volume

    found = open_volume(folder / "run64" / "cells.ome.zarr" / "image" / "labels" / "cell").data
    truth = open_volume(folder / "full64" / "truth" / "cell").data
    n = 1000
    pairs = np.zeros(n * n, np.int64)
    for z in range(0, truth.shape[0], 8):
        # Every second pixel: sizes are compared, not borders.
        a = np.asarray(truth[z : z + 8, ::2, ::2]).astype(np.int64)
        b = np.asarray(found[z : z + 8, ::2, ::2])
        pairs += np.bincount((a * n + b).ravel(), minlength=n * n)
    both = pairs.reshape(n, n)
    real, seen = both.sum(axis=1), both.sum(axis=0)
    jaccard = both / np.maximum(real[:, None] + seen[None] - both, 1)
    best = jaccard[1:, 1:][real[1:] > 0].max(axis=1)
    print(
        f"{len(best)} cells: Jaccard index in the median {np.median(best):.3f}, "
        f"{np.count_nonzero(best > 0.9)} above 0.9, {np.count_nonzero(best > 0.75)} above 0.75"
    )


def workers(folder: Path) -> None:
    """The same cells with one worker and with two, each a process with one thread."""
    from helaseg.io import read_cells_csv

    os.environ["NUMBA_NUM_THREADS"] = "1"
    done = folder / "run64"
    cells = sorted(read_cells_csv(done / "cells.csv"), key=lambda c: np.prod(c.roi.shape))
    # Alike in size, so that both workers are busy to the end.
    ids = [c.id for c in cells[len(cells) // 2 :][:6]]
    times: dict[str, list[float]] = {}
    for _ in range(3):
        for executor in ("processes:1", "processes:2"):
            times.setdefault(executor, []).append(_segment_again(done, ids, executor))
    ratios = [a / b for a, b in zip(times["processes:1"], times["processes:2"], strict=True)]
    print(
        f"nucleus and cell of {len(ids)} crops: two workers are {statistics.median(ratios):.2f} "
        f"times as fast as one (each {np.round(ratios, 2)})"
    )


def _segment_again(done: Path, ids: list[int], executor: str) -> float:
    """Seconds to segment crops of a finished run, after the workers have started."""
    from helaseg.execution import make_executor, ordered_map
    from helaseg.io import open_volume, read_cells_csv
    from helaseg.pipelines import batch
    from helaseg.pipelines.classical import SegmentConfig
    from helaseg.pipelines.cropping import roi_name
    from helaseg.pipelines.targets import target_of

    grid = open_volume(done / "cells.ome.zarr" / "image" / "labels" / "cell").grid
    with tempfile.TemporaryDirectory() as scratch, make_executor(executor) as pool:
        tasks = [
            batch.SegmentTask(
                name="again",
                crop=done / "rois" / roi_name(cell) / "raw",
                grid=grid.crop(cell.roi),
                folder=Path(scratch) / str(cell.id),
                target_vx=target_of(cell),
                config=SegmentConfig(),
            )
            for cell in read_cells_csv(done / "cells.csv")
            if cell.id in ids
        ]
        list(ordered_map(pool, batch.segment_one, tasks[:2]))
        begin = time.perf_counter()
        list(ordered_map(pool, batch.segment_one, tasks))
        return time.perf_counter() - begin


#: The stack of the paper: slices, slices probed, boxes of 300 x 2000 x 2000 voxels.
STACK_SLICES, STACK_PROBES, STACK_BOXES, BOX_VX = 518, 26, 30, 300 * 2000 * 2000


def extrapolate(folder: Path) -> str:
    """From the rates of the measured run to 518 slices, and to 100 such stacks."""
    from helaseg.cells.detection.detect import probed_indices
    from helaseg.io import open_volume, read_cells_csv

    done = folder / "run64"
    run = json.loads((done / "run.json").read_text())
    seconds = {step["step"]: step["seconds"] for step in run["steps"]}
    seconds["report"] = json.loads((done / "wall.json").read_text())["report"]
    grid = open_volume(done / "cells.ome.zarr" / "image" / "labels" / "cell").grid
    cells = read_cells_csv(done / "cells.csv")
    box_vx = sum(int(np.prod(c.roi.shape)) for c in cells)
    probes = len(probed_indices(grid, slice_step_nm=run["config"]["detect"]["slice_step_nm"]))
    slices = STACK_SLICES / grid.shape[0]
    boxes = STACK_BOXES * BOX_VX / box_vx
    per_cell = ("nucleus", "envelope", "cell", "measure", "write")
    rows = [
        ("probing", "workers", seconds["detect"] * STACK_PROBES / probes),
        ("cutting boxes", "one machine, disk", seconds["crop"] * boxes),
        ("nucleus, cell, shape, files", "workers", sum(seconds[s] for s in per_cell) * boxes),
        ("pasting", "one machine", seconds["paste"] * slices),
        ("pages", "one machine", seconds["report"] * STACK_BOXES / len(cells)),
    ]
    lines = [
        f"From {len(cells)} cells in {grid.shape[0]} x 8192 x 8192 voxels, to {STACK_BOXES} boxes "
        f"of 300 x 2000 x 2000 in {STACK_SLICES} slices:",
        "",
        "| step | who | core minutes |",
        "|---|---|---|",
        *(f"| {name} | {who} | {value / 60:.1f} |" for name, who, value in rows),
        "",
        "| workers | one stack (h) | 100 stacks in turn (h) | serial share |",
        "|---|---|---|---|",
    ]
    serial = sum(v for _, who, v in rows if who != "workers")
    parallel = sum(v for _, who, v in rows if who == "workers")
    for n in (1, 2, 8, 30, 100):
        # A stack has 30 boxes, so that many workers are busy at most.
        total = serial + parallel / min(n, STACK_BOXES)
        one, all_, share = total / 3600, total / 36, 100 * serial / total
        lines.append(f"| {n} | {one:.2f} | {all_:.0f} | {share:.0f} % |")
    text = "\n".join(lines)
    print(text)
    return text


def main() -> None:
    """One part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("make", "probe", "crop", "run", "workers", "extrapolate"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--executor", default="threads:2")
    chosen = parser.parse_args()
    if chosen.part == "make":
        make(chosen.folder)
    elif chosen.part == "workers":
        workers(chosen.folder)
    elif chosen.part == "extrapolate":
        write_docs(SCALING_PAGE, "extrapolation", extrapolate(chosen.folder))
    else:
        {"probe": probe, "crop": crop, "run": run}[chosen.part](chosen.folder, chosen.executor)


if __name__ == "__main__":
    main()
