"""Any number of methods against one truth on the same ROI."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from helaseg._validate import check_choice
from helaseg.core.comparison import (
    Comparison,
    Doubt,
    MethodCost,
    MethodScores,
    PairedDifference,
    Region,
    SliceSplit,
    WorstSlice,
)
from helaseg.core.grid import Grid
from helaseg.core.scores import Score, ScoreTable
from helaseg.core.volume import LabelVolume, Volume
from helaseg.core.words import counted
from helaseg.errors import ParameterError
from helaseg.execution import Progress
from helaseg.metrics import evaluate, match_instances, paired_difference
from helaseg.pipelines.compare_config import MAIN_METRIC, VOXEL_METRIC, CompareConfig
from helaseg.pipelines.foreground import PARTS, Choice, Foreground, as_foreground, only_slices


def compare(
    truth: LabelVolume,
    predictions: Mapping[str, LabelVolume | Volume],
    ignore: LabelVolume | Volume | None = None,
    *,
    part: str | None = None,
    labels: Collection[int] = (),
    instances: bool = False,
    slices: Sequence[int] | None = None,
    drawn_slices: bool = False,
    target_vx: tuple[float, float, float] | None = None,
    costs: Mapping[str, MethodCost] | None = None,
    grid: Grid | None = None,
    config: CompareConfig | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Score any number of methods against one truth, and each two against each other.

    Parameters
    ----------
    truth : LabelVolume
        A 0/255 mask, a class image, or objects.
    predictions : mapping of str to LabelVolume or Volume
        By the name of the method: masks, classes, objects, or probabilities (floats).
        Every image, the truth too, may hold the annotated `slices` alone.
    ignore : LabelVolume or Volume, optional
        Non-zero voxels are in doubt. All is scored twice then, with and without them.
    part : {"nucleus", "envelope", "cytoplasm", "cell"}, optional
        What is compared; picks the labels of class images with names.
    labels : collection of int
        Labels of the foreground, in images that are neither masks nor, with a part, class images
        with names.
    instances : bool
        Labels are objects: adds their F1 score and panoptic quality.
    slices : sequence of int, optional
        Annotated slices, from 0; the others do not count. By default all are.
    drawn_slices : bool
        Only slices with truth in them are annotated. Without it a slice without truth says
        that nothing is there.
    target_vx : tuple of float, optional
        A point in the object that is meant, z, y, x in voxels of the ROI: in images of several
        objects that object is compared, if nothing else says which.
    costs : mapping of str to MethodCost, optional
        By the name of the method.
    grid : Grid, optional
        Of the ROI; by default that of the image with the most slices.
    config : CompareConfig, optional
        Settings.
    progress : Progress, optional
        Called after each reading of a method.

    Returns
    -------
    Comparison
        Scores per volume and slice, at the poles and between them, differences
        between methods with their intervals, worst slices, costs.

    Raises
    ------
    GridMismatchError
        If an image does not lie on the grid of the others.
    ParameterError
        No method, an unknown part, slices that are not there, or labels in an image that
        nothing explains.
    DataFormatError
        Floats that are no probabilities.

    Notes
    -----
    1. Each image is read once, to see which labels it holds and which slices hold truth.
    2. Each method is evaluated as in `helaseg.evaluate`, with voxels in doubt and without.
       What lies in slices that do not count is left out like voxels in doubt: it is neither
       right nor wrong, and makes no surface.
    3. The first and last tenth of the slices with truth are the poles, but not where the
       volume cuts the object. Their scores are those of their slices as one body, and so
       are those of the centre.
    4. Differences of the scores per slice, see `helaseg.metrics.paired_difference`.
    """
    config = config or CompareConfig()
    if part is not None:
        check_choice("part", part, PARTS)
    if not predictions:
        msg = "'predictions' must hold at least one method, got none"
        raise ParameterError(msg)
    choice = Choice(
        part=part,
        labels=tuple(labels),
        instances=instances,
        threshold=config.threshold,
        target_vx=target_vx,
    )
    if not isinstance(truth, LabelVolume):
        msg = f"'truth' must be a LabelVolume of integer labels, got {type(truth).__name__}"
        raise ParameterError(msg)
    given = [truth, *predictions.values()]
    grid = grid or max((v.grid for v in given), key=lambda g: g.shape[0])
    annotated = _as_slices(slices, grid.shape[0])
    true = _side("truth", truth, choice, grid, annotated)
    sides = {name: _side(name, v, choice, grid, annotated) for name, v in predictions.items()}
    doubtful = None if ignore is None else _doubt(ignore, grid, annotated)
    counted = tuple(z for z in annotated if z in true.present) if drawn_slices else annotated
    if not counted:
        msg = f"'drawn_slices' needs truth in a slice, all {len(annotated)} are empty"
        raise ParameterError(msg)
    present = [z for z in counted if z in true.present]
    split = split_slices(present, config.pole_fraction, depth=grid.shape[0])
    plan = list(_plan(counted, doubtful, split, grid))
    scores: list[MethodScores] = []
    for name, side in sides.items():
        for doubt, region, slices_, ignored in plan:
            table = _score(true, side, ignored, slices_, choice, config, whole=region == "volume")
            scores.append(
                MethodScores(method=name, doubt=doubt, region=region, table=_named(table, name))
            )
            if progress:
                progress("compare", len(scores), len(plan) * len(sides))
    result = Comparison(
        subject=choice.subject,
        grid=grid,
        truth=true.mask,
        predictions={name: side.mask for name, side in sides.items()},
        ignore=doubtful,
        slices=counted,
        split=split,
        scores=tuple(scores),
        costs={name: (costs or {}).get(name, MethodCost()) for name in sides},
        main_metric=MAIN_METRIC,
        notes=_notes(true, sides, counted, grid),
        config=dataclasses.asdict(config),
    )
    return dataclasses.replace(
        result,
        differences=tuple(_differences(result, config)),
        worst=tuple(w for name in sides for w in _worst(result, name, config.n_worst)),
    )


def split_slices(present: Sequence[int], pole_fraction: float, *, depth: int) -> SliceSplit:
    """The slices of an object at its poles and between them.

    Where the volume cuts the object, there is no pole.

    Parameters
    ----------
    present : sequence of int
        Slices with the object, in order.
    pole_fraction : float
        Share of them that is a pole, at either end.
    depth : int
        Slices of the volume.
    """
    n_pole = int(pole_fraction * len(present) + 1e-9)
    if n_pole == 0:
        reason = (
            f"{counted(len(present), 'slice')} with truth, too few to part off poles of "
            f"{100 * pole_fraction:g} %"
        )
        return SliceSplit(reason=reason)
    first = 0 if present[0] == 0 else n_pole
    last = len(present) - (0 if present[-1] == depth - 1 else n_pole)
    if last - first == len(present):
        return SliceSplit(reason="the volume cuts the object at both ends, so it has no poles here")
    return SliceSplit(centre=tuple(present[first:last]), poles=(*present[:first], *present[last:]))


def _as_slices(slices: Sequence[int] | None, depth: int) -> tuple[int, ...]:
    if slices is None:
        return tuple(range(depth))
    wanted = tuple(sorted(set(slices)))
    if not wanted or wanted[0] < 0 or wanted[-1] >= depth:
        msg = f"'slices' must be indices from 0 to {depth - 1}, got {list(slices)}"
        raise ParameterError(msg)
    return wanted


def _side(
    name: str, volume: LabelVolume | Volume, choice: Choice, grid: Grid, annotated: tuple[int, ...]
) -> Foreground:
    places = _places(name, volume.grid, grid, annotated)
    return as_foreground(name, volume, choice, grid=grid, places=places)


def _places(name: str, own: Grid, grid: Grid, annotated: tuple[int, ...]) -> dict[int, int]:
    """Map the slices of an image to their places; it may hold the annotated slices alone."""
    if own.shape[0] == grid.shape[0] or own.shape[0] != len(annotated):
        own.check_agrees(grid, names=(name, "ROI"))
        return {z: z for z in annotated}
    # Slices by themselves know neither their distance nor where they lie along z.
    (_, *shape), (_, *size), (_, *offset) = own.shape, own.voxel_size_nm, own.offset_nm
    placed = Grid(
        shape=(grid.shape[0], *shape),  # type: ignore[arg-type]
        voxel_size_nm=(grid.voxel_size_nm[0], *size),  # type: ignore[arg-type]
        offset_nm=(grid.offset_nm[0], *offset),  # type: ignore[arg-type]
    )
    placed.check_agrees(grid, names=(name, "ROI"))
    return {z: k for k, z in enumerate(annotated)}


def _doubt(ignore: LabelVolume | Volume, grid: Grid, annotated: tuple[int, ...]) -> LabelVolume:
    mask = LabelVolume(data=ignore.data, grid=ignore.grid)
    whatever_is_set = Choice(instances=True)
    return _side("ignore", mask, whatever_is_set, grid, annotated).mask


def _plan(
    counted: tuple[int, ...], doubtful: LabelVolume | None, split: SliceSplit, grid: Grid
) -> Iterator[tuple[Doubt, Region, tuple[int, ...], LabelVolume | None]]:
    """Each evaluation of a method: what becomes of doubt, where, which slices, what to ignore."""
    regions: list[tuple[Region, tuple[int, ...]]] = [("volume", counted)]
    regions += [(r, s) for r, s in (("centre", split.centre), ("poles", split.poles)) if s]  # type: ignore[misc]
    doubts: tuple[Doubt, ...] = ("counted",) if doubtful is None else ("counted", "left out")
    for doubt in doubts:
        for region, slices in regions:
            if doubt == "counted" and len(slices) == grid.shape[0]:
                yield doubt, region, slices, None
            else:
                known = doubtful if doubt == "left out" else _nothing(grid)
                assert known is not None
                yield doubt, region, slices, only_slices(known, slices, elsewhere=1)


def _nothing(grid: Grid) -> LabelVolume:
    """Zeros that take no memory."""
    return LabelVolume(data=np.broadcast_to(np.uint8(0), grid.shape), grid=grid)


def _score(
    true: Foreground,
    side: Foreground,
    ignore: LabelVolume | None,
    slices: tuple[int, ...],
    choice: Choice,
    config: CompareConfig,
    *,
    whole: bool,
) -> ScoreTable:
    """Scores of one method in some slices; those of each slice only with the whole volume."""
    # Over all voxels of a region it costs as much as all else, and says little more.
    metrics = [m for m in config.metrics if whole or m != VOXEL_METRIC]
    table = evaluate(
        only_slices(true.mask, slices),
        only_slices(side.mask, slices),
        ignore,
        labels={choice.subject: 1},
        metrics=metrics,
        per_slice=whole,
    )
    rows = [s for s in table if s.z is None or s.z in slices]
    if whole and true.objects is not None and side.objects is not None:
        rows += _instance_scores(true.objects, side.objects, ignore, choice, config)
    return ScoreTable(rows=tuple(rows))


def _instance_scores(
    true: LabelVolume,
    found: LabelVolume,
    ignore: LabelVolume | None,
    choice: Choice,
    config: CompareConfig,
) -> Iterator[Score]:
    matches = match_instances(true, found, threshold=config.instance_iou, ignore=ignore)
    quality = matches.f1 * matches.mean_iou if matches.matches else 0.0 * matches.f1
    none = "truth and prediction hold no object"
    for metric, value, reason in (
        ("instance_f1", matches.f1, none),
        ("segmentation_quality", matches.mean_iou, "no objects match"),
        ("panoptic_quality", quality, none),
    ):
        yield Score(
            metric=metric,
            value=value,
            label=choice.subject,
            params={"iou": config.instance_iou},
            undefined=reason if math.isnan(value) else None,
        )


def _named(table: ScoreTable, name: str) -> ScoreTable:
    return ScoreTable(rows=tuple(dataclasses.replace(s, pred=name) for s in table))


def _differences(result: Comparison, config: CompareConfig) -> Iterator[PairedDifference]:
    for doubt in result.doubts:
        for metric in config.metrics:
            rows = result.table(result.methods[0], doubt=doubt).select(metric=metric)
            units = [s.unit for s in rows.select(per_slice=True)]
            if not units:
                continue  # a number of slices has no value per slice
            for first, second in result.pairs():
                found = paired_difference(
                    result.per_slice(first, metric, doubt=doubt),
                    result.per_slice(second, metric, doubt=doubt),
                    n_resamples=config.n_resamples,
                    confidence=config.confidence,
                    seed=config.seed,
                )
                names: dict[str, Any] = {"first": first, "second": second, "doubt": doubt}
                yield dataclasses.replace(found, metric=metric, unit=units[0], **names)


def _worst(result: Comparison, method: str, n: int) -> list[WorstSlice]:
    """Slices with the lowest score; close neighbours of a chosen one would show the same."""
    values = result.per_slice(method, result.main_metric)
    known = [(v, z) for v, z in zip(values, result.slices, strict=True) if not math.isnan(v)]
    gap = max(1, len(known) // 20)
    chosen: list[WorstSlice] = []
    for value, z in sorted(known):
        if len(chosen) < n and all(abs(z - w.z) >= gap for w in chosen):
            chosen.append(WorstSlice(method=method, z=z, value=value))
    return chosen


def _notes(
    true: Foreground, sides: Mapping[str, Foreground], counted: tuple[int, ...], grid: Grid
) -> tuple[str, ...]:
    notes = [true.note, *(side.note for side in sides.values())]
    if len(counted) < grid.shape[0]:
        notes.append(f"{len(counted)} of {grid.shape[0]} slices are annotated and count")
    n_empty = sum(z not in true.present for z in counted)
    if n_empty:
        notes.append(
            f"the truth is empty in {n_empty} of the {len(counted)} slices that count, which is "
            "taken to mean that nothing is there; say which slices are annotated if it is not so"
        )
    return tuple(notes)
