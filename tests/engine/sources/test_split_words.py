"""Words for splits, as people write them."""

from __future__ import annotations

import pytest

from clipft_cli.engine.sources.split_words import split_word

NAMED = {
    "train": "train Training TRN trainval train_val seg_train train_images train2017 TrainSet training_set",
    "val": "val Valid validation dev EVAL holdout hold-out Val_256 valset validation_data my.valid",
    "test": "test Testing test-2019 test1 testset TestImages test-multiple_fruits x_test1",
}


OTHERWISE = {
    "train": "trains trainings Entraînement Trainingsdaten 训练集 訓練データ обучающая_выборка",
    "val": "vals Validierung validação 验证集",
    "test": "tests Testbilder Prüfung Pru\u0308fung prueba teste 测试集 テスト тестовая",
}


@pytest.mark.parametrize(
    ("split", "word"),
    [(split, word) for named in (NAMED, OTHERWISE) for split, words in named.items() for word in words.split()],
)
def test_a_word_with_others_around_it_names_the_split(split: str, word: str) -> None:
    found = split_word(word)
    assert found is not None
    assert found.split == split


@pytest.mark.parametrize(
    "word",
    ["strain", "latest", "contest", "devil", "validity", "train_test", "cat", "2017", "protest", "训练师", "собака"],
)
def test_other_words_name_none(word: str) -> None:
    assert split_word(word) is None


def test_unassigned_is_a_split_to_be_chosen() -> None:
    found = split_word("UNASSIGNED")
    assert found is not None
    assert found.split is None


@pytest.mark.parametrize(("word", "is_exact"), [("Valid ", True), ("\u200btest", True), ("test2017", False)])
def test_a_word_alone_is_told_from_one_among_others(word: str, is_exact: bool) -> None:
    found = split_word(word)
    assert found is not None
    assert found.is_exact is is_exact
