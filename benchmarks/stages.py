"""How long the stages that use the kernels take, on one thread.

    python -m benchmarks.stages slice             # nucleus + cell of one 2000 x 2000 slice
    python -m benchmarks.stages volume            # where the time of a 300 x 2000 x 2000 ROI goes
    python -m benchmarks.stages volume --json before.json
    python -m benchmarks.stages compare before.json after.json

`volume` uses public functions only, so an older version of the package can be
measured with the same script: put its ``src`` first on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import statistics
import tempfile
import time
from pathlib import Path

# Before anything reads it: one thread in kernels, whatever the version.
os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np

import helaseg
from benchmarks.tables import DOCS_PAGE, table, write_docs
from helaseg import Grid, Volume, image, open_volume, segment
from helaseg.execution import make_executor
from helaseg.synthetic import write_phantom

SLICE_BAR_S = 0.35
#: Functions whose time is told, with what they call.
FUNCTIONS = {*image.__all__, "dark_ridges"}
VOXEL_NM = (50.0, 10.0, 10.0)


def time_slice(repeats: int = 9) -> None:
    """Median seconds of segmenting one slice, after one call that does not count."""
    from benchmarks import inputs

    pixels = inputs.slice_2k()[None]
    grid = Grid(shape=pixels.shape, voxel_size_nm=VOXEL_NM, offset_nm=(0.0, 0.0, 0.0))
    volume = Volume(data=pixels, grid=grid, name="slice")
    found, whole = [], []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        result = segment(volume, executor=make_executor("serial"))
        whole.append(time.perf_counter() - begin)
        found.append(sum(c.seconds for c in result.provenance.steps if c.step != "measure"))
    middle = statistics.median(found[1:])
    low, high = np.percentile(found[1:], [25, 75])
    verdict = "ok" if middle <= SLICE_BAR_S else "MISSED"
    print(
        f"nucleus and cell of one 2000 x 2000 slice ({inputs.source()}), one thread: "
        f"{middle:.3f} s [{low:.3f}, {high:.3f}], bar {SLICE_BAR_S} s: {verdict}; "
        f"with its shape measured: {statistics.median(whole[1:]):.3f} s"
    )


def profile_volume(shape: tuple[int, int, int]) -> dict:
    """Seconds per step and per public image function of one segmentation."""
    with tempfile.TemporaryDirectory() as folder:
        write_phantom(
            Path(folder) / "roi",
            shape=shape,
            n_cells=3,
            n_border_cells=0,
            cell_radius_nm=6500 * shape[1] / 2000,
            packing=0.4,
            seed=2,
        )
        volume = open_volume(Path(folder) / "roi" / "image")
        first = volume.slice(shape[0] // 2)[None]
        grid = Grid(shape=first.shape, voxel_size_nm=VOXEL_NM, offset_nm=(0.0, 0.0, 0.0))
        segment(Volume(data=first, grid=grid, name="warm"), executor=make_executor("serial"))
        profiler = cProfile.Profile()
        begin = time.perf_counter()
        profiler.enable()
        result = segment(volume, executor=make_executor("serial"))
        profiler.disable()
        seconds = time.perf_counter() - begin
    functions: dict[str, dict[str, float]] = {}
    for (file, _, name), entry in pstats.Stats(profiler).stats.items():
        parts = Path(file).parts
        if parts[-3:-1] == ("helaseg", "image") and name in FUNCTIONS:
            found = functions.setdefault(name, {"calls": 0, "seconds": 0.0})
            found["calls"] += entry[0]
            found["seconds"] += entry[3]
    return {
        "version": helaseg.__version__,
        "shape": list(shape),
        "seconds": seconds,
        "steps": {cost.step: cost.seconds for cost in result.provenance.steps},
        "functions": functions,
    }


def compare(before: dict, after: dict) -> str:
    """Two profiles side by side, as markdown."""
    rows = [["**everything**", f"{before['seconds']:.1f}", f"{after['seconds']:.1f}", "", ""]]
    for step, seconds in before["steps"].items():
        rows.append(
            [f"step *{step}*", f"{seconds:.1f}", f"{after['steps'].get(step, 0):.1f}", "", ""]
        )
    nothing = {"seconds": 0.0, "calls": 0}
    names = FUNCTIONS & {*before["functions"], *after["functions"]}
    order = sorted(names, key=lambda n: -before["functions"].get(n, nothing)["seconds"])
    for name in order:
        old, new = (side["functions"].get(name, nothing) for side in (before, after))
        if max(old["seconds"], new["seconds"]) >= 0.005 * before["seconds"]:
            rows.append(
                [
                    f"`{name}`",
                    f"{old['seconds']:.1f}",
                    f"{new['seconds']:.1f}",
                    str(int(old["calls"])),
                    str(int(new["calls"])),
                ]
            )
    head = ["", "s before", "s after", "calls before", "calls after"]
    return table(head, rows)


def main() -> None:
    """Measure one stage, or put two profiles side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("slice", "volume", "compare"))
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 2000, 2000))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--docs", action="store_true", help="write the table into the docs")
    chosen = parser.parse_args()
    if chosen.stage == "slice":
        time_slice()
    elif chosen.stage == "volume":
        found = profile_volume(tuple(chosen.shape))
        print(compare(found, found))
        if chosen.json:
            chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    else:
        text = compare(*(json.loads(file.read_text()) for file in chosen.files))
        print(text)
        if chosen.docs:
            write_docs(DOCS_PAGE, "profile", text)


if __name__ == "__main__":
    main()
