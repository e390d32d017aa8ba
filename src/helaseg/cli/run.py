"""``helaseg run``: the whole job on one volume."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from helaseg.cli.calibrate import calibrate
from helaseg.cli.options import SETTINGS, CommonOptions, InputOptions
from helaseg.cli.outputs import no_trace_without_work
from helaseg.cli.plan import as_time, plan_run
from helaseg.cli.reports import write_reports
from helaseg.cli.session import session, show
from helaseg.core.words import counted
from helaseg.execution import check_output, parse_executor
from helaseg.pipelines.classical import RunConfig

#: Part of a cell that two crops must claim before the two are called one cell.
MOSTLY = 0.5


def run(
    volume: Path,
    out: Path,
    /,
    *,
    input_options: InputOptions = InputOptions(),
    settings: Annotated[RunConfig, Parameter(name="*", group=SETTINGS)] = RunConfig(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Find the cells of a volume, crop them, segment each, measure and report.

    Parameters
    ----------
    volume : Path
        Folder of TIFF slices, TIFF stack, OME-Zarr, zarr, npy or mrc.
    out : Path
        Output folder; an interrupted run goes on there.
    """
    begun = time.perf_counter()
    with session(common, computes=True) as work:
        image = input_options.open(volume)
        from helaseg.io import input_state, read_cells_csv, to_uint8
        from helaseg.pipelines import batch

        table = out / "cells.csv"
        known = read_cells_csv(table, grid=image.grid) if table.is_file() else None
        plan = plan_run(
            image.grid,
            slice_step_nm=settings.detect.slice_step_nm,
            boxes=None if known is None else [cell.roi.shape for cell in known],
        )
        if common.dry_run:
            image = to_uint8(image)
            key = batch.run_key(input_state(image), settings)
            check_output(out, job="run", fingerprint=key, overwrite=common.overwrite)
            measured = calibrate(image)
            show(plan.text(common, slowness=measured.slowness) + "\n" + measured.text)
        plan.check_disk(out)
        if common.dry_run:
            return
        executor = plan.executor(common)

        with no_trace_without_work(out):
            result = batch.run(
                to_uint8(image),
                out,
                settings,
                executor=executor,
                overwrite=common.overwrite,
                progress=work.progress,
            )
            page = write_reports(
                out,
                result.segmentations,
                n_workers=parse_executor(executor)[1],
                progress=work.progress,
            )
        took = as_time(time.perf_counter() - begun)
        done = len(result.segmentations)
        if result.n_new or not done:
            before = f", {done - result.n_new} were done before" if result.n_new < done else ""
            new = counted(result.n_new, "cell")
            work.say(f"{new} segmented{before}; all took {took}, pages included")
        else:
            spent = as_time(sum(cost.seconds for cost in result.steps))
            work.say(f"nothing to segment: all {done} cells were done before, in {spent}")
        for line in doubled_cells(out / "seams.csv"):
            work.say(line)
        work.say(f"report: {page}")


def doubled_cells(path: Path) -> Iterator[str]:
    """A line for each pair of cells of which one may be the other.

    Parameters
    ----------
    path : Path
        ``seams.csv`` of the run.
    """
    from helaseg.io.seam_table import read_seams_csv

    for seam in read_seams_csv(path) if path.is_file() else ():
        if seam.kind == "duplicate" and seam.severity >= MOSTLY:
            share = f"{100 * seam.severity:.0f} %"
            yield (
                f"cells {seam.cell} and {seam.other} may be one cell: their crops claim {share} of "
                "the smaller one twice; look at both, and set 'keep' of one to no in cells.csv"
            )
