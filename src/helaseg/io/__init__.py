"""Files and core types: volumes in and out, tables, results on disk.

Public names are loaded on first use: tifffile, zarr and scipy are imported by
those who need them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helaseg.io.atomic import atomic_path, remove_rooms
    from helaseg.io.cell_table import CellRow, read_cells_csv, write_cells_csv
    from helaseg.io.comparison_files import write_comparison
    from helaseg.io.label_zarr import (
        create_label_zarr,
        finish_pyramids,
        slab_rois,
        write_block,
    )
    from helaseg.io.mat import read_mat
    from helaseg.io.method_files import find_image, find_label_image, is_class_image, read_cost
    from helaseg.io.ome_zarr_write import write_ome_zarr
    from helaseg.io.pyramid import downsample
    from helaseg.io.results import read_segmentation, write_segmentation
    from helaseg.io.sampling import check_unchanged, describe_job, fingerprint, input_state
    from helaseg.io.tables import read_detections_csv, write_detections_csv
    from helaseg.io.tiff_write import write_tiff, write_tiff_slices
    from helaseg.io.volumes import open_volume
    from helaseg.io.working_type import to_uint8
    from helaseg.io.zarr_store import block_shape

_PUBLIC = {
    "CellRow": "cell_table",
    "atomic_path": "atomic",
    "block_shape": "zarr_store",
    "check_unchanged": "sampling",
    "create_label_zarr": "label_zarr",
    "describe_job": "sampling",
    "downsample": "pyramid",
    "find_image": "method_files",
    "find_label_image": "method_files",
    "fingerprint": "sampling",
    "finish_pyramids": "label_zarr",
    "input_state": "sampling",
    "is_class_image": "method_files",
    "open_volume": "volumes",
    "read_cells_csv": "cell_table",
    "read_cost": "method_files",
    "read_detections_csv": "tables",
    "read_mat": "mat",
    "read_segmentation": "results",
    "remove_rooms": "atomic",
    "slab_rois": "label_zarr",
    "to_uint8": "working_type",
    "write_block": "label_zarr",
    "write_cells_csv": "cell_table",
    "write_comparison": "comparison_files",
    "write_detections_csv": "tables",
    "write_ome_zarr": "ome_zarr_write",
    "write_segmentation": "results",
    "write_tiff": "tiff_write",
    "write_tiff_slices": "tiff_write",
}

__all__ = [
    "CellRow",
    "atomic_path",
    "block_shape",
    "check_unchanged",
    "create_label_zarr",
    "describe_job",
    "downsample",
    "find_image",
    "find_label_image",
    "fingerprint",
    "finish_pyramids",
    "input_state",
    "is_class_image",
    "open_volume",
    "read_cells_csv",
    "read_cost",
    "read_detections_csv",
    "read_mat",
    "read_segmentation",
    "remove_rooms",
    "slab_rois",
    "to_uint8",
    "write_block",
    "write_cells_csv",
    "write_comparison",
    "write_detections_csv",
    "write_ome_zarr",
    "write_segmentation",
    "write_tiff",
    "write_tiff_slices",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(f"helaseg.io.{_PUBLIC[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'helaseg.io' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
