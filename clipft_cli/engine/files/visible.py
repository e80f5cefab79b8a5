"""Names as text that a terminal, a table and a spreadsheet can show: nothing invisible, nothing that acts."""

from __future__ import annotations

import re
import shlex
import unicodedata

_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # what turns the writing of a terminal or a page
)
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, escape sequences start with one
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # turn or hide what follows
    "\ud800-\udfff]"  # bytes of a file name that are no UTF-8
)

_LOOKS_ESCAPED = re.compile(rf"(\\+)(?=x[0-9a-f]{{2}}|u[0-9a-f]{{4}}|{_UNSAFE.pattern})")
_FORMULA = re.compile("'*[ \N{REPLACEMENT CHARACTER}]*[=+@-]")


def visible(text: str) -> str:
    r"""`text` with what cannot be seen written out: an escape as `\x1b`, an undecodable byte 0xff as `\xff`."""
    return _UNSAFE.sub(_written_out, text)


def quoted(argument: object) -> str:
    """A path or a word as it is typed in a shell, for commands that can be pasted.

    What cannot be seen, or would end the line, stands as bytes in quotes that bash and zsh read: `$'a\\x0ab'`.
    """
    text = str(argument)
    if not _UNSAFE.search(text):
        return shlex.quote(text)
    plain = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_UNSAFE.sub(_as_bytes, plain)}'"


def unambiguous(text: str) -> str:
    r"""`text` made visible so that no two texts become one: a backslash that reads like an escape is doubled."""
    return _UNSAFE.sub(_told_apart, _LOOKS_ESCAPED.sub(r"\1\1", text))


def visible_lines(text: str) -> str:
    """`text` made visible line by line: line ends and tabs stay."""
    return _UNSAFE.sub(lambda found: found[0] if found[0] in "\n\t" else _written_out(found), text)


def json_escaped(text: str) -> str:
    """One line of JSON with nothing invisible in it: inside its strings an escape means the same."""
    return _UNSAFE.sub(lambda found: "".join(f"\\u{ord(char):04x}" for char in found[0]), text)


def _as_bytes(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode("utf-8", "surrogateescape"))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # a byte kept by the surrogateescape error handler
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _told_apart(found: re.Match[str]) -> str:
    code = ord(found[0])
    is_control = 0x80 <= code < 0x100  # the character U+0080 is not the undecodable byte 0x80
    return f"\\u{code:04x}" if is_control else _written_out(found)


def shown(text: str, limit: int = 160) -> str:
    """`text` safe on a terminal: no control characters, no lone surrogates, not endless."""
    clean = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return clean if len(clean) <= limit else clean[: limit // 2] + "..." + clean[-limit // 3 :]


def safe_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula: = + - @ in front get an apostrophe."""
    return _no_formula(shown(text, limit=4096))


def _no_formula(text: str) -> str:
    """`text` with an apostrophe before a formula's first sign, and before one that has such an apostrophe already."""
    return "'" + text if _FORMULA.match(text) else text


def csv_cell(text: str) -> str:
    """`text`, whole, as a cell of a CSV file: visible, and no formula for a spreadsheet."""
    return _no_formula(visible(text))


def display_width(text: str) -> int:
    """Columns `text` takes on a terminal: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` columns, its middle left out where it is longer."""
    if display_width(text) <= width:
        return text
    head, tail = "", ""
    for char in text:
        if display_width(head + char) > width * 2 // 3 - 1:
            break
        head += char
    for char in reversed(text):
        if display_width(head + char + tail) > width - 1:
            break
        tail = char + tail
    return f"{head}…{tail}"


def padded(text: str, width: int) -> str:
    """`text` shortened or filled with spaces to exactly `width` columns."""
    text = shortened(text, width)
    return text + " " * (width - display_width(text))
