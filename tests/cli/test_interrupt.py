"""What a signal costs, said truly: nothing where a run is saved, or had not gone on yet."""

from __future__ import annotations

import pytest
import typer

from clipft_cli.cli.boundary import failures_told
from clipft_cli.cli.interrupt import Interrupted
from clipft_cli.cli.options import Mode
from clipft_cli.errors import InterruptedRun


def told(given: list[str], error: BaseException, capsys) -> tuple[int, str]:
    with pytest.raises(typer.Exit) as ended, failures_told(Mode, given):
        raise error
    return ended.value.exit_code, capsys.readouterr().err


def test_before_a_run_goes_on_it_is_as_it_was_saved(capsys):
    code, said = told(["train", "--resume", "my run"], Interrupted(2), capsys)
    assert code == 75
    assert said.startswith("interrupted before the run went on; it is as it was saved\n")
    assert "go on with `clipft train --resume 'my run'`" in said


def test_a_second_signal_on_the_way_out_changes_nothing_that_is_said(capsys):
    second = Interrupted(2)
    second.__context__ = InterruptedRun("interrupted after step 80; everything up to it is saved", hint="go on")
    assert told([], second, capsys) == (75, "interrupted after step 80; everything up to it is saved\nhint: go on\n")


def test_where_nothing_was_saved_it_says_so(capsys):
    assert told([], Interrupted(15), capsys) == (143, "terminated: what was not finished is not kept\n")
