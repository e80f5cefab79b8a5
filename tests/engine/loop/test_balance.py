"""Who asks for balance gets it in every place that decides; no method drops a setting in silence."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clipft_cli.config.load import load_config
from clipft_cli.config.methods import LinearProbeConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.events import Note, Plan
from clipft_cli.engine.loop.inputs import DECIDES_NOTHING, settings_of, unused_settings
from clipft_cli.engine.manifest import digest_of, read_manifest, write_manifest
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.linear_probe import fit_probe
from clipft_cli.engine.metrics.never_answered import never_answered, told_of
from clipft_cli.engine.run_dir import find_checkpoint
from clipft_cli.engine.train import train
from clipft_cli.errors import ConfigError

OTHER = {
    "checkpoint.every": (60.0,),
    "data.augmentation": ("none", "strong"),
    "data.batch_size": (7,),
    "data.class_balance": ("loss",),
    "data.crop_scale_min": (0.9,),
    "data.few_shot": (3,),
    "data.fraction": (0.5,),
    "data.horizontal_flip": (False,),
    "data.resize": ("pad",),
    "linear_probe.max_iter": (7,),
    "lora.r": (3,),
    "model.head": ("linear", "cosine"),
    "model.head_start": ("text", "auto"),
    "training.ema.enabled": (True, False),
    "training.gradient_accumulation_steps": (3,),
    "training.label_smoothing": (0.3,),
    "training.learning_rate": (1.5e-4,),
    "training.max_grad_norm": (0.7,),
    "training.num_epochs": (3,),
    "training.schedule": ("linear",),
    "training.select_by": ("loss",),
    "training.weight_decay": (0.3,),
}
"""Settings, and values for each, of which one is not the method's own."""


def configured(method: str, **flags: object) -> TrainConfig:
    return load_config(TrainConfig, flags={"method": method, **flags})


@pytest.mark.parametrize("key", OTHER)
@pytest.mark.parametrize("method", METHODS)
def test_no_method_drops_a_setting_in_silence(method, key):
    """It is among what decides the result, or the plan says that it has no effect."""
    usual = configured(method).model_dump(mode="json")
    for part in key.split("."):
        usual = usual[part]
    if (method, key) == ("linear_probe", "model.head"):
        with pytest.raises(ConfigError, match="needs head: linear"):
            configured(method, **{key: "cosine"})
        return
    config = configured(method, **{key: next(value for value in OTHER[key] if value != usual)})
    decides = key in settings_of(config) or key in DECIDES_NOTHING
    assert decides or key in unused_settings(config)


@pytest.mark.parametrize("method", METHODS)
def test_what_nobody_gave_is_not_called_unused(method):
    assert unused_settings(configured(method)) == []


@pytest.mark.parametrize("balance", ["loss", "sampler"])
def test_val_chooses_by_balanced_accuracy_unless_told_otherwise(balance):
    assert configured("full").training.select_by == "top1"
    assert configured("full", **{"data.class_balance": balance}).training.select_by == "balanced_accuracy"
    given = {"data.class_balance": balance, "training.select_by": "top1"}
    assert configured("lora", **given).training.select_by == "top1"


def test_a_balanced_probe_finds_the_rare_class():
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 190 + [1] * 10)
    features = torch.randn(200, 8, generator=generator) + labels[:, None] * 0.8
    config = LinearProbeConfig(c_values=(1.0,))

    def recall(is_balanced: bool) -> float:
        probe = fit_probe(
            (features, labels),
            features,
            2,
            config,
            temperature_of=lambda logits: 1.0,
            rank_of=lambda logits: (0.0,),
            is_balanced=is_balanced,
        )
        answers = probe.head()(torch.nn.functional.normalize(features, dim=-1)).argmax(dim=1)
        return float((answers[labels == 1] == 1).float().mean())

    assert recall(is_balanced=False) == 0.0
    assert recall(is_balanced=True) > 0.6


@pytest.mark.parametrize("balance", ["loss", "sampler"])
def test_a_probes_weights_are_others_with_balance(tiny, tmp_path, balance):
    data = shutil.copytree(tiny.data, tmp_path / "data")
    manifest = read_manifest(data)
    rare = [row for row in manifest.split("train") if row.label == 0]
    rows = [row for row in manifest.rows if row not in rare[3:]]
    write_manifest(replace(manifest, rows=rows, digest=digest_of(manifest.classes, rows)))
    heads = []
    for name, extra in (("without", {}), ("with", {"data.class_balance": balance})):
        settings = {"data.dir": data, "linear_probe.c_values": [10.0], **extra}
        train(tiny.config("linear_probe", tmp_path / name, settings), lambda event: None)
        heads.append(load_file(find_checkpoint(tmp_path / name) / "head.safetensors")["weight"])
    assert not torch.equal(*heads)


def test_classes_that_are_never_the_answer_are_named():
    logits = np.eye(4)[[0, 0, 0, 1]]  # the second class is the answer once, and wrongly
    assert never_answered(logits, np.array([0, 1, 2, 2]), ["a", "b", "c\x1b", "d"]) == ["b", "c\\x1b"]
    assert told_of(["b"], "val", balance_may_help=True) == (
        "b is never predicted for an image of val that shows it"
        ": where they have few images, train with `--set data.class_balance=loss`"
    )
    assert (
        told_of(["b", "c"], "test", balance_may_help=False)
        == "b, c are never predicted for an image of test that shows them"
    )


def test_a_run_says_which_class_it_never_predicts_and_which_settings_it_has_no_use_for(tiny, tmp_path):
    """Trained with hardly any step, from prompts that a random model knows nothing of."""
    told: list[str] = []
    plans: list[Plan] = []

    def listen(event: object) -> None:
        if isinstance(event, Note):
            told.append(event.text)
        if isinstance(event, Plan):
            plans.append(event)

    train(tiny.config("zero_shot", tmp_path / "run", {"data.class_balance": "loss"}), listen)
    assert any("never predicted for an image of val" in text for text in told)
    unused = dict(plans[0].facts)["unused"]
    assert "data.class_balance" in unused
    assert unused.endswith("without effect here (zero_shot)")
