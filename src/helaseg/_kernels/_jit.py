"""The decorators for compiled kernels."""

from __future__ import annotations

from typing import Any

import numba

#: A kernel: compiled once, cached on disk, releases the GIL.
kernel = numba.njit(cache=True, nogil=True)

#: The same where a product and a sum may be rounded once, not twice: a quarter of the
#: instructions less. Nothing else is allowed to change.
fused_kernel = numba.njit(cache=True, nogil=True, fastmath={"contract"})


def python_form(compiled: Any) -> Any:
    """The Python function behind a kernel (the kernel itself when numba is switched off)."""
    return getattr(compiled, "py_func", compiled)
