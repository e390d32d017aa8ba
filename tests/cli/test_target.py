"""Which cell of a crop is meant, and voxel sizes that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helaseg.cli.app import main
from helaseg.core.grid import Grid
from helaseg.errors import DataFormatError
from helaseg.io import write_tiff
from helaseg.pipelines.targets import read_target, write_target


@pytest.fixture
def two_cells(tmp_path: Path) -> Path:
    """A phantom of two cells whose middle is in neither."""
    words = ["phantom", str(tmp_path / "phantom"), "--shape=16,220,400"]
    words += ["--voxel-size-nm=150,24,24", "--n-cells=2", "--packing=0.2", "--noise=0.4"]
    words += ["--n-border-cells=0", "--n-flat-cells=0", "--seed=5", "--quiet"]
    assert main(words) == 0
    return tmp_path / "phantom"


def centroid_nm(folder: Path) -> np.ndarray:
    header, row = (folder / "measurements.csv").read_text().splitlines()
    found = dict(zip(header.split(","), row.split(","), strict=True))
    return np.array([float(found[f"centroid_{a}_nm"]) for a in "zyx"])


def test_segment_takes_the_cell_that_was_noted_or_asked_for(two_cells: Path, tmp_path: Path):
    cells = json.loads((two_cells / "phantom.json").read_text())["cells"]
    for cell in cells:
        target = ",".join(str(v) for v in cell["centroid_vx"])
        asked = tmp_path / f"asked{cell['id']}"
        words = ["segment", str(two_cells / "image"), str(asked), f"--target-vx={target}"]
        assert main([*words, "--quiet"]) == 0
        write_target(two_cells, tuple(cell["centroid_vx"]))
        noted = tmp_path / f"noted{cell['id']}"
        assert main(["segment", str(two_cells / "image"), str(noted), "--quiet"]) == 0
        np.testing.assert_allclose(centroid_nm(asked), centroid_nm(noted))
        assert np.abs(centroid_nm(asked) - cell["centroid_nm"]).max() < 700


def test_a_broken_note_is_named(tmp_path: Path):
    (tmp_path / "target.json").write_text("{}")
    with pytest.raises(DataFormatError, match=r"target\.json"):
        read_target(tmp_path / "raw")


@pytest.mark.parametrize("size", ["5000,1000,1001", "0.1,0.01,0.01"])
def test_a_voxel_size_that_cannot_be_is_refused(size: str, tmp_path: Path, capsys):
    data = np.zeros((2, 8, 8), np.uint8)
    write_tiff(tmp_path / "a.tif", data, Grid(shape=data.shape, voxel_size_nm=(50, 10, 10)))
    words = ["segment", str(tmp_path / "a.tif"), str(tmp_path / "out"), f"--voxel-size-nm={size}"]
    assert main(words) == 2
    assert "not plausible for cells" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_foreground_compares_masks_whatever_the_labels(tmp_path: Path, capsys):
    grid = Grid(shape=(1, 8, 8), voxel_size_nm=(50, 10, 10))
    mask = np.zeros(grid.shape, np.uint8)
    mask[0, 2:6, 2:6] = 255
    write_tiff(tmp_path / "truth.tif", mask // 255 * 7, grid)
    write_tiff(tmp_path / "pred.tif", mask, grid)
    words = ["evaluate", str(tmp_path / "truth.tif"), str(tmp_path / "pred.tif")]
    assert main([*words, "--foreground", "--metrics=jaccard_index"]) == 0
    assert "jaccard_index  1" in capsys.readouterr().out
