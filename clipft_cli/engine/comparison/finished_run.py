"""A finished run as a comparison needs it: its best checkpoint, verified, and what the run says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.train import TrainConfig
from ...errors import CheckpointError, ConfigError
from ..checkpoint.card import read_whole
from ..checkpoint.run_config import run_config
from ..files.regular import regular_text
from ..files.visible import quoted, visible
from ..run_dir import CHECKPOINT_FILE, RunDir, find_checkpoint
from ..runs.history import read_history


@dataclass(frozen=True)
class FinishedRun:
    """`meta` is checkpoint.json of the best checkpoint, `summary` summary.json, `history` metrics.jsonl."""

    path: Path
    checkpoint: Path
    config: TrainConfig
    meta: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]

    @property
    def method(self) -> str:
        """Its method's name."""
        return str(self.meta.get("method"))

    @property
    def manifest_digest(self) -> str | None:
        """Digest of the data set it was trained on."""
        return self._of("data", "manifest_digest")

    @property
    def data_dir(self) -> str:
        """Where that data set is, as far as the run knows."""
        recorded = self._of("data", "dir")  # by a version that wrote it into the checkpoint
        return recorded if recorded and Path(recorded).exists() else str(self.config.data.dir)

    @property
    def model(self) -> tuple[str, str | None]:
        """Name and pretrained weights of its base model, as configured; else as its checkpoint has them."""
        if "name" in self.config.model.model_fields_set:
            return self.config.model.name, self.config.model.pretrained
        return str(self._of("base", "name")), self._of("base", "pretrained")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Folder names of its classes, in their order."""
        classes = self.meta.get("classes")
        return tuple(str(item.get("name")) for item in classes) if isinstance(classes, list) else ()

    @property
    def course(self) -> list[tuple[int, float]]:
        """(epoch, top-1 on val), from the start at 0: what it began training with, be it zero-shot or a probe."""
        rows = [row for row in self.history if isinstance(row.get("val_top1"), float)]
        begun = [row for row in rows if row["epoch"] == 0][-1:]  # zero-shot stands before the start
        start = self.summary.get("start")
        recorded = start.get("top1") if isinstance(start, Mapping) else None
        first = recorded if isinstance(recorded, float) else begun[0]["val_top1"] if begun else None
        trained = [(row["epoch"], row["val_top1"]) for row in rows if row["epoch"] > 0]
        return trained if first is None else [(0, first), *trained]

    @property
    def weights_digest(self) -> str | None:
        """Digest of its base model's weights."""
        return self._of("base", "weights_sha256")

    def _of(self, section: str, key: str) -> str | None:
        facts = self.meta.get(section)
        value = facts.get(key) if isinstance(facts, Mapping) else None
        return str(value) if value is not None else None


def open_run(path: Path, split: str) -> FinishedRun:
    """The finished run in `path`, its best checkpoint verified file by file.

    Raises CheckpointError for what is no run, not finished, damaged, or was selected on `split`.
    """
    shown = visible(str(path))
    if not path.is_dir():
        raise CheckpointError(f"{shown}: no such run", hint="name a run directory, or a method such as lora")
    if (path / CHECKPOINT_FILE).is_file():
        raise CheckpointError(f"{shown}: is a checkpoint, a run is compared", hint=f"name {visible(str(path.parent))}")
    run = RunDir(path)
    if not run.config.is_file():
        raise CheckpointError(f"{shown}: is no run directory (it has no config.yaml)")
    if not run.is_finished:
        raise CheckpointError(
            f"{shown}: this run is not finished, its figures would not be final",
            hint=f"finish it: `clipft train --resume {quoted(shown)}`",
        )
    checkpoint = find_checkpoint(run.best if run.best.is_file() else path)
    meta = read_whole(checkpoint)
    selected_on = str(meta.get("selected_on", "val"))
    if selected_on == split:
        raise CheckpointError(
            f"{shown}: its best checkpoint was selected on {split}, so its figures on {split} are too good to compare",
            hint="compare on a split that has chosen nothing, or train it again selecting on val",
        )
    try:
        config, _ = run_config(run)
    except ConfigError as error:
        raise CheckpointError(f"{shown}: its config.yaml cannot be read: {error.message}") from None
    return FinishedRun(path, checkpoint, config, meta, _json(run.summary), read_history(run.metrics))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(regular_text(path))
    except (OSError, ValueError, RecursionError):
        raise CheckpointError(f"{visible(str(path))}: is damaged") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{visible(str(path))}: is damaged")
    return content
