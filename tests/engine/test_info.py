from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clipft_cli.engine.info import BEGUN, FINISHED, INTERRUPTED, run_info, runs
from clipft_cli.errors import CheckpointError


def run(
    path: Path, *, summary: dict | None = None, epochs: int = 0, is_resumable: bool = False, when: float = 0
) -> Path:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("method: lora\ndata:\n  dir: data/pets\n")
    lines = [{"epoch": e, "val_top1": 0.5 + 0.1 * e} for e in range(epochs + 1)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if is_resumable:
        (path / "resume").mkdir()
    if summary is not None:
        (path / "summary.json").write_text(json.dumps(summary))
    for file in path.iterdir():
        os.utime(file, (when, when))
    return path


def test_a_finished_run_tells_what_was_kept_and_what_is_next(tmp_path: Path) -> None:
    path = run(tmp_path / "a", summary={"best": {"top1": 0.75}, "epochs": 3, "kept": {"words": "epoch 2 of 3"}})
    found = run_info(path)
    assert (found.method, found.state, found.best_val, found.epochs, found.kept) == (
        "lora",
        FINISHED,
        0.75,
        3,
        "epoch 2 of 3",
    )
    assert found.test is None
    assert found.next_command == f"clipft evaluate --checkpoint {path}"
    (path / "evaluation-test").mkdir()
    (path / "evaluation-test" / "evaluation_results.json").write_text('{"top1": 0.625}')
    found = run_info(path)
    assert found.test == 0.625
    assert found.next_command == f"clipft predict IMAGE --checkpoint {path}"


def test_an_interrupted_run_tells_its_best_epoch_so_far(tmp_path: Path) -> None:
    path = run(tmp_path / "a b", epochs=2, is_resumable=True)
    found = run_info(path)
    assert (found.state, found.epochs, found.best_val) == (INTERRUPTED, 2, 0.7)
    assert found.next_command == f"clipft train --resume '{path}'"


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    path = run(tmp_path / "a")
    before = run_info(path).n_bytes
    (path / "checkpoint-final").mkdir()
    (path / "checkpoint-final" / "head.safetensors").write_bytes(bytes(1234))
    assert run_info(path).n_bytes == before + 1234 + (path / "checkpoint-final").stat().st_size


def test_runs_come_newest_first_and_other_folders_are_none(tmp_path: Path) -> None:
    run(tmp_path / "old", when=1000)
    run(tmp_path / "new", when=2000)
    (tmp_path / "compare").mkdir()
    assert [one.path.name for one in runs(tmp_path)] == ["new", "old"]


@pytest.mark.parametrize("content", ["{", "[1]", '{"best": 3}', '{"best": {"top1": "x"}}', ""])
def test_damaged_files_leave_a_row_without_figures(tmp_path: Path, content: str) -> None:
    path = run(tmp_path / "a", epochs=1)
    (path / "metrics.jsonl").write_text('{"epoch": 1, "val_top1"\n7\n')
    (path / "summary.json").write_text(content)
    assert run_info(path).best_val is None


def test_a_config_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = run(tmp_path / "a")
    (path / "config.yaml").write_text("nonsense: [")
    assert "config.yaml" in run_info(path).trouble
    assert run_info(path).state == BEGUN


def test_no_runs_are_said_with_the_way_to_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="no runs here") as caught:
            runs(folder)
        assert "clipft train" in str(caught.value.hint)
    with pytest.raises(CheckpointError, match="is no run"):
        run_info(tmp_path)
