"""Compiling is noticed, told once, done ahead by `warm_kernels`, and never twice for nothing."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import helaseg
from helaseg.cli import doctor
from helaseg.cli.app import main
from helaseg.execution import NOTICE


def fresh_process(code: str, cache: Any) -> str:
    """What a process with a kernel cache of its own prints on both streams."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def called_kernels() -> set[tuple[str, str]]:
    """File and name of every kernel that the package calls from outside its kernel files."""
    package = Path(helaseg.__file__).parent
    found = set()
    for file in package.rglob("*.py"):
        if file.parent.name == "_kernels":
            continue
        nodes = list(ast.walk(ast.parse(file.read_text())))
        modules = {
            alias.asname or alias.name: alias.name
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module == "helaseg._kernels"
            for alias in node.names
        }
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = modules.get(node.value.id)
                if module is not None and not node.attr.isupper():
                    found.add((module, node.attr))
    return found


#: Kernels that compile for two kinds of arrays on purpose; all others for one.
TWICE = {
    ("blur", "blur_rows"),  # bytes as they are recorded, floats
    ("morphology", "measure_columns"),  # distances of one byte, of two from radius 254 on
    ("morphology", "spread_disk"),
    ("peaks", "list_candidates"),  # values that float32 holds exactly, float64
    ("peaks", "join_tiles"),
    ("peaks", "mark_unexceeded"),
}


def test_warming_reaches_every_kernel_and_compiles_none_twice_for_nothing(tmp_path):
    code = """
import importlib, json, sys
from helaseg.pipelines.warm import warm_kernels
warm_kernels()
called = json.load(open(sys.argv[1]))
print(json.dumps([
    len(getattr(importlib.import_module(f"helaseg._kernels.{m}"), k).signatures)
    for m, k in called
]))
"""
    called = sorted(called_kernels())
    assert len(called) > 40
    (tmp_path / "called.json").write_text(json.dumps(called))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "called.json")],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    counts = dict(zip(called, json.loads(done.stdout), strict=True))
    assert [kernel for kernel, n in counts.items() if n == 0] == []
    assert {kernel for kernel, n in counts.items() if n > 1} == TWICE
    assert max(counts.values()) == 2


def test_a_compilation_is_told_once_and_counted(tmp_path):
    code = """
import numpy as np
from helaseg.execution import watch_compilation
from helaseg.image import histogram, otsu_threshold
image = np.arange(256, dtype=np.uint8).reshape(16, 16)
with watch_compilation(print) as made:
    otsu_threshold(image); otsu_threshold(image.astype(np.uint16))
print("made", made.n_compiled, len(made.seconds), made.total_seconds > 0)
with watch_compilation(print) as made:
    otsu_threshold(image)
print("made", made.n_compiled)
"""
    cold = fresh_process(code, tmp_path)
    assert cold.count(NOTICE) == 1
    first, second = [line.split()[1:] for line in cold.splitlines() if line.startswith("made")]
    assert int(first[0]) >= 2
    assert first[2] == "True"
    assert second == ["0"]
    assert "made 0" in fresh_process(code, tmp_path)  # from the cache


def test_a_first_segment_says_that_it_compiles_and_a_second_does_not(tmp_path):
    np.save(tmp_path / "crop.npy", np.zeros((1, 40, 40), np.uint8))
    code = f"""
from helaseg.cli import doctor
from helaseg.cli.app import main
main(["segment", {str(tmp_path / "crop.npy")!r}, {str(tmp_path / "out")!r},
      "--voxel-size-nm", "50,10,10", "--overwrite"])
"""
    cache = tmp_path / "cache"
    assert NOTICE in fresh_process(code, cache)
    assert NOTICE not in fresh_process(code, cache)


def test_doctor_warm_tells_what_it_did(monkeypatch, capsys):
    from helaseg.execution import Compilation
    from helaseg.pipelines import warm

    made = Compilation(seconds={"histogram.count_bytes": 2.0}, n_compiled=1)
    monkeypatch.setattr(warm, "warm_kernels", lambda progress: made)
    assert main(["doctor", "--warm"]) == 0
    assert "every kernel is compiled now, it took 2 s" in capsys.readouterr().out
    monkeypatch.setattr(warm, "warm_kernels", lambda progress: Compilation())
    assert main(["doctor", "--warm"]) == 0
    assert "every kernel was in the cache" in capsys.readouterr().out
    assert main(["doctor", "--warm", "--dry-run"]) == 0
    assert "compiling every kernel" in capsys.readouterr().out


def test_warming_without_a_place_to_keep_kernels_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "cached_kernels", lambda: None)
    assert main(["doctor", "--warm"]) == 1
    assert "set NUMBA_CACHE_DIR to a folder of yours" in capsys.readouterr().err


@pytest.mark.slow
def test_after_warming_nothing_is_compiled_any_more(tmp_path):
    fresh_process("from helaseg.pipelines.warm import warm_kernels; warm_kernels()", tmp_path)
    code = """
import tempfile
from helaseg import make_phantom, run
from helaseg.execution import watch_compilation
with watch_compilation() as made, tempfile.TemporaryDirectory() as folder:
    phantom = make_phantom(shape=(24, 900, 900), n_cells=3, seed=1)
    run(phantom.image, folder + "/run", executor="threads:2")
print("made", made.n_compiled, made.seconds)
"""
    assert "made 0 " in fresh_process(code, tmp_path)
