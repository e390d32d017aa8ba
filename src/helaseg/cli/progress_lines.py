"""Progress as plain lines, where nobody sees bars but somebody may wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

#: Seconds between lines, the first silence and the longest one; they grow by half each time.
CLOSE_S, SPARSE_S = (2.5, 2.5), (10.0, 60.0)


def waits(first_s: float, longest_s: float) -> Iterator[float]:
    """Seconds of silence before each line, without end."""
    while True:
        yield first_s
        first_s = min(1.5 * first_s, longest_s)


class ProgressLines:
    """Write a line from time to time, also while a step says nothing.

    Parameters
    ----------
    write : callable
        Takes a line.
    intervals_s : tuple of float
        First and longest silence, in seconds; one is half as long again as the one before.

    Notes
    -----
    It is a context manager; a thread of its own writes while it is open. Call it as
    `helaseg.execution.Progress`.
    """

    def __init__(
        self, write: Callable[[str], None], *, intervals_s: tuple[float, float] = CLOSE_S
    ) -> None:
        self._write = write
        self._waits_s = waits(*intervals_s)
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
        while not self._closed.wait(next(self._waits_s)):
            seconds = time.monotonic() - self._begun
            self._write(f"helaseg: {seconds:.0f} s: {self._state}")
