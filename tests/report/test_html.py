from __future__ import annotations

import csv
import dataclasses
import html.parser
import json
import re

import cv2
import numpy as np
import pytest
from report_cases import GRID, NAMES_ARE_HOSTILE

from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag, Detection, Track
from helaseg.core.results import Provenance, SegmentationResult, SliceRecord
from helaseg.core.scores import Score, ScoreTable
from helaseg.core.seams import Seam
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import DataFormatError, GridMismatchError
from helaseg.io import (
    read_cells_csv,
    write_cells_csv,
    write_ome_zarr,
    write_segmentation,
    write_tiff_slices,
)
from helaseg.io.seam_table import write_seams_csv
from helaseg.report import style, write_candidates, write_run_report, write_segment_report
from helaseg.report.folder import read_run_folder
from helaseg.report.html import render_segment
from helaseg.report.sections import even_slices, least_confident

FIELD = Grid(shape=(40, 300, 400), voxel_size_nm=(50, 10, 10))


class Page(html.parser.HTMLParser):
    """Words, addresses and balance of a page."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.links, self.words, self.open, self.ids = [], [], [], [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loaded += [given[k] for k in ("src", "srcset", "data", "poster") if given.get(k)]
        if tag == "link":
            self.loaded.append(given.get("href"))
        if tag == "a":
            self.links.append(given["href"])
        if given.get("id"):
            self.ids.add(given["id"])
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def check(self):
        """Whole, self-contained, and every link inside the page has its goal."""
        assert not self.open
        assert self.loaded, "a page without a picture"
        assert all(address.startswith("data:image/") for address in self.loaded)
        assert not [a for a in self.links if a.startswith(("http", "//"))]
        assert {a[1:] for a in self.links if a.startswith("#")} <= self.ids


def read_page(path):
    text = path.read_text(encoding="utf-8")
    assert "@import" not in text
    assert "url(" not in text
    page = Page(text)
    page.check()
    return page


def write_segment_folder(folder, result, image=None):
    write_segmentation(folder, result)
    if image is not None:
        write_tiff_slices(folder / "raw", image.data, image.grid, prefix="raw")


# --- one ROI


def test_page_of_one_cell_holds_the_numbers(tmp_path, result, image):
    folder = tmp_path / "roi_001_30_40_4"
    write_segment_folder(folder, result, image)
    path = write_segment_report(folder)
    assert path == folder / "report.html"
    page = read_page(path)
    for words in (
        "roi_001_30_40_4",
        "cell volume 98.77 µm³",
        "nucleus volume 12.35 µm³",
        "cell surface 432.1 µm²",
        "nucleus to cell ratio 0.1250",
        "goes on after the last slice",
        "little or no resin around it",
        "9 x 60 x 80 voxels of 50 x 10 x 10 nm",
        "nucleus.sigma_nm 20.0",
        "fingerprint abc123",
        "All steps together took 12.0 s",
        "512",
        "number of cell slices",
        "doi:10.3390/jimaging7060093",
    ):
        assert words in page.text, words
    assert "outlines are drawn on grey" not in page.text
    assert "Slices of least confidence" in page.text


def test_page_escapes_what_comes_from_files(result):
    page = render_segment(result, raw=None, name=NAMES_ARE_HOSTILE)
    assert NAMES_ARE_HOSTILE not in page
    assert page.count("&lt;script&gt;alert(") >= 3


def test_page_takes_the_image_as_argument_and_checks_its_grid(tmp_path, result, image):
    write_segment_folder(tmp_path / "roi", result)
    page = read_page(write_segment_report(tmp_path / "roi", raw=image))
    assert "outlines are drawn on grey" not in page.text
    wider = dataclasses.replace(GRID, voxel_size_nm=(50, 20, 10))
    with pytest.raises(GridMismatchError, match="'raw' and 'labels' must share one grid"):
        write_segment_report(tmp_path / "roi", raw=dataclasses.replace(image, grid=wider))


def test_page_without_image_and_provenance(tmp_path, result):
    bare = dataclasses.replace(
        result, provenance=None, measurements={}, slices=(), flags=CellFlag.NONE
    )
    text = render_segment(bare, raw=None, name="bare")
    page = Page(text)
    page.check()
    assert "outlines are drawn on grey" in page.text
    assert "settings and versions are not known" in page.text
    assert "From slice to slice" not in page.text


def test_page_of_an_image_that_does_not_fit_draws_on_grey(tmp_path, result, image):
    folder = tmp_path / "roi"
    write_segment_folder(folder, result, image.crop(Roi(start=(0, 0, 0), stop=(5, 60, 80))))
    assert "outlines are drawn on grey" in read_page(write_segment_report(folder)).text


def test_page_of_an_empty_segmentation_gives_advice(result):
    zeros = LabelVolume(data=np.zeros(GRID.shape, np.uint8), grid=GRID)
    empty = SegmentationResult(labels=zeros, nucleus=zeros, cell=zeros)
    page = Page(render_segment(empty, raw=None, name="empty"))
    page.check()
    assert "No cell in this box." in page.text
    assert "--seed-slice" in page.text
    assert "plasma membrane of HeLa cells. J. Imaging" in page.text


def test_page_of_a_network_says_what_a_network_needs(result):
    zeros = LabelVolume(data=np.zeros(GRID.shape, np.uint8), grid=GRID)
    story = Provenance(config={"predict": {"patch_px": 512}, "axis_shares": [1.0, 0.2]}, inputs={})
    empty = SegmentationResult(labels=zeros, nucleus=zeros, cell=zeros, provenance=story)
    page = Page(render_segment(empty, raw=None, name="empty"))
    page.check()
    assert "The network found no nucleus in this box." in page.text
    assert "--seed-slice" not in page.text
    assert "doi:10.1111/tra.12789" in page.text
    assert "J. Imaging" not in page.text


def test_page_is_replaced_and_nothing_else_is_left(tmp_path, result):
    folder = tmp_path / "roi"
    write_segment_folder(folder, result)
    before = {p.name for p in folder.iterdir()}
    first = write_segment_report(folder).read_text(encoding="utf-8")
    assert write_segment_report(folder).read_text(encoding="utf-8") == first
    assert {p.name for p in folder.iterdir()} == before | {"report.html", "shape.png"}


def test_page_needs_a_folder(tmp_path):
    with pytest.raises(DataFormatError, match="must be a folder with results"):
        write_segment_report(tmp_path / "nowhere")


# --- which slices are shown


def test_even_slices_are_spread_and_complete():
    assert even_slices(range(60), 6) == [5, 15, 25, 35, 45, 55]
    assert even_slices([3, 4, 9], 6) == [3, 4, 9]
    assert even_slices([], 6) == []


def record(z, confidence, nucleus_px=5):
    return SliceRecord(
        z=z,
        nucleus_px=nucleus_px,
        cell_px=9,
        nucleus_um2=1.0,
        cell_um2=1.0,
        confidence=confidence,
        event="followed",
    )


def test_least_confident_slices_are_apart_and_new():
    records = [record(z, 0.9 - 0.001 * z) for z in range(100)]
    records[50] = record(50, 0.1)
    records[51] = record(51, 0.11)
    records[20] = record(20, 0.2)
    records[70] = record(70, 0.0, nucleus_px=0)
    records[80] = record(80, float("nan"))
    assert least_confident(records, 3, away_from=[20]) == [50, 95, 99]
    assert least_confident([], 3) == []


# --- a run


@pytest.fixture
def run_folder(tmp_path, result, image):
    """A run with three cells: one segmented with image, one without, one not segmented."""
    folder = tmp_path / "run"
    folder.mkdir()
    tracks = [
        Track(
            id=number,
            detections=tuple(
                Detection(z=z, y=100.0, x=100.0 * number, radius_nm=400.0) for z in (5, 15, 25)
            ),
            flags=CellFlag.CUT_BY_SIDE if number == 3 else CellFlag.NONE,
        )
        for number in (1, 2, 3)
    ]
    rois = {
        t.id: Roi(start=(0, 50, 100 * t.id - 50), stop=(40, 150, 100 * t.id + 50)) for t in tracks
    }
    write_cells_csv(folder / "cells.csv", tracks, rois, FIELD)
    with (folder / "detections.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["z", "y", "x", "radius_nm", "rank", "cell_id"])
        for t in tracks:
            writer.writerows([d.z, d.y, d.x, d.radius_nm, d.rank, t.id] for d in t.detections)
        writer.writerow([5, 7.0, 7.0, 100.0, 4, 0])
    for t in tracks[:2]:
        raw = image if t.id == 1 else None
        write_segment_folder(folder / "rois" / f"roi_{t.id:03d}_100_{100 * t.id}_15", result, raw)
    cv2.imwrite(str(folder / "overview.png"), np.full((30, 40), 128, np.uint8))
    info = {
        "name": NAMES_ARE_HOSTILE,
        "input": {
            "name": "field.tif",
            "shape": FIELD.shape,
            "voxel_size_nm": FIELD.voxel_size_nm,
            "fingerprint": "f00d",
        },
        "config": {"detect": {"slice_step_nm": 1000.0}},
        "versions": {"helaseg": "0.1.0"},
        "steps": [
            {"step": "detect", "seconds": 2.0, "peak_memory_mb": 100.0},
            {"step": "segment", "seconds": 6.0, "peak_memory_mb": 300.0},
        ],
        "overview": "overview.png",
        "overview_z": 20,
        "overview_pixel_nm": 100.0,
    }
    (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def test_page_of_a_run(run_folder):
    write_segment_report(run_folder / "rois" / "roi_001_100_100_15")
    path = write_run_report(run_folder)
    page = read_page(path)
    for words in (
        "cells found 3",
        "cells segmented 2",
        "field.tif, 40 x 300 x 400 voxels of 50 x 10 x 10 nm, 2.00 × 3.00 × 4.00 µm (z × y × x)",
        "Slice 4, z = 0.20 µm",
        "5–25",
        "cut by a side of the volume",
        "98.77",
        "detect.slice_step_nm 1000.0",
        "fingerprint f00d",
        "All steps together took 8.00 s",
        "peak memory 300 MB",
    ):
        assert words in page.text, words
    assert {"cell-1", "cell-2", "row-3", "field", "space"} <= page.ids
    assert "rois/roi_001_100_100_15/report.html" in page.links
    assert not [a for a in page.links if "roi_002" in a]
    text = path.read_text(encoding="utf-8")
    assert NAMES_ARE_HOSTILE not in text
    assert "No cell found" not in text
    assert path.stat().st_size < 3e6


def test_seams_are_shown_the_worst_first(run_folder):
    page = read_page(write_run_report(run_folder))
    assert "seams" not in page.ids
    write_seams_csv(run_folder / "seams.csv", [], FIELD)
    page = read_page(write_run_report(run_folder))
    assert "None: no cell is cut by its crop" in page.text
    seams = [
        Seam(
            kind="border_cut",
            cell=1,
            other=k,
            severity=0.9 - k / 100,
            position_vx=(1.0, 2.0, 30.0),
            text="goes on <b>beyond</b>",
        )
        for k in range(30)
    ]
    write_seams_csv(run_folder / "seams.csv", seams, FIELD)
    page = read_page(write_run_report(run_folder))
    assert "30 places to look at, the worst first (the first 20 are shown" in page.text
    assert "cut by its crop 1 90 % 1, 2, 30 goes on <b>beyond</b>" in page.text
    assert page.text.count("goes on <b>") == 20


def test_positions_are_in_micrometres(run_folder):
    page = read_page(write_run_report(run_folder))
    cell = next(c for c in read_cells_csv(run_folder / "cells.csv") if c.id == 2)
    z, y, x = (f"{v / 1000:.2f}" for v in cell.centroid_nm)
    assert f"2 {z} {y} {x} 0.40 5–25" in page.text


def test_track_data_are_in_micrometres_and_safe(run_folder):
    text = write_run_report(run_folder).read_text(encoding="utf-8")
    data = json.loads(re.search(r"drawSpace\((\{.*?\})\);", text).group(1))
    assert data["size"] == pytest.approx([4.0, 3.0, 2.0])
    assert [c["id"] for c in data["cells"]] == [1, 2, 3]
    assert data["cells"][1]["points"][0] == pytest.approx([2.005, 1.005, 0.275, 0.4])


def test_the_field_marks_cells_that_only_their_segmentation_flags(run_folder):
    text = write_run_report(run_folder).read_text()
    data = json.loads(re.search(r"drawSpace\((\{.*?\})\);", text).group(1))
    # 1 and 2 were flagged when they were segmented, 3 when it was found.
    assert [cell["colour"] for cell in data["cells"]] == [style.FLAGGED] * 3
    for part in (run_folder / "rois").iterdir():
        (part / "labels.tif").unlink()
    text = write_run_report(run_folder).read_text()
    data = json.loads(re.search(r"drawSpace\((\{.*?\})\);", text).group(1))
    assert [cell["colour"] for cell in data["cells"]] == [style.PLAIN, style.PLAIN, style.FLAGGED]


def test_an_empty_folder_of_a_moved_cell_is_passed_over(run_folder):
    (run_folder / "rois" / "roi_001_999_999_99").mkdir()
    folder = read_run_folder(run_folder).cell_folders[1]
    assert folder.name == "roi_001_100_100_15"


def test_scores_are_shown_with_reasons(run_folder):
    def table(value, reason=None):
        return ScoreTable(
            rows=(
                Score(metric="jaccard_index", value=value, label="cell", undefined=reason),
                Score(metric="recall", value=0.25, label="cell", z=3),
            )
        )

    scores = {1: table(0.9), 2: table(float("nan"), "truth and prediction are <empty>")}
    page = read_page(write_run_report(run_folder, scores=table(0.8), scores_by_cell=scores))
    assert "metric of unit whole volume cell 1 cell 2 median mean" in page.text
    assert "Jaccard index cell 0.8000 0.9000 undefined 0.9000 0.9000" in page.text
    assert "Scores of each cell against truth." in page.text
    assert "Median and mean are over the cells" in page.text
    assert (
        "cell 2: Jaccard index of cell has no value, truth and prediction are <empty>" in page.text
    )
    assert "recall" not in page.text


def test_run_without_cells_gives_advice(run_folder):
    write_cells_csv(run_folder / "cells.csv", [], {}, FIELD)
    page = read_page(write_run_report(run_folder))
    assert "No cell found." in page.text
    assert "detect.min_radius_nm" in page.text
    assert "Check the voxel size" in page.text
    assert "cells found 0" in page.text


def test_many_cells_are_shown_small(run_folder, result):
    tracks = [
        Track(id=n, detections=(Detection(z=5, y=50.0, x=20.0 * n, radius_nm=300.0),))
        for n in range(1, 14)
    ]
    rois = {t.id: Roi(start=(0, 0, 0), stop=(9, 60, 80)) for t in tracks}
    write_cells_csv(run_folder / "cells.csv", tracks, rois, FIELD)
    page = read_page(write_run_report(run_folder))
    assert "cells found 13" in page.text
    assert page.text.count("Slice 4,") == 2
    assert "Sections along the three axes" not in page.text


@pytest.mark.parametrize("missing", ["detections.csv", "overview.png", "run.json", "rois"])
def test_missing_pieces_degrade(run_folder, missing):
    target = run_folder / missing
    if target.is_dir():
        target.rename(run_folder.parent / "elsewhere")
    else:
        target.unlink()
    page = read_page(write_run_report(run_folder))
    assert "cells found 3" in page.text
    expected = {
        "detections.csv": "There is no detections.csv",
        "overview.png": "There is no overview picture",
        "run.json": "run",
        "rois": "cells segmented 0",
    }
    assert expected[missing] in page.text


def test_background_stands_in_for_the_overview(run_folder):
    (run_folder / "overview.png").unlink()
    mask = np.zeros((4, 30, 40), np.uint8)
    mask[2] = 1
    grid = Grid(shape=mask.shape, voxel_size_nm=(500, 100, 100), offset_nm=(250.0, 45.0, 45.0))
    write_ome_zarr(run_folder / "background.ome.zarr", mask, grid, kind="labels")
    run = read_run_folder(run_folder)
    assert run.overview.shape == (30, 40)
    assert run.overview.min() == 1
    assert run.overview_z == 25
    assert run.overview_pixel_nm == pytest.approx(100.0)


def test_unreadable_detections_and_foreign_pictures_are_left_out(run_folder):
    with (run_folder / "detections.csv").open("a", encoding="utf-8") as file:
        file.write("5,what,7.0,100.0,1,1\n")
    info = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    cv2.imwrite(str(run_folder.parent / "secret.png"), np.zeros((5, 5), np.uint8))
    info["overview"] = "../secret.png"
    (run_folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    run = read_run_folder(run_folder)
    assert any("detections.csv, line 12, column 'y'" in note for note in run.notes)
    assert [len(t.detections) for t in run.tracks] == [1, 1, 1]
    assert run.overview is None


def test_broken_segmentation_is_named(run_folder):
    (run_folder / "rois" / "roi_002_100_200_15" / "slices.csv").write_text("z\n", encoding="utf-8")
    page = read_page(write_run_report(run_folder))
    assert "cells segmented 1" in page.text
    assert "none cannot be shown:" in page.text


def test_not_a_run_is_refused(tmp_path):
    with pytest.raises(DataFormatError, match=r"is no output of a run: neither cells\.csv nor"):
        write_run_report(tmp_path)
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataFormatError, match=r"run\.json must hold JSON"):
        write_run_report(tmp_path)


def test_candidates_are_ranked_with_a_picture_each(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, FIELD.shape, dtype=np.uint8)
    volume = Volume(data=data, grid=FIELD, name=NAMES_ARE_HOSTILE)
    boxes = {
        1: Roi(start=(0, 10, 20), stop=(20, 110, 180)),
        2: Roi(start=(-3, -20, 300), stop=(20, 80, 440)),
        5: Roi(start=(5, 100, 100), stop=(40, 300, 300)),
    }
    tracks = []
    for number, box in boxes.items():
        z, y, x = ((a + b) / 2 for a, b in zip(box.start, box.stop, strict=True))
        seen = Detection(z=round(z), y=y, x=x, radius_nm=1500.0)
        flags = CellFlag.CUT_BY_SIDE if number == 2 else CellFlag.NONE
        tracks.append(Track(id=number, detections=(seen,), flags=flags))
    write_cells_csv(tmp_path / "cells.csv", tracks, boxes, FIELD, ranks={1: 2, 2: 3, 5: 1})
    cells = read_cells_csv(tmp_path / "cells.csv")
    page = read_page(write_candidates(tmp_path / "candidates.html", volume, cells))
    assert [i for i in sorted(page.ids, key=page.text.find) if i.startswith("cell-")]
    assert re.search(r"1 5 1\.\d\d", page.text)
    assert "cut by a side of the volume" in page.text
    assert "1.0 × 1.0 × 1.6" in page.text
    assert len(page.loaded) == 3
    (tmp_path / "candidates.html").unlink()
    text = write_candidates(tmp_path / "candidates.html", volume, []).read_text()
    assert "No cell found" in text
