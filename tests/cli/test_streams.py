"""Standard streams as a caller may leave them: no traceback, nothing lost in silence, one code of its kind."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

CLIPFT = f"{sys.executable} -m clipft_cli"
PREDICT = f"{CLIPFT} predict --checkpoint outputs/full"
FULL = Path("/dev/full")


def shell(line: str, folder: Path, **limits) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", line]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, **limits)


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    return lines[0] if lines else ""


@pytest.mark.parametrize(
    ("line", "code", "first"),
    [
        (f"{PREDICT} no.png >&-", 7, "error: standard output is closed: the result has nowhere to go"),
        (f"{PREDICT} no.png --json >&-", 7, "error: standard output is closed: the result has nowhere to go"),
        (f"{PREDICT} no.png --json >&- 2>&- <&-", 7, ""),
        (f"{PREDICT} no.png -o /dev/stdout >&-", 7, "error: /dev/stdout: cannot be written: Bad file descriptor"),
        (f"{PREDICT} - <&-", 2, "error: standard input is closed"),
        (f"{PREDICT} <&-", 2, "error: no image was named"),
        (
            f"{PREDICT} --nope --json >&-",
            2,
            "error: --nope: no such option of `clipft predict`, did you mean '--top-k' or '--output'?",
        ),
        (f"{CLIPFT} train --print-schema >&-", 7, "error: standard output is closed: the result has nowhere to go"),
    ],
)
def test_a_closed_stream_is_named(line, code, first, world):
    done = shell(line, world.root)
    assert (done.returncode, said(done)) == (code, first)


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize(
    ("line", "code", "first"),
    [
        (f"{CLIPFT} --help > /dev/full", 7, "error: standard output: No space left on device"),
        (f"{CLIPFT} predict --help > /dev/full", 7, "error: standard output: No space left on device"),
        (f"{CLIPFT} --version > /dev/full", 7, "error: standard output: No space left on device"),
        (f"{CLIPFT} predict --nope 2> /dev/full", 2, ""),
        (f"{CLIPFT} prodict 2> /dev/full", 2, ""),
        (
            f"{CLIPFT} predict --nope --json > /dev/full",
            2,
            "error: --nope: no such option of `clipft predict`, did you mean '--top-k' or '--output'?",
        ),
        (f"{PREDICT}/x no.png --json > /dev/full", 5, "error: outputs/full/x: no such run or checkpoint"),
        (f"{PREDICT} no.png -o /dev/full", 7, "error: /dev/full: cannot be written: No space left on device"),
    ],
)
def test_a_full_stream_is_named(line, code, first, world):
    done = shell(line, world.root)
    assert (done.returncode, said(done)) == (code, first)


def test_a_pipe_given_by_name_is_written_in_place(world):
    done = shell(f"{PREDICT} no.png -o /dev/stdout | cat", world.root)
    assert done.stdout == "no.png\n  error: file not found\n"
    assert done.returncode == 0


def test_a_reader_that_leaves_early_is_no_failure(world):
    names = " ".join(f"no{n}.png" for n in range(3000))
    done = shell(f"set -o pipefail; {PREDICT} {names} -o /dev/stdout | head -1", world.root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "no0.png\n", done.stderr)
    assert said(done) == ""


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_what_a_log_holds_stays_where_it_is_appended_to(world, name):
    log = world.root / "log"
    log.write_text("before\n")
    shell(f"{PREDICT} no.png -o {name} >> log", world.root)
    assert log.read_text() == "before\nno.png\n  error: file not found\n"


def test_files_of_a_run_do_not_take_the_place_of_a_closed_stream(tmp_path):
    script = "import os, sys; from clipft_cli.cli.streams import settle_streams; settle_streams();"
    script += "open('x', 'w').fileno() > 2 or sys.exit(1)"
    assert shell(f'{sys.executable} -c "{script}" <&- >&- 2>&-', tmp_path).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to such a limit")
def test_too_little_address_space_is_told_before_a_library_ends_the_process(world):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))

    done = shell(f"{PREDICT} no.png", world.root, preexec_fn=limit)
    assert done.returncode == 7
    assert said(done).startswith("error: this process may use 1.00 GB of address space, torch alone needs ")
