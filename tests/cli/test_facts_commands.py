"""`clipft info`, `clipft doctor` and `clipft cache`: what they print, and that they need no torch for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fresh_process import modules_loaded_by
from typer.testing import CliRunner

from clipft_cli.cli.app import app


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def invoke(*args: str):
    return CliRunner().invoke(app, args, env={"COLUMNS": "100"})


def test_info_lists_the_runs_and_tells_of_one(tmp_path: Path) -> None:
    Path("outputs/a").mkdir(parents=True)
    Path("outputs/a/config.yaml").write_text("method: linear_probe\n")
    Path("outputs/a/summary.json").write_text(json.dumps({"best": {"top1": 0.875}, "epochs": 2}))
    listed = invoke("info")
    assert listed.exit_code == 0
    assert listed.stdout.splitlines()[1].split()[:6] == ["outputs/a", "linear_probe", "87.5%", "not", "measured", "2"]
    assert json.loads(invoke("info", "--json").stdout)["runs"][0]["best_val"] == 0.875
    one = invoke("info", "outputs/a")
    assert "next: clipft evaluate --checkpoint outputs/a" in one.stdout
    assert invoke("info", "outputs/b").exit_code == 5


def test_doctor_is_a_block_to_paste() -> None:
    done = invoke("doctor")
    assert done.exit_code == 0
    assert [line.split(":")[0] for line in done.stdout.splitlines()][:4] == [
        "packages",
        "extras not installed",
        "Python",
        "system",
    ]
    assert json.loads(invoke("doctor", "--json").stdout)["python"]


def test_cache_says_where_and_clears(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "clipft" / "features" / f"{'a' * 64}.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(2000))
    assert f"features: 1 file, 2.0 kB in {file.parent}" in invoke("cache").stdout
    done = invoke("cache", "--clear", "--json")
    assert json.loads(done.stdout)["freed_bytes"] == 2000
    assert not file.exists()


def test_the_version_names_what_a_report_needs() -> None:
    said = invoke("--version").stdout
    assert said.startswith("clipft ")
    for what in ("torch ", "open_clip ", "Python "):
        assert what in said


@pytest.mark.parametrize("command", [["info"], ["cache"], ["--version"]])
def test_facts_come_without_torch(command: list[str], tmp_path: Path) -> None:
    Path("outputs/a").mkdir(parents=True)
    Path("outputs/a/config.yaml").write_text("method: lora\n")
    code, loaded = modules_loaded_by(*command, folder=tmp_path)
    assert code == 0
    assert "torch" not in loaded
