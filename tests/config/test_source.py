"""A file that is no YAML is refused in words."""

from __future__ import annotations

import pytest

from clipft_cli.config.source import read_yaml
from clipft_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("method: lora\n  data: {dir: x}\n", ":2: line 2 is indented deeper than line 1, which is no section"),
        ("data:\n    dir: x\n  batch_size: 3\n", ":3: line 3 is indented less than line 2, and as no line above it"),
        ("data:\n\tdir: x\n", ":2: line 2 is indented by a tab; use blanks"),
        ("method lora\nseed: 3\n", ":2: line 1 has no colon: a key is written `key: value`"),
        ("data: dir: x\n", ":1: two keys in one line, or a value with a colon"),
        ("method: lora\n- x\n", ":2: line 2 is an item of a list, and stands among keys"),
        ("lora: {r: 3\nseed: 3\n", ":2: a mapping in braces that is not closed, or lacks a comma"),
        ("a: [1, 2\nseed: 3\n", ":2: a list in brackets that is not closed, or lacks a comma"),
        ('data: {dir: "x\n', ": a quote or a bracket that is opened and not closed"),
        ("a: @x\n", ":1: a value that begins with @ or `: put it in quotes"),
        ('a: "\\q"\n', ":1: a backslash in double quotes: use single quotes"),
    ],
)
def test_words_for_what_is_wrong(tmp_path, text, told):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_yaml(file)
    assert refused.value.message.startswith(f"{file}:")
    assert told in refused.value.message
    assert "block" not in refused.value.message
