"""The `clipft` command: its sub-commands, `--version`, `main`."""

from __future__ import annotations

import atexit
import gc
import importlib
from typing import Annotated, Any

import typer

from ..errors import EXIT_CODES
from .boundary import ErrorBoundary
from .interrupt import leave_if_interrupted, settle_ending
from .streams import settle_streams, write_result

COMMANDS = {
    "prepare": "Make a data set of images: checked, split, described.",
    "train": "Fine-tune a CLIP model on a prepared data set.",
    "evaluate": "Measure a fine-tuned model on a split.",
    "predict": "Classify images with a fine-tuned model.",
    "compare": "Say which method is worth its cost.",
    "export": "Write a fine-tuned model in a format that others use, checked.",
    "serve": "Answer over HTTP with an ONNX export.",
    "help": "Explain a command, a key of the configuration, or a preset.",
    "info": "List the runs, or tell of one.",
    "doctor": "Tell of this machine and installation, to paste into a report.",
    "cache": "Tell what clipft keeps for later runs, and clear it.",
}
"""Each command with its line in `clipft --help`; its file, of the same name, is imported when it is called."""


HELP = {"help_option_names": ["-h", "--help"]}
SUMMARY = f"Fine-tune CLIP on your own images: {', '.join(COMMANDS)}."


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
    help=SUMMARY,
    epilog="Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
)


def _show_version(value: bool) -> None:
    if value:
        import platform
        from importlib.metadata import PackageNotFoundError, version  # a sixth of `clipft --help`

        parts = []
        for name, package in (("clipft", "clipft-cli"), ("torch", "torch"), ("open_clip", "open_clip_torch")):
            try:
                parts.append(f"{name} {version(package)}")
            except PackageNotFoundError:
                parts.append(f"{name} not installed as a package")
        parts.append(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
        typer.echo(", ".join(parts))
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the versions and exit; `clipft doctor` tells more.",
        ),
    ] = False,
) -> None:
    # no docstring, which would take the place of the summary
    if context.invoked_subcommand is None:
        write_result(context.get_help() + "\n")


def main() -> None:
    """The command, from its arguments to its exit code."""
    # At exit the collector walks over all that torch and its kin have made, several times, to free what the
    # system takes back at once: a quarter of a second after the answer is there.
    atexit.register(gc.freeze)
    settle_streams()
    try:
        app(prog_name="clipft")
    except SystemExit as end:
        leave_if_interrupted(end.code)
        settle_ending(end.code)
        raise


if __name__ == "__main__":
    main()
