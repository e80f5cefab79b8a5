"""Labels that differ and that a person would hold to be one: `Cat` and `cat `, `0` and `0.0`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_WRITTEN_OUT = re.compile(r"\\(u(061c|200[bef]|202[89a-e]|206[0-9a-f]|feff)|x[0-9a-f]{2})")
_JOINERS = re.compile("[\u00ad\u200c\u200d\ufe0e\ufe0f]")
_SIGNS = str.maketrans("\u2018\u2019\u02bc\u00b4`\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2212", "'''''\"\"------")
"""Quotes and dashes as typesetting programs put them in place of those of a keyboard."""
_SAME_LETTER = ("<wide>", "<narrow>", "<compat>")
"""How Unicode marks a letter in another width, and several in one sign; raised and ringed ones are none of these."""
_WORDNET_ID = re.compile(r"n\d{8}")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
_MISSING = frozenset("nan none null nil na n/a #n/a <na> nat undefined missing unlabeled unlabelled".split())  # noqa: SIM905


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Groups, of two labels or more, that say the same to a person; both groups and labels sorted."""
    groups: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        groups.setdefault(as_read(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def difference(labels: Sequence[str]) -> str:
    """What the labels of one such group differ in, in words."""
    seen = [_seen(label) for label in labels]
    if len(set(seen)) < len(labels):
        return "characters that cannot be seen"
    if len({_in_plain_letters(text) for text in seen}) == 1:
        return "the form of letters, quotes or dashes"
    if all(_NUMBER.fullmatch(text.strip()) for text in seen):
        return "the way one number is written"
    tidy = [" ".join(text.split()) for text in seen]
    if len(set(tidy)) == 1:
        return "blanks"
    if len({text.casefold() for text in tidy}) == 1:
        return "letter case" if tidy == seen else "letter case and blanks"
    return "blanks, hyphens or underscores"


def sounds_missing(label: str) -> bool:
    """Whether a label is what programs write where there is none, such as `nan`."""
    return _seen(label).strip().casefold() in _MISSING


def is_number(label: str) -> bool:
    """Whether a label is a number, such as `3` or `0.0`, and no word."""
    return _NUMBER.fullmatch(_seen(label).strip()) is not None


def is_code(label: str) -> bool:
    """Whether a label is a number or one of WordNet's, such as `n02102040`, which say nothing to a person."""
    return is_number(label) or _WORDNET_ID.fullmatch(label.strip().casefold()) is not None


def _seen(label: str) -> str:
    """The label without what cannot be seen."""
    return _JOINERS.sub("", _WRITTEN_OUT.sub("", label))


def as_read(label: str) -> str:
    """What a person reads in a label: equal for labels that say the same."""
    text = _in_plain_letters(_seen(label)).strip().casefold()
    if _NUMBER.fullmatch(text):
        return repr(float(text.replace(",", ".")))
    return re.sub(r"(?<=[^\W_])[\s_-]+(?=[^\W_])", " ", text)


def _in_plain_letters(text: str) -> str:
    """The text in the letters, quotes and dashes of a keyboard: `ＣＡＴ’s` is `CAT's`."""
    if text.isascii() and "`" not in text:
        return text
    letters = (
        unicodedata.normalize("NFKC", c) if unicodedata.decomposition(c).startswith(_SAME_LETTER) else c for c in text
    )
    return "".join(letters).translate(_SIGNS)
