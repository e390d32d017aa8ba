"""The drawings of the kernels: one for each, and what is stored is what the script draws."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "docs" / "images" / "kernels"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kernels")
    script = ROOT / "docs" / "drawings"
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.iterdir())


def words_of(file: Path) -> list[str]:
    tree = ElementTree.parse(file)
    return ["".join(e.itertext()) for e in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_every_kernel_that_is_measured_has_its_drawing(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    kernels = importlib.import_module("benchmarks.__main__").KERNELS
    assert names_in(STORED) == sorted(kernels)


def test_the_script_draws_what_is_stored(drawn):
    assert names_in(drawn) == names_in(STORED)
    for file in sorted(STORED.iterdir()):
        assert words_of(drawn / file.name) == words_of(file), f"draw {file.name} again"


def test_drawings_are_small_and_without_a_date(drawn):
    for file in drawn.iterdir():
        assert file.stat().st_size < 60_000, file.name
        assert "dc:date" not in file.read_text(encoding="utf-8"), file.name
