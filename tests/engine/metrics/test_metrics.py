"""Figures against scikit-learn and cases counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, precision_score, top_k_accuracy_score

from clipft_cli.engine.metrics import REPORTED
from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.metrics import measure, metrics_json
from clipft_cli.engine.metrics.scores import ranked


def answers_of(logits, labels, temperature: float = 1.0) -> Answers:
    return Answers(np.asarray(logits, dtype=np.float32), np.asarray(labels), temperature)


def names_of(n: int) -> list[tuple[str, str]]:
    return [(f"c{i}", f"class {i}") for i in range(n)]


@pytest.fixture
def measured():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 300)
    logits = rng.normal(size=(300, 8))
    logits[np.arange(300), labels] += 1.0
    answers = answers_of(logits, labels, 1.7)
    return answers, measure(answers, names_of(8))


def test_figures_are_scikit_learns(measured):
    answers, metrics = measured
    labels, predicted = answers.labels, answers.logits.argmax(axis=1)
    expected = {
        "top1": np.mean(predicted == labels),
        "top5": top_k_accuracy_score(labels, answers.logits, k=5),
        "macro_f1": f1_score(labels, predicted, average="macro"),
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        "macro_precision": precision_score(labels, predicted, average="macro"),
        "nll": log_loss(labels, softmax(answers.logits.astype(np.float64) / 1.7, axis=1)),
    }
    values = {name: figure.value for name, figure in metrics.figures.items()}
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_every_value_lies_in_its_interval(measured):
    _, metrics = measured
    assert list(metrics.figures) == [metric.name for metric in REPORTED]
    for name, figure in metrics.figures.items():
        assert figure.low <= figure.value <= figure.high, name


def test_classes_by_hand():
    logits = np.eye(3)[[0, 0, 1, 1, 1, 0]]  # class 2 is never predicted
    metrics = measure(answers_of(logits, [0, 0, 0, 1, 1, 2]), names_of(3))
    first, second, third = metrics.classes
    assert (first.precision, first.recall, first.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (second.precision, second.recall, second.support) == pytest.approx((2 / 3, 1.0, 2))
    assert (third.precision, third.recall, third.f1, third.predicted) == (0, 0, 0, 0)
    assert metrics.confusion.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert [(c.true, c.predicted, c.count) for c in metrics.most_confused(5)] == [
        ("class 0", "class 1", 1),
        ("class 2", "class 0", 1),
    ]
    assert [item.name for item in metrics.worst_classes(2)] == ["c2", "c0"]


def test_a_class_without_images_is_in_no_mean_and_is_named():
    metrics = measure(answers_of(np.eye(3)[[0, 1]], [0, 1]), names_of(3))
    assert metrics.figures["macro_f1"].value == metrics.figures["balanced_accuracy"].value == 1.0
    assert metrics.names_without_images == ["c2"]


def test_top5_of_two_classes_is_top2():
    metrics = measure(answers_of([[1.0, 0.0], [1.0, 0.0]], [0, 1]), names_of(2))
    assert (metrics.top1.value, metrics.figures["top5"].value) == (0.5, 1.0)


def test_equal_logits_go_to_the_first_class_not_to_the_label():
    assert ranked(np.zeros((1, 4)), 2).tolist() == [[0, 1]]
    assert measure(answers_of(np.zeros((4, 4)), [3, 3, 3, 3]), names_of(4)).top1.value == 0.0


def test_temperature_changes_confidence_alone(measured):
    answers, _ = measured
    cold, hot = (measure(replace(answers, temperature=t), names_of(8)) for t in (0.5, 2.0))
    assert cold.figures["mean_confidence"].value > hot.figures["mean_confidence"].value
    assert cold.top1 == hot.top1
    assert (cold.confusion == hot.confusion).all()


def test_the_seed_decides_the_bootstrap(measured):
    answers, metrics = measured
    again, other = measure(answers, names_of(8)), measure(answers, names_of(8), seed=1)
    assert again.figures["macro_f1"] == metrics.figures["macro_f1"] != other.figures["macro_f1"]


def test_json_holds_plain_numbers(measured):
    import json

    content = json.loads(json.dumps(metrics_json(measured[1]), allow_nan=False))
    assert content["intervals_95"]["top1"][0] < content["top1"] < content["intervals_95"]["top1"][1]
    assert sum(map(sum, content["confusion_matrix"])) == 300


def test_one_image_of_one_class_can_be_measured():
    metrics = measure(answers_of([[3.0]], [0]), names_of(1))
    assert metrics.top1.value == 1.0
    assert metrics.top1.low < 0.3
