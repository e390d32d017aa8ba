"""What README.md and docs/ say holds: code runs, links and named files are there.

A page is one script: its python blocks run in order and share their names. A
block that cannot run has a line ``<!-- not run: REASON -->`` in front of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

#: Blocks that cannot run and whose page has no room for a line with the reason.
REASONS = {
    ("docs/how-to/resume.md", 0): "measures files of the reader's own",
}

_FENCE = re.compile(
    r"(?:<!-- not run:(?P<reason>[^\n]*)-->\n+)?^```(?P<language>[^\n]*)\n(?P<code>.*?)^```\s*$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SOURCE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|ipynb|toml))`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    page: Path
    language: str
    code: str
    reason: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path, language: str) -> list[Block]:
    blocks: list[Block] = []
    for match in _FENCE.finditer(page.read_text(encoding="utf-8")):
        words = match["language"].split()
        if words[:1] == [language]:
            stated = (match["reason"] or "").strip()
            reason = stated or REASONS.get((name_of(page), len(blocks)), "")
            blocks.append(Block(page=page, language=language, code=match["code"], reason=reason))
    return blocks


def prose_of(page: Path) -> str:
    """A page without its fenced blocks, in which brackets are no links."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub and most renderers make of headings."""
    titles = re.findall(r"^#+ +(.+?) *#*$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def target_of(page: Path, link: str) -> tuple[Path, str]:
    path, _, anchor = link.partition("#")
    return ((page.parent / path).resolve() if path else page), anchor


WITH_PYTHON = [page for page in PAGES if blocks_of(page, "python")]
RUNNABLE = [page for page in WITH_PYTHON if any(not b.reason for b in blocks_of(page, "python"))]
WITH_TOML = [page for page in PAGES if blocks_of(page, "toml")]


def test_all_pages_are_seen() -> None:
    names = {name_of(page) for page in PAGES}
    assert {"README.md", "docs/conventions.md", "docs/algorithms.md"} <= names
    assert {"docs/architecture.md", "docs/metrics.md"} <= names


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    code = "\n".join(block.code for block in blocks_of(page, "python") if not block.reason)
    compile(code, str(page), "exec")
    # In a process of its own: a reader starts with an empty one as well.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{name_of(page)}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_blocks_that_do_not_run_are_python_at_least(page: Path) -> None:
    for block in blocks_of(page, "python"):
        assert compile(block.code, str(page), "exec") is not None


def test_reasons_belong_to_blocks() -> None:
    for name, place in REASONS:
        assert place < len(blocks_of(ROOT / name, "python")), f"{name} has no block {place}"


@pytest.mark.parametrize("page", WITH_TOML, ids=name_of)
def test_toml_blocks_are_toml(page: Path) -> None:
    for block in blocks_of(page, "toml"):
        assert tomllib.loads(block.code)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(prose_of(page)) if "://" not in link]
    dead = []
    for link in links:
        target, anchor = target_of(page, link)
        is_there = target.is_relative_to(ROOT) and target.exists()
        if not is_there or (anchor and anchor not in anchors_of(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_are_there(page: Path) -> None:
    named = sorted(set(_SOURCE.findall(prose_of(page))))
    starts = (ROOT, ROOT / "src" / "helaseg", page.parent)
    assert [n for n in named if not any((start / n).exists() for start in starts)] == []


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title: one\n\n[a](#a-title-one) and [b](#two)\n\n```\n[c](no)\n```\n")
    assert _LINK.findall(prose_of(page)) == ["#a-title-one", "#two"]
    assert anchors_of(page) == {"a-title-one"}


def test_a_reason_belongs_to_the_block_behind_it() -> None:
    text = "```python\na\n```\n\n<!-- not run: no data -->\n```python\nb\n```\n"
    found = [((m["reason"] or "").strip(), m["code"]) for m in _FENCE.finditer(text)]
    assert found == [("", "a\n"), ("no data", "b\n")]
