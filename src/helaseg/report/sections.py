"""The section of one cell: which slices to show, its pictures, numbers and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.results import SegmentationResult, SliceRecord
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import HelasegError
from helaseg.report import style, tables
from helaseg.report.charts import plot_slices
from helaseg.report.drawn import Picture, drawn
from helaseg.report.pictures import grey_limits, plot_orthogonal, plot_overlay

# What the propagation did, for a person.
_EVENTS = {
    "seed": "seed slice",
    "followed": "nucleus followed",
    "bridged": "bridged from its neighbours",
    "absent": "no nucleus",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSection:
    """Everything that a page shows of one cell."""

    name: str
    key_numbers: list[tables.Quantity]
    measurements: list[tables.Quantity]
    flags: list[str]
    thumbnail: str
    overlays: list[Picture]
    doubtful: list[Picture]
    orthogonal: Picture | None
    slice_chart: Picture | None
    shape: Picture | None
    slice_rows: list[tuple[str, ...]]
    grid: str
    has_image: bool
    is_empty: bool


def make_section(
    result: SegmentationResult,
    *,
    raw: Volume | None,
    name: str,
    n_overlays: int = 6,
    n_doubtful: int = 3,
    orthogonal: bool = True,
    shape: Picture | None = None,
    size_px: int = 640,
    section_px: int = 700,
) -> CellSection:
    """Draw one cell.

    Parameters
    ----------
    result : SegmentationResult
        The segmentation.
    raw : Volume or None
        The image on the grid of the labels.
    name : str
        Title of the section.
    n_overlays, n_doubtful : int
        How many slices evenly over the cell, and how many of low confidence.
    orthogonal : bool
        Draw the sections along z, which reads every slice once.
    shape : Picture, optional
        Its shape, see `helaseg.report.plot_cell_shape`.
    size_px : int
        Longer side of an overlay.
    section_px : int
        Longer side of the xy panel among the sections.
    """
    present = _slices_with_cell(result)
    even = even_slices(present, n_overlays) or [result.labels.shape[0] // 2]
    doubtful = least_confident(result.slices, n_doubtful, away_from=even)
    middle = even[len(even) // 2]
    # One range of grey values, so that slices can be compared.
    limits = _common_limits(raw, even)
    measurements = dict(result.measurements)
    key_numbers = tables.key_quantities(measurements)
    return CellSection(
        name=name,
        key_numbers=key_numbers,
        measurements=tables.all_quantities(measurements),
        flags=tables.flag_words(result.flags),
        thumbnail=_thumbnail(result, raw, middle),
        overlays=[_overlay(result, raw, z, limits=limits, size_px=size_px) for z in even],
        doubtful=[_overlay(result, raw, z, limits=limits, size_px=size_px) for z in doubtful],
        orthogonal=_orthogonal(result, raw, size_px=section_px) if orthogonal and present else None,
        slice_chart=_slice_chart(result),
        shape=shape,
        slice_rows=tables.slice_rows(result.slices),
        grid=str(result.labels.grid),
        has_image=raw is not None,
        is_empty=not present,
    )


def even_slices(present: Sequence[int], n: int) -> list[int]:
    """Up to `n` slices spread evenly over those that hold the cell."""
    if len(present) <= n:
        return list(present)
    return [present[int((k + 0.5) * len(present) / n)] for k in range(n)]


def least_confident(
    records: Sequence[SliceRecord], n: int, *, away_from: Sequence[int] = ()
) -> list[int]:
    """Up to `n` slices of low confidence that hold a nucleus, in the order of z.

    Slices that are shown already are left out, and so are close neighbours of
    a chosen one (a twentieth of the cell), which would show the same doubt.
    """
    held = [r for r in records if r.nucleus_px > 0 and math.isfinite(r.confidence)]
    gap = max(1, len(held) // 20)
    chosen: list[int] = []
    for record in sorted(held, key=lambda r: (r.confidence, r.z)):
        if len(chosen) == n:
            break
        if record.z not in away_from and all(abs(record.z - z) >= gap for z in chosen):
            chosen.append(record.z)
    return sorted(chosen)


def _slices_with_cell(result: SegmentationResult) -> list[int]:
    if result.slices:
        return [r.z for r in result.slices if r.cell_px > 0 or r.nucleus_px > 0]
    return [z for z in range(result.cell.shape[0]) if np.any(result.cell.slice(z))]


def _read(volume: Volume | LabelVolume | None, z: int) -> NDArray[Any] | None:
    return None if volume is None else volume.slice(z)


def _overlay(
    result: SegmentationResult,
    raw: Volume | None,
    z: int,
    *,
    limits: tuple[float, float] | None,
    size_px: int,
) -> Picture:
    def draw() -> str:
        figure = plot_overlay(
            _read(raw, z),
            result.labels.slice(z),
            result.labels.grid,
            nucleus=result.nucleus.slice(z),
            limits=limits,
            axes=False,
            legend=False,
            size_px=size_px,
        )
        return style.picture_uri(figure, quality=78)

    record = next((r for r in result.slices if r.z == z), None)
    number = None if record is None else record.slice_number
    caption = style.slice_text(z, result.labels.grid, number).capitalize()
    if record is not None:
        if math.isfinite(record.confidence):
            caption += f"; confidence {tables.number_text(record.confidence, digits=2)}"
        caption += f"; {_EVENTS.get(record.event, record.event)}"
        if math.isfinite(record.envelope_thickness_nm):
            thickness = tables.number_text(record.envelope_thickness_nm, digits=2)
            caption += f"; envelope {thickness} nm"
    return drawn(f"outlines in slice {z}", draw, caption=caption)


def _thumbnail(result: SegmentationResult, raw: Volume | None, z: int) -> str:
    def draw() -> str:
        figure = plot_overlay(
            _read(raw, z),
            result.labels.slice(z),
            result.labels.grid,
            axes=False,
            legend=False,
            size_px=150,
        )
        return style.picture_uri(figure, quality=70)

    return drawn("thumbnail", draw).uri


def _orthogonal(result: SegmentationResult, raw: Volume | None, *, size_px: int) -> Picture | None:
    depth, rows, columns = result.labels.shape
    if depth < 2:
        return None

    def draw() -> str:
        largest = max(result.slices, key=lambda r: (r.cell_px, r.nucleus_px), default=None)
        z = depth // 2 if largest is None else largest.z
        inside = np.argwhere(result.cell.slice(z))
        if not len(inside):
            # The nucleus alone was looked for.
            inside = np.argwhere(result.nucleus.slice(z))
        # The median of the columns and rows lies well inside most cells.
        y, x = np.median(inside, axis=0).astype(int) if len(inside) else (rows // 2, columns // 2)
        figure = plot_orthogonal(
            raw, result.labels, nucleus=result.nucleus, at_vx=(z, int(y), int(x)), size_px=size_px
        )
        return style.picture_uri(figure, quality=80)

    caption = "Sections along the three axes through the cell, in the aspect of the specimen."
    return drawn("sections along the axes", draw, caption=caption)


def _slice_chart(result: SegmentationResult) -> Picture | None:
    if not result.slices:
        return None
    return drawn(
        "areas and confidence",
        lambda: style.chart_uri(plot_slices(result.slices, grid=result.labels.grid)),
        caption="Areas of cell and nucleus, and confidence of the nucleus outline and of the "
        "place of its envelope (low where the cut grazes it), slice by slice.",
    )


def _common_limits(raw: Volume | None, slices: Sequence[int]) -> tuple[float, float] | None:
    """Median of the grey limits of the slices; a blank one has none of its own."""
    if raw is None:
        return None
    try:
        limits_of = [grey_limits(raw.slice(z)) for z in slices]
    except (HelasegError, OSError):
        # The picture of the slice that cannot be read says so.
        return None
    found = [limits for limits in limits_of if limits and limits[0] < limits[1]]
    if not found:
        return None
    low, high = np.median(found, axis=0)
    return float(low), float(high)
