"""Templates: what they match, that any layout can be written as one, and what is wrong in one."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipft_cli.engine.sources.template import literal, match, parse_template
from clipft_cli.errors import ConfigError

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=12)
NAMES = NAMES.filter(lambda name: name not in (".", "..") and literal(name) == literal(name).strip())


def fields(text: str, path: str) -> dict[str, str] | None:
    template = parse_template(text)
    return match(template.form([path]), path)


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ("{class}", "cat/1.jpg", {"class": "cat"}),
        ("{class}", "cat/deep/1.jpg", {"class": "cat"}),
        ("{split}/{class}", "train/cat/1.jpg", {"split": "train", "class": "cat"}),
        ("seg_{split}/*/{class}/*", "seg_test/x/sea/1.jpg", {"split": "test", "class": "sea"}),
        ("seg_{split}/*/{class}/*", "other/x/sea/1.jpg", None),
        ("{class}/{group}_*.jpg", "cat/p7_3.jpg", {"class": "cat", "group": "p7"}),
        ("{class}/{group:clip\\d+}*", "run/clip12-004.png", {"class": "run", "group": "clip12"}),
        ("{class}/{group:[a-z]{2,3}}_*", "run/abc_1.png", {"class": "run", "group": "abc"}),
        ("{class}_{group}", "great_pyrenees_12.jpg", {"class": "great_pyrenees", "group": "12"}),
        ("{split:train|a/val}/{class}", "a/val/cat/1.jpg", {"split": "a/val", "class": "cat"}),
        ("{class}/{:(?!masks/).+}", "cat/masks/1.png", None),
        ("**/{class}/*.png", "a/b/cat/1.png", {"class": "cat"}),
        ("{class}/{class}_*", "cat/cat_1.png", {"class": "cat"}),
        ("{class}/{class}_*", "cat/dog_1.png", None),
        ("./{class}/", "cat/1.jpg", {"class": "cat"}),
    ],
)
def test_fields_of_a_path(text: str, path: str, found: dict[str, str] | None) -> None:
    assert fields(text, path) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("*/*.jpg", "names no class"),
        ("{clas}/*", "{clas} is no field"),
        ("{class/*", "a { has no }"),
        ("{class:(}", "an expression in it is wrong"),
        ("", "names no class"),
    ],
)
def test_what_is_wrong_in_a_template_is_said(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as error:
        parse_template(text)
    assert error.value.hint


def test_a_near_miss_of_a_field_is_pointed_out() -> None:
    with pytest.raises(ConfigError) as error:
        parse_template("{clas}")
    assert "did you mean {class}?" in (error.value.hint or "")


@given(NAMES, NAMES, NAMES)
def test_any_names_can_be_written_and_are_found_as_they_are(folder: str, label: str, file: str) -> None:
    from unicodedata import normalize

    found = fields(f"{literal(folder)}/{{class}}/*", f"{folder}/{label}/{file}")
    assert found == {"class": normalize("NFC", label)}


@given(st.text(max_size=30))
def test_any_text_is_a_template_or_is_refused_in_words(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert "class" in parse_template(text).fields
