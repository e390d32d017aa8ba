"""The figures of the report, for notebooks and pages.

Each returns a `matplotlib.figure.Figure`; a notebook shows it after
``%matplotlib inline`` and a script saves it with ``figure.savefig``. Axes carry
units, and colours can be distinguished with any colour vision.
"""

from __future__ import annotations

from helaseg.report.cell_figure import plot_cell_shape
from helaseg.report.charts import plot_scores, plot_slices, plot_tracks
from helaseg.report.field import plot_field
from helaseg.report.pictures import plot_orthogonal, plot_overlay

__all__ = [
    "plot_cell_shape",
    "plot_field",
    "plot_orthogonal",
    "plot_overlay",
    "plot_scores",
    "plot_slices",
    "plot_tracks",
]
