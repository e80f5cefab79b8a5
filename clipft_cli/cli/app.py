"""The `clipft` command: its sub-commands, its one error boundary, `--version`."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import EXIT_CODES, SIGNAL_CODES, ClipftError, ConfigError, ResourceError, is_out_of_memory
from .interrupt import leave_if_interrupted, signals_raise
from .options import mode_of
from .render import error_object, print_json, show_error

COMMANDS = {
    "prepare": "Make a data set of images: checked, split, described.",
    "train": "Fine-tune a CLIP model on a prepared data set.",
    "evaluate": "Measure a fine-tuned model on a split.",
    "predict": "Classify images with a fine-tuned model.",
    "compare": "Say which method is worth its cost.",
}
"""Each command with its line in `clipft --help`; its file, of the same name, is imported when it is called."""


class ErrorBoundary(TyperGroup):
    """Every failure a user can cause ends here, in two lines and an exit code.

    It sits in the group, since typer's test runner never passes through `main()`.
    """

    def invoke(self, ctx: Any) -> Any:
        given = list(ctx.args)
        try:
            with signals_raise():
                return super().invoke(ctx)
        except ClipftError as error:
            _report(ctx, error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt as error:
            code = getattr(error, "exit_code", 130)
            _report_interruption(ctx, code)
            raise typer.Exit(code) from None
        except BrokenPipeError:
            # the reader of a pipe left (`clipft ... | head`): not a failure of ours
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            failure: ClipftError = ResourceError(
                _os_error_text(error), hint="check the path, its permissions and the free space"
            )
            _report(ctx, failure)
            raise typer.Exit(failure.exit_code) from None
        except (typer.Exit, typer.Abort, SystemExit):
            raise
        except Exception as error:
            if type(error).__module__.startswith(("typer", "click")):
                if "--json" in given and hasattr(error, "format_message"):
                    print_json(error_object(ConfigError(error.format_message())))
                raise  # usage errors: typer shows them, with exit code 2
            if is_out_of_memory(error):
                failure = ResourceError(
                    "out of memory",
                    hint="try a smaller --set data.batch_size, `--set hardware.gradient_checkpointing=true`,"
                    " `--method lora`, or a smaller model.name",
                )
                _report(ctx, failure)
                raise typer.Exit(failure.exit_code) from None
            failure = ClipftError(
                f"{type(error).__name__}: {error}",
                hint="this is a defect of clipft: run again with --debug and report what it prints",
            )
            _report(ctx, failure)
            raise typer.Exit(1) from None


def _report(ctx: Any, error: ClipftError) -> None:
    mode = mode_of(ctx)
    if mode.debug:
        traceback.print_exc()
    with contextlib.suppress(OSError):  # the terminal may be gone: the exit code tells it still
        show_error(error, mode)


def _report_interruption(ctx: Any, code: int) -> None:
    text = f"{SIGNAL_CODES[code]}: what was not finished is not kept"
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)
        if mode_of(ctx).as_json:
            print_json(error_object(ClipftError(text), exit_code=code, kind=SIGNAL_CODES[code]))


def _os_error_text(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


class Commands(ErrorBoundary):
    """The commands of COMMANDS, each imported when it is called: `clipft --help` pays for none."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(cmd_name)(getattr(module, cmd_name))
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    name="clipft",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Fine-tune CLIP on your own images: prepare, train, evaluate, predict, compare.",
    epilog="Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
)


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version  # a sixth of `clipft --help`

        try:
            typer.echo(f"clipft {version('clipft-cli')}")
        except PackageNotFoundError:
            typer.echo("clipft, not installed as a package")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Fine-tune CLIP on your own images: prepare, train, evaluate, predict, compare."""


def main() -> None:
    """Entry point of the `clipft` script."""
    # At exit the collector walks over all that torch and its kin have made, several times, to free what the
    # system takes back at once: a quarter of a second after the answer is there.
    atexit.register(gc.freeze)
    with contextlib.suppress(AttributeError):  # a name that the terminal's encoding lacks is no failure
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(prog_name="clipft")
    except SystemExit as end:
        leave_if_interrupted(end.code)
        raise


if __name__ == "__main__":
    main()
