"""What each choice of the envelope step is worth: distance to the truth, and confidence.

    python benchmarks/envelope_choices.py            # phantoms, and real slices if there are any
    python benchmarks/envelope_choices.py phantom

The nucleus is that of `segment_nucleus` with its defaults. "outline as it came" is
its working mask enlarged to the pixels of the crop. Real slices are looked for as
`benchmarks/quality.py` does.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator

import numpy as np
from quality import traced_stacks
from scipy.ndimage import distance_transform_edt, map_coordinates
from scipy.stats import spearmanr

from helaseg import Roi, Volume, make_phantom, segment_nucleus
from helaseg.cells.envelope.measure import EnvelopeConfig, measure_envelope
from helaseg.image.blocks import enlarge
from helaseg.metrics import mean_surface_distance

#: One setting changed at a time.
CHOICES = (
    {},
    {"search_nm": 60.0},
    {"search_nm": 130.0},
    {"stay": 0.1},
    {"stay": 1.0},
    {"bend": 0.0},
    {"bend": 1.0},
    {"across_nm": 10.0},
    {"across_nm": 35.0},
    {"along_nm": 0.0},
    {"along_nm": 120.0},
    {"edge_nm": 20.0},
    {"shoulder_nm": 50.0},
)


def phantoms() -> Iterator[tuple[str, Volume, dict[int, np.ndarray]]]:
    """Cells of phantoms of three pixel sizes, with the noise that joined pixels have."""
    for seed, pixel_nm, noise in ((0, 10.0, 1.0), (3, 20.0, 0.5), (4, 28.0, 0.36)):
        side = int(11500 / pixel_nm)
        size = (50.0, pixel_nm, pixel_nm)
        made = make_phantom(
            shape=(64, side, side), voxel_size_nm=size, n_cells=5, noise=noise, seed=seed
        )
        cell = next(c for c in made.cells if c.complete)
        inside = made.truth["cell"].read() == cell.id
        where = [np.flatnonzero(inside.any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))]
        margin = (2, *[int(300 / pixel_nm)] * 2)
        roi = Roi(
            start=tuple(int(w[0]) - m for w, m in zip(where, margin, strict=True)),
            stop=tuple(int(w[-1]) + 1 + m for w, m in zip(where, margin, strict=True)),
        ).clip(made.image.shape)
        truth = made.truth["nucleus"].read()[roi.slices] == cell.id
        yield f"phantom {pixel_nm:g} nm", made.image.crop(roi), dict(enumerate(truth))


def real() -> Iterator[tuple[str, Volume, dict[int, np.ndarray]]]:
    """Two runs of real slices, one slice of each traced by hand."""
    for name, volume, z, truth in traced_stacks():
        yield name, volume, {z: truth["nucleus"]}


def agreement(masks, truths, pixel_nm):
    """Jaccard index over all slices, and mean surface distance (nm) over those with both."""
    both = [(masks(z), truth) for z, truth in truths.items()]
    overlap, union = (sum(f(m, t) for m, t in both) for f in (_common, _either))
    spacing = (pixel_nm, pixel_nm)
    near = [mean_surface_distance(t, m, spacing=spacing) for m, t in both if m.any() and t.any()]
    return overlap / union, float(np.mean(near))


def _common(a, b):
    return np.count_nonzero(a & b)


def _either(a, b):
    return np.count_nonzero(a | b)


def vertex_errors(result, truths, pixel_nm):
    """Confidence and distance to the border of the truth (nm) of every vertex."""
    confidence, error_nm = [], []
    for z, truth in truths.items():
        if not truth.any():
            continue
        depth = np.where(
            truth, distance_transform_edt(truth) - 0.5, 0.5 - distance_transform_edt(~truth)
        )
        for curve in result.curves[z]:
            seen = np.isfinite(curve.confidence)
            there = map_coordinates(depth, curve.points.T, order=1, mode="nearest")
            error_nm.append(np.abs(there[seen]) * pixel_nm)
            confidence.append(curve.confidence[seen])
    return np.concatenate(confidence), np.concatenate(error_nm)


def compare(name: str, crop: Volume, truths: dict[int, np.ndarray]) -> None:
    """Print a line per choice."""
    nucleus = segment_nucleus(crop)
    pixel_nm, shape = crop.grid.pixel_nm, crop.shape[1:]

    def before(z):
        return enlarge(nucleus.nuclei[z] == 1, nucleus.factor, shape)

    print(f"{name}, {crop.grid}")
    print(f"  {'':24}Jaccard  distance nm  error nm, sure / unsure  rank corr.  thickness nm")
    print(
        "  {:24}{:.4f}   {:8.1f}".format("outline as it came", *agreement(before, truths, pixel_nm))
    )
    for changed in CHOICES:
        config = EnvelopeConfig(**changed)
        result = measure_envelope(crop, nucleus, config=config)
        confidence, error_nm = vertex_errors(result, truths, pixel_nm)
        sure = confidence >= config.confident
        likeness, distance_nm = agreement(result.nucleus, truths, pixel_nm)
        title = ", ".join(f"{k} {v:g}" for k, v in changed.items()) or "default"
        print(
            f"  {title:24}{likeness:.4f}   {distance_nm:8.1f}"
            f"{error_nm[sure].mean():14.1f} /{error_nm[~sure].mean():6.1f}"
            f"{-spearmanr(confidence, error_nm).statistic:15.2f}{result.thickness_nm():12.1f}"
        )


if __name__ == "__main__":
    parts = {"phantom": phantoms, "real": real}
    chosen = sys.argv[1:] or list(parts)
    unknown = [name for name in chosen if name not in parts]
    if unknown:
        sys.exit(f"unknown part {unknown[0]!r}; there are {', '.join(parts)}")
    warnings.simplefilter("ignore")
    for part in chosen:
        for case in parts[part]():
            compare(*case)
