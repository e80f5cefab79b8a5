"""The start of a run: class prompts or a probe, never the worse of the two on val."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.events import Note
from clipft_cli.engine.images.dataset import ImageDataset
from clipft_cli.engine.loop.material import load_material
from clipft_cli.engine.loop.start import Start, choose_start
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.metrics.calibration import fit_temperature
from clipft_cli.engine.model.classifier import Classifier, CosineHead
from clipft_cli.engine.model.inference import split_features


@pytest.fixture(scope="module")
def material(tiny, tmp_path_factory):
    config = tiny.config("linear_probe", tmp_path_factory.mktemp("start"))
    return load_material(config, read_manifest(tiny.data))


@pytest.fixture(scope="module")
def knowing_head(material):
    """A text head that knows the classes: each row the mean of a class's image features."""
    blank = Classifier(material.backbone.model, CosineHead(torch.zeros(3, 16), 10.0))
    features = split_features(blank, material.train_set, material.inference)
    unit, labels = F.normalize(features, dim=-1), torch.from_numpy(material.train_set.labels)
    means = torch.stack([unit[labels == c].mean(0) for c in range(3)])
    return CosineHead(F.normalize(means - unit.mean(0), dim=-1), 10.0)


def started(material, head: CosineHead, train_set: ImageDataset, config: TrainConfig) -> tuple[Start, list[Note]]:
    notes: list[Note] = []
    config = config.model_copy(update={"cache": config.cache.model_copy(update={"enabled": False})})
    return choose_start(replace(material, train_set=train_set, config=config), head, notes.append), notes


@pytest.mark.parametrize(("shift", "kind"), [(0, "probe"), (1, "text")])
def test_a_probe_worse_than_zero_shot_on_val_is_not_kept_even_where_it_was_asked_for(
    material, knowing_head, shift, kind
):
    """With every training label wrong, a probe is worse than the prompts."""
    rows = [replace(row, label=(row.label + shift) % 3) for row in material.train_set.rows]
    train_set = ImageDataset(material.manifest, rows, material.backbone.preprocess)
    start, notes = started(material, knowing_head, train_set, material.config)
    assert start.kind == kind
    assert start.metrics.top1 == max(start.zero_shot.top1, start.probe.top1)
    assert notes[-1].is_warning is (kind == "text")


@pytest.mark.parametrize(
    ("select_by", "kind"),
    [("top1", "text"), ("macro_f1", "text"), ("balanced_accuracy", "text"), ("loss", "probe")],
)
def test_the_metric_that_chooses_epochs_chooses_the_start(tiny, tmp_path, material, knowing_head, select_by, kind):
    """The prompts are right and sure of nothing; a probe on labels that are partly wrong is sure of what it knows."""
    head = CosineHead(knowing_head.weight.detach(), 0.1)
    rows = [replace(row, label=1) if i % 4 and row.label == 2 else row for i, row in enumerate(material.train_set.rows)]
    train_set = ImageDataset(material.manifest, rows, material.backbone.preprocess)
    settings = {"training.select_by": select_by, "model.head": "linear", "linear_probe.c_values": [1.0]}
    start, _ = started(material, head, train_set, tiny.config("full", tmp_path, settings))
    assert start.zero_shot.top1 > start.probe.top1
    assert start.zero_shot.loss > start.probe.loss
    assert start.kind == kind


def test_the_strongest_regularisation_is_no_start_that_answers_nothing(tiny, tmp_path, material, knowing_head):
    """Between strengths of equal accuracy the lower loss; and a calibrated start whichever it is."""
    wrong = CosineHead(knowing_head.weight.detach().roll(1, dims=0), 10.0)
    losses = {}
    for name, c_values in {"weakest": [1e-4], "strong": [10.0], "both": [1e-4, 10.0]}.items():
        settings = {"linear_probe.c_values": c_values}
        start, _ = started(material, wrong, material.train_set, tiny.config("linear_probe", tmp_path, settings))
        labels = torch.from_numpy(material.val_set.labels)
        losses[name] = start.probe.loss
        assert start.probe.loss < 0.9 * torch.tensor(3.0).log()  # log(classes) is what a uniform answer costs
        assert fit_temperature(start.val_logits.numpy(), labels.numpy()) == pytest.approx(1.0, abs=0.02)
    assert losses["both"] == min(losses.values())
