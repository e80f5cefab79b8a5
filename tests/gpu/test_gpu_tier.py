"""The device tier's script is proved where there is no device; with one (`pytest -m gpu`) each step is a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from .page import page_of
from .steps import STEPS
from .tier import Machine, Step, take, taken

QUICK = ("copies", "deterministic", "nf4", "layout", "ceiling", "attention", "optimizers", "decoding")


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Machine:
    return Machine(torch.device("cpu"), tmp_path_factory.mktemp("tier"), is_small=True)


def step_of(name: str) -> Step:
    return next(step for step in STEPS if step.name == name)


@pytest.mark.parametrize("name", QUICK)
def test_a_step_runs_on_a_cpu_as_it_would_on_a_device(machine, name):
    record = taken(step_of(name), machine)
    assert record["state"] in ("ok", "skipped"), record["why"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [step.name for step in STEPS if step.name not in QUICK])
def test_every_other_step_runs_on_a_cpu_too(machine, name):
    pytest.importorskip("transformers")
    record = taken(step_of(name), machine)
    assert record["state"] in ("ok", "skipped"), record["why"]


@pytest.mark.gpu
@pytest.mark.parametrize("name", [step.name for step in STEPS if step.part == "correctness"])
def test_a_step_holds_on_the_device(tmp_path, name):
    record = taken(step_of(name), Machine(torch.device("cuda"), tmp_path, is_small=False))
    assert record["state"] in ("ok", "skipped"), record["why"]


def test_what_fails_is_written_down_and_the_next_step_is_taken(tmp_path, machine):
    def fails(machine: Machine) -> dict[str, object]:
        raise AssertionError("1 is not 2")

    def breaks(machine: Machine) -> dict[str, object]:
        raise RuntimeError("no such kernel")

    steps = (
        Step("fails", "speed", "a broken promise", fails),
        Step("breaks", "speed", "an error", breaks),
        Step("cuda", "speed", "a device", fails, needs_cuda=True),
        Step("fine", "speed", "a fact", lambda machine: {"images_per_second": 3.0, "sides": {"a": 1, "b": 2}}),
    )
    take(steps, machine, tmp_path / "gpu.json", seconds=60)
    records = json.loads((tmp_path / "gpu.json").read_text())["steps"]
    assert [record["state"] for record in records] == ["FAILED", "BROKE", "skipped", "ok"]
    page = page_of(tmp_path / "gpu.json")
    assert "1 is not 2" in page
    assert "RuntimeError: no such kernel" in page
    assert "images per second: 3" in page


def test_a_step_that_would_begin_too_late_is_said_to_be_missing(tmp_path: Path, machine):
    take((step_of("copies"),), machine, tmp_path / "gpu.json", seconds=-1)
    assert json.loads((tmp_path / "gpu.json").read_text())["steps"][0]["state"] == "not reached"
