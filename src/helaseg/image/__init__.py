"""Public functions over plain 2-D and 3-D arrays, loaded on first use.

Axes are always z, y, x (3-D) or y, x (2-D). Every function takes its main
array by position and everything else by keyword, checks its arguments once and
then runs compiled code that releases the GIL, so that slices can be worked on
in a thread pool. Importing this package imports neither numba nor any function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helaseg.image.distance import distance_transform, expand_labels
    from helaseg.image.edges import canny, gradient_magnitude
    from helaseg.image.filters import gaussian
    from helaseg.image.flooding import watershed as watershed
    from helaseg.image.labels import label, largest_component, relabel_sequential
    from helaseg.image.morphology import (
        binary_closing,
        binary_dilation,
        binary_erosion,
        binary_opening,
        fill_holes,
        remove_small,
    )
    from helaseg.image.peaks import peak_local_maxima
    from helaseg.image.regions import label_with_table, region_areas, region_sums, region_table
    from helaseg.image.thresholds import histogram, multi_otsu, otsu_threshold

_PUBLIC = {
    "binary_closing": "morphology",
    "binary_dilation": "morphology",
    "binary_erosion": "morphology",
    "binary_opening": "morphology",
    "canny": "edges",
    "distance_transform": "distance",
    "expand_labels": "distance",
    "fill_holes": "morphology",
    "gaussian": "filters",
    "gradient_magnitude": "edges",
    "histogram": "thresholds",
    "label": "labels",
    "label_with_table": "regions",
    "largest_component": "labels",
    "multi_otsu": "thresholds",
    "otsu_threshold": "thresholds",
    "peak_local_maxima": "peaks",
    "region_areas": "regions",
    "region_sums": "regions",
    "region_table": "regions",
    "relabel_sequential": "labels",
    "remove_small": "morphology",
    "watershed": "flooding",
}

__all__ = [
    "binary_closing",
    "binary_dilation",
    "binary_erosion",
    "binary_opening",
    "canny",
    "distance_transform",
    "expand_labels",
    "fill_holes",
    "gaussian",
    "gradient_magnitude",
    "histogram",
    "label",
    "label_with_table",
    "largest_component",
    "multi_otsu",
    "otsu_threshold",
    "peak_local_maxima",
    "region_areas",
    "region_sums",
    "region_table",
    "relabel_sequential",
    "remove_small",
    "watershed",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
