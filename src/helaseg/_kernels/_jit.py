"""The one decorator for compiled kernels."""

from __future__ import annotations

from typing import Any

import numba

#: A kernel: compiled once, cached on disk, releases the GIL.
kernel = numba.njit(cache=True, nogil=True)


def python_form(compiled: Any) -> Any:
    """The Python function behind a kernel (the kernel itself when numba is switched off)."""
    return getattr(compiled, "py_func", compiled)
