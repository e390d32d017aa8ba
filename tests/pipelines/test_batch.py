"""The whole job on a small volume: the same with any executor, resumed, steered by its table."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helaseg.cells.detection.detect import DetectConfig
from helaseg.cells.detection.rois import RoiConfig
from helaseg.cells.detection.track import TrackConfig
from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.errors import NothingFoundWarning, OutputExistsError, ParameterError
from helaseg.io import open_volume, read_cells_csv, read_segmentation, write_tiff_slices
from helaseg.pipelines import batch
from helaseg.pipelines.classical import RunConfig
from helaseg.synthetic import make_phantom

#: For cells of a third of the real size.
CONFIG = RunConfig(
    detect=DetectConfig(min_radius_nm=800),
    track=TrackConfig(min_radius_nm=1000, min_length_nm=500, small_radius_nm=800),
    rois=RoiConfig(margin_nm=(300, 500, 500)),
)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """Cells of a phantom, on disk as a worker process must read them."""
    from helaseg.io import write_tiff

    phantom = make_phantom(
        shape=(16, 220, 400),
        voxel_size_nm=(150, 24, 24),
        n_cells=2,
        packing=0.2,
        noise=0.4,
        n_border_cells=0,
        n_flat_cells=0,
        seed=5,
    )
    path = tmp_path_factory.mktemp("phantom") / "image.tif"
    write_tiff(path, phantom.image.read(), phantom.image.grid)
    return open_volume(path)


@pytest.fixture(scope="module")
def finished(volume: Volume, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of an uninterrupted run; copy it before changing it."""
    out = tmp_path_factory.mktemp("finished") / "run"
    result = batch.run(volume, out, CONFIG)
    assert len(result.cells) >= 2
    assert set(result.segmentations) == {cell.id for cell in result.cells}
    return out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def segmented(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of the cells whose segmentation is started."""
    ids: list[int] = []
    original = batch.segment_one

    def spy(task: Any) -> Any:
        ids.append(_id_of(task))
        return original(task)

    monkeypatch.setattr(batch, "segment_one", spy)
    return ids


def _id_of(task: Any) -> int:
    return int(task.folder.name.split("_")[1])


def voxels(out: Path) -> dict[str, np.ndarray]:
    """Every label image of a run."""
    found = {
        name: open_volume(out / "cells.ome.zarr" / "image" / "labels" / name).read()
        for name in ("cell", "nucleus")
    }
    for folder in sorted((out / "rois").iterdir()):
        result = read_segmentation(folder)
        found[folder.name] = result.labels.read()
        found[f"{folder.name}/raw"] = open_volume(folder / "raw", (150, 24, 24)).read()
    return found


def assert_same(a: Path, b: Path) -> None:
    first, second = voxels(a), voxels(b)
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for name in ("cells.csv", "detections.csv", "measurements.csv"):
        assert (a / name).read_text() == (b / name).read_text()


def edit(table: Path, change: Any) -> None:
    """Rewrite cells.csv with the rows that `change` returns."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(change(rows))


def test_one_table_holds_the_measurements_of_all_cells(finished: Path) -> None:
    with (finished / "measurements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = read_cells_csv(finished / "cells.csv")
    assert [int(row["id"]) for row in rows] == [cell.id for cell in cells]
    assert next(iter(rows[0])) == "id"
    for row in rows:
        (folder,) = (finished / "rois").glob(f"roi_{int(row['id']):03d}_*")
        with (folder / "measurements.csv").open(newline="") as file:
            (own,) = csv.DictReader(file)
        assert own == {name: row[name] for name in own}


def test_the_labels_hold_the_cells_and_their_nuclei(finished: Path, volume: Volume) -> None:
    found = voxels(finished)
    ids = {cell.id for cell in read_cells_csv(finished / "cells.csv")}
    assert found["cell"].shape == volume.shape
    assert found["cell"].dtype == np.uint16
    assert set(np.unique(found["cell"])) == ids | {0}
    inside = found["nucleus"] > 0
    assert inside.any()
    np.testing.assert_array_equal(found["nucleus"][inside], found["cell"][inside])


@pytest.mark.parametrize("executor", ["threads:2", "processes:2"])
def test_every_executor_gives_the_same_voxels(
    executor: str, volume: Volume, finished: Path, tmp_path: Path
) -> None:
    before = list(warnings.filters)
    batch.run(volume, tmp_path / "run", CONFIG, executor=executor)
    assert_same(tmp_path / "run", finished)
    # Threads that hush warnings on their own would leave the process hushed.
    assert warnings.filters == before


@pytest.mark.filterwarnings("ignore")  # a cluster warns of its own shutdown
def test_a_cluster_gives_the_same_voxels_though_a_worker_is_killed(
    volume: Volume, finished: Path, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit="2GB"
    ) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        killed: list[int] = []

        def kill(step: str, done: int, total: int) -> None:
            # The first cell is done, so the others are under way.
            if step == "cells" and not killed:
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

        out = tmp_path / "run"
        result = batch.run(volume, out, CONFIG, executor=cluster.scheduler_address, progress=kill)
    assert killed
    assert set(result.segmentations) == {cell.id for cell in read_cells_csv(finished / "cells.csv")}
    assert_same(out, finished)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a cluster warns of its own shutdown
def test_twenty_workers_with_little_memory_give_the_same_voxels(tmp_path: Path) -> None:
    from distributed import LocalCluster

    phantom = make_phantom(
        shape=(16, 560, 900), voxel_size_nm=(150, 24, 24), n_cells=9, noise=0.4, seed=5
    )
    write_tiff_slices(tmp_path / "image", phantom.image.data, phantom.image.grid, prefix="s")
    image = open_volume(tmp_path / "image")
    alone = batch.run(image, tmp_path / "alone", CONFIG)
    assert len(alone.cells) >= 6
    with LocalCluster(
        n_workers=20, threads_per_worker=1, dashboard_address=None, memory_limit="800MB"
    ) as cluster:
        batch.run(image, tmp_path / "run", CONFIG, executor=cluster.scheduler_address)
        assert len(cluster.workers) == 20  # none ran out of memory
    assert_same(tmp_path / "run", tmp_path / "alone")


def test_a_finished_run_is_not_done_again(
    copied: Path, volume: Volume, segmented: list[int]
) -> None:
    stamp = (copied / "cells.ome.zarr" / "zarr.json").stat().st_mtime_ns
    result = batch.run(volume, copied, CONFIG)
    assert segmented == []
    assert (copied / "cells.ome.zarr" / "zarr.json").stat().st_mtime_ns == stamp
    # The costs are those of the run that did the work.
    seconds = {cost.step: cost.seconds for cost in result.steps}
    assert {"detect", "nucleus", "cell", "paste"} <= set(seconds)
    assert min(seconds.values()) > 0
    with pytest.raises(OutputExistsError, match="other settings; choose another folder"):
        batch.run(volume, copied, RunConfig())


def test_an_interrupted_run_goes_on_where_it_stopped(
    volume: Volume, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    cells = read_cells_csv(finished / "cells.csv")
    original, started = batch.segment_one, []

    def stops_at_the_second(task: Any) -> Any:
        started.append(_id_of(task))
        if len(started) == 2:
            raise KeyboardInterrupt
        return original(task)

    monkeypatch.setattr(batch, "segment_one", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        batch.run(volume, out, CONFIG)
    assert started == [cell.id for cell in cells[:2]]
    assert not (out / "cells.ome.zarr").exists()
    with (out / "journal.jsonl").open("a") as journal:
        journal.write('{"key": "run/cell/2", "finger')
    batch.run(volume, out, CONFIG)
    assert started[2:] == [cell.id for cell in cells[1:]]
    assert_same(out, finished)


def test_a_lost_file_is_made_again(
    copied: Path, finished: Path, volume: Volume, segmented: list[int]
) -> None:
    lost = next(f for f in (copied / "rois").iterdir() if f.name.startswith("roi_002_"))
    (lost / "labels.tif").unlink()
    batch.run(volume, copied, CONFIG)
    assert segmented == [2]
    assert_same(copied, finished)


def test_damaged_intermediates_are_made_again_and_nothing_else(
    copied: Path, finished: Path, volume: Volume, segmented: list[int]
) -> None:
    def damage(path: Path) -> None:
        """Another byte in a file of the same size."""
        data = bytearray(path.read_bytes())
        data[-1] ^= 255
        path.write_bytes(data)

    crop = next((copied / "rois").glob("roi_001_*"))
    damage(next(iter(sorted((crop / "raw").iterdir()))))
    damage(next((copied / "cells.ome.zarr").rglob("cell/0/c/*/*/*")))
    other = next((copied / "rois").glob("roi_002_*")) / "labels.tif"
    stamp = other.stat().st_mtime_ns
    batch.run(volume, copied, CONFIG)
    assert_same(copied, finished)
    assert other.stat().st_mtime_ns == stamp
    # The labels of the damaged crop are as good as ever.
    assert segmented == []


def test_an_array_in_memory_does_not_travel_to_other_processes(
    volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_ARRAY_BYTES", 1000)
    array = Volume(data=volume.read(), grid=volume.grid, name="array")
    with pytest.raises(ParameterError, match=r"'array' lies in memory.*write_tiff.*open_volume"):
        batch.run(array, tmp_path / "run", CONFIG, executor="processes:2")
    assert not (tmp_path / "run").exists()


def test_a_table_that_drops_every_cell_is_told(copied: Path, volume: Volume) -> None:
    edit(copied / "cells.csv", lambda rows: [row | {"keep": "no"} for row in rows])
    with pytest.warns(NothingFoundWarning, match=r"cells\.csv drops all \d cells of 'image\.tif'"):
        result = batch.run(volume, copied, CONFIG)
    assert not result.cells


def test_a_removed_cell_stays_away(
    copied: Path, finished: Path, volume: Volume, segmented: list[int]
) -> None:
    edit(copied / "cells.csv", lambda rows: [row for row in rows if row["id"] != "1"])
    result = batch.run(volume, copied, CONFIG)
    assert segmented == []
    assert 1 not in result.segmentations
    assert not list((copied / "rois").glob("roi_001_*"))
    assert "roi_001_" not in (copied / "crops.sha256").read_text()
    before, after = voxels(finished)["cell"], voxels(copied)["cell"]
    assert 1 in before
    assert 1 not in after
    clear = (before != 1) & (after == before)
    assert clear.sum() == (before != 1).sum() - ((before == 0) & (after != 0)).sum()


def test_a_moved_box_is_done_again_alone(
    copied: Path, volume: Volume, segmented: list[int]
) -> None:
    def shrink(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        rows[1]["roi_stop_z"] = str(int(rows[1]["roi_stop_z"]) - 1)
        return rows

    edit(copied / "cells.csv", shrink)
    (cell,) = (c for c in read_cells_csv(copied / "cells.csv") if c.id == 2)
    result = batch.run(volume, copied, CONFIG)
    assert segmented == [2]
    assert read_segmentation(result.segmentations[2]).labels.shape == cell.roi.shape


def test_overwriting_starts_anew(copied: Path, volume: Volume, finished: Path) -> None:
    edit(copied / "cells.csv", lambda rows: rows[:1])
    batch.run(volume, copied, CONFIG, overwrite=True)
    assert_same(copied, finished)


def test_nothing_found_is_a_result(tmp_path: Path, rng: np.random.Generator) -> None:
    grid = Grid(shape=(9, 64, 80), voxel_size_nm=(500, 50, 50))
    data = rng.normal(190, 4, grid.shape).astype(np.uint8)
    resin = Volume(data=data, grid=grid, name="resin")
    with pytest.warns(NothingFoundWarning) as said:
        result = batch.run(resin, tmp_path / "run")
    (message,) = (str(w.message) for w in said)
    assert "no cell found in 'resin'" in message
    assert "lower 'detect.min_radius_nm'" in message
    assert result.cells == ()
    assert result.segmentations == {}
    assert read_cells_csv(tmp_path / "run" / "cells.csv") == []
    labels = open_volume(tmp_path / "run" / "cells.ome.zarr" / "image" / "labels" / "cell")
    assert labels.shape == grid.shape
    assert not labels.read().any()


def test_padded_boxes_keep_their_size_and_paste_inside(
    volume: Volume, finished: Path, tmp_path: Path
) -> None:
    rois = dataclasses.replace(CONFIG.rois, mode="fixed", size_nm=(2700, 7200, 7200), border="pad")
    result = batch.run(volume, tmp_path / "run", dataclasses.replace(CONFIG, rois=rois))
    for cell in result.cells:
        raw = open_volume(result.segmentations[cell.id] / "raw")
        assert raw.shape == (18, 300, 300)
        assert cell.roi.clip(volume.shape) != cell.roi
    pasted, usual = voxels(tmp_path / "run"), voxels(finished)
    for name, labels in pasted.items():
        if name in ("cell", "nucleus"):
            both = (labels > 0) & (usual[name] > 0)
            assert both.sum() > 0.8 * (usual[name] > 0).sum(), name
