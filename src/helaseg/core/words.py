"""Words around numbers."""

from __future__ import annotations


def counted(n: int, word: str) -> str:
    """A number with its noun: ``"1 cell"``, ``"2 cells"``, ``"3 boxes"``."""
    if n == 1:
        return f"1 {word}"
    return f"{n} {word}es" if word.endswith(("x", "s", "ch")) else f"{n} {word}s"
