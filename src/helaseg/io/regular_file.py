"""Only regular files are read: a pipe never ends, a device has no size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from helaseg.errors import DataFormatError


def check_regular_file(path: str | os.PathLike[str]) -> Path:
    """Raise unless a path names a regular file; nothing is opened.

    Parameters
    ----------
    path : path-like
        The file; a link counts as what it points to.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    DataFormatError
        If there is no such file, or it is a folder, pipe, socket or device.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        msg = f"{path} does not exist; give a file or a folder of slices"
        raise DataFormatError(msg) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"{path} cannot be opened ({reason}); check the name and the permissions"
        raise DataFormatError(msg) from error
    if not stat.S_ISREG(mode):
        kind = next(word for test, word in _KINDS if test(mode))
        msg = f"{path} must be a regular file, it is a {kind}; save its content as a file first"
        raise DataFormatError(msg)
    return path


_KINDS = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (lambda mode: True, "device"),
)
