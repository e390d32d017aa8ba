"""What must be reached on phantoms and in memory; slow."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from helaseg import make_phantom, run
from helaseg.io import open_volume


@pytest.mark.slow
def test_phantom_of_eight_cells(tmp_path):
    made = make_phantom(shape=(64, 1536, 1536), n_cells=8, seed=0)
    run(made.image, tmp_path / "run", executor="threads:2")
    labels = tmp_path / "run" / "cells.ome.zarr" / "image" / "labels"
    found = {name: open_volume(labels / name).read() for name in ("cell", "nucleus")}
    truth = {name: made.truth[name].read() for name in found}
    complete = [cell for cell in made.cells if cell.complete]
    assert len(complete) >= 5
    owners = []
    for cell in complete:
        inside = np.bincount(found["cell"][truth["cell"] == cell.id])
        inside[0] = 0
        owners.append(int(inside.argmax()))
        assert inside.max() > 0, f"cell {cell.id} is not found"
    assert len(set(owners)) == len(owners), "two cells are found as one"
    for name, bar in (("cell", 0.93), ("nucleus", 0.96)):
        mine = np.isin(found[name], owners)
        true = np.isin(truth[name], [cell.id for cell in complete])
        value = np.count_nonzero(mine & true) / np.count_nonzero(mine | true)
        assert value >= bar, f"{name}: {value:.4f}"


@pytest.mark.slow
def test_a_full_size_roi_stays_within_its_memory(tmp_path):
    import threading
    import time

    import psutil

    from helaseg.synthetic import write_phantom

    write_phantom(
        tmp_path / "big",
        shape=(300, 2000, 2000),
        n_cells=3,
        n_border_cells=0,
        cell_radius_nm=6500,
        packing=0.4,
        seed=2,
    )
    command = [sys.executable, "-m", "helaseg", "segment"]
    process = subprocess.Popen([*command, str(tmp_path / "big" / "image"), str(tmp_path / "out")])
    peak = [0]

    def watch() -> None:
        known = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                tree = [known, *known.children(recursive=True)]
                peak[0] = max(peak[0], sum(p.memory_info().rss for p in tree))
            except psutil.Error:
                return
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.wait() == 0
    watcher.join()
    assert peak[0] < 2.5e9, f"{peak[0] / 1e9:.2f} GB"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process so")
def test_the_distance_transform_of_a_large_mask_fits_into_little_memory(tmp_path):
    # 1.2 GB of mask, 4.8 GB of result in a file; what a process may allocate is limited
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (2_000_000_000, 2_000_000_000))
import numpy as np
from helaseg.image import distance_transform
mask = np.ones((300, 2000, 2000), bool)
holes = np.random.default_rng(0).integers((0, 0, 0), mask.shape, (400, 3))
mask[tuple(holes.T)] = False
out = np.lib.format.open_memmap(sys.argv[1], "w+", np.float32, mask.shape)
distance_transform(mask, spacing=(50, 10, 10), out=out)
places = np.random.default_rng(1).integers((0, 0, 0), mask.shape, (500, 3))
away = (places[:, None] - holes) * np.array((50.0, 10.0, 10.0))
want = np.sqrt((away**2).sum(axis=2).min(axis=1))
np.testing.assert_allclose(out[tuple(places.T)], want, rtol=1e-6)
print("exact")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "distance.npy")],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "exact\n", done.stderr
