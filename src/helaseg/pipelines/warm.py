"""Compile every kernel ahead of the first job."""

from __future__ import annotations

import contextlib
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
    """Call everything that compiles once, on tiny inputs, so that the cache holds it.

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

    Machine code is kept per processor model: a cluster of unequal nodes, or a
    container that moves, compiles once for each.
    """
    steps: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("thresholds and filters", _filters),
        ("distances and watershed", _distances),
        ("components and shapes", _components),
        ("metrics", _metrics),
        ("a whole job", _job),
    )
    with watch_compilation() as made, limit_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", HelasegWarning)  # two tiny cells trip flags
        for done, (name, work) in enumerate(steps, 1):
            work()
            if progress is not None:
                progress(f"compile: {name}", done, len(steps))
    return made


def _grey() -> np.ndarray:
    """A bright disk on a ramp, (64, 64) uint8."""
    y, x = np.mgrid[:64, :64]
    disk = (y - 30) ** 2 + (x - 34) ** 2 < 300
    return (x + 120 * disk).astype(np.uint8)


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
    image.multi_otsu(grey)
    image.gaussian(np.stack([grey] * 3), sigma_px=1.0)


def _distances() -> None:
    from helaseg import image

    mask = _grey() > 100
    markers = np.zeros(mask.shape, np.int32)
    markers[30, 25], markers[30, 45] = 1, 2
    for stack in (mask, np.stack([mask] * 3)):
        distance = image.distance_transform(stack)
        image.distance_transform(stack, spacing=(50.0, 10.0, 10.0)[-stack.ndim :])
        seeds = np.broadcast_to(markers, stack.shape)
        for priority in (distance, stack.astype(np.uint8)):
            for lines in (False, True):
                image.watershed(-1.0 * priority, seeds, mask=stack, lines=lines)
                image.watershed(priority, seeds, lines=lines)
        image.expand_labels(seeds, max_distance=5.0)


def _components() -> None:
    from helaseg import image

    mask = _grey() > 100
    for stack in (mask, np.stack([mask] * 3)):
        labels = image.label(stack)
        image.largest_component(stack)
        image.remove_small(stack, min_area_px=2)
        image.relabel_sequential(labels)
        image.region_areas(labels)
        image.region_table(labels)
        image.fill_holes(stack)
    image.binary_opening(mask, radius_px=3)
    image.binary_closing(mask, radius_px=3)


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


def _job() -> None:
    from helaseg.pipelines.batch import run
    from helaseg.synthetic import make_phantom

    made = make_phantom(shape=(8, 400, 400), n_cells=2, seed=0)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(HelasegWarning):
        run(made.image, Path(folder) / "run", executor="serial")
