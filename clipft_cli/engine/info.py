"""What runs there are, and what came of each: read from the files of the runs, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config.load import load_config
from ..config.train import TrainConfig
from ..errors import CheckpointError, ConfigError, NoPermission
from .files.amounts import size
from .files.regular import regular_text
from .run_dir import OUTPUTS, RunDir

FINISHED, INTERRUPTED, BEGUN = "finished", "interrupted", "nothing saved yet"
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class RunInfo:
    """One run. Accuracies are shares in 0..1, None where they were not measured; `kept` says what the model is of.

    `best_val` is the top-1 of the model that was kept, or of the best epoch so far where the run is not finished.
    """

    path: Path
    method: str
    state: str
    epochs: int
    best_val: float | None
    test: float | None
    n_bytes: int
    kept: str = ""
    data: str = ""
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "path": str(self.path), "next": self.next_command}

    @property
    def amount(self) -> str:
        """What the folder takes on disk."""
        return size(self.n_bytes)

    @property
    def next_command(self) -> str:
        """What a person does with it next."""
        from .files.visible import quoted

        if self.state == FINISHED:
            return f"clipft {'predict IMAGE' if self.test is not None else 'evaluate'} --checkpoint {quoted(self.path)}"
        return f"clipft train --resume {quoted(self.path)}"


def runs(outputs: Path = OUTPUTS) -> list[RunInfo]:
    """Every run in the folder, the one worked on last first. Raises CheckpointError where there is none."""
    try:
        folders = [path for path in outputs.iterdir() if RunDir(path).config.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        folders = []
    if not folders:
        raise CheckpointError(f"{outputs}: no runs here", hint="train one first: `clipft train`")
    return [run_info(path) for path in sorted(folders, key=_last_change, reverse=True)]


def run_info(path: Path) -> RunInfo:
    """What the files of one run say. Raises CheckpointError where it is no run."""
    run = RunDir(path)
    if not run.config.is_file():
        raise CheckpointError(f"{path}: is no run (it has no config.yaml)", hint="`clipft info` lists the runs")
    try:
        config = load_config(TrainConfig, run.config)
    except (ConfigError, NoPermission) as error:
        return RunInfo(path, "?", BEGUN, 0, None, None, _n_bytes(path), trouble=error.message)
    lines = _json_lines(run.metrics)
    summary = _json(run.summary)
    kept = summary.get("kept")
    state = FINISHED if run.is_finished else INTERRUPTED if run.resume.is_dir() else BEGUN
    tops = [line["val_top1"] for line in lines if isinstance(line.get("val_top1"), float)]
    best = _share(summary.get("best"), "top1") if summary else max(tops, default=None)
    epochs = summary.get("epochs") if summary else max((_int(line.get("epoch")) for line in lines), default=0)
    return RunInfo(
        path=path,
        method=config.method,
        state=state,
        epochs=_int(epochs),
        best_val=best,
        test=_share(_json(path / "evaluation-test" / "evaluation_results.json"), "top1"),
        n_bytes=_n_bytes(path),
        kept=str(kept.get("words", "")) if isinstance(kept, dict) else "",
        data=str(config.data.dir),
    )


def _json(path: Path) -> dict[str, Any]:
    """A JSON object of a run; empty where the file is not there or damaged."""
    try:
        value = json.loads(regular_text(path, max_bytes=_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _json_lines(path: Path) -> list[dict[str, Any]]:
    try:
        texts: Iterable[str] = regular_text(path, max_bytes=_MAX_BYTES).splitlines()
    except (OSError, ValueError):
        return []
    found = []
    for text in texts:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        found += [value] if isinstance(value, dict) else []
    return found


def _share(value: Any, key: str) -> float | None:
    found = value.get(key) if isinstance(value, dict) else None
    return float(found) if isinstance(found, int | float) else None


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _n_bytes(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.lstat().st_size
        except OSError:
            continue
    return total


def _last_change(path: Path) -> float:
    run = RunDir(path)
    times = [file.stat().st_mtime for file in (run.summary, run.metrics, run.config) if file.is_file()]
    return max(times, default=0.0)
