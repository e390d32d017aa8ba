"""Files of a method: its label image and its cost."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helaseg.core.comparison import MethodCost
from helaseg.errors import DataFormatError
from helaseg.io.json_file import read_record

#: Which file of a segmentation shows a part; `labels` shows those that have no file.
_FILE_OF_PART = {"nucleus": "nucleus", "cell": "cell"}
#: Where the image of a cut ROI lies in its folder.
RAW_NAMES = ("raw", "raw.tif", "raw.ome.zarr", "raw.zarr")
_ENDINGS = (".tif", ".ome.zarr")
#: One of these in a folder makes it a segmentation, and no folder of slices.
_MARKS = tuple(f"{stem}{ending}" for stem in ("labels", "nucleus", "cell") for ending in _ENDINGS)


def find_image(path: str | os.PathLike[str]) -> Path:
    """The image where the folder of a cut ROI may be meant (``rois/roi_...`` of a run).

    Parameters
    ----------
    path : path-like
        An image of any kind, or such a folder.

    Returns
    -------
    Path
        The image in the folder; `path` itself if there is none.
    """
    path = Path(path)
    found = (path / name for name in RAW_NAMES if (path / name).exists())
    return next(found, path) if path.is_dir() else path


def find_label_image(
    path: str | os.PathLike[str], *, part: str | None = None, instances: bool = False
) -> Path:
    """The image to read where a folder of `helaseg segment` or `predict` may be meant.

    Parameters
    ----------
    path : path-like
        A label image of any kind, or such a folder.
    part : str, optional
        What to look for in the folder: ``"nucleus"``, ``"cell"``, or a class of ``labels``.
    instances : bool
        Look for objects, ``cells``.

    Returns
    -------
    Path
        The image; `path` itself if it is no such folder.

    Raises
    ------
    DataFormatError
        If the folder holds no such image, or several and nothing says which.
    """
    path = Path(path)
    if not path.is_dir() or not any((path / mark).exists() for mark in _MARKS):
        return path
    if part is None and not instances:
        msg = (
            f"{path} is a folder of helaseg with several label images; say which is meant "
            "(--part nucleus, envelope, cytoplasm or cell; --instances), or name the file"
        )
        raise DataFormatError(msg)
    stem = "cells" if instances else _FILE_OF_PART.get(str(part), "labels")
    for ending in _ENDINGS:
        if (path / f"{stem}{ending}").exists():
            return path / f"{stem}{ending}"
    msg = f"{path} is a folder of helaseg without {stem}.tif; name the file that is meant"
    raise DataFormatError(msg)


def is_class_image(path: Path) -> bool:
    """Return whether a path is the class image of a segmentation, by its name."""
    return path.name in {f"labels{ending}" for ending in _ENDINGS}


def read_cost(
    prediction: str | os.PathLike[str], training: str | os.PathLike[str] | None = None
) -> MethodCost:
    """Read the cost of a method, as far as it was noted.

    Parameters
    ----------
    prediction : path-like
        Its prediction; ``provenance.json`` in or beside it is read.
    training : path-like, optional
        The folder of its training, with ``training.json`` (seconds, peak_memory_mb,
        energy_j, device); by default one in or beside the prediction.

    Returns
    -------
    MethodCost
        What is not noted is None. A result of helaseg without a network took no training.

    Raises
    ------
    DataFormatError
        If a note cannot be read, or a training that was named is not there.
    """
    prediction = Path(prediction)
    if training is not None and not (Path(training) / "training.json").is_file():
        msg = f"{training} must be the folder of a training, there is no training.json in it"
        raise DataFormatError(msg)
    places = [prediction, prediction.parent]
    predicted = _read_note(places, "provenance.json")
    trained = _read_note(places if training is None else [Path(training)], "training.json")
    steps = predicted.get("steps") or ()
    memory = [v for step in steps if (v := _number(step, "peak_memory_mb")) is not None]
    seconds = [v for step in steps if (v := _number(step, "seconds")) is not None]
    energy = [_number(step, "energy_j") for step in steps]
    train_seconds = _number(trained, "seconds")
    if train_seconds is None and predicted.get("inputs") and "model" not in predicted["inputs"]:
        # Written by helaseg, and no network went in.
        train_seconds = 0.0
    return MethodCost(
        train_seconds=train_seconds,
        predict_seconds=sum(seconds) if seconds else None,
        train_memory_mb=_number(trained, "peak_memory_mb"),
        predict_memory_mb=max(memory, default=None),
        train_energy_j=_number(trained, "energy_j"),
        predict_energy_j=_sum_of_known(energy),
        device=str(trained.get("device") or predicted.get("machine") or ""),
    )


def _read_note(places: list[Path], name: str) -> Mapping[str, Any]:
    file = next((place / name for place in places if (place / name).is_file()), None)
    if file is None:
        return {}
    advice = "remove or mend it"
    content = read_record(file, advice=advice)
    steps = content.get("steps") or []
    if not isinstance(steps, list) or not all(isinstance(step, Mapping) for step in steps):
        msg = f"{file} must list what a method took as records under 'steps'; {advice}"
        raise DataFormatError(msg)
    return content


def _sum_of_known(values: Sequence[float | None]) -> float | None:
    """The sum, if there is something and all of it is known."""
    known = [v for v in values if v is not None]
    return sum(known) if known and len(known) == len(values) else None


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known and math.isfinite(value) else None  # type: ignore[arg-type]
