"""Phantoms on disk, drawn and written slice by slice."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.errors import OutputExistsError
from helaseg.io.atomic import atomic_path
from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.phantom import TRUTHS, CellDescription, CellTally, changed_config
from helaseg.synthetic.render import empty_slice, render_slice
from helaseg.synthetic.scene import make_scene


def write_phantom(
    folder: str | os.PathLike[str],
    config: PhantomConfig | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **changes: Any,
) -> tuple[CellDescription, ...]:
    """Write a phantom of any size; the memory needed is that of one slice.

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
        If the disk refuses a file.

    Notes
    -----
    1. All is written into a new folder beside the final one.
    2. Each slice is drawn (the voxels are those of `make_phantom`), counted and
       written.
    3. The folder gets its name when everything is there; after an error
       nothing is left.
    """
    config = changed_config(config, changes)
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"the output folder must be empty or new, {target} is not; choose another one"
        raise OutputExistsError(msg)
    with atomic_path(target) as partial:
        return _write(partial, config, progress)


def _write(
    folder: Path, config: PhantomConfig, progress: Callable[[int, int], None] | None
) -> tuple[CellDescription, ...]:
    scene = make_scene(config)
    tally = CellTally(scene)
    plane = empty_slice(scene)
    places = {"image": folder / "image"} | {name: folder / "truth" / name for name in TRUTHS}
    for place in places.values():
        place.mkdir(parents=True)
    n_z = config.shape[0]
    for z in range(n_z):
        tally.add(z, render_slice(scene, z, out=plane))
        for name, place in places.items():
            path = place / f"{name}_z{z + 1:04d}.tif"
            _write_slice(path, getattr(plane, name), config.grid, packed=name != "image")
        if progress is not None:
            progress(z + 1, n_z)
    cells = tally.describe()
    record = {
        "config": dataclasses.asdict(config),
        "damaged_slices": list(scene.damaged),
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
