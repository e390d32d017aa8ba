"""The segmentation of one ROI as a folder of files."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from helaseg._validate import check_choice
from helaseg.core.objects import CellFlag
from helaseg.core.results import (
    CLASS_NAMES,
    Invagination,
    Provenance,
    SegmentationResult,
    SliceRecord,
    StepCost,
)
from helaseg.core.volume import LabelVolume
from helaseg.errors import DataFormatError
from helaseg.io.atomic import atomic_path
from helaseg.io.json_file import read_record
from helaseg.io.mask_values import AboveArray
from helaseg.io.tables import TableRow, read_rows, write_rows
from helaseg.io.tiff_write import write_tiff
from helaseg.io.volumes import open_volume

_SLICE_COLUMNS = tuple(field.name for field in dataclasses.fields(SliceRecord))
_INVAGINATION_COLUMNS = tuple(field.name for field in dataclasses.fields(Invagination))
#: Label images that not every result has.
_OPTIONAL = ("cells", "second", "cell_confidence", "envelope_confidence")
#: What an earlier version did not write; those numbers are nan.
_LATER_COLUMNS = ("envelope_thickness_nm", "envelope_confidence")
#: Empty where the image is no folder of numbered slices, and in files of an earlier version.
_NUMBER = "slice_number"


def write_segmentation(
    folder: str | os.PathLike[str],
    result: SegmentationResult,
    *,
    format: Literal["tiff", "ome-zarr"] = "tiff",
) -> list[Path]:
    """Write a segmentation, slice by slice.

    Parameters
    ----------
    folder : path-like
        Gets ``labels.tif`` (or ``labels.ome.zarr``), ``nucleus.tif`` and
        ``cell.tif`` (0/255), ``cells.tif`` if the result has instances,
        ``second.tif`` and ``cell_confidence.tif`` (percent; both on coarser voxels) if
        it knows how sure they are,
        ``envelope_confidence.tif`` (percent on the band of the envelope) if it has
        one, ``measurements.csv``, ``slices.csv``, ``invaginations.csv`` and
        ``provenance.json``. Other files stay; the same files of an earlier result
        are replaced or removed.
    result : SegmentationResult
        What to write.
    format : {"tiff", "ome-zarr"}
        Of the labels.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    JobError
        If a file cannot be written; each file is there as a whole or not at all.

    Notes
    -----
    The labels are written last: a folder with labels is complete.
    """
    check_choice("format", format, ("tiff", "ome-zarr"))
    folder = Path(folder)
    optional = {f"{name}.tif": getattr(result, name) for name in _OPTIONAL}
    for name in ("labels.tif", "labels.ome.zarr", "provenance.json", *optional):
        _remove(folder / name)
    files = [folder / f"{name}.tif" for name in ("nucleus", "cell")]
    for file, volume in zip(files, (result.nucleus, result.cell), strict=True):
        write_tiff(file, AboveArray(volume.data, above=0, value=255), volume.grid)
    for name, image in optional.items():
        if image is not None:
            files.append(folder / name)
            write_tiff(files[-1], image.data, image.grid)
    files.append(folder / "measurements.csv")
    values = [_text(v) for v in result.measurements.values()]
    write_rows(files[-1], [*result.measurements, "flags"], [[*values, result.flags.names]])
    files.append(folder / "slices.csv")
    rows = [[_text(getattr(s, c)) for c in _SLICE_COLUMNS] for s in result.slices]
    write_rows(files[-1], _SLICE_COLUMNS, rows)
    files.append(folder / "invaginations.csv")
    rows = [
        [_shown(c, _text(getattr(s, c))) for c in _INVAGINATION_COLUMNS]
        for s in result.invaginations
    ]
    write_rows(files[-1], _INVAGINATION_COLUMNS, rows)
    if result.provenance is not None:
        files.append(folder / "provenance.json")
        with atomic_path(files[-1]) as part:
            part.write_text(result.provenance.to_json() + "\n", encoding="utf-8")
    labels = result.labels
    files.append(folder / ("labels.tif" if format == "tiff" else "labels.ome.zarr"))
    if format == "tiff":
        write_tiff(files[-1], labels.data, labels.grid)
    else:
        # zarr takes half a second to import, which TIFF users need not wait for.
        from helaseg.io.ome_zarr_write import write_ome_zarr

        names = labels.names or CLASS_NAMES
        write_ome_zarr(files[-1], labels.data, labels.grid, kind="labels", names=names)
    return files


def read_segmentation(folder: str | os.PathLike[str]) -> SegmentationResult:
    """Read what `write_segmentation` wrote; voxels are read when they are asked for.

    Parameters
    ----------
    folder : path-like
        The folder.

    Returns
    -------
    SegmentationResult
        Masks are 0/1 again; `provenance` is None if there is none.

    Raises
    ------
    DataFormatError
        If a file is missing or damaged.
    """
    folder = Path(folder)
    found = [p for n in ("labels.tif", "labels.ome.zarr") if (p := folder / n).exists()]
    if not found:
        msg = f"{folder} holds no segmentation: neither labels.tif nor labels.ome.zarr is there"
        raise DataFormatError(msg)
    labels = _open_labels(found[0])
    masks = {}
    for name in ("nucleus", "cell"):
        mask = _open_labels(folder / f"{name}.tif")
        mask.grid.check_agrees(labels.grid, names=(name, "labels"))
        data = AboveArray(mask.data, above=0)
        masks[name] = LabelVolume(data=data, grid=labels.grid, names={1: name})
    optional = {
        name: _open_labels(path) for name in _OPTIONAL if (path := folder / f"{name}.tif").exists()
    }
    row = _one_row(folder / "measurements.csv")
    return SegmentationResult(
        labels=LabelVolume(data=labels.data, grid=labels.grid, names=CLASS_NAMES),
        nucleus=masks["nucleus"],
        cell=masks["cell"],
        **optional,
        slices=_read_slices(folder / "slices.csv"),
        invaginations=_read_invaginations(folder / "invaginations.csv"),
        measurements={k: _value(v) for k, v in row.values.items() if k != "flags"},
        flags=row.convert("flags", CellFlag.from_names),
        provenance=_read_provenance(folder / "provenance.json"),
    )


def _open_labels(path: Path) -> LabelVolume:
    volume = open_volume(path)
    if np.dtype(volume.data.dtype).kind not in "bui":
        msg = f"{path} must hold integer labels, it holds {volume.data.dtype}"
        raise DataFormatError(msg)
    return LabelVolume(data=volume.data, grid=volume.grid)


def _one_row(path: Path) -> TableRow:
    rows = read_rows(path, ("flags",))
    if len(rows) != 1:
        msg = f"{path} must hold one line of measurements, it holds {len(rows)}"
        raise DataFormatError(msg)
    return rows[0]


def _read_slices(path: Path) -> tuple[SliceRecord, ...]:
    later = (*_LATER_COLUMNS, _NUMBER)
    return tuple(
        SliceRecord(
            z=row.integer("z"),
            nucleus_px=row.integer("nucleus_px"),
            cell_px=row.integer("cell_px"),
            nucleus_um2=row.number("nucleus_um2"),
            cell_um2=row.number("cell_um2"),
            confidence=_number_or_nan(row, "confidence"),
            event=row.values["event"],
            **{column: _number_or_nan(row, column) for column in _LATER_COLUMNS},
            slice_number=row.integer(_NUMBER) if row.values.get(_NUMBER) else None,
        )
        for row in read_rows(path, [c for c in _SLICE_COLUMNS if c not in later])
    )


def _read_invaginations(path: Path) -> tuple[Invagination, ...]:
    # An earlier version did not write them.
    rows = read_rows(path, _INVAGINATION_COLUMNS) if path.exists() else ()
    others = [c for c in _INVAGINATION_COLUMNS if c not in ("id", "kind", "n_openings")]
    found = []
    for row in rows:
        values: dict[str, Any] = {column: _number_or_nan(row, column) for column in others}
        values |= {column: row.integer(column) for column in ("id", "n_openings")}
        found.append(Invagination(kind=row.values["kind"], **values))  # type: ignore[arg-type]
    return tuple(found)


def _number_or_nan(row: TableRow, column: str) -> float:
    """A slice without nucleus has no confidence, an earlier file lacks columns."""
    return math.nan if row.values.get(column, "") in ("", "nan") else row.number(column)


def _read_provenance(path: Path) -> Provenance | None:
    if not path.exists():
        return None
    content = read_record(path, advice="remove it, or copy the folder again")
    try:
        steps = tuple(StepCost(**step) for step in content.pop("steps", ()))
        return Provenance(**content, steps=steps)
    except (TypeError, ValueError) as error:
        msg = f"{path} is not a provenance of helaseg ({error}); remove it"
        raise DataFormatError(msg) from error


def _shown(column: str, value: Any) -> Any:
    """A measure to the digits that mean something: tenths of nm, millionths of µm² and µm³."""
    if not isinstance(value, float):
        return value
    return round(value, 1 if column.endswith("_nm") else 4 if "direction" in column else 6)


def _text(value: Any) -> Any:
    """Numbers as Python writes them: numpy scalars would keep their class name."""
    return value.item() if isinstance(value, np.generic) else value


def _value(text: str) -> Any:
    for into in (int, float):
        try:
            return into(text)
        except ValueError:
            continue
    return {"True": True, "False": False}.get(text, text)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
