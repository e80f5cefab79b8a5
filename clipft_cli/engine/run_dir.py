"""Every file name inside a run directory, and how a run or checkpoint is found."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ResourceError
from .files.places import PLACES_FILE
from .files.regular import regular_text
from .files.visible import quoted
from .files.write import half_written, write_text

OUTPUTS = Path("outputs")
CHECKPOINT_FILE = "checkpoint.json"
EXPORT_FILE = "export.json"
TOWER_FILE = "open_clip_model.safetensors"
TRAINED_FILE = "trained.safetensors"
"""Those of the base model's own weights that a run has changed, where it does not keep the whole model."""

OPEN_CLIP_CONFIG_FILE = "open_clip_config.json"
ADAPTER_FILE = "adapter.safetensors"
TEXT_ADAPTER_FILE = "text_adapter.safetensors"
HEAD_FILE = "head.safetensors"
TRAINED_ON_FILE = "trained_on.txt"
"""In a run, and in each checkpoint and export of it: the images that the model was trained on."""

PAGE_FILE = "README.md"
"""The model card of a checkpoint that is the result of a run."""

FINAL = "checkpoint-final"
_MOVED_ASIDE = re.compile(r"\.(?P<name>checkpoint-(epoch-\d+|final)|start|step-\d{9})\.(?P<how>old|removed|tmp)")
_MAPPED = re.compile(r"\.frozen-\w{8}\.tmp")
"""What `frozen/prefix_store.py` maps: without a name a moment after it is made."""


class RunDir:
    """One run: config, metrics, summary, TensorBoard events, checkpoints, and the state to resume from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.inputs = path / "inputs.json"
        self.trained_on = path / TRAINED_ON_FILE
        self.base = path / "base"
        self.metrics = path / "metrics.jsonl"
        self.summary = path / "summary.json"
        self.tensorboard = path / "tensorboard"
        self.best = path / "best"
        self.last = path / "last"
        self.start = path / "start"
        self.resume = path / "resume"
        self.lock = path / ".lock"
        self.problems = path / "problems.csv"

    @property
    def events(self) -> Path:
        """Where TensorBoard's curves go: the run itself, which names them; a folder in it, where an earlier version
        began that.
        """
        return self.tensorboard if self.tensorboard.is_dir() else self.path

    def checkpoint(self, epoch: int) -> Path:
        """Folder of the checkpoint after `epoch` (from 1); 0 is the start."""
        return self.path / f"checkpoint-epoch-{epoch}"

    @property
    def final(self) -> Path:
        """Folder of the model chosen after training, where it is none of the epochs'."""
        return self.path / FINAL

    def checkpoints(self) -> list[tuple[int, Path]]:
        """(epoch, folder) of every epoch checkpoint, in order."""
        found = []
        for folder in children(self.path):
            number = re.fullmatch(r"checkpoint-epoch-(\d+)", folder.name)
            if number and folder.is_dir():
                found.append((int(number[1]), folder))
        return sorted(found)

    def remove(self, folder: Path) -> None:
        """Remove one checkpoint of this run: renamed first, so that no half of it is ever taken for whole."""
        doomed = folder.with_name(f".{folder.name}.removed")
        shutil.rmtree(doomed, ignore_errors=True)
        os.rename(folder, doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def clear_start(self) -> None:
        """Take away what a run has written before its first update, all but the list of its bad images."""
        shutil.rmtree(self.start, ignore_errors=True)
        shutil.rmtree(self.resume, ignore_errors=True)
        shutil.rmtree(self.base, ignore_errors=True)
        places = self.path / PLACES_FILE
        for file in (self.config, self.inputs, self.trained_on, self.metrics, places, self.lock):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # problems.csv stays, and what is not of this run
            self.path.rmdir()

    def sweep(self) -> None:
        """Clear what a killed process left half done: temporary files go, a folder moved aside comes back."""
        for folder in (self.path, self.resume):
            for leftover in sorted(folder.glob(".*")):
                moved = _MOVED_ASIDE.fullmatch(leftover.name)
                is_folder = leftover.is_dir() and not leftover.is_symlink()
                if moved is not None and is_folder:
                    target = folder / moved["name"]
                    if moved["how"] == "old" and not target.exists():
                        os.rename(leftover, target)
                    else:
                        shutil.rmtree(leftover)
                elif leftover.is_file() and not leftover.is_symlink() and self._is_half_written(leftover):
                    leftover.unlink()

    def _is_half_written(self, file: Path) -> bool:
        own = {path.name for path in (self.config, self.metrics, self.summary, self.best, self.last, self.problems)}
        return half_written(file.name) in own or _MAPPED.fullmatch(file.name) is not None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process works in a run directory. Raises ResourceError for the second, and for a lock that is no
        plain file: to lock what a link leads to may empty it.
        """
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(self.lock.lstat().st_mode):
                raise ResourceError(f"{self.lock}: is no plain file", hint=f"remove it: `rm -r {quoted(self.lock)}`")
        import filelock  # whoever only looks for a checkpoint has no use for it

        lock = filelock.FileLock(self.lock)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise ResourceError(
                f"{self.path}: another process is training here", hint="wait for it, or start a new run"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def has_begun_to_train(self) -> bool:
        """Whether the loop has been entered: its curves are there, or anything that was saved."""
        has_curves = self.tensorboard.exists() or any(self.path.glob("events.out.tfevents.*"))
        return has_curves or self.resume.exists() or bool(self.checkpoints()) or self.final.exists()

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self.summary.is_file()


def children(folder: Path) -> list[Path]:
    """What lies in a folder, which may be absent. Raises PermissionError: a closed folder is not an empty one."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_export(folder: Path) -> bool:
    """Whether a folder says that it is an export."""
    return (folder / EXPORT_FILE).is_file()


def find_checkpoint(path: Path | None, outputs: Path = OUTPUTS) -> Path:
    """The checkpoint folder that `path` means: a run, a checkpoint, a `best` or `last` pointer.

    None: the newest finished run's best. Raises CheckpointError where there is none.
    """
    if path is None:
        return find_checkpoint(newest_run(outputs).best)
    if path.is_file():
        return _follow(path)
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such run or checkpoint", hint=_runs_hint(outputs))
    if (path / CHECKPOINT_FILE).is_file():
        return path
    run = RunDir(path)
    if run.best.is_file():
        return _follow(run.best)
    if is_export(path):
        raise CheckpointError(f"{path}: is an export, no run or checkpoint", hint=_runs_hint(outputs))
    if run.config.is_file():
        raise CheckpointError(f"{path}: this run has no checkpoint yet", hint=_unfinished_hint(run))
    raise CheckpointError(f"{path}: holds neither a checkpoint nor a run with one", hint=_runs_hint(outputs))


def newest_run(outputs: Path = OUTPUTS) -> RunDir:
    """The run finished last. Raises CheckpointError where there is none."""
    finished = [run for run in runs_in(outputs) if run.is_finished and run.best.is_file()]
    if not finished:
        raise CheckpointError(f"{outputs}: no finished run here", hint=_runs_hint(outputs))
    return max(finished, key=lambda run: run.summary.stat().st_mtime)


def write_pointer(pointer: Path, checkpoint: Path, **facts: Any) -> None:
    """A small JSON file beside the checkpoints that names one of them."""
    write_text(pointer, json.dumps({"checkpoint": checkpoint.name, **facts}) + "\n")


def _follow(pointer: Path) -> Path:
    try:
        name = json.loads(regular_text(pointer, max_bytes=1 << 20))["checkpoint"]
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError("not a checkpoint's name")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{pointer}: is no pointer to a checkpoint", hint=_checkpoints_hint(pointer)) from None
    folder = pointer.parent / name
    if not (folder / CHECKPOINT_FILE).is_file():
        raise CheckpointError(
            f"{pointer}: points to {name}, which is not there or not whole", hint=_checkpoints_hint(pointer)
        )
    return folder


def _checkpoints_hint(pointer: Path) -> str | None:
    run = RunDir(pointer.parent)
    folders = [run.final, *(folder for _, folder in reversed(run.checkpoints()))]
    there = [str(folder) for folder in folders if (folder / CHECKPOINT_FILE).is_file()]
    return f"checkpoints of this run: {', '.join(there)}" if there else None


def runs_in(outputs: Path) -> list[RunDir]:
    """All run directories in a folder, finished or not, by name."""
    try:
        return [RunDir(path) for path in sorted(outputs.iterdir()) if path.is_dir() and path.name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _runs_hint(outputs: Path) -> str:
    runs = runs_in(outputs)
    names = [str(run.path) for run in runs if run.is_finished][-5:]
    if names:
        return f"finished runs: {', '.join(names)}"
    begun = [run for run in runs if run.config.is_file()]
    if begun:
        return _unfinished_hint(max(begun, key=lambda run: run.config.stat().st_mtime))
    return "train one first: `clipft train --config clipft.yaml`"


def _unfinished_hint(run: RunDir) -> str:
    """How a run that was interrupted is gone on with, or what it has so far is measured."""
    go_on = f"{run.path} was interrupted: go on with it: `clipft train --resume {quoted(run.path)}`"
    if not run.best.is_file():
        return go_on
    return f"{go_on}; its best so far: `clipft evaluate --checkpoint {quoted(run.path)}`"
