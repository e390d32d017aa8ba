"""Check the language of the house (`make lint`): openers of docstrings and banned words.

Docstrings, comments and messages of ``src``, the README, the pages of ``docs``, notebooks and
the templates of pages are read as text. A summary line must not open with What, Where, Whether,
How or Which: the first word is a verb (functions) or a noun (classes and modules).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPENER = re.compile(r"(What|Where|Whether|How|Which)\b")
#: Words that a native reader stumbles on, and better ones.
BANNED = {
    r"\bleaves? (it |them )?away\b": "omit",
    r"(?<!there )\b(is|are) none\b(?! (given|found|left))": "is not a ..., is dropped",
    r"\bso many\b": "this many, one in n",
    r"\blest\b": "so that ... not",
    r"\bof all randomness\b": "of the random numbers",
    r"\bparted\b": "separated",
    r"\btold (from|apart)\b": "distinguished from",
    r"\b[Ii]f the disk refuses\b": "if a file cannot be written",
    r"\b[Tt]ried and not taken\b": "tried and rejected",
    r"\bnot a fence\b": "not a hard limit",
    r"\bfound by itself\b": "chosen automatically",
    r"\bnothing is kept\b": "say what is missing",
    r"\bno common label\b": "no label in common",
}


def openers(path: Path) -> Iterator[str]:
    """Yield the docstrings of a file that open with a question word."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if OPENER.match(text):
                line = getattr(node, "lineno", 1)
                yield f"{path.relative_to(ROOT)}:{line}: opens with a question word: {text[:60]!r}"


def banned(path: Path) -> Iterator[str]:
    """Yield the lines of a file that hold a banned word."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        for pattern, better in BANNED.items():
            if found := re.search(pattern, line):
                place = f"{path.relative_to(ROOT)}:{number}"
                yield f"{place}: {found.group()!r}; write: {better}"


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    sources = sorted((ROOT / "src").rglob("*.py"))
    texts = [
        *sources,
        *sorted((ROOT / "src").rglob("*.j2")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "notebooks").glob("*.ipynb")),
        ROOT / "README.md",
    ]
    wrong = [line for path in sources for line in openers(path)]
    wrong += [line for path in texts for line in banned(path)]
    sys.stdout.write("\n".join(wrong or [f"language: {len(texts)} files, nothing to mend"]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
