"""The end of the demo: a network learns some cells of the phantom and is compared on another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from helaseg.core.grid import Roi
from helaseg.core.objects import CellFlag
from helaseg.core.volume import LabelVolume, Volume
from helaseg.core.words import counted
from helaseg.deep.train_config import TrainConfig
from helaseg.deep.unet_config import UNetConfig
from helaseg.errors import OutputExistsError
from helaseg.execution import Progress
from helaseg.io import CellRow

#: Pixels of 100 nm, not of 50: a quarter of the work, of which a demo has to be sparing.
_COARSE = TrainConfig(
    working_voxel_nm=(50.0, 100.0, 100.0), patch_px=96, network=UNetConfig(n_halvings=3)
)
#: How long the network of the demo learns, and how wide it is.
DEMO_PRESETS = {
    "large": replace(_COARSE, n_steps=400, validate_every=100),
    "medium": replace(_COARSE, n_steps=240, validate_every=80),
    "small": replace(
        _COARSE, n_steps=320, validate_every=80, network=UNetConfig(n_halvings=3, width=8)
    ),
}
#: Longest training of the demo, in seconds.
MOST_S = 25.0
#: Names of the two methods in the report.
UNSUPERVISED, LEARNED = "unsupervised", "U-Net"


def pick_cell(cells: Mapping[int, CellRow]) -> int:
    """The cell that the network must not see: whole, and the one of the largest volume."""

    def rank(k: int) -> tuple[bool, float, int]:
        cell = cells[k]
        volume = cell.radius_nm**2 * (cell.last_slice - cell.first_slice + 1)
        return cell.flags == CellFlag.NONE, volume, -k

    return max(cells, key=rank)


def compare_with_network(
    phantom: Path,
    rois: Mapping[int, Path],
    cells: Mapping[int, CellRow],
    out: Path,
    *,
    preset: str = "auto",
    progress: Progress | None = None,
) -> Iterator[str]:
    """Train on all cells but one, predict that one, and compare both methods on it.

    Parameters
    ----------
    phantom : Path
        Folder with the image and the truth.
    rois : mapping of int to Path
        Folder of each segmented cell.
    cells : mapping of int to CellRow
        Box of each.
    out : Path
        Gets ``model``, ``prediction`` and ``compare``.
    preset : {"auto", "large", "medium", "small"}
        Which of `DEMO_PRESETS`; measured by default, but a training that was begun goes on.
    progress : callable, optional
        Told the steps.

    Yields
    ------
    str
        Lines that say what came out.
    """
    from helaseg import io
    from helaseg.deep import read_checkpoint, train
    from helaseg.deep.examples import make_example
    from helaseg.deep.labels import LabelPart
    from helaseg.pipelines import compare as comparing
    from helaseg.pipelines import learned
    from helaseg.pipelines.targets import target_of
    from helaseg.report import write_comparison_report, write_segment_report
    from helaseg.report.verdict import verdict

    model, prediction, comparison = out / "model", out / "prediction", out / "compare"
    preset, why = _chosen(preset, model)
    config = DEMO_PRESETS[preset]
    yield f"network: preset {preset} ({config.n_steps} steps), {why}"
    held = pick_cell(cells)
    truth = io.open_volume(phantom / "truth" / "nucleus")
    examples = []
    for k in sorted(set(rois) - {held}):
        image = io.to_uint8(io.open_volume(rois[k] / "raw"))
        nuclei = truth.crop_padded(cells[k].roi).read()
        examples.append(
            make_example(
                image,
                {"nucleus": LabelPart(nuclei, ())},
                config=config,
                name=rois[k].name,
                cell=rois[k].name,
                known=_outside(cells[k].roi, cells[held].roi),
            )
        )
    learn = partial(
        train,
        examples,
        model,
        config=config,
        device="cpu",
        provenance={"preset": preset},
        progress=progress,
    )
    try:
        trained = learn()  # goes on with what an earlier demo has learned
    except OutputExistsError:  # of other cells
        shutil.rmtree(model)
        trained = learn()
    for folder in (prediction, comparison):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    image = replace(io.to_uint8(io.open_volume(rois[held] / "raw")), name=f"cell {held}")
    result = learned.predict(
        image,
        read_checkpoint(model),
        target_vx=target_of(cells[held]),
        device="cpu",
        progress=progress,
    )
    io.write_segmentation(prediction, result.segmentation)
    learned.write_probabilities(prediction, result)
    write_segment_report(prediction, raw=image)
    true = _own_nucleus(truth, cells[held], rois[held], image)
    methods = {UNSUPERVISED: rois[held], LEARNED: prediction}
    found = {
        name: LabelVolume(data=volume.data, grid=image.grid)
        for name, folder in methods.items()
        for volume in (io.open_volume(folder / "nucleus.tif"),)
    }
    scored = comparing.compare(
        true,
        found,
        part="nucleus",
        costs={
            UNSUPERVISED: io.read_cost(rois[held]),
            LEARNED: io.read_cost(prediction, model),
        },
        grid=image.grid,
        progress=progress,
    )
    sentences = verdict(scored)
    inputs: dict[str, Any] = {"roi": rois[held], "truth": phantom / "truth", "pred": methods}
    io.write_comparison(comparison, scored, verdict=sentences, inputs=inputs)
    page = write_comparison_report(comparison / "report.html", scored, image=image, inputs=inputs)
    yield (
        f"a U-Net trained on {counted(len(examples), 'other cell')} in "
        f"{trained.seconds:.0f} s, compared on cell {held}, which it has not seen:"
    )
    yield from sentences
    yield f"comparison: {page}"


def choose_preset(seconds_per_step: float) -> str:
    """Choose the largest preset that is trained within `MOST_S`, else the smallest.

    Parameters
    ----------
    seconds_per_step : float
        Of the large one.
    """
    for name in ("large", "medium"):
        if DEMO_PRESETS[name].n_steps * seconds_per_step <= MOST_S:
            return name
    return "small"


def _chosen(preset: str, model: Path) -> tuple[str, str]:
    """The name of a preset, and why it was taken."""
    from helaseg.deep import read_checkpoint, seconds_per_step
    from helaseg.errors import CheckpointError

    if preset != "auto":
        return preset, "as asked for"
    try:
        begun = read_checkpoint(model, which="last").provenance.get("preset")
    except CheckpointError:
        begun = None
    if begun in DEMO_PRESETS:
        return str(begun), "as an earlier demo began it"
    took = seconds_per_step(DEMO_PRESETS["large"], device="cpu")
    return choose_preset(took), f"as one step of the large one takes {took:.2f} s here"


def _outside(here: Roi, held: Roi) -> np.ndarray:
    """255 in the voxels of a box that are not in the box of the cell that is kept back."""
    known = np.full(here.shape, 255, np.uint8)
    both = here.intersect(held)
    if not both.is_empty:
        known[both.shift([-a for a in here.start]).slices] = 0
    return known


def _own_nucleus(truth: Volume, cell: CellRow, roi: Path, image: Volume) -> LabelVolume:
    """The true nucleus of the cell in its box: the one of which most was found."""
    from helaseg.io import open_volume

    nuclei = truth.crop_padded(cell.roi).read()
    seen = nuclei[open_volume(roi / "nucleus.tif").read() > 0]
    votes = np.bincount(seen[seen > 0], minlength=2)
    return LabelVolume(data=(nuclei == int(np.argmax(votes))).view(np.uint8), grid=image.grid)
