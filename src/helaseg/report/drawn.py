"""Pictures of a page: each is drawn, or named with the reason why it could not be."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from helaseg.errors import FailedPictureWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture with its data address and what stands beneath it.

    Parameters
    ----------
    uri : str
        Data address; empty if the picture could not be drawn.
    caption : str
        What it shows.
    problem : str
        Why it could not be drawn; empty if it was.
    """

    uri: str
    caption: str
    problem: str = ""


def drawn(name: str, draw: Callable[[], str], *, caption: str = "") -> Picture:
    """Draw a picture; if that fails, name the reason instead of losing the page.

    Parameters
    ----------
    name : str
        What the picture is, for the warning.
    draw : callable
        Returns the data address.
    caption : str
        What stands beneath it.

    Returns
    -------
    Picture
        With its address, or with a problem.

    Warns
    -----
    FailedPictureWarning
        If it could not be drawn, whatever the reason: numbers and label images that took
        hours must not be lost with a picture of them.
    """
    try:
        return Picture(uri=draw(), caption=caption)
    except Exception as error:
        reason = "out of memory" if isinstance(error, MemoryError) else str(error)
        reason = " ".join(reason.split()) or type(error).__name__
        msg = f"the picture '{name}' cannot be drawn ({reason}); all other results are complete"
        warnings.warn(msg, FailedPictureWarning, stacklevel=2)
        return Picture(uri="", caption=caption or name, problem=reason)
