"""Energy is read from the machine's counters where that can be done, and else not known."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from helaseg.core.results import StepCost
from helaseg.execution import EnergyMeter, StepTimer, add_energy
from helaseg.execution import energy as energy_module

RANGE_UJ = 1000_000_000


def counter(folder: Path, number: str, name: str, microjoule: int) -> Path:
    place = folder / f"intel-rapl:{number}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "name").write_text(f"{name}\n")
    (place / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (place / "energy_uj").write_text(f"{microjoule}\n")
    return place / "energy_uj"


def test_packages_and_memory_are_added_and_parts_of_them_are_not(tmp_path: Path) -> None:
    first = counter(tmp_path, "0", "package-0", 5_000_000)
    memory = counter(tmp_path, "0:1", "dram", 1_000_000)
    cores = counter(tmp_path, "0:0", "core", 0)
    platform = counter(tmp_path, "1", "psys", 0)
    meter = EnergyMeter(tmp_path)
    assert meter.joules() == 0
    first.write_text("8000000")
    memory.write_text("1500000")
    cores.write_text("900000000")
    platform.write_text("900000000")
    assert meter.joules() == pytest.approx(3.5)
    # it starts again at its end
    first.write_text("1000000")
    assert meter.joules() == pytest.approx(3.5 + (RANGE_UJ - 7_000_000) / 1e6)


def test_without_counters_energy_is_not_known(tmp_path: Path) -> None:
    assert EnergyMeter(tmp_path / "none").joules() is None
    counter(tmp_path, "0", "package-0", 5).write_text("no number")
    counter(tmp_path, "1", "package-1", 5)
    assert EnergyMeter(tmp_path).joules() is None


def test_a_counter_that_goes_away_leaves_nothing_known(tmp_path: Path) -> None:
    file = counter(tmp_path, "0", "package-0", 5)
    meter = EnergyMeter(tmp_path)
    assert meter.joules() == 0
    file.unlink()
    assert meter.joules() is None
    file.write_text("9000000")
    assert meter.joules() is None


def test_workers_have_no_energy_of_their_own(tmp_path: Path) -> None:
    counter(tmp_path, "0", "package-0", 5)
    found: list[float | None] = []
    worker = threading.Thread(target=lambda: found.append(EnergyMeter(tmp_path).joules()))
    worker.start()
    worker.join()
    assert found == [None]


def test_steps_have_their_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = counter(tmp_path, "0", "package-0", 0)
    monkeypatch.setattr(energy_module.EnergyMeter.__init__, "__defaults__", (tmp_path,))
    timer = StepTimer()
    for microjoule in (2_000_000, 5_000_000):
        with timer.measured("cell"):
            file.write_text(str(microjoule))
    assert [cost.energy_j for cost in timer.steps] == [pytest.approx(5.0)]
    timer.add(StepCost(step="cell", seconds=1.0, peak_memory_mb=1.0))
    assert timer.steps[0].energy_j is None


def test_what_is_not_known_is_no_summand() -> None:
    assert add_energy(1.0, 2.0) == 3.0
    assert add_energy(None, 2.0) is None
    assert add_energy(1.0, None) is None
