"""Reading one YAML file: values, and the line each key stands on."""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, NoPermission

Path_ = tuple[str, ...]
MAX_BYTES = 1 << 20


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, and aliases (a few lines of them can fill the memory)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(
                None, None, "aliases (*name) are not supported", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key}' is given twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[Path_, int]]:
    """The mapping in `path`, and the line (from 1) of each key path in it.

    Raises ConfigError where the file is missing, unreadable, too large, or no YAML mapping.
    """
    text = _read_text(path)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}{_place(error)}: {_reason(error, text)}",
            hint="a line is `key: value`; what belongs to a section is indented below it",
        ) from None
    if node is None or value is None:
        return {}, {}
    if not isinstance(value, dict):
        raise ConfigError(
            f"{path}: expected keys with values, found a {type(value).__name__}",
            hint="a minimal file is `data: {dir: data/dogs}`",
        )
    lines: dict[Path_, int] = {}
    _collect_lines(node, (), lines)
    return value, lines


def _read_text(path: Path) -> str:
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            content = file.read(MAX_BYTES + 1)
            if not content and stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{path}: is a pipe into which nothing writes")
        if len(content) > MAX_BYTES:
            raise ConfigError(f"{path}: larger than 1 MiB, which no configuration is")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file", hint="`clipft prepare` writes a starter clipft.yaml") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, a YAML file is needed") from None
    except PermissionError:
        raise NoPermission(path) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody writes into is empty, instead of waited for; one of `<(...)` has its writer already."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "set_blocking"):
        os.set_blocking(descriptor, True)
    return descriptor


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _reason(error: Exception, text: str) -> str:
    """What is wrong in words; the parser's own where nothing better is known."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    problem = str(getattr(error, "problem", None) or str(error).splitlines()[0])
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    number = min(mark.line, len(lines) - 1) if mark is not None and lines else 0
    line = lines[number] if lines else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"line {number + 1} is indented by a tab; use blanks"
    if told := _of_indentation(lines, number, problem):
        return told
    for part, words in _IN_WORDS.items():
        if part in problem:
            return words
    return f"not valid YAML: {problem}"


_IN_WORDS = {
    "could not find expected ':'": "a key without a colon: it is written `key: value`",
    "found unexpected end of stream": "a quote or a bracket that is opened and not closed",
    "while scanning a quoted scalar": "a quote that is opened and not closed",
    "expected ',' or ']'": "a list in brackets that is not closed, or lacks a comma: `[a, b]`",
    "expected ',' or '}'": "a mapping in braces that is not closed, or lacks a comma: `{a: 1, b: 2}`",
    "found character '@'": "a value that begins with @ or `: put it in quotes",
    "found character '`'": "a value that begins with @ or `: put it in quotes",
    "found character '%'": "a value that begins with %: put it in quotes",
    "found unknown escape character": "a backslash in double quotes: use single quotes",
    "special characters are not allowed": "a control character, which no text has",
    "expected a single document": "a second document after `---`: one is read",
}


def _of_indentation(lines: list[str], number: int, problem: str) -> str | None:
    """Where a line does not stand below its section, in words."""
    told_of_blocks = ("mapping values are not allowed", "expected <block end>", "did not find expected key")
    if not any(part in problem for part in told_of_blocks) or not lines:
        return None
    speaking = [n for n in range(number) if lines[n].strip() and not lines[n].lstrip().startswith("#")]
    if speaking:
        above = speaking[-1]
        here, there = (len(lines[n]) - len(lines[n].lstrip()) for n in (number, above))
        if here > there:
            return f"line {number + 1} is indented deeper than line {above + 1}, which is no section: it has a value"
        if here < there:
            return f"line {number + 1} is indented less than line {above + 1}, and as no line above it"
        if ":" not in lines[above]:
            return f"line {above + 1} has no colon: a key is written `key: value`"
    if lines[number].lstrip().startswith("- "):
        return f"line {number + 1} is an item of a list, and stands among keys"
    if lines[number].count(":") > 1:
        return "two keys in one line, or a value with a colon and a blank in it: put the value in quotes"
    return None


def _collect_lines(node: yaml.Node, path: Path_, lines: dict[Path_, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            lines[here] = key.start_mark.line + 1
            _collect_lines(value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            here = (*path, str(i))
            lines[here] = item.start_mark.line + 1
            _collect_lines(item, here, lines)
