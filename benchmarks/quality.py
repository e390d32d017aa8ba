"""How good and how fast the unsupervised method is, defaults only.

    python benchmarks/quality.py phantom          # 64 x 1536 x 1536, 8 cells
    python benchmarks/quality.py packed           # 12 cells, no resin between them
    python benchmarks/quality.py twice            # cells found twice, and their flags
    python benchmarks/quality.py real             # needs HELASEG_REAL_DATA or ../shared/data

Each part prints what it measured; nothing is asserted here (the tests do that).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve()


def jaccard(a, b):
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)


def packed() -> None:
    phantom(n_cells=12, packing=1.0)


def phantom(seeds=(0, 1), **settings) -> None:
    from helaseg import make_phantom, run
    from helaseg.io import open_volume

    for seed in seeds:
        made = make_phantom(seed=seed, **settings)
        truth = {name: made.truth[name].read() for name in ("cell", "nucleus")}
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            result = run(made.image, Path(folder) / "run", executor="threads:2")
            seconds = time.perf_counter() - start
            labels = Path(folder) / "run" / "cells.ome.zarr" / "image" / "labels"
            found = {name: open_volume(labels / name).read() for name in truth}
        counts = f"{len(made.cells)} cells, {len(result.cells)} found"
        print(f"phantom seed {seed}: {counts}, {seconds:.0f} s")
        hits = 0
        for cell in made.cells:
            inside = truth["cell"] == cell.id
            owner = np.bincount(found["cell"][inside])
            owner[0] = 0
            best = int(owner.argmax()) if owner.any() else -1
            scores = {name: jaccard(truth[name] == cell.id, found[name] == best) for name in truth}
            hits += scores["cell"] > 0.75
            kind = "complete" if cell.complete else "cut by the border"
            print(
                f"  cell {cell.id} ({kind}): nucleus {scores['nucleus']:.4f}, "
                f"cell {scores['cell']:.4f}, found as {best}"
            )
        f1 = 2 * hits / (len(made.cells) + len(result.cells))
        print(f"  F-measure of cells at a Jaccard index of 0.75: {f1:.3f}")
        for name in truth:
            print(f"  all {name} voxels: {jaccard(truth[name] > 0, found[name] > 0):.4f}")


def twice() -> None:
    """Count the cells of phantoms that come as two tracks, and the flags that say so."""
    from helaseg import CellFlag, make_phantom
    from helaseg.execution import make_executor
    from helaseg.pipelines.classical import detect

    small = {"shape": (64, 800, 800), "voxel_size_nm": (50, 16, 16), "n_border_cells": 0}
    coarse = {"shape": (100, 1024, 1024), "voxel_size_nm": (50, 20, 20)}
    kinds = (
        ("small", 25, {**small, "n_cells": 3}),
        ("packed", 5, {"n_cells": 12, "packing": 1.0}),
        ("dense", 4, {"n_cells": 12, "packing": 0.8}),
        ("packed, 20 nm", 4, {**coarse, "n_cells": 8, "packing": 1.0}),
    )
    for name, n_seeds, settings in kinds:
        n_cells = n_twice = n_flagged = n_false = 0
        for seed in range(n_seeds):
            made = make_phantom(seed=seed, **settings)
            with make_executor("threads:2") as pool:
                tracks = detect(made.image, executor=pool).tracks
            cells = made.truth["cell"].data
            flags: dict[int, list[bool]] = {}
            for track in tracks:
                inside = [int(cells[d.z, int(d.y), int(d.x)]) for d in track.detections]
                owner = max(set(inside), key=inside.count)
                flags.setdefault(owner, []).append(CellFlag.MAYBE_PART in track.flags)
            n_cells += len(flags)
            n_twice += sum(len(of_cell) > 1 for of_cell in flags.values())
            n_flagged += sum(len(of_cell) > 1 and any(of_cell) for of_cell in flags.values())
            n_false += sum(of_cell == [True] for of_cell in flags.values())
        print(
            f"{name}: {n_cells} cells, {n_twice} found twice, {n_flagged} of them flagged, "
            f"{n_false} others flagged"
        )


def real_folder() -> Path:
    beside = HERE.parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HELASEG_REAL_DATA", beside))
    if not (folder / "roi_6005_4739").is_dir():
        sys.exit("no real slices here: set HELASEG_REAL_DATA to the folder that holds them")
    return folder


def traced_stacks():
    """Two runs of real slices, one slice of each traced by hand.

    Yields a name, the volume, the index of that slice, and its masks: "nucleus",
    "cell", and "cell_doubt" where the cell is a matter of taste.
    """
    import tifffile

    from helaseg import Grid, Volume

    crop = real_folder() / "roi_6005_4739"
    for numbers, traced in ((range(56, 66, 2), 60), (range(110, 122, 2), 116)):
        data = np.stack([tifffile.imread(crop / "raw" / f"z{n:04d}.tif") for n in numbers])
        volume = Volume(data=data, grid=Grid(shape=data.shape, voxel_size_nm=(100, 10, 10)))
        truth = {
            name: tifffile.imread(crop / "truth" / f"{name}_z{traced:04d}.tif") > 0
            for name in ("nucleus", "cell", "cell_doubt")
        }
        yield f"real z{traced:04d}", volume, list(numbers).index(traced), truth


def real() -> None:
    import tifffile

    from helaseg import Grid, Volume, detect_cells, segment

    for name, volume, z, truth in traced_stacks():
        result = segment(volume)
        nucleus = jaccard(truth["nucleus"], result.nucleus.slice(z) != 0)
        sure = ~truth["cell_doubt"]
        cell = jaccard(truth["cell"] & sure, (result.cell.slice(z) != 0) & sure)
        print(f"{name}: nucleus {nucleus:.4f}, cell outside doubt {cell:.4f}")
    field = tifffile.imread(real_folder() / "field" / "slice130_28nm.tif")
    grid = Grid(shape=(1, *field.shape), voxel_size_nm=(50, 28.08, 28.08))
    found = detect_cells(Volume(data=field[None], grid=grid))
    print(f"real field: {len(found)} detections; recall in tests/cells/detection/test_detect.py")


if __name__ == "__main__":
    parts = {"phantom": phantom, "packed": packed, "twice": twice, "real": real}
    chosen = sys.argv[1:] or ["phantom", "real"]
    unknown = [name for name in chosen if name not in parts]
    if unknown:
        sys.exit(f"unknown part {unknown[0]!r}; there are {', '.join(parts)}")
    warnings.simplefilter("ignore")
    for name in chosen:
        parts[name]()
