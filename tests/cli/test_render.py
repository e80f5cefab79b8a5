"""What is printed is text: no name can act on the terminal that shows it."""

from __future__ import annotations

import json

import pytest
from rich.console import Console
from rich.table import Table

from clipft_cli.cli.options import Mode
from clipft_cli.cli.render import Screen, print_json, print_prose, show_error
from clipft_cli.errors import DataError

EVIL = "\x1b]0;owned\x07\x1b[2Jcat\u202egpj.\x9b31m \udcff"
SEEN = "\\x1b]0;owned\\x07\\x1b[2Jcat\\u202egpj.\\x9b31m \\xff"


def in_a_table() -> Table:
    table = Table(box=None)
    table.add_column("name", no_wrap=True, min_width=80)
    table.add_row(EVIL)
    return table


@pytest.mark.parametrize("way", ["say", "warn", "error", "hint", "table"])
def test_a_name_does_nothing_to_a_terminal(capsys, monkeypatch, way):
    monkeypatch.setenv("COLUMNS", "200")
    screen = Screen(Mode())
    {
        "say": lambda: screen.say(EVIL),
        "warn": lambda: screen.warn(EVIL),
        "error": lambda: show_error(DataError(EVIL)),
        "hint": lambda: show_error(DataError("x", hint=EVIL)),
        "table": lambda: screen.out.print(in_a_table()),
    }[way]()
    shown = "".join(capsys.readouterr())
    assert SEEN.replace("\\x07", "") in shown or SEEN in shown
    assert all(char.isprintable() for char in shown.replace("\n", ""))


def test_lines_stay_lines(capsys):
    Screen(Mode()).say("one\ntwo")
    assert capsys.readouterr().err == "one\ntwo\n"


def test_a_sentence_breaks_between_words_on_a_terminal_and_nowhere_else(capsys):
    for is_terminal in (True, False):
        print_prose(Console(force_terminal=is_terminal, width=15, no_color=True), "a sentence of many words")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["a sentence of", "many words", "a sentence of many words"]


def test_json_is_the_same_and_all_of_it_can_be_seen(capsys):
    print_json({"name": EVIL, "dog": "\U0001f436"})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": EVIL, "dog": "\U0001f436"}
    assert all(char.isprintable() for char in printed.rstrip("\n"))
    assert "\U0001f436" in printed
