"""Cells, nuclei and membranes from volume electron microscopy, without training.

Public names are loaded on first use, so that ``import helaseg`` costs a few
milliseconds and imports neither numba, torch nor matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from helaseg._version import __version__

if TYPE_CHECKING:
    from helaseg._threads import limit_threads
    from helaseg.cells.assemble import segment_cell
    from helaseg.cells.detection.detect import DetectConfig, detect_cells
    from helaseg.cells.detection.rois import RoiConfig, rois_from_tracks
    from helaseg.cells.detection.track import TrackConfig, link_detections
    from helaseg.cells.membrane.segment import CellConfig
    from helaseg.cells.nucleus.segment import NucleusConfig, segment_nucleus
    from helaseg.core.comparison import Comparison, MethodCost
    from helaseg.core.grid import Grid, Roi
    from helaseg.core.objects import CellFlag, Detection, Track
    from helaseg.core.results import Provenance, SegmentationResult
    from helaseg.core.scores import Score, ScoreTable
    from helaseg.core.volume import LabelVolume, ProbabilityVolume, Volume
    from helaseg.errors import HelasegError, HelasegWarning
    from helaseg.io import open_volume
    from helaseg.metrics.evaluate import evaluate
    from helaseg.pipelines.batch import run
    from helaseg.pipelines.classical import RunConfig, segment
    from helaseg.pipelines.compare import compare
    from helaseg.pipelines.compare_config import CompareConfig
    from helaseg.synthetic import Phantom, PhantomConfig, make_phantom

_PUBLIC = {
    "CellConfig": "helaseg.cells.membrane.segment",
    "CellFlag": "helaseg.core.objects",
    "CompareConfig": "helaseg.pipelines.compare_config",
    "Comparison": "helaseg.core.comparison",
    "DetectConfig": "helaseg.cells.detection.detect",
    "Detection": "helaseg.core.objects",
    "Grid": "helaseg.core.grid",
    "HelasegError": "helaseg.errors",
    "HelasegWarning": "helaseg.errors",
    "LabelVolume": "helaseg.core.volume",
    "MethodCost": "helaseg.core.comparison",
    "NucleusConfig": "helaseg.cells.nucleus.segment",
    "Phantom": "helaseg.synthetic",
    "PhantomConfig": "helaseg.synthetic",
    "ProbabilityVolume": "helaseg.core.volume",
    "Provenance": "helaseg.core.results",
    "Roi": "helaseg.core.grid",
    "RoiConfig": "helaseg.cells.detection.rois",
    "RunConfig": "helaseg.pipelines.classical",
    "Score": "helaseg.core.scores",
    "ScoreTable": "helaseg.core.scores",
    "SegmentationResult": "helaseg.core.results",
    "Track": "helaseg.core.objects",
    "TrackConfig": "helaseg.cells.detection.track",
    "Volume": "helaseg.core.volume",
    "compare": "helaseg.pipelines.compare",
    "detect_cells": "helaseg.cells.detection.detect",
    "evaluate": "helaseg.metrics.evaluate",
    "limit_threads": "helaseg._threads",
    "link_detections": "helaseg.cells.detection.track",
    "make_phantom": "helaseg.synthetic",
    "open_volume": "helaseg.io",
    "rois_from_tracks": "helaseg.cells.detection.rois",
    "run": "helaseg.pipelines.batch",
    "segment": "helaseg.pipelines.classical",
    "segment_cell": "helaseg.cells.assemble",
    "segment_nucleus": "helaseg.cells.nucleus.segment",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    if name in {"image", "metrics", "io", "synthetic"}:
        return importlib.import_module(f"helaseg.{name}")
    raise AttributeError(f"module 'helaseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
