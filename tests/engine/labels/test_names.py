from __future__ import annotations

import csv
import html
import io
import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipft_cli.engine.files.visible import shown, visible
from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.labels.folder_names import folder_names
from clipft_cli.engine.labels.names import class_name, class_order, earlier_name
from clipft_cli.engine.labels.prompt_words import readable_names
from clipft_cli.engine.manifest import Manifest, Row, digest_of, read_manifest, write_manifest
from clipft_cli.engine.pages.prediction import FORMS, Answer, Prediction
from clipft_cli.engine.sources.problems import Problem, write_problems

LABELS = st.one_of(
    st.text(min_size=1, max_size=12),
    st.text(alphabet="aA =#\"'\\\\x1b0.-_/\u00a0\u3000\u200b\n\x1b\x80\udc80", min_size=1, max_size=6),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(LABELS, min_size=2, max_size=8, unique_by=lambda label: normalize("NFC", label)))
def test_n_labels_are_n_classes_everywhere_and_back(labels: list[str]) -> None:
    names = [class_name(label) for label in labels]
    assert len(set(names)) == len(labels)
    words, folders = readable_names(names), folder_names(names)
    assert len({word.casefold() for word in words}) == len({folder.casefold() for folder in folders}) == len(labels)
    classes = tuple(ClassInfo(name, word) for name, word in zip(names, words, strict=True))
    rows = tuple(Row(f"train/{folder}/1.jpg", i, "train", f"{i:064x}", 1) for i, folder in enumerate(folders))
    with TemporaryDirectory() as folder:
        manifest = Manifest(Path(folder), "set", classes, rows, digest_of(classes, rows))
        write_manifest(manifest)
        assert read_manifest(Path(folder)) == manifest
        assert read_manifest(Path(folder), with_edited_names=False).classes == classes
    card = json.loads(json.dumps([asdict(info) for info in classes]))
    assert tuple(ClassInfo(**info) for info in card) == classes
    answers = Prediction("a.jpg", tuple(Answer(info, 0.1) for info in classes))
    line = FORMS["csv"].piece(answers, len(classes))
    (cells,) = csv.reader(io.StringIO(line))
    assert len(set(cells[4::2])) == len(classes)
    found = json.loads(FORMS["jsonl"].piece(answers, len(classes)))["top"]
    assert [(answer["class"], answer["readable"]) for answer in found] == [(c.name, c.readable) for c in classes]
    assert [html.unescape(html.escape(visible(name))) for name in names] == names


@pytest.mark.parametrize("label", ["Cat", "cat ", "a/b", "a = b", "0.0", "7-up", "猫\u3000", "don't", "C:\\pets"])
def test_the_identity_of_a_class_is_its_label(label: str) -> None:
    assert class_name(label) == label


def test_what_cannot_be_seen_or_is_no_text_is_written_out() -> None:
    assert class_name("caf\udce9\x1b\u200b") == r"caf\xe9\x1b\u200b"
    assert len({class_name(label) for label in ("\udc80", "\x80", r"\x80", r"\\x80")}) == 4
    assert class_name("e\u0301") == "\xe9"


def test_what_earlier_versions_called_a_class_is_known() -> None:
    assert [earlier_name(name) for name in ("a/b", ".x", "x" * 200, "cat")] == ["a_b", "_x", "x" * 120, "cat"]


def test_what_is_shown_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in shown("\x1b[31mred\n")


def test_numbers_are_ordered_by_value_and_names_as_text() -> None:
    assert class_order(["10", "9", "1"]) == ["1", "9", "10"]
    assert class_order(["b", "B", "a"]) == ["B", "a", "b"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1"])
def test_no_cell_of_problems_csv_is_a_formula(tmp_path: Path, cell: str) -> None:
    write_problems(tmp_path / "problems.csv", [Problem(cell, cell, cell, cell)])
    with open(tmp_path / "problems.csv", encoding="utf-8", newline="") as file:
        _, row = csv.reader(file)
    for found in (row[0], row[1], row[3], row[4]):
        assert found.startswith("'")
