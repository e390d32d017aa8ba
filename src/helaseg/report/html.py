"""Self-contained pages: `write_segment_report` for one ROI, `write_run_report` for a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from helaseg._version import __version__
from helaseg.core.objects import CellFlag
from helaseg.core.results import Provenance, SegmentationResult
from helaseg.core.scores import ScoreTable
from helaseg.core.volume import Volume
from helaseg.errors import DataFormatError
from helaseg.execution import WorkerPool, make_executor, ordered_map
from helaseg.io import CellRow, atomic_path, read_segmentation
from helaseg.report import style, tables
from helaseg.report.cell_figure import plot_cell_shape
from helaseg.report.charts import plot_scores, plot_tracks, z_stretch
from helaseg.report.drawn import Picture, drawn
from helaseg.report.field import plot_field
from helaseg.report.folder import RunFolder, on_grid, open_raw, read_run_folder
from helaseg.report.pages import template, write_page
from helaseg.report.sections import CellSection, make_section

# With more cells than this, a run's page shows one small picture of each, to stay light.
_FULL_SECTIONS = 12

#: The figure of the shape of a cell, beside its page.
SHAPE_PICTURE = "shape.png"

_SHAPE_CAPTION = (
    "Shape: sections through the middle of the nucleus, the nucleus in its cell, and the distance "
    "of the nuclear envelope to the fitted ellipsoid on an equal-area map."
)

_CITATIONS = (
    "Karabağ C, Jones ML, Reyes-Aldasoro CC. Volumetric semantic instance segmentation of the "
    "plasma membrane of HeLa cells. J. Imaging 7(6):93, 2021, doi:10.3390/jimaging7060093.",
    "Karabağ C, Jones ML, Peddie CJ, Weston AE, Collinson LM, Reyes-Aldasoro CC. Segmentation "
    "and modelling of the nuclear envelope of HeLa cells imaged with serial block face scanning "
    "electron microscopy. J. Imaging 5(9):75, 2019, doi:10.3390/jimaging5090075.",
)

_LEARNED_CITATIONS = (
    "Spiers H, Songhurst H, Nightingale L, et al. Deep learning for automatic segmentation of the "
    "nuclear envelope in electron microscopy data, trained with volunteer segmentations. Traffic "
    "22:240-253, 2021, doi:10.1111/tra.12789.",
    "Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for biomedical image "
    "segmentation. MICCAI, 2015, doi:10.1007/978-3-319-24574-4_28.",
)

_ADVICE = (
    "Check the voxel size: a wrong unit makes every cell too small or too large for the limits.",
    "Check the contrast: resin must stand out from the cells, brighter or darker "
    "(background.resin says which, where the decision is wrong).",
    "Look at the picture of the field: if it shows cells, lower the smallest radius of a cell "
    "(detect.min_radius_nm) or probe more slices (detect.slice_step_nm).",
    "If the volume holds a single cell without resin around it, detection has nothing to hold "
    "on to: run helaseg segment on it directly.",
)


def write_segment_report(folder: str | Path, *, raw: Volume | None = None) -> Path:
    """Write ``report.html`` for one segmented ROI.

    Parameters
    ----------
    folder : path
        Output of `helaseg segment`: labels, nucleus, cell, measurements, slices
        and provenance. It also gets ``shape.png``, the figure of the shape of the
        cell, if there is a nucleus.
    raw : Volume, optional
        The image of the ROI; by default the ``raw`` in the folder. Without an
        image the outlines are drawn on grey.

    Returns
    -------
    Path
        The page: one file that needs no other file and no network.

    Raises
    ------
    DataFormatError
        If the folder holds no segmentation.
    GridMismatchError
        If `raw` and the labels differ in shape or voxel size.
    """
    folder = _existing(folder)
    result = read_segmentation(folder)
    if raw is not None:
        raw = on_grid(raw, result.labels.grid)
    else:
        raw = open_raw(folder, result)
    name = folder.resolve().name
    picture = folder / SHAPE_PICTURE
    picture.unlink(missing_ok=True)
    shape = None
    if any(record.nucleus_px for record in result.slices):
        shape = drawn("shape", lambda: _write_shape(picture, result, raw), caption=_SHAPE_CAPTION)
    return write_page(
        folder / "report.html", render_segment(result, raw=raw, name=name, shape=shape)
    )


def _write_shape(path: Path, result: SegmentationResult, raw: Volume | None) -> str:
    """Write the figure of the shape of a cell; its data address for the page."""
    figure = plot_cell_shape(result, raw=raw)
    with atomic_path(path) as target:
        target.write_bytes(style.png_bytes(figure))
    return style.picture_uri(figure)


def render_segment(
    result: SegmentationResult, *, raw: Volume | None, name: str, shape: Picture | None = None
) -> str:
    """The page of one ROI as text (see `write_segment_report`)."""
    learned = result.provenance is not None and "predict" in result.provenance.config
    return template("segment.html.j2").render(
        title=name,
        learned=learned,
        section=make_section(result, raw=raw, name=name, shape=shape),
        provenance=_provenance(result.provenance),
        version=__version__,
        citations=_LEARNED_CITATIONS if learned else _CITATIONS,
    )


def write_run_report(
    folder: str | Path,
    *,
    scores: ScoreTable | None = None,
    scores_by_cell: Mapping[Any, ScoreTable] | None = None,
    executor: WorkerPool | None = None,
) -> Path:
    """Write ``report.html`` for a whole run.

    Parameters
    ----------
    folder : path
        Output of `helaseg run`; what is missing in it is left out or named.
    scores : ScoreTable, optional
        Scores against truth of the whole volume.
    scores_by_cell : mapping of cell id to ScoreTable, optional
        Scores of each cell.
    executor : WorkerPool, optional
        Serial or processes, which draw cells at the same time (drawing is not safe in
        threads).

    Returns
    -------
    Path
        The page: one file that needs no other file and no network.

    Raises
    ------
    DataFormatError
        If the folder holds no run, or a table in it cannot be read.
    """
    folder = _existing(folder)
    run = read_run_folder(folder)
    cells = _cells(run, executor or make_executor("serial"))
    run = _with_all_flags(run, cells)
    steps = [s for s in run.info.get("steps") or () if isinstance(s, Mapping)]
    page = template("run.html.j2").render(
        title=str(run.info.get("name") or folder.resolve().name),
        input=_plain_input(run),
        overview_numbers=_overview_numbers(run, cells, steps),
        notes=run.notes,
        seams=None if run.seams is None else tables.seam_rows(run.seams),
        n_seams=len(run.seams or ()),
        advice=() if run.cells else _ADVICE,
        field=_field(run),
        tracks=_tracks(run),
        track_data=_track_data(run),
        cells=cells,
        columns=_table_columns(cells),
        sections=[c["section"] for c in cells if c["section"] is not None],
        scores=_scores(
            tables.score_columns(scores, scores_by_cell), tables.score_columns(None, scores_by_cell)
        ),
        provenance=_run_provenance(run, steps),
        version=__version__,
        citations=_CITATIONS,
    )
    return write_page(folder / "report.html", page)


def _existing(folder: str | Path) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        msg = f"{folder} must be a folder with results, it does not exist; check the path"
        raise DataFormatError(msg)
    return folder


def _provenance(provenance: Provenance | None) -> dict[str, Any] | None:
    if provenance is None:
        return None
    return {
        "steps": tables.step_rows(provenance.steps),
        "total": tables.duration_text(tables.total_seconds(provenance.steps)),
        "settings": tables.flat_settings({**provenance.config, "seed": provenance.seed}),
        "versions": tables.flat_settings({**provenance.versions, "machine": provenance.machine}),
        "inputs": tables.flat_settings(provenance.inputs),
    }


def _run_provenance(run: RunFolder, steps: list[Mapping[str, Any]]) -> dict[str, Any]:
    parts = {
        key: value if isinstance(value := run.info.get(key), Mapping) else {}
        for key in ("config", "versions", "input")
    }
    return {
        "steps": tables.step_rows(steps),
        "total": tables.duration_text(tables.total_seconds(steps)),
        "settings": tables.flat_settings(parts["config"]),
        "versions": tables.flat_settings(parts["versions"]),
        "inputs": tables.flat_settings(parts["input"]),
    }


def _plain_input(run: RunFolder) -> str:
    given = run.info.get("input")
    name = given.get("name") if isinstance(given, Mapping) else None
    parts = [str(part) for part in (name, run.grid) if part]
    if run.grid is not None:
        size = [
            tables.number_text(n * s / 1000, digits=3)
            for n, s in zip(run.grid.shape, run.grid.voxel_size_nm, strict=True)
        ]
        parts.append(" × ".join(size) + " µm (z × y × x)")
    return ", ".join(parts)


def _overview_numbers(
    run: RunFolder, cells: list[dict[str, Any]], steps: list[Mapping[str, Any]]
) -> list[tables.Quantity]:
    segmented = sum(c["section"] is not None for c in cells)
    flagged = sum(bool(c["flags"]) for c in cells)
    numbers = [
        tables.Quantity(name="cells found", value=str(len(cells))),
        tables.Quantity(name="cells segmented", value=str(segmented)),
        tables.Quantity(name="cells with a flag", value=str(flagged)),
    ]
    if steps:
        total = tables.duration_text(tables.total_seconds(steps))
        memory = [s["peak_memory_mb"] for s in steps if s.get("peak_memory_mb") is not None]
        numbers.append(tables.Quantity(name="time of all steps", value=total))
        if memory:
            text = tables.number_text(max(float(m) for m in memory), digits=3)
            numbers.append(tables.Quantity(name="peak memory", value=text, unit="MB"))
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """Part of the page of a run for one cell: empty, or with a problem, without a result."""

    section: CellSection | None = None
    flags: CellFlag = CellFlag.NONE
    problem: str = ""


def _draw_cell(cell: tuple[str, Path | None], *, few: bool) -> _Drawn:
    name, folder = cell
    result, problem = _read_cell(folder)
    if folder is None or result is None:
        return _Drawn(problem=problem)
    section = make_section(
        result,
        raw=open_raw(folder, result),
        name=name,
        n_overlays=3 if few else 1,
        n_doubtful=0,
        orthogonal=few,
        size_px=440 if few else 320,
        section_px=400,
    )
    return _Drawn(section=section, flags=result.flags)


def _cells(run: RunFolder, executor: WorkerPool) -> list[dict[str, Any]]:
    few = len(run.cells) <= _FULL_SECTIONS
    named = [(f"Cell {row.id}", run.cell_folders.get(row.id)) for row in run.cells]
    drawn_cells = ordered_map(executor, partial(_draw_cell, few=few), named)
    cells = []
    for row, shown in zip(run.cells, drawn_cells, strict=True):
        section, flags = shown.section, row.flags | shown.flags
        cells.append(
            {
                "id": row.id,
                "section": section,
                "measured": {q.name: q for q in section.key_numbers} if section else {},
                "is_cut": section is not None and any(q.note for q in section.key_numbers),
                "flag": flags,
                "flags": tables.flag_words(flags),
                "problem": shown.problem,
                "report": _page_beside(run.path, run.cell_folders.get(row.id)),
                **_place(row),
            }
        )
    return cells


def _with_all_flags(run: RunFolder, cells: list[dict[str, Any]]) -> RunFolder:
    """The pictures of the field mark the same cells as the table: also those flagged later."""
    flags = {cell["id"]: cell["flag"] for cell in cells}
    tracks = tuple(replace(t, flags=t.flags | flags[t.id]) for t in run.tracks)
    return replace(run, tracks=tracks)


def _read_cell(folder: Path | None) -> tuple[SegmentationResult | None, str]:
    """The segmentation in a folder if there is one, or what is wrong with it."""
    if folder is None or not any(folder.glob("labels.*")):
        return None, ""
    try:
        return read_segmentation(folder), ""
    except DataFormatError as error:
        return None, str(error)


def _table_columns(cells: list[dict[str, Any]]) -> list[tables.Quantity]:
    """The volumes and ratios that the table of cells shows, in the order of the files."""
    shown = {}
    for cell in cells:
        for name, value in cell["measured"].items():
            if value.unit == "µm³" or "ratio" in name:
                shown[name] = value
    return list(shown.values())


def _page_beside(path: Path, folder: Path | None) -> str | None:
    if folder is None or not (folder / "report.html").is_file():
        return None
    return (folder / "report.html").relative_to(path).as_posix()


def _place(cell: CellRow) -> dict[str, Any]:
    return {
        "position": [p / 1000 for p in cell.centroid_nm],
        "radius_um": cell.radius_nm / 1000,
        "first": cell.first_slice,
        "last": cell.last_slice,
    }


def _field(run: RunFolder) -> Picture | None:
    if run.grid is None or (run.overview is None and not run.tracks):
        return None
    grid = run.grid

    def draw() -> str:
        figure = plot_field(
            run.overview,
            run.tracks,
            grid=grid,
            rois=run.rois,
            pixel_nm=run.overview_pixel_nm,
            z=run.overview_z,
            size_px=900,
        )
        return style.picture_uri(figure, dpi=style.DPI, quality=84)

    caption = "The field with the cells found" if run.tracks else "The field"
    if run.overview_z is not None and run.tracks:
        caption += "; a dashed cell lies before or after this slice"
    return drawn("field", draw, caption=caption + ".")


def _tracks(run: RunFolder) -> Picture | None:
    if run.grid is None or not run.tracks:
        return None
    grid = run.grid
    stretch = z_stretch(grid)
    caption = "The cells in space; each ring is one detection with its distance to the background."
    if stretch != 1:
        caption += f" z is stretched ×{stretch:g}."
    return drawn(
        "cells in space",
        lambda: style.chart_uri(plot_tracks(run.tracks, grid)),
        caption=caption,
    )


def _track_data(run: RunFolder) -> dict[str, Any] | None:
    """Positions in µm (x, y, z, radius) for the drawing that can be turned."""
    if run.grid is None or not run.tracks:
        return None
    sz, sy, sx = (s / 1000 for s in run.grid.voxel_size_nm)
    nz, ny, nx = run.grid.shape
    return {
        "size": [nx * sx, ny * sy, nz * sz],
        "stretch": z_stretch(run.grid),
        "cells": [
            {
                "id": t.id,
                "colour": style.FLAGGED if t.flags != CellFlag.NONE else style.PLAIN,
                "points": [
                    [
                        round((d.x + 0.5) * sx, 3),
                        round((d.y + 0.5) * sy, 3),
                        round((d.z + 0.5) * sz, 3),
                        round(d.radius_nm / 1000, 3),
                    ]
                    for d in t.detections
                ],
            }
            for t in run.tracks
        ],
    }


def _scores(
    columns: Mapping[str, ScoreTable], of_cells: Mapping[str, ScoreTable]
) -> dict[str, Any] | None:
    """Prepare the scores of a page; median, mean and chart are over the cells if there are any."""
    summed = of_cells or columns
    rows = tables.score_rows(columns, summary=summed)
    if not rows:
        return None
    chart = None
    # A chart of distances and ratios only: counts alone have nothing to draw.
    if any(
        not row.metric.startswith("number of") and row.unit in ("", "px", "nm", "um")
        for row in rows
    ):
        chart = drawn(
            "scores",
            lambda: style.chart_uri(plot_scores(summed)),
            caption=("Scores of each cell" if of_cells else "Scores")
            + " against truth. A bar is the median, a cross in the margin an undefined score."
            + (" Median and mean are over the cells." if of_cells else ""),
        )
    return {
        "columns": list(columns),
        "rows": rows,
        "reasons": tables.undefined_reasons(columns),
        "chart": chart,
        "summary": len(summed) > 1,
    }
