"""Slice numbers in file names, and the gaps between them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from helaseg.core.words import counted
from helaseg.errors import DataFormatError, MissingSlicesError

_DIGITS = re.compile(r"(\d+)")
#: A decimal number is one number; "4.512" is no slice 512 of series 4.
_DECIMALS = re.compile(r"(\d+\.\d+|\d+)")
#: Words before a number that say that it counts slices.
_SLICE_WORDS = tuple(
    re.compile(rf"(?:^|[^a-z])(?:{words})[ _.=#-]*$")
    for words in ("z|slice", "s|sl|sec|sect|section|plane|layer")
)
#: Texts of a name may differ in what joins words and in the sign of a number.
_JOINTS = re.compile(r"[ _.+=#-]+")
_LISTED = 12


@dataclass(frozen=True, slots=True)
class _Column:
    """One number of every name.

    Parameters
    ----------
    before : str
        Text in front of it in the first name.
    words : tuple of str
        The number as written in each name.
    """

    before: str
    words: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return all(word.isdecimal() for word in self.words)

    @property
    def numbers(self) -> list[int]:
        return [int(word) for word in self.words]

    @property
    def tells_apart(self) -> bool:
        return self.is_whole and len(set(self.numbers)) == len(self.words)

    @property
    def rank(self) -> int:
        """Rank of the word in front as a name of slices: 0, 1, or 2 for no such name."""
        text = self.before.lower()
        ranks = (k for k, word in enumerate(_SLICE_WORDS) if word.search(text))
        return next(ranks, len(_SLICE_WORDS))

    @property
    def span(self) -> int:
        return max(self.numbers) - min(self.numbers)

    @property
    def could_count(self) -> bool:
        """Numbers of slices rise by equal steps, or nearly fill their range."""
        ordered = sorted(self.numbers)
        steps = {b - a for a, b in itertools.pairwise(ordered)}
        return len(steps) == 1 or self.span <= 2 * len(ordered)

    @property
    def order(self) -> list[int]:
        numbers = self.numbers
        return sorted(range(len(numbers)), key=numbers.__getitem__)


def numbered_slices(folder: Path, files: Sequence[Path]) -> list[tuple[int, Path]]:
    """Find the slice number in each file name and sort the files by it.

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
        If a name holds no number, if names are of two schemes, if two slices have the
        same number, or if two numbers of the names could be meant that sort the
        slices in different ways.

    Notes
    -----
    The names must agree but for their numbers. The slice number is

    1. the number that differs from slice to slice and stands behind z or slice, else
       behind s, sec, section, plane or layer;
    2. else the only number that differs from slice to slice;
    3. else, of several such numbers, the only one that rises by equal steps or nearly
       fills its range. If all sort the slices alike, it is the one of smallest range.
    """
    files = sorted(files)
    if len(files) == 1:
        columns = _columns(files, _DIGITS)
        named = [c for c in columns if c.rank < len(_SLICE_WORDS)]
        best = min(reversed(named or columns), key=lambda c: c.rank, default=None)
        return [(best.numbers[0] if best else 0, files[0])]
    columns = _alike(folder, files)
    column = _choose(files, columns)
    numbers = column.numbers
    return [(numbers[k], files[k]) for k in column.order]


def _alike(folder: Path, files: Sequence[Path]) -> list[_Column]:
    """Columns of names that agree but for their numbers."""
    for file in files:
        if not _DIGITS.search(file.stem):
            msg = (
                f"{file} has no slice number in its name; "
                f"name the slices of {folder} like z0001.tif or move other files away"
            )
            raise DataFormatError(msg)
    for pattern in (_DIGITS, _DECIMALS):
        schemes: dict[tuple[str, ...], Path] = {}
        for file in files:
            schemes.setdefault(_scheme(file, pattern), file)
        if len(schemes) == 1:
            return _columns(files, pattern)
    first, second = itertools.islice(schemes.values(), 2)
    msg = (
        f"{folder} holds names of {len(schemes)} kinds, such as {first.name} and {second.name}; "
        "keep one stack per folder, with names that differ in their numbers alone"
    )
    raise DataFormatError(msg)


def _scheme(file: Path, pattern: re.Pattern[str]) -> tuple[str, ...]:
    return tuple(_JOINTS.sub("_", text.lower()) for text in pattern.split(file.stem)[::2])


def _columns(files: Sequence[Path], pattern: re.Pattern[str]) -> list[_Column]:
    parts = [pattern.split(file.stem) for file in files]
    n = len(parts[0]) // 2
    return [_Column(parts[0][2 * k], tuple(words[2 * k + 1] for words in parts)) for k in range(n)]


def _choose(files: Sequence[Path], columns: Sequence[_Column]) -> _Column:
    varying = [c for c in columns if len(set(c.words)) > 1]
    whole = [c for c in varying if c.is_whole]
    best = min((c.rank for c in whole), default=len(_SLICE_WORDS))
    # A number that is named is meant, also where it does not tell the slices apart.
    group = [c for c in whole if c.rank == best]
    candidates = [c for c in group if c.tells_apart]
    if not candidates:
        raise _same_number(files, group or varying or columns)
    counting = [c for c in candidates if c.could_count]
    if len({tuple(c.order) for c in candidates}) == 1:
        return min(reversed(candidates), key=lambda c: c.span)
    if len(counting) == 1:
        return counting[0]
    a, b = (counting or candidates)[-2:]
    names = " and ".join(f"{c.words[0]} (behind {c.before!r})" for c in (a, b))
    msg = (
        f"the slice number of {files[0]} could be {names}, and they sort the slices differently; "
        "name the slices like z0001.tif"
    )
    raise DataFormatError(msg)


def _same_number(files: Sequence[Path], columns: Sequence[_Column]) -> DataFormatError:
    whole = [c for c in columns if c.is_whole] or columns
    pairs = sorted(zip(whole[-1].words, files, strict=True), key=lambda p: (float(p[0]), p[1]))
    twice = next(
        ((a, b) for a, b in itertools.pairwise(pairs) if float(a[0]) == float(b[0])), pairs[:2]
    )
    (word, first), (_, second) = twice
    msg = (
        f"{first} and {second.name} have the same slice number {word.lstrip('0') or '0'}; "
        "keep one stack per folder"
    )
    return DataFormatError(msg)


def check_gaps(folder: Path, numbers: Sequence[int]) -> None:
    """Refuse slice numbers that do not follow each other.

    Raises
    ------
    MissingSlicesError
        Listing the missing numbers.
    """
    missing = missing_runs(numbers)
    if not missing:
        return
    count = sum(b - a + 1 for a, b in missing)
    msg = (
        f"{folder} lacks {counted(count, 'slice')} between {numbers[0]} and {numbers[-1]}: "
        f"{gap_text(missing)}; "
        "add them, or take the others as neighbours with --allow-gaps (allow_gaps=True) "
        "and give the true distance between slices as voxel size"
    )
    raise MissingSlicesError(msg)


def missing_runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last number of each gap of a growing sequence."""
    return list(_runs(numbers))


def gap_text(missing: Sequence[tuple[int, int]]) -> str:
    """List gaps, shortened where there are many."""
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in missing[:_LISTED])
    more = f" and {len(missing) - _LISTED} more gaps" if len(missing) > _LISTED else ""
    return shown + more


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    for a, b in itertools.pairwise(numbers):
        if b > a + 1:
            yield a + 1, b - 1
