"""Sizes that a file declares, held against the memory before anything is allocated."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

from helaseg.errors import DataFormatError


def check_declared_size(path: Path, n_bytes: int, what: str) -> None:
    """Raise if what a file declares can never be held in memory.

    Parameters
    ----------
    path : Path
        For the message.
    n_bytes : int
        Declared size of a piece that is read at once, such as a slice or a chunk.
    what : str
        The piece, for the message.

    Raises
    ------
    DataFormatError
        If the piece is larger than the memory of this machine, or than what the
        process may still allocate.
    """
    limit = _memory_bytes()
    if n_bytes > limit:
        msg = (
            f"{path} declares {what} of {n_bytes / 1e9:.3g} GB, more than the memory of "
            f"{limit / 1e9:.3g} GB; the file is damaged, or must be split"
        )
        raise DataFormatError(msg)


def _memory_bytes() -> int:
    total = int(psutil.virtual_memory().total)
    if sys.platform == "win32":
        return total
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY:
        return total
    return max(0, min(total, allowed - psutil.Process().memory_info().vms))
