"""All scores of one segmentation against a ground truth, per slice and per volume."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from numpy.typing import ArrayLike

from helaseg._validate import check_choice
from helaseg.core.scores import Score, ScoreTable
from helaseg.core.volume import LabelVolume, Volume
from helaseg.metrics.boundary import BOUNDARY_METRICS, as_boundary_metric
from helaseg.metrics.classes import ClassPair, Labels, as_classes
from helaseg.metrics.contingency import contingency_table
from helaseg.metrics.meter import DISTANCE_METRICS, DISTANCE_PARAMS, VOXEL_METRIC, DistanceMeter
from helaseg.metrics.overlap import OVERLAP_METRICS, ConfusionCounts, overlap_score
from helaseg.metrics.pairs import Mask, SlicePairs, open_pairs

SLICE_METRICS = ("n_missing_slices", "n_spurious_slices")

#: Every metric that `evaluate` gives by default, in the order of its rows.
METRICS = (*OVERLAP_METRICS, *DISTANCE_METRICS, *BOUNDARY_METRICS, *SLICE_METRICS)

_NOTHING = ConfusionCounts(tp=0, fp=0, fn=0, tn=0)


def evaluate(
    truth: LabelVolume | Volume | ArrayLike,
    prediction: LabelVolume | Volume | ArrayLike,
    ignore: LabelVolume | Volume | ArrayLike | None = None,
    *,
    labels: Labels = None,
    per_slice: bool = True,
    metrics: Collection[str] | None = None,
    voxel_size_nm: tuple[float, float, float] | None = None,
) -> ScoreTable:
    """Score a segmentation against a ground truth.

    Parameters
    ----------
    truth, prediction : LabelVolume, Volume, or (Z, Y, X) or (Y, X) array, of integers or bools
        Masks (0 and 1, or 0 and 255) or class images. They are read slice by slice.
    ignore : LabelVolume, Volume or array of the same shape, optional
        Non-zero voxels are left out.
    labels : mapping or collection of int, optional
        What to compare. A collection names labels that mean the same on both
        sides. A mapping gives each comparison a name and its labels: an int, a
        list or set of ints (joined into one foreground), or a tuple of two
        such, for the truth and for the prediction. None: two masks are compared
        as one ``"foreground"``, whatever their value; class images label by label.
    per_slice : bool
        Also give the scores of every slice.
    metrics : collection of str, optional
        Names out of `METRICS`, and ``boundary_f_…nm``, ``boundary_precision_…nm`` and
        ``boundary_recall_…nm`` for any tolerance; None is all of `METRICS`.
    voxel_size_nm : tuple of float, optional
        z, y, x; for arrays alone. Beside a volume an array takes the volume's grid.

    Returns
    -------
    ScoreTable
        Rows of the volume (``z`` is None) and of the slices. Distances are in
        nm, and in slices also in pixels under the name with ``_px`` at its end.
        Boundary scores are ratios; their tolerance, in nm, is in the name.
        A score without a value is nan and says why.

    Raises
    ------
    GridMismatchError
        If the sides differ in shape, voxel size or offset.
    ParameterError
        No voxel size, unknown metrics or labels, or masks and classes mixed.

    Notes
    -----
    1. First reading: one table of label pairs per slice gives all overlaps;
       a volume's counts are the sums of those of its slices, so a slice that
       was missed altogether counts with all its voxels.
    2. Second reading, if distances are asked for: surface voxels of each class
       in the slice (2-D) and in the volume (3-D), and the distances between them.
    3. Third reading, for `average_hausdorff_distance_voxel` of the volume.

    A slice with truth and no prediction counts in ``n_missing_slices``, one
    with prediction and no truth in ``n_spurious_slices``; their overlap is 0
    and their distance is undefined. No mean over slices is taken.
    """
    wanted = _as_metrics(metrics)
    pair = open_pairs(truth, prediction, ignore, voxel_size_nm)
    tables = [contingency_table(t, p, ignore=i) for t, p, i in pair]
    classes = as_classes(labels, tables, pair.names)
    scores: list[Score] = []
    for one in classes:
        counts = [t.confusion(one.truth_values, one.prediction_values) for t in tables]
        scores += _overlap_scores(one, wanted, sum(counts, _NOTHING), None)
        scores += _slice_counts(one, wanted, counts)
        if per_slice:
            for z, c in enumerate(counts):
                scores += _overlap_scores(one, wanted, c, z)
    distances = tuple(m for m in wanted if m in DISTANCE_METRICS or as_boundary_metric(m))
    if distances:
        n_voxels = [t.n_voxels for t in tables]
        scores += _distance_scores(pair, classes, distances, n_voxels, per_slice=per_slice)
    return ScoreTable(rows=tuple(sorted(scores, key=_row_order([c.name for c in classes], wanted))))


def _row_order(
    names: list[str], metrics: tuple[str, ...]
) -> Callable[[Score], tuple[int, int, int, str]]:
    """Class by class, the volume before its slices, metrics in their order."""

    def key(score: Score) -> tuple[int, int, int, str]:
        z = -1 if score.z is None else score.z
        metric = metrics.index(score.metric.removesuffix("_px"))
        return names.index(score.label), z, metric, score.metric

    return key


def _as_metrics(metrics: Collection[str] | None) -> tuple[str, ...]:
    if metrics is None:
        return METRICS
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    more = tuple(m for m in names if m not in METRICS and as_boundary_metric(m))
    for name in names:
        if name not in more:
            check_choice("metrics", name, METRICS)
    return (*(m for m in METRICS if m in names), *dict.fromkeys(more))


def _params(one: ClassPair, **more: Any) -> dict[str, Any]:
    return {
        "truth_values": list(one.truth_values),
        "prediction_values": list(one.prediction_values),
        **more,
    }


def _overlap_scores(
    one: ClassPair, wanted: Collection[str], counts: ConfusionCounts, z: int | None
) -> Iterator[Score]:
    for metric in OVERLAP_METRICS:
        if metric in wanted:
            value, reason = overlap_score(counts, metric=metric)
            yield Score(
                metric=metric,
                value=value,
                n_voxels=counts.n_voxels,
                params=_params(one),
                label=one.name,
                z=z,
                undefined=reason,
            )


def _slice_counts(
    one: ClassPair, wanted: Collection[str], counts: list[ConfusionCounts]
) -> Iterator[Score]:
    n_missing = sum(c.fn > 0 and c.tp + c.fp == 0 for c in counts)
    n_spurious = sum(c.fp > 0 and c.tp + c.fn == 0 for c in counts)
    for metric, n in zip(SLICE_METRICS, (n_missing, n_spurious), strict=True):
        if metric in wanted:
            yield Score(
                metric=metric,
                value=float(n),
                unit="slices",
                n_voxels=sum(c.n_voxels for c in counts),
                params=_params(one),
                label=one.name,
            )


def _distance_scores(
    pair: SlicePairs,
    classes: tuple[ClassPair, ...],
    wanted: tuple[str, ...],
    n_voxels: list[int],
    *,
    per_slice: bool,
) -> list[Score]:
    scores: list[Score] = []
    grid = pair.grid
    has_voxel = VOXEL_METRIC in wanted

    def meter(n_slices: int, spacing: tuple[float, ...]) -> DistanceMeter:
        return DistanceMeter(
            n_slices=n_slices,
            spacing=spacing,
            has_ignore=pair.ignore is not None,
            voxel=has_voxel,
        )

    volumes = [meter(grid.shape[0], grid.voxel_size_nm) for _ in classes]
    for z, planes in enumerate(pair):
        for one, volume in zip(classes, volumes, strict=True):
            masks = one.masks(*planes)
            volume.add(*masks)
            if per_slice:
                for unit, plane in _measure_plane(masks, grid.voxel_size_nm, meter):
                    scores += _scores_of(plane, one, wanted, unit, n_voxels[z], z)
    for volume in volumes:
        volume.finish()
    if has_voxel:
        for z, planes in enumerate(pair):
            for one, volume in zip(classes, volumes, strict=True):
                volume.add_voxels(z, *one.masks(*planes))
    for one, volume in zip(classes, volumes, strict=True):
        scores += _scores_of(volume, one, wanted, "nm", sum(n_voxels), None)
    return scores


def _measure_plane(
    masks: tuple[Mask, Mask, Mask | None],
    voxel_size_nm: tuple[float, float, float],
    meter: Callable[[int, tuple[float, ...]], DistanceMeter],
) -> Iterator[tuple[str, DistanceMeter]]:
    in_nm = meter(1, voxel_size_nm)
    in_nm.measure([masks])
    yield "nm", in_nm
    _, y_nm, x_nm = voxel_size_nm
    if y_nm == x_nm:
        yield "px", in_nm.rescaled(1 / y_nm)
    else:
        in_px = meter(1, (1.0, 1.0, 1.0))
        in_px.measure([masks])
        yield "px", in_px


def _scores_of(
    meter: DistanceMeter,
    one: ClassPair,
    wanted: tuple[str, ...],
    unit: str,
    n_voxels: int,
    z: int | None,
) -> Iterator[Score]:
    for metric in wanted:
        boundary = as_boundary_metric(metric)
        params = _params(one, **{f"spacing_{unit}": meter.spacing})
        if boundary is not None and unit != "nm":
            continue  # a ratio is the same in px
        if boundary is not None:
            name, score_unit = metric, "1"
            params["tolerance_nm"] = boundary.tolerance_nm
            value, reason = meter.boundary_score(boundary.kind, tolerance=boundary.tolerance_nm)
        else:
            name, score_unit = metric if unit == "nm" else f"{metric}_{unit}", unit
            params |= DISTANCE_PARAMS[metric]
            value, reason = meter.score(metric)
        yield Score(
            metric=name,
            value=value,
            unit=score_unit,
            n_voxels=n_voxels,
            params=params,
            label=one.name,
            z=z,
            undefined=reason,
        )
