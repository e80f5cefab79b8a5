"""Of any tree of folders: the command of its reading, or of each that is asked about, reads that when pasted."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pasting import words_of
from prepare_cases import config
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.prepare import plan
from clipft_cli.errors import ClipftError, Question

WORDS = ("train", "Test", "val", "seg_train", "0", "1", "2", "cat", "dog", "owl", "images", "masks", "original")
NAMES = st.one_of(
    st.sampled_from(WORDS),
    st.text("a0 _-{}*?[]()'\"\\~$!#&;.\u00e9\u0301\u200b\n|,=", min_size=1, max_size=4).filter(
        lambda name: name.strip(".") and not name.startswith(".")
    ),
)
LEVEL = st.lists(NAMES, min_size=1, max_size=3, unique_by=str.casefold)


def pasted(command: str) -> tuple[int, str, dict]:
    """Exit code, what was said and the plan of a command, as a shell would run it."""
    words = words_of(command)
    assert words[0] == "clipft"
    done = CliRunner().invoke(app, [*words[1:], "--plan", "--json", "--config", "none"])
    return done.exit_code, done.output, json.loads(done.stdout) if done.exit_code == 0 else {}


@settings(max_examples=50, deadline=None)
@given(LEVEL, LEVEL, st.lists(st.lists(NAMES, max_size=2), min_size=3, max_size=3))
def test_the_command_of_any_reading_reads_the_same(above: list[str], inside: list[str], tails: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for top in above:
            for name, tail in zip(inside, tails, strict=False):
                place = Path("a set", top, name, *tail)
                place.mkdir(parents=True, exist_ok=True)
                (place / "1.jpg").write_bytes(b"")
        refusal = ""
        try:
            reading = plan(config(source="a set"))
        except Question as question:
            for command in question.commands:
                code, said, _ = pasted(command)
                assert code in (0, 3), said
                assert "no image fits" not in said, (command, said)
                assert "more than one way" not in said, (command, said)
        except ClipftError as error:
            refusal = str(error)
        else:
            code, said, again = pasted(reading.command)
            assert code == 0, (reading.command, said)
            assert again["classes"] == json.loads(json.dumps(reading.to_json()))["classes"]
        assert "no class folders with images" not in refusal
