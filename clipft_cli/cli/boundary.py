"""The error boundary: every failure a user can cause ends here, in two lines and an exit code."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import typer
from typer.core import TyperGroup

from ..errors import (
    SIGNAL_CODES,
    ClipftError,
    InterruptedRun,
    NoPermission,
    ResourceError,
    is_closed,
    is_out_of_memory,
    is_short_of_room,
)
from .guesses import usage_failure, with_near_path
from .interrupt import signals_raise
from .options import Mode, mode_of
from .render import error_object, print_json, show_error
from .streams import abandon_standard_output


class ErrorBoundary(TyperGroup):
    """A group whose commands may fail in any way.

    It sits in the group, since typer's test runner never passes through `app.main`.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **extra)
        except OSError as error:  # typer's own words about a wrong command line, on a stream that takes none
            abandon_standard_output()
            sys.exit(getattr(error.__context__, "exit_code", ResourceError.exit_code))

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        mode = Mode(as_json="--json" in args)
        with failures_told(lambda: mode, args):  # --help and --version are printed in here
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        from ..engine.machine.address_space import check_address_space

        with failures_told(lambda: mode_of(ctx), [*ctx._protected_args, *ctx.args]), signals_raise():
            check_address_space()
            return super().invoke(ctx)


@contextlib.contextmanager
def failures_told(mode: Callable[[], Mode], given: Sequence[str]) -> Iterator[None]:
    """A block of which each failure becomes a message and typer.Exit; `given` are the words of the command line."""
    try:
        yield
    except (typer.Exit, typer.Abort, SystemExit):
        raise
    except KeyboardInterrupt as error:
        saved = _saved_run(error, given)
        if saved is not None:
            _report(mode(), saved)
            raise typer.Exit(saved.exit_code) from None
        code = getattr(error, "exit_code", 130)
        _report_interruption(mode(), code)
        raise typer.Exit(code) from None
    except BrokenPipeError:
        abandon_standard_output()  # the reader of a pipe left (`clipft ... | head`): not a failure of ours
        raise typer.Exit(0) from None
    except Exception as error:
        if type(error).__module__.startswith(("typer", "click")):
            if not hasattr(error, "format_message") or not hasattr(error, "ctx"):
                raise
            error = usage_failure(error, given)
        failure = _failure(error)
        _report(replace(mode(), as_json=mode().as_json or "--json" in given), failure)
        raise typer.Exit(failure.exit_code) from None


def _saved_run(error: BaseException, given: Sequence[str]) -> InterruptedRun | None:
    """What to say of a signal that cost nothing: a second one after all was saved, one before a run went on."""
    before = error.__context__
    while before is not None:
        if isinstance(before, InterruptedRun):
            return before
        before = before.__context__
    if "--resume" not in given:
        return None
    from ..engine.files.visible import quoted

    again = " ".join(["clipft train", *(quoted(word) for word in given if word != "train")])
    return InterruptedRun("interrupted before the run went on; it is as it was saved", hint=f"go on with `{again}`")


def _failure(error: Exception) -> ClipftError:
    """What `error` is for who has to act on it."""
    if isinstance(error, ClipftError):
        return with_near_path(error)
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop from"):  # pathlib's, before Python 3.13
        path = str(error).partition("'")[2].rstrip("'")
        return ResourceError(f"{path}: is a link that leads back to itself", hint="remove it, or name another path")
    if is_short_of_room(error):
        return ResourceError(
            f"too little memory for the libraries that clipft needs: {_told_line(error)}",
            hint="see `ulimit -v` and `ulimit -u`, and the limits of the container or job",
        )
    if is_out_of_memory(error):
        return ResourceError(
            "out of memory",
            hint="try a smaller --set data.batch_size, `--set hardware.gradient_checkpointing=true`,"
            " `--method lora`, or a smaller model.name",
        )
    if isinstance(error, PermissionError) and isinstance(error.filename, str) and is_closed(error.filename):
        return NoPermission(error.filename)
    if isinstance(error, OSError):
        return ResourceError(_os_error_text(error), hint="check the path, its permissions and the free space")
    return ClipftError(
        f"{type(error).__name__}: {error}",
        hint="this is a defect of clipft: run again with --debug and report what it prints",
    )


def _told_line(error: Exception) -> str:
    """The line that says what failed, of the page that a library may make of it."""
    lines = str(error).splitlines()
    return next((line for line in lines if "failed to map" in line), lines[0] if lines else "")


def _os_error_text(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _report(mode: Mode, error: ClipftError) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone: the exit code tells it still
        if mode.debug:
            traceback.print_exc()
        show_error(error)
    if mode.as_json:
        _print_error_object(error_object(error))


def _report_interruption(mode: Mode, code: int) -> None:
    text = f"{SIGNAL_CODES[code]}: what was not finished is not kept"
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)
    if mode.as_json:
        _print_error_object(error_object(ClipftError(text), exit_code=code, kind=SIGNAL_CODES[code]))


def _print_error_object(content: dict[str, Any]) -> None:
    try:
        print_json(content)
    except (OSError, ResourceError):
        abandon_standard_output()
