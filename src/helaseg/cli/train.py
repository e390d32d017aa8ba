"""``helaseg train``: a U-Net from images and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from helaseg.cli.options import SETTINGS, CommonOptions
from helaseg.cli.outputs import no_trace_without_work
from helaseg.cli.session import Session, process_rank, session, show
from helaseg.deep.extra import require_deep
from helaseg.deep.train_config import TrainConfig
from helaseg.deep.unet_config import PRESETS
from helaseg.errors import DataFormatError, JobError, ParameterError
from helaseg.execution import claim_output, fingerprint_of, hold_output
from helaseg.io import remove_rooms

if TYPE_CHECKING:
    from helaseg.deep import Example, TrainingResult
    from helaseg.deep.dataset import Dataset

#: Files of a trained network, beside the state from which training goes on.
OUTPUTS = ("best.safetensors", "last.safetensors", "model.json", "history.csv", "training.json")


def train(
    *paths: Path,
    from_classical: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = (),
    instances: Annotated[bool, Parameter(negative=())] = False,
    preset: Literal["compact", "unet-2020"] | None = None,
    start: Path | None = None,
    device: str = "auto",
    settings: Annotated[TrainConfig, Parameter(name="*", group=SETTINGS)] = TrainConfig(),
    common: CommonOptions = CommonOptions(),
) -> None:
    """Train a U-Net on images and labels.

    Parameters
    ----------
    paths : Path
        DATASET and OUT, or OUT alone with --from-classical. A data set is a folder with
        images/ and labels/, or a TOML file that lists volumes.
    from_classical : tuple of Path
        Segmented ROIs (rois/roi_... of 'helaseg run') whose result is learned.
    instances : bool
        Every label of a label image is an object of the one class: nuclei numbered 1, 2, 3.
    preset : str, optional
        Shape of the network in place of its options: compact (2 million parameters, the
        default) or unet-2020, that of Etch a Cell (30 million).
    start : Path, optional
        Trained network to go on from; its shape, classes and voxel size are taken.
    device : str
        auto, cpu, cuda, cuda:N or mps.
    """
    rank = process_rank()
    with session(common if rank == 0 else replace(common, quiet=True)) as work:
        dataset, out = _paths(paths, from_classical)
        if preset is not None:
            settings = replace(settings, network=PRESETS[preset])
        require_deep("'helaseg train'")

        from helaseg.cli.plan_learned import label_notes, plan_training
        from helaseg.deep import read_checkpoint, split_by_cell, train
        from helaseg.deep.dataset import open_example
        from helaseg.deep.world import World

        model = None
        if start is not None:
            model = read_checkpoint(start)
            known = model.config
            settings = replace(
                settings, network=known.network, working_voxel_nm=known.working_voxel_nm
            )
        listed = _listed(dataset, from_classical)
        if instances:
            labels = (replace(v, instances=v.kind == "labels") for v in listed.volumes)
            listed = replace(listed, volumes=tuple(labels))
        examples = []
        for k, volume in enumerate(listed.volumes, start=1):
            examples.append(open_example(volume, settings))
            if work.progress is not None:
                work.progress("read", k, len(listed.volumes))
        learned, held = split_by_cell(examples, settings, validation=listed.validation)
        if common.dry_run:
            text = plan_training(learned, held, settings, device=device)
            if rank == 0:
                show(text)
            return
        provenance = {
            "trained_on": [e.cell for e in learned],
            "validated_on": [e.cell for e in held],
            "start": None if start is None else str(start),
            "start_weights": None if model is None else model.digest(),
        }
        learn = partial(
            train,
            learned,
            out,
            config=settings,
            validation=held,
            device=device,
            start=model,
            provenance=provenance,
        )
        if rank:
            world = World.join(device)
            if world.agree(0.0) == [1.0]:
                learn()
            world.leave()
            return
        # By content: labels that were corrected are another data set.
        digests = [e.digest() for e in (*learned, *held)]
        key = fingerprint_of("train", settings, digests, provenance)
        with no_trace_without_work(out), hold_output(out):
            journal = claim_output(out, job="train", fingerprint=key, overwrite=common.overwrite)
            if process_rank() == 0:
                remove_rooms(out)
            done = journal.is_done("train/network", key)
            # Not before the folder is claimed: after an error torchrun ends those that wait.
            world = World.join(device)
            world.agree(0.0 if done else 1.0)
            if done:
                world.leave()
                work.say(f"done earlier: {out}")
                return
            for text in label_notes(examples):
                work.say(text)
            if not held:
                work.say("one cell only: no validation set; the final weights are used")

            def kept() -> None:
                state = [*out.glob("state*"), *(out / f for f in OUTPUTS if (out / f).exists())]
                journal.record("train/state", key, outputs=state)

            with _said_if_nothing_is_left(out, settings):
                result = learn(progress=work.progress, kept=kept)
            from helaseg.report import write_training_curves
            from helaseg.report.drawn import drawn

            curves = drawn("curves", lambda: str(write_training_curves(out))).uri
            written = [*(out / f for f in OUTPUTS), *([Path(curves)] if curves else [])]
            journal.record("train/network", key, outputs=written)
        _say_result(work, result, held)
        work.say(f"next: helaseg predict ROI {out} OUT")


@contextmanager
def _said_if_nothing_is_left(out: Path, settings: TrainConfig) -> Iterator[None]:
    """An interruption before the first state is another one than those that resume."""
    from helaseg.deep.resume import STATE

    try:
        yield
    except KeyboardInterrupt:
        if (out / STATE).exists():
            raise
        msg = (
            "interrupted before the first state was kept, which is at step "
            f"{min(settings.validate_every, settings.n_steps)}: nothing is left; lower "
            "--validate-every"
        )
        raise JobError(msg) from None


def _say_result(work: Session, result: TrainingResult, held: Sequence[Example]) -> None:
    last = result.history[-1]
    why = " (the validation loss stood still)" if result.stopped_early else ""
    work.say(
        f"{last.step} steps on {result.device} in {result.seconds:.0f} s{why}"
        + (f"; best state at step {result.best_step}" if held else "")
    )
    if held:
        best = min(result.history, key=lambda row: row.validation_loss)
        others = ", ".join(sorted({e.cell for e in held}))
        work.say(f"Dice coefficient on other cells ({others}): {best.validation_dice:.4f}")


def _paths(paths: Sequence[Path], from_classical: Sequence[Path]) -> tuple[Path | None, Path]:
    """Data set, if there is one, and output folder."""
    if len(paths) == 2:
        return paths[0], paths[1]
    if len(paths) == 1 and from_classical:
        return None, paths[0]
    msg = (
        "expected DATASET and OUT, or OUT with --from-classical ROI, got "
        f"{' '.join(map(str, paths)) or 'nothing'}; see helaseg train --help"
    )
    raise ParameterError(msg)


def _listed(dataset: Path | None, from_classical: Sequence[Path]) -> Dataset:
    """All labelled volumes."""
    from helaseg.deep.dataset import Dataset, read_dataset
    from helaseg.deep.dataset import from_classical as segmented

    listed = Dataset(volumes=()) if dataset is None else read_dataset(dataset)
    everything = (*listed.volumes, *segmented(from_classical))
    if not everything:
        msg = f"{dataset} lists no labelled volume; add some, or give --from-classical ROI"
        raise DataFormatError(msg)
    return replace(listed, volumes=everything)
