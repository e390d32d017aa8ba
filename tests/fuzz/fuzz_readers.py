"""Read damaged files in a process of its own, with a bound on memory and time.

Run as ``python fuzz_readers.py JOB.json``; prints one JSON object with what went wrong.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import helaseg
from helaseg.errors import HelasegError, HelasegWarning

#: Beyond what the process holds when all readers are imported.
MEMORY_BYTES = 1_500_000_000
#: For one file.
SECONDS = 20


def read_volume(path: Path) -> Any:
    """Open an image and read every voxel, as far as it is small."""
    volume = helaseg.open_volume(path, voxel_size_nm=(50, 10, 10))
    if volume.data.size <= 10_000_000:
        return np.asarray(volume.data)
    return np.asarray(volume.data[0, :4, :4])


def read_mat(path: Path) -> Any:
    """Read ground truth of MATLAB."""
    from helaseg.io import read_mat

    return read_mat(path)


def read_cells(path: Path) -> Any:
    """Read the table of cells as `crop` and `run` do."""
    from helaseg.core.grid import Grid
    from helaseg.io import read_cells_csv

    grid = Grid(shape=(5, 24, 20), voxel_size_nm=(50.0, 10.0, 10.0))
    return read_cells_csv(path, grid=grid)


def read_detections(path: Path) -> Any:
    """Read the table of detections."""
    from helaseg.io import read_detections_csv

    return read_detections_csv(path)


def read_segmentation(path: Path) -> Any:
    """Read the output of `segment`, its page's pieces and its costs."""
    from helaseg.io import read_cost, read_segmentation

    read_cost(path)
    return read_segmentation(path)


def read_checkpoint(path: Path) -> Any:
    """Read a trained network."""
    from helaseg.deep import read_checkpoint

    return read_checkpoint(path)


def read_config(path: Path) -> Any:
    """Plan a run with settings from a file; the volume does not exist."""
    return run_command("run", str(path.parent / "stack"), str(path.parent / "out"), path)


def read_dataset(path: Path) -> Any:
    """Open all training data of a list."""
    from helaseg.deep.dataset import open_example, read_dataset
    from helaseg.deep.train_config import TrainConfig

    return [open_example(v, TrainConfig()) for v in read_dataset(path).volumes]


def read_journal(path: Path) -> Any:
    """Ask a journal what is finished."""
    from helaseg.execution import Journal

    journal = Journal(path)
    return [(key, journal.is_done(key, journal.fingerprint(key) or "")) for key in journal.keys]


def read_run(path: Path) -> Any:
    """Read what the page of a run is made of."""
    from helaseg.report.folder import read_run_folder

    return read_run_folder(path)


def run_command(command: str, volume: str, out: str, config: Path) -> Any:
    """Carry out a command line; its failures are single lines on stderr."""
    from helaseg.cli.app import main

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main([command, volume, out, "--config", str(config), "--dry-run"])
    text = said.getvalue().strip()
    if code != 2 or len(text.splitlines()) != 1:
        msg = f"exit code {code}, stderr {text!r}"
        raise AssertionError(msg)
    return None


READERS: dict[str, Callable[[Path], Any]] = {
    name.removeprefix("read_"): function
    for name, function in list(globals().items())
    if name.startswith("read_")
}


def main(job: Path) -> None:
    """Read the files of a job and print what was unexpected."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    work = json.loads(job.read_text())
    for reader, path in work["warm"]:
        READERS[reader](Path(path))
    _limit_memory()
    unexpected, same = [], []
    for name, reader, path, whole in work["files"]:
        job.with_suffix(".current").write_text(name)  # what a crash is about
        problem, value = _try(READERS[reader], Path(path))
        if problem:
            unexpected.append(f"{name}: {problem}")
        elif whole is not None and value is not None:
            same.append((name, bool(np.array_equal(value, np.load(whole)))))
    answer = {"n": len(work["files"]), "unexpected": unexpected, "same": same}
    sys.stdout.write(json.dumps(answer) + "\n")


def _try(read: Callable[[Path], Any], path: Path) -> tuple[str, Any]:
    """What went wrong in another way than by an error of helaseg, and what was read."""
    with warnings.catch_warnings(record=True) as caught, _alarm():
        warnings.simplefilter("always")
        try:
            value = read(path)
        except HelasegError as error:
            if len(str(error).splitlines()) > 1:
                return f"several lines: {error}", None
            return "", None
        except BaseException:
            return traceback.format_exc(limit=-4), None
    foreign = [w for w in caught if not issubclass(w.category, HelasegWarning)]
    return (f"warning {foreign[0].message}" if foreign else ""), value


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TimeoutError(f"no answer within {SECONDS} s")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
