"""A small segmented cell, made of ellipsoids."""

from __future__ import annotations

import numpy as np
import pytest
from report_cases import GRID, NAMES_ARE_HOSTILE

from helaseg.core.objects import CellFlag
from helaseg.core.results import Provenance, SegmentationResult, SliceRecord, StepCost
from helaseg.core.volume import LabelVolume, Volume


def _ellipsoid(radii):
    axes = np.ogrid[tuple(slice(n) for n in GRID.shape)]
    centre = [(n - 1) / 2 for n in GRID.shape]
    return sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True)) < 1


@pytest.fixture
def result() -> SegmentationResult:
    """A cell of which the first and last slice are empty, with its nucleus and envelope."""
    cell, nucleus, core = (
        _ellipsoid(r) for r in ((4.3, 25.0, 33.0), (2.6, 14.0, 18.0), (2.2, 12.0, 16.0))
    )
    labels = np.zeros(GRID.shape, np.uint8)
    labels[:, :, :6] = 4
    labels[cell], labels[nucleus], labels[core] = 1, 3, 2
    cell[[0, -1]] = False
    labels[[0, -1], :, 6:] = 0
    px = GRID.pixel_nm**2 / 1e6
    records = tuple(
        SliceRecord(
            z=z,
            nucleus_px=int(nucleus[z].sum()),
            cell_px=int(cell[z].sum()),
            nucleus_um2=float(nucleus[z].sum() * px),
            cell_um2=float(cell[z].sum() * px),
            confidence=0.9 - 0.1 * abs(z - 4) if nucleus[z].any() else float("nan"),
            event="seed" if z == 4 else "followed" if nucleus[z].any() else "absent",
        )
        for z in range(GRID.shape[0])
    )
    return SegmentationResult(
        labels=LabelVolume(data=labels, grid=GRID),
        nucleus=LabelVolume(data=nucleus.astype(np.uint8), grid=GRID),
        cell=LabelVolume(data=cell.astype(np.uint8), grid=GRID),
        slices=records,
        measurements={
            "nucleus_volume_um3": 12.3456,
            "cell_volume_um3": 98.7654,
            "cell_surface_um2": 432.1,
            "nucleus_to_cell_ratio": 0.12500,
            "centroid_z_nm": 700.0,
            "n_cell_slices": 7,
        },
        flags=CellFlag.CUT_AT_LAST_SLICE | CellFlag.LITTLE_RESIN,
        provenance=Provenance(
            config={"nucleus": {"sigma_nm": 20.0, "name": NAMES_ARE_HOSTILE}},
            inputs={"raw": {"name": "stack", "fingerprint": "abc123"}},
            seed=7,
            steps=(
                StepCost(step="nucleus", seconds=3.0, peak_memory_mb=250.0),
                StepCost(step="cell", seconds=9.0, peak_memory_mb=512.0),
            ),
        ),
    )


@pytest.fixture
def image() -> Volume:
    """Noise on the grid of the cell."""
    grey = np.random.default_rng(1).integers(0, 255, GRID.shape).astype(np.uint8)
    return Volume(data=grey, grid=GRID, name="stack")
