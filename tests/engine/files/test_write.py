"""What is written is there whole, or what was there before still is."""

from __future__ import annotations

import contextlib
import os

import pytest

from clipft_cli.engine.files.write import replaced_folder, write_text


def test_text_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    write_text(path, "one\n")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_text(path, "two\n")
    assert path.read_text() == "one\n"


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "checkpoint"
    with replaced_folder(target) as new:
        (new / "a").write_text("one")
    with contextlib.suppress(OSError), replaced_folder(target) as new:
        (new / "a").write_text("tw")
        raise OSError("disk full")
    assert (target / "a").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    with replaced_folder(target) as new:
        (new / "b").write_text("three")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
