"""A run and a data set written by an earlier state of this project are read, resumed and measured as they were.

tests/fixtures/run_before/ was written on one thread, in float32: `patches` is a data set, `interrupted` a LoRA run of
clipft-tiny that SIGTERM stopped in its second epoch, `finished` the same run resumed to its end, and evaluation.json
what `clipft evaluate --json` said of it (the interval of macro-F1 is newer, it was too narrow). machine.json says on
what: where this machine computes with the same torch and the same instructions the figures must be equal to the last
bit, else to 1e-5 (sums of floats are taken in another order).
"""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_world import read_metrics

import clipft_cli as clipft
from clipft_cli.engine.events import Event
from clipft_cli.engine.run_dir import find_checkpoint

BEFORE = Path(__file__).parent / "fixtures" / "run_before"
RECORDED = json.loads((BEFORE / "machine.json").read_text(encoding="utf-8"))
CLOCK = {"seconds", "images_per_second", "train_seconds", "total_seconds"}
OWN = {"checkpoint", "checkpoint_digest", "data_dir", "output_dir", "run_dir", "versions", "energy_joules"}


def is_the_recorded_machine() -> bool:
    """Whether torch is the same and computes with the same instructions."""
    here = (torch.__version__, torch.backends.cpu.get_cpu_capability(), platform.machine())
    return here == (RECORDED["torch"], RECORDED["cpu_capability"], RECORDED["machine"])


def like(recorded: Any) -> Any:
    """`recorded`, to be equal to: every figure exactly, or nearly so on another machine."""
    if isinstance(recorded, dict):
        return {key: like(value) for key, value in recorded.items()}
    if isinstance(recorded, list):
        return [like(value) for value in recorded]
    if isinstance(recorded, float) and not is_the_recorded_machine():
        return pytest.approx(recorded, rel=1e-5, abs=1e-5)
    return recorded


@pytest.fixture
def before(tmp_path, monkeypatch) -> Path:
    """A folder that holds the data set and, as runs/lora, the run that is named."""
    shutil.copytree(BEFORE / "patches", tmp_path / "patches")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(state: str) -> Path:
    return Path(shutil.copytree(BEFORE / state, Path("runs") / "lora"))


def test_an_interrupted_run_resumes_to_the_same_end(before):
    run = put("interrupted")
    events: list[Event] = []
    result = clipft.resume(run, on_event=events.append)
    warned = [event.text for event in events if isinstance(event, clipft.Note) and event.is_warning]
    assert [text for text in warned if "is never predicted" not in text] == []  # of a class with few images
    steps = [event.step for event in events if isinstance(event, clipft.StepDone)]
    assert steps == list(range(6, 13))
    assert result.epochs == 4
    for pointer in ("best", "last"):
        recorded, found = find_checkpoint(BEFORE / "finished" / pointer), find_checkpoint(run / pointer)
        assert found.name == recorded.name
        for file in sorted(recorded.glob("*.safetensors")):
            assert_same_tensors(load_file(found / file.name), load_file(file))
    assert_contains(read_metrics(run), read_metrics(BEFORE / "finished"))
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert_contains(summary, json.loads((BEFORE / "finished" / "summary.json").read_text(encoding="utf-8")))


def test_a_finished_run_is_measured_as_it_was(before):
    run = put("finished")
    hardware = clipft.HardwareConfig(device="cpu", mixed_precision="no", num_threads=1)
    options = clipft.EvaluateOptions(checkpoint=run, output_dir=Path("report"))
    measured = clipft.evaluate(clipft.EvaluateConfig(evaluate=options, hardware=hardware))
    recorded = json.loads((BEFORE / "evaluation.json").read_text(encoding="utf-8"))
    assert_contains(json.loads(json.dumps(measured.to_json())), recorded)


def test_its_data_set_is_whole_and_unchanged(before):
    from clipft_cli.engine.prepare import validate_dataset

    report = validate_dataset(clipft.PrepareOptions(source="patches")).to_json()
    assert report["faults"] == []
    assert report["counts"] == {"train": 18, "val": 9, "test": 9}


def assert_same_tensors(found: dict[str, torch.Tensor], recorded: dict[str, torch.Tensor]) -> None:
    assert found.keys() == recorded.keys()
    tolerance = 0.0 if is_the_recorded_machine() else 1e-5
    for name, tensor in recorded.items():
        torch.testing.assert_close(found[name], tensor, rtol=tolerance, atol=tolerance, msg=name)


def assert_contains(found: Any, recorded: Any) -> None:
    """Each figure that was told before is told now, and is the same; more may be told than then."""
    if isinstance(recorded, dict):
        for key in recorded.keys() - CLOCK - OWN:
            if not key.startswith("peak_"):
                assert_contains(found[key], recorded[key])
    elif isinstance(recorded, list):
        assert len(found) == len(recorded)
        for one, other in zip(found, recorded, strict=True):
            assert_contains(one, other)
    else:
        assert found == like(recorded)
