"""metrics.jsonl: zero-shot, the start, then one line an epoch, each written once."""

from __future__ import annotations

import json

from ..checkpoint.kept import START_NAMES
from ..events import EpochRecord
from ..files.regular import regular_bytes
from ..files.write import write_text
from ..metrics.val import ValMetrics
from ..run_dir import RunDir
from .resume import TrainState
from .start import Start


def zero_shot_record(metrics: ValMetrics) -> EpochRecord:
    """The first line of metrics.jsonl: the pretrained model on val."""
    return _untrained(metrics, "zero-shot")


def start_record(start: Start) -> EpochRecord:
    """The second line of metrics.jsonl: what the run starts from on val, before any update."""
    return _untrained(start.metrics, f"start ({START_NAMES[start.kind]})")


def _untrained(metrics: ValMetrics, trains: str) -> EpochRecord:
    return EpochRecord(
        epoch=0,
        step=0,
        train_loss=None,
        val=metrics,
        lr=0.0,
        trains=trains,
        skipped_steps=0,
        seconds=0.0,
        images_per_second=0.0,
        data_wait_share=0.0,
    )


def append_metrics(run_dir: RunDir, record: EpochRecord, state: TrainState) -> None:
    """One more line in metrics.jsonl."""
    state.history.append(record.to_json())
    state.metrics_lines += 1
    knows_all = len(state.history) == state.metrics_lines  # a state of an earlier version begins in the middle
    before = state.history[:-1] if knows_all else []
    lines = [json.dumps(line) + "\n" for line in before] if knows_all else _lines(run_dir)
    write_text(run_dir.metrics, "".join([*lines, json.dumps(record.to_json()) + "\n"]))


def begin_metrics(run_dir: RunDir) -> None:
    """An empty metrics.jsonl, where there is one."""
    if run_dir.metrics.is_file():
        write_text(run_dir.metrics, "")


def restore_metrics(run_dir: RunDir, state: TrainState) -> str | None:
    """Make metrics.jsonl what the state knows of; a sentence where more was missing than what came after it."""
    there = _lines(run_dir)[: state.metrics_lines]
    wanted = [json.dumps(record) + "\n" for record in state.history]
    if len(wanted) != state.metrics_lines:  # of a version that did not keep them
        write_text(run_dir.metrics, "".join(there))
        n_lost = state.metrics_lines - len(there)
        return f"{run_dir.metrics}: {_lines_of(n_lost)} missing, and cannot be restored" if n_lost else None
    write_text(run_dir.metrics, "".join(wanted))
    n_lost = sum(line not in there for line in wanted)
    return (
        f"{run_dir.metrics}: {_lines_of(n_lost)} missing or damaged, restored from the saved state" if n_lost else None
    )


def _lines(run_dir: RunDir) -> list[str]:
    if not run_dir.metrics.is_file():
        return []
    return regular_bytes(run_dir.metrics).decode("utf-8", "replace").splitlines(keepends=True)


def _lines_of(n: int) -> str:
    return "1 line is" if n == 1 else f"{n} lines are"
