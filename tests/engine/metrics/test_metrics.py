"""Figures against scikit-learn and cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, top_k_accuracy_score

from clipft_cli.engine.metrics.metrics import measure, metrics_json
from clipft_cli.engine.metrics.scores import Scores, ranked


def scores_of(logits, labels) -> Scores:
    logits = np.asarray(logits, dtype=np.float32)
    return Scores(logits, np.asarray(labels), np.arange(len(logits)), {})


def names_of(n: int) -> list[tuple[str, str]]:
    return [(f"c{i}", f"class {i}") for i in range(n)]


@pytest.fixture
def measured():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 300)
    logits = rng.normal(size=(300, 8))
    logits[np.arange(300), labels] += 1.0
    scores = scores_of(logits, labels)
    return scores, measure(scores, names_of(8), temperature=1.7)


def test_accuracies_f1_and_nll_are_scikit_learns(measured):
    scores, metrics = measured
    predicted = scores.logits.argmax(axis=1)
    assert metrics.top1.value == np.mean(predicted == scores.labels)
    assert metrics.top5.value == top_k_accuracy_score(scores.labels, scores.logits, k=5)
    assert metrics.macro_f1.value == pytest.approx(f1_score(scores.labels, predicted, average="macro"))
    assert metrics.nll == pytest.approx(log_loss(scores.labels, scores.probabilities(1.7)), rel=1e-6)
    assert all(i.low <= i.value <= i.high for i in (metrics.top1, metrics.top5, metrics.macro_f1, metrics.ece))


def test_classes_by_hand():
    logits = np.eye(3)[[0, 0, 1, 1, 1, 0]]  # class 2 is never predicted
    metrics = measure(scores_of(logits, [0, 0, 0, 1, 1, 2]), names_of(3))
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
    metrics = measure(scores_of(np.eye(3)[[0, 1]], [0, 1]), names_of(3))
    assert metrics.macro_f1.value == metrics.macro_recall == 1.0
    assert metrics.names_without_images == ["c2"]


def test_top5_of_two_classes_is_top2():
    metrics = measure(scores_of([[1.0, 0.0], [1.0, 0.0]], [0, 1]), names_of(2))
    assert (metrics.top1.value, metrics.top5.value) == (0.5, 1.0)


def test_equal_logits_go_to_the_first_class_not_to_the_label():
    assert ranked(np.zeros((1, 4)), 2).tolist() == [[0, 1]]
    assert measure(scores_of(np.zeros((4, 4)), [3, 3, 3, 3]), names_of(4)).top1.value == 0.0


def test_temperature_changes_confidence_alone(measured):
    scores, _ = measured
    cold, hot = (measure(scores, names_of(8), temperature=t) for t in (0.5, 2.0))
    assert cold.mean_confidence > hot.mean_confidence
    assert cold.top1 == hot.top1
    assert (cold.confusion == hot.confusion).all()


def test_the_seed_decides_the_bootstrap(measured):
    scores, metrics = measured
    again = measure(scores, names_of(8), temperature=1.7)
    other = measure(scores, names_of(8), temperature=1.7, seed=1)
    assert again.macro_f1 == metrics.macro_f1 != other.macro_f1


def test_json_holds_plain_numbers(measured):
    import json

    content = json.loads(json.dumps(metrics_json(measured[1]), allow_nan=False))
    assert content["intervals_95"]["top1"][0] < content["top1"] < content["intervals_95"]["top1"][1]
    assert sum(map(sum, content["confusion_matrix"])) == 300


def test_one_image_of_one_class_can_be_measured():
    metrics = measure(scores_of([[3.0]], [0]), names_of(1))
    assert metrics.top1.value == 1.0
    assert metrics.top1.low < 0.3
