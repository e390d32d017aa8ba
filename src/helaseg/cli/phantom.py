"""``helaseg phantom``: volumes whose truth is known."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from helaseg.cli.options import SETTINGS, CommonOptions
from helaseg.cli.plan import plan_whole
from helaseg.cli.session import Session, session, show
from helaseg.errors import OutputExistsError
from helaseg.synthetic import PhantomConfig


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
    with session(common, computes=True) as work:
        grid = settings.grid
        plan = plan_whole("phantom", grid, by_slice=True)
        if common.dry_run:
            show(plan.text(common))
            return
        plan.executor(common)
        make_once(out, settings, work)
        work.say(f"phantom: {out}")


def make_once(out: Path, settings: PhantomConfig, work: Session) -> None:
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
