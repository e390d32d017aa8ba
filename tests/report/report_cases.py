"""What several tests of the report share."""

from __future__ import annotations

from helaseg.core.grid import Grid

GRID = Grid(shape=(9, 60, 80), voxel_size_nm=(50, 10, 10), offset_nm=(500.0, 1000.0, 2000.0))
NAMES_ARE_HOSTILE = '<script>alert("x")</script>'
