"""The measured numbers as markdown: ``python -m benchmarks.tables`` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
DOCS_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def render(results: dict[str, Any]) -> str:
    """Machine, each kernel beside its fastest peer, then everything that was measured."""
    return "\n".join(
        [
            _machine(results),
            "### Each kernel beside its fastest peer, one thread",
            "",
            _fastest(results),
            "### Our kernels",
            "",
            _ours(results),
            _folded("Every peer, on one and more threads", _peers(results)),
            _folded("How the results agree, and where definitions differ", _agreement(results)),
            _folded("Roofline of the machine", _roofline(results)),
        ]
    )


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"


def _fastest(results: dict[str, Any]) -> str:
    first = str(min(results["threads"]))
    rows = []
    for row in results["rows"]:
        peer = min(row["peers"], key=lambda peer: peer["threads"][first]["ratio"])
        found = peer["threads"][first]
        rows.append(
            [
                row["kernel"],
                row["data"],
                _ms(row["ours_ms"][first]),
                peer["name"],
                _ms(found["theirs_ms"]),
                f"{found['ratio']:.2f}",
                _bars(row, first),
            ]
        )
    head = ["kernel", "on", "ours ms", "fastest peer", "its ms", "ratio", "bars reached"]
    return table(head, rows)


def _bars(row: dict[str, Any], threads: str) -> str:
    """How many of the bars of a row are reached, over all peers."""
    asked = [peer for peer in row["peers"] if peer["bar"] is not None]
    missed = [p for p in asked if p["threads"][threads]["ratio"] < p["bar"]]
    if not asked:
        return ""
    text = f"{len(asked) - len(missed)} of {len(asked)}"
    return text + "".join(f", **missed**: {p['bar']:g} x {p['name']}" for p in missed)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


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
                *(_ms(row["ours_ms"][n]) for n in threads),
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
                    _ms(first["theirs_ms"]),
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


def write_all(results: dict[str, Any], folder: Path) -> None:
    """Write numbers and tables to a folder; into the docs as well if it is the usual one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "results.md").write_text(render(results))
    if folder == RESULTS:
        write_docs(DOCS_PAGE, "kernels", render(results))


if __name__ == "__main__":
    write_all(json.loads((RESULTS / "results.json").read_text()), RESULTS)
