"""The words prompts use for classes, made of their labels: numbering off, words apart, never two alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .names import unique_names

MAX_WORDS_BYTES = 120
"""No more tokens than a text tower has room for (77 in CLIP) in most scripts; what is longer would be cut there."""

_WORDNET_ID = re.compile(r"^n\d{8}[-_ ]+")
_NUMBERED = re.compile(r"^(\d{1,4})([._ -]+)(?=\D)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def readable_names(labels: Sequence[str]) -> list[str]:
    """The words of each label, all different, letter case aside.

    `n02099601-golden_retriever` becomes "golden retriever", `AnnualCrop` "annual crop". Numbers in front are taken
    off only where they number all the classes, as in `001.Black_footed_Albatross`. Acronyms and other scripts stay
    as they are. Labels that would read alike keep what tells them apart.
    """
    bare = _without_numbering([_WORDNET_ID.sub("", label) for label in labels])
    names = [_words(text) or label.strip() or "unnamed" for text, label in zip(bare, labels, strict=True)]
    counts = Counter(name.casefold() for name in names)
    whole = [_whole(label) if counts[name.casefold()] > 1 else name for name, label in zip(names, labels, strict=True)]
    return unique_names(_short(name) for name in whole)


def _without_numbering(labels: Sequence[str]) -> Sequence[str]:
    """The labels without the numbers in front, where these count the classes and say nothing about them.

    They do where each label has one of its own, behind one kind of separator, and they are padded with zeros to
    one width or run from 0 or 1 without a gap (three classes at least); and where no two labels meet without them.
    """
    found = [_NUMBERED.match(label) for label in labels]
    numbers = [match[1] for match in found if match]
    if len(numbers) < len(labels) or len(set(map(int, numbers))) < len(numbers) or not numbers:
        return labels
    if len({match[2] for match in found if match}) > 1:
        return labels
    is_padded = len({len(number) for number in numbers}) == 1 and any(n.startswith("0") and len(n) > 1 for n in numbers)
    values = sorted(map(int, numbers))
    is_counted = len(values) >= 3 and values[0] in (0, 1) and values[-1] - values[0] == len(values) - 1
    bare = [label[match.end() :] for label, match in zip(labels, found, strict=True) if match]
    are_distinct = len({_words(text).casefold() for text in bare}) == len(bare)
    return bare if (is_padded or is_counted) and are_distinct else labels


def _words(text: str) -> str:
    words = re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", _CAMEL.sub(" ", text)).split()
    kept = [word if _is_acronym(word) and len(words) < 4 else word.lower() for word in words]
    return " ".join(kept)


def _is_acronym(word: str) -> bool:
    return 2 <= len(word) <= 5 and word.isupper() and word.isascii() and word.isalpha()


def _whole(label: str) -> str:
    return " ".join(re.sub(r"[_\s]+", " ", label).split()) or "unnamed"


def _short(words: str) -> str:
    """Words of moderate length: of long ones a third from the front and the rest from the end, which names most."""
    content = words.encode()
    if len(content) <= MAX_WORDS_BYTES:
        return words
    head = content[: MAX_WORDS_BYTES // 3].decode("utf-8", "ignore").rstrip()
    tail = content[-2 * MAX_WORDS_BYTES // 3 + 5 :].decode("utf-8", "ignore").lstrip()
    return f"{head} ... {tail}"
