r"""A layout of folders in one line, as `--paths` takes it and as every guess is written: `{split}/{class}`.

`*` is any text of one folder or file name, `**` any number of folders, `?` one character. `{class}`, `{split}` and
`{group}` are names that count, as much of a name as fits; `{group:clip\d+}` is a regular expression, which may reach
over several folders, and `{:...}` one whose text does not count. A field that stands twice is the same text twice.

A template whose last part has `*`, `?` or a dot names files; any other ends at a folder, and everything below belongs
to it. Where nothing fits that way the other is tried, so that `{class}_{group}` may name files too.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import ConfigError
from ..files.visible import shown

FIELDS = ("class", "split", "group")
_SPECIAL = re.compile(r"[{}*?\\]")
_ANY = r"[^/]+"
_SUFFIX = r"\.[^/.]+"


@dataclass(frozen=True)
class Template:
    """A template, read: its fields, and two patterns in the order in which they are tried."""

    text: str
    fields: frozenset[str]
    forms: tuple[re.Pattern[str], re.Pattern[str]]
    files_first: bool = False
    """Whether the first pattern is that of the names of files."""

    def down_to(self, name: str) -> re.Pattern[str] | None:
        """The pattern of the folder that field `name` stands in; None where it stands in the name of a file."""
        parts = _parts(self.text)
        level = next((n for n, part in enumerate(parts, start=1) if re.search(rf"\{{{name}[:}}]", part)), None)
        if level is None or (level == len(parts) and _names_a_file(parts[-1])):
            return None
        pieces = [_pattern(token, set(), self.text)[0] for token in _tokens("/".join(parts[:level]), self.text)]
        return _compiled("".join(pieces), self.text)

    def places(self, paths: Iterable[str]) -> dict[str, str]:
        """For class, split and group, as these paths fit: at which level of folders it stands, or that it is in the
        file's name.
        """
        parts = _parts(self.text)
        is_file = (self.form(paths) is self.forms[0]) == self.files_first
        found: dict[str, str] = {}
        for level, part in enumerate(parts, start=1):
            place = "the name of the file" if level == len(parts) and is_file else f"folder {level} of the path"
            found |= {name: place for name in FIELDS if re.search(rf"\{{{name}[:}}]", part)}
        return found

    def form(self, paths: Iterable[str]) -> re.Pattern[str]:
        """The pattern for these paths: the first where it fits any of them, else the second."""
        return self.forms[0] if any(match(self.forms[0], path) for path in paths) else self.forms[1]


def _parts(text: str) -> list[str]:
    return re.split(r"/(?![^{]*\})", text.strip("/"))


def _names_a_file(part: str) -> bool:
    """Whether the last part of a template is for the names of files."""
    return bool(re.search(r"[*?.]|\{:", part)) and not part.startswith("{class}")


def match(pattern: re.Pattern[str], path: str) -> dict[str, str] | None:
    """The fields of a path such as `train/cat/1.jpg`, relative to the source; None where it does not fit."""
    found = pattern.fullmatch(unicodedata.normalize("NFC", path))
    return found.groupdict() if found else None


def literal(text: str) -> str:
    """A name as part of a template: what would mean something there, or cannot be seen, stands as `?`."""
    clean = unicodedata.normalize("NFC", text)
    plain = "".join("?" if _SPECIAL.match(char) or not char.isprintable() else char for char in clean)
    return re.sub(r"^\s|\s$", "?", plain)  # blanks at the ends of a template do not count


def parse_template(text: str) -> Template:
    """The template of `text`. Raises ConfigError that says what is wrong in it."""
    clean = unicodedata.normalize("NFC", text).strip().strip("/").removeprefix("./")
    fields: set[str] = set()
    pieces, last, is_name = [], "", False
    for token in _tokens(clean, text):
        piece, is_name = _pattern(token, fields, text)
        pieces.append(piece)
        last = "" if token.endswith("/") else last + ("" if is_name else token)
    if "class" not in fields:
        raise _wrong(text, "names no class", "write {class} where the name of the class stands: '{class}/*'")
    pattern = "".join(pieces)
    names_files = re.search(r"[*?.]", last)
    folders = _compiled(pattern + "/.+", text)
    files = _compiled(pattern + ("" if names_files else _SUFFIX), text)
    return Template(text, frozenset(fields), (files, folders) if names_files else (folders, files), bool(names_files))


def _tokens(clean: str, text: str) -> Iterable[str]:
    """Fields with their braces, `**/`, `**`, `*`, `?`, a slash, and runs of plain text."""
    at = 0
    while at < len(clean):
        if clean[at] == "{":
            end = _closing(clean, at, text)
        else:
            found = re.compile(r"\*\*/|\*\*|[*?/]|[^{}*?/]+|\}").match(clean, at)
            assert found
            end = found.end()
        yield clean[at:end]
        at = end


def _closing(clean: str, start: int, text: str) -> int:
    """Where the field that opens at `start` ends; braces of its expression, as in `\\d{3}`, come in pairs."""
    depth, at = 0, start
    while at < len(clean):
        if clean[at] == "\\":
            at += 1
        elif clean[at] in "{}":
            depth += 1 if clean[at] == "{" else -1
            if depth == 0:
                return at + 1
        at += 1
    raise _wrong(text, "a { has no }", "fields are {class}, {split}, {group} and {group:EXPRESSION}")


def _pattern(token: str, fields: set[str], text: str) -> tuple[str, bool]:
    """The regular expression of one token, and whether it is a field."""
    plain = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if not token.startswith("{"):
        return plain.get(token) or re.escape(token), False
    name, colon, expression = token[1:-1].partition(":")
    if name and name not in FIELDS:
        near = difflib.get_close_matches(name, FIELDS, n=1)
        known = "{class}, {split}, {group}" + (f"; did you mean {{{near[0]}}}?" if near else "")
        raise _wrong(text, f"{{{shown(name, 40)}}} is no field", f"fields are {known}")
    if colon:
        _compiled(expression, text)
    if not name:
        return f"(?:{expression})", True
    if name in fields:
        return f"(?P={name})", True
    fields.add(name)
    return f"(?P<{name}>{expression or _ANY})", True


def _compiled(pattern: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise _wrong(text, f"an expression in it is wrong ({error})", "try it without") from None


def _wrong(text: str, what: str, hint: str) -> ConfigError:
    return ConfigError(f"--paths {shown(text, 120)}: {what}", hint=hint)
