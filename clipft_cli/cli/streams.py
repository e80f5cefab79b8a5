"""Standard input, output and error as a caller may leave them: closed, on a full disk, without a reader."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO, cast

from ..errors import ConfigError, ResourceError


def settle_streams() -> None:
    """Once, before anything is opened.

    A closed stream leaves its number to the next file that is opened, and what a library then prints would be
    written into it: the null device takes its place. What Python holds for it stays None, which says that it is closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # takes the lowest free number, this one; writing there fails
    if isinstance(sys.stdout, io.TextIOWrapper):
        is_line_buffered, encoding = sys.stdout.line_buffering, sys.stdout.encoding
        # a name that the terminal's encoding lacks is no failure
        sys.stdout = _StandardOutput(sys.stdout.detach(), encoding, "backslashreplace", line_buffering=is_line_buffered)


class _StandardOutput(io.TextIOWrapper):
    """Says what it is where it fails: the system names no file."""

    def write(self, text: str) -> int:
        with _named("standard output"):
            return super().write(text)

    def flush(self) -> None:
        with _named("standard output"):
            super().flush()


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = error.filename or name
        raise


def write_result(text: str) -> None:
    """A result, at once, on standard output. Raises ResourceError where that is closed, OSError where it is full."""
    need_standard_output()
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def need_standard_output() -> None:
    """Raises ResourceError where a result that goes nowhere else would be lost."""
    if sys.stdout is None:
        raise ResourceError(
            "standard output is closed: the result has nowhere to go",
            hint="leave it open, or send it to a file: `clipft ... > result.txt`",
        )


def standard_input() -> BinaryIO:
    """What is piped in, as bytes. Raises ConfigError where it is closed."""
    if sys.stdin is None:
        raise ConfigError("standard input is closed", hint="name the images, or pipe a list of them in")
    return cast(BinaryIO, sys.stdin.buffer)


def abandon_standard_output() -> None:
    """What is still waiting to be written, and cannot be, goes nowhere: the end of the process would try it again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
