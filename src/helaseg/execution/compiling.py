"""Say when kernels are being compiled, and how long it took."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EVENT = "numba:compile"
_OURS = "helaseg._kernels."

#: What is said before the first compilation.
NOTICE = (
    "compiling kernels that this command is the first to need on this processor, up to a minute "
    "('helaseg doctor --warm' compiles all of them beforehand)"
)


@dataclass
class Compilation:
    """Record of the compilations so far.

    Parameters
    ----------
    seconds : dict of str to float
        Seconds per kernel, those it calls included, in the order of their first
        compilation.
    n_compiled : int
        Machine codes made, each for one kernel and one set of argument types.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    n_compiled: int = 0

    @property
    def total_seconds(self) -> float:
        """All of them together."""
        return sum(self.seconds.values())


@contextmanager
def watch_compilation(say: Callable[[str], None] | None = None) -> Iterator[Compilation]:
    """Notice kernels that are compiled, not loaded from the cache, in this process.

    Parameters
    ----------
    say : callable, optional
        Called with a line when the first kernel is compiled.

    Yields
    ------
    Compilation
        Grows while kernels are compiled.
    """
    # only here: commands that compute nothing need no numba
    from numba.core import event

    found = Compilation()

    class Listener(event.Listener):  # type: ignore[misc]
        """Sums up the outermost compilations; what they call is part of their time."""

        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.running: list[tuple[Any, float]] = []

        def on_start(self, happened: Any) -> None:
            dispatcher = happened.data["dispatcher"]
            if not dispatcher.py_func.__module__.startswith(_OURS):
                return
            with self.lock:
                first = found.n_compiled == 0
                found.n_compiled += 1
                self.running.append((dispatcher, time.perf_counter()))
            if first and say is not None:
                say(NOTICE)

        def on_end(self, happened: Any) -> None:
            with self.lock:
                if not self.running or self.running[-1][0] is not happened.data["dispatcher"]:
                    return
                dispatcher, start = self.running.pop()
                if not self.running:
                    function = dispatcher.py_func
                    name = f"{function.__module__.removeprefix(_OURS)}.{function.__name__}"
                    took = time.perf_counter() - start
                    found.seconds[name] = found.seconds.get(name, 0.0) + took

    listener = Listener()
    event.register(_EVENT, listener)
    try:
        yield found
    finally:
        event.unregister(_EVENT, listener)


def kernel_cache_places() -> list[Path]:
    """Folders where numba may keep compiled kernels, the first choice first."""
    import helaseg._kernels

    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(chosen)]
    # the second is where numba goes when the package folder is read-only
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return [Path(helaseg._kernels.__path__[0]) / "__pycache__", home / "numba"]


def cached_kernels() -> tuple[Path, int] | None:
    """The folder that keeps compiled kernels and how many are in it; None without one."""
    for place in kernel_cache_places():
        if _writable(place):
            return place, len(list(place.rglob("*.nbi")))
    return None


def _writable(place: Path) -> bool:
    existing = next(p for p in (place, *place.parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return True
    except OSError:
        return False
