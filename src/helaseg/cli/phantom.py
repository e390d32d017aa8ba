"""``helaseg phantom``: volumes whose truth is known."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from helaseg._validate import check_choice
from helaseg.cli.options import SETTINGS, CommonOptions
from helaseg.cli.plan import plan_whole
from helaseg.cli.session import Session, session, show
from helaseg.errors import OutputExistsError, ParameterError
from helaseg.synthetic import CASE_GRID, CASES, PhantomConfig


def phantom(
    out: Path,
    /,
    *,
    case: str | None = None,
    settings: Annotated[PhantomConfig, Parameter(name="*", group=SETTINGS)] = PhantomConfig(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Make a synthetic volume with exact truth.

    Parameters
    ----------
    out : Path
        Output folder for image, truth and phantom.json.
    case : str, optional
        A named difficult case in place of a phantom of chosen cells; only --seed goes
        with it. One of plain, pole_islands, invagination_in_plane, invagination_z,
        through_hole, through_hole_in_plane, two_cells, binucleate, mitotic,
        damaged_slices, low_contrast, inverted_resin, no_resin, only_resin.
    """
    if case is not None:
        _check_case(case, settings)
    with session(common, computes=True) as work:
        grid = settings.grid if case is None else CASE_GRID
        plan = plan_whole("phantom", grid, by_slice=True)
        if common.dry_run:
            show(plan.text(common))
            return
        plan.executor(common)
        make_once(out, settings, work, case=case)
        work.say(f"phantom: {out}")


def _check_case(case: str, settings: PhantomConfig) -> None:
    """A case is fixed but for its seed."""
    check_choice("case", case, CASES)
    plain = PhantomConfig(seed=settings.seed)
    other = [
        f.name for f in fields(settings) if getattr(settings, f.name) != getattr(plain, f.name)
    ]
    if other:
        msg = f"'--case' goes with '--seed' alone, got a value for '{other[0]}' too; leave it out"
        raise ParameterError(msg)


def make_once(
    out: Path, settings: PhantomConfig, work: Session, *, case: str | None = None
) -> None:
    """Write the phantom, or the named case, unless the folder holds it already."""
    from helaseg.synthetic import write_case, write_phantom

    wanted = asdict(settings) if case is None else {"case": case, "seed": settings.seed}
    record = out / "phantom.json"
    if record.is_file() and not work.common.overwrite:
        if _recorded_config(record) == json.loads(json.dumps(wanted)):
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
    shown = work.progress
    progress = None if shown is None else lambda done, n: shown("phantom", done, n)
    if case is None:
        write_phantom(out, settings, progress=progress)
    else:
        write_case(out, case, seed=settings.seed, progress=progress)


def _recorded_config(record: Path) -> object:
    try:
        return json.loads(record.read_text(encoding="utf-8"))["config"]
    except (ValueError, KeyError, TypeError):
        return None
