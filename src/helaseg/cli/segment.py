"""``helaseg segment``: nucleus, nuclear envelope and cell of one ROI."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from helaseg._version import __version__
from helaseg.cli.options import SETTINGS, CommonOptions, InputOptions
from helaseg.cli.outputs import files_named, output_folder, remove_files
from helaseg.cli.plan import as_time, plan_whole
from helaseg.cli.session import session, show
from helaseg.execution import fingerprint_of
from helaseg.pipelines.classical import SegmentConfig

#: Names of the files, without their endings.
OUTPUTS = (
    "labels",
    "nucleus",
    "cell",
    "cells",
    "second",
    "cell_confidence",
    "envelope_confidence",
    "measurements",
    "slices",
    "invaginations",
    "provenance",
    "report",
    "shape",
)


def segment(
    roi: Path,
    out: Path,
    /,
    *,
    seed_slice: int | None = None,
    target_vx: tuple[float, float, float] | None = None,
    nucleus_only: Annotated[bool, Parameter(negative=())] = False,
    format: Literal["tiff", "ome-zarr"] = "tiff",
    input_options: InputOptions = InputOptions(),
    settings: Annotated[SegmentConfig, Parameter(name="*", group=SETTINGS)] = SegmentConfig(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Segment nucleus, nuclear envelope and cell of one ROI.

    Parameters
    ----------
    roi : Path
        Image of one cell: folder of TIFF slices, TIFF stack, OME-Zarr, zarr, npy or mrc.
    out : Path
        Output folder for labels, nucleus, cell, measurements and report.
    seed_slice : int, optional
        Slice (from 0) where the nucleus is clear; chosen automatically if not given.
    target_vx : tuple of float, optional
        A point in the cell, Z,Y,X in voxels of the crop; by default the one that
        'helaseg crop' noted beside it, else the middle of the crop.
    nucleus_only : bool
        Leave the cell out.
    format : str
        Files of the labels.
    """
    begun = time.perf_counter()
    with session(common, computes=True) as work:
        image = input_options.open(roi)
        from helaseg.pipelines.targets import read_target

        if target_vx is None:
            target_vx = read_target(roi)
        plan = plan_whole("segment", image.grid, by_slice=False)
        if common.dry_run:
            show(plan.text(common))
            return
        executor = plan.executor(common)

        from helaseg import io
        from helaseg.execution import make_executor
        from helaseg.pipelines import classical
        from helaseg.report import write_segment_report

        image = io.to_uint8(image)
        key = fingerprint_of(
            "segment",
            io.input_state(image),
            settings,
            seed_slice,
            target_vx,
            nucleus_only,
            format,
            __version__,
        )
        with output_folder(
            out, job="segment", fingerprint=key, overwrite=common.overwrite
        ) as journal:
            if journal.is_done("segment/labels", key):
                work.say(f"done earlier: {out}")
                return
            remove_files(files_named(out, OUTPUTS))
            result = classical.segment(
                image,
                config=settings,
                seed_slice=seed_slice,
                target_vx=target_vx,
                nucleus_only=nucleus_only,
                executor=make_executor(executor),
                progress=work.progress,
            )
            io.write_segmentation(out, result, format=format)
            segmented = time.perf_counter()
            page = write_segment_report(out, raw=image)
            journal.record("segment/labels", key, outputs=files_named(out, OUTPUTS))
        spent = as_time(segmented - begun), as_time(time.perf_counter() - segmented)
        work.say(f"flags: {result.flags.text}")
        work.say(f"segmented in {spent[0]}, the page took {spent[1]}")
        work.say(f"report: {page}")
