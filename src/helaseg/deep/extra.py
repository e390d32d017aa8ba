"""Check for the extra ``deep``, which networks need."""

from __future__ import annotations

from helaseg._optional import require


def require_deep(reason: str) -> None:
    """Say how to install the extra ``deep`` if it is not there.

    Raises
    ------
    MissingExtraError
        If torch or safetensors is missing.
    """
    for module in ("torch", "safetensors"):
        require(module, extra="deep", reason=reason)
