"""Compile every kernel ahead of the first job."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from helaseg._threads import limit_threads
from helaseg.errors import HelasegWarning
from helaseg.execution import Compilation, Progress, watch_compilation


def warm_kernels(*, progress: Progress | None = None) -> Compilation:
    """Call everything that compiles once, on small inputs, so that the cache holds it.

    Parameters
    ----------
    progress : Progress, optional
        Called after each group of functions.

    Returns
    -------
    Compilation
        What was not in the cache and how long it took.

    Notes
    -----
    1. A phantom of two cells: made, detected, linked, cropped, segmented,
       pasted, scored.
    2. The functions of `helaseg.image` and `helaseg.metrics` with the kinds of
       arrays that they compile for.
    3. The outline of a disk put on its line.

    Machine code is kept per processor model: a cluster of unequal nodes, or a
    container that moves, compiles once for each.
    """
    steps: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("thresholds and filters", _filters),
        ("distances and watershed", _distances),
        ("components and shapes", _components),
        ("metrics", _metrics),
        ("outlines", _outlines),
        ("a whole job", _job),
    )
    with watch_compilation() as made, limit_threads(2), warnings.catch_warnings():
        warnings.simplefilter("ignore", HelasegWarning)  # two tiny cells trip flags
        for done, (name, work) in enumerate(steps, 1):
            work()
            if progress is not None:
                progress(f"compile: {name}", done, len(steps))
    return made


def _grey(side: int = 1200) -> np.ndarray:
    """A bright disk on a noisy ramp, uint8; by default large enough for threads to share."""
    y, x = np.mgrid[:side, :side] / side
    disk = (y - 0.45) ** 2 + (x - 0.55) ** 2 < 0.1
    noise = np.random.default_rng(0).integers(0, 20, (side, side))
    return (100 * x + 120 * disk + noise).astype(np.uint8)


def _filters() -> None:
    from helaseg import image

    grey = _grey()
    for dtype in (np.uint8, np.uint16, np.float32):
        picture = grey.astype(dtype)
        image.otsu_threshold(picture)
        image.otsu_threshold(picture, mask=grey > 20)
        blurred = image.gaussian(picture, sigma_px=2.0)
        image.gradient_magnitude(blurred)
        image.canny(picture, sigma_px=2.0, low=2.0, high=5.0)
    image.canny(grey, sigma_px=2.0, low=2.0, high=5.0, mask=grey > 20)
    image.multi_otsu(grey)
    image.gaussian(np.stack([grey[:64, :64]] * 3), sigma_px=1.0)


def _distances() -> None:
    from helaseg import image

    rng = np.random.default_rng(0)
    small = _grey(64) > 100
    for mask in (_grey() > 100, small, np.stack([small] * 9)):
        markers = np.zeros(mask.shape, np.int32)
        markers[..., 10, 20], markers[..., 30, 45] = 1, 2
        distance = image.distance_transform(mask)
        image.distance_transform(mask, spacing=(50.0, 10.0, 10.0)[-mask.ndim :])
        # whole numbers, few different floats, many of both precisions
        noise = rng.random(mask.shape)
        for priority in (mask.view(np.uint8), -distance, noise.astype(np.float32), noise):
            image.watershed(priority, markers, mask=mask)
            image.watershed(priority, markers, lines=True)
        image.expand_labels(markers, max_distance=5.0)
    for dtype in (np.float32, np.float64):
        image.peak_local_maxima(noise[0].astype(dtype), min_distance_px=5)
        image.peak_local_maxima(rng.random((1200, 1200)).astype(dtype), min_distance_px=5)


def _components() -> None:
    from helaseg import image

    small = _grey(64) > 100
    for mask in (_grey() > 100, small, np.stack([small] * 3)):
        labels = image.label(mask)
        image.label_with_table(mask)
        image.largest_component(mask)
        image.remove_small(mask, min_area_px=2)
        image.fill_holes(mask)
        image.relabel_sequential(labels)
        image.region_areas(labels)
        image.region_sums(labels, image=mask)
        image.region_table(labels, image=mask)
    # beyond a radius of 253 distances need two bytes
    for radius_px in (3, 300):
        image.binary_opening(small, radius_px=radius_px)
    image.binary_closing(_grey() > 100, radius_px=3)


def _metrics() -> None:
    from helaseg import metrics
    from helaseg.core.grid import Grid
    from helaseg.core.volume import LabelVolume

    truth = np.zeros((4, 32, 32), np.uint16)
    truth[1:3, 5:20, 6:25] = 1
    grid = Grid(shape=truth.shape, voxel_size_nm=(50.0, 10.0, 10.0), offset_nm=(0.0, 0.0, 0.0))
    volumes = [LabelVolume(data=data, grid=grid) for data in (truth, np.roll(truth, 2, axis=2))]
    metrics.evaluate(*volumes)
    metrics.contingency_table(*volumes)
    metrics.jaccard_index(truth > 0, truth > 0)


def _outlines() -> None:
    from helaseg.cells.envelope.slice import EnvelopeConfig, find_lines
    from helaseg.core.grid import Grid

    grey = _grey(64)
    grid = Grid(shape=(1, *grey.shape), voxel_size_nm=(50.0, 20.0, 20.0))
    find_lines(grey, grey > 100, [], factor=1, grid=grid, config=EnvelopeConfig())


def _job() -> None:
    from helaseg.pipelines.batch import run
    from helaseg.synthetic import make_phantom

    made = make_phantom(shape=(8, 400, 400), n_cells=2, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        run(made.image, Path(folder) / "run", executor="serial")
