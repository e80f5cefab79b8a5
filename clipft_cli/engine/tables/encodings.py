"""Text whose encoding nobody says: which readings are text that a person may have written.

Bytes that are UTF-8 are taken for UTF-8. Of the other encodings that people's programs still write, a reading counts
where its letters are those that its language uses: hanzi of the first level of
GB 2312, kanji of the first level of JIS X 0208, hanzi of the first level of Big5, hangul, Cyrillic words, accents
within Latin words.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_USUAL_SHARE = 0.85
"""Of a real text in hanzi, kanji or hangul: rare characters are some in a hundred; of a misread one: most."""
_LETTER_SHARE = 0.97
"""Of a real text in letters with accents, or Cyrillic: other signs hardly occur."""

_NEUTRAL = frozenset("’–…°€«»")
_LATIN = frozenset(map(chr, range(0xC0, 0x100))) - {"×", "÷"} | set("ŠšŽžŒœ") | set(map(chr, range(0x100, 0x17F)))


@dataclass(frozen=True)
class Reading:
    """What some bytes say in one encoding."""

    encoding: str
    text: str

    def example(self, limit: int = 40) -> str:
        """The first line with a character beyond ASCII."""
        lines = (line.strip() for line in self.text.splitlines())
        return next((line[:limit] for line in lines if not line.isascii()), "")


def marked_encoding(content: bytes) -> str | None:
    """The encoding that the first bytes name, or that the NUL bytes of UTF-16 show; None where nothing does."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return encoding
    start = content[: 1 << 12]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) > len(start) // 5 and min(even, odd) <= len(start) // 100:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def readings(content: bytes, *, of_names: bool = False) -> list[Reading]:
    """The ways to read `content` as text, one where it is clear; those that read alike are one.

    `of_names`: names in a zip, which Windows writes in the code pages of its old console.
    """
    encoding = marked_encoding(content) or "utf-8"
    try:
        return [Reading(encoding, content.decode(encoding))]
    except UnicodeDecodeError:
        pass
    for tier in _NAME_TIERS if of_names else _TEXT_TIERS:
        found: dict[str, Reading] = {}
        for name in tier:
            text = _plausible(content, name)
            if text is not None:
                found.setdefault(text, Reading(name, text))
        if found:
            return list(found.values())
    return []


def _plausible(content: bytes, encoding: str) -> str | None:
    """The text, where it reads like one."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    beyond = [char for char in text if not char.isascii() and char not in _NEUTRAL]
    share = _USUAL_SHARE if encoding in _WIDE else _LETTER_SHARE
    usual = sum(map(_USUAL[encoding], beyond))
    return text if usual and usual >= share * len(beyond) and _WORDS[encoding](text) else None


def _lead(char: str, encoding: str) -> bytes:
    return char.encode(encoding, "replace")


def _in_rows(encoding: str, first: bytes, last: bytes, low_trail: int = 0xA1) -> Callable[[str], bool]:
    """Whether a character of two bytes lies within these rows of the code table, or among its signs and kana."""

    def is_usual(char: str) -> bool:
        code = _lead(char, encoding)
        if len(code) != 2 or code[1] < low_trail:
            return False
        return first <= code <= last or (0xA1 <= code[0] <= 0xA3 and encoding != "cp932")

    return is_usual


def _is_japanese(char: str) -> bool:
    code = _lead(char, "cp932")
    return len(code) == 2 and (b"\x81\x40" <= code <= b"\x83\x96" or b"\x88\x9f" <= code <= b"\x98\x72")


def _is_latin(char: str) -> bool:
    return char in _LATIN


def _is_cyrillic(char: str) -> bool:
    return "\u0400" <= char <= "\u045f" or char in "Ґґ"


def _has_latin_words(text: str) -> bool:
    """Whether accents stand within words: hardly four in a row, and no large letter among small ones."""
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    odd = [word for word in words if re.search(r"[^\x00-\x7f]{4}", word) or _is_large_within(word)]
    return len(odd) <= (1 - _LETTER_SHARE) * len(words)


def _has_cyrillic_words(text: str) -> bool:
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    odd = [word for word in words if re.search("[a-zA-Z]", word) or _is_large_within(word)]
    return len(odd) <= (1 - _LETTER_SHARE) * len(words)


def _is_large_within(word: str) -> bool:
    """Whether a letter beyond ASCII is a capital though it is not the first, and others are small."""
    return not word.isupper() and any(char.isupper() and not char.isascii() for char in word[1:])


def _has_wide_words(text: str) -> bool:
    """Whether wide characters stand apart from small Latin letters, which a misread accent would stand among."""
    beyond = sum(not char.isascii() for char in text)
    beside = len(re.findall(r"[a-z][^\x00-\x7f]|[^\x00-\x7f][a-z]", text))
    return beside <= beyond // 4


_WIDE = ("gb18030", "cp932", "big5", "cp949")
_CYRILLIC = ("cp1251", "cp866")
_WESTERN = ("cp1252", "cp1250", "cp437", "cp850", "cp852", "mac_roman")
_USUAL: dict[str, Callable[[str], bool]] = {
    "gb18030": _in_rows("gb18030", b"\xb0\xa1", b"\xd7\xfe"),
    "big5": _in_rows("big5", b"\xa4\x40", b"\xc6\x7e", low_trail=0x40),
    "cp949": _in_rows("cp949", b"\xb0\xa1", b"\xc8\xfe"),
    "cp932": _is_japanese,
    **dict.fromkeys(_CYRILLIC, _is_cyrillic),
    **dict.fromkeys(_WESTERN, _is_latin),
}
_WORDS: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(_WIDE, _has_wide_words),
    **dict.fromkeys(_CYRILLIC, _has_cyrillic_words),
    **dict.fromkeys(_WESTERN, _has_latin_words),
}
_TEXT_TIERS: Sequence[Sequence[str]] = (("cp1252", "cp1250", "cp1251", *_WIDE, "mac_roman"), ("cp850", "cp866"))
_NAME_TIERS: Sequence[Sequence[str]] = (("cp437", "cp866", *_WIDE), ("cp850", "cp852", "cp1252", "cp1251"))
"""A later tier counts where the one before has no reading: those are far less often written."""
