"""Files of an evaluation: safe against names, whole or not there, read back as they were."""

from __future__ import annotations

import csv
import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from clipft_cli.engine.files.output_file import replaced_file
from clipft_cli.engine.files.publish import publish, staging_folder
from clipft_cli.engine.files.visible import display_width, padded, visible
from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.metrics import measure
from clipft_cli.engine.metrics.scores import Scores, scores_bytes
from clipft_cli.engine.pages.plot_text import plot_labels
from clipft_cli.engine.pages.plots import class_performance_png, confusion_png
from clipft_cli.engine.pages.prediction_rows import predictions_csv
from clipft_cli.engine.pages.text_report import report_text
from clipft_cli.errors import ResourceError

HOSTILE = ["=cmd()|' /C calc'!A0", "$\\frac{a}{b}$ x_1", "犬の写真", "كلب", "\x1b[31mred\u202edog", "🐕" * 3, "a" * 300]


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(HOSTILE)), 4)
    return Scores(rng.normal(size=(28, len(HOSTILE))).astype(np.float32), labels, np.arange(28), {"split": "test"})


def test_scores_come_back_bit_equal(scores, tmp_path):
    (tmp_path / "s").write_bytes(scores_bytes(scores))
    with safe_open(tmp_path / "s", framework="numpy") as file:
        assert (file.get_tensor("logits") == scores.logits).all()
        assert (file.get_tensor("labels") == scores.labels).all()
        assert json.loads(file.metadata()["clipft"]) == {"split": "test"}


def test_no_cell_of_the_csv_is_a_formula_or_acts_on_a_terminal(scores):
    paths = [f"@SUM(1)\n{i}.jpg" for i in range(28)]
    text = predictions_csv(scores, paths, HOSTILE, 1.0)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["path", "true", "predicted", "probability", "correct", "top5"]
    assert len(rows) == 29
    assert all(cell[:1] not in "=+-@" or not cell for row in rows for cell in row)
    assert "\x1b" not in text
    assert "\u202e" not in text
    predicted = scores.logits.argmax(axis=1)
    assert [row[4] for row in rows[1:]] == [
        "true" if p == t else "false" for p, t in zip(predicted, scores.labels, strict=True)
    ]
    assert float(rows[1][3]) == pytest.approx(scores.probabilities(1.0)[0].max(), abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 37, 260])
def test_pictures_are_drawn_without_a_word_whatever_the_names(n, capfd):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n), 2)
    logits = rng.normal(size=(2 * n, n)).astype(np.float32)
    logits[np.arange(2 * n), labels] += 2
    names = [(str(i), HOSTILE[i % len(HOSTILE)] + str(i)) for i in range(n)]
    metrics = measure(Answers(logits, labels), names, n_resamples=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = [confusion_png(metrics, "$ title _"), class_performance_png(metrics, "title")]
    for content in pictures:
        image = Image.open(io.BytesIO(content))
        assert min(image.size) >= 200
        assert max(image.size) <= 6000
    assert capfd.readouterr() == ("", "")


def test_a_name_without_a_font_is_shown_by_its_number():
    labels = plot_labels(["beagle", "\U0001f9ff\U0001f9ff", "x" * 90])
    assert labels[0] == "beagle"
    assert labels[1] == "#1"
    assert display_width(labels[2]) == 28


def test_the_report_keeps_its_columns_with_wide_names(scores):
    metrics = measure(Answers(scores.logits, scores.labels), [(name, name) for name in HOSTILE], n_resamples=10)
    text = report_text("Evaluation on test", {"model": "x"}, metrics, [("a\nb.jpg", "empty file")], ["a note"])
    assert "\x1b" not in text
    assert "a\\x0ab.jpg: empty file" in text
    rows = [line for line in text.splitlines() if line[:6].strip().isdigit() and " to " in line]
    assert len(rows) == len(HOSTILE)
    third = [len("%".join(row.split("%")[:3])) + 1 for row in rows]  # where the column F1 ends
    assert {display_width(row[:end]) for row, end in zip(rows, third, strict=True)} == {78}


def test_what_cannot_be_seen_is_written_out():
    assert visible("a\x1b[2Jb\udcff\u202e") == "a\\x1b[2Jb\\xff\\u202e"
    assert display_width(padded("犬" * 40, 9)) == 9


def test_an_evaluation_is_replaced_and_other_files_stay(tmp_path):
    target = tmp_path / "evaluation-test"
    for content in (b"old", b"new"):
        with staging_folder(target) as staging:
            publish(staging, {"a.txt": content, "results.json": content}, last="results.json")
        (target / "notes.txt").write_text("mine")
    assert sorted(os.listdir(target)) == ["a.txt", "notes.txt", "results.json"]
    assert (target / "a.txt").read_bytes() == (target / "results.json").read_bytes() == b"new"


def test_a_failed_evaluation_leaves_the_old_one_whole(tmp_path, monkeypatch):
    target = tmp_path / "evaluation-test"
    with staging_folder(target) as staging:
        publish(staging, {"a.txt": b"old", "results.json": b"old"}, last="results.json")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"), staging_folder(target) as staging:
        publish(staging, {"a.txt": b"new", "results.json": b"new"}, last="results.json")
    assert {name: (target / name).read_bytes() for name in os.listdir(target)} == {
        "a.txt": b"old",
        "results.json": b"old",
    }


def test_a_failed_first_evaluation_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="x"), staging_folder(tmp_path / "a" / "b"):
        raise ValueError("x")
    assert list(tmp_path.iterdir()) == []


def test_reports_cannot_go_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="is a file"), staging_folder(tmp_path / "file"):
        pass


def test_an_output_file_is_replaced_at_the_end_only(tmp_path):
    path = tmp_path / "new" / "predictions.txt"
    with replaced_file(path) as write:
        write("one")
        assert not path.exists()
    with pytest.raises(OSError, match="full"), replaced_file(path) as write:
        write(_fail("two"))
    assert path.read_text() == "one"
    assert os.listdir(path.parent) == ["predictions.txt"]


def _fail(text: str) -> str:
    raise OSError(28, f"full: {text}")


def test_a_device_stays_a_device():
    with replaced_file(Path(os.devnull)) as write:
        write("gone")
    assert not os.path.isfile(os.devnull)


def test_a_pipe_under_a_name_is_written_in_place():
    """`-o /dev/stdout | cat`: /dev/fd/N is a link whose target has no name in the file system."""
    reader, writer = os.pipe()
    with replaced_file(Path(f"/dev/fd/{writer}")) as write:
        write("text\n")
    os.close(writer)
    with open(reader) as file:
        assert file.read() == "text\n"
