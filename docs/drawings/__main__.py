"""The drawings of docs/performance.md: ``python docs/drawings [FOLDER]``.

One small picture per kernel, by default into ``docs/images/kernels``. What they show is
computed here, on masks and images of a few pixels, with the functions of
`helaseg.image` wherever these give it.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib as mpl
from board import STYLE
from floods import draw_distance, draw_opening, draw_watershed
from greys import draw_canny, draw_gaussian, draw_otsu
from matplotlib.figure import Figure
from points import draw_contingency, draw_hausdorff, draw_peaks
from runs import draw_components, draw_fill_holes

FOLDER = Path(__file__).parents[1] / "images" / "kernels"

DRAWINGS: dict[str, Callable[[], Figure]] = {
    "otsu": draw_otsu,
    "gaussian": draw_gaussian,
    "canny": draw_canny,
    "distance": draw_distance,
    "watershed": draw_watershed,
    "opening": draw_opening,
    "components": draw_components,
    "fill_holes": draw_fill_holes,
    "peaks": draw_peaks,
    "hausdorff": draw_hausdorff,
    "contingency": draw_contingency,
}


def draw_all(folder: Path, names: Iterable[str] = DRAWINGS) -> list[Path]:
    """Write the drawings and return their files; a rerun changes nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with mpl.rc_context(STYLE):
        for name in names:
            text = io.StringIO()
            DRAWINGS[name]().savefig(text, format="svg", metadata={"Date": None, "Creator": None})
            # Hundredths of a point are enough for outlines.
            short = re.sub(
                r'(?<= d=")[^"]*',
                lambda outline: re.sub(
                    r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", outline[0]
                ),
                text.getvalue(),
            )
            short = re.sub(r" +$", "", short, flags=re.MULTILINE)
            files.append(folder / f"{name}.svg")
            files[-1].write_text(short, encoding="utf-8")
    return files


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--only", nargs="+", choices=DRAWINGS, default=list(DRAWINGS))
    chosen = parser.parse_args()
    draw_all(chosen.folder, chosen.only)


if __name__ == "__main__":
    main()
