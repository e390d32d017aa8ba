"""A fixed sample of a volume, and its fingerprint."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.volume import LabelVolume, Sliceable, Volume
from helaseg.errors import DataFormatError, JobError
from helaseg.io.lazy import source_files_of


def sample_slices(
    data: Sliceable, *, n_slices: int, n_pixels: int
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Thinned slices, evenly from the first to the last; always the same ones.

    Parameters
    ----------
    data : sliceable, shape (Z, Y, X)
        The volume.
    n_slices : int
        At most this many slices.
    n_pixels : int
        At most this many pixels of each, on a square grid.

    Yields
    ------
    int, ndarray
        The slice index, and every k-th row and column of the slice.
    """
    n_z, n_y, n_x = data.shape
    if min(n_z, n_y, n_x) == 0:
        return
    step = 1
    while math.ceil(n_y / step) * math.ceil(n_x / step) > n_pixels:
        step += 1
    places = np.linspace(0, n_z - 1, min(n_slices, n_z))
    for z in sorted({round(float(p)) for p in places}):
        yield z, np.asarray(data[z, ::step, ::step])


def input_state(volume: Volume | LabelVolume) -> str:
    """Name the state of an input: it changes with every slice that changes.

    Parameters
    ----------
    volume : Volume or LabelVolume
        Any volume.

    Returns
    -------
    str
        16 hexadecimal digits of a SHA-256 over `fingerprint` and over name, size and
        time of change of each file that holds voxels. An array in memory has no files.

    Raises
    ------
    DataFormatError
        If a file is not there any more.
    """
    digest = hashlib.sha256(fingerprint(volume).encode())
    for line in sorted(_file_states(volume.data)):
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def describe_job(volume: Volume | LabelVolume) -> dict[str, Any]:
    """Note where an input lies, when it is worked on and by which command.

    Returns
    -------
    dict
        ``source``, the file or folder of the voxels (None for an array in memory);
        ``date``, ISO 8601 in UTC; ``command``, the words of a helaseg command line,
        else None.
    """
    files = [file.absolute() for file in source_files_of(volume.data)]
    source = None if not files else files[0] if len(files) == 1 else files[0].parent
    is_ours = Path(sys.argv[0]).name in ("helaseg", "__main__.py")
    return {
        "source": None if source is None else str(source),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["helaseg", *sys.argv[1:]] if is_ours else None,
    }


def check_unchanged(volume: Volume, state: str) -> None:
    """Raise if an input is not in the state that `input_state` named.

    Raises
    ------
    JobError
        If a file changed since.
    """
    if input_state(volume) != state:
        msg = (
            f"the files of {volume.name!r} changed while they were read; start again with "
            "--overwrite when they are complete"
        )
        raise JobError(msg)


def _file_states(data: Any) -> Iterator[str]:
    for file in source_files_of(data):
        try:
            state = file.stat()
        except OSError as error:
            msg = f"{file} cannot be read any more ({error.strerror}); put it back and start again"
            raise DataFormatError(msg) from error
        yield f"{file.name} {state.st_size} {state.st_mtime_ns}\n"


def fingerprint(volume: Volume | LabelVolume) -> str:
    """A short name for the content of a volume, for provenance and resuming.

    Parameters
    ----------
    volume : Volume or LabelVolume
        Any volume.

    Returns
    -------
    str
        16 hexadecimal digits of a SHA-256 over shape, type, voxel size, offset
        and the voxels of 8 thinned slices (at most 65536 pixels each). Equal
        volumes have equal fingerprints on any machine; an edit that misses the
        sample is not noticed, see `input_state`.
    """
    dtype = np.dtype(volume.data.dtype).newbyteorder("<")
    grid = volume.grid
    head = repr((grid.shape, dtype.str, grid.voxel_size_nm, grid.offset_nm))
    digest = hashlib.sha256(head.encode())
    for z, values in sample_slices(volume.data, n_slices=8, n_pixels=65536):
        digest.update(str(z).encode())
        digest.update(np.ascontiguousarray(values, dtype=dtype).tobytes())
    return digest.hexdigest()[:16]
