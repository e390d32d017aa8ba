"""Every notebook is stored without output and runs from its first cell to its last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MAX_CELLS = 15


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in; the kernel keeps its own files there as well."""
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        settings = tmp_path / name.lower()
        settings.mkdir()
        monkeypatch.setenv(name, str(settings))
    work = tmp_path / "work"
    work.mkdir()
    return work


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS if path.name.startswith("01_")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_clean(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert cell.outputs == [], f"store {path.name} without output"
        assert cell.execution_count is None, f"store {path.name} without execution counts"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_has_the_form_of_a_notebook(path: Path) -> None:
    notebook = read(path)
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)
    assert len(notebook.cells) <= MAX_CELLS
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert "**Question:" in first.source, "say in the first cell which question is answered"
    # Algorithms belong into the package, where they are tested.
    sources = "\n".join(cell.source for cell in code_cells(notebook))
    assert not re.search(r"^\s*(def|class) ", sources, re.MULTILINE)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path, away_from_home: Path) -> None:
    notebook = read(path)
    client = NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(away_from_home)}}
    )
    client.execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    # A reader would see a warning of ours as well.
    noise = [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    assert noise == []
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 1
    # What a notebook makes it also clears away.
    assert list(away_from_home.iterdir()) == []
