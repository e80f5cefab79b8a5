"""Real runs in processes of their own, broken on purpose at a chosen file operation or moment."""

from __future__ import annotations

import builtins
import errno
import hashlib
import io
import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny_world import TIMING, _clipft, fork_context

PASSED = pytest.StashKey[bool]()
SUMMARY_TIMING = ("train_seconds", "total_seconds", "peak_memory_gib", "peak_host_memory_gib", "run_dir")
CHECKED = ("checkpoint-epoch-*/*", "checkpoint-final/*", "best", "last")


@dataclass(frozen=True)
class Ended:
    """How a process ended. A negative code is the signal that killed it."""

    code: int
    out: str
    err: str
    seconds: float


def clipft_in(folder: Path, *args: str, breakage: Breakage | None = None, timeout: float = 120) -> Ended:
    """`clipft ARGS` in `folder`, to its end."""
    began = time.monotonic()
    process = start_in(folder, *args, breakage=breakage)
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"clipft {' '.join(args)} hung: {(folder / 'stderr.txt').read_text()}")
    return ended(process, folder, time.monotonic() - began)


def start_in(folder: Path, *args: str, breakage: Breakage | None = None) -> multiprocessing.process.BaseProcess:
    """`clipft ARGS` in `folder`, started."""
    process = fork_context().Process(target=_broken_clipft, args=(list(args), str(folder), breakage), daemon=True)
    process.start()
    return process


def ended(process: multiprocessing.process.BaseProcess, folder: Path, seconds: float = 0.0) -> Ended:
    """The result of a process that has ended."""
    assert process.exitcode is not None
    out, err = ((folder / name).read_text(encoding="utf-8", errors="replace") for name in ("stdout.txt", "stderr.txt"))
    return Ended(process.exitcode, out, err, seconds)


@dataclass(frozen=True)
class Breakage:
    """What goes wrong at the `at`-th file operation (from 1; 0: never) that changes the disk below `below`.

    `kind` is "kill", or the name of an errno. The number of operations is written to `count_file`.
    With "stall" nothing is counted: opening a file whose path ends with `below` never returns.
    """

    kind: str
    at: int
    below: str
    count_file: str = ""


def _broken_clipft(args: list[str], folder: str, breakage: Breakage | None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if breakage is not None:
        _install(breakage)
    _clipft(args, folder)


class _Disk:
    """Counts the operations that change the disk, and breaks the one that was chosen."""

    def __init__(self, breakage: Breakage) -> None:
        self.breakage = breakage
        self.n_seen = 0
        self.real_open = io.open

    def strike(self, place: Any, error: Callable[[int], Exception] | None = None) -> None:
        """Before an operation on `place`; `error` makes the exception its library would raise of an errno."""
        if isinstance(place, int):
            place = os.readlink(f"/proc/self/fd/{place}")
        if self.breakage.below not in os.path.abspath(os.fspath(place)):
            return
        self.n_seen += 1
        if self.breakage.count_file:
            with self.real_open(self.breakage.count_file, "w") as file:
                file.write(str(self.n_seen))
        if self.n_seen != self.breakage.at:
            return
        if self.breakage.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        code = getattr(errno, self.breakage.kind)
        raise error(code) if error else OSError(code, os.strerror(code), str(place))

    def open(self, file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        """In place of the built-in."""
        if isinstance(file, str | os.PathLike) and set(mode) & set("wxa+"):
            self.strike(file)
        return self.real_open(file, mode, *rest, **named)

    def stalled_open(self, file: Any, *rest: Any, **named: Any) -> Any:
        """In place of the built-in: a network file system that does not answer."""
        while str(file).endswith(self.breakage.below):
            time.sleep(3600)
        return self.real_open(file, *rest, **named)

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """In place of a function of `os` whose first argument is a path or a descriptor."""

        def struck(place: Any, *rest: Any, **named: Any) -> Any:
            self.strike(place)
            return call(place, *rest, **named)

        return struck


def _install(breakage: Breakage) -> None:
    import safetensors.torch
    from safetensors import SafetensorError

    from clipft_cli.engine.files import tensors

    disk = _Disk(breakage)
    if breakage.kind == "stall":
        io.open = builtins.open = disk.stalled_open  # type: ignore[assignment]
        return

    def failed(code: int) -> Exception:
        return SafetensorError(f"Error while serializing: I/O error: {os.strerror(code)} (os error {code})")

    def saving(content: Any, place: Any, *rest: Any) -> None:
        disk.strike(place, failed)
        safetensors.torch.save_file(content, place, *rest)

    io.open = builtins.open = disk.open  # type: ignore[assignment]
    for name in ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir"):
        setattr(os, name, disk.before(getattr(os, name)))
    tensors.save_file = saving  # type: ignore[attr-defined]


def outcome(run: Path) -> dict[str, Any]:
    """All that a run is worth, but for its timing: digests of checkpoints and pointers, metrics, summary."""
    files = {
        str(path.relative_to(run)): hashlib.sha256(_content(path)).hexdigest()
        for pattern in CHECKED
        for path in run.glob(pattern)
    }
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return {
        "files": files,
        "metrics": [_without(line, TIMING) for line in lines],
        "summary": _without(summary, SUMMARY_TIMING),
        "leftovers": sorted(p.name for p in run.iterdir() if p.name.startswith(".") and p.name != ".lock"),
        "resume": (run / "resume").exists(),
    }


def _content(path: Path) -> bytes:
    """The bytes of a file; the page about the model names the run's folder, in which runs may differ."""
    return b"" if path.name == "README.md" else path.read_bytes()


def assert_same(run: Path, whole: Mapping[str, Any], what: str = "") -> None:
    """Asserts that `run` is worth what `whole` is, and names what differs."""
    found = outcome(run)
    keys = {*found["files"], *whole["files"]}
    differing = [key for key in sorted(keys) if found["files"].get(key) != whole["files"].get(key)]
    assert differing == [], f"{what}: {differing} differ from the undisturbed run's"
    assert found == whole, what


def _without(values: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def resumed_to_the_end(folder: Path, run: str, train: Sequence[str]) -> Ended:
    """`--resume`, or the run again where it was broken before it had a config."""
    if (folder / run / "config.yaml").is_file():
        return clipft_in(folder, "train", "--resume", run)
    if (folder / run).is_dir():
        names = {path.name for path in (folder / run).iterdir()}
        made = (".lock", "inputs.json", "places.json", "trained_on.txt")
        assert all(name in made or name.startswith(".") for name in names)
        for path in (folder / run).iterdir():
            path.unlink()
    return clipft_in(folder, "train", "-o", run, *train)


def chosen(n_operations: int, seed: int) -> list[int]:
    """All file operations of a run, from 1; CLIPFT_ROBUSTNESS_SAMPLE of them, drawn by `seed`, where that is set."""
    every = range(1, n_operations + 1)
    sample = os.environ.get("CLIPFT_ROBUSTNESS_SAMPLE")
    return sorted(random.Random(seed).sample(every, min(int(sample), n_operations))) if sample else list(every)


def flip_a_bit(path: Path, seed: int = 0) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    place = int(hashlib.sha256(f"{seed}".encode()).hexdigest(), 16) % (8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(bytes(content))


def clean_error(ended: Ended, code: int, *words: str) -> None:
    """Asserts one clear error: this exit code, no traceback, the words in it."""
    assert ended.code == code, (ended.code, ended.err[-2000:])
    assert "Traceback" not in ended.err + ended.out, ended.err
    begins_with = "interrupted" if code == 75 else "error: "  # a run that is saved has not failed
    errors = [line for line in ended.err.splitlines() if line.startswith(("error: ", "interrupted"))]
    assert [line.startswith(begins_with) for line in errors] == [True], ended.err
    for word in words:
        assert word in ended.err, (word, ended.err)
