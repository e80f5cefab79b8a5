"""Energy: what counters say went by, over their end too; nothing where there is none."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from clipft_cli.engine.events import Note
from clipft_cli.engine.machine.energy import EnergyMeter

CPU = torch.device("cpu")


def package(root, number: int, micro_joules: int, name: str | None = None):
    """A folder as the kernel's powercap shows it."""
    folder = root / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name or f'package-{number}'}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    (folder / "energy_uj").write_text(f"{micro_joules}\n")
    return folder / "energy_uj"


def test_packages_are_added_and_other_domains_are_not(tmp_path):
    first, second = package(tmp_path, 0, 1_000_000), package(tmp_path, 1, 5_000_000)
    whole = package(tmp_path, 2, 0, "psys")
    meter = EnergyMeter(CPU, tmp_path)
    first.write_text("3500000")
    second.write_text("6000000")
    whole.write_text("90000000")
    assert meter.joules() == {"cpu": pytest.approx(3.5)}


def test_a_counter_that_wraps_between_two_events_loses_nothing(tmp_path):
    counter = package(tmp_path, 0, 262_143_000_000)
    meter = EnergyMeter(CPU, tmp_path)
    tell = meter.watching(lambda event: None)
    counter.write_text("262143328849")
    tell(Note("an epoch"))
    counter.write_text("2000000")
    assert meter.joules() == {"cpu": pytest.approx(0.328850 + 2.0)}


def test_no_counter_is_no_number(tmp_path):
    assert EnergyMeter(CPU, tmp_path / "nowhere").joules() == {}
    package(tmp_path, 0, 0).unlink()
    assert EnergyMeter(CPU, tmp_path).joules() == {}


def test_a_counter_lost_on_the_way_is_no_number_either(tmp_path):
    counter = package(tmp_path, 0, 1_000_000)
    package(tmp_path, 1, 1_000_000)
    meter = EnergyMeter(CPU, tmp_path)
    counter.unlink()
    assert meter.joules() == {}


def test_nvml_is_asked_for_the_card_that_torch_sees(tmp_path, monkeypatch):
    spent = iter([10_000, 47_000])
    nvml = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(spent) if handle == "GPU-ab-cd" else 0,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="ab-cd"))
    meter = EnergyMeter(torch.device("cuda", 0), tmp_path)
    assert meter.joules() == {"gpu": pytest.approx(37.0)}


def test_without_nvml_a_gpu_reports_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert EnergyMeter(torch.device("cuda", 0), tmp_path).joules() == {}
