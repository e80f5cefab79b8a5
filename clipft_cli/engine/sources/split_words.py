"""What people call train, val and test: `training_set`, `Valid`, `seg_test`, `train2017`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ...config.data import SplitName

WORDS: dict[str, SplitName | None] = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation", "holdout"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(("unassigned", "unsplit"), None),
}
"""Whole words, in small letters. None: an image of it gets a split by the shares."""

NUMBERED: dict[str, SplitName] = {"0": "train", "1": "val", "2": "test"}
"""Splits as numbers, where all three stand there and nothing else does."""

_IN_OTHER_LANGUAGES: dict[SplitName, str] = {
    "train": "entrainement apprentissage entrenamiento treino treinamento addestramento allenamento"
    " обучение обучающая тренировочная тренировка 训练 訓練 学習 훈련 학습",
    "val": "validierung validacion validacao validazione валидация валидационная 验证 驗證 検証 검증",
    "test": "essai essais prova prufung prueba pruebas teste testes тест тестовая тестирование 测试 測試 テスト 테스트",
}
"""Without the marks on letters (`prufung` for `Prüfung`), and without nouns that mean set or data."""
_ANY_LANGUAGE: dict[str, SplitName | None] = {
    **WORDS,
    **{word: split for split, words in _IN_OTHER_LANGUAGES.items() for word in words.split()},
}

_GLUED = re.compile(
    r"(train|training|valid|validation|validierung|val|test|testing)"
    r"(set|data|dataset|images?|imgs?|split|pics|pictures|photos|s?daten|s?bilder)"
)
_GLUED_SIGNS = re.compile(
    r"(.{2,3}?)(?:用?(?:数据|數據|图片|图像|圖像|样本|画像|データ|セット|데이터|集合|集|組|组|세트|셋))+"
)
_NOUNS = frozenset("set data dataset image images img imgs split pics pictures photo photos samples folder".split())  # noqa: SIM905
_PLURAL = re.compile(r"(train|training|val|validation|test)s")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_MARKS = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True)
class SplitWord:
    """What a word says: the split, None for one that is to be chosen; `is_exact`: the word alone, nothing around it."""

    split: SplitName | None
    is_exact: bool


def split_word(text: str) -> SplitWord | None:
    """The split that a folder's or a cell's text names, None where it names none, or several.

    The word may have others around it (`seg_train`, `test images`), years and numbers (`val2017`, `train-1`), and
    stand in any letter case, and in some other languages.
    """
    text = unicodedata.normalize("NFKC", text)
    word = _alone(text)
    if word in WORDS:
        return SplitWord(WORDS[word], True)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _MARKS.sub("", unicodedata.normalize("NFKD", text)))
    found = {_ANY_LANGUAGE[part] for part in map(_bare, _PART.findall(text)) if part in _ANY_LANGUAGE}
    joined = re.sub(r"[\W_]", "", word)
    if joined in ("holdout", "trainval"):
        found = {WORDS[joined]}
    return SplitWord(found.pop(), False) if len(found) == 1 else None


def is_only_split(text: str) -> bool:
    """Whether a text that names a split says nothing else: `test_images` and `val2017` do, `blood test` does not."""
    return all(_bare(part) in _ANY_LANGUAGE or part.casefold() in _NOUNS for part in _PART.findall(text))


def exact_split(text: str) -> SplitName | None:
    """The split of a text that is such a word and nothing else, None for any other: `split_word` for many texts."""
    return WORDS.get(_alone(text if text.isascii() else unicodedata.normalize("NFKC", text)))


def _alone(text: str) -> str:
    return text.strip("\u200b\u200c\u200d\ufeff \t").casefold()


def _bare(part: str) -> str:
    """A part in small letters, without the noun glued to it: `TrainSet` is `train`, `tests` is `test`."""
    small = part.casefold()
    found = _GLUED.fullmatch(small) or _PLURAL.fullmatch(small) or _GLUED_SIGNS.fullmatch(small)
    return found[1] if found else small
