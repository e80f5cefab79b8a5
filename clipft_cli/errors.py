"""What can go wrong, by kind: a message, a way out, and the exit code a script can act on."""

from __future__ import annotations

import errno
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ClipftError(Exception):
    """A failure a person can act on. `hint` is the next thing to type or to change."""

    exit_code = 1
    kind = "unexpected"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(ClipftError):
    """The configuration or the command line is wrong."""

    exit_code = 2
    kind = "configuration"


class DataError(ClipftError):
    """The images, the manifest or the data folder fall short."""

    exit_code = 3
    kind = "data"


@dataclass(frozen=True)
class Answer:
    """One way to read images: what it makes of them, in words, and the keys of `prepare` that ask for it."""

    words: str
    settings: Mapping[str, Any]


class Question(DataError):
    """Images that can be read in more than one way. `commands` asks for each of `answers`, where they are known."""

    def __init__(self, asks: str, answers: Sequence[Answer], commands: Sequence[str] = ()) -> None:
        lines = [asks]
        for number, answer in enumerate(answers, start=1):
            lines.append(f"  {number}. {answer.words}")
            lines += [f"     {command}" for command in commands[number - 1 : number]]
        super().__init__("\n".join(lines), hint="run the command of the reading that is meant")
        self.asks, self.answers, self.commands = asks, tuple(answers), tuple(commands)


class ModelError(ClipftError):
    """The model is unknown, cannot be built, or does not fit the request."""

    exit_code = 4
    kind = "model"


class CheckpointError(ClipftError):
    """A run or checkpoint is missing, damaged or of another kind."""

    exit_code = 5
    kind = "checkpoint"


class DownloadError(ClipftError):
    """Something could not be fetched, or is not what its publisher promised."""

    exit_code = 6
    kind = "download"


class ResourceError(ClipftError):
    """Memory, disk space, permission or a device is missing."""

    exit_code = 7
    kind = "resources"


NO_PERMISSION = "no permission to read"
"""The reason by which a file or folder of a source is listed that this process may not read."""


class NoPermission(ResourceError):
    """A file or folder that this process may not read: nothing of it is known to be damaged or gone."""

    def __init__(self, path: str | os.PathLike[str], *, hint: str | None = None) -> None:
        closed = _closed_part(os.fspath(path))
        super().__init__(f"{closed}: {NO_PERMISSION} it", hint=hint or how_to_open(closed))


def how_to_open(path: str | os.PathLike[str]) -> str:
    """The command that gives this process the permission to read `path`."""
    closed = _closed_part(os.fspath(path))
    try:
        is_own = os.stat(closed).st_uid == os.geteuid()
    except (OSError, ValueError, AttributeError):  # Windows has no such users
        is_own = True
    if is_own:
        return f"`chmod u+rX {shlex.quote(closed)}`"
    return f"it belongs to another user: ask for it, or `sudo chmod a+rX {shlex.quote(closed)}`"


def is_closed(path: str | os.PathLike[str]) -> bool:
    """Whether something is there, or may be, that this process may not read or look into."""
    text = os.fspath(path)
    return _closed_part(text) != text or (os.path.lexists(text) and not _may(text, os.R_OK))


def _closed_part(path: str) -> str:
    """The first folder on the way to `path` that cannot be entered, else `path`."""
    parents = [str(parent) for parent in reversed(Path(path).parents)]
    return next((parent for parent in parents if os.path.isdir(parent) and not _may(parent, os.X_OK)), path)


def _may(path: str | os.PathLike[str], what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


class TrainingError(ClipftError):
    """Training cannot go on: the loss is not finite, too many images are bad."""

    exit_code = 8
    kind = "training"


class MissingExtraError(ClipftError):
    """An optional package is needed and not installed."""

    exit_code = 9
    kind = "missing package"


class PartialError(ClipftError):
    """The work was done, but for some inputs: they are named in the output."""

    exit_code = 10
    kind = "some inputs failed"


class InterruptedRun(ClipftError):
    """A signal stopped the run after it had saved: `--resume` goes on from there."""

    exit_code = 75
    kind = "interrupted, resumable"


SIGNAL_CODES: dict[int, str] = {129: "terminal closed", 130: "interrupted", 143: "terminated"}
"""128 + the number of a signal that ended the process where there was nothing to save."""

EXIT_CODES: dict[int, str] = {
    0: "success",
    1: "unexpected error",
    **{
        error.exit_code: error.kind
        for error in (
            ConfigError,
            DataError,
            ModelError,
            CheckpointError,
            DownloadError,
            ResourceError,
            TrainingError,
            MissingExtraError,
            PartialError,
            InterruptedRun,
        )
    },
    **SIGNAL_CODES,
}

SIGNALS = tuple(code - 128 for code in SIGNAL_CODES if code - 128 in signal.valid_signals())
"""Those signals, as far as this system has them."""

_OUT_OF_MEMORY_WORDS = (
    "out of memory",  # CUDA, MPS, XPU
    "not enough memory",
    "allocate memory",  # the CPU's allocator: "can't", the system: "Cannot"
    "alloc_failed",  # cuBLAS, cuDNN: CUBLAS_STATUS_ALLOC_FAILED
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that an allocation failed, on any device. torch's own kind is told by its name."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"MemoryError", "OutOfMemoryError"}:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY_WORDS)


def is_short_of_room(error: BaseException) -> bool:
    """Whether `error` says that the process may not have the address space, or the threads, that a library asks for."""
    text = str(error).lower()
    if isinstance(error, ImportError | OSError) and "failed to map segment" in text:
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and "can't start new thread" in text
