"""What each choice of the cell step is worth: alternatives and settings, scored on the same nuclei.

    python benchmarks/cell_choices.py                     # 20 min; real slices if there are any
    python benchmarks/cell_choices.py --keep FOLDER       # a second run starts from its nuclei
    python benchmarks/cell_choices.py --only here settings
    python benchmarks/cell_choices.py --shapes FOLDER     # with real shapes, see real_shapes.py

Scores: `cells` is the mean Jaccard index of the complete cells of the truth with what
covers them best, `f1` the F-measure of instances at a Jaccard index of 0.75. Neighbouring
crops are segmented each for itself; `agree` is the part of what they share and either
gives to one of the two cells that both give to the same.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.quality import traced_stacks
from helaseg import Roi, Volume, make_phantom
from helaseg.cells.membrane.segment import CellConfig, label_cells
from helaseg.cells.nucleus.evidence import MembraneEvidence, collect_evidence
from helaseg.cells.nucleus.segment import NucleusResult, follow_nuclei
from helaseg.execution import make_executor
from helaseg.image.blocks import pool_all, pool_labels, pool_max
from helaseg.synthetic import make_case

Labels = np.ndarray
Method = Callable[[MembraneEvidence, NucleusResult], Labels]

#: One setting of the competition changed at a time.
SETTINGS = (
    {"min_openness": 0.15},
    {"min_openness": 0.35},
    {"line_share": 0.5},
    {"line_share": 0.85},
    {"contact_line_share": 0.3},
    {"contact_line_share": 0.5},
    {"smooth_nm": 0.0},
    {"smooth_nm": 60.0},
    {"leak": 0.0},
    {"coarse_pixel_nm": 80.0},
    {"side_um3": 1.0},
    {"side_um3": 10.0},
    {"bleb_um3": 0.5},
    {"one_cell_share": 0.9},
    {"min_share": 0.2},
    {"min_share": 0.4},
    {"large_um3": 1.0},
    {"large_um3": 3.0},
    {"large_um3": 30.0},
)


@dataclass(frozen=True)
class Crop:
    """A crop with its nuclei and truth on the working grid."""

    name: str
    evidence: MembraneEvidence
    nucleus: NucleusResult
    truth: Labels
    #: Where the truth is sure; all of it if None.
    sure: np.ndarray | None = None
    #: Cells scored; all complete ones.
    ids: tuple[int, ...] = ()
    roi: Roi | None = None


def at_working_pixels(labels: Labels, factor: int) -> Labels:
    return labels[:, ::factor, ::factor]


def crop_of(name: str, image: Volume, truth: Labels, ids, *, target=None, **more) -> Crop:
    with warnings.catch_warnings(), make_executor("threads:2") as pool:
        warnings.simplefilter("ignore")
        evidence = collect_evidence(image, executor=pool)
        nucleus = follow_nuclei(evidence, target_vx=target, executor=pool)
    return Crop(
        name,
        evidence.membranes,
        nucleus,
        at_working_pixels(truth, nucleus.factor),
        ids=tuple(ids),
        **more,
    )


def whole_phantoms() -> Iterator[Crop]:
    """Phantoms as one crop: clumps without resin inside, and cells in resin."""
    size = {"shape": (64, 768, 768), "voxel_size_nm": (50, 20, 20), "noise": 0.5}
    for seed in (0, 1):
        for name, more in (
            ("packed", {"n_cells": 12, "packing": 1.0}),
            ("apart", {"n_cells": 8}),
        ):
            made = make_phantom(**size, **more, seed=seed)
            ids = [cell.id for cell in made.cells if cell.complete]
            target = made.cells[0].centroid_vx
            truth = made.truth["cell"].read()
            yield crop_of(f"{name} {seed}", made.image, truth, ids, target=target)


def cases() -> Iterator[Crop]:
    """A cell with two nuclei, two cells, no resin at all."""
    for name in ("binucleate", "two_cells", "no_resin"):
        made = make_case(name)
        truth = made.truth["cell"].read()
        yield crop_of(name, made.image, truth, range(1, int(truth.max()) + 1))


def neighbours() -> Iterator[tuple[Crop, Crop]]:
    """Crops of cells of one clump that overlap, with the noise of joined 10 nm pixels.

    Their margin is 1 µm in the slice, a third of what `helaseg run` cuts.
    """
    for seed in (2, 5):
        made = make_phantom(
            shape=(64, 640, 640),
            voxel_size_nm=(50, 20, 20),
            n_cells=6,
            packing=1.0,
            noise=0.5,
            seed=seed,
        )
        truth = made.truth["cell"].read()
        crops = []
        for cell in made.cells:
            roi = box_of(truth == cell.id, (10, 50, 50))
            target = tuple(c - s for c, s in zip(cell.centroid_vx, roi.start, strict=True))
            part = truth[roi.slices]
            name = f"crop {seed}.{cell.id}"
            crops.append(
                crop_of(name, made.image.crop(roi), part, [cell.id], target=target, roi=roi)
            )
        for i, a in enumerate(crops):
            for b in crops[:i]:
                yield b, a


def box_of(mask: np.ndarray, margin: tuple[int, int, int]) -> Roi:
    places = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    ends = [(int(p[0]) - m, int(p[-1]) + 1 + m) for p, m in zip(places, margin, strict=True)]
    return Roi(start=tuple(e[0] for e in ends), stop=tuple(e[1] for e in ends)).clip(mask.shape)


def real() -> Iterator[Crop]:
    """Two runs of real slices, the cell of one slice of each traced."""
    for name, volume, z, masks in traced_stacks():
        truth, sure = np.zeros(volume.shape, np.uint8), np.zeros(volume.shape, bool)
        truth[z], sure[z] = masks["cell"], ~masks["cell_doubt"]
        made = crop_of(name, volume, truth, [1])
        yield replace(made, sure=at_working_pixels(sure, made.nucleus.factor))


def shapes(folder: Path) -> Iterator[Crop]:
    """Slices of real shapes with phantom textures; only the target has a truth."""
    from helaseg.io import open_volume

    cells = np.load(folder / "cells.npy", mmap_mode="r")
    volume = open_volume(folder / "image", (50, 20, 20))
    for first in (40, 130, 220):
        roi = Roi(start=(first, 0, 0), stop=(first + 30, *volume.shape[1:]))
        truth = (cells[roi.slices] == 1).astype(np.uint8)
        yield crop_of(f"shapes {first}", volume.crop(roi), truth, [1])


# --- methods


def here(config: CellConfig) -> Method:
    return lambda evidence, nucleus: label_cells(evidence, nucleus, config=config).cells


def coarse(evidence: MembraneEvidence, nucleus: NucleusResult):
    """What is not resin, dark lines and nuclei on voxels of about 60 nm."""
    grid = nucleus.grid
    in_plane = max(1, round(60 / grid.pixel_nm))
    factors = (max(1, round(80 / grid.slice_nm)), in_plane, in_plane)
    solid = pool_all(~evidence.resin | (nucleus.nuclei > 0), factors)
    nuclei = pool_labels(nucleus.nuclei, factors).astype(np.int32)
    nuclei[~solid] = 0
    spacing = grid.downsample(factors).voxel_size_nm
    return solid, pool_max(evidence.ridge, factors), nuclei, spacing, factors


def enlarged(labels: Labels, factors, shape) -> Labels:
    for axis, factor in enumerate(factors):
        labels = labels.repeat(factor, axis=axis)
    return labels[tuple(slice(n) for n in shape)]


def by_distance(evidence: MembraneEvidence, nucleus: NucleusResult) -> Labels:
    """Watershed of the distance to resin, one catchment per nucleus: nearest to the published."""
    from scipy.ndimage import distance_transform_edt
    from skimage.segmentation import watershed

    solid, _, nuclei, spacing, factors = coarse(evidence, nucleus)
    distance = distance_transform_edt(solid, sampling=spacing)
    return enlarged(watershed(-distance, nuclei, mask=solid), factors, nucleus.grid.shape)


def by_lines(evidence: MembraneEvidence, nucleus: NucleusResult) -> Labels:
    """Watershed of the dark lines, one catchment per nucleus."""
    from scipy.ndimage import gaussian_filter
    from skimage.segmentation import watershed

    solid, ridge, nuclei, _, factors = coarse(evidence, nucleus)
    smooth = gaussian_filter(ridge.astype(np.float32), (0, 1, 1))
    return enlarged(watershed(smooth, nuclei, mask=solid), factors, nucleus.grid.shape)


def by_travel_time(evidence: MembraneEvidence, nucleus: NucleusResult) -> Labels:
    """Nearest nucleus by the time of travel, slower on dark lines (geodesic competition)."""
    from skimage.graph import MCP_Geometric

    solid, ridge, nuclei, spacing, factors = coarse(evidence, nucleus)
    cost = np.where(solid, 1.0 + (ridge / 24.0) ** 2, -1.0)
    best = np.full(solid.shape, np.inf)
    labels = np.zeros(solid.shape, np.int32)
    for k in range(1, int(nuclei.max(initial=0)) + 1):
        starts = np.argwhere(nuclei == k)
        if len(starts):
            times, _ = MCP_Geometric(cost, sampling=spacing).find_costs(starts)
            nearer = times < best
            labels[nearer], best[nearer] = k, times[nearer]
    return enlarged(labels, factors, nucleus.grid.shape)


def by_random_walker(evidence: MembraneEvidence, nucleus: NucleusResult) -> Labels:
    """Random walker on the dark lines from the nuclei (L. Grady 2006)."""
    from skimage.segmentation import random_walker

    solid, ridge, nuclei, spacing, factors = coarse(evidence, nucleus)
    solid, ridge, nuclei = (part[:, ::2, ::2] for part in (solid, ridge, nuclei))
    markers = np.where(solid, nuclei, -1)
    # A walk crosses no voxel that no nucleus reaches.
    with warnings.catch_warnings():
        # Probabilities a little outside of 0 to 1 change no label.
        warnings.simplefilter("ignore")
        found = random_walker(
            ridge / 255.0,
            markers,
            beta=2000,
            mode="cg_j",
            tol=1e-2,
            spacing=(spacing[0], 2 * spacing[1], 2 * spacing[2]),
        )
    found = np.where(found > 0, found, 0)
    wide = (factors[0], 2 * factors[1], 2 * factors[2])
    return enlarged(found, wide, nucleus.grid.shape)


def methods(groups: set[str]) -> Iterator[tuple[str, Method]]:
    usual = CellConfig()
    if "here" in groups:
        yield "here", here(usual)
    if "methods" in groups:
        yield "watershed of the distance to resin", by_distance
        yield "watershed of the dark lines", by_lines
        yield "travel time, slower on dark lines", by_travel_time
        yield "random walker", by_random_walker
    if "settings" in groups:
        for change in SETTINGS:
            name = ", ".join(f"{key} = {value}" for key, value in change.items())
            competition = replace(usual.competition, **change)
            yield name, here(replace(usual, competition=competition))


# --- scores


def scores(crop: Crop, found: Labels) -> tuple[float, float]:
    """Mean Jaccard index of the cells, F-measure of instances at 0.75."""
    truth, found = crop.truth.astype(np.int64), found.astype(np.int64)
    if crop.sure is not None:
        truth, found = truth[crop.sure], found[crop.sure]
    table = np.zeros((int(truth.max()) + 1, int(found.max()) + 1), np.int64)
    np.add.at(table, (truth.ravel(), found.ravel()), 1)
    union = table.sum(1)[:, None] + table.sum(0)[None] - table
    overlap = (table / np.maximum(union, 1))[:, 1:]
    each = [float(overlap[k].max(initial=0.0)) for k in crop.ids]
    hits = sum(j > 0.75 for j in each)
    # What is not one of the cells scored may be found or not.
    size = np.maximum(table.sum(0)[1:], 1)
    inside = table[list(crop.ids), 1:].sum(0) / size
    made_up = int(np.count_nonzero(inside > 0.5)) - hits
    f1 = 2 * hits / max(2 * hits + max(made_up, 0) + len(each) - hits, 1)
    return float(np.mean(each)), f1


def agreement(a: Crop, b: Crop, found_a: Labels, found_b: Labels) -> float | None:
    """Part of what two crops share and give to one of their two cells that they agree on."""
    overlap = a.roi.intersect(b.roi)
    if overlap.is_empty:
        return None
    parts = []
    for crop, found in ((a, found_a), (b, found_b)):
        name = np.zeros(int(found.max()) + 1, np.int64)
        for k in range(1, len(name)):
            inside = np.bincount(crop.truth[found == k].ravel(), minlength=1)
            inside[0] = 0
            name[k] = inside.argmax()
        local = overlap.shift([-s for s in crop.roi.start]).slices
        names = name[found][local]
        parts.append(np.where(np.isin(names, (*a.ids, *b.ids)), names, 0))
    called = (parts[0] > 0) | (parts[1] > 0)
    if np.count_nonzero(called) < 50_000:
        return None
    return float((parts[0] == parts[1])[called].mean())


def kept(folder: Path | None, name: str, make: Callable[[], list]) -> list:
    """What `make` gives, from a file if it was made before."""
    import pickle

    path = folder / f"{name}.pickle" if folder else None
    if path and path.exists():
        return pickle.loads(path.read_bytes())
    made = make()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(made))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--shapes", type=Path)
    parser.add_argument(
        "--only", nargs="+", default=["here", "methods", "settings"], metavar="GROUP"
    )
    options = parser.parse_args()
    crops = kept(options.keep, "phantoms", lambda: list(whole_phantoms()))
    crops += kept(options.keep, "cases", lambda: list(cases()))
    crops += kept(options.keep, "real", lambda: list(real()))
    if options.shapes:
        crops += kept(options.keep, "shapes", lambda: list(shapes(options.shapes)))
    pairs = kept(options.keep, "neighbours", lambda: list(neighbours()))
    names = [crop.name for crop in crops]
    print("| method | " + " | ".join(names) + " | lowest f1 | agree: lowest, median | seconds |")
    print("|---" * (len(names) + 4) + "|")
    for name, method in methods(set(options.only)):
        start = time.perf_counter()
        found = [scores(crop, method(crop.evidence, crop.nucleus)) for crop in crops]
        singles = {crop.name: crop for pair in pairs for crop in pair}
        labels = {key: method(crop.evidence, crop.nucleus) for key, crop in singles.items()}
        agreed = [agreement(a, b, labels[a.name], labels[b.name]) for a, b in pairs]
        agreed = [value for value in agreed if value is not None]
        cells = " | ".join(f"{value:.3f}" for value, _ in found)
        lowest = min(f1 for _, f1 in found)
        seconds = time.perf_counter() - start
        print(
            f"| {name} | {cells} | {lowest:.2f} | {min(agreed):.3f}, {np.median(agreed):.3f} "
            f"| {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
