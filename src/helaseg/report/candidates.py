"""The page of what a detection found: the candidates with a picture each, the best first."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from helaseg._version import __version__
from helaseg.core.grid import Roi
from helaseg.core.objects import CellFlag
from helaseg.core.volume import Volume
from helaseg.io import CellRow
from helaseg.report.drawn import drawn
from helaseg.report.pages import template, write_page
from helaseg.report.pictures import grey_limits, stretched_grey
from helaseg.report.style import NUCLEUS

#: Longest side of a picture.
SIDE_PX = 220


def write_candidates(path: Path | str, volume: Volume, cells: Sequence[CellRow]) -> Path:
    """Write a page with a picture of each cell that was found.

    Parameters
    ----------
    path : path
        The page: one file that needs no other file and no network.
    volume : Volume
        What was searched; one slice is read per cell.
    cells : sequence of CellRow
        From `helaseg.io.read_cells_csv`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    JobError
        If a file cannot be written.
    """
    ranked = sorted(cells, key=lambda c: (c.rank, c.id))
    page = template("candidates.html.j2").render(
        title=volume.name,
        input=str(volume.grid),
        cells=[_described(volume, cell) for cell in ranked],
        version=__version__,
    )
    return write_page(Path(path), page)


def _described(volume: Volume, cell: CellRow) -> dict[str, Any]:
    size_um = [n * s / 1000 for n, s in zip(cell.roi.shape, volume.grid.voxel_size_nm, strict=True)]
    return {
        "id": cell.id,
        "rank": cell.rank,
        "picture": drawn(f"cell {cell.id}", lambda: _picture(volume, cell)),
        "position": [v / 1000 for v in cell.centroid_nm],
        "radius_um": cell.radius_nm / 1000,
        "first": cell.first_slice,
        "last": cell.last_slice,
        "box": " × ".join(f"{v:.1f}" for v in size_um),
        "flags": [flag.text for flag in CellFlag if flag and flag in cell.flags],
    }


def _picture(volume: Volume, cell: CellRow) -> str:
    """The slice through the middle of a cell in its box, its middle marked; a data address."""
    z = min(max(round(cell.centroid_vx[0]), 0), volume.shape[0] - 1)
    inside = cell.roi.clip(volume.shape)
    roi = Roi(start=(z, *inside.start[1:]), stop=(z + 1, *inside.stop[1:]))
    if roi.is_empty:
        return ""
    grey = volume.crop(roi).slice(0)
    scale = min(1.0, SIDE_PX / max(grey.shape))
    size = tuple(max(1, round(n * scale)) for n in grey.shape[::-1])
    small: NDArray[Any] = cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    stretched = stretched_grey(small, grey_limits(small))
    picture = cv2.cvtColor((np.clip(stretched, 0, 1) * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    y, x = (
        round((c - a) * scale) for c, a in zip(cell.centroid_vx[1:], roi.start[1:], strict=True)
    )
    red, green, blue = (int(NUCLEUS[i : i + 2], 16) for i in (1, 3, 5))
    cv2.drawMarker(picture, (x, y), (0, 0, 0), cv2.MARKER_CROSS, 13, 3)
    cv2.drawMarker(picture, (x, y), (blue, green, red), cv2.MARKER_CROSS, 11, 1)
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
    assert done  # a picture of a few pixels always can be
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
