"""kill -9 at any moment: the same command goes on, repeats nothing finished, and ends alike."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from helaseg.io import open_volume, write_tiff_slices
from helaseg.synthetic import make_phantom

#: Runs the whole job and kills itself right before the n-th of the moments at which
#: something reaches the disk.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from helaseg import open_volume, run
from helaseg.cells.detection.detect import DetectConfig
from helaseg.cells.detection.rois import RoiConfig
from helaseg.cells.detection.track import TrackConfig
from helaseg.execution.journal import Journal
from helaseg.io import atomic, crop_files
from helaseg.pipelines.classical import RunConfig

left = int(sys.argv[3])

def dies(function):
    def counted(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return counted

def torn(self, line, append=Journal._append):
    # Half a line, as a kill inside the write leaves it.
    global left
    if left == 1:
        append(self, line[: len(line) // 2])
    dies(append)(self, line)

# Before files are put in place, before and inside lines of the journal, between slices of a
# crop, and between files of a segmentation.
atomic._put = dies(atomic._put)
Journal._append = torn
crop_files.SliceFolder._put = dies(crop_files.SliceFolder._put)
config = RunConfig(
    detect=DetectConfig(min_radius_nm=800),
    track=TrackConfig(min_radius_nm=1000, min_length_nm=500, small_radius_nm=800),
    rois=RoiConfig(margin_nm=(300, 500, 500)),
)
run(open_volume(Path(sys.argv[1]), (150, 24, 24)), sys.argv[2], config)
"""
#: Hold times, and pages made of them.
NOT_COMPARED = ("run.json", "provenance.json", "journal.jsonl")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_phantom(
        shape=(10, 180, 320),
        voxel_size_nm=(150, 24, 24),
        n_cells=2,
        packing=0.2,
        noise=0.4,
        n_border_cells=0,
        n_flat_cells=0,
        seed=5,
    )
    folder = tmp_path_factory.mktemp("kill") / "image"
    write_tiff_slices(folder, made.image.read(), made.image.grid, prefix="image")
    return folder


def start(image: Path, out: Path, kill_at: int) -> int:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(image), str(out), str(kill_at)]
    return subprocess.run(command, check=False, capture_output=True, timeout=120).returncode


def files(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in NOT_COMPARED
    }


def keys(out: Path) -> Counter[str]:
    """How often each piece of work was recorded."""
    found: Counter[str] = Counter()
    for line in (out / "journal.jsonl").read_text().splitlines():
        try:
            found[json.loads(line)["key"]] += 1
        except ValueError:
            continue
    return found


@pytest.fixture(scope="module")
def finished(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    assert start(image, out, 0) == 0
    assert any(name.endswith("labels.tif") for name in files(out))
    return out


def check_kills(image: Path, finished: Path, out: Path, moments: list[int]) -> None:
    killed = 0
    for moment in moments:
        code = start(image, out, moment)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    else:
        assert start(image, out, 0) == 0
    assert killed >= 2
    assert files(out) == files(finished)
    # Neither hidden folders nor pieces that were done twice.
    assert [p for p in out.rglob(".*")] == []
    assert keys(out) == keys(finished)
    labels = open_volume(out / "cells.ome.zarr" / "image" / "labels" / "cell").read()
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_run_goes_on_and_ends_alike(
    seed: int, image: Path, finished: Path, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    check_kills(image, finished, tmp_path / "run", [rng.randint(1, 30) for _ in range(6)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 22))
def test_many_kills(seed: int, image: Path, finished: Path, tmp_path: Path) -> None:
    rng = random.Random(seed)
    check_kills(image, finished, tmp_path / "run", [rng.randint(1, 40) for _ in range(8)])
