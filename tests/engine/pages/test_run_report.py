"""report.html: what it says and shows, what it does with hostile names, how large it gets."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.metrics import measure
from clipft_cli.engine.metrics.scores import Scores
from clipft_cli.engine.pages.confused_classes import MAX_CLASSES, confused_block
from clipft_cli.engine.pages.evaluation import Evaluation
from clipft_cli.engine.pages.run_report import Shown, run_report
from clipft_cli.engine.pages.shown_images import MAX_MISTAKES

HISTORY = [{"epoch": e, "val_loss": 1.0 - 0.1 * e, "val_top1": 0.5 + 0.1 * e, "train_loss": None} for e in range(3)]


def evaluated(n_classes: int, n: int, tmp_path: Path, names: list[str] | None = None, *, sharpness: float = 3.0):
    """An evaluation of drawn answers, and the files of its images."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % n_classes
    logits = rng.normal(size=(n, n_classes)).astype(np.float32)
    logits[np.arange(n), labels] += sharpness
    logits[labels == 1, 0] += sharpness  # class 1 looks like class 0
    names = names or [f"class {c}" for c in range(n_classes)]
    file = tmp_path / "picture.png"
    Image.effect_noise((64, 48), 80).save(file)
    facts = {
        "label": "lora",
        "data_name": "pets",
        "model": "ViT-B-32",
        "device": "cpu",
        "precision": "fp32",
        "checkpoint": "outputs/lora",
        "manifest_digest": "d" * 64,
    }
    metrics = measure(Answers(logits, labels), [(name, name) for name in names], n_resamples=50)
    scores = Scores(logits, labels, np.arange(n), {})
    evaluation = Evaluation("test", metrics, scores, ("a",) * n, (), ("a note",), 1.0, facts, Path("out"))
    return evaluation, [file] * n


class _Page(HTMLParser):
    """Names, links and elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.images, self.tags = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        self.images += [found] if tag == "img" else []


def test_the_page_says_how_good_what_is_mixed_up_and_shows_it(tmp_path):
    evaluation, files = evaluated(4, 120, tmp_path)
    text = run_report(evaluation, Shown(files, HISTORY))
    page = _Page(text)
    said = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    assert f"It is right on {evaluation.metrics.top1.value:.1%} of 120 images of test" in said
    assert "would be right on 25.0%" in said
    assert "it takes class 1 for class 0" in said
    assert "a note" in said
    n = int((evaluation.scores.logits.argmax(axis=1) != evaluation.scores.labels).sum())
    assert f"of {n} mistakes" in said
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert all(image["alt"] and image["src"].startswith("data:image/jpeg;base64,") for image in page.images)
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)


def test_a_page_is_the_same_again(tmp_path):
    evaluation, files = evaluated(3, 60, tmp_path)
    assert run_report(evaluation, Shown(files, HISTORY)) == run_report(evaluation, Shown(files, HISTORY))


def test_names_that_would_act_in_a_page_are_only_shown(tmp_path):
    names = ["<script>alert(1)</script>", '" onload="x', "\u202etac", "{{ 7 * 7 }}"]
    evaluation, files = evaluated(4, 80, tmp_path, names)
    text = run_report(evaluation, Shown(files))
    page = _Page(text)
    assert page.tags.count("script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7 * 7 }}" in text
    assert "\u202e" not in text
    assert not any("onload" in image for image in page.images)


def test_without_a_mistake_and_without_a_run_there_is_less_to_show(tmp_path):
    evaluation, files = evaluated(3, 30, tmp_path, sharpness=60.0)
    labels = evaluation.scores.labels
    logits = np.eye(3, dtype=np.float32)[labels] * 30
    metrics = measure(Answers(logits, labels), [(c, c) for c in "abc"], n_resamples=50)
    perfect = replace(evaluation, metrics=metrics, scores=Scores(logits, labels, np.arange(30), {}))
    text = run_report(perfect, Shown(files))
    assert "made no mistake on these images" in text
    assert "Accuracy on val" not in text
    assert "never answered" not in text


def test_images_that_are_gone_leave_a_place(tmp_path):
    evaluation, files = evaluated(3, 30, tmp_path)
    files[0].unlink()
    text = run_report(evaluation, Shown(files))
    assert _Page(text).images == []
    assert "no picture: the file cannot be read" in text


def test_the_threshold_is_that_of_val_where_there_is_one(tmp_path):
    evaluation, files = evaluated(3, 90, tmp_path)
    alone = run_report(evaluation, Shown(files))
    assert "chosen on these images" in alone
    assert "Evaluate val too" in alone
    val = replace(evaluation.scores, logits=evaluation.scores.logits[:60], labels=evaluation.scores.labels[:60])
    with_val = run_report(evaluation, Shown(files, val=val))
    assert "chosen on 60 images of val" in with_val
    assert "Evaluate val too" not in with_val


def test_the_page_of_a_thousand_classes_stays_small(tmp_path):
    evaluation, files = evaluated(1000, 4000, tmp_path)
    text = run_report(evaluation, Shown(files, HISTORY))
    page = _Page(text)
    assert len(text) < 3_000_000
    assert len(page.images) <= 2 * MAX_MISTAKES + 12
    assert "too few images to tell" in text
    assert f"The {MAX_CLASSES} classes with most mistakes" in text


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_a_block_holds_the_most_confused_classes_side_by_side(n):
    confusion = 10 * np.eye(n, dtype=np.int64)
    if n == 40:
        confusion[3, 30] = confusion[30, 3] = 9
        confusion[np.arange(35), np.arange(35) + 1] += 1
    block = confused_block(confusion)
    assert sorted(block.classes) == list(range(n)) if n <= MAX_CLASSES else len(block.classes) == MAX_CLASSES
    if n == 40:
        assert abs(block.classes.index(3) - block.classes.index(30)) == 1
        inside = confusion[np.ix_(block.classes, block.classes)]
        assert block.n_left_out == confusion.sum() - np.trace(confusion) - (inside.sum() - np.trace(inside))
