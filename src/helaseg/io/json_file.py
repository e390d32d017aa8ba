"""Notes in JSON that helaseg wrote and that a person or a broken copy may have changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helaseg.errors import DataFormatError


def read_record(path: Path, *, advice: str) -> dict[str, Any]:
    """Read a JSON file that holds one record.

    Parameters
    ----------
    path : Path
        The file, UTF-8.
    advice : str
        The next step, for the message.

    Returns
    -------
    dict

    Raises
    ------
    DataFormatError
        If the file cannot be read, or holds anything else than a record with names.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror or error}); {advice}"
        raise DataFormatError(msg) from error
    except (ValueError, RecursionError) as error:  # also of text that is not UTF-8
        msg = f"{path} must hold JSON, it cannot be read ({error}); {advice}"
        raise DataFormatError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} must hold a record with names, it holds {type(content).__name__}; {advice}"
        raise DataFormatError(msg)
    return content
