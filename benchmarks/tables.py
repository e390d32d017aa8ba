"""The measured numbers as markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DOCS_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def render(results: dict[str, Any]) -> str:
    """Machine, roofline, our kernels, and each kernel beside each peer."""
    return "\n".join(
        [
            _machine(results),
            _roofline(results),
            "### Our kernels",
            "",
            _ours(results),
            "### Beside the peers",
            "",
            _peers(results),
            "### How the results agree",
            "",
            _agreement(results),
        ]
    )


def write_docs(page: Path, part: str, text: str) -> None:
    """Replace the part of a page that a script writes, between its two marks."""
    begin, end = f"<!-- begin {part} -->", f"<!-- end {part} -->"
    head, _, rest = page.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    page.write_text(f"{head}{begin}\n\n{text}\n{end}{tail}")


def _machine(results: dict[str, Any]) -> str:
    env = results["environment"]
    versions = ", ".join(f"{name} {number}" for name, number in env["versions"].items())
    return (
        f"Machine: {env['cpu']}, {env['cores']} cores, {env['memory_gb']} GB, {env['system']}.  \n"
        f"Pictures: {env['data']}.  \nVersions: {versions}.\n"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, ""])


def _roofline(results: dict[str, Any]) -> str:
    rows = []
    for n, sizes in results["roofline"].items():
        for size in sizes:
            speeds = [f"{size[f'{kind}_gb_s']:.0f}" for kind in ("read", "write", "copy")]
            rows.append([n, f"{size['mib']:g}", *speeds])
    head = ["threads", "working set MiB", "read GB/s", "write GB/s", "copy GB/s"]
    return table(head, rows)


def _ours(results: dict[str, Any]) -> str:
    threads = [str(n) for n in results["threads"]]
    rows = []
    for row in results["rows"]:
        memory = row["extra_bytes_per_byte"]
        scaling = row.get("scaling")
        faster = (
            ""
            if scaling is None
            else f"{scaling['ratio']:.2f}" + _verdict(scaling["ratio"], row["two_threads_bar"])
        )
        memory_text = "" if memory is None else f"{memory:.2f}"
        if memory is not None and row["memory_bar"] is not None:
            memory_text += " ok" if memory <= row["memory_bar"] else " **above**"
            memory_text += f" (at most {row['memory_bar']:g})"
        rows.append(
            [
                row["kernel"],
                row["data"],
                *(f"{row['ours_ms'][n]:.3g}" for n in threads),
                faster,
                *(f"{100 * row['share_of_copy'][n]:.0f} %" for n in threads[:1]),
                memory_text,
            ]
        )
    head = [
        "kernel",
        "on",
        *(f"ms, {n} thread{'s' if n != '1' else ''}" for n in threads),
        "times faster on all threads",
        "share of copy bandwidth",
        "extra bytes per input byte",
    ]
    return table(head, rows)


def _verdict(ratio: float, bar: float | None) -> str:
    if bar is None:
        return ""
    return f" ok (>= {bar:g})" if ratio >= bar else f" **missed** (>= {bar:g})"


def _peers(results: dict[str, Any]) -> str:
    threads = [str(n) for n in results["threads"]]
    rows = []
    for row in results["rows"]:
        for peer in row["peers"]:
            cells = []
            for k, n in enumerate(threads):
                found = peer["threads"][n]
                text = f"{found['ratio']:.2f} [{found['ratio_low']:.2f}, {found['ratio_high']:.2f}]"
                cells.append(text + (_verdict(found["ratio"], peer["bar"]) if k == 0 else ""))
            first = peer["threads"][threads[0]]
            rows.append(
                [
                    row["kernel"],
                    row["data"],
                    peer["name"],
                    *cells,
                    f"{first['theirs_ms']:.3g}",
                    str(first["pairs"]),
                ]
            )
    head = [
        "kernel",
        "on",
        "peer",
        *(f"ratio, {n} thread{'s' if n != '1' else ''}" for n in threads),
        "peer ms, 1 thread",
        "pairs",
    ]
    return table(head, rows)


def _agreement(results: dict[str, Any]) -> str:
    rows = []
    for row in results["rows"]:
        for peer in row["peers"]:
            rows.append(
                [row["kernel"], row["data"], peer["name"], peer["agreement"], peer["difference"]]
            )
    return table(["kernel", "on", "peer", "agreement", "differs by definition"], rows)
