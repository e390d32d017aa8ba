"""Progress as plain lines, where nobody sees bars but somebody may wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

#: Longest silence in seconds.
EVERY_S = 2.5


class ProgressLines:
    """Write a line at least every few seconds, also while a step says nothing.

    Parameters
    ----------
    write : callable
        Takes a line.
    every_s : float
        Longest silence, in seconds.

    Notes
    -----
    It is a context manager; a thread of its own writes while it is open. Call it as
    `helaseg.execution.Progress`.
    """

    def __init__(self, write: Callable[[str], None], *, every_s: float = EVERY_S) -> None:
        self._write = write
        self._every_s = every_s
        self._begun = time.monotonic()
        self._state = "preparing"
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)

    def __call__(self, step: str, done: int, total: int) -> None:
        """Note what is being done; the next line says it."""
        self._state = f"{step} {done} of {total}" if total else f"{step} {done}"

    def __enter__(self) -> ProgressLines:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()

    def _speak(self) -> None:
        while not self._closed.wait(self._every_s):
            seconds = time.monotonic() - self._begun
            self._write(f"helaseg: {seconds:.0f} s: {self._state}")
