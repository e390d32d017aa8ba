"""Slice numbers in file names, and the gaps between them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from helaseg.errors import DataFormatError, MissingSlicesError

_DIGITS = re.compile(r"\d+")
_LISTED = 12


def numbered_slices(folder: Path, files: Sequence[Path]) -> list[tuple[int, Path]]:
    """Slice files with their numbers, in the order of the numbers.

    Parameters
    ----------
    folder : Path
        For messages.
    files : sequence of Path
        The slices, at least one.

    Returns
    -------
    list of (int, Path)
        In growing order of the number.

    Raises
    ------
    DataFormatError
        If a name holds no number or two slices have the same one.

    Notes
    -----
    The slice number is the last number in the name. Where that does not tell
    the slices apart (``z0001_10nm.tif``), it is the last one that does.
    """
    found = {file: [int(n) for n in _DIGITS.findall(file.stem)] for file in files}
    if len(files) > 1:
        for file, numbers in found.items():
            if not numbers:
                msg = (
                    f"{file} has no slice number in its name; "
                    f"name the slices of {folder} like z0001.tif or move other files away"
                )
                raise DataFormatError(msg)
    most = max(1, min(len(numbers) for numbers in found.values()))
    for place in range(1, most + 1):
        pairs = sorted((n[-place] if n else 0, file) for file, n in found.items())
        if len({number for number, _ in pairs}) == len(pairs):
            return pairs
    pairs = sorted((n[-1], file) for file, n in found.items())
    twice = next((a, b) for a, b in itertools.pairwise(pairs) if a[0] == b[0])
    msg = (
        f"{twice[0][1]} and {twice[1][1].name} have the same slice number {twice[0][0]}; "
        "keep one stack per folder"
    )
    raise DataFormatError(msg)


def check_gaps(folder: Path, numbers: Sequence[int]) -> None:
    """Refuse slice numbers that do not follow each other.

    Raises
    ------
    MissingSlicesError
        Listing the missing numbers.
    """
    missing = list(_runs(numbers))
    if not missing:
        return
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in missing[:_LISTED])
    more = f" and {len(missing) - _LISTED} more gaps" if len(missing) > _LISTED else ""
    count = sum(b - a + 1 for a, b in missing)
    msg = (
        f"{folder} lacks {count} slices between {numbers[0]} and {numbers[-1]}: {shown}{more}; "
        "add them, or take the others as neighbours with --allow-gaps (allow_gaps=True) "
        "and give the true distance between slices as voxel size"
    )
    raise MissingSlicesError(msg)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last number of each gap."""
    for a, b in itertools.pairwise(numbers):
        if b > a + 1:
            yield a + 1, b - 1
