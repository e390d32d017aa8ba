"""``helaseg detect`` and ``helaseg crop``: find the cells, cut them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cyclopts import Parameter

from helaseg._version import __version__
from helaseg.cells.background.config import BackgroundConfig
from helaseg.cells.detection.detect import DetectConfig
from helaseg.cells.detection.rois import RoiConfig
from helaseg.cells.detection.track import TrackConfig
from helaseg.cli.options import SETTINGS, CommonOptions, InputOptions
from helaseg.cli.outputs import files_named, output_folder, remove_files
from helaseg.cli.plan import plan_crop, plan_detect
from helaseg.cli.session import session, show
from helaseg.core.words import counted
from helaseg.errors import ParameterError
from helaseg.execution import check_output, fingerprint_of


@Parameter(name="*", group=SETTINGS)
@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSettings:
    """The settings of `helaseg run` that concern detection.

    Parameters
    ----------
    background : BackgroundConfig
        Resin of a slice.
    detect : DetectConfig
        Cells in a slice.
    track : TrackConfig
        Links between slices.
    rois : RoiConfig
        Boxes around the cells.
    """

    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    detect: DetectConfig = field(default_factory=DetectConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    rois: RoiConfig = field(default_factory=RoiConfig)


def detect(
    volume: Path,
    out: Path,
    /,
    *,
    input_options: InputOptions = InputOptions(),
    settings: DetectSettings = DetectSettings(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Find background and cells on every k-th slice and link them through the slices.

    Parameters
    ----------
    volume : Path
        Folder of TIFF slices, TIFF stack, OME-Zarr, zarr, npy or mrc.
    out : Path
        Output folder for cells.csv, candidates.html, detections.csv and background.ome.zarr.
    """
    with session(common, computes=True) as work:
        image = input_options.open(volume)
        plan = plan_detect(image.grid, slice_step_nm=settings.detect.slice_step_nm)
        if common.dry_run:
            show(plan.text(common))
            return
        executor_spec = plan.executor(common)

        from helaseg import io
        from helaseg.execution import make_executor
        from helaseg.pipelines import classical

        image = io.to_uint8(image)
        config = classical.RunConfig(
            background=settings.background,
            detect=settings.detect,
            track=settings.track,
            rois=settings.rois,
        )
        key = fingerprint_of("detect", io.input_state(image), settings, __version__)
        with output_folder(
            out, job="detect", fingerprint=key, overwrite=common.overwrite, beside=("crop",)
        ) as journal:
            # The table is for editing: it must be there, whatever it holds.
            if journal.is_done("detect/cells", key) and (out / "cells.csv").is_file():
                n_cells = journal.values("detect/cells")["n_cells"]
                work.say(f"{n_cells} cells, found earlier: {out / 'cells.csv'}")
                return
            remove_files(files_named(out, ("cells", "detections", "background", "candidates")))
            with make_executor(executor_spec) as executor:
                result = classical.detect(
                    image, config=config, executor=executor, progress=work.progress
                )
            files = _write_detection(out, result, image)
            n_cells = len(result.tracks)
            journal.record("detect/cells", key, outputs=files, values={"n_cells": n_cells})
        work.say(
            f"{counted(n_cells, 'cell')}: {out / 'cells.csv'}, pictures: {out / 'candidates.html'}"
        )


def _write_detection(out: Path, result: Any, image: Any) -> list[Path]:
    """All files of a detection; the table of cells, which people edit, is not returned."""
    from helaseg import io
    from helaseg.cells.detection.ranking import rank_tracks
    from helaseg.report import write_candidates

    cell_ids = {d: track.id for track in result.tracks for d in track.detections}
    table, files = out / "cells.csv", [out / "detections.csv", out / "background.ome.zarr"]
    io.write_cells_csv(
        table, result.tracks, result.rois, image.grid, ranks=rank_tracks(result.tracks)
    )
    io.write_detections_csv(
        files[0], result.detections, [cell_ids.get(d, 0) for d in result.detections]
    )
    background = result.background
    io.write_ome_zarr(files[1], background.data, background.grid, kind="labels")
    return [*files, write_candidates(out / "candidates.html", image, io.read_cells_csv(table))]


def crop(
    volume: Path,
    out: Path,
    /,
    *,
    cells: Path,
    ids: tuple[int, ...] = (),
    format: Literal["tiff", "tiff-stack", "ome-zarr", "nnunet"] = "tiff",
    mask: Path | None = None,
    input_options: InputOptions = InputOptions(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Cut the boxes of the cells out of a volume.

    Parameters
    ----------
    volume : Path
        Folder of TIFF slices, TIFF stack, OME-Zarr, zarr, npy or mrc.
    out : Path
        Output folder; may be that of 'helaseg detect'.
    cells : Path
        The cells.csv of 'helaseg detect'; edit it to choose cells and boxes.
    ids : tuple of int
        Only these cells.
    format : str
        tiff (a folder of slices per cell), tiff-stack, ome-zarr, or nnunet (cases of a
        data set for nnU-Net, spacing in nm).
    mask : Path, optional
        Labels of the whole volume, such as OUT/cells.ome.zarr/image/labels/cell of
        'helaseg run': what is not of the cell itself becomes 0 in its crop.
    """
    with session(common, computes=True) as work:
        from helaseg import io

        image = input_options.open(volume)
        rows = io.read_cells_csv(cells, grid=image.grid)
        unknown = sorted(set(ids) - {row.id for row in rows})
        if unknown:
            known = ", ".join(str(row.id) for row in rows)
            msg = f"'--ids' must be cells of {cells} ({known}), got {unknown}"
            raise ParameterError(msg)
        listed = [row.id for row in rows]
        rows = [row for row in rows if not ids or row.id in ids]
        plan = plan_crop(image.grid, [row.roi.shape for row in rows])
        source = io.input_state(image)
        claim: dict[str, Any] = {
            "job": "crop",
            "fingerprint": fingerprint_of("crop", source),
            "overwrite": common.overwrite,
            "beside": ("detect",),
        }
        if common.dry_run:
            check_output(out, **claim)
            show(plan.text(common))
        plan.check_disk(out)
        if common.dry_run:
            return
        executor_spec = plan.executor(common)

        from helaseg.core.volume import LabelVolume
        from helaseg.execution import local_pool, make_executor
        from helaseg.pipelines.cropping import crop_noted, warn_of_other_labels

        labels = None
        if mask is not None:
            painted = io.open_volume(mask, image.grid.voxel_size_nm)
            labels = LabelVolume(data=painted.data, grid=painted.grid)
            warn_of_other_labels(labels, rows)
        with (
            output_folder(out, **claim) as journal,
            make_executor(executor_spec) as executor,
            local_pool(executor) as threads,
        ):
            grey = io.to_uint8(image)
            if grey is not image:
                work.say(
                    f"{image.data.dtype} grey values are brought to 0 to 255; labels do not "
                    "survive that ('helaseg compare' cuts label images by itself)"
                )
            n_cut, n_removed = crop_noted(
                grey,
                rows,
                out,
                journal,
                job="crop",
                source=source,
                listed=listed,
                format=format,
                mask=labels,
                executor=threads,
                progress=work.progress,
            )
        gone = f", {n_removed} of cells that the table drops removed" if n_removed else ""
        work.say(
            f"{counted(n_cut, 'box')} cut, {len(rows) - n_cut} were there{gone}: {out / 'rois'}"
        )
