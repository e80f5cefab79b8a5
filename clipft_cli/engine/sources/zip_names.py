"""Names in a zip: those that say they are UTF-8, and those in the code page of the machine that made it."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from ...errors import Answer, Question
from ..files.visible import shown
from ..tables.encodings import readings

_IS_UTF8 = 0x800
_UNICODE_PATH = 0x7075
"""Info-ZIP's extra field: the name in UTF-8 beside the one in a code page (APPNOTE 4.6.9)."""


def zip_names(
    archive: Path, opened: zipfile.ZipFile, encoding: str | None, again: Callable[..., str]
) -> tuple[list[str], str]:
    """The name of every entry, and a note where an encoding was found out from how its letters read.

    Raises Question where the names read in several ways, with a command for each.
    """
    infos = opened.infolist()
    open_ones = [info for info in infos if not _says_utf8(info) and not info.filename.isascii()]
    note, chosen = "", encoding
    if open_ones and encoding is None:
        ways = readings(b"\n".join(_bytes(info) for info in open_ones), of_names=True)
        if len(ways) > 1:
            raise Question(
                f"{archive}: its names do not say their encoding, and read in {len(ways)} ways",
                [Answer(f"{way.encoding}: {shown(way.example(), 60)}", {"encoding": way.encoding}) for way in ways],
                [again("--encoding", way.encoding) for way in ways],
            )
        if ways:
            chosen = ways[0].encoding
            note = (
                f"names in {archive.name} were read as {chosen}, such as {shown(ways[0].example(), 60)}"
                " (if that is wrong: --encoding NAME)"
            )
            note = "" if chosen == "utf-8" else note
    return [_name(info, chosen) for info in infos], note


def _says_utf8(info: zipfile.ZipInfo) -> bool:
    return bool(info.flag_bits & _IS_UTF8) or _unicode_path(info) is not None


def _bytes(info: zipfile.ZipInfo) -> bytes:
    """The bytes of a name that zipfile has read as its default, code page 437."""
    return info.filename.encode("cp437", "replace")


def _name(info: zipfile.ZipInfo, encoding: str | None) -> str:
    if info.filename.isascii() or info.flag_bits & _IS_UTF8:
        return info.filename
    given = _unicode_path(info)
    return given or _bytes(info).decode(encoding or "cp437", "surrogateescape")


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == _UNICODE_PATH and size > 5 and len(extra) >= 4 + size:
            try:
                return extra[9 : 4 + size].decode("utf-8")
            except UnicodeDecodeError:
                return None
        extra = extra[4 + size :]
    return None
