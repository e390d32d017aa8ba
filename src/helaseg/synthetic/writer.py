"""Phantoms on disk, drawn and written slice by slice."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.errors import OutputExistsError
from helaseg.io.atomic import atomic_path
from helaseg.synthetic.cases import case_drawing
from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.drawing import TRUTHS, CellDescription, CellTally, Drawing, draw_slices
from helaseg.synthetic.phantom import changed_config
from helaseg.synthetic.render import scene_drawing
from helaseg.synthetic.scene import make_scene


def write_phantom(
    folder: str | os.PathLike[str],
    config: PhantomConfig | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **changes: Any,
) -> tuple[CellDescription, ...]:
    """Write a phantom of any size; the memory needed is that of a few slices.

    Parameters
    ----------
    folder : path
        Where to write; it may exist if it is empty. It gets ``image/`` and
        ``truth/cell/``, ``truth/nucleus/``, ``truth/envelope/``,
        ``truth/mitochondria/`` with one TIFF per slice (``image_z0001.tif``; labels
        are compressed with zlib) and ``phantom.json`` (settings, cells, damaged
        slices).
    config : PhantomConfig, optional
        Settings, as for `make_phantom`.
    progress : callable, optional
        Called with the number of finished slices and of all.
    **changes
        Settings that differ from `config`, by name.

    Returns
    -------
    tuple of CellDescription
        The cells in order of their ids.

    Raises
    ------
    OutputExistsError
        If the folder holds files.
    JobError
        If a file cannot be written.

    Notes
    -----
    1. All is written into a new folder beside the final one.
    2. Each slice is drawn (the voxels are those of `make_phantom`), counted and
       written. Several are drawn at the same time if they take less than 1 GB together.
    3. The folder gets its name when everything is there; after an error
       nothing is left.
    """
    drawing = scene_drawing(make_scene(changed_config(config, changes)))
    return write_drawing(folder, drawing, progress=progress)


def write_case(
    folder: str | os.PathLike[str],
    name: str,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CellDescription, ...]:
    """Write one of the named cases.

    Parameters
    ----------
    folder, progress
        As for `write_phantom`.
    name, seed
        As for `make_case`.

    Returns
    -------
    tuple of CellDescription
        The cells in order of their ids.

    Raises
    ------
    ParameterError
        If no case has this name.
    OutputExistsError
        If the folder holds files.
    """
    settings = {"case": name, "seed": seed}
    return write_drawing(
        folder, case_drawing(name, seed=seed), settings=settings, progress=progress
    )


def write_drawing(
    folder: str | os.PathLike[str],
    drawing: Drawing,
    *,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CellDescription, ...]:
    """Write any phantom as `write_phantom` does; `settings` go into ``phantom.json``."""
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"the output folder must be empty or new, {target} is not; choose another one"
        raise OutputExistsError(msg)
    settings = dataclasses.asdict(drawing.config) if settings is None else settings
    with atomic_path(target) as partial:
        return _write(partial, drawing, settings, progress)


def _write(
    folder: Path,
    drawing: Drawing,
    settings: Mapping[str, Any],
    progress: Callable[[int, int], None] | None,
) -> tuple[CellDescription, ...]:
    tally = CellTally(drawing)
    places = {"image": folder / "image"} | {name: folder / "truth" / name for name in TRUTHS}
    for place in places.values():
        place.mkdir(parents=True)
    n_z = drawing.grid.shape[0]
    for z, plane in enumerate(draw_slices(drawing, lambda z: drawing.empty_slice())):
        tally.add(z, plane)
        for name, place in places.items():
            path = place / f"{name}_z{z + 1:04d}.tif"
            _write_slice(path, getattr(plane, name), drawing.grid, packed=name != "image")
        if progress is not None:
            progress(z + 1, n_z)
    cells = tally.describe()
    record = {
        "config": dict(settings),
        "damaged_slices": list(drawing.damaged),
        "cells": [_without_nan(dataclasses.asdict(cell)) for cell in cells],
    }
    (folder / "phantom.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return cells


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: the centre of a cell without voxels is null."""
    return {
        key: None if isinstance(value, tuple) and math.isnan(value[0]) else value
        for key, value in row.items()
    }


def _write_slice(path: Path, plane: NDArray[Any], grid: Grid, *, packed: bool) -> None:
    """One page that Fiji opens with its pixel size; labels compress a hundredfold."""
    z_nm, y_nm, x_nm = grid.voxel_size_nm
    tifffile.imwrite(
        path,
        plane,
        photometric="minisblack",
        compression="zlib" if packed else None,
        compressionargs={"level": 1} if packed else None,
        rowsperstrip=256,
        resolution=(1e7 / x_nm, 1e7 / y_nm),
        resolutionunit="CENTIMETER",
        metadata={"spacing": z_nm, "unit": "nm", "axes": "YX"},
    )
