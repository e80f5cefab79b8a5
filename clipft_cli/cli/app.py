"""The `clipft` command: its sub-commands, `--version`, `main`."""

from __future__ import annotations

import atexit
import gc
import importlib
from typing import Annotated, Any

import typer

from ..errors import EXIT_CODES
from .boundary import ErrorBoundary
from .interrupt import leave_if_interrupted
from .streams import settle_streams, write_result

COMMANDS = {
    "prepare": "Make a data set of images: checked, split, described.",
    "train": "Fine-tune a CLIP model on a prepared data set.",
    "evaluate": "Measure a fine-tuned model on a split.",
    "predict": "Classify images with a fine-tuned model.",
    "compare": "Say which method is worth its cost.",
    "export": "Write a fine-tuned model in a format that others use, checked.",
    "help": "Explain a command, a key of the configuration, or a preset.",
}
"""Each command with its line in `clipft --help`; its file, of the same name, is imported when it is called."""


HELP = {"help_option_names": ["-h", "--help"]}


class Commands(ErrorBoundary):
    """The commands of COMMANDS, each imported when it is called: `clipft --help` pays for none."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(cmd_name, context_settings=HELP)(getattr(module, cmd_name))
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    name="clipft",
    cls=Commands,
    invoke_without_command=True,
    context_settings=HELP,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Fine-tune CLIP on your own images: prepare, train, evaluate, predict, compare, export.",
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
    context: typer.Context,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Fine-tune CLIP on your own images: prepare, train, evaluate, predict, compare, export."""
    if context.invoked_subcommand is None:
        write_result(context.get_help() + "\n")


def main() -> None:
    """Entry point of the `clipft` script."""
    # At exit the collector walks over all that torch and its kin have made, several times, to free what the
    # system takes back at once: a quarter of a second after the answer is there.
    atexit.register(gc.freeze)
    settle_streams()
    try:
        app(prog_name="clipft")
    except SystemExit as end:
        leave_if_interrupted(end.code)
        raise


if __name__ == "__main__":
    main()
