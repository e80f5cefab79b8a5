"""Every key and value of the reference system is valid input as it stands, with its meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipft_cli.config.load import load_config
from clipft_cli.config.optim import UnfreezeStep
from clipft_cli.config.train import TrainConfig

FULL = """
data: {batch_size: 16}
training:
  num_epochs: 20
  base_learning_rate: 1.0e-5
  gradient_accumulation_steps: 2
  warmup_ratio: 0.1
  weight_decay: 0.01
  max_grad_norm: 0.5
  early_stopping: {enabled: true, patience: 3}
  layerwise_lr: {enabled: true, decay_rate: 0.95}
  progressive_unfreezing:
    enabled: true
    unfreeze_schedule:
      - {epoch: 0, layers: ["classifier"]}
      - {epoch: 2, layers: ["vision_model.encoder.layers.11"]}
      - {epoch: 6, layers: ["all"]}
hardware: {mixed_precision: true}
model: {name: "openai/clip-vit-base-patch32", cache_dir: "models/"}
"""
LORA = """
data: {batch_size: 32}
training:
  num_epochs: 10
  learning_rate: 5e-4
  gradient_accumulation_steps: 1
lora: {r: 8, lora_alpha: 32, target_modules: ["q_proj", "v_proj"], lora_dropout: 0.1}
"""


@pytest.fixture
def load(tmp_path):
    def load(text: str, *sets: str, **flags: object) -> TrainConfig:
        (tmp_path / "clipft.yaml").write_text(text, encoding="utf-8")
        return load_config(TrainConfig, tmp_path / "clipft.yaml", sets, flags)

    return load


def test_the_whole_full_snippet_means_what_it_says(load):
    config = load(FULL)
    training = config.training
    assert config.method == "full"
    assert config.data.batch_size == 16
    assert training.num_epochs == 20
    assert training.learning_rate == 1e-5
    assert training.gradient_accumulation_steps == 2
    assert training.warmup_ratio == 0.1
    assert training.weight_decay == 0.01
    assert training.max_grad_norm == 0.5
    assert (training.early_stopping.enabled, training.early_stopping.patience) == (True, 3)
    assert (training.layerwise_lr.enabled, training.layerwise_lr.decay_rate) == (True, 0.95)
    assert training.progressive_unfreezing.enabled
    assert training.progressive_unfreezing.unfreeze_schedule == (
        UnfreezeStep(epoch=0, layers=("classifier",)),
        UnfreezeStep(epoch=2, layers=("vision_model.encoder.layers.11",)),
        UnfreezeStep(epoch=6, layers=("all",)),
    )
    assert config.hardware.mixed_precision == "auto"
    assert config.model.name == "openai/clip-vit-base-patch32"
    assert config.model.cache_dir == Path("models/")


def test_the_lora_snippet_means_lora_without_naming_the_method(load):
    config = load(LORA)
    assert config.method == "lora"
    assert config.data.batch_size == 32
    assert config.training.num_epochs == 10
    assert config.training.learning_rate == 5e-4
    lora = config.lora
    assert (lora.r, lora.lora_alpha, lora.lora_dropout) == (8, 32.0, 0.1)
    assert lora.target_modules == ("q_proj", "v_proj")


def test_unfreezing_enabled_without_a_schedule(load):
    unfreezing = load("training: {progressive_unfreezing: {enabled: true}}").training.progressive_unfreezing
    assert unfreezing.enabled
    assert unfreezing.unfreeze_schedule is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", "auto"),
        ("bf16", "bf16"),
        ("fp16", "fp16"),
        ("no", "no"),
        ("false", "no"),
        ("'no'", "no"),
        ("fp32", "no"),
        ("auto", "auto"),
    ],
)
def test_mixed_precision_words(load, written, meant):
    assert load(f"hardware: {{mixed_precision: {written}}}").hardware.mixed_precision == meant


def test_reference_presets_hold_the_references_values_to_the_letter():
    full = load_config(TrainConfig, flags={"preset": "reference-full"})
    assert (full.data.batch_size, full.training.num_epochs) == (16, 20)
    assert (full.training.learning_rate, full.training.gradient_accumulation_steps) == (1e-5, 2)
    assert (full.training.warmup_ratio, full.training.weight_decay, full.training.max_grad_norm) == (0.1, 0.01, 0.5)
    assert (full.training.early_stopping.enabled, full.training.early_stopping.patience) == (True, 3)
    assert (full.training.layerwise_lr.enabled, full.training.layerwise_lr.decay_rate) == (True, 0.95)
    schedule = full.training.progressive_unfreezing.unfreeze_schedule
    assert [(step.epoch, step.layers) for step in schedule or ()] == [
        (0, ("classifier",)),
        (2, ("vision_model.encoder.layers.11",)),
        (6, ("all",)),
    ]
    lora = load_config(TrainConfig, flags={"preset": "reference-lora"})
    assert (lora.data.batch_size, lora.training.num_epochs, lora.training.learning_rate) == (32, 10, 5e-4)
    assert (lora.lora.r, lora.lora.lora_alpha, lora.lora.lora_dropout) == (8, 32.0, 0.1)
    assert lora.lora.target_modules == ("q_proj", "v_proj")
    assert lora.training.gradient_accumulation_steps == 1
