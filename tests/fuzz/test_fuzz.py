"""Thousands of damaged files: each is refused in one line of helaseg's own, or read."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fuzz_readers import READERS
from fuzz_seeds import Seed, make_image_seeds, make_table_seeds

CHILD = Path(__file__).with_name("fuzz_readers.py")
#: Damaged files that one process reads.
BATCH = 250

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory as Linux does"),
]

#: Values of words that broke readers elsewhere: limits, signs, large sizes.
_WORDS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 100_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
#: The same in text.
_TEXTS = (
    *("null", "true", '"x"', "[]", "{}", "-1", "0", "1.5", "1e400", "NaN", "nan", "inf", "-inf"),
    *("99999999999999999999", "4294967297", "[[[[1]]]]", '"\\ud800"', "\x00", "\ufeff", "é", ",,"),
    *("[" * 3000 + "]" * 3000, "9" * 5000, '"' + "x" * 100_000 + '"'),
)


def flip_bits(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 2, 8))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)
    return data


def set_word(data: bytearray, rng: random.Random) -> bytearray:
    size = rng.choice((1, 2, 4, 8))
    at = _place(data, rng)
    word = (rng.choice(_WORDS) & (256**size - 1)).to_bytes(size, rng.choice(("little", "big")))
    data[at : at + size] = word
    return data


def remove_part(data: bytearray, rng: random.Random) -> bytearray:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 4, 64))]
    return data


def repeat_part(data: bytearray, rng: random.Random) -> bytearray:
    at = _place(data, rng)
    data[at:at] = data[at : at + rng.choice((1, 4, 64))]
    return data


def fill_part(data: bytearray, rng: random.Random) -> bytearray:
    at, n = _place(data, rng), rng.choice((4, 16, 256))
    data[at : at + n] = rng.choice((b"\x00", b"\xff", b"A")) * min(n, len(data) - at)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def replace_value(data: bytearray, rng: random.Random) -> bytearray:
    """Put another value in place of one of a JSON, TOML or CSV text, or remove it."""
    text = rng.choice(_TEXTS)
    try:
        content = json.loads(data)
    except ValueError:
        lines = data.decode("utf-8", "replace").split("\n")
        k = rng.randrange(len(lines))
        mark = "=" if "=" in lines[k] else ","
        fields = lines[k].split(mark)
        fields[rng.randrange(len(fields))] = text
        lines[k] = mark.join(fields)
        return bytearray("\n".join(lines).encode("utf-8", "surrogatepass"))
    marker = "@@value@@"
    replaced = json.dumps(_replace(content, marker, rng))
    return bytearray(replaced.replace(f'"{marker}"', text).encode())


def _replace(content: object, marker: str, rng: random.Random) -> object:
    """Descend to a random node and exchange or remove it."""
    if isinstance(content, dict | list) and content and rng.random() < 0.85:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        key = rng.choice(keys)
        if rng.random() < 0.1:
            del content[key]
        else:
            content[key] = _replace(content[key], marker, rng)
        return content
    return marker


BINARY = (flip_bits, set_word, set_word, remove_part, repeat_part, fill_part, cut)
TEXT = (*BINARY, replace_value, replace_value, replace_value, replace_value)


def _place(data: bytearray, rng: random.Random) -> int:
    """Mostly in the header or the footer, where files are described."""
    end = len(data)
    near = min(end, 400)
    low, high = rng.choice(((0, near), (end - near, end), (0, end)))
    return rng.randrange(low, high)


def _files(seed: Seed) -> list[Path]:
    if seed.path.is_file():
        return [seed.path]
    return sorted(p for p in seed.path.rglob("*") if p.is_file() and p.stat().st_size)


def _copy(seed: Seed, to: Path) -> Path:
    to.mkdir(parents=True)
    # A table stands beside the files that it names.
    source = seed.path.parent if seed.reader in ("dataset", "journal") else seed.path
    target = to / source.name
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return target if source == seed.path else target / seed.path.name


def _damaged(
    seeds: list[Seed],
    folder: Path,
    n: int,
    mutations: tuple[Callable[[bytearray, random.Random], bytearray], ...],
) -> Iterator[tuple[str, str, str, None]]:
    rng = random.Random(15)
    for k in range(n):
        seed = seeds[k % len(seeds)]
        path = _copy(seed, folder / str(k))
        files = _files(Seed(seed.name, path, seed.reader))
        file = rng.choice(files)
        mutate = rng.choice(mutations)
        file.write_bytes(mutate(bytearray(file.read_bytes()), rng))
        yield f"{k} {seed.name} {file.name} {mutate.__name__}", seed.reader, str(path), None


def _read_all(files: list, seeds: list[Seed], folder: Path) -> dict[str, list]:
    """Read in processes of their own, since memory is limited there."""
    total: dict[str, list] = {"unexpected": [], "same": []}
    warm = [(seed.reader, str(seed.path)) for seed in seeds]
    for first in range(0, len(files), BATCH):
        job = folder / f"job-{first}.json"
        job.write_text(json.dumps({"warm": warm, "files": files[first : first + BATCH]}))
        done = subprocess.run(
            [sys.executable, str(CHILD), str(job)], capture_output=True, text=True, check=False
        )
        at = job.with_suffix(".current")
        last = at.read_text() if at.is_file() else "the seeds"
        assert done.returncode == 0, f"exit {done.returncode} at {last}: {done.stderr[-2000:]}"
        answer = json.loads(done.stdout.splitlines()[-1])
        assert answer["n"] == len(files[first : first + BATCH])
        for key, found in total.items():
            found += answer[key]
    return total


def test_every_reader_has_a_seed(tmp_path):
    seeds = make_image_seeds(tmp_path / "images") + make_table_seeds(tmp_path / "tables")
    assert {seed.reader for seed in seeds} == set(READERS)


def test_damaged_images_are_refused_in_one_line_or_read(tmp_path):
    seeds = make_image_seeds(tmp_path / "seeds")
    files = list(_damaged(seeds, tmp_path / "damaged", 2250, BINARY))
    found = _read_all(files, seeds, tmp_path)
    assert not found["unexpected"], "\n".join(found["unexpected"])


def test_damaged_tables_and_settings_are_refused_in_one_line_or_read(tmp_path):
    seeds = make_table_seeds(tmp_path / "seeds")
    files = list(_damaged(seeds, tmp_path / "damaged", 750, TEXT))
    found = _read_all(files, [s for s in seeds if s.reader != "config"], tmp_path)
    assert not found["unexpected"], "\n".join(found["unexpected"])


def test_an_image_cut_short_is_refused_or_whole(tmp_path):
    """No cut changes a voxel or the number of slices in silence."""
    seeds = make_image_seeds(tmp_path / "seeds")
    files = []
    for seed in seeds:
        whole = tmp_path / f"{seed.name}.npy"
        np.save(whole, READERS[seed.reader](seed.path))
        for file in _files(seed):
            size = file.stat().st_size
            for k, end in enumerate(sorted({size * i // 24 for i in range(24)} | {size - 1})):
                path = _copy(seed, tmp_path / "cut" / f"{seed.name}-{file.name}-{k}-{len(files)}")
                torn = path / file.relative_to(seed.path) if path.is_dir() else path
                torn.write_bytes(file.read_bytes()[:end])
                name = f"{seed.name}, {file.name} cut at {end} of {size}"
                files.append((name, seed.reader, str(path), str(whole)))
    found = _read_all(files, seeds, tmp_path)
    assert not found["unexpected"], "\n".join(found["unexpected"])
    changed = [name for name, same in found["same"] if not same]
    assert not changed, "\n".join(changed)
