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
    before = run_dir.metrics.read_text(encoding="utf-8") if run_dir.metrics.is_file() else ""
    write_text(run_dir.metrics, before + json.dumps(asdict(record)) + "\n")
    state.metrics_lines += 1


def cut_metrics(run_dir: RunDir, n_lines: int) -> None:
    """Keep the first lines of metrics.jsonl: those that the state being resumed from knows of."""
    if run_dir.metrics.is_file():
        lines = run_dir.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(run_dir.metrics, "".join(lines[:n_lines]))


def selection_value(metrics: ValMetrics | EpochRecord, select_by: str) -> float:
    """The val metric that chooses, larger is better."""
    if isinstance(metrics, EpochRecord):
        metrics = ValMetrics(metrics.val_loss, metrics.val_top1, metrics.val_top5, metrics.val_macro_f1)
    return {"top1": metrics.top1, "macro_f1": metrics.macro_f1, "loss": -metrics.loss}[select_by]


def selection_rank(metrics: ValMetrics | EpochRecord, select_by: str) -> tuple[float, float]:
    """`selection_value`, and the lower loss between equals: on a small val many epochs have the same accuracy."""
    loss = metrics.val_loss if isinstance(metrics, EpochRecord) else metrics.loss
    return selection_value(metrics, select_by), -loss
