"""``helaseg phantom`` and ``helaseg demo``: volumes whose truth is known."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from helaseg.cli.evaluate import score_text
from helaseg.cli.options import SETTINGS, CommonOptions
from helaseg.cli.outputs import no_trace_without_work
from helaseg.cli.plan import plan_run, plan_whole
from helaseg.cli.session import Session, session, show
from helaseg.errors import OutputExistsError
from helaseg.synthetic import PhantomConfig

if TYPE_CHECKING:
    from helaseg.core.scores import ScoreTable


def phantom(
    out: Path,
    /,
    *,
    settings: Annotated[PhantomConfig, Parameter(name="*", group=SETTINGS)] = PhantomConfig(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Make a synthetic volume with exact truth.

    Parameters
    ----------
    out : Path
        Output folder for image, truth and phantom.json.
    """
    with session(common) as work:
        grid = settings.grid
        plan = plan_whole("phantom", grid, by_slice=True)
        if common.dry_run:
            show(plan.text(common))
            return
        plan.executor(common)
        _make_once(out, settings, work)
        work.say(f"phantom: {out}")


def _make_once(out: Path, settings: PhantomConfig, work: Session) -> None:
    """Write the phantom unless the folder holds it already."""
    from helaseg.synthetic import write_phantom

    record = out / "phantom.json"
    if record.is_file() and not work.common.overwrite:
        if _recorded_config(record) == json.loads(json.dumps(asdict(settings))):
            return
        msg = (
            f"the output folder {out} holds a phantom with other settings; choose another folder, "
            "or give --overwrite to replace it"
        )
        raise OutputExistsError(msg)
    if record.is_file():
        # Only what a phantom consists of: anything else there makes the writer refuse.
        for part in (out / "image", out / "truth"):
            shutil.rmtree(part, ignore_errors=True)
        record.unlink()
    progress = work.progress
    if progress is None:
        write_phantom(out, settings)
    else:
        write_phantom(out, settings, progress=lambda done, n: progress("phantom", done, n))


def _recorded_config(record: Path) -> object:
    try:
        return json.loads(record.read_text(encoding="utf-8"))["config"]
    except (ValueError, KeyError, TypeError):
        return None


def demo(
    out: Path = Path("helaseg-demo"),
    /,
    *,
    settings: Annotated[PhantomConfig, Parameter(name="*", group=SETTINGS)] = PhantomConfig(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Make a phantom, find and segment its cells, score them and write the report.

    Parameters
    ----------
    out : Path
        Output folder for the phantom and the run.
    """
    with session(common) as work:
        from helaseg.pipelines.classical import RunConfig

        grid = settings.grid
        config = RunConfig()
        plan = plan_run(grid, slice_step_nm=config.detect.slice_step_nm)
        if common.dry_run:
            show(plan_whole("phantom", grid, by_slice=True).text(common))
            show(plan.text(common))
            return
        executor = plan.executor(common)

        from helaseg.io import open_volume
        from helaseg.pipelines import batch
        from helaseg.report import write_run_report

        folder = out / "phantom"
        _make_once(folder, settings, work)
        with no_trace_without_work(out / "run"):
            result = batch.run(
                open_volume(folder / "image"),
                out / "run",
                config,
                executor=executor,
                overwrite=common.overwrite,
                progress=work.progress,
            )
        scores = _scores(folder / "truth", out / "run")
        page = write_run_report(out / "run", scores=scores)
        show(f"{len(result.segmentations)} cells segmented, scores against the exact truth:")
        show(score_text(scores))
        show(f"report: {page}")


def _scores(truth: Path, run: Path) -> ScoreTable:
    """Cells and nuclei of the whole volume, each as one mask."""
    from helaseg.core.scores import ScoreTable
    from helaseg.core.volume import LabelVolume
    from helaseg.io import open_volume
    from helaseg.metrics import evaluate

    rows = []
    for name in ("cell", "nucleus"):
        true = open_volume(truth / name)
        found = open_volume(run / "cells.ome.zarr" / "image" / "labels" / name)
        table = evaluate(
            LabelVolume(data=(true.read() > 0).view("u1"), grid=true.grid),
            LabelVolume(data=(found.read() > 0).view("u1"), grid=true.grid),
            per_slice=False,
        )
        rows += [replace(score, label=name) for score in table]
    return ScoreTable(rows=tuple(rows))
