"""Checksums of many files in one, as ``sha256sum --check`` reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from helaseg.io.atomic import atomic_path


def write_manifest(path: Path, digests: Mapping[str, str]) -> None:
    """Write a line per file, in the order of their names.

    Parameters
    ----------
    path : Path
        The manifest. ``sha256sum --check`` in its folder compares the files.
    digests : mapping of str to str
        Name of each file relative to that folder, and its SHA-256.
    """
    lines = [f"{digests[name]}  {name}\n" for name in sorted(digests)]
    with atomic_path(path) as part:
        part.write_text("".join(lines), encoding="utf-8")


def relative_names(digests: Mapping[Path, str], folder: Path) -> dict[str, str]:
    """The same checksums by the names relative to a folder."""
    return {
        os.path.relpath(file, folder).replace(os.sep, "/"): digest
        for file, digest in digests.items()
    }
