"""What each choice of the nucleus step is worth: Jaccard index of the target's nucleus.

    python benchmarks/nucleus_choices.py                     # real slices if there are any
    python benchmarks/nucleus_choices.py --shapes FOLDER     # with real shapes, see real_shapes.py
    python benchmarks/nucleus_choices.py --only here methods

Other nuclei of the crops are not looked for. "poles" is the Jaccard index over the ten
slices next to the lower and upper pole of the real shape.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cell_choices import box_of
from benchmarks.quality import jaccard, traced_stacks
from helaseg import Roi, Volume, make_phantom
from helaseg.cells.nucleus.propagation import NucleusPath
from helaseg.cells.nucleus.segment import NucleusConfig, segment_nucleus
from helaseg.synthetic import make_case

Method = Callable[["Crop"], np.ndarray]

#: One setting changed at a time; those of `NucleusConfig.evidence` come second.
SETTINGS = (
    ({}, {"line_levels": (1.75,)}),
    ({}, {"line_levels": (2.5,)}),
    ({}, {"line_levels": (1.25, 1.5, 1.75, 2.0, 2.5, 3.2, 4.0)}),
    ({}, {"line_length_nm": 45.0}),
    ({}, {"line_length_nm": 200.0}),
    ({}, {"line_sigma_nm": 60.0}),
    ({}, {"n_orientations": 6}),
    ({}, {"oblique_sigma_nm": 45.0}),
    ({"likeness_weight": 0.0}, {}),
    ({"likeness_weight": 0.5}, {}),
    ({"texture_weight": 0.0}, {}),
    ({"min_depth_fraction": 0.0}, {}),
    ({"max_leak_nm": 300.0}, {}),
    ({"max_growth_nm": 150.0}, {}),
    ({"max_piece_darkening": 1.0}, {}),
    ({"bridge_nm": 0.0}, {}),
    ({"min_contrast": 0.0}, {}),
)


@dataclass(frozen=True)
class Crop:
    """A crop, where its target is, and the truth of the slices that have one."""

    name: str
    image: Volume
    truth: dict[int, np.ndarray]
    target: tuple[float, float, float] | None = None
    poles: tuple[tuple[int, int], ...] = ()


def phantoms() -> Iterator[Crop]:
    """Cells of phantoms: ordinary and flat ones, of three pixel sizes."""
    for seed, pixel_nm, noise in ((0, 20.0, 0.5), (1, 20.0, 0.5), (4, 28.0, 0.36)):
        side = int(15400 / pixel_nm)
        made = make_phantom(
            shape=(64, side, side),
            voxel_size_nm=(50.0, pixel_nm, pixel_nm),
            n_cells=8,
            noise=noise,
            seed=seed,
        )
        whole, nuclei = made.truth["cell"].read(), made.truth["nucleus"].read()
        complete = [cell for cell in made.cells if cell.complete]
        flat = min(complete, key=lambda cell: cell.last_slice - cell.first_slice)
        for kind, cell in (("", complete[0]), (" flat", flat)):
            roi = box_of(whole == cell.id, (4, 40, 40))
            target = tuple(c - s for c, s in zip(cell.centroid_vx, roi.start, strict=True))
            truth = dict(enumerate(nuclei[roi.slices] == cell.id))
            name = f"{pixel_nm:g} nm, {seed}{kind}"
            yield Crop(name, made.image.crop(roi), truth, target)


def cases() -> Iterator[Crop]:
    for name in ("pole_islands", "invagination_z", "through_hole"):
        made = make_case(name)
        yield Crop(name, made.image, dict(enumerate(made.truth["nucleus"].read() > 0)))


def real() -> Iterator[Crop]:
    """Two runs of real slices, one slice of each traced by hand."""
    for name, volume, z, truth in traced_stacks():
        yield Crop(name, volume, {z: truth["nucleus"]})


def shapes(folder: Path) -> Iterator[Crop]:
    """Both ends of a real shape with phantom textures."""
    from helaseg.io import open_volume

    nuclei = np.load(folder / "nuclei.npy", mmap_mode="r")
    volume = open_volume(folder / "image", (50, 20, 20))
    for name, first, stop, poles in (
        ("lower end", 12, 72, (11, 21)),
        ("upper end", 222, 280, (30, 40)),
    ):
        roi = Roi(start=(first, 0, 0), stop=(stop, *volume.shape[1:]))
        truth = dict(enumerate(nuclei[roi.slices] == 1))
        yield Crop(name, volume.crop(roi), truth, poles=(poles,))


# --- methods


def here(config: NucleusConfig) -> Method:
    alone = replace(config, min_radius_nm=1e9)

    def method(crop: Crop) -> np.ndarray:
        result = segment_nucleus(crop.image, config=alone, target_vx=crop.target)
        nucleus = result.nucleus.repeat(result.factor, axis=1).repeat(result.factor, axis=2)
        return nucleus[:, : crop.image.shape[1], : crop.image.shape[2]]

    return method


def without_lobes(crop: Crop) -> np.ndarray:
    """One round from the seed, as published; all else as here."""
    with mock.patch.object(NucleusPath, "join_lobes"):
        return here(NucleusConfig())(crop)


def by_watershed(crop: Crop) -> np.ndarray:
    """One 3-D watershed of the dark lines, from the middle of the nucleus found in the seed
    slice and from all that lies 1.5 µm outside of it or at the ends of the crop."""
    from scipy import ndimage
    from skimage.segmentation import watershed

    from helaseg.cells.background.config import BackgroundConfig
    from helaseg.cells.nucleus.evidence import collect_evidence
    from helaseg.cells.nucleus.propagation import best_seed
    from helaseg.execution import make_executor

    config = NucleusConfig()
    evidence = collect_evidence(
        crop.image,
        config=config.evidence,
        background=BackgroundConfig(),
        executor=make_executor("serial"),
    )
    factor = evidence.factor
    target = crop.target or tuple((size - 1) / 2 for size in crop.image.shape)
    goal = (target[0], target[1] / factor, target[2] / factor)
    seed = best_seed(evidence, goal, config)
    found = np.zeros(evidence.grid.shape, bool)
    if seed is not None:
        markers = np.zeros(found.shape, np.int32)
        pixel = evidence.grid.pixel_nm
        inside = ndimage.distance_transform_edt(seed.outline.mask)
        outside = ndimage.distance_transform_edt(~seed.outline.mask)
        markers[:, outside > 1500 / pixel] = 2
        markers[evidence.resin] = 2
        markers[[0, -1]] = 2
        markers[seed.z, inside > 0.5 * inside.max()] = 1
        found = watershed(evidence.ridge, markers) == 1
    whole = found.repeat(factor, axis=1).repeat(factor, axis=2)
    return whole[:, : crop.image.shape[1], : crop.image.shape[2]]


def methods(groups: set[str]) -> Iterator[tuple[str, Method]]:
    usual = NucleusConfig()
    if "here" in groups:
        yield "here", here(usual)
    if "methods" in groups:
        yield "3-D watershed of the dark lines", by_watershed
        yield "no second round for lobes", without_lobes
    if "settings" in groups:
        for change, evidence in SETTINGS:
            name = ", ".join(f"{key} = {value}" for key, value in (change | evidence).items())
            config = replace(usual, evidence=replace(usual.evidence, **evidence), **change)
            yield name, here(config)


def score(crop: Crop, found: np.ndarray) -> str:
    zs = list(crop.truth)
    truth = np.stack([crop.truth[z] for z in zs])
    text = f"{jaccard(truth, found[zs]):.3f}"
    for first, stop in crop.poles:
        text += f" (pole {jaccard(truth[first:stop], found[first:stop]):.2f})"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=Path)
    parser.add_argument(
        "--only", nargs="+", default=["here", "methods", "settings"], metavar="GROUP"
    )
    options = parser.parse_args()
    crops = [*phantoms(), *cases(), *real()]
    if options.shapes:
        crops += shapes(options.shapes)
    print("| method | " + " | ".join(crop.name for crop in crops) + " | seconds |")
    print("|---" * (len(crops) + 2) + "|")
    for name, method in methods(set(options.only)):
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = " | ".join(score(crop, method(crop)) for crop in crops)
        print(f"| {name} | {scores} | {time.perf_counter() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
