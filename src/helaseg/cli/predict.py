"""``helaseg predict``: a trained network on one ROI."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from helaseg._version import __version__
from helaseg.cli.options import SETTINGS, CommonOptions, InputOptions
from helaseg.cli.outputs import files_named, output_folder, remove_files
from helaseg.cli.segment import OUTPUTS as SEGMENT_OUTPUTS
from helaseg.cli.session import session, show
from helaseg.deep.extra import require_deep
from helaseg.deep.predict_config import PredictConfig
from helaseg.execution import fingerprint_of
from helaseg.io.atomic import ROOM_PREFIX

#: Names of the files, without their endings.
OUTPUTS = (*SEGMENT_OUTPUTS, "probability", "agreement", "training")


def predict(
    roi: Path,
    model: Path,
    out: Path,
    /,
    *,
    tri_axis: Literal["union", "majority", "mean", "intersection"] | None = None,
    keep: Literal["target", "largest", "all"] = "target",
    target_vx: tuple[float, float, float] | None = None,
    device: str = "auto",
    format: Literal["tiff", "ome-zarr"] = "tiff",
    input_options: InputOptions = InputOptions(),
    settings: Annotated[PredictConfig, Parameter(name="*", group=SETTINGS)] = PredictConfig(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Apply a trained network to one ROI; the files are those of 'helaseg segment'.

    Parameters
    ----------
    roi : Path
        Image of one cell: folder of TIFF slices, TIFF stack, OME-Zarr, zarr, npy or mrc.
    model : Path
        Folder that 'helaseg train' wrote.
    out : Path
        Output folder for labels, nucleus, probability, measurements and report.
    tri_axis : str, optional
        Predict along z, y and x too, and fuse the three: union, majority, mean or
        intersection.
    keep : str
        Which nucleus: that of the target, the largest, or all.
    target_vx : tuple of float, optional
        A point in the cell, Z,Y,X in voxels of the crop; by default the one that
        'helaseg crop' noted beside it, else the middle of the crop.
    device : str
        auto, cpu, cuda, cuda:N or mps.
    format : str
        Files of the labels.
    """
    with session(common) as work:
        require_deep("'helaseg predict'")

        from helaseg import io
        from helaseg.deep import read_checkpoint
        from helaseg.deep.checkpoint import COSTS
        from helaseg.pipelines import learned
        from helaseg.pipelines.targets import read_target
        from helaseg.report import write_segment_report

        image = io.to_uint8(input_options.open(roi))
        checkpoint = read_checkpoint(model)
        if target_vx is None:
            target_vx = read_target(roi)
        if common.dry_run:
            from helaseg.cli.plan_learned import plan_prediction

            show(
                plan_prediction(
                    image, checkpoint, config=settings, tri_axis=tri_axis, device=device
                )
            )
            return
        key = fingerprint_of(
            "predict",
            io.input_state(image),
            checkpoint.digest(),
            settings,
            (tri_axis, keep, target_vx, format),
            __version__,
        )
        with output_folder(
            out, job="predict", fingerprint=key, overwrite=common.overwrite
        ) as journal:
            if journal.is_done("predict/labels", key):
                work.say(f"done earlier: {out}")
                return
            remove_files(files_named(out, OUTPUTS))
            # Arrays at the voxels of the network lie in a file until the labels are written;
            # by its name the folder is removed after a kill.
            with tempfile.TemporaryDirectory(dir=out, prefix=ROOM_PREFIX) as scratch:
                result = learned.predict(
                    image,
                    checkpoint,
                    config=settings,
                    tri_axis=tri_axis,
                    keep=keep,
                    target_vx=target_vx,
                    device=device,
                    scratch=Path(scratch),
                    progress=work.progress,
                )
                learned.write_probabilities(out, result)
                # What the training took, for 'helaseg compare'.
                if (model / COSTS).exists():
                    shutil.copyfile(model / COSTS, out / COSTS)
                io.write_segmentation(out, result.segmentation, format=format)
                flags, shares = result.segmentation.flags, result.axis_shares
                del result
            page = write_segment_report(out, raw=image)
            journal.record("predict/labels", key, outputs=files_named(out, OUTPUTS))
        if shares is not None:
            parts = ", ".join(f"{100 * s:.0f} %" for s in shares)
            work.say(f"axes z, y, x: each finds {parts} of the nucleus that the best one finds")
        work.say(f"flags: {flags.text}")
        work.say(f"report: {page}")
