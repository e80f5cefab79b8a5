"""A result file is there when it is whole; what is no regular file is written in place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipft_cli.engine.files.output_file import replaced_file


def test_an_output_file_is_replaced_at_the_end_only(tmp_path):
    path = tmp_path / "new" / "predictions.txt"
    with replaced_file(path) as write:
        write("one")
        assert not path.exists()
    with pytest.raises(OSError, match="full"), replaced_file(path) as write:
        write(_fail("two"))
    assert path.read_text() == "one"
    assert os.listdir(path.parent) == ["predictions.txt"]


def _fail(text: str) -> str:
    raise OSError(28, f"full: {text}")


def test_a_device_stays_a_device():
    with replaced_file(Path(os.devnull)) as write:
        write("gone")
    assert not os.path.isfile(os.devnull)


def test_a_pipe_under_a_name_is_written_in_place():
    """`-o /dev/stdout | cat`: /dev/fd/N is a link whose target has no name in the file system."""
    reader, writer = os.pipe()
    with replaced_file(Path(f"/dev/fd/{writer}")) as write:
        write("text\n")
    os.close(writer)
    with open(reader) as file:
        assert file.read() == "text\n"
