"""The picture that shows where the cells of a volume were found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from helaseg.core.volume import Volume
from helaseg.io import atomic_path
from helaseg.pipelines.classical import DetectionResult


def write_overview(volume: Volume, out: Path, found: DetectionResult) -> None:
    """The probed slice nearest to the middle, small enough to look at."""
    import cv2

    z = volume.shape[0] // 2
    if found.detections:
        z = min({d.z for d in found.detections}, key=lambda k: (abs(k - z), k))
    image = np.asarray(volume.slice(z))
    step = _overview_step(volume)
    low, high = float(image.min()), float(image.max())
    if image.dtype != np.uint8:
        image = np.round((image - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    size = (-(-image.shape[1] // step), -(-image.shape[0] // step))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".png", small)
    assert done  # an 8-bit grey image always can be
    with atomic_path(out / "overview.png") as target:
        target.write_bytes(data.tobytes())
    with atomic_path(out / "overview.json") as target:
        target.write_text(
            json.dumps({"z": int(z), "pixel_nm": volume.grid.pixel_nm * step}, indent=1)
        )


def _overview_step(volume: Volume) -> int:
    return max(1, -(-max(volume.shape[1:]) // 1600))
