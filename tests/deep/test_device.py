"""Devices by name, and the energy of a GPU where its driver tells it."""

from __future__ import annotations

import sys
import types

import pytest
import torch

from helaseg.deep import device as device_module
from helaseg.deep.device import DeviceEnergy, device_name, find_device
from helaseg.errors import ParameterError


def test_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(ParameterError, match="'device' must be auto, cpu, cuda or mps, got 'tpu9'"):
        find_device("tpu9")
    if not torch.cuda.is_available():
        with pytest.raises(ParameterError, match="'cuda' is not there; this machine has cpu"):
            find_device("cuda")


def test_a_processor_is_named_with_its_cores() -> None:
    assert device_name(torch.device("cpu")).endswith(("core", "cores"))


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """NVIDIA's package, as far as it is used."""
    made = types.SimpleNamespace(
        NVMLError=type("NVMLError", (Exception,), {}),
        millijoule=7_000,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
    )
    made.nvmlDeviceGetTotalEnergyConsumption = lambda handle: (
        made.millijoule if handle == "GPU-12" else 0
    )
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace(uuid="12")
    )
    return made


class Counters:
    """Processor and memory, which took a given energy."""

    def __init__(self, joules: float | None) -> None:
        self.taken = joules

    def joules(self) -> float | None:
        return self.taken


@pytest.mark.parametrize(("processor", "both"), [(None, 2.5), (4.0, 6.5)])
def test_the_energy_of_a_gpu_counts(
    driver: types.SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    processor: float | None,
    both: float,
) -> None:
    monkeypatch.setattr(device_module, "EnergyMeter", lambda: Counters(processor))
    meter = DeviceEnergy(torch.device("cuda"))
    driver.millijoule += 2_500
    assert meter.joules() == pytest.approx(both)


def test_a_gpu_that_does_not_tell_has_no_energy(
    driver: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "EnergyMeter", lambda: Counters(4.0))

    def refuse(handle: object) -> int:
        raise driver.NVMLError

    driver.nvmlDeviceGetTotalEnergyConsumption = refuse
    assert DeviceEnergy(torch.device("cuda")).joules() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert DeviceEnergy(torch.device("cuda")).joules() is None
    assert DeviceEnergy(torch.device("cpu")).joules() == 4.0
    assert DeviceEnergy(torch.device("mps")).joules() is None
