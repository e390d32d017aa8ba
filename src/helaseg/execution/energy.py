"""Energy of CPU and memory, where the machine has counters that it lets be read."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: Where Linux keeps the counters (of Intel's and AMD's processors).
POWERCAP = Path("/sys/class/powercap")


class Meter(Protocol):
    """Energy meter that counts from its creation."""

    def joules(self) -> float | None:
        """Joule so far; None where that is not known."""
        ...


class EnergyMeter:
    """Energy since it was made.

    Parameters
    ----------
    folder : Path
        Of the counters.

    Notes
    -----
    1. Counters of processor packages and of their memory are added up. That of the whole
       platform and those of parts of a package would count the same energy twice.
    2. They see the machine, other programs included, so a piece of work that runs beside
       others in workers has no energy of its own: in a worker the energy is not known.
    3. Most machines let only their administrator read them; then it is not known either.
    """

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._counters = _counters(folder) if _is_alone() else ()
        self._joules = 0.0

    def joules(self) -> float | None:
        """Joule since the meter was made; None where that is not known.

        A counter starts again after some 100 kJ, so this is to be asked every few minutes.
        """
        if not self._counters:
            return None
        try:
            self._joules += sum(counter.advance() for counter in self._counters)
        except (OSError, ValueError):
            self._counters = ()
            return None
        return self._joules


@dataclass(slots=True)
class _Counter:
    """One counter, in microjoule."""

    file: Path
    wraps_at: int
    last: int

    def advance(self) -> float:
        """Joule since the last reading."""
        now = int(self.file.read_text())
        passed = now - self.last if now >= self.last else now - self.last + self.wraps_at
        self.last = now
        return passed / 1e6


def _counters(folder: Path) -> tuple[_Counter, ...]:
    """Those of packages and memory; none if one of them cannot be read."""
    found = []
    try:
        for place in sorted(folder.glob("intel-rapl:*")):
            name = (place / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                file = place / "energy_uj"
                wraps_at = int((place / "max_energy_range_uj").read_text())
                found.append(_Counter(file, wraps_at, int(file.read_text())))
    except (OSError, ValueError):
        return ()
    return tuple(found)


def _is_alone() -> bool:
    """Return whether this process is alone: not a worker beside others of the same job."""
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and multiprocessing.parent_process() is None


def add_energy(first: float | None, second: float | None) -> float | None:
    """The sum of two energies; not known if one of them is not."""
    return None if first is None or second is None else first + second
