"""One rule for the file that every command reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.cli.options import config_file

TOLD = "reading clipft.yaml (--config none: without it)"


@pytest.fixture
def said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return []


@pytest.mark.parametrize("word", ["none", "null", "None"])
def test_none_is_no_file(said, word):
    Path("clipft.yaml").write_text("")
    assert config_file(word, said.append) is None
    assert said == []


def test_the_file_of_the_folder_is_read_and_said(said):
    assert config_file(None, said.append) is None
    Path("clipft.yaml").write_text("")
    assert config_file(None, said.append) == Path("clipft.yaml")
    assert said == [TOLD]
    assert config_file("other.yaml", said.append) == Path("other.yaml")
    assert said == [TOLD]


@pytest.mark.parametrize(
    "words",
    [["train"], ["compare", "lora"], ["evaluate"], ["predict", "a.jpg"], ["prepare"], ["export"]],
    ids=lambda words: words[0],
)
def test_every_command_reads_it_and_says_so_before_anything_is_missed(said, words):
    Path("clipft.yaml").write_text("data:\n  dir: gone/away\n  nonsense: 1\n")
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == TOLD
    assert "clipft.yaml:3: data.nonsense: unknown key" in result.stderr
    without = CliRunner().invoke(app, [*words, "--config", "none", "--set", "seed=x"], env={"COLUMNS": "200"})
    assert TOLD not in without.stderr
    assert "nonsense" not in without.stderr


@pytest.mark.parametrize("words", [["train"], ["compare", "lora"]], ids=lambda words: words[0])
def test_what_it_names_is_what_is_missed(said, words):
    Path("clipft.yaml").write_text("data:\n  dir: gone/away\n")
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 3
    assert result.stderr.splitlines()[0] == TOLD
    assert "gone/away: no such data folder" in result.stderr
