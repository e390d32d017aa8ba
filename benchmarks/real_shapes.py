"""Real shapes with phantom textures: how good the unsupervised method is on them, defaults only.

    python benchmarks/real_shapes.py make FOLDER [--join 2]   # draw the volume, 6 min, 4.5 GB
    python benchmarks/real_shapes.py score FOLDER             # segment it and score it

The shapes are the labels of ROI 1656-6756-329 of EMPIAR-10094 (300 x 2000 x 2000 voxels
of 50 x 10 x 10 nm; see `real_folder` in `quality.py` for where they are looked for). They
have no image of their own, so that textures are drawn on them (`render_labels`). With
``--join 2`` a second volume, FOLDER_small, gets every 2 x 2 pixels joined to one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.quality import real_folder

ENVELOPE, NUCLEUS, OTHERS, RESIN, TARGET = 1, 2, 3, 4, 5
VOXEL_NM = (50.0, 10.0, 10.0)
#: Id of the cell in the middle in everything written here.
TARGET_ID = 1
#: Pieces of other cells without a nucleus are cells of their own from this size on (um3).
LONE_UM3 = 20.0
#: Slices next to each pole that are scored by themselves.
POLE_SLICES = 10


def read_shapes() -> tuple[np.ndarray, np.ndarray]:
    """Cells and nuclei (up to the midline of the envelope) by id, uint8."""
    import tifffile

    folder = real_folder() / "c001_labels"
    classes = tifffile.imread(folder / "classes5.tif")
    nuclei = np.zeros(classes.shape, bool)
    with tifffile.TiffFile(folder / "multinuclei.tif") as labels:
        for z, page in enumerate(labels.pages):
            core, band = classes[z] == NUCLEUS, classes[z] == ENVELOPE
            nuclei[z] = (page.asarray() == NUCLEUS) | core | inner_half(band, core)
    cells = split_others(classes, nuclei)
    for out, plane in zip(cells, classes, strict=True):
        out[(plane == TARGET) | (plane == ENVELOPE) | (plane == NUCLEUS)] = TARGET_ID
    return cells, nuclei.view(np.uint8)


def inner_half(band: np.ndarray, core: np.ndarray) -> np.ndarray:
    """The pixels of a band that are nearer to its core than to what lies outside."""
    from helaseg.image import distance_transform

    if not core.any():
        return np.zeros_like(band)
    return band & (distance_transform(~core) < distance_transform(band | core))


def split_others(classes: np.ndarray, nuclei: np.ndarray) -> np.ndarray:
    """Single cells of the class that holds all but the one in the middle.

    A watershed of the distance to resin and to the target from the nuclei, on voxels of
    100 x 80 x 80 nm; pieces without a nucleus become cells of their own. Where two of
    these cells touch nobody has drawn the border: it is a plausible one.
    """
    from helaseg.image import distance_transform, gaussian, label, watershed

    step = (2, 8, 8)
    here = tuple(slice(s // 2, None, s) for s in step)
    coarse = classes[here] == OTHERS
    cores = nuclei[here] & coarse
    size = np.asarray(VOXEL_NM) * step
    um3 = float(np.prod(size / 1000.0))
    seeds = label(cores, connectivity=1)
    sizes = np.bincount(seeds.ravel()) * um3
    seeds = np.where(sizes[seeds] > LONE_UM3 / 10, seeds, 0)
    distance = distance_transform(coarse, spacing=tuple(size))
    pieces = watershed(-distance, np.ascontiguousarray(seeds.astype(np.int32)), mask=coarse)
    rest = label(coarse & (pieces == 0), connectivity=1)
    sizes = np.bincount(rest.ravel()) * um3
    kept = np.flatnonzero(sizes > LONE_UM3)
    kept = kept[kept > 0]
    found = [k for k in np.unique(pieces) if k]
    # 0 nothing, 1 the target, then cells with a nucleus, lone pieces, and all crumbs as one.
    number = np.zeros(coarse.shape, np.uint8)
    for new, old in enumerate(found, 2):
        number[pieces == old] = new
    for new, old in enumerate(kept, 2 + len(found)):
        number[rest == old] = new
    crumbs = 2 + len(found) + len(kept)
    number[coarse & (number == 0)] = crumbs
    print(f"other cells: {len(found)} with a nucleus, {len(kept)} without")
    out = np.zeros(classes.shape, np.uint8)
    labels = np.unique(number)[1:]
    planes = np.arange(number.shape[0]) * step[0] + step[0] // 2
    soft = {k: gaussian((number == k).astype(np.float32), sigma_px=(1.0, 1.0, 1.0)) for k in labels}
    rows = (np.arange(classes.shape[1]) - step[1] // 2) / step[1]
    for z in range(classes.shape[0]):
        at = np.clip((z - planes[0]) / step[0], 0, len(planes) - 1)
        below, part = int(at), at - int(at)
        above = min(below + 1, len(planes) - 1)
        best = np.full(classes.shape[1:], 1e-6, np.float32)
        for k in labels:
            plane = (1 - part) * soft[k][below] + part * soft[k][above]
            if plane.max() <= 0:
                continue
            share = _magnify(plane, rows)
            wins = share > best
            best[wins] = share[wins]
            out[z][wins] = k
        out[z][out[z] == 0] = crumbs
        out[z][classes[z] != OTHERS] = 0
    return out


def _magnify(plane: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A square plane at fractional rows and columns, linear in between."""
    low = np.clip(np.floor(places).astype(int), 0, plane.shape[0] - 2)
    part = np.clip(places - low, 0, 1).astype(np.float32)
    tall = plane[low] * (1 - part)[:, None] + plane[low + 1] * part[:, None]
    return tall[:, low] * (1 - part) + tall[:, low + 1] * part


def make(folder: Path, *, join: int, seed: int) -> None:
    """Write ``image/`` (TIFF slices), ``cells.npy``, ``nuclei.npy``, ``nucleus_class.npy``."""
    import tifffile

    from helaseg import Grid, LabelVolume
    from helaseg.synthetic import render_labels

    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / "image"]
    if join > 1:
        places.append(folder.with_name(f"{folder.name}_small") / "image")
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    cells, nuclei = read_shapes()
    grid = Grid(shape=cells.shape, voxel_size_nm=VOXEL_NM)
    factors = (1, join)[: len(places)]
    names = ("cells", "nuclei")
    # Written slice by slice: a memory map would hold all of it in memory.
    truth = [
        {name: (place.parent / f"{name}.npy").open("wb") for name in names} for place in places
    ]
    for files, f in zip(truth, factors, strict=True):
        shape = (cells.shape[0], cells.shape[1] // f, cells.shape[2] // f)
        for file in files.values():
            head = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, head)
    slices = render_labels(
        LabelVolume(data=cells, grid=grid), LabelVolume(data=nuclei, grid=grid), seed=seed
    )
    start = time.perf_counter()
    for z, drawn in enumerate(slices):
        for place, f, out in zip(places, factors, truth, strict=True):
            image = drawn.image
            if f > 1:
                image = image[: image.shape[0] // f * f, : image.shape[1] // f * f]
                blocks = image.reshape(image.shape[0] // f, f, -1, f)
                image = np.round(blocks.mean(axis=(1, 3))).astype(np.uint8)
            tifffile.imwrite(
                place / f"z{z + 1:04d}.tif", image, photometric="minisblack",
                resolution=(1e7 / (10 * f), 1e7 / (10 * f)), resolutionunit="CENTIMETER",
                metadata={"spacing": 50.0, "unit": "nm", "axes": "YX"},
            )  # fmt: skip
            here = (slice(f // 2, None, f),) * 2
            for file, plane in zip(out.values(), (drawn.cell, drawn.nucleus), strict=True):
                file.write(plane[here].astype(np.uint8).tobytes())
        if z % 20 == 19:
            print(f"slice {z + 1}: {time.perf_counter() - start:.0f} s", flush=True)
    for place, f, out in zip(places, factors, truth, strict=True):
        for file in out.values():
            file.close()
        note = {"voxel_size_nm": [50.0, 10.0 * f, 10.0 * f], "target": TARGET_ID, "seed": seed}
        (place.parent / "volume.json").write_text(json.dumps(note) + "\n", encoding="utf-8")


def score(folder: Path) -> None:
    """Segment the volume with defaults and print how good it is."""
    import tifffile

    from helaseg import segment
    from helaseg.io import open_volume

    note = json.loads((folder / "volume.json").read_text(encoding="utf-8"))
    volume = open_volume(folder / "image", note["voxel_size_nm"])
    cells = np.load(folder / "cells.npy", mmap_mode="r")
    nuclei = np.load(folder / "nuclei.npy", mmap_mode="r")
    labels = tifffile.TiffFile(real_folder() / "c001_labels" / "classes5.tif")
    f = round(note["voxel_size_nm"][1] / VOXEL_NM[1])
    start = time.perf_counter()
    result = segment(volume)
    print(f"segmented in {time.perf_counter() - start:.0f} s")
    counts: dict[str, np.ndarray] = {}
    for z in range(volume.shape[0]):
        cell = cells[z] == note["target"]
        nucleus = nuclei[z] == note["target"]
        found_cell, found_nucleus = result.cell.slice(z) != 0, result.nucleus.slice(z) != 0
        published = labels.pages[z].asarray()[f // 2 :: f, f // 2 :: f] == NUCLEUS
        pairs = {
            "nucleus": (nucleus, found_nucleus),
            "nucleus as published (inside of the envelope)": (published, found_nucleus),
            "cell with nucleus": (cell, found_cell),
            "cell without nucleus": (cell & ~nucleus, found_cell & ~found_nucleus),
        }
        for name, (truth, found) in pairs.items():
            table = counts.setdefault(name, np.zeros((volume.shape[0], 3), np.int64))
            table[z] = [np.sum(truth & found), np.sum(~truth & found), np.sum(truth & ~found)]
    for name, table in counts.items():
        both, extra, lost = table.sum(axis=0)
        print(
            f"{name}: Jaccard {both / (both + extra + lost):.4f}, "
            f"recall {both / (both + lost):.4f}, precision {both / (both + extra):.4f}"
        )
    report_poles(counts["nucleus"])


def report_poles(table: np.ndarray) -> None:
    """Scores of the nucleus at its poles, and slices where it is missed or made up.

    `table`: pixels of truth and result, of the result alone, of the truth alone, per slice.
    """
    both, extra, lost = table.T
    there = np.flatnonzero(both + lost)
    for name, part in (("lower", there[:POLE_SLICES]), ("upper", there[-POLE_SLICES:])):
        each = both[part] / (both + extra + lost)[part]
        pooled = both[part].sum() / (both + extra + lost)[part].sum()
        listed = " ".join(f"{v:.2f}" for v in each)
        print(f"{name} pole, slices {part[0]} to {part[-1]}: Jaccard {pooled:.4f}, each {listed}")
    missed = [int(z) for z in there if both[z] == 0]
    made_up = [int(z) for z in np.flatnonzero(extra) if both[z] + lost[z] == 0]
    low = [int(z) for z in there if both[z] < 0.9 * (both + extra + lost)[z]]
    print(f"nucleus in slices {there[0]} to {there[-1]}; missed {missed}; made up {made_up}")
    print(f"slices below 0.9: {low}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    makes = parts.add_parser("make", help="draw the volume once")
    makes.add_argument("folder", type=Path)
    makes.add_argument("--join", type=int, default=1)
    makes.add_argument("--seed", type=int, default=0)
    scores = parts.add_parser("score", help="segment it and score it")
    scores.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    if chosen.part == "make":
        make(chosen.folder, join=chosen.join, seed=chosen.seed)
    else:
        warnings.simplefilter("ignore")
        score(chosen.folder)


if __name__ == "__main__":
    main()
