"""``helaseg demo``: the whole job on a phantom, scored against its exact truth."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from helaseg.cells.detection.rois import RoiConfig
from helaseg.cells.detection.track import TrackConfig
from helaseg.cli.evaluate import score_text
from helaseg.cli.options import SETTINGS, DemoOptions
from helaseg.cli.outputs import no_trace_without_work
from helaseg.cli.phantom import make_once
from helaseg.cli.plan import plan_run, plan_whole
from helaseg.cli.reports import write_reports
from helaseg.cli.session import session, show
from helaseg.core.scores import ScoreTable
from helaseg.core.words import counted
from helaseg.execution import parse_executor
from helaseg.pipelines.classical import RunConfig
from helaseg.synthetic import PhantomConfig

if TYPE_CHECKING:
    from helaseg.cli.session import Session
    from helaseg.core.volume import LabelVolume
    from helaseg.pipelines.batch import RunResult

#: What is scored, by its name in the truth and in the output of a run.
PARTS = ("cell", "nucleus")

#: A field that three minutes suffice for.
DEMO_PHANTOM = PhantomConfig(shape=(64, 1280, 1280), n_cells=6)

#: Scores of a single cell: few enough to compare cell with cell.
CELL_METRICS = (
    "jaccard_index",
    "precision",
    "recall",
    "average_hausdorff_distance_surface",
    "hausdorff_distance_95",
)


def demo(
    out: Path = Path("helaseg-demo"),
    /,
    *,
    network: bool = True,
    network_preset: Literal["auto", "small", "medium", "large"] = "auto",
    settings: Annotated[PhantomConfig, Parameter(name="*", group=SETTINGS)] = DEMO_PHANTOM,
    common: DemoOptions = DemoOptions(),
) -> None:
    """Make a phantom, find and segment its cells, score them, compare with a U-Net.

    Parameters
    ----------
    out : Path
        Output folder for the phantom and the run.
    network : bool
        Train a U-Net on all cells but one and compare it with the run on that one.
    network_preset : str
        How long it is trained: 'small', 'medium' or 'large'. 'auto' takes the largest one
        that a second of training on this machine promises within 25 s.
    """
    with session(common, computes=True, closely=True) as work:
        grid = settings.grid
        config = demo_config(settings)
        plan = plan_run(grid, slice_step_nm=config.detect.slice_step_nm)
        if common.dry_run:
            show(plan_whole("phantom", grid, by_slice=True).text(common))
            show(plan.text(common))
            return
        executor = plan.executor(common)

        from helaseg.io import open_volume
        from helaseg.pipelines import batch

        folder = out / "phantom"
        with compiled_meanwhile(work):
            make_once(folder, settings, work)
        with no_trace_without_work(out / "run"):
            result = batch.run(
                replace(open_volume(folder / "image"), name="phantom"),
                out / "run",
                config,
                executor=executor,
                overwrite=common.overwrite,
                progress=work.progress,
            )
        if work.progress:
            work.progress("score", 0, 1)
        scores, by_cell = score_run(folder / "truth", out / "run")
        page = write_reports(
            out / "run",
            result.segmentations,
            scores=scores,
            scores_by_cell=by_cell,
            n_workers=parse_executor(executor)[1],
            progress=work.progress,
        )
        n_cells = counted(len(result.segmentations), "cell")
        show(f"{n_cells} segmented, scores against the exact truth:")
        show(score_text(scores))
        show(cell_text(by_cell))
        show(f"report: {page}")
        if network:
            if work.progress:
                work.progress("measure a step of the network", 0, 1)
            for line in _learned(out, result, work, network_preset):
                show(line)


@contextmanager
def compiled_meanwhile(work: Session) -> Iterator[None]:
    """After a fresh installation, compile all kernels on another core while the block works."""
    from helaseg.execution import cached_kernels, usable_cores

    cache = cached_kernels()
    if cache is None or cache[1] > 0 or usable_cores() == 1:
        yield
        return
    from helaseg.execution import make_executor
    from helaseg.pipelines.warm import warm_kernels

    with make_executor("processes:1") as pool:
        warmed = pool.submit(warm_kernels)
        yield
        if work.progress:
            work.progress("compile kernels", 0, 1)
        # Without the worker this process compiles what it needs.
        with suppress(*pool.lost):
            took = warmed.result().total_seconds
            if not work.common.quiet:
                sys.stderr.write(
                    f"helaseg: another process compiled the kernels meanwhile, in {took:.0f} s\n"
                )


def _learned(out: Path, result: RunResult, work: Session, preset: str) -> Iterator[str]:
    """The comparison with a network, where there can be one."""
    from helaseg.cli.demo_learned import compare_with_network
    from helaseg.deep.extra import require_deep
    from helaseg.errors import MissingExtraError

    try:
        require_deep("the comparison with a network")
    except MissingExtraError as error:
        yield str(error)
        return
    cells = {c.id: c for c in result.cells if c.id in result.segmentations}
    if len(cells) < 2:
        yield "no comparison with a network: it takes two cells, one to learn and one to look at"
        return
    yield from compare_with_network(
        out / "phantom",
        result.segmentations,
        cells,
        out / "learned",
        preset=preset,
        progress=work.progress,
    )


def demo_config(phantom: PhantomConfig) -> RunConfig:
    """Settings for the cells of a phantom, which may be smaller than real ones and cut short.

    Flags that tell a cell from debris by its size would else stand at every cell, and
    each box would hold its neighbours as well.
    """
    track, rois = TrackConfig(), RoiConfig()
    depth_nm, height_nm, width_nm = phantom.extent_nm
    margin_z_nm, margin_y_nm, margin_x_nm = rois.margin_nm
    return RunConfig(
        track=replace(
            track,
            min_length_nm=min(track.min_length_nm, depth_nm / 4),
            small_radius_nm=min(track.small_radius_nm, height_nm / 12, width_nm / 12),
        ),
        rois=replace(
            rois,
            margin_nm=(
                margin_z_nm,
                min(margin_y_nm, height_nm / 10),
                min(margin_x_nm, width_nm / 10),
            ),
        ),
    )


def score_run(truth: Path, run: Path) -> tuple[ScoreTable, dict[int | str, ScoreTable]]:
    """Scores of all cells as one mask, and of each cell.

    Parameters
    ----------
    truth : Path
        The ``truth`` of a phantom.
    run : Path
        Output folder of a run.

    Returns
    -------
    whole : ScoreTable
        Cells and nuclei of the volume.
    by_cell : dict
        By the id that the run gave to the cell. ``"missed 3"`` is the third
        cell of the truth without a partner in the run, ``"made up 3"`` the
        third cell of the run without a partner in the truth.
    """
    from helaseg.metrics import evaluate, evaluate_objects, pair_objects

    rows = []
    by_cell: dict[int | str, ScoreTable] = {}
    pairs: Sequence[tuple[int | None, int | None]] = ()
    for part in PARTS:
        true, found = _read_part(truth, run, part)
        if part == "cell":
            pairs = pair_objects(true, found)
        whole = evaluate(_as_mask(true), _as_mask(found), per_slice=False)
        rows += [replace(score, label=part) for score in whole]
        tables = evaluate_objects(true, found, pairs, metrics=CELL_METRICS, name=part)
        for (t, p), table in tables.items():
            key = f"missed {t}" if p is None else f"made up {p}" if t is None else p
            before = by_cell.get(key, ScoreTable(rows=()))
            by_cell[key] = ScoreTable(rows=(*before.rows, *table.rows))
    order = sorted(by_cell, key=_found_first)
    return ScoreTable(rows=tuple(rows)), {key: by_cell[key] for key in order}


def _found_first(key: int | str) -> tuple[bool, int, str]:
    return (True, 0, key) if isinstance(key, str) else (False, key, "")


def _read_part(truth: Path, run: Path, part: str) -> tuple[LabelVolume, LabelVolume]:
    """Both sides in memory, on the grid of the phantom."""
    from helaseg.core.volume import LabelVolume
    from helaseg.io import open_volume

    true = open_volume(truth / part)
    found = open_volume(run / "cells.ome.zarr" / "image" / "labels" / part)
    return (
        LabelVolume(data=true.read(), grid=true.grid),
        LabelVolume(data=found.read(), grid=true.grid),
    )


def _as_mask(labels: LabelVolume) -> LabelVolume:
    return replace(labels, data=(labels.data[:, :, :] > 0).view("u1"))


def cell_text(by_cell: Mapping[int | str, ScoreTable]) -> str:
    """The median over the cells of the truth, and how many were missed or made up."""
    true = {key: table for key, table in by_cell.items() if not str(key).startswith("made up")}
    missed = sum(isinstance(key, str) for key in true)
    lines = [
        f"per cell, median of {len(true)} in the truth "
        f"({missed} missed, {len(by_cell) - len(true)} made up):"
    ]
    for part in reversed(PARTS):
        middle = _median(table.value("jaccard_index", label=part) for table in true.values())
        lines.append(f"{part:<9}jaccard_index{middle:>10.4f}")
    return "\n".join(lines)


def _median(values: Iterable[float]) -> float:
    defined = [v for v in values if not math.isnan(v)]
    return statistics.median(defined) if defined else math.nan
