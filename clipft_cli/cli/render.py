"""What a person sees: messages and progress on stderr, results on stdout, errors in two lines."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ..errors import ClipftError, InterruptedRun
from .options import Mode, mode_of
from .streams import need_standard_output, write_result

SLOW_IMPORT = 0.5
"""Seconds of silence after which it is said what is waited for, where no spinner can turn."""


class SafeConsole(Console):
    """Shows what a terminal would act on (escape sequences, a turn of the writing) as what it is: `\\x1b`."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Every text of every renderable comes through here; the console's own control codes are no text."""
        from ..engine.files.visible import visible_lines

        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible_lines(segment.text))


class Messages(SafeConsole):
    """Standard error. Where its reader has gone the work goes on unseen: nothing said may end a run."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Results(SafeConsole):
    """Standard output. Where its reader has gone (`| head`) there is nobody to work for."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Screen:
    """The two streams of one invocation. Text is never read as markup: file names may hold brackets."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.err = Messages(stderr=True, highlight=False, markup=False, emoji=False)
        self.out = Results(highlight=False, markup=False, emoji=False)

    @classmethod
    def of(cls, context: typer.Context) -> Screen:
        """The screen of the invocation `context` belongs to.

        Raises ResourceError where --json is asked for and standard output is closed.
        """
        mode = mode_of(context)
        if mode.as_json:
            need_standard_output()
        return cls(mode)

    @property
    def is_live(self) -> bool:
        """Whether progress may redraw lines: a terminal, and neither --quiet nor --json."""
        return self.err.is_terminal and not self.mode.quiet and not self.mode.as_json

    def say(self, text: str | Text | Table = "") -> None:
        """A message for a person; silent with --quiet."""
        if not self.mode.quiet:
            with contextlib.suppress(OSError):
                if isinstance(text, Table):
                    self.err.print(text)
                else:
                    print_prose(self.err, text)

    def warn(self, text: str) -> None:
        """A warning: shown with --quiet too."""
        with contextlib.suppress(OSError):
            print_warning(self.err, text)

    def warn_of(self, texts: Iterable[str]) -> None:
        """Several warnings, each shown with --quiet too."""
        for text in texts:
            self.warn(text)

    @contextlib.contextmanager
    def loading(self, *, with_torch: bool = True) -> Iterator[None]:
        """A block in which the heavy libraries are imported: seconds in which a screen would be empty."""
        from ..engine.machine.thread_waits import settle_threads

        settle_threads()
        told = f"loading the libraries{' (PyTorch and what it needs)' if with_torch else ''}"
        if self.is_live:
            with self.err.status(f"{told} ..."):
                yield
            return
        slow = threading.Timer(SLOW_IMPORT, lambda: self.say(told))
        slow.daemon = True
        slow.start()
        try:
            yield
        finally:
            slow.cancel()

    @contextlib.contextmanager
    def telling_of_stalls(self) -> Iterator[None]:
        """A block in which a file that does not come is named in a warning, for as long as it is waited for."""
        from ..engine.files.stalls import telling_of_stalls

        with telling_of_stalls(self.warn):
            yield

    def result(self, data: Mapping[str, Any], show: Callable[[Console], None]) -> None:
        """The result of the command: `data` as one JSON object with --json, else what `show` prints."""
        if self.mode.as_json:
            print_json(data)
        else:
            show(self.out)


def print_prose(console: Console, text: str | Text, style: str = "") -> None:
    """A sentence: broken between words on a terminal, on one line in a file or a pipe."""
    shown = text if isinstance(text, Text) else Text(text)
    console.print(shown, style=style, soft_wrap=not console.is_terminal)


def print_warning(console: Console, text: str) -> None:
    """What a person should know before going on."""
    print_prose(console, Text("warning: ", style="yellow") + Text(text))


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on stdout; numbers that are not finite become null, what a terminal acts on is escaped.

    Raises ResourceError where standard output is closed, OSError where it is full.
    """
    from ..engine.files.amounts import finite
    from ..engine.files.visible import json_escaped

    text = json.dumps(finite(data), ensure_ascii=False, default=str, allow_nan=False)
    write_result(json_escaped(text) + "\n")


def _headline(error: ClipftError) -> Text:
    if isinstance(error, InterruptedRun):
        return Text(error.message, style="yellow")
    return Text("error: ", style="bold red") + Text(error.message)


def show_error(error: ClipftError) -> None:
    """`error: what and where`, then `hint: the way out`, on standard error. A run that was saved is no error."""
    console = Messages(stderr=True, highlight=False, markup=False, emoji=False)
    print_prose(console, _headline(error))
    if error.hint:
        console.print(Text("hint: ", style="cyan") + Text(error.hint), soft_wrap=True)


def error_object(error: ClipftError, **facts: Any) -> dict[str, Any]:
    """A failure as --json shows it; `facts` stand in place of the kind's own."""
    return {
        "error": {
            "kind": error.kind,
            "exit_code": error.exit_code,
            "message": error.message,
            "hint": error.hint,
            **facts,
        }
    }
