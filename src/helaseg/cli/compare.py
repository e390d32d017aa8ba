"""``helaseg compare``: any number of methods side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from helaseg._checksums import digest_of_all
from helaseg._version import __version__
from helaseg.cli.evaluate import as_labels, open_beside
from helaseg.cli.options import SETTINGS, CommonOptions, InputOptions
from helaseg.cli.outputs import files_named, output_folder, remove_files
from helaseg.cli.plan import plan_compare
from helaseg.cli.session import session, show
from helaseg.core.results import CLASS_NAMES
from helaseg.core.volume import LabelVolume
from helaseg.errors import ParameterError
from helaseg.execution import fingerprint_of
from helaseg.pipelines.compare_config import CompareConfig
from helaseg.pipelines.placing import placed_on

#: Names of the files, without their endings.
OUTPUTS = ("scores", "statistics", "compare", "report")


def compare(
    roi: Path,
    out: Path,
    /,
    *,
    truth: Path,
    pred: tuple[str, ...],
    ignore: Path | None = None,
    part: Literal["nucleus", "envelope", "cytoplasm", "cell"] | None = None,
    labels: tuple[int, ...] = (),
    instances: Annotated[bool, Parameter(negative=())] = False,
    slices: tuple[int, ...] = (),
    drawn_slices: Annotated[bool, Parameter(negative=())] = False,
    target_vx: tuple[float, float, float] | None = None,
    training: tuple[str, ...] = (),
    input_options: InputOptions = InputOptions(),
    settings: Annotated[CompareConfig, Parameter(name="*", group=SETTINGS)] = CompareConfig(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Score any number of methods on one ROI and say which is better, where, at what cost.

    Parameters
    ----------
    roi : Path
        Image of the ROI, to draw the outlines on.
    out : Path
        Output folder for report.html, scores.csv, statistics.csv and compare.json.
    truth : Path
        Label image, of the whole ROI, of the volume it was cut from, or of the annotated
        slices alone.
    pred : tuple of str
        NAME=PATH of each method: the output folder of 'helaseg segment' or 'predict', or
        a mask, class, instance or probability image of any tool.
    ignore : Path, optional
        Mask of voxels in doubt; all is scored with and without them.
    part : str, optional
        What is compared; picks the file in a folder and the labels in its class image.
    labels : tuple of int
        Labels that are compared, in images of other tools that are no masks.
    instances : bool
        Labels are objects: add their F1 score and panoptic quality.
    slices : tuple of int
        Annotated slices, from 0; the others do not count.
    drawn_slices : bool
        Only slices that hold truth are annotated.
    target_vx : tuple of float, optional
        A point in the object that is meant, Z,Y,X in voxels of the crop; in images of several
        objects that one is compared. By default the one that 'helaseg crop' noted.
    training : tuple of str
        NAME=FOLDER with the training.json of a method, for its cost.
    """
    with session(common, computes=True) as work:
        paths = parse_named("--pred", pred)
        trained = parse_named("--training", training)
        unknown = sorted(set(trained) - set(paths))
        if unknown:
            msg = f"'--training' must name methods of --pred ({', '.join(paths)}), got {unknown}"
            raise ParameterError(msg)

        from helaseg import io

        image = input_options.open(roi)

        def open_here(path: Path) -> Any:
            volume = open_beside(path, image.grid, input_options)
            return placed_on(volume, image.grid, n_slices=len(slices) or None)

        wanted = {"part": part, "instances": instances}
        truth = io.find_label_image(truth, **wanted)  # type: ignore[arg-type]
        found = {name: io.find_label_image(path, **wanted) for name, path in paths.items()}  # type: ignore[arg-type]
        true = as_labels(open_here(truth), truth)
        opened = {name: open_here(path) for name, path in found.items()}
        doubt = None if ignore is None else as_labels(open_here(ignore), ignore)
        plan = plan_compare(image.grid, len(paths) * (1 if ignore is None else 2))
        if common.dry_run:
            show(plan.text(common))
            return
        plan.executor(common)
        costs = {name: io.read_cost(path, trained.get(name)) for name, path in paths.items()}

        from helaseg.pipelines import compare as pipeline
        from helaseg.pipelines.targets import read_target
        from helaseg.report import write_comparison_report
        from helaseg.report.verdict import verdict

        inputs = {"roi": roi, "truth": truth, "ignore": ignore, "pred": found}
        contents = [digest_of_all(path, {}) for path in (truth, ignore, *found.values()) if path]
        choice = {
            "part": part,
            "labels": labels,
            "instances": instances,
            "slices": slices or None,
            "drawn_slices": drawn_slices,
            "target_vx": target_vx or read_target(roi),
        }
        key = fingerprint_of(
            "compare", io.input_state(image), inputs, contents, choice, costs, settings, __version__
        )
        with output_folder(
            out, job="compare", fingerprint=key, overwrite=common.overwrite
        ) as journal:
            if journal.is_done("compare/report", key):
                work.say(f"done earlier: {out}")
                return
            remove_files(files_named(out, OUTPUTS))
            result = pipeline.compare(
                _with_names(true, truth),
                {name: _with_names(opened[name], path) for name, path in found.items()},
                doubt,
                costs=costs,
                grid=image.grid,
                config=settings,
                progress=work.progress,
                **choice,  # type: ignore[arg-type]
            )
            sentences = verdict(result)
            io.write_comparison(out, result, verdict=sentences, inputs=inputs)
            page = write_comparison_report(out / "report.html", result, image=image, inputs=inputs)
            journal.record("compare/report", key, outputs=files_named(out, OUTPUTS))
        for sentence in sentences:
            show(sentence)
        work.say(f"report: {page}")


def parse_named(option: str, words: tuple[str, ...]) -> dict[str, Path]:
    """The paths of NAME=PATH words.

    Raises
    ------
    ParameterError
        If a name or path is missing, or a name comes twice.
    """
    named: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name.strip() and name.isprintable() and equals and path) or name in named:
            wrong = "a second time" if name in named and path else "in this form"
            msg = f"'{option}' must be NAME=PATH with a name of its own, got {word!r} {wrong}"
            raise ParameterError(msg)
        named[name] = Path(path)
    return named


def _with_names(volume: Any, path: Path) -> Any:
    """Integers as labels, those of a class image with their names; floats are probabilities."""
    from helaseg.io import is_class_image

    if volume.data.dtype.kind == "f":
        return volume
    names = CLASS_NAMES if is_class_image(path) else {}
    return LabelVolume(data=volume.data, grid=volume.grid, names=names)
