"""Small worlds to break, and the log from which `table.py` makes its table."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from broken_runs import PASSED, Breakage, Ended, assert_same, clipft_in, outcome
from tiny_world import write_colours, write_model

SETTINGS = {
    "seed": 7,
    "data": {"dir": "data/colours", "batch_size": 8, "num_workers": 0},
    "model": {"name": "tiny-vit.json", "pretrained": "tiny-vit-0.safetensors"},
    "hardware": {"device": "cpu", "mixed_precision": "no"},
    "training": {"num_epochs": 3, "learning_rate": 1e-3},
    "checkpoint": {"every_steps": 1},
}


@pytest.fixture(scope="session")
def built_place(tmp_path_factory) -> Path:
    """A folder with a model, 63 images and run.yaml, a run of three epochs of five steps."""
    root = tmp_path_factory.mktemp("place")
    write_model(root)
    write_colours(root / "data" / "colours")
    (root / "run.yaml").write_text(yaml.safe_dump(SETTINGS))
    return root


@pytest.fixture
def place(built_place, tmp_path) -> Path:
    """A copy of the folder for one test."""
    return Path(shutil.copytree(built_place, tmp_path / "place"))


@pytest.fixture(scope="session")
def whole_run(built_place) -> Callable[..., tuple[dict, Ended]]:
    """The outcome of the run nobody disturbed, for some extra arguments; made once for each."""
    known: dict[tuple[str, ...], tuple[dict, Ended]] = {}

    def of(*extra: str) -> tuple[dict, Ended]:
        if extra not in known:
            name = f"whole-{len(known)}"
            done = clipft_in(built_place, "train", "-c", "run.yaml", "-o", name, *extra)
            assert done.code == 0, done.err
            known[extra] = outcome(built_place / name), done
        return known[extra]

    return of


@pytest.fixture(scope="session")
def n_operations(built_place, whole_run) -> int:
    """File operations of the undisturbed run that change the disk; with a counter it ends as without."""
    counter = built_place / "count"
    breakage = Breakage("kill", 0, str(built_place / "counted"), str(counter))
    done = clipft_in(built_place, "train", "-c", "run.yaml", "-o", "counted", breakage=breakage)
    assert done.code == 0, done.err
    assert_same(built_place / "counted", whole_run()[0])
    return int(counter.read_text())


@pytest.fixture
def count(request):
    """count(kind, tried, survived): a line for the table; what is lost fails the test first."""

    def add(kind: str, tried: int, survived: int, note: str = "") -> None:
        log_count(request.node.name, kind, tried, survived, note)
        assert survived == tried, f"{kind}: {tried - survived} of {tried} lost"

    return add


def log_count(test: str, kind: str, tried: int, survived: int, note: str) -> None:
    """A line in the log, where there is one."""
    log = os.environ.get("CLIPFT_ROBUSTNESS_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as file:
            line = {"test": test, "kind": kind, "tried": tried, "survived": survived, "note": note}
            file.write(json.dumps(line) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Leaves a note on the test that its body has passed; one that fails is a row of its own in the table."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
        log_count(item.name, "", 0, 0, "")  # what it has logged of an earlier run is no more
    if report.failed:
        log_count(item.name, "a test that failed: see its output", 1, 0, "")
    return report
