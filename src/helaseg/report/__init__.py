"""Figures and self-contained pages from results and scores, loaded on first use.

This is the only part of helaseg (besides the viewers) that imports matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helaseg.report.candidates import write_candidates
    from helaseg.report.comparison import write_comparison_report
    from helaseg.report.figures import (
        plot_cell_shape,
        plot_field,
        plot_orthogonal,
        plot_overlay,
        plot_scores,
        plot_slices,
        plot_tracks,
    )
    from helaseg.report.html import write_run_report, write_segment_report
    from helaseg.report.training import plot_history, write_training_curves

_PUBLIC = {
    "plot_cell_shape": "figures",
    "plot_field": "figures",
    "plot_history": "training",
    "plot_orthogonal": "figures",
    "plot_overlay": "figures",
    "plot_scores": "figures",
    "plot_slices": "figures",
    "plot_tracks": "figures",
    "write_candidates": "candidates",
    "write_comparison_report": "comparison",
    "write_run_report": "html",
    "write_segment_report": "html",
    "write_training_curves": "training",
}

__all__ = [
    "plot_cell_shape",
    "plot_field",
    "plot_history",
    "plot_orthogonal",
    "plot_overlay",
    "plot_scores",
    "plot_slices",
    "plot_tracks",
    "write_candidates",
    "write_comparison_report",
    "write_run_report",
    "write_segment_report",
    "write_training_curves",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        module = importlib.import_module(f"helaseg.report.{_PUBLIC[name]}")
        value = getattr(module, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'helaseg.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
