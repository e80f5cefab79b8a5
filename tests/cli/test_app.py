"""The command group: every failure ends in two lines and an exit code of its kind."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from clipft_cli import errors
from clipft_cli.cli.app import ErrorBoundary, app
from clipft_cli.cli.options import AsJson, Debug

KINDS = errors.ClipftError.__subclasses__()


def app_that_raises(error: BaseException) -> typer.Typer:
    failing = typer.Typer(cls=ErrorBoundary, pretty_exceptions_enable=False)

    @failing.callback()
    def root() -> None:
        """A group, as clipft is."""

    @failing.command()
    def run(as_json: AsJson = False, debug: Debug = False) -> None:
        raise error

    return failing


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_of_error_has_its_exit_code_and_two_lines(kind):
    result = CliRunner().invoke(app_that_raises(kind("what [bold]and[/] where", hint="the way out")), ["run"])
    assert result.exit_code == kind.exit_code
    lead = "" if kind is errors.InterruptedRun else "error: "  # a stop that was asked for is none
    assert result.stderr == f"{lead}what [bold]and[/] where\nhint: the way out\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(28, "No space left on device", "/x/y"), 7, "error: /x/y: No space left on device"),
        (PermissionError(13, "Permission denied", "out"), 7, "error: out: Permission denied"),
        (ValueError("surprise"), 1, "error: ValueError: surprise"),
        (KeyboardInterrupt(), 130, "interrupted: what was not finished is not kept"),
    ],
    ids=["disk", "permission", "defect", "ctrl-c"],
)
def test_other_failures_end_in_a_line_too(error, code, line):
    result = CliRunner().invoke(app_that_raises(error), ["run"])
    assert result.exit_code == code
    assert result.stderr.splitlines()[0] == line
    assert "Traceback" not in result.stderr


def test_a_reader_that_leaves_is_no_failure():
    command = [sys.executable, "-m", "clipft_cli", "train", "--print-schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_defect_asks_for_a_report():
    result = CliRunner().invoke(app_that_raises(ZeroDivisionError("x")), ["run"])
    assert "this is a defect of clipft" in result.stderr


def test_debug_shows_where():
    result = CliRunner().invoke(app_that_raises(errors.DataError("x")), ["run", "--debug"])
    assert "Traceback" in result.stderr


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("clipft ")


def test_without_a_command_it_shows_help():
    result = CliRunner().invoke(app, [])
    assert "prepare" in result.output
    assert "Exit codes: 0 success" in " ".join(result.output.split())


@pytest.mark.parametrize("args", [["trian"], ["train", "--nope"], ["train", "--seed", "x"]])
def test_a_command_line_that_cannot_be_read_exits_with_2(args):
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
