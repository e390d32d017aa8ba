"""Speed of this machine, measured on a piece of the volume of a plan."""

from __future__ import annotations

import time
from dataclasses import dataclass

from helaseg.cli.plan import RATES, as_bytes
from helaseg.core.grid import Roi
from helaseg.core.volume import Volume

#: Side of the piece, and of a first one that is not timed: kernels are compiled with it.
_SIDE_PX, _FIRST_PX = 2048, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Measured speed of this machine.

    Parameters
    ----------
    slowness : float
        Time that probing takes, as a multiple of the rate that plans use.
    read_bytes_per_s : float
        Of the volume as it lies on disk, decoded.
    """

    slowness: float = 1.0
    read_bytes_per_s: float = 0.0

    @property
    def text(self) -> str:
        """One line for a person."""
        speed = (
            "as fast as" if 0.8 < self.slowness < 1.25 else f"{self.slowness:.1f} times slower than"
        )
        if self.slowness <= 0.8:
            speed = f"{1 / self.slowness:.1f} times faster than"
        return (
            f"calibrated with a piece of the volume: this machine is {speed} the reference, "
            f"and reads the input at {as_bytes(self.read_bytes_per_s)}/s"
        )


def calibrate(volume: Volume) -> Calibration:
    """Probe a piece of the middle slice: reading it, and what detection does with it.

    Parameters
    ----------
    volume : Volume
        The input of a job, in the working type.
    """
    from helaseg.cells.background.config import BackgroundConfig
    from helaseg.cells.detection.nuclei_slice import NucleiConfig
    from helaseg.cells.detection.peaks import HillConfig
    from helaseg.cells.detection.probe import ProbeTask, probe_slice

    if volume.grid.n_voxels == 0:
        return Calibration()
    seconds, n_px, reading, n_bytes = 0.0, 0, 0.0, 0
    for side in (_FIRST_PX, _SIDE_PX):
        z = volume.shape[0] // 2
        start = tuple(max(0, (n - side) // 2) for n in volume.shape[1:])
        stop = tuple(min(n, a + side) for n, a in zip(volume.shape[1:], start, strict=True))
        roi = Roi(start=(z, *start), stop=(z + 1, *stop))  # type: ignore[arg-type]
        piece = volume.crop(roi)
        begin = time.perf_counter()
        n_bytes = piece.read().nbytes
        reading = time.perf_counter() - begin
        begin = time.perf_counter()
        probe_slice(piece, HillConfig(), NucleiConfig(), BackgroundConfig(), ProbeTask(z=0))
        seconds, n_px = time.perf_counter() - begin, piece.grid.n_voxels
    return Calibration(
        slowness=seconds / (RATES["detect"].seconds_per_mvx * n_px / 1e6),
        read_bytes_per_s=n_bytes / max(reading, 1e-9),
    )
