"""SHA-256 of files and folders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(path: Path) -> dict[Path, str]:
    """SHA-256 of a file, or of each file in a folder."""
    return {file: sha256_of(file) for file in files_of(path)}


def files_of(path: Path) -> list[Path]:
    """A file, or all files in a folder and below."""
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def digest_of_all(path: Path, known: Mapping[Path, str]) -> str:
    """One SHA-256 for a file or a folder with all its names; `known` ones are not read again."""
    lines = []
    for file in files_of(path):
        digest = known.get(file) or sha256_of(file)
        lines.append(f"{digest}  {file.relative_to(path).as_posix()}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
