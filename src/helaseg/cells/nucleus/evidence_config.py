"""Settings of what a slice shows."""

from __future__ import annotations

from dataclasses import dataclass

from helaseg._validate import check_positive
from helaseg.errors import ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceConfig:
    """Settings for finding dark lines and cutting a slice along them.

    The defaults were chosen by ``benchmarks/nucleus_choices.py``.

    Parameters
    ----------
    working_pixel_nm : float
        Slices are joined to pixels of about this size (never split). Half the
        width of the nuclear envelope (about 40 nm) is still resolved.
    line_sigma_nm : float
        Scale of the dark-line filter across the line; 36 to 60 nm gave the same
        on real slices.
    line_length_nm : float
        Scale along the line: longer filters see fainter lines and cut the
        corners of folds.
    n_orientations : int
        Directions of the filter: 15 degrees apart, about the angle under which
        it still sees a line.
    oblique_sigma_nm : float
        Scale of the second filter, for an envelope cut at a slant: its line is
        wide and faint there.
    line_levels : tuple of float
        Lines stronger than these multiples of the noise part the pieces. On real
        slices the envelope has 3.5 to 8, the noise inside the nucleus below 2.5.
    min_superpixel_um2 : float
        Smaller pieces are left to their surroundings.
    """

    working_pixel_nm: float = 20.0
    line_sigma_nm: float = 45.0
    line_length_nm: float = 120.0
    n_orientations: int = 12
    oblique_sigma_nm: float = 90.0
    line_levels: tuple[float, ...] = (1.25, 1.75, 2.5, 4.0)
    min_superpixel_um2: float = 0.01

    def __post_init__(self) -> None:
        for name in (
            "working_pixel_nm",
            "line_sigma_nm",
            "line_length_nm",
            "n_orientations",
            "oblique_sigma_nm",
            "min_superpixel_um2",
        ):
            check_positive(name, getattr(self, name))
        object.__setattr__(self, "line_levels", tuple(float(v) for v in self.line_levels))
        if not self.line_levels or min(self.line_levels) <= 0:
            msg = f"'line_levels' must hold positive numbers, got {self.line_levels}"
            raise ParameterError(msg)
