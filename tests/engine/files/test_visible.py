"""Words of a command, as a shell reads them."""

from __future__ import annotations

import os

import pytest
from pasting import words_of

from clipft_cli.engine.files.visible import display_width, padded, quoted, visible


@pytest.mark.skipif(os.name == "nt", reason="bash is needed")
def test_any_word_is_read_back_by_bash_and_nothing_in_it_is_invisible() -> None:
    words = [
        "plain",
        "two words",
        "it's",
        "a\nb",
        "\u200bcat",
        "tab\t'\\x0a",
        "$HOME`ls`",
        "\udce9t\udce9",
        "\x1b[31m",
        "",
    ]
    command = " ".join(map(quoted, words))
    assert visible(command) == command
    assert words_of(command) == words


def test_what_cannot_be_seen_is_written_out():
    assert visible("a\x1b[2Jb\udcff\u202e") == "a\\x1b[2Jb\\xff\\u202e"
    assert display_width(padded("犬" * 40, 9)) == 9
