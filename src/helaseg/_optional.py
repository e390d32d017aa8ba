"""One wording for a missing optional dependency."""

from __future__ import annotations

import importlib
from types import ModuleType

from helaseg.errors import MissingExtraError


def require(module: str, *, extra: str, reason: str) -> ModuleType:
    """Import an optional module or say how to install it.

    Parameters
    ----------
    module : str
        Name to import, such as ``"torch"``.
    extra : str
        The extra of helaseg that brings it.
    reason : str
        What needs it, as the start of the sentence: ``"training a network"``.

    Raises
    ------
    MissingExtraError
        If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f"{reason} needs {module!r}; install it with: pip install 'helaseg[{extra}]'"
        raise MissingExtraError(msg) from error
