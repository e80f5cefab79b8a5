"""Folders that clipft is given may hold other people's files: every one of them is there afterwards, bit for bit."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.config.cache import CacheConfig
from clipft_cli.engine.files.cache_files import CacheFiles, cache_folder
from clipft_cli.engine.files.write import write_text
from clipft_cli.engine.frozen.feature_cache import FeatureCache
from clipft_cli.engine.run_dir import RunDir
from clipft_cli.engine.train import train

NAMES = (
    "model.safetensors",
    f"{'a' * 63}.safetensors",
    f"{'A' * 64}.safetensors",
    f"{'b' * 64}.safetensors.bak",
    "photo.pixels",
    ".half.tmp",
    ".swap.123.tmp",
    ".notes.old",
    ".notes.removed",
    ".evaluation.1.tmp",
    "step-notes.txt",
    "checkpoint-epoch-2.zip",
    "manifest.jsonl.bak",
    "README.txt",
    ".frozen-notes.tmp",
)


def fill(folder: Path) -> dict[Path, bytes]:
    """Foreign files of every name that a careless pattern would match, old and large, in `folder` and below."""
    kept = {}
    for place in (folder, folder / "features", folder / ".kept.tmp", folder / "checkpoint-epoch-9.old"):
        place.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (place / name).write_bytes(name.encode() * 1000)
            os.utime(place / name, (1, 1))
            kept[place / name] = name.encode() * 1000
    return kept


def is_all_there(kept: dict[Path, bytes]) -> bool:
    return all(path.is_file() and path.read_bytes() == content for path, content in kept.items())


def test_a_cache_bounds_its_own_files_alone(tmp_path):
    cache = CacheFiles(tmp_path, ".safetensors", 64)
    kept = fill(tmp_path)
    link = cache.path("d" * 64)
    link.symlink_to(tmp_path / "model.safetensors")
    own, left = cache.path("c" * 64), tmp_path / f".{'c' * 64}.safetensors.12-00ff00ff.tmp"
    for path in (own, left):
        path.write_bytes(b"own")
        os.utime(path, (1, 1))
    cache.sweep()
    cache.make_room(0)
    assert not own.exists()
    assert not left.exists()
    assert link.is_symlink()
    assert is_all_there(kept)


def test_a_given_cache_folder_is_used_below_a_folder_of_its_own(tiny, tmp_path):
    kept = fill(tmp_path / "weights")
    settings = {"cache.dir": tmp_path / "weights", "cache.features_gb": 1e-5}
    train(tiny.config("linear_probe", tmp_path / "run", settings), lambda event: None)
    assert is_all_there(kept)
    of_config = FeatureCache.of(CacheConfig(dir=tmp_path / "weights"), "model")
    assert of_config.folder == tmp_path / "weights" / "clipft-features"
    assert list(of_config.folder.iterdir()) != []


def test_the_cache_folder_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "clipft"


def test_a_resumed_run_clears_what_a_run_leaves_and_nothing_else(tmp_path):
    kept = fill(tmp_path) | fill(tmp_path / "resume")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "file").write_text("x")
    (tmp_path / ".checkpoint-epoch-4.removed").symlink_to(outside)
    for name in (".checkpoint-epoch-1.tmp", ".checkpoint-final.old", "checkpoint-final"):
        (tmp_path / name).mkdir()
    for name in (".metrics.jsonl.3.tmp", ".metrics.jsonl.3-0a0a0a0a.tmp", ".frozen-a1b2c3d4.tmp"):
        (tmp_path / name).write_text("half")
    RunDir(tmp_path).sweep()
    assert is_all_there(kept)
    assert (outside / "file").is_file()
    own = (".checkpoint-epoch-1.tmp", ".checkpoint-final.old", ".metrics.jsonl.3.tmp", ".frozen-a1b2c3d4.tmp")
    assert [name for name in own if (tmp_path / name).exists()] == []


def test_a_whole_file_takes_no_other_ones_place(tmp_path):
    kept = fill(tmp_path)
    other = tmp_path / f".metrics.jsonl.{os.getpid()}.tmp"
    other.write_bytes(b"of another program")
    write_text(tmp_path / "metrics.jsonl", "text")
    assert other.read_bytes() == b"of another program"
    assert is_all_there(kept)


@pytest.fixture
def run(tiny, tmp_path):
    return train(tiny.config("zero_shot", tmp_path / "run"), lambda event: None).checkpoint


def test_every_command_leaves_foreign_files_where_it_writes(tiny, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = fill(tmp_path / "here")
    for name in ("outputs", "data", "data/dogs"):
        kept |= fill(tmp_path / name)
    given = [str(tiny.data), str(run), str(next((tiny.data / "test").rglob("*.jpg")))]
    for args in (
        ["prepare", given[0], "-o", "here"],
        ["prepare", given[0], "--in-place", "-o", "here"],
        ["train", "-m", "zero_shot", "-d", given[0], "-o", "here", "--set", "model.name=clipft-tiny"],
        ["evaluate", "--checkpoint", given[1], "-o", "here"],
        ["predict", "--checkpoint", given[1], given[2], "-o", "here/answers.csv"],
        ["compare", given[1], str(run.parent), "-o", "here", "--no-train"],
    ):
        with contextlib.suppress(SystemExit):
            CliRunner().invoke(app, args)
        assert is_all_there(kept), args
