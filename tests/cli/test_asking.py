"""A question is asked at a terminal, and refused with commands where nobody sits at one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_pictures import class_folders
from terminal import CLIPFT, at_a_terminal

pytest.importorskip("pty")


@pytest.fixture(autouse=True)
def two_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for k, variant in enumerate(("augmented", "original")):
        class_folders(Path("pets") / variant, 6, start=10_000 * k)


def test_elsewhere_each_reading_is_a_command_that_works() -> None:
    refused = subprocess.run(
        [*CLIPFT, "prepare", "pets"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert refused.returncode == 3
    commands = [line.strip() for line in refused.stderr.splitlines() if line.strip().startswith("clipft prepare")]
    assert len(commands) == 4
    run = f"{sys.executable} -m clipft_cli {commands[2].removeprefix('clipft ')} --plan"
    chosen = subprocess.run(run, shell=True, capture_output=True, text=True, check=True)
    assert "6 (original/cat/0.jpg)" in chosen.stdout


def test_a_number_chooses_and_the_command_is_shown() -> None:
    code, shown = at_a_terminal("9\n2\n", "prepare", "pets", "--plan")
    assert code == 0
    assert "Which is meant?" in shown
    assert "6 (augmented/cat/0.jpg)" in shown
    assert "--paths 'augmented/{class}'" in shown


def test_none_of_them_is_the_refusal() -> None:
    code, shown = at_a_terminal("0\n", "prepare", "pets")
    assert code == 3
    assert "can be read in more than one way" in shown
    assert not Path("data").exists()


def test_with_json_nobody_is_asked() -> None:
    code, shown = at_a_terminal("1\n", "prepare", "pets", "--json")
    assert code == 3
    assert "Which is meant?" not in shown
