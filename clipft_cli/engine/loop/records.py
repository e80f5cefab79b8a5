"""metrics.jsonl: one line an epoch, the start first, each written once."""

from __future__ import annotations

import json
from dataclasses import asdict

from ..events import EpochRecord
from ..files.write import write_text
from ..model.inference import ValMetrics
from ..run_dir import RunDir
from .resume import TrainState


def zero_shot_record(metrics: ValMetrics) -> EpochRecord:
    """The first line of metrics.jsonl: the pretrained model on val, before any update."""
    return EpochRecord(
        epoch=0,
        step=0,
        train_loss=None,
        val_loss=metrics.loss,
        val_top1=metrics.top1,
        val_top5=metrics.top5,
        val_macro_f1=metrics.macro_f1,
        lr=0.0,
        trains="zero-shot",
        skipped_steps=0,
        seconds=0.0,
        images_per_second=0.0,
        data_wait_share=0.0,
    )


def append_metrics(run_dir: RunDir, record: EpochRecord, state: TrainState) -> None:
    """One more line in metrics.jsonl."""
    state.history.append(asdict(record))
    state.metrics_lines += 1
    knows_all = len(state.history) == state.metrics_lines  # a state of an earlier version begins in the middle
    before = state.history[:-1] if knows_all else []
    lines = [json.dumps(line) + "\n" for line in before] if knows_all else _lines(run_dir)
    write_text(run_dir.metrics, "".join([*lines, json.dumps(asdict(record)) + "\n"]))


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
    return run_dir.metrics.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)


def _lines_of(n: int) -> str:
    return "1 line is" if n == 1 else f"{n} lines are"


def selection_value(metrics: ValMetrics | EpochRecord, select_by: str) -> float:
    """The val metric that chooses, larger is better."""
    if isinstance(metrics, EpochRecord):
        metrics = ValMetrics(metrics.val_loss, metrics.val_top1, metrics.val_top5, metrics.val_macro_f1)
    return {"top1": metrics.top1, "macro_f1": metrics.macro_f1, "loss": -metrics.loss}[select_by]


def selection_rank(metrics: ValMetrics | EpochRecord, select_by: str) -> tuple[float, float]:
    """`selection_value`, and the lower loss between equals: on a small val many epochs have the same accuracy."""
    loss = metrics.val_loss if isinstance(metrics, EpochRecord) else metrics.loss
    return selection_value(metrics, select_by), -loss
