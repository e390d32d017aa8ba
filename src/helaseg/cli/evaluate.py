"""``helaseg evaluate``: all metrics of a prediction against the truth."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from helaseg.cli.options import CommonOptions, InputOptions
from helaseg.cli.plan import plan_whole
from helaseg.cli.session import session, show
from helaseg.core.grid import Grid
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import (
    DataFormatError,
    DoubtfulDataWarning,
    MissingVoxelSizeError,
    OutputExistsError,
)
from helaseg.pipelines.placing import placed_on

if TYPE_CHECKING:
    from helaseg.cli.session import Session
    from helaseg.core.scores import ScoreTable


def evaluate(
    truth: Path,
    prediction: Path,
    /,
    *,
    ignore: Path | None = None,
    labels: tuple[int, ...] = (),
    foreground: Annotated[bool, Parameter(negative=())] = False,
    metrics: tuple[str, ...] = (),
    per_slice: bool = True,
    json: Path | None = None,
    csv: Path | None = None,
    input_options: InputOptions = InputOptions(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Compare two label images, per volume and per slice.

    Parameters
    ----------
    truth : Path
        Label image: a 0/255 mask or classes. Where it does not state its voxel size or
        its place, those of the prediction hold.
    prediction : Path
        Label image of the same shape; the same holds the other way round.
    ignore : Path, optional
        Mask of the voxels to leave out.
    labels : tuple of int
        Only these labels; all by default. Labels are compared by their number:
        cell 1 of one image with cell 1 of the other.
    foreground : bool
        Compare foreground with foreground, whatever the labels: of two values the larger
        one, of more values all above 0.
    metrics : tuple of str
        Only these metrics; all by default.
    per_slice : bool
        Scores of each slice too, in the files.
    json : Path, optional
        File for all scores as JSON.
    csv : Path, optional
        File for all scores as a table.
    """
    with session(common, computes=True) as work:
        true, pred = open_pair(truth, prediction, input_options)
        if true.grid != pred.grid:
            true, pred = _on_one_grid(true, pred, work)
        plan = plan_whole("evaluate", true.grid, by_slice=True)
        if common.dry_run:
            show(plan.text(common))
            return
        plan.executor(common)
        if foreground:
            true, pred = as_foreground(true, truth), as_foreground(pred, prediction)
        for file in (json, csv):
            _check_free(file, overwrite=common.overwrite)

        from helaseg import metrics as scoring
        from helaseg.io.tables import csv_value

        table = scoring.evaluate(
            true,
            pred,
            ignore=_labels_beside(ignore, true.grid, input_options) if ignore else None,
            labels=labels or None,
            per_slice=per_slice,
            metrics=metrics or None,
        )
        if json is not None:
            write_text(json, table.to_json() + "\n")
        if csv is not None:
            write_text(csv, table.to_frame().map(csv_value).to_csv(index=False))
        show(score_text(table))
        for file in (json, csv):
            if file is not None:
                work.say(f"written: {file}")


def open_pair(
    truth: Path, prediction: Path, options: InputOptions
) -> tuple[LabelVolume, LabelVolume]:
    """Open two label volumes; one without voxel size has that of the other."""
    try:
        true = as_labels(options.open(truth), truth)
    except MissingVoxelSizeError:
        pred = as_labels(options.open(prediction), prediction)
        return _labels_beside(truth, pred.grid, options), pred
    return true, _labels_beside(prediction, true.grid, options)


def _on_one_grid(
    true: LabelVolume, pred: LabelVolume, work: Session
) -> tuple[LabelVolume, LabelVolume]:
    """Put the image that does not state its place at the place of the other, and say so."""
    for here, there, name, other in (
        (true, pred, "truth", "prediction"),
        (pred, true, "prediction", "truth"),
    ):
        moved = placed_on(here, there.grid)
        if moved.grid.agrees_with(there.grid):
            cut = f"the {name} is larger: its part at the place of the {other} is compared"
            place = f"the {name} does not state its place: that of the {other} is taken"
            work.say(place if moved.shape == here.shape else cut)
            return (moved, pred) if here is true else (true, moved)
    return true, pred


def as_foreground(volume: LabelVolume, path: Path) -> LabelVolume:
    """Return the same volume with 1 in the foreground; says what is foreground if it is odd."""
    from helaseg.io.mask_values import AboveArray, read_mask_values

    reading = read_mask_values(volume.data, name=str(path))
    if reading.note:
        warnings.warn(reading.note, DoubtfulDataWarning, stacklevel=2)
    return LabelVolume(data=AboveArray(volume.data, above=reading.above), grid=volume.grid)


def open_beside(path: Path, grid: Grid, options: InputOptions) -> Volume:
    """A volume that has the voxel size of a grid if it has none of its own."""
    try:
        return options.open(path)
    except MissingVoxelSizeError:
        return replace(options, voxel_size_nm=grid.voxel_size_nm).open(path)


def as_labels(volume: Volume, path: Path) -> LabelVolume:
    """The same volume as labels; refused if it holds other numbers than integers."""
    if volume.data.dtype.kind not in "bui":
        msg = f"{path} must hold integer labels, it holds {volume.data.dtype}; convert it first"
        raise DataFormatError(msg)
    return LabelVolume(data=volume.data, grid=volume.grid)


def _labels_beside(path: Path, grid: Grid, options: InputOptions) -> LabelVolume:
    return as_labels(open_beside(path, grid, options), path)


def score_text(table: ScoreTable) -> str:
    """The scores of the whole volume as aligned lines; a missing one gives its reason."""
    scores = list(table.select(per_slice=False))
    if not scores:
        return "no scores: truth and prediction have no label in common"
    wide = max(len(s.metric) for s in scores) + 2
    wide_label = max(len(s.label) for s in scores) + 2
    lines = []
    for s in scores:
        unit = "" if s.unit == "1" else f" {s.unit}"
        value = f"undefined: {s.undefined}" if math.isnan(s.value) else f"{s.value:.6g}{unit}"
        lines.append(f"{s.label:<{wide_label}}{s.metric:<{wide}}{value}")
    return "\n".join(lines)


def _check_free(file: Path | None, *, overwrite: bool) -> None:
    if file is not None and file.exists() and not overwrite:
        msg = f"the file {file} must be new, it exists; choose another, or give --overwrite"
        raise OutputExistsError(msg)


def write_text(file: Path, text: str) -> None:
    """Write a small text file in one step."""
    from helaseg.io import atomic_path

    with atomic_path(file) as part:
        part.write_text(text, encoding="utf-8")
