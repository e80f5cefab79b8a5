"""A folder of reports appears and is replaced as a whole, or stays as it was."""

from __future__ import annotations

import os

import pytest

from clipft_cli.engine.files.publish import publish, staging_folder
from clipft_cli.errors import ResourceError


def test_an_evaluation_is_replaced_and_other_files_stay(tmp_path):
    target = tmp_path / "evaluation-test"
    for content in (b"old", b"new"):
        with staging_folder(target) as staging:
            publish(staging, {"a.txt": content, "results.json": content}, last="results.json")
        (target / "notes.txt").write_text("mine")
    assert sorted(os.listdir(target)) == ["a.txt", "notes.txt", "results.json"]
    assert (target / "a.txt").read_bytes() == (target / "results.json").read_bytes() == b"new"


def test_a_failed_evaluation_leaves_the_old_one_whole(tmp_path, monkeypatch):
    target = tmp_path / "evaluation-test"
    with staging_folder(target) as staging:
        publish(staging, {"a.txt": b"old", "results.json": b"old"}, last="results.json")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"), staging_folder(target) as staging:
        publish(staging, {"a.txt": b"new", "results.json": b"new"}, last="results.json")
    assert {name: (target / name).read_bytes() for name in os.listdir(target)} == {
        "a.txt": b"old",
        "results.json": b"old",
    }


def test_a_failed_first_evaluation_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="x"), staging_folder(tmp_path / "a" / "b"):
        raise ValueError("x")
    assert list(tmp_path.iterdir()) == []


def test_reports_cannot_go_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="is a file"), staging_folder(tmp_path / "file"):
        pass
